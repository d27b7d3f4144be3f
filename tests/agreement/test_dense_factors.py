"""Several grouping factors: the likelihood, its gradient and the conditionals against dense matrices over raw rows."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from partialpool.inference.gaussian.conditional import (
    contrast_given_nodes,
    draw_at_points,
    effects_given_nodes,
    predictor_given_nodes,
)
from partialpool.inference.gaussian.elimination import contrast_variance
from partialpool.models.model import Model
from partialpool.models.space.hyperspace import HyperPoints, HyperSpace
from partialpool.numerics import block_chain
from partialpool.reductions.several import couplings, elimination_plan

from . import dense_factors as dense
from .cases import COEFFICIENT_PRIORS, coefficient_priors
from .factors import FORMS, POPULATIONS, ROUTES, STRUCTURES, FactorCase, FactorRows, random_factor_case, take_route
from .points import random_points
from .slopes import differentiate, slope_of

FloatArray = NDArray[np.float64]
HEALTH = [HealthCheck.filter_too_much]
FAST = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=HEALTH)
SLOW = settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=HEALTH)


@st.composite
def cases(draw: st.DrawFn) -> FactorCase:
    return random_factor_case(
        draw(st.sampled_from(list(STRUCTURES))),
        draw(st.sampled_from(list(POPULATIONS))),
        draw(st.sampled_from(FORMS)),
        draw(st.sampled_from(COEFFICIENT_PRIORS)),
        draw(st.integers(20, 45)),
        draw(st.integers(0, 2**32 - 1)),
    )


routes = st.sampled_from(list(ROUTES))


def dense_log_likelihoods(model: Model, rows: dense.DenseFactors, points: HyperPoints) -> FloatArray:
    return np.array(
        [
            dense.log_likelihood(
                rows, points.effect_root[..., node], points.residual_sd[node], *coefficient_priors(model, points, node)
            )
            for node in range(points.n_nodes)
        ]
    )


def exact_slope(model: Model, rows: dense.DenseFactors, space: HyperSpace, at: FloatArray) -> FloatArray:
    return differentiate(lambda nodes: dense_log_likelihoods(model, rows, space.constrain(nodes)[0]), at)


#: Weights of the coefficients, and terms (factor, level, weights of its effects); level -1 is new.
Quantity = tuple[FloatArray, list[tuple[int, int, FloatArray]]]


class Given:
    """The exact conditional at one node, and moments of any quantities under it."""

    def __init__(self, model: Model, rows: dense.DenseFactors, points: HyperPoints, node: int) -> None:
        mean, precision, known, stated = coefficient_priors(model, points, node)
        self.model, self.rows, self.unknown = model, rows, ~np.isnan(precision)
        self.known = np.where(self.unknown, 0.0, np.nan_to_num(known))
        self.root = points.effect_root[..., node]
        self.exact = dense.condition(rows, self.root, points.residual_sd[node], mean, precision, known, stated)
        self.n_unknown = int(self.unknown.sum())

    def weights(self, quantity: Quantity) -> tuple[FloatArray, float]:
        """Return what takes (unknown coefficients, effects) to the quantity, and the variance of its new levels."""
        population, terms = quantity
        weights, fresh = np.zeros(len(self.exact.mean)), 0.0
        weights[: self.n_unknown] = population[self.unknown]
        for factor, level, effects in terms:
            if level < 0:
                root = self.root[self.model.effect_slices[factor], self.model.effect_slices[factor]]
                fresh += float(np.sum((effects @ root) ** 2))
                continue
            for k, weight in enumerate(effects):
                weights[self.n_unknown + self.rows.place(factor, k, level)] += weight
        return weights, fresh

    def check(self, mean: FloatArray, variance: FloatArray, wanted: list[Quantity], digits: float = 1e-8) -> None:
        """Compare means in sds and variances relative to themselves."""
        assert len(mean) == len(wanted)
        for quantity, ours, its_variance in zip(wanted, mean, variance, strict=True):
            weights, fresh = self.weights(quantity)
            exact = float(weights @ self.exact.mean + self.known @ quantity[0])
            spread = float(weights @ self.exact.covariance @ weights) + fresh
            assert abs(ours - exact) < digits * (np.sqrt(spread) + abs(exact))
            assert its_variance == pytest.approx(spread, rel=digits)


def assert_close(ours: FloatArray, exact: FloatArray) -> None:
    assert np.allclose(ours, exact.astype(float), rtol=1e-8, atol=1e-9)


@FAST
@given(cases(), routes, st.integers(0, 1000))
def test_log_likelihood(case: FactorCase, route: str, seed: int) -> None:
    with take_route(route):
        model, marginal, rows = case.build()
        points = random_points(model, seed)
        values = marginal.log_likelihood(points)
    assert np.allclose(
        values.astype(float), dense_log_likelihoods(model, rows, points).astype(float), rtol=1e-9, atol=1e-8
    )


@SLOW
@given(cases(), routes, st.integers(0, 1000))
def test_gradient(case: FactorCase, route: str, seed: int) -> None:
    with take_route(route):
        model, marginal, rows = case.build()
        rng = np.random.default_rng(seed)
        for chart in model.space.charts:
            space = model.space.in_chart(chart)
            coordinates = space.starts()[3] + rng.normal(size=(2, space.dimension))
            values, slopes = slope_of(marginal, space, coordinates)
            expected = exact_slope(model, rows, space, coordinates[0])
            assert np.allclose(slopes[0], expected, rtol=1e-7, atol=1e-8), chart
            assert np.array_equal(values, marginal.log_likelihood(space.constrain(coordinates)[0]))


@FAST
@given(cases(), routes, st.integers(0, 1000))
def test_conditionals_of_coefficients_and_effects(case: FactorCase, route: str, seed: int) -> None:
    with take_route(route):
        model, marginal, rows = case.build()
        points = random_points(model, seed, n_nodes=2)
        conditional = marginal.coefficients_given(points)
        p = len(model.design.population.names)
        for k, group in enumerate(model.groups):
            own = np.array(
                [[float(name == effect) for effect in group.names] for name in model.design.population.names]
            )
            columns = [np.zeros((p, len(group.names))), own]
            part = slice(0, group.n_levels) if seed % 2 else slice(1, group.n_levels)
            ours = effects_given_nodes(marginal, points, conditional, columns, part, factor=k)
            for node in range(points.n_nodes):
                given_node = Given(model, rows, points, node)
                head = given_node.exact.mean[: given_node.n_unknown]
                spread = given_node.exact.covariance[: given_node.n_unknown, : given_node.n_unknown]
                assert_close(conditional.coefficient_mean[:, node], head)
                assert_close(conditional.coefficient_covariance[:, :, node], spread)
                wanted = [
                    (column[:, effect], [(k, level, np.eye(len(group.names))[effect])])
                    for column in columns
                    for effect in range(len(group.names))
                    for level in range(part.start, part.stop)
                ]
                given_node.check(ours.mean[node], ours.variance[node], wanted)


@FAST
@given(cases(), routes, st.integers(0, 1000))
def test_plug_in_conditionals(case: FactorCase, route: str, seed: int) -> None:
    """Effects and sums of them with the coefficients known at their conditional means."""
    rng = np.random.default_rng(seed)
    with take_route(route):
        model, marginal, rows = case.build()
        point = random_points(model, seed, n_nodes=1)
        conditional = marginal.coefficients_given(point)
        p = len(model.design.population.names)
        none = np.zeros((p, 5))
        moments = [
            effects_given_nodes(
                marginal, point, conditional, [none[:, : len(group.names)]], slice(0, group.n_levels), True, factor=k
            )
            for k, group in enumerate(model.groups)
        ]
        terms = [
            (k, rng.integers(-1, group.n_levels, 5), rng.normal(size=(len(group.names), 5)))
            for k, group in enumerate(model.groups)
        ]
        sums = contrast_given_nodes(marginal, point, conditional, none, terms, True)
    plug_in = Given(model, rows, point, 0)
    head = plug_in.exact.mean[: plug_in.n_unknown].astype(float)
    known = plug_in.known.copy()
    known[plug_in.unknown] = head
    plug_in.exact = dense.condition(rows, plug_in.root, point.residual_sd[0], np.zeros(p), np.full(p, np.nan), known)
    plug_in.unknown, plug_in.n_unknown = np.zeros(p, dtype=bool), 0
    for k, group in enumerate(model.groups):
        wanted = [
            (none[:, 0], [(k, level, np.eye(len(group.names))[effect])])
            for effect in range(len(group.names))
            for level in range(group.n_levels)
        ]
        plug_in.check(moments[k].mean[0], moments[k].variance[0], wanted)
    wanted = [(none[:, 0], [(k, int(codes[i]), weights[:, i]) for k, codes, weights in terms]) for i in range(5)]
    plug_in.check(sums.mean[0], sums.variance[0], wanted)


@FAST
@given(cases(), routes, st.integers(0, 1000))
def test_contrasts_and_predictors(case: FactorCase, route: str, seed: int) -> None:
    """Sums over levels of all factors, two of each, new levels among them and the same level twice."""
    rng = np.random.default_rng(seed)
    n_quantities = 6
    with take_route(route):
        model, marginal, rows = case.build()
        points = random_points(model, seed, n_nodes=2)
        conditional = marginal.coefficients_given(points)
        population = rng.normal(size=(len(model.design.population.names), n_quantities))
        terms = [
            (k, rng.integers(-1, group.n_levels, n_quantities), rng.normal(size=(len(group.names), n_quantities)))
            for k, group in enumerate(model.groups)
            for _ in range(2)
        ]
        contrasts = contrast_given_nodes(marginal, points, conditional, population, terms)
        effects = np.concatenate([effects for _, _, effects in terms[::2]])
        levels = [codes if k else None for k, codes, _ in terms[::2]]
        predicted = predictor_given_nodes(marginal, points, conditional, population, effects, levels)
    wanted = [
        (population[:, i], [(k, int(codes[i]), effects[:, i]) for k, codes, effects in terms])
        for i in range(n_quantities)
    ]
    rows_wanted = [
        (population[:, i], [(k, int(codes[i]) if k else -1, effects[:, i]) for k, codes, effects in terms[::2]])
        for i in range(n_quantities)
    ]
    for node in range(points.n_nodes):
        given_node = Given(model, rows, points, node)
        given_node.check(contrasts.mean[node], contrasts.variance[node], wanted)
        given_node.check(predicted.mean[node], predicted.variance[node], rows_wanted)


@pytest.mark.parametrize("ratio", [1e2, 1e4])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_sds_of_all_sizes(structure: str, ratio: float) -> None:
    """Effects' sds of 1e-6, 1 and ``ratio`` times sigma in every mixture: rounding grows like the square of the ratio.

    Under flat coefficients the likelihood once lost four digits at a ratio of 1000 and was zero at 10,000.
    """
    for seed, (route, prior) in enumerate(zip(ROUTES, ("Flat", "Normal(0.5, 2)", "Flat", "Flat", "Flat"), strict=True)):
        rng = np.random.default_rng([seed, int(ratio)])
        case = random_factor_case(structure, "x", "rows", prior, 40, seed)
        with take_route(route):
            model, marginal, rows = case.build()
            space = model.space.in_chart("natural")
            coordinates = space.starts()[3] + 0.3 * rng.normal(size=(4, space.dimension))
            n_sds = len(space.effect_sds)
            # sigma is the last coordinate
            coordinates[:, :n_sds] = coordinates[:, -1:] + np.log(rng.choice([1e-6, 1.0, ratio], (4, n_sds)))
            points = space.constrain(coordinates)[0]
            values, slopes = slope_of(marginal, space, coordinates)
            conditional = marginal.coefficients_given(points)
            p = len(model.design.population.names)
            moments = [
                effects_given_nodes(
                    marginal,
                    points,
                    conditional,
                    [np.zeros((p, len(group.names)))],
                    slice(0, group.n_levels),
                    factor=k,
                )
                for k, group in enumerate(model.groups)
            ]
        expected = dense_log_likelihoods(model, rows, points).astype(float)
        assert np.allclose(values, expected, rtol=1e-15 * ratio**2, atol=1e-12)
        slope = exact_slope(model, rows, space, coordinates[0])
        assert np.allclose(slopes[0], slope, rtol=2e-14 * ratio**2, atol=2e-14 * ratio**2)
        for node in range(len(coordinates)):
            given_node = Given(model, rows, points, node)
            for k, group in enumerate(model.groups):
                wanted = [
                    (np.zeros(p), [(k, level, np.eye(len(group.names))[effect])])
                    for effect in range(len(group.names))
                    for level in range(group.n_levels)
                ]
                given_node.check(moments[k].mean[node], moments[k].variance[node], wanted, digits=2e-13 * ratio**2)


@pytest.mark.parametrize("prior", ["Flat", "Uniform(-20, 20)"])
@pytest.mark.parametrize("structure", ["nested thrice", "slopes on two", "disconnected with a nest"])
@pytest.mark.parametrize("route", ["as it comes", "level by level, pushed contrasts"])
def test_joint_draws_have_the_conditional_covariance(structure: str, route: str, prior: str) -> None:
    """60,000 draws at one node: every mean and every entry of the covariance within 5 standard errors."""
    case = random_factor_case(structure, "x", "weights", prior, 30, seed=8)
    n = 60_000
    with take_route(route):
        model, marginal, rows = case.build()
        point = random_points(model, 1, n_nodes=1)
        levels = [np.arange(group.n_levels)[::-1] for group in model.groups]
        many = point.select(np.zeros(n, dtype=np.intp))
        joint = draw_at_points(marginal, many, levels, np.random.default_rng(5))
    given_node = Given(model, rows, point, 0)
    effects = [part.transpose(0, 2, 1)[:, ::-1].reshape(-1, n) for part in joint.effects]
    drawn = np.concatenate([joint.coefficients[given_node.unknown], *effects])
    mean, covariance = (part.astype(float) for part in given_node.exact)
    sds = np.sqrt(np.diag(covariance))
    assert np.max(np.abs(drawn.mean(axis=1) - mean) / sds) < 5.0 / np.sqrt(n)
    exact = covariance / np.outer(sds, sds)
    standard = (drawn - mean[:, None]) / sds[:, None]
    assert np.max(np.abs(standard @ standard.T / n - exact) / np.sqrt((1.0 + exact**2) / n)) < 5.0


def band(n_levels: int, width: int, seed: int) -> dict[str, Any]:
    """Two factors of which each level meets the next few of the other alone, and a third that contains neighbours."""
    rng = np.random.default_rng(seed)
    s = np.repeat(np.arange(n_levels), width)
    t = np.minimum(s + np.tile(np.arange(width), n_levels), n_levels - 1)
    n = len(s)
    labels = {
        name: np.array([f"{name}{code:02}" for code in codes]) for name, codes in {"s": s, "t": t, "r": t // 9}.items()
    }
    return {"y": rng.normal(size=n)[s] + rng.normal(size=n)[t] + rng.normal(size=n), "x": rng.normal(size=n), **labels}


#: Group terms on the band, and the blocks of the chain that is left.
BANDS = {
    "(1 | s) + (1 | t)": (("s", ("1",)), ("t", ("1",))),
    "(1 + x | s) + (1 | t)": (("s", ("1", "x")), ("t", ("1",))),
    "(1 + x | t) + (1 | s) + (1 | r)": (("s", ("1",)), ("t", ("1", "x")), ("r", ("1",))),
    "(1 + x | s) + (1 + x | r/t)": (("s", ("1", "x")), ("r", ("1", "x")), ("r:t", ("1", "x"))),
}


@pytest.mark.parametrize(("formula", "large"), [*((formula, 2) for formula in BANDS), (list(BANDS)[1], 150)])
def test_chains_of_blocks(formula: str, large: int) -> None:
    data = band(40, 2, seed=3)
    columns = {"1": np.ones(len(data["y"])), "x": data["x"]}
    factors = BANDS[formula]
    levels = tuple(
        np.array([":".join(parts) for parts in zip(*(data[part] for part in name.split(":")), strict=True)])
        for name, _ in factors
    )
    effects = tuple(np.stack([columns[effect] for effect in terms], axis=1) for _, terms in factors)
    population = np.stack([columns["1"], columns["x"]], axis=1)
    rows_given = FactorRows(data["y"], population, np.ones(len(data["y"])), effects, levels)
    case = FactorCase(f"y ~ x + {formula}", data, {}, rows_given, factors, {"coefficients": "Flat"})
    with (
        patch.object(elimination_plan, "_SMALL", 6),
        patch.object(couplings, "_FULL", 2.0),
        patch.object(block_chain, "_LARGE", large),
    ):
        model, marginal, rows = case.build()
        assert marginal.statistics.remaining is not None
        chain = marginal.statistics.remaining.plan.chain
        assert chain is not None
        assert len(chain.sizes) > 3
        points = random_points(model, 4, n_nodes=3)
        coordinates = model.space.starts()[3:4]
        _, slopes = slope_of(marginal, model.space, coordinates)
        conditional = marginal.coefficients_given(points)
        moments = []
        for k, group in enumerate(model.groups):
            none = np.zeros((2, len(group.names)))
            every = slice(0, group.n_levels)
            moments.append(effects_given_nodes(marginal, points, conditional, [none], every, factor=k))
        rng = np.random.default_rng(5)
        terms = [
            (k, rng.integers(0, g.n_levels, 9), rng.normal(size=(len(g.names), 9))) for k, g in enumerate(model.groups)
        ]
        with patch.object(contrast_variance, "_SMALL", 0):
            contrasts = contrast_given_nodes(marginal, points, conditional, np.ones((2, 9)), terms)
        values = marginal.log_likelihood(points)
    assert np.allclose(values, dense_log_likelihoods(model, rows, points).astype(float), rtol=1e-11)
    assert np.allclose(slopes[0], exact_slope(model, rows, model.space, coordinates[0]), rtol=1e-8, atol=1e-8)
    for node in range(points.n_nodes):
        given_node = Given(model, rows, points, node)
        for k, group in enumerate(model.groups):
            wanted = [
                (np.zeros(2), [(k, level, np.eye(len(group.names))[effect])])
                for effect in range(len(group.names))
                for level in range(group.n_levels)
            ]
            given_node.check(moments[k].mean[node], moments[k].variance[node], wanted)
        wanted = [(np.ones(2), [(k, int(codes[i]), weights[:, i]) for k, codes, weights in terms]) for i in range(9)]
        given_node.check(contrasts.mean[node], contrasts.variance[node], wanted)

"""The marginal likelihood and the conditionals against dense matrices over raw rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from partialpool.inference.gaussian.conditional import draw_at_points, effects_given_nodes, predictor_given_nodes
from partialpool.models.model import Model

from . import dense
from .cases import COEFFICIENT_PRIORS, FORMS, GROUPS, POPULATIONS, Case, coefficient_priors, random_case
from .points import covariance_of, random_points

N_NODES = 4
FAST = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])


@st.composite
def cases(draw: st.DrawFn, groups: tuple[str, ...] = tuple(GROUPS)) -> Case:
    form = draw(st.sampled_from(FORMS))
    term = draw(st.sampled_from(groups))
    population = draw(st.sampled_from(list(POPULATIONS)))
    sizes = draw(st.lists(st.integers(1, 6), min_size=4, max_size=7))
    sizes[0] += 2
    return random_case(
        population, term, form, draw(st.sampled_from(COEFFICIENT_PRIORS)), sizes, draw(st.integers(0, 2**32 - 1))
    )


@FAST
@given(cases(), st.integers(0, 1000))
def test_log_likelihood(case: Case, seed: int) -> None:
    model, marginal = case.build()
    points = random_points(model, seed)
    values = marginal.log_likelihood(points)
    for node in range(N_NODES):
        expected = dense.log_likelihood(
            case.rows,
            covariance_of(points, node),
            points.residual_sd[node],
            *coefficient_priors(model, points, node),
        )
        assert values[node] == pytest.approx(expected, rel=1e-8, abs=1e-8)


@FAST
@given(cases(tuple(GROUPS)[1:]), st.integers(0, 1000))
def test_conditionals_of_coefficients_and_effects(case: Case, seed: int) -> None:
    model, marginal = case.build()
    points = random_points(model, seed)
    conditional = marginal.coefficients_given(points)
    p, q = len(model.design.population.names), case.rows.effects.shape[1]
    deviations, own = np.zeros((p, q)), _theta_columns(model)
    given_nodes = effects_given_nodes(marginal, points, conditional, [deviations, own], slice(None))
    shape = (N_NODES, 2, q, case.rows.n_groups)
    effect_means, effect_variances = given_nodes.mean.reshape(shape), given_nodes.variance.reshape(shape)
    rng = np.random.default_rng(seed)
    new_x, new_z = rng.normal(size=(p, 5)), rng.normal(size=(q, 5))
    new_groups = rng.integers(0, case.rows.n_groups, 5)
    rows = predictor_given_nodes(marginal, points, conditional, new_x, new_z, [new_groups])
    new = predictor_given_nodes(marginal, points, conditional, new_x, new_z, [None])
    for node in range(N_NODES):
        covariance = covariance_of(points, node)
        mean, precision, known, stated = coefficient_priors(model, points, node)
        exact = dense.condition(case.rows, covariance, points.residual_sd[node], mean, precision, known, stated)
        n_unknown = int((~np.isnan(precision)).sum())
        assert np.allclose(conditional.coefficient_mean[:, node], exact.mean[:n_unknown], rtol=1e-8, atol=1e-8)
        assert np.allclose(
            conditional.coefficient_covariance[:, :, node],
            exact.covariance[:n_unknown, :n_unknown],
            rtol=1e-8,
            atol=1e-8,
        )
        fixed = np.where(np.isnan(known), 0.0, known)
        for kind, columns in enumerate((deviations, own)):
            weights = _effect_weights(columns[np.isnan(known)], case.rows.n_groups)
            expected = weights @ exact.mean + np.tile(fixed @ columns, case.rows.n_groups)
            variance = np.einsum("ij,jk,ik->i", weights, exact.covariance, weights)
            assert np.allclose(effect_means[node, kind].T.ravel(), expected, rtol=1e-8, atol=1e-8)
            assert np.allclose(effect_variances[node, kind].T.ravel(), variance, rtol=1e-8, atol=1e-8)
        unknown_x = new_x[np.isnan(known)]
        for i in range(5):
            weights_i = np.zeros(len(exact.mean))
            weights_i[:n_unknown] = unknown_x[:, i]
            at_known = fixed @ new_x[:, i]
            head = exact.covariance[:n_unknown, :n_unknown]
            assert new.mean[node, i] == pytest.approx(weights_i @ exact.mean + at_known, rel=1e-8, abs=1e-8)
            spread = unknown_x[:, i] @ head @ unknown_x[:, i] + new_z[:, i] @ covariance @ new_z[:, i]
            assert new.variance[node, i] == pytest.approx(spread, rel=1e-8, abs=1e-8)
            first = n_unknown + new_groups[i] * q
            weights_i[first : first + q] = new_z[:, i]
            assert rows.mean[node, i] == pytest.approx(weights_i @ exact.mean + at_known, rel=1e-8, abs=1e-8)
            spread = weights_i @ exact.covariance @ weights_i
            assert rows.variance[node, i] == pytest.approx(spread, rel=1e-8, abs=1e-8)


def _theta_columns(model: Model) -> NDArray[np.float64]:
    """Which coefficient each effect deviates from, (coefficient, effect)."""
    (group,) = model.groups
    return np.array([[float(name == effect) for effect in group.names] for name in model.design.population.names])


def _effect_weights(columns: NDArray[np.float64], n_groups: int) -> NDArray[np.float64]:
    """Return what takes (unknown coefficients, effects) to effects plus columns' coefficients, group by group."""
    n_unknown, q = columns.shape
    weights = np.zeros((n_groups * q, n_unknown + n_groups * q))
    weights[:, :n_unknown] = np.tile(columns.T, (n_groups, 1))
    weights[:, n_unknown:] = np.eye(n_groups * q)
    return weights


@pytest.mark.parametrize("prior", ["Normal(0.5, 2)", "Flat", "mixed"])
@pytest.mark.parametrize("term", [" + (1 | g)", " + (1 + x + z | g)", " + (1 + x | g) + (0 + z | g)"])
def test_joint_draws_have_the_conditional_covariance(prior: str, term: str) -> None:
    """60,000 draws at one node: every mean and every entry of the covariance within 5 standard errors."""
    case = random_case("x + z", term, "weights", prior, [5, 1, 3, 4, 2], seed=8)
    model, marginal = case.build()
    point = random_points(model, 1).select(np.array([0]))
    n = 60_000
    many = point.select(np.zeros(n, dtype=np.intp))
    groups = np.arange(case.rows.n_groups)
    joint = draw_at_points(marginal, many, [groups], np.random.default_rng(5))
    mean, precision, known, stated = coefficient_priors(model, point, 0)
    exact = dense.condition(case.rows, covariance_of(point, 0), point.residual_sd[0], mean, precision, known, stated)
    unknown = ~np.isnan(precision)
    assert np.array_equal(joint.coefficients[~unknown], np.repeat(known[~unknown, None], n, axis=1))
    drawn = np.concatenate([joint.coefficients[unknown], joint.effects[0].transpose(2, 0, 1).reshape(-1, n)])
    sds = np.sqrt(np.diag(exact.covariance))
    assert np.max(np.abs(drawn.mean(axis=1) - exact.mean) / sds) < 5.0 / np.sqrt(n)
    exact_correlation = exact.covariance / np.outer(sds, sds)
    standard = (drawn - exact.mean[:, None]) / sds[:, None]
    error = np.sqrt((1.0 + exact_correlation**2) / n)
    assert np.max(np.abs(standard @ standard.T / n - exact_correlation) / error) < 5.0


def test_some_groups_alone_are_drawn_as_among_all() -> None:
    case = random_case("x", " + (1 + x | g)", "rows", "Normal(0.5, 2)", [5, 1, 3, 4, 2], seed=8)
    model, marginal = case.build()
    points = random_points(model, 1)
    every = marginal.coefficients_given(points)
    whole = effects_given_nodes(marginal, points, every, [np.zeros((2, 2))], slice(None))
    part = effects_given_nodes(marginal, points, every, [np.zeros((2, 2))], slice(2, 4))
    shape = (N_NODES, 2, -1)
    assert np.allclose(part.mean.reshape(shape), whole.mean.reshape(shape)[:, :, 2:4], rtol=1e-13)
    assert np.allclose(part.variance.reshape(shape), whole.variance.reshape(shape)[:, :, 2:4], rtol=1e-13)

"""Every way of integrating groups against the others, and nested factors and correlated slopes against brute force."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logsumexp

import partialpool as pp
from partialpool.inference.conjugate.marginal import ConjugateMarginal
from partialpool.inference.contract import LatentMarginal
from partialpool.inference.quadrature.adaptive_hermite import AdaptiveHermite
from partialpool.inference.quadrature.nested_hermite import NestedHermite
from partialpool.inference.quadrature.population_window import PopulationWindow
from partialpool.inference.run_quadrature import _build_nested
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.models.families.parse import read_family
from partialpool.models.latent_model import LatentModel, build_latent_model
from partialpool.models.populations.parse import read_population
from partialpool.models.space.hyper_gradient import pull_back
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.posterior import Posterior

from .latent_cases import CASES
from .latent_nested import NestedBrute, log_likelihood

FloatArray = np.ndarray

_NORMAL = [name for name, case in CASES.items() if "population" not in case.options]


def _fit(name: str) -> Posterior:
    case = CASES[name]
    fit = pp.fit(case.formula, {k: list(v) for k, v in case.data.items()}, priors=case.priors, **case.options)
    assert isinstance(fit, Posterior)
    return fit


def _coordinates(fit: Posterior, seed: int = 4, n: int = 4) -> FloatArray:
    start = fit.fitted.model.space.starts()[3]
    return start + 0.4 * np.random.default_rng(seed).standard_normal((n, len(start)))


@pytest.mark.parametrize("name", _NORMAL)
def test_hermite_window_and_nested_agree(name: str) -> None:
    fit = _fit(name)
    points = fit.fitted.model.space.constrain(_coordinates(fit))[0]
    taken = fit.fitted.latent
    assert isinstance(taken, AdaptiveHermite | PopulationWindow)  # a window where the likelihood may have several peaks
    hermite = AdaptiveHermite(fit.fitted.model, taken.rows, order=91)
    expected = hermite.log_likelihood(points)
    window = PopulationWindow(fit.fitted.model, hermite.rows, half=300)
    np.testing.assert_allclose(window.log_likelihood(points), expected, rtol=0, atol=1e-6)
    nested = replace(_build_nested(fit.fitted.model), order=91)
    np.testing.assert_allclose(nested.log_likelihood(points), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["beta population", "gamma population"])
def test_conjugate_and_window_agree(name: str) -> None:
    fit = _fit(name)
    exact = fit.fitted.latent
    assert isinstance(exact, ConjugateMarginal)
    points = fit.fitted.model.space.constrain(_coordinates(fit))[0]
    window = PopulationWindow(fit.fitted.model, exact.rows, half=400)
    np.testing.assert_allclose(window.log_likelihood(points), exact.log_likelihood(points), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["beta population", "student_t population", "poisson"])
def test_tables_have_the_means_of_draws(name: str) -> None:
    """At one hyperparameter point, so that only the conditional distributions are compared."""
    fit, n = _fit(name), 20000
    one = fit.fitted.model.space.constrain(_coordinates(fit, n=1))[0]
    marginal, levels = fit.fitted.latent, np.arange(len(fit.groups()))
    tables = marginal.tables(one, 0, 0, marginal.class_of(0))
    mean = np.sum(tables.values * tables.density, axis=-1)[:, 0]
    sd = np.sqrt(np.sum((tables.values - mean[:, None, None]) ** 2 * tables.density, axis=-1)[:, 0])
    many = one.select(np.zeros(n, dtype=np.intp))
    drawn = marginal.draw_effects(many, [levels], np.random.default_rng(5))[0][0]
    assert np.all(np.abs(drawn.mean(axis=0) - mean) < 4.5 * sd / np.sqrt(n))
    np.testing.assert_allclose(drawn.std(axis=0), sd, rtol=0.04)


_X = np.array([0.4, -1.1, 0.9, 0.2, -0.5, 1.3, 0.7, -0.2, 1.8, -0.9])
_SLOPES = {"y": [1, 0, 1, 0, 0, 1, 1, 0, 1, 1], "x": _X, "g": [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]}
_SLOPE_PRIORS = {
    "Intercept": "Normal(0, 1.5)",
    "x": "Normal(0, 1)",
    "sd(g, Intercept)": "HalfNormal(1)",
    "sd(g, x)": "HalfNormal(1)",
    "cor(g, Intercept, x)": "LKJ(2)",
}


def _slopes_by_brute_force(coefficients: FloatArray, root: FloatArray) -> float:
    """Sum over a 2-D grid of standardised effects."""
    w = np.linspace(-9, 9, 361)
    z = np.stack(np.meshgrid(w, w, indexing="ij")).reshape(2, -1)
    log_weights = stats.norm.logpdf(z).sum(axis=0) + 2 * np.log(w[1] - w[0])
    own = coefficients[:, None] + root @ z
    total = 0.0
    for group in range(3):
        terms = log_weights.copy()
        for y, x, g in zip(_SLOPES["y"], _SLOPES["x"], _SLOPES["g"], strict=True):
            if g == group:
                terms += stats.bernoulli.logpmf(y, expit(own[0] + own[1] * x))
        total += logsumexp(terms)
    return float(total)


def test_correlated_slopes() -> None:
    fit = pp.fit("y ~ x + (1 + x | g)", _SLOPES, family="bernoulli", priors=_SLOPE_PRIORS, accuracy=0.1)
    assert isinstance(fit, Posterior)
    marginal = fit.fitted.latent
    assert isinstance(marginal, AdaptiveHermite)
    points = fit.fitted.model.space.constrain(_coordinates(fit))[0]
    with np.errstate(divide="ignore"):
        exact = [
            _slopes_by_brute_force(points.coefficients[:, k], points.effect_root[:, :, k])
            for k in range(points.n_nodes)
        ]
    np.testing.assert_allclose(marginal.log_likelihood(points), exact, rtol=0, atol=1e-3)
    np.testing.assert_allclose(replace(marginal, order=41).log_likelihood(points), exact, rtol=0, atol=1e-6)
    _check_gradient(fit, replace(marginal, order=31))


_ROWS = 10
_BATCH = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
_CASK = np.array([0, 0, 1, 1, 2, 2, 3, 4, 5, 5])
_COUNTS = np.array([2, 4, 1, 0, 9, 6, 12, 3, 2, 5])
_NESTED_PRIORS = {"Intercept": "Normal(0, 2)", "sd(a)": "HalfNormal(1)", "sd(b)": "HalfNormal(1)"}


@pytest.fixture(scope="module")
def nested() -> Posterior:
    fit = pp.fit(
        "y ~ 1 + (1 | a) + (1 | b)", {"y": _COUNTS, "a": _BATCH, "b": _CASK}, family="poisson", priors=_NESTED_PRIORS
    )
    assert isinstance(fit, Posterior)
    return fit


def _log_poisson(grid: FloatArray) -> FloatArray:
    return stats.poisson.logpmf(_COUNTS[:, None], np.exp(grid))


def test_nested_posterior(nested: Posterior) -> None:
    grid = np.linspace(-8.0, 8.0, 301)
    brute = NestedBrute(_log_poisson(grid), _CASK, np.array([0, 0, 1, 1, 2, 2]), grid, 2.0, 1.0).integrate()
    table = nested.summary(effects=True)
    for name, mean in brute.mean.items():
        assert abs(table.loc[name, "mean"] - mean) < 0.02 * brute.sd[name], name
        assert table.loc[name, "sd"] == pytest.approx(brute.sd[name], rel=0.02), name
    assert nested.log_marginal_likelihood == pytest.approx(brute.log_marginal_likelihood, abs=0.01)
    draws = nested.draws(4000, seed=2)
    for name, mean in brute.mean.items():
        assert abs(np.mean(draws[name]) - mean) < 4.5 * brute.sd[name] / np.sqrt(4000), name


def _check_gradient(fit: Posterior, marginal: LatentMarginal) -> None:
    space, coordinates, step = fit.fitted.model.space, _coordinates(fit), 1e-4
    points = space.constrain(coordinates)[0]
    found = pull_back(space, coordinates, points, marginal.value_and_gradient(points)[1])
    for k in range(space.dimension):
        ends = [
            marginal.log_likelihood(space.constrain(coordinates + sign * step * np.eye(space.dimension)[k])[0])
            for sign in (1, -1)
        ]
        np.testing.assert_allclose(found[:, k], (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-5)


def _model(formula: str, data: dict[str, Any], priors: dict[str, str]) -> LatentModel:
    """Return a Poisson model without fitting it."""
    parsed = parse_formula(formula)
    design = build_design(parsed, read_observations(data, parsed, family="poisson"))
    return build_latent_model(design, read_family("poisson"), read_population("normal"), priors, "partial")


def _nested_points(model: LatentModel) -> tuple[HyperPoints, list[list[float]]]:
    """Return points, and of each the sds from the finest factor to the coarsest."""
    start = model.space.starts()[3]
    coordinates = start + 0.4 * np.random.default_rng(4).standard_normal((4, len(start)))
    points = model.space.constrain(coordinates)[0]
    finest_first = sorted(range(len(model.groups)), key=lambda k: -model.groups[k].n_levels)
    sds = [[float(points.effect_root[k, k, node]) for k in finest_first] for node in range(points.n_nodes)]
    return points, sds


def test_two_nested_levels(nested: Posterior) -> None:
    points, sds = _nested_points(nested.fitted.model)
    grid = np.linspace(-14.0, 14.0, 1801)
    marginal = nested.fitted.latent
    assert isinstance(marginal, NestedHermite)
    exact = [
        log_likelihood(_log_poisson(grid), [_CASK, _BATCH], grid, sds[k], points.coefficients[0, k]) for k in range(4)
    ]
    np.testing.assert_allclose(marginal.log_likelihood(points), exact, rtol=0, atol=1e-3)
    np.testing.assert_allclose(replace(marginal, order=31).log_likelihood(points), exact, rtol=0, atol=1e-6)
    _check_gradient(nested, replace(marginal, order=21))


def test_three_nested_levels() -> None:
    data = {"y": _COUNTS, "a": _BATCH, "b": _CASK, "obs": np.arange(_ROWS)}
    model = _model("y ~ 1 + (1 | a) + (1 | b) + (1 | obs)", data, {**_NESTED_PRIORS, "sd(obs)": "HalfNormal(0.5)"})
    marginal = _build_nested(model)
    points, sds = _nested_points(model)
    grid = np.linspace(-14.0, 14.0, 1801)
    exact = [
        log_likelihood(_log_poisson(grid), [data["obs"], _CASK, _BATCH], grid, sds[k], points.coefficients[0, k])
        for k in range(4)
    ]
    np.testing.assert_allclose(replace(marginal, order=21).log_likelihood(points), exact, rtol=0, atol=1e-5)


def test_modes_are_found_after_a_step_that_overshot() -> None:
    """A first step to modes far away is taken back; what it had found of the levels below must go with it. With an
    inner sd of nearly zero the outer factor alone is left."""
    rng = np.random.default_rng(3)
    s, c = np.repeat(np.arange(8), 6), np.repeat(np.arange(24), 2)
    data = {"y": rng.poisson(np.exp(rng.normal(3.0, 1.5, 8)[s])), "a": s, "b": c}
    model = _model("y ~ 1 + (1 | a/b)", data, {})
    marginal = replace(_build_nested(model), order=13)
    inner = np.array([1e-8, 1e-6, 1e-4, 1e-3, 3e-3, 0.02])
    n = len(inner)
    root = np.zeros((2, 2, n))
    root[0, 0], root[1, 1] = 3.0, inner
    points = HyperPoints(root, np.ones(n), np.full((1, n), 1.0), None, None)
    found = marginal.log_likelihood(points)
    alone = [marginal.log_likelihood(points.select(np.array([k])))[0] for k in range(n)]
    np.testing.assert_allclose(found, alone, rtol=0, atol=1e-4)
    values = np.linspace(-14.0, 14.0, 40_001)
    log_prior = stats.norm.logpdf(values, 0.0, 3.0) + np.log(values[1] - values[0])
    exact = sum(
        logsumexp(log_prior + stats.poisson.logpmf(data["y"][s == k][:, None], np.exp(1.0 + values)).sum(axis=0))
        for k in range(8)
    )
    np.testing.assert_allclose(found[:4], exact, rtol=0, atol=2e-3)
    assert np.all(np.diff(found[2:]) < 0.0)
    slopes = marginal.value_and_gradient(points)[1]
    assert np.all(np.isfinite(slopes.root))
    assert np.abs(slopes.root[1, 1, :4]).max() < 0.01


def test_quantiles_from_fewer_nodes_meet_all_points_above(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every so many columns would be the same point of the rule above at every node, its outermost."""
    data = {"y": _COUNTS[:7], "a": _BATCH[:7], "b": _CASK[:7]}
    given = _NESTED_PRIORS | {"Intercept": "Fixed(1)", "sd(a)": "Fixed(0.5)"}
    fit = pp.fit("y ~ 1 + (1 | a) + (1 | b)", data, family="poisson", priors=given, accuracy=0.1)
    assert isinstance(fit, Posterior)
    assert isinstance(fit.fitted.latent, NestedHermite)
    columns = fit.fitted.hyper.points.n_nodes * fit.fitted.latent.order
    shapes = "partialpool.results.latent.effects._SHAPE_NODES"
    monkeypatch.setattr(shapes, columns)
    every = fit.groups("b")
    monkeypatch.setattr(shapes, -(-columns // (2 * fit.fitted.latent.order)))
    fewer = fit.groups("b")
    for column in ("q5", "q95"):
        assert np.abs((fewer[column] - every[column]) / every["sd"]).max() < 0.05

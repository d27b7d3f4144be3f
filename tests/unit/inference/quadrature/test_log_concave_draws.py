"""Draws by rejection against the conditional densities that tables hold, extreme rows included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

import partialpool as pp
from partialpool.errors import ComputationError
from partialpool.inference.contract import ConditionalTables
from partialpool.inference.quadrature import log_concave_draws, table_draws
from partialpool.inference.quadrature.adaptive_hermite import AdaptiveHermite
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.posterior import Posterior

N_DRAWS = 20_000
FloatArray = NDArray[np.float64]
# Kolmogorov's distance that one sample in ten thousand exceeds, and effects a tenth too wide exceed in most.
FURTHEST = 2.23 / np.sqrt(N_DRAWS)

_X = np.linspace(-1.0, 1.0, 12)
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "all fail, all succeed, most": (
        "y ~ 1 + (1 | g)",
        {"g": list("abcd"), "y": [0, 50, 999_000, 3], "n": [40, 50, 1_000_000, 7]},
        {"family": "binomial", "trials": "n"},
    ),
    "cloglog": (
        "y ~ 1 + (1 | g)",
        {"g": list("abcd"), "y": [0, 5, 3, 9], "n": [40, 5, 10, 10]},
        {"family": "binomial", "trials": "n", "link": "cloglog"},
    ),
    "no count, a million": (
        "y ~ 1 + (1 | g)",
        {"g": list("aabcd"), "y": [0, 0, 1_000_000, 3, 12], "t": [1.0, 2.0, 900.0, 0.1, 1.0]},
        {"family": "poisson", "exposure": "t"},
    ),
    "one slope": (
        "y ~ x + (0 + x | g)",
        {"g": np.repeat(list("abcd"), 3), "x": _X, "y": [0, 1, 4, 2, 0, 0, 9, 3, 1, 0, 2, 8]},
        {"family": "negative_binomial"},
    ),
    "censored": (
        "y ~ 1 + (1 | g)",
        {"g": np.repeat(list("abcd"), 3), "y": _X + np.tile([0.0, 0.5, 3.0], 4), "c": ["none", "left", "right"] * 4},
        {"family": "gaussian", "censored": "c"},
    ),
}


def _fit(name: str) -> tuple[AdaptiveHermite, HyperPoints]:
    formula, data, options = CASES[name]
    fit = pp.fit(formula, data, accuracy=0.1, **options)
    assert isinstance(fit, Posterior)
    assert isinstance(fit.fitted.latent, AdaptiveHermite)
    points = fit.fitted.hyper.points
    return fit.fitted.latent, points.select(np.array([0, points.n_nodes // 2]))


def _accumulate(tables: ConditionalTables, group: int, node: int) -> tuple[FloatArray, FloatArray]:
    """Return values and the probability below each, from a spline through the logs of the tabulated density."""
    fine = np.linspace(tables.z[0], tables.z[-1], 40 * (len(tables.z) - 1) + 1)
    logs = np.log(np.maximum(tables.density[group, node], 1e-300))
    density = np.exp(CubicSpline(tables.z, logs)(fine))
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return tables.centre[group, node] + tables.scale[group, node] * fine, cumulative / cumulative[-1]


@pytest.mark.parametrize("name", CASES)
def test_draws_have_the_tables_distribution(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_draws, "draw_on_grid", None)  # not asked
    marginal, points = _fit(name)
    classes = marginal.class_of(0)
    tables = marginal.tables(points, 0, 0, classes)
    repeated = points.select(np.repeat(np.arange(2), N_DRAWS))
    draws = marginal.draw_effects(repeated, [np.arange(len(classes))], np.random.default_rng(8))[0][0]
    for node in range(2):
        ours = np.sort(draws[node * N_DRAWS : (node + 1) * N_DRAWS], axis=0)
        for group in range(len(classes)):
            values, cumulative = _accumulate(tables, group, node)
            expected = np.interp(ours[:, group], values, cumulative)
            distance = np.abs(expected - (np.arange(N_DRAWS) + 0.5) / N_DRAWS).max()
            assert distance < FURTHEST, (node, group)


def test_a_population_sd_of_zero_leaves_no_effect() -> None:
    marginal, points = _fit("no count, a million")
    none = points.select(np.zeros(50, dtype=np.intp))
    none = HyperPoints(0.0 * none.effect_root, none.residual_sd, none.coefficients, None, none.extras)
    drawn = marginal.draw_effects(none, [np.arange(4)], np.random.default_rng(1))[0]
    assert np.all(drawn == 0.0)


def test_what_is_never_accepted_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    marginal, points = _fit("cloglog")
    monkeypatch.setattr(log_concave_draws, "_log_density_at", lambda *at: np.full(len(at[1]), np.nan))
    with pytest.raises(ComputationError, match="could not be drawn"):
        marginal.draw_effects(points, [np.arange(4)], np.random.default_rng(1))


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + z + (x + z | g)"])
def test_several_effects_are_drawn_jointly(formula: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each effect and the sum of all against tables along that direction."""
    monkeypatch.setattr(table_draws, "draw_on_grid", None)  # not asked
    rng = np.random.default_rng(5)
    x, z = rng.normal(size=(2, 20))
    data = {"y": rng.poisson(np.exp(0.5 + x)), "x": x, "z": z, "g": np.repeat(list("abcd"), [1, 4, 6, 9])}
    names = ("Intercept", "x", "z") if "z" in formula else ("Intercept", "x")
    priors = {f"sd(g, {name})": f"Fixed({0.4 + 0.2 * k})" for k, name in enumerate(names)}
    priors |= {"Intercept": "Fixed(0.5)", "x": "Fixed(1)", "z": "Fixed(0.1)", "cor": "Fixed(0.4)"}
    if "z" not in formula:
        del priors["z"]
    fit = pp.fit(formula, data, family="poisson", priors=priors)
    assert isinstance(fit, Posterior)
    marginal = fit.fitted.latent
    assert isinstance(marginal, AdaptiveHermite)
    point = fit.fitted.hyper.points.select(np.array([int(np.argmax(fit.fitted.hyper.weights))]))
    repeated = point.select(np.zeros(N_DRAWS, dtype=np.intp))
    drawn = marginal.draw_effects(repeated, [np.arange(4)], np.random.default_rng(7))[0]
    with np.errstate(all="ignore"):
        rows = marginal.rows.take_classes(marginal.class_of(0))
        for direction in [*np.eye(len(drawn)), np.ones(len(drawn))]:
            tables = marginal._tables_along(rows, point, direction)
            for group in range(4):
                values, cumulative = _accumulate(tables, group, 0)
                ours = np.sort(direction @ drawn[:, :, group])
                expected = np.interp(ours, values, cumulative)
                distance = np.abs(expected - (np.arange(N_DRAWS) + 0.5) / N_DRAWS).max()
                assert distance < FURTHEST, (direction, group)

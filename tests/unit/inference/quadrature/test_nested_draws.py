"""Joint draws of nested effects against the tables of each level, by rejection and from grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.inference.quadrature import nested_draws
from partialpool.inference.quadrature.nested_hermite import NestedHermite
from partialpool.posterior import Posterior

N_DRAWS = 20_000
_BATCH = np.repeat(["a", "b", "c"], [4, 2, 3])
_CASK = np.array([1, 1, 2, 3, 4, 4, 5, 6, 7])
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "poisson": ({"y": [0, 0, 1, 30, 2, 5, 0, 0, 1000]}, {"family": "poisson"}, True),
    "binomial": ({"y": [0, 3, 1, 9, 9, 2, 0, 9, 40], "n": [9] * 8 + [50]}, {"family": "binomial", "trials": "n"}, True),
    "beta-binomial": (
        {"y": [2, 3, 1, 5, 4, 2, 3, 6, 8], "n": [9] * 9},
        {"family": "beta_binomial", "trials": "n", "priors": {"sd(batch)": "HalfNormal(0.7)"}},
        False,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_draws_have_the_tables_moments(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    columns, options, by_rejection = CASES[name]
    monkeypatch.setattr(nested_draws, "draw_on_grid" if by_rejection else "find_envelope", None)  # not asked
    data = {**columns, "batch": _BATCH, "cask": _CASK}
    fit = pp.fit("y ~ 1 + (1 | batch/cask)", data, accuracy=0.1, **options)
    assert isinstance(fit, Posterior)
    marginal = fit.fitted.latent
    assert isinstance(marginal, NestedHermite)
    assert fit.fitted.model.family.concave is by_rejection
    point = fit.fitted.hyper.points.select(np.array([int(np.argmax(fit.fitted.hyper.weights))]))
    every = [np.arange(group.n_levels) for group in fit.fitted.model.groups]
    n_draws = N_DRAWS if by_rejection else 2000  # grids take longer
    repeated = point.select(np.zeros(n_draws, dtype=np.intp))
    drawn = marginal.draw_effects(repeated, every, np.random.default_rng(4))
    for factor, levels in enumerate(every):
        tables = marginal.tables(point, factor, 0, marginal.class_of(factor)[levels])
        density = tables.density * tables.shares(np.ones(1))[..., None]
        for group in range(len(levels)):
            values, weights = tables.values[group].ravel(), density[group].ravel()
            mean = weights @ values
            sd = np.sqrt(weights @ (values - mean) ** 2)
            draws = drawn[factor][0][:, group]
            assert abs(draws.mean() - mean) < 4 * sd / np.sqrt(n_draws), (factor, group)
            kurtosis = np.mean(((draws - mean) / sd) ** 4)
            assert abs(draws.var() / sd**2 - 1.0) < 4 * np.sqrt(kurtosis / n_draws), (factor, group)


def test_draws_are_joint() -> None:
    """What the casks of a batch have in common is the batch's: their sum varies less than either alone says."""
    rng = np.random.default_rng(2)
    data = {"y": rng.poisson(np.repeat(np.exp(rng.normal(1.0, 0.7, 12)), 3)), "s": np.repeat(np.arange(12), 3)}
    fit = pp.fit("y ~ 1 + (1 | s) + (1 | obs)", {**data, "obs": np.arange(36)}, family="poisson", accuracy=0.1)
    draws = fit.draws(4000, seed=1)
    own = draws["u[s=0]"], np.mean([draws[f"u[obs={k}]"] for k in range(3)], axis=0)
    assert np.corrcoef(*own)[0, 1] < -0.1
    assert np.std(own[0] + own[1]) < np.hypot(np.std(own[0]), np.std(own[1]))

"""Maximum likelihood by adaptive quadrature against lme4 (1.1-31, glmer with nAGQ = 25) on simulated rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp


def _simulate() -> dict[str, Any]:
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(40), 5)
    x, n = rng.standard_normal(200), rng.integers(1, 8, 200)
    effect = 0.8 * rng.standard_normal(40)
    y = rng.binomial(n, 1 / (1 + np.exp(-(-1 + 0.5 * x + effect[group]))))
    return {"y": y, "n": n, "x": x, "g": group, "c": rng.poisson(np.exp(0.3 + 0.4 * x + effect[group]))}


@pytest.mark.parametrize(
    ("formula", "likelihood", "expected"),
    [
        ("y ~ x + (1 | g)", {"family": "binomial", "trials": "n"}, (-1.12722420, 0.36258712, 0.59781791)),
        ("c ~ x + (1 | g)", {"family": "poisson"}, (0.25015777, 0.41114277, 0.64532006)),
    ],
)
def test_glmer_with_many_points_finds_the_same_maximum(
    formula: str, likelihood: dict[str, Any], expected: tuple[float, float, float]
) -> None:
    fit = pp.fit(formula, _simulate(), method="empirical_bayes", **likelihood)
    assert fit.summary()["mean"].to_numpy() == pytest.approx(expected, rel=1e-4)

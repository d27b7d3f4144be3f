"""The weight of `groups()`: the part of the population's variance that a group's own rows take away."""

from __future__ import annotations

import numpy as np
import pytest

import partialpool as pp

N_GROUPS = 7
TAU, SLOPE_SD, COR, SIGMA = 0.8, 0.3, -0.4, 0.7
KNOWN = {
    "sd(g, Intercept)": pp.Fixed(TAU),
    "sd(g, x)": pp.Fixed(SLOPE_SD),
    "cor(g, Intercept, x)": pp.Fixed(COR),
    "sigma": pp.Fixed(SIGMA),
}


def _simulate() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(N_GROUPS), np.arange(2, 2 + N_GROUPS))
    x = rng.standard_normal(len(g))
    own = rng.standard_normal((2, N_GROUPS))
    y = 1.0 + 0.5 * x + TAU * own[0, g] + SLOPE_SD * own[1, g] * x + SIGMA * rng.standard_normal(len(g))
    return {"g": g, "x": x, "y": y, "positive": np.exp(y)}


DATA = _simulate()


def _weights(fit: pp.Posterior, coefficient: str) -> np.ndarray:
    return fit.groups()["weight"].xs(coefficient, level="coefficient").to_numpy()


def _by_rows(x: np.ndarray) -> np.ndarray:
    """Return 1 - var(u | rows) / var(u) of intercept and slope of each group, (effect, group), row by row."""
    covariance = np.array([[TAU**2, COR * TAU * SLOPE_SD], [COR * TAU * SLOPE_SD, SLOPE_SD**2]])
    weights = []
    for group in range(N_GROUPS):
        z = np.column_stack([np.ones(np.sum(DATA["g"] == group)), x[DATA["g"] == group]])
        gain = covariance @ z.T @ np.linalg.inv(z @ covariance @ z.T + SIGMA**2 * np.eye(len(z)))
        weights.append(np.diag(gain @ z @ covariance) / np.diag(covariance))
    return np.array(weights).T


@pytest.mark.parametrize("shift", [0.0, 40.0])
def test_known_variances(shift: float) -> None:
    x = DATA["x"] + shift
    fit = pp.fit("y ~ x + (x | g)", {**DATA, "x": x}, priors=KNOWN)
    for k, name in enumerate(("Intercept", "x")):
        np.testing.assert_allclose(_weights(fit, name), _by_rows(x)[k], rtol=1e-9)


@pytest.mark.parametrize(("formula", "sd"), [("y ~ 1 + (1 | g)", "sd(g)"), ("y ~ x + (0 + x | g)", "sd(g, x)")])
def test_one_effect_has_the_textbook_weight(formula: str, sd: str) -> None:
    fit = pp.fit(formula, DATA, priors={sd: pp.Fixed(TAU), "sigma": pp.Fixed(SIGMA)})
    own = np.bincount(DATA["g"], DATA["x"] ** 2 if "0 +" in formula else None) * TAU**2
    np.testing.assert_allclose(fit.groups()["weight"], own / (own + SIGMA**2), rtol=1e-12)


def test_a_population_without_variance_decides_alone() -> None:
    fit = pp.fit("y ~ x + (x | g)", DATA, priors={**KNOWN, "sd(g, x)": pp.Fixed(0.0)})
    assert np.all(_weights(fit, "x") == 0.0)
    assert np.all(_weights(fit, "Intercept") > 0.5)


@pytest.mark.parametrize("shift", [-3.0, 1990.0])
def test_the_slopes_weight_does_not_know_the_origin(shift: float) -> None:
    near = pp.fit("y ~ x + (x | g)", DATA, accuracy=0.1)
    far = pp.fit("y ~ x + (x | g)", {**DATA, "x": DATA["x"] + shift}, accuracy=0.1)
    np.testing.assert_allclose(_weights(far, "x"), _weights(near, "x"), rtol=1e-6)
    for fit in (near, far):
        assert fit.groups()["weight"].between(0.0, 1.0).all()
    np.testing.assert_array_equal(far.pooling()["weight"], far.groups()["weight"])


@pytest.mark.parametrize("shift", [0.0, 8.0])
def test_other_likelihoods_weigh_alike(shift: float) -> None:
    """Log-normal times are Gaussian in their logs, and leave by quadrature."""
    data = {**DATA, "x": DATA["x"] + shift}
    own = pp.fit("y ~ x + (x | g)", data, priors=KNOWN).groups()["weight"]
    other = pp.fit("positive ~ x + (x | g)", data, priors=KNOWN, family="lognormal").groups()["weight"]
    np.testing.assert_allclose(own, other, rtol=1e-5)

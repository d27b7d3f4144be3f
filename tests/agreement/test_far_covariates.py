"""Posteriors of models whose covariate lies far from zero, against dense grids in coordinates of their own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_expit

import partialpool as pp
from partialpool.inference.gaussian.gradient import value_and_gradient
from partialpool.models.space.hyper_gradient import pull_back


def _binary_rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(6), 5), rng.standard_normal(30)
    u = rng.standard_normal(6)
    return x, (rng.random(30) < 1 / (1 + np.exp(-u[g] - 0.3 * x))).astype(int)


def _grid_slope(x: np.ndarray, y: np.ndarray, log_prior) -> tuple[float, float]:
    """Return mean and sd of the slope from a grid over the value at the mean and the slope; ``log_prior`` takes the
    value at zero, that at the mean, and the slope."""
    level, slope = np.linspace(-4, 4, 301)[:, None], np.linspace(-3, 3, 451)[None]
    mean = x.mean()
    log = log_prior(level - mean * slope, level, slope)
    for value, outcome in zip(x - mean, y, strict=True):
        eta = level + value * slope
        log = log + log_expit(eta if outcome else -eta)
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    first = float((weights * slope).sum())
    return first, float(np.sqrt((weights * (slope - first) ** 2).sum()))


@pytest.mark.parametrize("offset", [0.0, 500.0, 1e4])
def test_a_logistic_slope_under_the_defaults(offset: float) -> None:
    x, y = _binary_rows()
    fit = pp.fit("y ~ x", {"y": y, "x": x + offset}, family="bernoulli")
    location, width = fit.fitted.model.priors["Intercept"].mu, fit.fitted.model.priors["Intercept"].sigma
    sd = fit.fitted.model.priors["x"].sigma
    expected = _grid_slope(
        x, y, lambda zero, mean, slope: -0.5 * ((mean - location) / width) ** 2 - 0.5 * (slope / sd) ** 2
    )
    found = fit.summary().loc["x", ["mean", "sd"]]
    np.testing.assert_allclose(found, expected, rtol=3e-3)
    np.testing.assert_allclose(found, [0.286, 0.357], atol=1e-3)


@pytest.mark.parametrize("offset", [3.0, 50.0, 2000.0])
def test_a_prior_stated_at_a_far_zero(offset: float) -> None:
    """A narrow prior on the value at a far zero holds the slope down: a ridge that the coordinates do not follow."""
    x, y = _binary_rows()
    priors = {"Intercept": "Normal(0, 2.5)", "x": "Normal(0, 1)"}
    fit = pp.fit("y ~ x", {"y": y, "x": x + offset}, family="bernoulli", priors=priors)
    level = np.linspace(-4, 4, 501)[:, None]
    sd = 2.5 / (offset + x.mean())
    slope = level / (offset + x.mean()) + np.linspace(-8, 8, 401)[None] * min(sd, 0.4)
    log = -0.5 * ((level - (offset + x.mean()) * slope) / 2.5) ** 2 - 0.5 * slope**2
    for value, outcome in zip(x - x.mean(), y, strict=True):
        eta = level + value * slope
        log = log + log_expit(eta if outcome else -eta)
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    mean = float((weights * slope).sum())
    spread = float(np.sqrt((weights * (slope - mean) ** 2).sum()))
    found = fit.summary().loc["x"]
    assert abs(found["mean"] - mean) < 0.02 * spread
    assert found["sd"] == pytest.approx(spread, rel=0.02)


def test_a_default_intercept_beside_a_bounded_slope() -> None:
    """The slope is sampled and the intercept integrated, whose prior at the mean depends on the slope at each node."""
    rng = np.random.default_rng(4)
    x = 30 + rng.standard_normal(12)
    y = 1 + 0.5 * x + rng.standard_normal(12)
    fit = pp.fit("y ~ x", {"y": y, "x": x}, standard_error=np.ones(12), priors={"x": "Uniform(0, 0.6)"})
    prior = fit.fitted.model.priors["Intercept"]
    slope = np.linspace(0, 0.6, 4001)
    # given the slope the value at the mean is normal: its prior times the rows' likelihood, integrated
    left = y[:, None] - (x - x.mean())[:, None] * slope
    precision = 12 + prior.sigma**-2
    pulled = left.sum(axis=0) + prior.mu / prior.sigma**2
    log = -0.5 * (left**2).sum(axis=0) + 0.5 * pulled**2 / precision
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    mean = float(weights @ slope)
    np.testing.assert_allclose(fit.summary().loc["x", "mean"], mean, atol=2e-4)
    np.testing.assert_allclose(fit.summary().loc["x", "sd"], np.sqrt(weights @ (slope - mean) ** 2), rtol=2e-3)
    coordinates = np.linspace(-1.0, 1.0, 5)[:, None]
    points = fit.fitted.model.space.constrain(coordinates)[0]
    gradient = pull_back(
        fit.fitted.model.space, coordinates, points, value_and_gradient(fit.fitted.marginal, points)[1]
    )
    up, down = (
        fit.fitted.marginal.log_likelihood(fit.fitted.model.space.constrain(coordinates + step)[0])
        for step in (1e-5, -1e-5)
    )
    np.testing.assert_allclose(gradient[:, 0], (up - down) / 2e-5, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("origin", [0.0, 1990.0])
def test_poisson_rows_of_years_with_groups(origin: float) -> None:
    """Sixteen such fits over four years were refused, eleven of them, where years counted from 0."""
    rng = np.random.default_rng(11)
    g, year = np.repeat(np.arange(6), 5), np.tile(np.arange(5.0), 6)
    y = rng.poisson(np.exp(0.3 * rng.standard_normal(6)[g] + 0.1 * (year - 2)))
    fit = pp.fit("y ~ year + (1 | g)", {"y": y, "year": year + origin, "g": g}, family="poisson", accuracy=0.05)
    expected = _poisson_grid(g, year - 2.0, y, fit)
    np.testing.assert_allclose(fit.summary().loc["year", ["mean", "sd"]], expected, rtol=0.03, atol=2e-3)


def _poisson_grid(g: np.ndarray, x: np.ndarray, y: np.ndarray, fit) -> tuple[float, float]:
    """Return mean and sd of the slope by a grid over level, slope and sd, groups by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)
    level = np.linspace(-1.5, 1.5, 41)[:, None, None, None]
    slope = np.linspace(-0.35, 0.55, 61)[None, :, None, None]
    sd = np.linspace(0.01, 2.0, 41)[None, None, :, None]
    prior = fit.fitted.model.priors
    log = (
        -0.5 * ((level - prior["Intercept"].mu) / prior["Intercept"].sigma) ** 2
        - 0.5 * (slope / prior["year"].sigma) ** 2
    )
    log = (log + prior["sd(g)"].log_density(sd))[..., 0]
    for group in range(6):
        terms = 0.0
        for value, count in zip(x[g == group], y[g == group], strict=True):
            eta = level + value * slope + sd * nodes
            terms = terms + count * eta - np.exp(eta)
        log = log + np.log((np.exp(terms) * weights).sum(axis=-1))
    share = np.exp(log - log.max())
    share /= share.sum()
    own = slope[..., 0]
    mean = float((share * own).sum())
    return mean, float(np.sqrt((share * (own - mean) ** 2).sum()))


@pytest.mark.parametrize("origin", [100.0, 1990.0, 1e5])
def test_a_common_slope_of_groups_without_pooling(origin: float) -> None:
    """Groups' own intercepts under a wide prior leave, of Poisson counts, the multinomial likelihood of the slope."""
    rng = np.random.default_rng(6)
    g, x = np.repeat(np.arange(5), 6), rng.standard_normal(30)
    y = 1 + rng.poisson(np.exp(0.4 * x))
    rows = {"y": y, "x": x + origin, "g": g}
    priors = {"Intercept": "Normal(0, 1e6)", "x": "Normal(0, 1)"}
    fit = pp.fit("y ~ x + (1 | g)", rows, family="poisson", pooling="none", priors=priors, accuracy=0.03)
    slope = np.linspace(-1.5, 2.0, 2001)
    log = -0.5 * slope**2
    for own in range(5):
        log += y[g == own] @ np.outer(x[g == own], slope)
        log -= y[g == own].sum() * np.log(np.exp(np.outer(x[g == own], slope)).sum(axis=0))
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    mean = float(weights @ slope)
    spread = float(np.sqrt(weights @ (slope - mean) ** 2))
    found = fit.summary().loc["x"]
    assert abs(found["mean"] - mean) < 0.02 * spread
    assert found["sd"] == pytest.approx(spread, rel=0.02)

"""Many rows and many groups, where nodes are thinned and groups come in pieces, against vectorised quadrature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp, ndtr

import partialpool as pp


@pytest.mark.parametrize("distinct", [True, False])
def test_many_groups_with_known_errors(distinct: bool) -> None:
    """20,000 groups, all designs distinct or only ten of them: one sd by quadrature, everything else conjugate."""
    rng = np.random.default_rng(2)
    n = 20_000
    se = rng.uniform(0.5, 2.0, n) if distinct else rng.choice(np.linspace(0.5, 2.0, 10), n)
    y = 3.0 + 0.7 * rng.normal(size=n) + se * rng.normal(size=n)
    fit: Any = pp.fit(
        "y ~ 1 + (1 | g)",
        {"y": y, "se": se, "g": np.arange(n)},
        standard_error="se",
        priors={"Intercept": "Normal(0, 10)", "sd": "HalfNormal(1)"},
    )
    points, weights = np.polynomial.legendre.leggauss(60)
    tau = 0.7 + 0.12 * points
    total = tau[:, None] ** 2 + se**2
    precision = (1 / total).sum(axis=1) + 0.01
    mean = (y / total).sum(axis=1) / precision
    log_density = -0.5 * (
        np.log(2 * np.pi * total).sum(axis=1)
        + (y * y / total).sum(axis=1)
        - precision * mean**2
        + np.log(precision)
        + np.log(100.0)
    )
    log_density += pp.HalfNormal(1).log_density(tau) + np.log(0.12 * weights)
    log_integral = logsumexp(log_density)
    assert fit.log_marginal_likelihood == pytest.approx(log_integral, abs=1e-5)
    node = np.exp(log_density - log_integral)
    table = fit.summary()
    for name, values, spread in (("sd(g)", tau, 0.0), ("Intercept", mean, 1 / precision)):
        centre = node @ values
        sd = np.sqrt(node @ (spread + (values - centre) ** 2))
        assert abs(table["mean"][name] - centre) < 1e-4 * sd
        assert abs(table["sd"][name] / sd - 1) < 1e-4
    some = np.array([0, 1, 777, 12_345, n - 1])
    kappa = tau[:, None] ** 2 / total[:, some]
    theta = kappa * y[some] + (1 - kappa) * mean[:, None]
    variance = kappa * se[some] ** 2 + (1 - kappa) ** 2 / precision[:, None]
    groups = fit.groups(quantiles=(0.05, 0.95)).iloc[some]
    centre = node @ theta
    sd = np.sqrt(node @ (variance + (theta - centre) ** 2))
    assert np.all(np.abs(groups["mean"] - centre) < 1e-3 * sd)
    assert np.all(np.abs(groups["sd"] / sd - 1) < 1e-3)
    assert np.allclose(groups["weight"], node @ kappa, rtol=1e-3)
    for name, probability in (("q5", 0.05), ("q95", 0.95)):
        below = node @ ndtr((groups[name].to_numpy() - theta) / np.sqrt(variance))
        assert np.allclose(below, probability, atol=1e-3)


def test_many_rows_are_their_summaries() -> None:
    """300,000 rows in 3,000 groups of 50 sizes, far from zero, against their means, sds and sizes."""
    rng = np.random.default_rng(4)
    sizes = rng.integers(1, 51, 3_000) * 4
    g = np.repeat(np.arange(3_000), sizes)
    y = 1e6 + 2.0 * rng.normal(size=3_000)[g] + 5.0 * rng.normal(size=len(g))
    centred = y - 1e6
    means = np.bincount(g, centred) / sizes
    sds = np.sqrt(np.bincount(g, (centred - means[g]) ** 2) / (sizes - 1))
    summaries = {"y": 1e6 + means, "n": sizes, "s": sds, "g": np.arange(3_000)}
    priors = {"Intercept": "Normal(1e6, 100)", "sd": "HalfNormal(5)", "sigma": "HalfNormal(10)"}
    rows: Any = pp.fit("y ~ 1 + (1 | g)", {"y": y, "g": g}, priors=priors)
    short: Any = pp.fit("y ~ 1 + (1 | g)", summaries, size="n", sd="s", priors=priors)
    assert rows.fitted.marginal.cross.n_classes == 50
    assert rows.log_marginal_likelihood == pytest.approx(short.log_marginal_likelihood, rel=1e-9)
    ours, expected = rows.summary(), short.summary()
    assert np.all(np.abs(ours["mean"] - expected["mean"]) < 1e-6 * expected["sd"])
    assert np.allclose(ours["sd"], expected["sd"], rtol=1e-6)
    assert abs(ours["mean"]["sd(g)"] - 2.0) < 0.15
    assert abs(ours["mean"]["sigma"] - 5.0) < 0.05


def test_slopes_in_many_groups() -> None:
    """2,000 groups with correlated slopes: the truth is covered and the effects' errors are what their sds say."""
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(2_000), rng.integers(3, 12, 2_000))
    x = rng.normal(4.0, 1.0, len(g))
    root = np.array([[1.5, 0.0], [-0.3, 0.4]])
    u = root @ rng.normal(size=(2, 2_000))
    y = 2.0 + 0.5 * x + u[0, g] + u[1, g] * x + rng.normal(size=len(g))
    fit: Any = pp.fit("y ~ x + (x | g)", {"y": y, "x": x, "g": g})
    table = fit.summary()
    truth = {"Intercept": 2.0, "x": 0.5, "sd(g, Intercept)": 1.5, "sd(g, x)": 0.5, "cor(g, Intercept, x)": -0.6}
    truth["sigma"] = 1.0
    for name, value in truth.items():
        assert abs(table["mean"][name] - value) < 4.5 * table["sd"][name], name
    groups = fit.groups()
    for effect, (own, coefficient) in {"Intercept": (u[0], 2.0), "x": (u[1], 0.5)}.items():
        lines = groups.xs(effect, level="coefficient")
        z = (own + coefficient - lines["mean"]) / lines["sd"]
        assert abs(np.mean(z**2) - 1) < 0.15
        covered = np.mean((lines["q5"] < own + coefficient) & (own + coefficient < lines["q95"]))
        assert abs(covered - 0.9) < 4.5 * np.sqrt(0.09 / 2_000)

"""Moments of the group-level sd: finite where quadrature finds them, infinite where the integral is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

import partialpool as pp

FLAT = {"sd(g)": "Flat()"}
THREE: dict[str, Any] = {"y": [9.0, 11.0, 10.0], "se": [0.8**0.5] * 3, "g": list("abc")}
SIX: dict[str, Any] = {
    "y": [1.0, 4.0, 2.0, 6.0, 3.0, 7.0],
    "se": [0.9] * 6,
    "g": list("abcdef"),
    "x1": [0.0, 1.0, 2.0, 4.0, 3.0, 7.0],
    "x2": [1.0, 0.0, 3.0, 1.0, 5.0, 2.0],
}


def likelihood(data: dict[str, Any], columns: np.ndarray, prior: np.ndarray, tau: float) -> float:
    """The density of y given tau, coefficients flat (precision 0 in ``prior``) or Normal(10, 1/precision) out."""
    y, variance = np.array(data["y"]), np.array(data["se"]) ** 2 + tau**2
    weighted = columns.T / variance
    inner = weighted @ columns + np.diag(prior)
    right = weighted @ y + prior * 10.0
    squares = y @ (y / variance) + 100.0 * prior.sum() - right @ np.linalg.solve(inner, right)
    return float(np.exp(-0.5 * (np.log(variance).sum() + np.linalg.slogdet(inner)[1] + squares)))


def mean_of_tau(data: dict[str, Any], columns: np.ndarray, prior: np.ndarray) -> float:
    def integral(order: int) -> float:
        def integrand(log_tau: float) -> float:
            tau = float(np.exp(log_tau))
            return tau ** (order + 1) * likelihood(data, columns, prior, tau)

        return sum(quad(integrand, low, high, epsrel=1e-10, limit=400)[0] for low, high in ((-20, 0), (0, 6), (6, 25)))

    return integral(1) / integral(0)


def table(data: dict[str, Any], formula: str, **priors: str) -> Any:
    return pp.fit(formula, data, standard_error="se", priors={**FLAT, **priors}).summary(effects=True)


def test_three_groups_and_a_proper_mean() -> None:
    lines = table(THREE, "y ~ 1 + (1 | g)", Intercept="Normal(10, 5)")
    expected = mean_of_tau(THREE, np.ones((3, 1)), np.array([1 / 25]))
    assert expected == pytest.approx(2.705, abs=2e-3)
    assert lines.loc["sd(g)", "mean"] == pytest.approx(expected, rel=3e-3)
    assert np.isnan(lines.loc["sd(g)", "sd"])
    assert np.isfinite(lines["sd"].drop("sd(g)")).all()


def test_three_groups_and_a_flat_mean() -> None:
    lines = table(THREE, "y ~ 1 + (1 | g)", Intercept="Flat()")
    assert np.isnan(lines.loc["sd(g)", "mean"])
    assert np.isnan(lines.loc["Intercept", "sd"])
    assert np.isnan(lines.loc["u[g=a]", "sd"])
    assert np.isfinite(lines.loc["theta[g=a]", "sd"])


def test_flat_columns_between_groups() -> None:
    columns = np.column_stack([np.ones(6), SIX["x1"]])
    lines = table(SIX, "y ~ x1 + (1 | g)", Intercept="Flat()", x1="Flat()")
    assert lines.loc["sd(g)", "mean"] == pytest.approx(mean_of_tau(SIX, columns, np.zeros(2)), rel=3e-3)
    assert np.isfinite(lines.loc[["sd(g)", "Intercept", "x1"], "sd"]).all()
    lines = table(SIX, "y ~ x1 + x2 + (1 | g)", Intercept="Flat()", x1="Flat()", x2="Flat()")
    assert np.isfinite(lines.loc["sd(g)", "mean"])  # like sd^-3
    assert lines.loc[["sd(g)", "Intercept", "x1", "x2"], "sd"].isna().all()
    five = {name: column[:5] for name, column in SIX.items()}
    lines = table(five, "y ~ x1 + x2 + (1 | g)", Intercept="Flat()", x1="Flat()", x2="Flat()")
    assert np.isnan(lines.loc["sd(g)", "mean"])
    lines = table(five, "y ~ x1 + x2 + (1 | g)", Intercept="Flat()", x1="Flat()", x2="Normal(0, 5)")
    assert np.isnan(lines.loc["x1", "sd"])
    assert np.isfinite(lines.loc["x2", "sd"])


def test_the_moments_of_sigma() -> None:
    flat = {"Intercept": "Flat()", "sigma": "Flat()"}
    lines = pp.fit("y ~ 1", {"y": [1.0, 2.0, 4.0]}, priors=flat).summary()
    assert np.isnan(lines.loc["sigma", "mean"])
    assert np.isnan(lines.loc["Intercept", "sd"])
    lines = pp.fit("y ~ 1", {"y": [1.0, 2.0, 4.0, 3.0, 5.0]}, priors=flat).summary()
    assert np.isfinite(lines["sd"]).all()

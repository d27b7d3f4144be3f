"""Empirical Bayes where the likelihood has no maximum: refused by name; estimates at an edge are said to be there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import DataError, IdentificationError

Y = np.array([1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 0, 1])
G = np.arange(20) // 4
Z = np.array([0] * 19 + [1])
F = np.array(["a", "b", "c", "d", "b"] * 4)
X = np.random.default_rng(1).standard_normal(20)


def fit(formula: str, y: Any, family: str, **more: Any) -> pp.Posterior:
    data = {"y": y, "z": Z, "f": F, "x": X, "g": G, **more.pop("data", {})}
    return pp.fit(formula, data, family=family, method="empirical_bayes", **more)


@pytest.mark.parametrize(
    ("formula", "y", "family", "named"),
    [
        ("y ~ z + (1 | g)", Y, "bernoulli", "z separates successes"),
        ("y ~ 1 + (1 | g)", 0 * Y + 1, "bernoulli", "every outcome is a success, which leaves Intercept"),
        ("y ~ 1 + (1 | g)", 0 * Y, "bernoulli", "every outcome is a failure, which leaves Intercept"),
        ("y ~ 1 + (1 | g)", 0 * Y, "poisson", "every count is 0, which leaves Intercept"),
        ("y ~ 1 + (1 | g)", 0 * Y, "negative_binomial", "every count is 0, which leaves Intercept"),
        ("y ~ x + (1 | g)", X > 0, "bernoulli", "x separates successes"),
        ("y ~ x + z + (1 | g)", np.where(Z == 1, 1, Y), "bernoulli", "z separates successes"),
        ("y ~ f + (1 | g)", np.where(F == "c", 1, Y), "bernoulli", r"f\[c\] separates successes"),
        ("y ~ f + (1 | g)", np.where(F == "c", 0, Y), "bernoulli", r"f\[c\] separates successes"),
        ("y ~ f + (1 | g)", np.where(F == "c", 0, Y + 1), "poisson", r"f\[c\] separates zero counts"),
        ("y ~ f + (1 | g)", np.where(F == "c", 0, Y + 1), "negative_binomial", r"f\[c\] separates zero counts"),
        ("y ~ 1 + (1 | g)", G % 2, "bernoulli", r"rises without end as sd\(g\) grows"),
        ("y ~ 1 + (1 | g/f)", 0 * Y, "poisson", "every count is 0, which leaves Intercept"),
    ],
)
def test_no_maximum(formula: str, y: Any, family: str, named: str) -> None:
    with pytest.raises(IdentificationError, match=named):
        fit(formula, y, family)


@pytest.mark.parametrize("population", ["exponential", "gamma", "nonparametric", "mixture(2)"])
def test_no_counts_under_other_populations(population: str) -> None:
    method = "auto" if population in ("nonparametric", "mixture(2)") else "empirical_bayes"
    with pytest.raises((IdentificationError, DataError), match=r"every count is 0"):
        pp.fit("y ~ 1 + (1 | g)", {"y": 0 * Y, "g": G}, family="poisson", population=population, method=method)


@pytest.mark.parametrize("family", ["gaussian", "lognormal", "exponential"])
def test_a_level_of_censored_rows(family: str) -> None:
    censored = np.where(F == "c", "right", "none")
    with pytest.raises(IdentificationError, match=r"f\[c\] separates censored rows"):
        fit("y ~ f + (1 | g)", np.exp(X), family, data={"c": censored}, censored="c")


def test_the_same_level_under_a_flat_prior() -> None:
    data = {"y": np.exp(X), "f": F, "g": G, "c": np.where(F == "c", "right", "none")}
    priors = {"f[c]": "Flat()"}
    with pytest.raises(IdentificationError, match=r"f\[c\] separates censored rows.*prior there is flat"):
        pp.fit("y ~ f + (1 | g)", data, family="exponential", censored="c", priors=priors)


def test_one_row_against_it_makes_a_maximum() -> None:
    """The likelihood there is no lower than beside it."""
    estimate = fit("y ~ 1 + (1 | g)", np.where(np.arange(20) == 3, 1 - G % 2, G % 2), "bernoulli")
    assert 0.5 < estimate.summary()["mean"]["sd(g)"] < 100.0


def test_a_correlation_at_its_edge() -> None:
    """Intercepts and slopes of groups are the same numbers, and the noise moves neither: each group's own estimates lie
    on a line, less than sampling would scatter them about it."""
    rng = np.random.default_rng(7)
    g, x = np.repeat(np.arange(8), 6), np.tile(np.arange(6.0) - 2.5, 8)
    u = np.array([-1.5, -1.0, -0.5, -0.2, 0.2, 0.5, 1.0, 1.5])[g]
    data = {
        "g": g,
        "x": x,
        "y": u + u * x + 0.3 * np.tile([1.0, -2.0, 1.0, 1.0, -2.0, 1.0], 8),
        "n": rng.poisson(np.exp(1 + u * (1 + x) / 2)),
    }
    for formula, family in (("y ~ x + (x | g)", "gaussian"), ("n ~ x + (x | g)", "poisson")):
        estimate = pp.fit(formula, data, family=family, method="empirical_bayes")
        at_edge = "cor(g, Intercept, x) is estimated at 1: an estimate, not a finding"
        assert estimate.summary()["mean"]["cor(g, Intercept, x)"] > 1 - 1e-6
        assert at_edge in " ".join(str(estimate).split())


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_an_sd_at_0(family: str) -> None:
    y = np.tile([3, 1, 2, 4, 2], 4)
    estimate = pp.fit(
        "y ~ 1 + (1 | g)", {"y": y, "g": np.repeat(np.arange(4), 5)}, family=family, method="empirical_bayes"
    )
    assert "sd(g) is estimated at 0: an estimate, not a finding" in estimate.engine.reason
    assert estimate.summary()["mean"]["sd(g)"] < 1e-4

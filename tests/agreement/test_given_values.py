"""Fits with given values against models without the parameter, dense quadrature, and priors that hold it fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import beta as beta_law
from scipy.stats import halfnorm, multivariate_normal, norm

import partialpool as pp

RNG = np.random.default_rng(5)
N = 48
A, B, C = np.repeat(np.arange(6), 8), np.tile(np.repeat(np.arange(2), 4), 6), RNG.integers(0, 4, N)
X = RNG.normal(size=N)
ETA = 0.3 + 0.5 * X + 0.5 * RNG.normal(size=6)[A]
DATA: dict[str, Any] = {
    "y": ETA + RNG.normal(size=N),
    "k": RNG.binomial(5, 1.0 / (1.0 + np.exp(-ETA))),
    "count": RNG.poisson(np.exp(ETA)),
    "x": X,
    "a": A,
    "b": B,
    "c": C,
}
COEFFICIENTS = {"Intercept": "Normal(0, 2)", "x": "Normal(0, 1)"}
ROWS = {**COEFFICIENTS, "sigma": "HalfNormal(2)"}
ONE = {"sd(a)": "HalfNormal(1)"}
NOISE = {"sigma": "HalfNormal(2)"}
BINOMIAL: dict[str, Any] = {"family": "binomial", "trials": 5}
# Two lattices, each accurate to 0.0158 posterior sds.
LATTICES = 2 * 0.0158


SLOPES = {"sd(a, Intercept)": "sd(a)"}


@pytest.mark.parametrize(
    ("formula", "given", "without", "priors", "renamed"),
    [
        ("y ~ x + (1 | a)", {**ROWS, "sd(a)": "Fixed(0)"}, "y ~ x", ROWS, {}),
        ("y ~ x + (1 | a/b)", {**ROWS, **ONE, "sd(a:b)": "Fixed(0)"}, "y ~ x + (1 | a)", {**ROWS, **ONE}, {}),
        (
            "y ~ x + (1 | a) + (1 | c)",
            {**ROWS, "sd": "HalfNormal(1)", "sd(c)": "Fixed(0)"},
            "y ~ x + (1 | a)",
            {**ROWS, **ONE},
            {},
        ),
        (
            "y ~ x + (x | a)",
            {**ROWS, "sd(a, Intercept)": "HalfNormal(1)", "sd(a, x)": "Fixed(0)"},
            "y ~ x + (1 | a)",
            {**ROWS, **ONE},
            SLOPES,
        ),
        (
            "y ~ x + (x | a)",
            {**ROWS, "sd": "HalfNormal(1)", "cor": "Fixed(0)"},
            "y ~ x + (x || a)",
            {**ROWS, "sd": "HalfNormal(1)"},
            {},
        ),
        ("y ~ x + (1 | a)", {**ROWS, **ONE, "x": "Fixed(0)"}, "y ~ 1 + (1 | a)", {**ROWS, **ONE}, {}),
        ("y ~ x + (1 | a)", {**ROWS, **ONE, "Intercept": "Fixed(0)"}, "y ~ 0 + x + (1 | a)", {**ROWS, **ONE}, {}),
    ],
)
def test_a_parameter_given_as_0_is_a_term_less(
    formula: str, given: dict[str, str], without: str, priors: dict[str, str], renamed: dict[str, str]
) -> None:
    there = {"x": " x" in without, "Intercept": "~ 0" not in without}
    own = {name: prior for name, prior in priors.items() if there.get(name, True)}
    fit, other = pp.fit(formula, DATA, priors=given), pp.fit(without, DATA, priors=own)
    table, expected = fit.summary().rename(index=renamed), other.summary()
    difference = (table.loc[expected.index] - expected).abs().max(axis=1) / expected["sd"]
    assert difference.max() < 1e-5
    assert fit.log_marginal_likelihood == pytest.approx(other.log_marginal_likelihood, abs=1e-6)


@pytest.mark.parametrize(
    ("formula", "given", "without", "priors", "roles", "people"),
    [
        ("k ~ x + (1 | a)", {"sd(a)": "Fixed(0)"}, "k ~ x", {}, BINOMIAL, {}),
        ("k ~ 1 + (1 | a)", {"sd(a)": "Fixed(0)"}, "k ~ 1", {}, BINOMIAL, {"population": "student_t"}),
        ("k ~ 1 + (1 | a)", {"sd(a)": "Fixed(0)"}, "k ~ 1", {}, BINOMIAL, {"population": "skew_normal"}),
        ("k ~ x + (1 | a/b)", {**ONE, "sd(a:b)": "Fixed(0)"}, "k ~ x + (1 | a)", ONE, BINOMIAL, {}),
        ("y ~ 1 + (1 | a)", {"sd(a)": "Fixed(0)", **NOISE}, "y ~ 1", NOISE, {"family": "student_t(nu=4)"}, {}),
    ],
)
def test_latent_models_with_a_term_less(
    formula: str,
    given: dict[str, str],
    without: str,
    priors: dict[str, str],
    roles: dict[str, Any],
    people: dict[str, Any],
) -> None:
    both = {name: COEFFICIENTS[name] for name in ("Intercept", "x") if name == "Intercept" or " x" in formula}
    fit = pp.fit(formula, DATA, priors={**both, **given}, **roles, **people)
    other = pp.fit(without, DATA, priors={**both, **priors}, **roles)
    expected = other.summary()[["mean", "sd"]]
    difference = (fit.summary().loc[expected.index, ["mean", "sd"]] - expected).abs().max(axis=1) / expected["sd"]
    assert difference.max() < LATTICES
    assert fit.log_marginal_likelihood == pytest.approx(other.log_marginal_likelihood, abs=0.01)


def _dense_log_likelihood(values: dict[str, float]) -> float:
    """log p(y) of y ~ x + (x | a) given everything but the effects, from the rows' covariance."""
    intercept, slope = values["sd(a, Intercept)"], values["sd(a, x)"]
    between = values["cor(a, Intercept, x)"] * intercept * slope
    same = A[:, None] == A
    covariance = intercept**2 + between * (X[:, None] + X) + slope**2 * np.outer(X, X)
    covariance = covariance * same + values["sigma"] ** 2 * np.eye(N)
    return float(multivariate_normal.logpdf(DATA["y"], values["Intercept"] + values["x"] * X, covariance))


GIVEN = {
    "Intercept": 0.3,
    "x": 0.5,
    "sd(a, Intercept)": 0.5,
    "sd(a, x)": 0.3,
    "cor(a, Intercept, x)": -0.4,
    "sigma": 1.1,
}
UNKNOWN: dict[str, tuple[str, Any, tuple[float, float]]] = {
    "Intercept": ("Normal(0, 2)", norm(0, 2), (-2.0, 2.5)),
    "x": ("Normal(0, 1)", norm(0, 1), (-1.5, 2.5)),
    "sd(a, Intercept)": ("HalfNormal(1)", halfnorm(0, 1), (0.0, 4.0)),
    "sd(a, x)": ("HalfNormal(1)", halfnorm(0, 1), (0.0, 4.0)),
    "cor(a, Intercept, x)": ("LKJ(2)", beta_law(2, 2, -1, 2), (-1.0, 1.0)),
    "sigma": ("HalfNormal(2)", halfnorm(0, 2), (0.5, 2.5)),
}


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_one_unknown_among_given_values(unknown: str, tmp_path: Path) -> None:
    """Each parameter of a correlated slope alone unknown: mean, sd, a quantile and log p(y) by dense quadrature."""
    text, law, (low, high) = UNKNOWN[unknown]
    priors = {name: f"Fixed({value})" for name, value in GIVEN.items()} | {unknown: text}
    fit = pp.fit("y ~ x + (x | a)", DATA, priors=priors)
    step = (high - low) / 400
    grid = low + step * (np.arange(400) + 0.5)
    logs = np.array([_dense_log_likelihood({**GIVEN, unknown: value}) for value in grid]) + law.logpdf(grid)
    weights = np.exp(logs - logsumexp(logs))
    mean = float(weights @ grid)
    sd = float(np.sqrt(weights @ (grid - mean) ** 2))
    line = fit.summary().loc[unknown]
    assert line["mean"] == pytest.approx(mean, abs=2e-3 * sd)
    assert line["sd"] == pytest.approx(sd, rel=2e-3)
    assert line["q50"] == pytest.approx(np.interp(0.5, np.cumsum(weights) - weights / 2, grid), abs=5e-3 * sd)
    assert fit.log_marginal_likelihood == pytest.approx(float(logsumexp(logs)) + np.log(step), abs=1e-3)
    others = [name for name in GIVEN if name != unknown]
    expected = np.array([[GIVEN[name], 0.0, *[GIVEN[name]] * 3] for name in others])
    np.testing.assert_array_equal(fit.summary().loc[others], expected)
    restored = pp.load(fit.save(tmp_path / "fit.nc"))
    pd.testing.assert_frame_equal(restored.summary(), fit.summary())
    drawn = fit.draws(50)
    assert all(np.ptp(drawn[name]) == 0.0 and drawn[name][0] == GIVEN[name] for name in others)


def _poisson_grid(unknown: str, grid: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """log p(y) of count ~ x + (1 | a) on a grid of one parameter, groups integrated on 400 points."""
    values = {"Intercept": 0.3, "x": 0.5, "sd(a)": 0.6}
    z = np.linspace(-7.0, 7.0, 401)
    weights = norm.logpdf(z) + np.log(z[1] - z[0])
    result = []
    for value in grid:
        own = {**values, unknown: value}
        eta = (own["Intercept"] + own["x"] * X)[:, None] + own["sd(a)"] * z
        rows = DATA["count"][:, None] * eta - np.exp(eta) - gammaln(DATA["count"] + 1.0)[:, None]
        groups = np.array([rows[j == A].sum(axis=0) for j in range(6)])
        result.append(logsumexp(groups + weights, axis=1).sum())
    return np.array(result)


@pytest.mark.parametrize(
    ("unknown", "text", "law", "low", "high"),
    [
        ("Intercept", "Normal(0, 2)", norm(0, 2), -1.5, 2.0),
        ("x", "Normal(0, 1)", norm(0, 1), -0.5, 1.5),
        ("sd(a)", "HalfNormal(1)", halfnorm(0, 1), 0.0, 4.0),
    ],
)
def test_one_unknown_of_a_count_model(unknown: str, text: str, law: Any, low: float, high: float) -> None:
    given = {"Intercept": "Fixed(.3)", "x": "Fixed(.5)", "sd(a)": "Fixed(.6)", unknown: text}
    fit = pp.fit("count ~ x + (1 | a)", DATA, family="poisson", priors=given)
    step = (high - low) / 400
    grid = low + step * (np.arange(400) + 0.5)
    logs = _poisson_grid(unknown, grid) + law.logpdf(grid)
    weights = np.exp(logs - logsumexp(logs))
    mean = float(weights @ grid)
    sd = float(np.sqrt(weights @ (grid - mean) ** 2))
    line = fit.summary().loc[unknown]
    assert line["mean"] == pytest.approx(mean, abs=0.02 * sd)
    assert line["sd"] == pytest.approx(sd, rel=0.02)
    assert fit.log_marginal_likelihood == pytest.approx(float(logsumexp(logs)) + np.log(step), abs=2e-3)


@pytest.mark.parametrize("population", ["beta", "gamma"])
@pytest.mark.parametrize("given", ["alpha", "beta", "mean", "concentration"])
def test_one_shape_given(population: str, given: str) -> None:
    """One of a pair given and a prior on the other: the conjugate likelihood on a grid of the other."""
    if population == "gamma" and given == "concentration":
        return  # the same parameter as beta
    binomial = population == "beta"
    value = {"alpha": 2.0, "beta": 1.5, "mean": 0.4, "concentration": 5.0}[given]
    other = {"alpha": "beta", "beta": "alpha", "mean": "concentration", "concentration": "mean"}[given]
    text, low, high = ("Beta(2, 3)", 0.0, 1.0) if other == "mean" else ("Gamma(2, .5)", 0.0, 40.0)
    roles: dict[str, Any] = BINOMIAL if binomial else {"family": "poisson"}
    response = "k" if binomial else "count"
    priors = {given: f"Fixed({value})", other: text}
    fit = pp.fit(f"{response} ~ 1 + (1 | a)", DATA, population=population, priors=priors, **roles)
    step = (high - low) / 4000
    grid = low + step * (np.arange(4000) + 0.5)
    both = {given: np.full(4000, value), other: grid}
    if "mean" in both:
        mean, size = both["mean"], both["concentration"]
        alpha, beta = (mean * size, (1.0 - mean) * size) if binomial else (mean * size, size)
    else:
        alpha, beta = both["alpha"], both["beta"]
    k = np.bincount(A, weights=DATA[response])[:, None]
    n = 40.0 if binomial else 8.0
    if binomial:
        logs = gammaln(alpha + k) + gammaln(beta + n - k) - gammaln(alpha + beta + n)
        logs = logs - gammaln(alpha) - gammaln(beta) + gammaln(alpha + beta)
    else:
        logs = gammaln(alpha + k) - gammaln(alpha) + alpha * np.log(beta / (beta + n)) - k * np.log(beta + n)
    prior = pp.Beta(2, 3) if other == "mean" else pp.Gamma(2, 0.5)
    logs = logs.sum(axis=0) + prior.log_density(grid)
    weights = np.exp(logs - logsumexp(logs))
    mean_of = float(weights @ grid)
    summary = fit.summary()
    shown = "beta" if (population, other) == ("gamma", "concentration") else other
    assert summary.loc[shown, "mean"] == pytest.approx(mean_of, rel=1e-4)
    assert summary.loc[shown, "sd"] == pytest.approx(np.sqrt(weights @ (grid - mean_of) ** 2), rel=1e-3)
    assert (summary.loc[given, "mean"], summary.loc[given, "sd"]) == (value, 0.0)


@pytest.mark.parametrize(
    ("priors", "given"),
    [
        ({"cor": "Fixed(.4)", "sd(a, Intercept)": "Fixed(.5)"}, ["cor(a, Intercept, x)", "sd(a, Intercept)"]),
        ({"sd(a, x)": "Fixed(0)", "sigma": "Fixed(1)"}, ["sd(a, x)", "sigma"]),
        ({"x": "Fixed(.5)"}, ["x"]),
    ],
)
def test_given_values_in_a_tree(priors: dict[str, str], given: list[str]) -> None:
    """They are there as constants, in posterior and prior, and add nothing to the log prior."""
    tree = pp.fit("y ~ x + (x | a)", DATA, priors=priors).to_arviz(40)
    for name in given:
        value = float(next(prior for key, prior in priors.items() if name.startswith(key))[6:-1])
        for group in ("posterior", "prior"):
            np.testing.assert_allclose(tree[f"{group}/{name}"], value, rtol=1e-12)
        if f"log_prior/{name}" in tree:
            np.testing.assert_array_equal(tree[f"log_prior/{name}"], 0.0)

"""The likelihood of whole groups, their effects integrated out, against brute force for every family and population."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import partialpool as pp

from .latent_cases import CASES
from .latent_nested import log_likelihood

FloatArray = np.ndarray
# Draws of each fit that are compared.
N = 8


def export(fit: Any, **arguments: Any) -> Any:
    return fit.to_arviz(N, seed=3, log_likelihood="group", **arguments)


def group_values(tree: Any) -> FloatArray:
    """The log likelihoods (draw, group)."""
    (variable,) = tree["log_likelihood"].data_vars.values()
    return np.asarray(variable.values.reshape(N, -1))


def drawn(tree: Any, name: str) -> FloatArray:
    values = tree["posterior"][name].values
    return np.asarray(values.reshape(N, *values.shape[2:]))


def check_total(fit: Any) -> None:
    """The groups' log likelihoods add up to the engine's, at the same quadrature."""
    model, marginal = fit.fitted.model, fit.fitted.marginal
    joint = fit.fitted.draw_jointly(N, [np.arange(group.n_levels) for group in model.groups], np.random.default_rng(3))
    outermost = int(np.argmin([group.n_levels for group in model.groups]))
    counts = model.design.measurements.counts
    constants = model.family.log_constant(model.response) * (1.0 if counts is None else counts)
    total = marginal.group_log_likelihood(joint.points, outermost).sum(axis=0) + constants.sum()
    np.testing.assert_allclose(total, marginal.log_likelihood(joint.points), rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_every_family_and_population_by_quadrature(name: str) -> None:
    case = CASES[name]
    fit = pp.fit(case.formula, {k: list(v) for k, v in case.data.items()}, priors=case.priors, **case.options)
    tree = export(fit)
    values = group_values(tree)
    hyper = {parameter: drawn(tree, parameter) for parameter in case.axes}
    with np.errstate(all="ignore"):
        expected = logsumexp(case.log_terms(hyper, 6001)[1], axis=2).T
    # an engine's own tolerance is 1e-3 of the log likelihood of all groups
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-3)
    check_total(fit)


@pytest.mark.parametrize(("a", "b", "y", "n"), [(2.5, 15.0, 4, 14), (1e9, 3e9, 7, 20), (0.02, 0.1, 0, 3)])
def test_one_beta_binomial_group(a: float, b: float, y: int, n: int) -> None:
    """Where the population narrows to a point it is a binomial group."""
    from partialpool.inference.conjugate.beta_binomial import log_probabilities

    from .pairs import collapse_pairs

    pairs = collapse_pairs(np.array([y]), np.array([n]))
    found = log_probabilities(np.array([a]), np.array([b]), pairs)
    exact = stats.betabinom.logpmf(y, n, a, b) if a < 1e6 else stats.binom.logpmf(y, n, a / (a + b))
    np.testing.assert_allclose(found, [[exact]], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("a", "b", "y", "size"), [(2.5, 1.5, 4, 2.0), (1e9, 1e9, 3, 2.5), (0.2, 0.1, 0, 3.0)])
def test_one_gamma_poisson_group(a: float, b: float, y: int, size: float) -> None:
    from partialpool.inference.conjugate.gamma_poisson import log_probabilities

    from .pairs import collapse_pairs

    found = log_probabilities(np.array([a]), np.array([b]), collapse_pairs(np.array([y]), np.array([size])))
    exact = stats.nbinom.logpmf(y, a, b / (b + size)) if a < 1e6 else stats.poisson.logpmf(y, size * a / b)
    np.testing.assert_allclose(found, [[exact]], rtol=1e-7, atol=1e-7)


G = np.repeat(np.arange(4), 3)
R = np.random.default_rng(5)
ROWS: dict[str, Any] = {
    "g": G,
    "x": R.normal(size=12),
    "n": R.integers(4, 20, 12),
    "k": R.integers(1, 4, 12),
    "o": R.normal(0.0, 0.3, 12),
}
ROWS |= {"s": R.binomial(ROWS["n"], 0.4), "t": R.lognormal(0.2, 0.5, 12)}


def integrate_group(log_rows: Any, sd: float) -> float:
    """Return the log of the integral of the rows' density over a normal deviation, by the trapezoid rule;
    ``log_rows`` takes deviations (point, 1) to log densities (point, row)."""
    u = np.linspace(-9.0 * sd, 9.0 * sd, 2001)
    logs = log_rows(u[:, None]).sum(axis=1) + stats.norm.logpdf(u, 0.0, sd)
    return float(logsumexp(logs) + np.log(u[1] - u[0]))


def test_covariates_counts_offsets_and_dispersion() -> None:
    options = {"family": "beta_binomial", "trials": "n", "counts": "k", "offset": "o", "accuracy": 0.05}
    fit = pp.fit("s ~ x + (1 | g)", ROWS, **options)
    tree = export(fit)
    values = group_values(tree)
    for t in (0, 5):
        base = drawn(tree, "Intercept")[t] + drawn(tree, "x")[t] * ROWS["x"] + ROWS["o"]
        size, sd = drawn(tree, "concentration")[t], drawn(tree, "sd(g)")[t]
        for j in range(4):
            rows = j == G
            n, s, k, eta = ROWS["n"][rows], ROWS["s"][rows], ROWS["k"][rows], base[rows]

            def log_rows(u: FloatArray, n=n, s=s, k=k, eta=eta, size=size) -> FloatArray:  # type: ignore[no-untyped-def]
                a, b = size / (1.0 + np.exp(-eta - u)), size / (1.0 + np.exp(eta + u))
                return np.asarray(k * stats.betabinom.logpmf(s, n, a, b))

            assert abs(values[t, j] - integrate_group(log_rows, sd)) < 1e-3
    check_total(fit)


def test_lognormal_population_of_positive_means() -> None:
    fit = pp.fit("t ~ 1 + (1 | g)", ROWS, family="gamma", population="lognormal", link="log", accuracy=0.05)
    tree = export(fit)
    values = group_values(tree)
    mean, sd, shape = (drawn(tree, name)[2] for name in ("Intercept", "sd(g)", "shape"))
    for j in range(4):
        own = ROWS["t"][j == G]
        expected = integrate_group(
            lambda u, own=own: stats.gamma.logpdf(own, shape, scale=np.exp(mean + u) / shape), sd
        )
        assert abs(values[2, j] - expected) < 1e-3
    check_total(fit)


@pytest.mark.parametrize("population", ["mixture(2)", "nonparametric"])
def test_estimated_populations(population: str) -> None:
    y = [-2.6, -1.9, -0.8, -2.2, -1.1, -3.4, -1.6, 3.9, 5.1, 4.2, 6.3, 2.8, 4.7, 5.6]
    data = {"y": y, "se": [0.5, 0.4, 0.6, 0.3, 0.5, 0.7, 0.4] * 2, "g": list("abcdefghijklmn")}
    fit = pp.fit("y ~ 1 + (1 | g)", data, standard_error="se", population=population)
    tree = export(fit)
    values = group_values(tree)
    assert np.ptp(values, axis=0).max() == 0.0
    np.testing.assert_allclose(values[0].sum(), fit.engine.evidence["log likelihood"], rtol=1e-10)
    assert "log_prior" not in tree.children
    assert "estimated" in tree["posterior"].attrs["left_out"]
    if population != "nonparametric":
        named = {name: drawn(tree, name)[0] for name in tree["posterior"].data_vars if name[-1:] == ")"}
        parts = [
            np.log(named[f"weight({k})"]) + stats.norm.logpdf(data["y"], named[f"mean({k})"],
            np.hypot(named[f"sd({k})"], data["se"])) for k in (1, 2)
        ]  # fmt: skip
        np.testing.assert_allclose(values[0], np.logaddexp(*parts), atol=2e-3)


# --- nested factors of other likelihoods ---

CASK = np.repeat(np.arange(6), 2)
BATCH = CASK // 2
NESTED = {"y": [1, 0, 3, 1, 5, 1, 4, 9, 20, 9, 19, 60], "cask": CASK, "batch": BATCH}


def test_nested_counts() -> None:
    fit = pp.fit("y ~ 1 + (1 | batch/cask)", NESTED, family="poisson", method="empirical_bayes")
    outer, inner = export(fit), export(fit, factor="batch:cask")
    values = group_values(outer)
    check_total(fit)
    mu, sds = drawn(outer, "Intercept"), [drawn(outer, name) for name in ("sd(batch:cask)", "sd(batch)")]
    for t in range(2):
        reach = 10.0 * float(np.hypot(sds[0][t], sds[1][t]))
        grid = np.linspace(mu[t] - reach, mu[t] + reach, 1601)
        logs = stats.poisson.logpmf(np.array(NESTED["y"])[:, None], np.exp(grid))
        for j in range(3):
            own = j == BATCH
            expected = log_likelihood(
                logs[own], [CASK[own] - 2 * j, np.zeros(4, dtype=int)], grid, [sds[0][t], sds[1][t]], float(mu[t])
            )
            assert abs(values[t, j] - expected) < 1e-3
        above = drawn(inner, "u[batch]")[t]
        for c in range(6):
            own = c == CASK
            centre = float(mu[t] + above[c // 2])
            expected = log_likelihood(logs[own], [np.zeros(2, dtype=int)], grid, [sds[0][t]], centre)
            assert abs(group_values(inner)[t, c] - expected) < 1e-3
    assert inner["log_likelihood"]["y"].dims[2] == "batch:cask"


# --- Gaussian ---

TOWN, PART = np.repeat(np.arange(5), 12), np.tile(np.repeat(np.arange(3), 4), 5)
GAUSSIAN: dict[str, Any] = {
    "town": np.array(list("pqrst"))[TOWN],
    "part": PART,
    "x": R.normal(2000.0, 1.0, 60),
    "w": R.uniform(0.5, 2.0, 60),
    "k": R.integers(1, 4, 60),
    "o": R.normal(size=60),
}
GAUSSIAN["y"] = (
    3.0 + 0.5 * (GAUSSIAN["x"] - 2000.0) + R.normal(size=5)[TOWN] + R.normal(size=(5, 3))[TOWN, PART]
    + 0.4 * R.normal(size=60)
)  # fmt: skip


def covariance_of(tree: Any, t: int, factor: str) -> FloatArray:
    """The covariance matrix of an intercept and a slope."""
    sds = np.array([drawn(tree, f"sd({factor}, {name})")[t] for name in ("Intercept", "x")])
    cor = drawn(tree, f"cor({factor}, Intercept, x)")[t]
    return np.outer(sds, sds) * np.array([[1.0, cor], [cor, 1.0]])


@pytest.mark.parametrize("inner", [False, True])
def test_gaussian_slopes_weights_counts_and_offset(inner: bool) -> None:
    fit = pp.fit("y ~ x + (x | town/part)", GAUSSIAN, weights="w", counts="k", offset="o")
    tree = export(fit, factor="town:part") if inner else export(fit)
    values = group_values(tree)
    unit = 3 * TOWN + PART if inner else TOWN
    columns = np.column_stack([np.ones(60), GAUSSIAN["x"]])
    for t in (1, 6):
        mean = columns @ [drawn(tree, "Intercept")[t], drawn(tree, "x")[t]] + GAUSSIAN["o"]
        if inner:
            mean = mean + np.sum(columns * drawn(tree, "u[town]")[t][TOWN], axis=1)
        for j in range(unit.max() + 1):
            rows = np.repeat(np.flatnonzero(unit == j), GAUSSIAN["k"][unit == j])
            z = columns[rows]
            covariance = np.diag(drawn(tree, "sigma")[t] ** 2 / GAUSSIAN["w"][rows])
            same = PART[rows][:, None] == PART[rows]
            covariance = covariance + same * (z @ covariance_of(tree, t, "town:part") @ z.T)
            if not inner:
                covariance = covariance + z @ covariance_of(tree, t, "town") @ z.T
            # years from zero: the columns' products have 1e7 times the size of what is left
            expected = stats.multivariate_normal(mean[rows], covariance, allow_singular=True).logpdf(
                GAUSSIAN["y"][rows]
            )
            assert abs(values[t, j] - expected) < 1e-5


def test_noise_far_below_the_effects_costs_no_digits() -> None:
    y, se = np.array([2.1, -1.112, -0.4, 0.3, 0.8]), np.array([1e-7, 1000.0, 0.5, 0.5, 1e-4])
    fit = pp.fit("y ~ 1 + (1 | g)", {"y": y, "g": list("abcde"), "se": se}, standard_error="se")
    tree = export(fit)
    sd = np.hypot(drawn(tree, "sd(g)")[:, None], se)
    expected = stats.norm.logpdf(y, drawn(tree, "Intercept")[:, None], sd)
    np.testing.assert_allclose(group_values(tree), expected, rtol=1e-12, atol=1e-12)


def test_summaries_of_raw_rows() -> None:
    raw = [R.normal(loc, 2.0, size=size) for loc, size in [(1, 5), (3, 9), (2, 4), (6, 1), (4, 12)]]
    data = {
        "y": [own.mean() for own in raw],
        "n": [len(own) for own in raw],
        "s": [own.std(ddof=1) if len(own) > 1 else np.nan for own in raw],
        "g": list("abcde"),
    }
    tree = export(pp.fit("y ~ 1 + (1 | g)", data, size="n", sd="s"))
    sigma, tau, mu = (drawn(tree, name)[4] for name in ("sigma", "sd(g)", "Intercept"))
    for j, own in enumerate(raw):
        covariance = sigma**2 * np.eye(len(own)) + tau**2
        expected = stats.multivariate_normal(np.full(len(own), mu), covariance).logpdf(own)
        assert abs(group_values(tree)[4, j] - expected) < 1e-10

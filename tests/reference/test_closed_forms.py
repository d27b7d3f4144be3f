"""Textbook examples with given hyperparameters, as they are written: conjugate updating, whose numbers follow by hand.

Beta: (alpha + k) / (alpha + beta + n); normal: kappa ybar + (1 - kappa) mu with kappa = n tau^2 / (n tau^2 + sigma^2)
and variance kappa sigma^2 / n (Gelman et al. 2013, Bayesian Data Analysis, 3rd ed., sections 2.4 and 2.5).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import betaln, gammaln

import partialpool as pp


@pytest.mark.parametrize(
    ("alpha", "beta", "k", "n", "means", "weights"),
    [
        (5, 95, [2], [20], [0.058333], [0.1667]),
        (10, 190, [2, 40], [20, 400], [0.054545, 0.083333], [0.0909, 0.6667]),
        (6, 114, [3, 20], [30, 200], [0.06, 0.08125], [0.2, 0.625]),
    ],
)
def test_stores_under_a_given_beta_population(
    alpha: int, beta: int, k: list[int], n: list[int], means: list[float], weights: list[float]
) -> None:
    data = {"k": k, "n": n, "store": [f"store {i}" for i in range(len(k))]}
    given = {"alpha": f"Fixed({alpha})", "beta": pp.Fixed(beta)}
    fit = pp.fit("k ~ 1 + (1 | store)", data, family="binomial", trials="n", population="beta", priors=given)
    groups = fit.groups(quantiles=(0.025, 0.975))
    np.testing.assert_allclose(groups["mean"], means, atol=5e-7)
    np.testing.assert_allclose(groups["weight"], weights, atol=5e-5)
    assert (fit.engine.route, fit.engine.status) == ("closed form", "exact")
    counts, trials = np.array(k), np.array(n)
    by_hand = betaln(alpha + counts, beta + trials - counts) - betaln(alpha, beta)
    by_hand += gammaln(trials + 1) - gammaln(counts + 1) - gammaln(trials - counts + 1)
    assert fit.log_marginal_likelihood == pytest.approx(by_hand.sum(), abs=1e-10)
    if alpha == 5:
        assert groups["sd"].iloc[0] == pytest.approx(0.021307, abs=5e-7)
        np.testing.assert_allclose(groups[["q2.5", "q97.5"]].iloc[0], [0.02397, 0.10652], atol=5e-6)


def _fill_groups(sizes: list[int], means: list[float]) -> dict[str, Any]:
    """Rows of groups with these sizes and means, spread about them."""
    rows = [mean + np.linspace(-1.0, 1.0, size) for size, mean in zip(sizes, means, strict=True)]
    labels = np.repeat([f"group {i}" for i in range(len(sizes))], sizes)
    return {"y": np.concatenate(rows), "g": labels}


NORMAL = [
    (8.0, 1.0, 2.0, [5], [10.0], [9.1111], [0.4444], [5 / 9]),
    (10.0, 2.0, 3.0, [10, 2], [12.0, 8.0], [11.6327, 9.0588], [0.7347, 2.1176], [40 / 49, 8 / 17]),
]


@pytest.mark.parametrize("form", ["rows", "estimates", "summaries"])
@pytest.mark.parametrize(("mu", "tau", "sigma", "sizes", "means", "posterior", "variances", "weights"), NORMAL)
def test_a_given_normal_population(
    form: str,
    mu: float,
    tau: float,
    sigma: float,
    sizes: list[int],
    means: list[float],
    posterior: list[float],
    variances: list[float],
    weights: list[float],
) -> None:
    given = {"Intercept": f"Fixed({mu})", "sd(g)": f"Fixed({tau})"}
    summary = {"y": means, "g": [f"group {i}" for i in range(len(sizes))]}
    if form == "rows":
        fit = pp.fit("y ~ 1 + (1 | g)", _fill_groups(sizes, means), priors={**given, "sigma": f"Fixed({sigma})"})
    elif form == "summaries":
        fit = pp.fit("y ~ 1 + (1 | g)", summary, size=sizes, sd=sigma, priors={**given, "sigma": f"Fixed({sigma})"})
    else:
        errors = (sigma / np.sqrt(sizes)).tolist()
        fit = pp.fit("y ~ 1 + (1 | g)", summary, standard_error=errors[0] if len(errors) == 1 else errors, priors=given)
    groups = fit.groups()
    np.testing.assert_allclose(groups["mean"], posterior, atol=5e-5)
    np.testing.assert_allclose(groups["sd"] ** 2, variances, atol=5e-5)
    np.testing.assert_allclose(groups["weight"], weights, atol=1e-12)
    assert (fit.engine.route, fit.engine.status) == ("closed form", "exact")


def test_no_spread_pools_completely_and_a_great_one_not_at_all() -> None:
    data = _fill_groups([10, 2], [12.0, 8.0])
    given = {"Intercept": "Fixed(10)", "sigma": "Fixed(3)"}
    none = pp.fit("y ~ 1 + (1 | g)", data, priors={**given, "sd(g)": "Fixed(0)"}).groups()
    np.testing.assert_array_equal(none[["mean", "sd", "weight"]], [[10.0, 0.0, 0.0]] * 2)
    wide = pp.fit("y ~ 1 + (1 | g)", data, priors={**given, "sd(g)": "Fixed(1e6)"}).groups()
    np.testing.assert_allclose(wide["mean"], [12.0, 8.0], atol=1e-9)
    np.testing.assert_allclose(wide["sd"] ** 2, [9.0 / 10.0, 9.0 / 2.0], rtol=1e-9)


def test_a_z_score_shrinks_to_the_root_of_its_weight() -> None:
    given = {"Intercept": "Fixed(0)", "sd(g)": "Fixed(1)"}
    groups = pp.fit("y ~ 1 + (1 | g)", {"y": [2.0], "g": ["a"]}, standard_error=1.0, priors=given).groups()
    assert float((groups["mean"] / groups["sd"]).iloc[0]) == pytest.approx(1.414, abs=5e-4)


def test_empirical_bayes_with_a_given_sigma() -> None:
    """ybar = (9, 11, 10), n = 5, sigma^2 = 4: tau^2 is .2 by moments and REML, 0 by ML; group 1 is then 9.8 (or 10)."""
    data = _fill_groups([5, 5, 5], [9.0, 11.0, 10.0])
    for estimator, variance, first in (("moments", 0.2, 9.8), ("reml", 0.2, 9.8), ("ml", 0.0, 10.0)):
        fit = pp.fit(
            "y ~ 1 + (1 | g)",
            data,
            priors={"sigma": "Fixed(2)"},
            method="empirical_bayes",
            estimator=estimator,  # type: ignore[arg-type]
        )
        summary = fit.summary()
        assert float(summary.loc["sd(g)", "mean"]) ** 2 == pytest.approx(variance, abs=1e-6)
        assert float(summary.loc["sigma", "mean"]) == 2.0
        assert float(fit.groups()["mean"].iloc[0]) == pytest.approx(first, abs=1e-5)
        assert "sigma is given as 2" in repr(fit)


def test_one_study_under_proper_priors() -> None:
    """One study of 10 +- 1, Normal(8, 1) and HalfNormal(1): a grid over tau with the mean and theta integrated."""
    priors = {"Intercept": "Normal(8, 1)", "sd(g)": "HalfNormal(1)"}
    fit = pp.fit("y ~ 1 + (1 | g)", {"y": [10.0], "g": ["a"]}, standard_error=1.0, priors=priors)
    step = 1e-4
    tau = np.arange(step / 2, 12.0, step)
    total = 2.0 + tau**2
    density = np.exp(-0.5 * tau**2 - 0.5 * 4.0 / total) / np.sqrt(total)
    weights = density / density.sum()
    theta = 10.0 - 2.0 / total  # theta given tau and y: 8 + (1 + tau^2) / total 2
    assert float(fit.summary().loc["sd(g)", "mean"]) == pytest.approx(float(weights @ tau), abs=2e-5)
    assert float(fit.groups()["mean"].iloc[0]) == pytest.approx(float(weights @ theta), abs=2e-5)
    log_evidence = np.log(density.sum() * step * np.sqrt(2.0 / np.pi) / np.sqrt(2.0 * np.pi))
    assert fit.log_marginal_likelihood == pytest.approx(log_evidence, abs=1e-5)

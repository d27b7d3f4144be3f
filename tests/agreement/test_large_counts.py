"""Counts of any size: what is learnt of the population does not depend on how many digits they have.

Where groups' own counts are that large their rates are known, and the posterior is that of normal numbers without
noise: a dense grid of mean and sd.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp

Z = 0.13 * np.random.default_rng(9).normal(size=12)
COUNTS = np.round(3e9 * np.exp(Z)).astype(int)
PRIORS = {"Intercept": "Normal(0, 100)", "sd(g)": "HalfNormal(1)"}


def expect_sd(values: np.ndarray) -> tuple[float, float]:
    """The posterior mean and sd of the sd of normal values, by a dense grid; the mean's prior is flat beside it."""
    sds = np.linspace(0.02, 2.0, 20001)
    scatter = float(np.sum((values - values.mean()) ** 2))
    log_density = -(len(values) - 1) * np.log(sds) - 0.5 * scatter / sds**2 - 0.5 * sds**2
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    mean = float(weights @ sds)
    return mean, float(np.sqrt(weights @ (sds - mean) ** 2))


def fit_sd(y: np.ndarray, family: str, **more: Any) -> tuple[float, float]:
    fit = pp.fit("y ~ 1 + (1 | g)", {"y": y, "g": np.arange(12), **more.pop("data", {})}, family=family, **more)
    line = fit.summary().loc["sd(g)"]
    return float(line["mean"]), float(line["sd"])


@pytest.mark.parametrize("times", [1, 300, 30_000, 300_000])
def test_poisson(times: int) -> None:
    mean, sd = expect_sd(Z)
    assert (round(mean, 3), round(sd, 3)) == (0.156, 0.039)
    found = fit_sd(COUNTS * times, "poisson", priors=PRIORS)
    assert found == pytest.approx((mean, sd), rel=0.01)


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("times", [1, 90_000])
def test_binomial(link: str, times: int) -> None:
    from scipy.special import ndtri

    trials = 10**10
    p = COUNTS / trials
    eta = np.log(p / (1 - p)) if link == "logit" else ndtri(p)
    data = {"n": np.full(12, trials * times)}
    found = fit_sd(COUNTS * times, "binomial", link=link, trials="n", priors=PRIORS, data=data)
    assert found == pytest.approx(expect_sd(eta), rel=0.01)


@pytest.mark.parametrize("family", ["negative_binomial", "beta_binomial(concentration=200)"])
def test_overdispersed_counts_a_thousand_times_larger(family: str) -> None:
    found = []
    for times in (1, 90_000):
        data = {"y": COUNTS * times, "g": np.arange(12) // 2, "n": np.full(12, 10**10 * times)}
        trials = {"trials": "n"} if "beta" in family else {}
        shape = {} if "beta" in family else {"shape": "LogNormal(5, 1)"}
        fit = pp.fit("y ~ 1 + (1 | g)", data, family=family, priors={**PRIORS, **shape}, **trials)
        found.append(fit.summary().loc[["sd(g)", *shape], ["mean", "sd", "q50"]].to_numpy())
    assert found[0] == pytest.approx(found[1], rel=1e-3)

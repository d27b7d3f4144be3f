"""Draws of latent fits in ArviZ's form: names, scales, densities against scipy, replicates within their limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import partialpool as pp

RNG = np.random.default_rng(5)
G = np.repeat(np.arange(5), 3)
DATA: dict[str, Any] = {
    "g": np.array(list("abcde"))[G],
    "r": np.array(["n", "n", "s", "s", "s"])[G],
    "x": RNG.normal(size=15),
    "n": RNG.integers(4, 20, 15),
    "km": RNG.uniform(0.5, 4.0, 15),
    "k": RNG.integers(1, 4, 15),
}
DATA |= {
    "s": RNG.binomial(DATA["n"], 0.4),
    "c": RNG.poisson(DATA["km"] * 1.5),
    "t": RNG.lognormal(0.2, 0.5, 15),
    "b": np.where(RNG.random(15) < 0.4, "yes", "no"),
}
BINOMIAL = {"family": "binomial", "trials": "n"}


def export(formula: str, n: int = 40, **arguments: Any) -> tuple[Any, Any]:
    fit = pp.fit(formula, DATA, **arguments)
    return fit, fit.to_arviz(n)


def flat(variable: Any) -> np.ndarray:
    return variable.values.reshape(-1, *variable.shape[2:])


def test_probabilities_stand_beside_deviations_and_own_values() -> None:
    fit, tree = export("s ~ 1 + (1 | g)", **BINOMIAL)
    posterior = tree["posterior"]
    assert set(posterior.data_vars) == {"Intercept", "sd(g)", "u", "theta", "p"}
    assert posterior["p"].dims == ("chain", "draw", "g")
    assert posterior["p"].shape == (4, 10, 5)
    assert posterior["g"].values.tolist() == list("abcde")
    np.testing.assert_allclose(posterior["p"], 1.0 / (1.0 + np.exp(-posterior["theta"])), rtol=1e-12)
    np.testing.assert_allclose(posterior["theta"], posterior["u"] + posterior["Intercept"], rtol=1e-12)
    np.testing.assert_array_equal(flat(posterior["p"].sel(g="b")), fit.draws(40)["p[g=b]"])
    assert (tree.posterior.attrs["family"], tree.posterior.attrs["link"]) == ("binomial", "logit")
    assert tree["constant_data"]["trials"].values.tolist() == DATA["n"].tolist()
    assert tree["observed_data"]["s"].values.tolist() == DATA["s"].tolist()


def test_log_likelihood_of_successes_is_scipys() -> None:
    _, tree = export("s ~ x + (1 | g)", **BINOMIAL, counts="k", offset="km")
    posterior, own = tree["posterior"], flat(tree["log_likelihood"]["s"])
    eta = flat(posterior["theta"])[:, G] + flat(posterior["x"])[:, None] * DATA["x"] + DATA["km"]
    expected = DATA["k"] * stats.binom.logpmf(DATA["s"], DATA["n"], 1.0 / (1.0 + np.exp(-eta)))
    np.testing.assert_allclose(own, expected, rtol=1e-9)
    replicated = flat(tree["posterior_predictive"]["s"])
    assert np.all((replicated == np.rint(replicated)) & (replicated >= 0) & (replicated <= DATA["n"]))


def test_a_beta_population_has_its_parameters_as_scalars_and_no_deviations() -> None:
    _, tree = export("s ~ 1 + (1 | g)", **BINOMIAL, population="beta")
    posterior = tree["posterior"]
    assert set(posterior.data_vars) == {"alpha", "beta", "mean", "concentration", "theta", "p"}
    np.testing.assert_allclose(
        posterior["mean"], posterior["alpha"] / (posterior["alpha"] + posterior["beta"]), rtol=1e-9
    )
    own = stats.binom.logpmf(DATA["s"], DATA["n"], flat(posterior["p"])[:, G])
    np.testing.assert_allclose(flat(tree["log_likelihood"]["s"]), own, rtol=1e-9)


def test_a_populations_mean_and_the_groups_means_keep_apart() -> None:
    _, tree = export("t ~ 1 + (1 | g)", family="exponential", population="gamma")
    posterior = tree["posterior"]
    assert posterior["mean"].dims == ("chain", "draw", "g")
    (other,) = [name for name, values in posterior.data_vars.items() if values.attrs.get("parameter") == "mean"]
    assert posterior[other].dims == ("chain", "draw")


def test_rates_and_the_dispersion_of_counts() -> None:
    _, tree = export("c ~ 1 + (1 | g)", family="negative_binomial", exposure="km")
    posterior = tree["posterior"]
    assert {"shape", "rate", "Intercept"} <= set(posterior.data_vars)
    mean, shape = flat(posterior["rate"])[:, G] * DATA["km"], flat(posterior["shape"])[:, None]
    expected = stats.nbinom.logpmf(DATA["c"], shape, shape / (shape + mean))
    np.testing.assert_allclose(flat(tree["log_likelihood"]["c"]), expected, rtol=1e-8)
    assert tree["constant_data"]["exposure"].values.tolist() == DATA["km"].tolist()


def test_censored_rows_have_the_probability_of_what_was_seen() -> None:
    censored = np.where(DATA["t"] > 1.4, 1, 0)
    data = DATA | {"t": np.minimum(DATA["t"], 1.4), "right": censored}
    tree = pp.fit("t ~ 1 + (1 | g)", data, family="lognormal", censored="right").to_arviz(40)
    posterior = tree["posterior"]
    eta, sigma = flat(posterior["theta"])[:, G], flat(posterior["sigma"])[:, None]
    logs = np.log(data["t"])
    density = stats.norm.logpdf(logs, eta, sigma) - logs
    expected = np.where(censored == 1, stats.norm.logsf(logs, eta, sigma), density)
    np.testing.assert_allclose(flat(tree["log_likelihood"]["t"]), expected, rtol=1e-8)
    assert tree["constant_data"]["censored"].values.tolist() == censored.tolist()
    assert flat(tree["posterior_predictive"]["t"]).max() > 1.4


def test_replicates_of_truncated_rows_lie_within_the_limits() -> None:
    data = {name: values[DATA["t"] < 1.8] for name, values in DATA.items()}
    tree = pp.fit("t ~ 1 + (1 | g)", data, truncation=(0.0, 1.8)).to_arviz(200)
    replicated = flat(tree["posterior_predictive"]["t"])
    assert np.nanmin(replicated) >= 0.0
    assert np.nanmax(replicated) <= 1.8
    assert np.isnan(replicated).mean() < 0.01
    assert abs(np.nanmean(replicated) - data["t"].mean()) < 0.25
    assert tree["constant_data"]["truncation_upper"].values.tolist() == [1.8] * len(data["t"])


def test_labels_of_an_outcome_are_kept() -> None:
    _, tree = export("b ~ 1 + (1 | g)", family="bernoulli")
    assert tree["observed_data"]["b"].attrs == {"column": "b", "zero": "no", "one": "yes"}
    assert set(np.unique(tree["posterior_predictive"]["b"])) <= {0.0, 1.0}


def test_nested_factors_have_their_own_effects() -> None:
    _, tree = export("c ~ 1 + (1 | r/g)", family="poisson", exposure="km")
    assert {"u[r]", "theta[r]", "u[r:g]", "theta[r:g]"} <= set(tree["posterior"].data_vars)


@pytest.mark.parametrize("pooling", ["none", "complete"])
def test_without_a_population(pooling: str) -> None:
    _, tree = export("s ~ 1 + (1 | g)", **BINOMIAL, pooling=pooling)
    assert set(tree["posterior"].data_vars) == ({"theta", "p"} if pooling == "none" else {"Intercept"})
    assert np.isfinite(tree["log_likelihood"]["s"]).all()

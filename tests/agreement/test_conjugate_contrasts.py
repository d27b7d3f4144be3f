"""Contrasts of conjugate pairs against direct numerical integration over the groups' densities."""

import numpy as np
import pytest
from scipy.stats import beta, gamma

import partialpool as pp
from partialpool.inference.conjugate.contrasts import summarise_contrasts
from partialpool.inference.laws.beta_gamma import BetaLaw, GammaLaw

WEIGHTS = np.array([0.2, 0.5, 0.3])
SHAPES = {
    "beta": (np.array([0.6, 2.0, 5.0])[:, None] + np.array([0.0, 4.0, 12.0]), np.array([6.0, 14.0, 30.0])[:, None]),
    "gamma": (np.array([0.6, 2.0, 5.0])[:, None] + np.array([0.0, 4.0, 12.0]), np.array([1.0, 3.0, 9.0])[:, None]),
}
SHAPES["beta"] = (SHAPES["beta"][0], SHAPES["beta"][1] + np.array([20.0, 10.0, 18.0]))
SHAPES["gamma"] = (SHAPES["gamma"][0], SHAPES["gamma"][1] + np.array([20.0, 10.0, 18.0]))


def below(name, response, x, first, second):
    """Return P(first - second <= x) by summing over quantiles of the second at 20,000 equal probabilities."""
    probabilities = (np.arange(20_000) + 0.5) / 20_000
    total = 0.0
    for weight, a, b in zip(WEIGHTS, *SHAPES[name], strict=True):
        if name == "beta":
            other = beta.ppf(probabilities, a[second], b[second])
            value = other + x if response else 1 / (1 + (1 / other - 1) * np.exp(-x))
            total += weight * beta.cdf(value, a[first], b[first]).mean()
        else:
            other = gamma.ppf(probabilities, a[second], scale=1 / b[second])
            value = other + x if response else other * np.exp(x)
            total += weight * gamma.cdf(value, a[first], scale=1 / b[first]).mean()
    return total


@pytest.mark.parametrize("response", [False, True])
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 0)])
def test_difference_is_that_of_direct_integration(name, response, first, second):
    law = (BetaLaw if name == "beta" else GammaLaw)(*SHAPES[name])
    probabilities = np.array([0.05, 0.5, 0.95])
    items, signs = np.array([[first], [second]]), np.array([[1.0], [-1.0]])
    got = summarise_contrasts(law, WEIGHTS, items, signs, probabilities, response=response)
    assert got.above[0] == pytest.approx(1.0 - below(name, response, 0.0, first, second), abs=2e-5)
    for probability, quantile in zip(probabilities, got.quantiles[0], strict=True):
        assert below(name, response, quantile, first, second) == pytest.approx(probability, abs=2e-5)


def test_weights_of_any_number_of_groups():
    law = BetaLaw(*SHAPES["beta"])
    items, weights = np.array([[0], [1], [2]]), np.array([[0.5], [0.5], [-1.0]])
    got = summarise_contrasts(law, WEIGHTS, items, weights, np.array([0.1, 0.9]), response=True)
    rng = np.random.default_rng(0)
    node = rng.choice(3, 400_000, p=WEIGHTS)
    drawn = rng.beta(law.a[node], law.b[node]) @ weights[:, 0]
    assert got.mean[0] == pytest.approx(drawn.mean(), abs=5 * drawn.std() / 632)
    assert got.sd[0] == pytest.approx(drawn.std(), rel=0.01)
    np.testing.assert_allclose([(drawn < q).mean() for q in got.quantiles[0]], [0.1, 0.9], atol=0.002)
    assert got.above[0] == pytest.approx((drawn > 0.0).mean(), abs=0.003)


@pytest.fixture(scope="module")
def stores():
    rng = np.random.default_rng(3)
    visits = rng.integers(20, 60, 4)
    sold = rng.binomial(visits, rng.beta(3, 9, 4))
    data = {"sold": sold, "visits": visits, "g": list("abcd")}
    return pp.fit("sold ~ 1 + (1 | g)", data, family="binomial", trials="visits", population="beta", accuracy=0.1)


@pytest.mark.parametrize("scale", ["linear", "response"])
def test_contrast_and_differences_agree(stores, scale):
    pairs, to = stores.differences("g", scale=scale), stores.differences("g", to="c", scale=scale)
    one = stores.contrast("g", "a", "c", scale=scale)
    assert stores.contrast("g", "a", "c", scale=scale).equals(one)
    for other in (
        pairs.loc[("a", "c")],
        to.loc[("a", "c")],
        stores.contrast("g", {"a": 1, "c": -1, "b": 0}, scale=scale).iloc[0],
    ):
        np.testing.assert_allclose(other.to_numpy(), one.iloc[0].to_numpy(), rtol=0, atol=1e-3 * one["sd"].iloc[0])
    drawn = stores.draws(40_000, seed=1)
    values = {name: drawn[f"theta[g={name}]"] for name in "ac"}
    assert one["P(>0)"].iloc[0] == pytest.approx((values["a"] > values["c"]).mean(), abs=0.015)
    if scale == "linear":
        assert one["mean"].iloc[0] == pytest.approx((values["a"] - values["c"]).mean(), abs=0.03 * one["sd"].iloc[0])

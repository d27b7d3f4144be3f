"""Posteriors of groups given nodes: limits, extremes and many at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import betainc, betaincc, betaincinv, expit, gammaincinv, polygamma

from partialpool.inference.conjugate.conditional import summarise_proportions, summarise_rates, trigamma
from partialpool.inference.laws.beta_gamma import BetaLaw
from partialpool.inference.laws.beta_tails import beta_tail

from ....agreement.pairs import collapse_pairs

ONE = np.ones(1)
PROBABILITIES = np.array([1e-4, 0.025, 0.3, 0.5, 0.9, 0.975, 0.9999])


def _one_pair(y, size):
    return collapse_pairs(np.array([float(y)]), np.array([float(size)]))


@pytest.mark.parametrize("a", [1e-8, 0.3, 2.9, 3.0, 5.0, 60.0, 1e4, 3e9])
@pytest.mark.parametrize("b", [0.02, 1.0, 3.0, 4.0, 95.0, 2000.0, 1e6])
def test_beta_tails_are_those_of_the_incomplete_beta_function(a, b):
    t = np.log(a / b) + np.linspace(-4.0, 4.0, 41) * min(np.sqrt(1 / a + 1 / b), 100.0)
    for one, other in ((a, b), (b, a)):
        sign = 1.0 if one is a else -1.0
        law = BetaLaw(np.full((1, 41), one), np.full((1, 41), other))
        p, q = expit(sign * t), expit(-sign * t)
        expected = np.where(p < 0.5, betainc(one, other, p), betaincc(other, one, q))
        below = beta_tail(law.a, law.b, sign * t, True, law.log_peak())[0]
        above = beta_tail(law.a, law.b, sign * t, False, law.log_peak())[0]
        np.testing.assert_allclose(below, expected, rtol=1e-7, atol=2e-10)
        np.testing.assert_allclose(below + above, 1.0, atol=1e-12)


def test_quantiles_of_one_node_are_those_of_the_distribution():
    for alpha, beta, y, n in [(5, 95, 2, 20), (0.02, 3.0, 0, 10), (1e6, 2e6, 1, 2), (4.0, 0.1, 7, 7), (3e5, 20, 0, 1)]:
        at = summarise_proportions(ONE * alpha, ONE * beta, ONE, _one_pair(y, n), PROBABILITIES)
        a, b = alpha + y, beta + n - y
        np.testing.assert_allclose(at.quantiles[0], betaincinv(a, b, PROBABILITIES), rtol=1e-8)
    for alpha, beta, y, n in [(5, 95, 2, 20.0), (0.05, 3.0, 0, 10.0), (1e6, 2e6, 1, 2.5)]:
        rates = summarise_rates(ONE * alpha, ONE * beta, ONE, _one_pair(y, n), PROBABILITIES)
        np.testing.assert_allclose(rates.quantiles[0], gammaincinv(alpha + y, PROBABILITIES) / (beta + n), rtol=1e-8)


def test_tiny_quantiles_are_relatively_accurate():
    # p to the power a over a B(a, b) is the lower tail of tiny p
    alpha, beta = 0.1, 2.0
    at = summarise_proportions(ONE * alpha, ONE * beta, ONE, _one_pair(0, 3), np.array([0.05, 0.5]))
    p = at.quantiles[0, 0]
    assert p < 2e-12
    assert betainc(alpha, beta + 3, p) == pytest.approx(0.05, rel=1e-7 * alpha)
    tiny = summarise_proportions(ONE * 1e-6, ONE * beta, ONE, _one_pair(0, 3), np.array([0.05]))
    assert tiny.linear_quantiles[0, 0] == pytest.approx(np.log(0.05) / 1e-6, rel=1e-4)
    mirrored = summarise_proportions(ONE * beta, ONE * alpha, ONE, _one_pair(3, 3), np.array([0.95]))
    assert mirrored.linear_quantiles[0, 0] == pytest.approx(-at.linear_quantiles[0, 0], rel=1e-9)


def test_complete_pooling_is_a_point():
    at = summarise_proportions(ONE * 0.3e12, ONE * 0.7e12, ONE, _one_pair(5, 10), PROBABILITIES)
    assert at.mean[0] == pytest.approx(0.3, abs=1e-11)
    assert at.sd[0] == pytest.approx(np.sqrt(0.21e-12), rel=1e-6)
    z = (at.quantiles[0] - 0.3) / np.sqrt(0.21e-12)
    np.testing.assert_allclose(z[[1, 3, 5]], [-1.959964, 0.0, 1.959964], atol=2e-4)
    rate = summarise_rates(ONE * 0.3e12, ONE * 1e12, ONE, _one_pair(5, 10.0), PROBABILITIES)
    z = (rate.quantiles[0] - 0.3) / np.sqrt(0.3e-12)
    np.testing.assert_allclose(z[[1, 3, 5]], [-1.959964, 0.0, 1.959964], atol=2e-4)


def test_a_group_without_data_has_the_population():
    at = summarise_proportions(ONE * 2.0, ONE * 6.0, ONE, _one_pair(0, 0), PROBABILITIES)
    assert (at.mean[0], at.pooling[0]) == (pytest.approx(0.25), 0.0)
    np.testing.assert_allclose(at.quantiles[0], betaincinv(2.0, 6.0, PROBABILITIES), rtol=1e-8)
    rate = summarise_rates(ONE * 2.0, ONE * 6.0, ONE, _one_pair(0, 0), PROBABILITIES)
    np.testing.assert_allclose(rate.quantiles[0], gammaincinv(2.0, PROBABILITIES) / 6.0, rtol=1e-8)


def test_nodes_of_very_different_widths_mix():
    alpha, beta = np.array([0.05, 30.0, 3e9]), np.array([0.9, 500.0, 7e10])
    weights = np.array([0.2, 0.5, 0.3])
    pairs = collapse_pairs(np.array([0.0, 3.0, 9.0]), np.array([4.0, 30.0, 9.0]))
    at = summarise_proportions(alpha, beta, weights, pairs, PROBABILITIES)
    for row in range(3):
        a, b = alpha + pairs.values[row], beta + pairs.failures[row]
        below = [weights @ betainc(a, b, q) for q in at.quantiles[row]]
        np.testing.assert_allclose(below, PROBABILITIES, rtol=1e-7, atol=1e-9)


def test_the_trigamma_function():
    x = np.concatenate([np.geomspace(1e-8, 1e12, 300), [11.999999, 12.0]])
    np.testing.assert_allclose(trigamma(x), polygamma(1, x), rtol=1e-13)


def test_pairs_summarised_together_are_those_summarised_alone():
    rng = np.random.default_rng(1)
    n = rng.integers(30, 1500, 14_000)
    pairs = collapse_pairs(rng.binomial(n, rng.beta(5, 95, 14_000)).astype(float), n.astype(float))
    alpha, beta, weights = rng.normal(5, 0.1, 64), rng.normal(95, 2, 64), np.full(64, 1 / 64)
    together = summarise_proportions(alpha, beta, weights, pairs, np.array([0.025, 0.5, 0.975]))
    for k in (0, 5_000, len(pairs.values) - 1):
        one = _one_pair(pairs.values[k], pairs.sizes[k])
        alone = summarise_proportions(alpha, beta, weights, one, np.array([0.025, 0.5, 0.975]))
        np.testing.assert_allclose(together.quantiles[k], alone.quantiles[0], rtol=1e-8)
        np.testing.assert_allclose(together.mean[k], alone.mean[0], rtol=1e-12)

"""Predictive probabilities and quantiles of counts against scipy.stats and against sums over every count."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from scipy import stats

from partialpool.inference.conjugate import predictive_quantiles
from partialpool.inference.conjugate.predictive import counts_log_pmf, successes_log_pmf
from partialpool.inference.conjugate.predictive_quantiles import counts_quantiles, successes_quantiles

from . import exact

PROBABILITIES = np.array([0.001, 0.025, 0.5, 0.975, 0.999])


@pytest.mark.parametrize(("a", "b"), [(5.0, 95.0), (1e-8, 2.0), (0.3, 1e12), (3e11, 7e11), (40.0, 0.5)])
def test_log_pmfs_are_exact(a, b):
    counts, size = np.array([0.0, 1.0, 17.0, 399.0, 400.0]), 400.0
    for log_pmf, truth in ((successes_log_pmf, exact.beta_binomial), (counts_log_pmf, exact.gamma_poisson)):
        for y, value in zip(counts, log_pmf(counts, size, a, b), strict=True):
            expected = truth(a, b, y, size)
            assert abs(float(Decimal(float(value)) - expected)) <= max(2e-14, 1e-12 * abs(float(expected)))


@pytest.mark.parametrize(("a", "b"), [(5.0, 95.0), (0.05, 2.0), (40.0, 0.5)])
@pytest.mark.parametrize("size", [1.0, 7.0, 400.0, 20_000.0])
def test_quantiles_of_one_node(a, b, size):
    shapes = np.array([[a]]), np.array([[b]])
    found = successes_quantiles(np.array([size]), *shapes, np.ones(1), PROBABILITIES)[0]
    np.testing.assert_array_equal(found, stats.betabinom.ppf(PROBABILITIES, int(size), a, b))
    found = counts_quantiles(np.array([size]), *shapes, np.ones(1), PROBABILITIES)[0]
    np.testing.assert_allclose(found, stats.nbinom.ppf(PROBABILITIES, a, b / (b + size)), atol=0.5)


def test_quantiles_of_mixtures_with_nodes_of_each_row():
    a, b = np.array([[0.4, 3.0], [9.0, 60.0]]), np.array([[4.0, 20.0], [40.0, 900.0]])
    weights, sizes = np.array([0.3, 0.7]), np.array([50.0, 3000.0])
    found = successes_quantiles(sizes, a, b, weights, PROBABILITIES)
    counts = counts_quantiles(sizes, a, b, weights, PROBABILITIES)
    for row, size in enumerate(sizes):
        k = np.arange(size + 1)
        cdf = weights @ np.stack([stats.betabinom.cdf(k, int(size), a[i, row], b[i, row]) for i in range(2)])
        np.testing.assert_array_equal(found[row], np.searchsorted(cdf, PROBABILITIES))
        k = np.arange(20 * size)
        cdf = weights @ np.stack([stats.nbinom.cdf(k, a[i, row], b[i, row] / (b[i, row] + size)) for i in range(2)])
        np.testing.assert_array_equal(counts[row], np.searchsorted(cdf, PROBABILITIES))


@pytest.mark.parametrize(("a", "b"), [(5.0, 95.0), (0.05, 2.0), (0.3, 0.3), (2e4, 6e4), (3e11, 7e11)])
def test_long_windows_agree_with_sums_over_every_count(a, b, monkeypatch):
    weights, shapes = np.array([0.4, 0.6]), (np.array([[a], [1.3 * a]]), np.array([[b], [b]]))
    sizes = np.array([30_000.0])
    short = [f(sizes, *shapes, weights, PROBABILITIES) for f in (successes_quantiles, counts_quantiles)]
    monkeypatch.setattr(predictive_quantiles, "_SHORT", 100)
    knots = [f(sizes, *shapes, weights, PROBABILITIES) for f in (successes_quantiles, counts_quantiles)]
    monkeypatch.setattr(predictive_quantiles, "_SHORT", 10**7)
    every = [f(sizes, *shapes, weights, PROBABILITIES) for f in (successes_quantiles, counts_quantiles)]
    np.testing.assert_array_equal(short[0], every[0])
    np.testing.assert_array_equal(knots[0], every[0])
    np.testing.assert_allclose(knots[1], every[1], atol=1.0)


def test_a_count_of_millions_has_quantiles_of_its_rate():
    found = successes_quantiles(np.array([1e9]), np.array([[50.0]]), np.array([[900.0]]), np.ones(1), PROBABILITIES)[0]
    np.testing.assert_allclose(found / 1e9, stats.beta.ppf(PROBABILITIES, 50, 900), rtol=1e-6)
    assert np.array_equal(found, np.rint(found))

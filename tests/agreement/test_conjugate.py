"""Conjugate groups against numerical integrals, brute-force mixtures and numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.integrate import quad

from partialpool.inference.conjugate import beta_binomial, gamma_poisson
from partialpool.inference.conjugate.conditional import summarise_proportions, summarise_rates

from .pairs import collapse_pairs

DATA = [(2.0, 20.0), (0.0, 7.0), (5.0, 5.0), (14.0, 60.0), (2.0, 20.0)]
NODES = np.array([0.7, 5.0, 14.0, 2.0]), np.array([3.0, 95.0, 90.0, 8.0])
WEIGHTS = np.array([0.1, 0.4, 0.3, 0.2])
PROBABILITIES = np.array([0.001, 0.025, 0.25, 0.5, 0.9, 0.975])


def _pairs():
    values, sizes = np.array(DATA).T
    return collapse_pairs(values, sizes)


def test_log_marginals_are_the_integrals_over_the_population():
    for row, (alpha, beta) in enumerate(zip(*NODES, strict=True)):
        binomial = poisson = 0.0
        for y, n in DATA:
            population = stats.beta(alpha, beta)
            integral = quad(lambda p, y=y, n=n, d=population: stats.binom.pmf(y, n, p) * d.pdf(p), 0, 1, epsrel=1e-11)
            binomial += math.log(integral[0])
            rates = stats.gamma(alpha, scale=1 / beta)
            integral = quad(
                lambda r, y=y, n=n, d=rates: stats.poisson.pmf(y, n * r) * d.pdf(r), 0, 20, points=[0.1, 1], limit=200
            )
            poisson += math.log(integral[0])
        assert beta_binomial.log_marginal(*NODES, _pairs())[row] == pytest.approx(binomial, rel=1e-8)
        assert gamma_poisson.log_marginal(*NODES, _pairs())[row] == pytest.approx(poisson, rel=1e-6)


@pytest.mark.parametrize("kind", ["beta", "gamma"])
def test_posteriors_are_mixtures_over_nodes(kind):
    pairs = _pairs()
    summarise = summarise_proportions if kind == "beta" else summarise_rates
    found = summarise(*NODES, WEIGHTS, pairs, PROBABILITIES)
    for row, (y, n) in enumerate(zip(pairs.values, pairs.sizes, strict=True)):
        parts = [
            stats.beta(a + y, b + n - y) if kind == "beta" else stats.gamma(a + y, scale=1 / (b + n))
            for a, b in zip(*NODES, strict=True)
        ]
        _check_one(found, row, parts, kind)
        total = NODES[1] + n + (NODES[0] if kind == "beta" else 0.0)
        assert found.pooling[row] == pytest.approx(WEIGHTS @ (n / total), rel=1e-13)


def _check_one(found, row, parts, kind):
    def density(x):
        return sum(w * part.pdf(x) for w, part in zip(WEIGHTS, parts, strict=True))

    def average(function):
        end = 1.0 if kind == "beta" else 30.0
        return quad(lambda x: function(x) * density(x), 0.0, end, points=[0.05, 0.1, 0.3, 0.9], limit=400)[0]

    def linear(x):
        return math.log(x / (1 - x)) if kind == "beta" else math.log(x)

    mean, linear_mean = average(lambda x: x), average(linear)
    assert found.mean[row] == pytest.approx(mean, rel=1e-7)
    assert found.sd[row] == pytest.approx(average(lambda x: (x - mean) ** 2) ** 0.5, rel=1e-7)
    assert found.linear_mean[row] == pytest.approx(linear_mean, rel=1e-5)
    assert found.linear_sd[row] == pytest.approx(average(lambda x: (linear(x) - linear_mean) ** 2) ** 0.5, rel=1e-5)
    for probability, quantile, on_linear in zip(
        PROBABILITIES, found.quantiles[row], found.linear_quantiles[row], strict=True
    ):

        def excess(x, probability=probability):
            return sum(w * part.cdf(x) for w, part in zip(WEIGHTS, parts, strict=True)) - probability

        root = optimize.brentq(excess, 1e-15, 1 - 1e-15 if kind == "beta" else 30.0, xtol=1e-16, rtol=1e-14)
        assert quantile == pytest.approx(root, rel=1e-8)
        assert on_linear == pytest.approx(linear(root), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize(
    ("alpha", "beta", "y", "n", "mean", "weight"),
    [
        (5, 95, 2, 20, 0.058333, 0.1667),
        (10, 190, 2, 20, 0.054545, 0.0909),
        (10, 190, 40, 400, 0.083333, 0.6667),
        (6, 114, 3, 30, 0.06, 0.2),
        (6, 114, 20, 200, 0.08125, 0.625),
    ],
)
def test_worked_numbers(alpha, beta, y, n, mean, weight):
    pairs = collapse_pairs(np.array([float(y)]), np.array([float(n)]))
    found = summarise_proportions(
        np.array([float(alpha)]), np.array([float(beta)]), np.ones(1), pairs, np.array([0.025, 0.975])
    )
    assert found.mean[0] == pytest.approx(mean, abs=6e-7)
    assert found.pooling[0] == pytest.approx(weight, abs=6e-5)
    if (alpha, n) == (5, 20):
        assert found.sd[0] == pytest.approx(0.021307, abs=6e-7)
        np.testing.assert_allclose(found.quantiles[0], [0.02397, 0.10652], atol=6e-6)

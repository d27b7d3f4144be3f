"""Log marginals and their gradients against decimal arithmetic, from tiny shapes to complete pooling."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest

from partialpool.inference.conjugate import beta_binomial, gamma_poisson

from ....agreement.pairs import collapse_pairs
from . import exact

SHAPES = [
    (5.0, 95.0), (1e-8, 1e-8), (1e-8, 3.0), (0.3, 1e12), (3e11, 7e11), (1e6, 1e12), (50.0, 2.0), (1e12, 40.0),
    (7e11, 1e-8), (1e-3, 1e9),
]  # fmt: skip
TRIALS = [(0, 1), (1, 1), (2, 20), (0, 20), (20, 20), (40, 400), (9999, 10_000)]
MANY_TRIALS = [(3, 10**7), (0, 10**7), (10**7, 10**7), (3 * 10**6, 10**7)]
EXPOSURES = [(0, 1.0), (1, 1.0), (2, 20.0), (0, 1e-6), (20, 0.5), (3, 1e7), (40, 400.0)]
MANY_COUNTS = [(10**7, 1.1e7), (10**6, 30.0)]


def _pairs(data):
    values, sizes = np.array(data, dtype=np.float64).T
    return collapse_pairs(values, sizes)


def _check(value, expected):
    # small logs are accurate in absolute terms, which is what sums over groups need
    assert abs(float(Decimal(float(value)) - expected)) <= max(2e-14, 1e-12 * abs(float(expected)))


def _slope(function, alpha, beta, *data):
    """Return derivatives by alpha and beta by central differences of 60 digits."""
    alpha, beta = Decimal(alpha), Decimal(beta)
    h, k = alpha * Decimal("1e-20"), beta * Decimal("1e-20")
    by_alpha = (function(alpha + h, beta, *data) - function(alpha - h, beta, *data)) / (2 * h)
    return by_alpha, (function(alpha, beta + k, *data) - function(alpha, beta - k, *data)) / (2 * k)


@pytest.mark.parametrize(("alpha", "beta"), SHAPES)
@pytest.mark.parametrize("by", ["steps", "pairs"])
def test_beta_binomial_is_exact(alpha, beta, by):
    function = {"steps": beta_binomial._value_by_steps, "pairs": beta_binomial._value_by_pairs}[by]
    for y, n in TRIALS + (MANY_TRIALS if by == "pairs" else []):
        value = function(np.array([alpha]), np.array([beta]), _pairs([(y, n)]))[0]
        _check(value, exact.beta_binomial(alpha, beta, y, n))


@pytest.mark.parametrize(("alpha", "beta"), SHAPES)
@pytest.mark.parametrize("by", ["steps", "pairs"])
def test_gamma_poisson_is_exact(alpha, beta, by):
    function = {"steps": gamma_poisson._value_by_steps, "pairs": gamma_poisson._value_by_pairs}[by]
    for y, exposure in EXPOSURES + (MANY_COUNTS if by == "pairs" else []):
        value = function(np.array([alpha]), np.array([beta]), _pairs([(y, exposure)]))[0]
        _check(value, exact.gamma_poisson(alpha, beta, y, exposure))


@pytest.mark.parametrize(("alpha", "beta"), SHAPES)
@pytest.mark.parametrize("by", ["steps", "pairs"])
@pytest.mark.parametrize("kind", ["beta", "gamma"])
def test_gradients_are_exact(alpha, beta, by, kind):
    family, truth, data = {
        "beta": (beta_binomial, exact.beta_binomial, TRIALS),
        "gamma": (gamma_poisson, exact.gamma_poisson, EXPOSURES),
    }[kind]
    function = {"steps": family._slopes_by_steps, "pairs": family._slopes_by_pairs}[by]
    for y, size in data:
        slopes = function(np.array([alpha]), np.array([beta]), _pairs([(y, size)]))
        for slope, shape, expected in zip(slopes, (alpha, beta), _slope(truth, alpha, beta, y, size), strict=True):
            # on the log scale of the shape, to which what the data say is of the order of their number
            error = shape * abs(float(Decimal(float(slope[0])) - expected))
            assert error <= 1e-11 * max(1.0, shape * abs(float(expected)))


@pytest.mark.parametrize(("y", "n"), [(40, 400), (3, 20), (150_000, 10**6)])
def test_complete_pooling_is_the_binomial_likelihood(y, n):
    value = beta_binomial.log_marginal(np.array([0.3e12]), np.array([0.7e12]), _pairs([(y, n)]))[0]
    limit = (
        math.lgamma(n + 1) - math.lgamma(y + 1) - math.lgamma(n - y + 1) + y * math.log(0.3) + (n - y) * math.log(0.7)
    )
    # the excess over the binomial is of the order of n squared over alpha + beta
    assert value == pytest.approx(limit, abs=1e-9 + 2.0 * n**2 / 1e12)
    if n > 20:
        assert value < -20.0


def test_complete_pooling_of_many_groups_is_the_pooled_likelihood():
    rng = np.random.default_rng(4)
    n = rng.integers(5, 60, 200).astype(float)
    y = np.asarray(rng.binomial(n.astype(int), 0.08), dtype=float)
    pairs = collapse_pairs(y, n)
    log_c = sum(math.lgamma(m + 1) - math.lgamma(k + 1) - math.lgamma(m - k + 1) for k, m in zip(y, n, strict=True))
    limit = y.sum() * math.log(0.08) + (n - y).sum() * math.log(0.92) + log_c
    assert beta_binomial.log_marginal(np.array([0.08e12]), np.array([0.92e12]), pairs)[0] == pytest.approx(
        limit, abs=1e-6
    )
    poisson = sum(k * math.log(0.08 * m) - 0.08 * m - math.lgamma(k + 1) for k, m in zip(y, n, strict=True))
    assert gamma_poisson.log_marginal(np.array([0.08e12]), np.array([1e12]), pairs)[0] == pytest.approx(
        poisson, abs=1e-6
    )


@pytest.mark.parametrize("family", [beta_binomial, gamma_poisson])
def test_the_two_ways_agree_on_many_groups_and_nodes(family):
    rng = np.random.default_rng(5)
    n = rng.integers(1, 3000, 5000)
    pairs = collapse_pairs(rng.binomial(n, rng.beta(2, 20, 5000)).astype(float), n.astype(float))
    alpha, beta = np.exp(rng.normal(0, 3, 37)), np.exp(rng.normal(2, 3, 37))
    np.testing.assert_allclose(
        family._value_by_steps(alpha, beta, pairs), family._value_by_pairs(alpha, beta, pairs), rtol=1e-11
    )
    for one, other in zip(
        family._slopes_by_steps(alpha, beta, pairs), family._slopes_by_pairs(alpha, beta, pairs), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("family", [beta_binomial, gamma_poisson])
def test_the_gradient_comes_with_the_value(family):
    pairs = _pairs([(2, 20), (0, 7), (3, 9), (3, 9)])
    alpha, beta = np.array([0.4, 30.0]), np.array([9.0, 2.0])
    at = family.log_marginal_gradient(alpha, beta, pairs)
    np.testing.assert_array_equal(at.value, family.log_marginal(alpha, beta, pairs))
    h = 1e-5
    by_alpha = (family.log_marginal(alpha + h, beta, pairs) - family.log_marginal(alpha - h, beta, pairs)) / (2 * h)
    by_beta = (family.log_marginal(alpha, beta + h, pairs) - family.log_marginal(alpha, beta - h, pairs)) / (2 * h)
    np.testing.assert_allclose(at.by_alpha, by_alpha, rtol=1e-6)
    np.testing.assert_allclose(at.by_beta, by_beta, rtol=1e-6)


@pytest.mark.parametrize("family", [beta_binomial, gamma_poisson])
def test_groups_without_data_say_nothing(family):
    nothing = _pairs([(0, 0.0)])
    shapes = np.array([0.1, 30.0, 1e12])
    for function in (family._value_by_pairs, family.log_marginal):
        np.testing.assert_allclose(function(shapes, 2 * shapes, nothing), 0.0, atol=1e-14)

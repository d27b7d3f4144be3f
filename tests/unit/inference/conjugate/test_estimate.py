"""Point estimates of populations: recovery, stationarity, and complete pooling."""

from __future__ import annotations

import math

import numpy as np
import pytest

from partialpool.errors import DataError
from partialpool.inference.conjugate import beta_binomial, gamma_poisson
from partialpool.inference.conjugate.estimate import by_moments
from partialpool.inference.conjugate.maximum_likelihood import by_maximum_likelihood

from ....agreement.pairs import collapse_pairs


def _data(kind, n_groups, seed, spread=1.0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 400, n_groups).astype(float)
    if kind == "beta":
        values = rng.binomial(sizes.astype(int), rng.beta(5 / spread, 95 / spread, n_groups))
    else:
        values = rng.poisson(sizes * rng.gamma(5 / spread, spread / 95, n_groups))
    return collapse_pairs(values.astype(float), sizes)


@pytest.mark.parametrize("kind", ["beta", "gamma"])
@pytest.mark.parametrize("estimate", [by_moments, by_maximum_likelihood])
def test_estimates_recover_the_population(kind, estimate):
    found = estimate(kind, _data(kind, 20_000, 1))
    assert found.alpha == pytest.approx(5.0, rel=0.05)
    assert found.beta == pytest.approx(95.0, rel=0.05)
    total = found.alpha + found.beta
    assert found.concentration == pytest.approx(total if kind == "beta" else found.beta)
    assert found.mean == pytest.approx(found.alpha / found.concentration)
    assert not found.pooled


@pytest.mark.parametrize("kind", ["beta", "gamma"])
@pytest.mark.parametrize("spread", [0.02, 1.0, 60.0])
def test_the_maximum_is_stationary_and_highest(kind, spread):
    pairs = _data(kind, 300, 2, spread)
    family = beta_binomial if kind == "beta" else gamma_poisson
    found = by_maximum_likelihood(kind, pairs)
    assert not found.pooled
    at = family.log_marginal_gradient(np.array([found.alpha]), np.array([found.beta]), pairs)
    assert abs(found.alpha * at.by_alpha[0]) < 1e-4
    assert abs(found.beta * at.by_beta[0]) < 1e-4
    around = np.exp(np.random.default_rng(3).normal(0, 2, (2, 500)))
    assert family.log_marginal(found.alpha * around[0], found.beta * around[1], pairs).max() <= at.value[0] + 1e-9


@pytest.mark.parametrize("kind", ["beta", "gamma"])
def test_groups_that_differ_less_than_by_chance_are_pooled(kind):
    sizes = np.array([50.0, 100.0, 200.0, 100.0])
    pairs = collapse_pairs(np.round(0.1 * sizes), sizes)
    found = by_maximum_likelihood(kind, pairs)
    assert found.pooled
    assert math.isinf(found.concentration)
    assert found.mean == pytest.approx(0.1, rel=1e-12)
    with pytest.raises(DataError, match="complete pooling fits"):
        by_moments(kind, pairs)


def test_estimates_of_equal_trials_are_the_textbook_ones():
    y, n = np.array([1.0, 4.0, 2.0, 9.0, 3.0, 0.0]), np.full(6, 20.0)
    p = y / n
    mean, variance = p.mean(), p.var(ddof=1)
    sampling = mean * (1 - mean)
    # Var p = m (1 - m) (1 + (n - 1) share) / n, where m (1 - m) is not corrected for its own bias
    share = (20 * variance / sampling - 1) / 19
    found = by_moments("beta", collapse_pairs(y, n))
    assert found.mean == pytest.approx(mean)
    assert found.concentration == pytest.approx(1 / share - 1)
    rate = by_moments("gamma", collapse_pairs(y, n))
    assert mean / rate.concentration == pytest.approx(variance - mean / 20)


def test_data_that_say_nothing_are_refused():
    ones = np.ones(4)
    for estimate in (by_moments, by_maximum_likelihood):
        for values, sizes, kind, message in (
            (0 * ones, 5 * ones, "beta", "no group has any successes"),
            (0 * ones, 5 * ones, "gamma", "no group has any counts"),
            (5 * ones, 5 * ones, "beta", "no group has any failures"),
            (np.array([0.0, 1, 1, 0]), ones, "beta", "one trial"),
            (np.ones(1), 5 * np.ones(1), "beta", "one group"),
            (np.array([0.0, 5, 5, 0]), 5 * ones, "beta", "give the population's parameters priors"),
        ):
            with pytest.raises(DataError, match=message):
                estimate(kind, collapse_pairs(values, sizes))

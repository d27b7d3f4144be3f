"""Log marginal likelihoods of groups' successes whose probabilities have a beta population.

A group has C(n, y) B(y + alpha, n - y + beta) / B(alpha, beta) (Skellam 1948). Either the rising factorials of all
groups are summed step by step, written as ratios to alpha + beta so that nothing cancels where the population narrows
to a point; or, where numbers are larger than pairs are many, each pair gives the deviances of the data and of the
population from the posterior mean, plus what Stirling's formula leaves (Loader 2000 has it for the binomial).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.inference.conjugate.pairs import Pairs
from partialpool.inference.conjugate.rising_sums import digamma_steps, log_gamma_steps, sum_over_steps, tiles
from partialpool.inference.laws.deviance import deviance, log_posterior_over_prior
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.gamma_differences import log_gamma_excess

# A pair costs as much as this many steps; beyond these steps rounding in sums of logs shows.
_STEPS_PER_PAIR = 8
_MOST_STEPS = 2**18


class LogMarginal(NamedTuple):
    """A log marginal likelihood (node,) and its derivatives by alpha and beta (node,)."""

    value: FloatArray
    by_alpha: FloatArray
    by_beta: FloatArray


def log_marginal(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> FloatArray:
    """Return the log probability (node,) of all groups' successes given ``alpha`` and ``beta`` (node,)."""
    alpha, beta = np.asarray(alpha, dtype=np.float64), np.asarray(beta, dtype=np.float64)
    return _value_by_steps(alpha, beta, pairs) if _few_steps(pairs) else _value_by_pairs(alpha, beta, pairs)


def log_probabilities(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> FloatArray:
    """Return the log probability (pair, node) of each pair's successes given ``alpha`` and ``beta`` (node,)."""
    y, failures, n = (column[:, None] for column in (pairs.values, pairs.failures, pairs.sizes))
    at = _posterior(alpha[:, None], beta[:, None], pairs, slice(None))
    p, q, excess = at.p.T, at.q.T, at.excess.T
    total = alpha + beta
    lost = deviance(n * p, excess, (y == 0.0).astype(np.float64))
    lost += deviance(n * q, -excess, (failures == 0.0).astype(np.float64))
    lost += deviance(total * p, -excess) + deviance(total * q, excess)
    constant = factorial_excess(n) - factorial_excess(y) - factorial_excess(failures)
    raised = excess_step(alpha, y) + excess_step(beta, failures) - excess_step(total, n)
    return np.asarray(constant - lost + raised)


def log_marginal_gradient(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> LogMarginal:
    """Return ``log_marginal`` and its derivatives by alpha and beta (node,)."""
    alpha, beta = np.asarray(alpha, dtype=np.float64), np.asarray(beta, dtype=np.float64)
    if _few_steps(pairs):
        return LogMarginal(_value_by_steps(alpha, beta, pairs), *_slopes_by_steps(alpha, beta, pairs))
    return LogMarginal(_value_by_pairs(alpha, beta, pairs), *_slopes_by_pairs(alpha, beta, pairs))


def _few_steps(pairs: Pairs) -> bool:
    if not (pairs.whole_values and pairs.whole_sizes):
        return False
    steps = float(pairs.values.max(initial=0.0) + pairs.failures.max(initial=0.0) + pairs.sizes.max(initial=0.0))
    return steps <= min(_MOST_STEPS, max(256, _STEPS_PER_PAIR * len(pairs.values)))


def _value_by_steps(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> FloatArray:
    value = np.full(len(alpha), pairs.log_combinations)
    for chosen, smaller, lesser, greater in (
        (alpha <= beta, alpha, pairs.value_tails, pairs.failure_tails),
        (alpha > beta, beta, pairs.failure_tails, pairs.value_tails),
    ):
        if chosen.any():
            total = (alpha + beta)[chosen]
            value[chosen] += _sum_ratios(smaller[chosen], total, lesser, greater, pairs.size_tails)
    return value


def _sum_ratios(
    smaller: FloatArray, total: FloatArray, lesser: FloatArray, greater: FloatArray, every: FloatArray
) -> FloatArray:
    """Sum logs of (smaller + i) / total, (larger + i) / total and total / (total + i) by their tails."""
    a, inverse, n_nodes = smaller[:, None], 1.0 / total[:, None], len(total)
    low = sum_over_steps(n_nodes, lesser, lambda nodes, i: np.log((a[nodes] + i) * inverse[nodes]))
    high = sum_over_steps(n_nodes, greater, lambda nodes, i: np.log1p((i - a[nodes]) * inverse[nodes]))
    return low + high - sum_over_steps(n_nodes, every, lambda nodes, i: np.log1p(i * inverse[nodes]))


def _slopes_by_steps(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> tuple[FloatArray, FloatArray]:
    def inverses(a: FloatArray, tails: FloatArray) -> FloatArray:
        return sum_over_steps(len(a), tails, lambda nodes, i: 1.0 / (a[nodes, None] + i))

    common = inverses(alpha + beta, pairs.size_tails)
    return inverses(alpha, pairs.value_tails) - common, inverses(beta, pairs.failure_tails) - common


class _Posterior(NamedTuple):
    """Posterior means of p and 1 - p (node, pair), and the successes less size times mean of the population's pull."""

    p: FloatArray
    q: FloatArray
    excess: FloatArray


def _posterior(alpha: FloatArray, beta: FloatArray, pairs: Pairs, part: slice) -> _Posterior:
    y, failures = pairs.values[part], pairs.failures[part]
    inverse = 1.0 / (pairs.sizes[part] + (alpha + beta))
    return _Posterior((y + alpha) * inverse, (failures + beta) * inverse, (y * beta - failures * alpha) * inverse)


def _value_by_pairs(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> FloatArray:
    value = np.full(len(alpha), _stirling_constant(pairs))
    none, every = (pairs.values == 0.0).astype(np.float64), (pairs.failures == 0.0).astype(np.float64)
    for nodes, part in tiles(len(alpha), len(pairs.values)):
        a, b, n = alpha[nodes, None], beta[nodes, None], pairs.sizes[part]
        at = _posterior(a, b, pairs, part)
        lost = deviance(n * at.p, at.excess, none[part]) + deviance(n * at.q, -at.excess, every[part])
        lost += deviance((a + b) * at.p, -at.excess) + deviance((a + b) * at.q, at.excess)
        value[nodes] -= lost @ pairs.weights[part]
    value += log_gamma_steps(alpha, pairs.distinct_values) + log_gamma_steps(beta, pairs.distinct_failures)
    return np.asarray(value - log_gamma_steps(alpha + beta, pairs.distinct_sizes))


def _slopes_by_pairs(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> tuple[FloatArray, FloatArray]:
    by_alpha, by_beta = np.zeros(len(alpha)), np.zeros(len(alpha))
    for nodes, part in tiles(len(alpha), len(pairs.values)):
        a, b = alpha[nodes, None], beta[nodes, None]
        at = _posterior(a, b, pairs, part)
        by_alpha[nodes] += log_posterior_over_prior(a, at.excess, (a + b) * at.p) @ pairs.weights[part]
        by_beta[nodes] += log_posterior_over_prior(b, -at.excess, (a + b) * at.q) @ pairs.weights[part]
    common = digamma_steps(alpha + beta, pairs.distinct_sizes)
    by_alpha += digamma_steps(alpha, pairs.distinct_values) - common
    by_beta += digamma_steps(beta, pairs.distinct_failures) - common
    return by_alpha, by_beta


def _stirling_constant(pairs: Pairs) -> float:
    """Return the sum over groups of s(n) - s(y) - s(n - y), s(k) = log k! - k log k + k."""
    total = 0.0
    for sign, distinct in (
        (1.0, pairs.distinct_sizes),
        (-1.0, pairs.distinct_values),
        (-1.0, pairs.distinct_failures),
    ):
        total += sign * log_factorial_excess(distinct.values, distinct.weights)
    return total


def log_factorial_excess(values: FloatArray, weights: FloatArray) -> float:
    """Return the weighted sum of log k! - k log k + k."""
    return float(weights @ factorial_excess(values))


def factorial_excess(k: FloatArray) -> FloatArray:
    """Return log k! - k log k + k, which is 0 at k = 0."""
    positive = np.where(k > 0.0, k, 1.0)
    return np.where(k > 0.0, log_gamma_excess(positive) + np.log(positive), 0.0)


def excess_step(a: FloatArray, k: FloatArray) -> FloatArray:
    """Return g(a + k) - g(a), g(x) = log Gamma(x) - x log x + x, for ``a`` (node,) and ``k`` (pair, 1)."""
    return np.where(k > 0.0, log_gamma_excess(a + k) - log_gamma_excess(a), 0.0)

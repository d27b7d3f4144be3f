"""Log marginal likelihoods of groups' counts whose rates have a gamma population, alpha its shape and beta its rate.

A group with exposure E has E^y Gamma(y + alpha) beta^alpha / (y! Gamma(alpha) (beta + E)^(y + alpha)) (Greenwood and
Yule 1920); the two ways to sum over groups are those of ``beta_binomial``.
"""

from __future__ import annotations

import numpy as np

from partialpool.inference.conjugate.beta_binomial import (
    LogMarginal,
    excess_step,
    factorial_excess,
    log_factorial_excess,
)
from partialpool.inference.conjugate.pairs import Pairs
from partialpool.inference.conjugate.rising_sums import digamma_steps, log_gamma_steps, sum_over_steps, tiles
from partialpool.inference.laws.deviance import deviance, log_posterior_over_prior
from partialpool.numerics.arrays import FloatArray

_STEPS_PER_PAIR = 20
_MOST_STEPS = 2**18


def log_marginal(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> FloatArray:
    """Return the log probability (node,) of all groups' counts given ``alpha`` and ``beta`` (node,)."""
    alpha, beta = np.asarray(alpha, dtype=np.float64), np.asarray(beta, dtype=np.float64)
    return _value_by_steps(alpha, beta, pairs) if _few_steps(pairs) else _value_by_pairs(alpha, beta, pairs)


def log_probabilities(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> FloatArray:
    """Return the log probability (pair, node) of each pair's count given ``alpha`` and ``beta`` (node,)."""
    y, exposure = pairs.values[:, None], pairs.sizes[:, None]
    rate, excess = (part.T for part in _posterior(alpha[:, None], beta[:, None], pairs, slice(None)))
    lost = deviance(exposure * rate, excess, (y == 0.0).astype(np.float64)) + deviance(beta * rate, -excess)
    return np.asarray(excess_step(alpha, y) - factorial_excess(y) - lost)


def log_marginal_gradient(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> LogMarginal:
    """Return ``log_marginal`` and its derivatives by alpha and beta (node,)."""
    alpha, beta = np.asarray(alpha, dtype=np.float64), np.asarray(beta, dtype=np.float64)
    if _few_steps(pairs):
        return LogMarginal(_value_by_steps(alpha, beta, pairs), *_slopes_by_steps(alpha, beta, pairs))
    return LogMarginal(_value_by_pairs(alpha, beta, pairs), *_slopes_by_pairs(alpha, beta, pairs))


def _few_steps(pairs: Pairs) -> bool:
    steps = float(pairs.values.max(initial=0.0))
    return pairs.whole_values and steps <= min(_MOST_STEPS, max(256, _STEPS_PER_PAIR * len(pairs.values)))


def _value_by_steps(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> FloatArray:
    """Sum logs of (alpha + i) / beta, and of beta / (beta + E) as often as the posterior's shape."""
    value = np.full(len(alpha), pairs.log_arrangements)
    inverse = 1.0 / beta
    value += sum_over_steps(
        len(alpha), pairs.value_tails, lambda nodes, i: np.log((alpha[nodes, None] + i) * inverse[nodes, None])
    )
    exposures, weights = pairs.distinct_sizes
    for nodes, part in tiles(len(alpha), len(exposures)):
        logs = np.log1p(exposures[part] * inverse[nodes, None])
        value[nodes] -= alpha[nodes] * (logs @ weights[part]) + logs @ pairs.values_by_size[part]
    return value


def _slopes_by_steps(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> tuple[FloatArray, FloatArray]:
    by_alpha = sum_over_steps(len(alpha), pairs.value_tails, lambda nodes, i: 1.0 / (alpha[nodes, None] + i))
    by_beta = np.zeros(len(alpha))
    exposures, weights = pairs.distinct_sizes
    for nodes, part in tiles(len(alpha), len(exposures)):
        b, exposure = beta[nodes, None], exposures[part]
        by_alpha[nodes] -= np.log1p(exposure / b) @ weights[part]
        # alpha / beta less the posterior mean, the count taken at its expectation given the exposure
        gaps = alpha[nodes, None] / b * exposure * weights[part] - pairs.values_by_size[part]
        by_beta[nodes] += (gaps / (b + exposure)).sum(axis=1)
    return by_alpha, by_beta


def _value_by_pairs(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> FloatArray:
    counts = pairs.distinct_values
    value = np.full(len(alpha), -log_factorial_excess(counts.values, counts.weights))
    none = (pairs.values == 0.0).astype(np.float64)
    for nodes, part in tiles(len(alpha), len(pairs.values)):
        rate, excess = _posterior(alpha[nodes, None], beta[nodes, None], pairs, part)
        lost = deviance(pairs.sizes[part] * rate, excess, none[part]) + deviance(beta[nodes, None] * rate, -excess)
        value[nodes] -= lost @ pairs.weights[part]
    return np.asarray(value + log_gamma_steps(alpha, counts))


def _slopes_by_pairs(alpha: FloatArray, beta: FloatArray, pairs: Pairs) -> tuple[FloatArray, FloatArray]:
    by_alpha, by_beta = np.zeros(len(alpha)), np.zeros(len(alpha))
    for nodes, part in tiles(len(alpha), len(pairs.values)):
        a, b = alpha[nodes, None], beta[nodes, None]
        rate, excess = _posterior(a, b, pairs, part)
        by_alpha[nodes] += log_posterior_over_prior(a, excess, b * rate) @ pairs.weights[part]
        by_beta[nodes] -= (excess / b) @ pairs.weights[part]
    return by_alpha + digamma_steps(alpha, pairs.distinct_values), by_beta


def _posterior(alpha: FloatArray, beta: FloatArray, pairs: Pairs, part: slice) -> tuple[FloatArray, FloatArray]:
    """Return posterior mean rates and the counts less their expectations at those (node, pair)."""
    y, exposure = pairs.values[part], pairs.sizes[part]
    inverse = 1.0 / (exposure + beta)
    return (y + alpha) * inverse, (y * beta - exposure * alpha) * inverse

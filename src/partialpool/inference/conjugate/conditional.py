"""Posteriors of groups' probabilities and rates: mixtures over hyperparameter nodes of betas and gammas.

Given a node a group of y among n has Beta(alpha + y, beta + n - y), one of y in exposure E Gamma(alpha + y, beta + E).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, expit, polygamma

from partialpool.inference.conjugate.pairs import Pairs
from partialpool.inference.conjugate.quantiles import mixture_quantiles
from partialpool.inference.laws.beta_gamma import BetaLaw, GammaLaw
from partialpool.numerics.arrays import FloatArray, IntArray

# Node-pair products held at a time.
_BLOCK = 2**15
_TRIGAMMA = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730)
_LARGE = 12.0


class Conditional(NamedTuple):
    """Posterior means and sds (pair,) of p or rate and of the linear predictor (logit p, log rate), their quantiles
    (pair, probability), and ``pooling``, the weight of a group's own estimate in its mean given a node, averaged."""

    mean: FloatArray
    sd: FloatArray
    quantiles: FloatArray
    linear_mean: FloatArray
    linear_sd: FloatArray
    linear_quantiles: FloatArray
    pooling: FloatArray


def summarise_proportions(
    alpha: FloatArray, beta: FloatArray, node_weights: FloatArray, pairs: Pairs, probabilities: FloatArray
) -> Conditional:
    """Summarise each pair's p over nodes of ``alpha``, ``beta`` and weights that sum to 1 (node,)."""
    a, b = _columns(alpha), _columns(beta)
    out = _empty(len(pairs.values), len(probabilities))
    for part in _blocks(len(alpha), len(pairs.values)):
        law = BetaLaw(a + pairs.values[part], b + pairs.failures[part])
        total = law.a + law.b
        mean = law.a / total
        within = mean * (law.b / total) / (total + 1.0)
        out.mean[part], out.sd[part] = _mix(mean, within, node_weights)
        out.pooling[part] = node_weights @ (pairs.sizes[part] / total)
        out.linear_quantiles[part] = mixture_quantiles(law, node_weights, probabilities)
    out.quantiles[:] = expit(out.linear_quantiles)
    successes, failures = _tables(alpha, pairs.values), _tables(beta, pairs.failures)
    for part in _blocks(len(alpha), len(pairs.values)):
        means = successes.means(part) - failures.means(part)
        out.linear_mean[part], out.linear_sd[part] = _mix(
            means, successes.variances(part) + failures.variances(part), node_weights
        )
    return out


def summarise_rates(
    alpha: FloatArray, beta: FloatArray, node_weights: FloatArray, pairs: Pairs, probabilities: FloatArray
) -> Conditional:
    """Summarise each pair's rate over nodes of ``alpha``, ``beta`` and weights that sum to 1 (node,)."""
    a, b = _columns(alpha), _columns(beta)
    out = _empty(len(pairs.values), len(probabilities))
    shapes = _tables(alpha, pairs.values)
    for part in _blocks(len(alpha), len(pairs.values)):
        law = GammaLaw(a + pairs.values[part], b + pairs.sizes[part])
        mean = law.a / law.b
        out.mean[part], out.sd[part] = _mix(mean, mean / law.b, node_weights)
        out.pooling[part] = node_weights @ (pairs.sizes[part] / law.b)
        out.linear_quantiles[part] = mixture_quantiles(law, node_weights, probabilities)
        out.linear_mean[part], out.linear_sd[part] = _mix(
            shapes.means(part) - np.log(law.b), shapes.variances(part), node_weights
        )
    out.quantiles[:] = np.exp(out.linear_quantiles)
    return out


class _LogMoments(NamedTuple):
    """Means and variances (node, distinct) of logs of gamma variables, and the position of each pair's."""

    mean: FloatArray
    variance: FloatArray
    position: IntArray

    def means(self, part: slice) -> FloatArray:
        """Means (node, pair) of some pairs."""
        return self.mean[:, self.position[part]]

    def variances(self, part: slice) -> FloatArray:
        """Variances (node, pair) of some pairs."""
        return self.variance[:, self.position[part]]


def _tables(prior: FloatArray, numbers: FloatArray) -> _LogMoments:
    """Tabulate log moments of gammas of shapes ``prior`` (node,) plus the distinct ``numbers``."""
    distinct, position = np.unique(numbers, return_inverse=True)
    shape = _columns(prior) + distinct
    return _LogMoments(digamma(shape), trigamma(shape), position)


def trigamma(x: FloatArray) -> FloatArray:
    """Return psi'(x), from 12 on by its asymptotic series (Abramowitz and Stegun 1964, 6.4.12)."""
    inverse = 1.0 / x
    square = inverse * inverse
    series = np.full_like(x, _TRIGAMMA[-1])
    for coefficient in _TRIGAMMA[-2::-1]:
        series *= square
        series += coefficient
    value = inverse * (1.0 + 0.5 * inverse + square * series)
    low = x < _LARGE
    if low.any():
        value[low] = polygamma(1, x[low])
    return np.asarray(value)


def _mix(means: FloatArray, variances: FloatArray, node_weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and sd (pair,) of mixtures of ``means`` and ``variances`` (node, pair)."""
    mean = node_weights @ means
    return mean, np.sqrt(node_weights @ (variances + (means - mean) ** 2))


def _columns(numbers: FloatArray) -> FloatArray:
    return np.asarray(numbers, dtype=np.float64)[:, None]


def _blocks(n_nodes: int, n_pairs: int) -> Iterator[slice]:
    length = max(1, _BLOCK // n_nodes)
    return (slice(start, min(start + length, n_pairs)) for start in range(0, n_pairs, length))


def _empty(n_pairs: int, n_probabilities: int) -> Conditional:
    single = [np.empty(n_pairs) for _ in range(5)]
    several = [np.empty((n_pairs, n_probabilities)) for _ in range(2)]
    return Conditional(single[0], single[1], several[0], single[2], single[3], several[1], single[4])

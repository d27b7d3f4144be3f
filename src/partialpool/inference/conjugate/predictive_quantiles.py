"""Quantiles of predictive counts: the least counts at which mixtures over nodes reach given probabilities.

Probabilities are summed over every count where a window of them is short. Where it is long they are taken at knots,
every count near the ends of the support, and sums between knots are integrals of a cubic spline with the
Euler-Maclaurin corrections (Abramowitz and Stegun 1964, 3.6.28).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from partialpool.inference.conjugate.predictive import Counts, ExposedCounts, Successes
from partialpool.numerics.arrays import FloatArray

# The longest window that is summed count by count.
_SHORT = 2**13
# The window starts at so many sds each way, and grows until less than this probability is left out.
_SDS = 8.0
_LEFT_OUT = 1e-10
_MOST_NODES = 0.99
_MOST_GROWTHS = 80
# A cdf this little below a probability has reached it but for rounding.
_ROUNDING = 1e-12
# Knots are the narrowest node's sd over this apart, and less than this part of the way to the ends of the support.
_KNOTS_PER_SD = 48.0
_KNOTS_PER_DECADE = 48.0
_MOST_KNOTS = 2**14


def successes_quantiles(
    sizes: FloatArray, a: FloatArray, b: FloatArray, node_weights: FloatArray, probabilities: FloatArray
) -> FloatArray:
    """Return counts (row, probability) among ``sizes`` (row,) trials; ``a``, ``b`` (node, row), of a known group its
    posterior's shapes alpha + y and beta + n - y, or (node, 1), of a new group alpha and beta."""
    return _of_rows(lambda size, one, other: Successes(size, one, other), sizes, a, b, node_weights, probabilities)


def counts_quantiles(
    exposures: FloatArray, a: FloatArray, b: FloatArray, node_weights: FloatArray, probabilities: FloatArray
) -> FloatArray:
    """Return counts (row, probability) in ``exposures`` (row,); ``a``, ``b`` (node, row), of a known group alpha + y
    and beta + E, or (node, 1), of a new group alpha and beta."""
    return _of_rows(
        lambda size, one, other: ExposedCounts(size, one, other), exposures, a, b, node_weights, probabilities
    )


def _of_rows(
    law: Callable[[float, FloatArray, FloatArray], Counts],
    sizes: FloatArray,
    a: FloatArray,
    b: FloatArray,
    node_weights: FloatArray,
    probabilities: FloatArray,
) -> FloatArray:
    shape = (len(node_weights), len(sizes))
    a, b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
    quantiles = np.empty((len(sizes), len(probabilities)))
    for row, size in enumerate(sizes):
        quantiles[row] = count_quantiles(law(float(size), a[:, [row]], b[:, [row]]), node_weights, probabilities)
    return quantiles


def count_quantiles(law: Counts, node_weights: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Return counts (probability,) of the mixture of one row's laws."""
    means, variances = law.moments()
    mean = float(node_weights @ means)
    reach = _reach_of_most(means, np.sqrt(variances), node_weights, mean) + _SDS
    highest = float(np.max(probabilities, initial=0.0))
    narrowest = math.sqrt(float(variances.min()))
    for _ in range(_MOST_GROWTHS):
        first, last = max(0.0, math.floor(mean - reach)), min(law.most, math.ceil(mean + reach))
        cdf = _Cdf(law, node_weights, first, last, narrowest)
        # from 0 on, sums need not go further than the highest quantile: tails may be long
        if 1.0 - cdf.sums[-1] < _LEFT_OUT or (first == 0.0 and (last == law.most or cdf.sums[-1] > highest)):
            break
        reach *= 2.0
    return np.array([cdf.reach(float(probability)) for probability in probabilities])


def _reach_of_most(means: FloatArray, sds: FloatArray, node_weights: FloatArray, mean: float) -> float:
    """Return how far from the ``mean`` the windows of nearly all nodes reach: a few far ones have moments without
    bound."""
    reaches = np.abs(means - mean) + _SDS * sds
    order = np.argsort(reaches)
    most = int(np.searchsorted(np.cumsum(node_weights[order]), _MOST_NODES))
    return float(reaches[order[min(most, len(order) - 1)]])


class _Cdf:
    """Probabilities of a window's counts, summed: at every count, or at knots with a spline between."""

    def __init__(self, law: Counts, node_weights: FloatArray, first: float, last: float, narrowest: float) -> None:
        if last - first < _SHORT:
            self.counts = np.arange(first, last + 1.0)
            steps = np.cumsum(law.log_ratio(self.counts[:-1]), axis=1)
            start = law.log_pmf(self.counts[:1])
            logs = np.concatenate([start, start + steps], axis=1)
            self.sums = np.cumsum(node_weights @ np.exp(logs))
            return
        self.counts = _knots(first, last, law.most, narrowest)
        self._spline(node_weights @ np.exp(law.log_pmf(self.counts)))

    def _spline(self, pmf: FloatArray) -> None:
        # imported here because it takes long and long windows are rare
        from scipy.interpolate import CubicSpline

        spline = CubicSpline(self.counts, pmf)
        self.integral, self.pmf, self.slope = spline.antiderivative(), spline, spline.derivative()
        between = np.diff(self._smooth(self.counts))
        single = np.diff(self.counts) == 1.0
        self.sums = np.cumsum(np.concatenate([pmf[:1], np.where(single, pmf[1:], between)]))

    def _smooth(self, counts: FloatArray) -> FloatArray:
        """Return the cdf (count,) but for a constant."""
        return np.asarray(self.integral(counts) + 0.5 * self.pmf(counts) + self.slope(counts) / 12.0)

    def reach(self, probability: float) -> float:
        """Return the least count with at least ``probability`` up to it."""
        target = probability - _ROUNDING
        position = min(int(np.searchsorted(self.sums, target)), len(self.sums) - 1)
        high = float(self.counts[position])
        if position == 0 or high - self.counts[position - 1] == 1.0:
            return high
        low = float(self.counts[position - 1])
        wanted = target - self.sums[position - 1] + float(self._smooth(np.array(low)))
        while high - low > 1.0:
            middle = math.floor(0.5 * (low + high))
            low, high = (low, middle) if float(self._smooth(np.array(middle))) >= wanted else (middle, high)
        return high


def _knots(first: float, last: float, most: float, narrowest: float) -> FloatArray:
    """Return counts from ``first`` to ``last``, close together near 0 and ``most``."""
    widest = max(narrowest / _KNOTS_PER_SD, (last - first) / _MOST_KNOTS)
    knots = [first]
    while knots[-1] < last:
        to_end = min(knots[-1], most - knots[-1])
        step = max(1.0, math.floor(min(widest, to_end / _KNOTS_PER_DECADE)))
        knots.append(min(last, knots[-1] + step))
    return np.array(knots)

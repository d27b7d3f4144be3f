"""Sums of log rising factorials over groups, as sums over steps: a step i counts the groups that go beyond i.

log Gamma(a + k) - log Gamma(a) is the sum over i < k of log(a + i), so over groups with counts k it is the sum over
i of the number of groups with k > i times log(a + i), whatever the number of groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.gamma_differences import digamma_gap, log_gamma_excess

# Elements of a tile, whose handful of arrays of 64 kB stay in a core's cache, and the longest that it is.
_TILE = 2**13
_LONGEST = 2**12
# From here Stirling's series needs no lifting.
_LARGE = 8.0


class Distinct(NamedTuple):
    """Distinct ``values`` in order and the groups' ``weights`` that have them."""

    values: FloatArray
    weights: FloatArray


def collapse(numbers: FloatArray, weights: FloatArray) -> Distinct:
    """Return the distinct numbers and their summed weights."""
    distinct, position = np.unique(numbers, return_inverse=True)
    return Distinct(distinct, np.bincount(position, weights, len(distinct)).astype(np.float64, copy=False))


def is_whole(numbers: FloatArray) -> bool:
    """Return whether all are whole numbers that 53 bits hold."""
    return bool(np.all((np.rint(numbers) == numbers) & (np.abs(numbers) < 2.0**53)))


def tail_counts(distinct: Distinct) -> FloatArray:
    """Return the weight (step,) of numbers above 0, 1, ..., the largest less 1; numbers are whole and not negative."""
    counts = np.bincount(distinct.values.astype(np.intp), distinct.weights)
    return np.ascontiguousarray(np.cumsum(counts[:0:-1])[::-1], dtype=np.float64)


def tiles(n_nodes: int, length: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of nodes and of what is summed over, small enough to stay in cache."""
    along = min(max(length, 1), _LONGEST)
    across = max(1, _TILE // along)
    for start in range(0, n_nodes, across):
        for step in range(0, length, along):
            yield slice(start, min(start + across, n_nodes)), slice(step, min(step + along, length))


def sum_over_steps(n_nodes: int, tails: FloatArray, term: Callable[[slice, FloatArray], FloatArray]) -> FloatArray:
    """Return the sums (node,) over steps i of ``tails`` times ``term(nodes, i)`` (node, step)."""
    steps = np.arange(len(tails), dtype=np.float64)
    total = np.zeros(n_nodes)
    for nodes, part in tiles(n_nodes, len(tails)):
        total[nodes] += term(nodes, steps[part]) @ tails[part]
    return total


def log_gamma_steps(a: FloatArray, distinct: Distinct) -> FloatArray:
    """Return the sums (node,) over groups of g(a + k) - g(a), g(x) = log Gamma(x) - x log x + x."""
    return _sum_excess(log_gamma_excess, a, distinct)


def digamma_steps(a: FloatArray, distinct: Distinct) -> FloatArray:
    """Return the sums (node,) over groups of h(a + k) - h(a), h(x) = psi(x) - log x."""
    return _sum_excess(digamma_gap, a, distinct)


def _sum_excess(excess: Callable[[FloatArray], FloatArray], a: FloatArray, distinct: Distinct) -> FloatArray:
    total = np.zeros(len(a))
    split = int(np.searchsorted(distinct.values, _LARGE))
    # h(a + 0) - h(a) is 0, and h(a) would swamp it
    first = int(np.searchsorted(distinct.values, 0.0, side="right"))
    for part in (slice(first, split), slice(max(split, first), None)):
        values, weights = distinct.values[part], distinct.weights[part]
        for nodes, steps in tiles(len(a), len(values)):
            total[nodes] += excess(a[nodes, None] + values[steps]) @ weights[steps]
    return total - float(distinct.weights[first:].sum()) * excess(a)

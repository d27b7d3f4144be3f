"""Distinct pairs of a count and its size, which is all that conjugate groups differ in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln, xlogy

from partialpool.inference.conjugate.tails import Distinct, collapse, is_whole, tail_counts
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.gamma_differences import log_rising

# Cells of a table of counts that are cheaper to go through than to sort as many groups: this many a group, and these.
_CELLS_PER_GROUP = 8
_CELLS = 2**16


@dataclass(frozen=True, eq=False)
class Pairs:
    """Distinct ``values`` (pair,) among ``sizes`` (pair,), shared by ``weights`` (pair,) groups; ``pair_of`` (group,).

    For proportions values are successes and sizes trials, for rates counts and exposures.
    """

    values: FloatArray
    sizes: FloatArray
    weights: FloatArray
    pair_of: IntArray

    @cached_property
    def failures(self) -> FloatArray:
        """Sizes less values (pair,)."""
        return self.sizes - self.values

    @cached_property
    def n_groups(self) -> float:
        """Groups in all."""
        return float(self.weights.sum())

    @cached_property
    def total_values(self) -> float:
        """Values summed over groups."""
        return float(self.weights @ self.values)

    @cached_property
    def total_sizes(self) -> float:
        """Sizes summed over groups."""
        return float(self.weights @ self.sizes)

    @cached_property
    def distinct_values(self) -> Distinct:
        """Distinct values and how many groups have them."""
        return collapse(self.values, self.weights)

    @cached_property
    def distinct_failures(self) -> Distinct:
        """Distinct failures and how many groups have them."""
        return collapse(self.failures, self.weights)

    @cached_property
    def distinct_sizes(self) -> Distinct:
        """Distinct sizes and how many groups have them."""
        return collapse(self.sizes, self.weights)

    @cached_property
    def values_by_size(self) -> FloatArray:
        """Values summed over the groups of each distinct size, in the order of ``distinct_sizes``."""
        position = np.searchsorted(self.distinct_sizes.values, self.sizes)
        sums = np.bincount(position, self.weights * self.values, len(self.distinct_sizes.values))
        return sums.astype(np.float64, copy=False)

    @cached_property
    def value_tails(self) -> FloatArray:
        """Groups with more than i values, i = 0, 1, ..."""
        return tail_counts(self.distinct_values)

    @cached_property
    def failure_tails(self) -> FloatArray:
        """Groups with more than i failures, i = 0, 1, ..."""
        return tail_counts(self.distinct_failures)

    @cached_property
    def size_tails(self) -> FloatArray:
        """Groups of size above i, i = 0, 1, ..."""
        return tail_counts(self.distinct_sizes)

    @cached_property
    def log_combinations(self) -> float:
        """The sum over groups of log C(n, y)."""
        fewer = np.minimum(self.values, self.failures)
        return float(self.weights @ (log_rising(self.sizes - fewer + 1.0, fewer) - gammaln(fewer + 1.0)))

    @cached_property
    def log_arrangements(self) -> float:
        """The sum over groups of log(E^y / y!)."""
        return float(self.weights @ (xlogy(self.values, self.sizes) - gammaln(self.values + 1.0)))

    @cached_property
    def whole_values(self) -> bool:
        """Whether values are whole numbers."""
        return is_whole(self.values)

    @cached_property
    def whole_sizes(self) -> bool:
        """Whether sizes are whole numbers."""
        return is_whole(self.sizes)


def collapse_pairs(values: FloatArray, sizes: FloatArray) -> Pairs:
    """Return the distinct pairs of ``values`` and ``sizes`` (group,), ordered by value, then size."""
    value_codes, distinct_values = _codes(np.asarray(values, dtype=np.float64))
    size_codes, distinct_sizes = _codes(np.asarray(sizes, dtype=np.float64))
    n_sizes = len(distinct_sizes)
    keys = value_codes * n_sizes + size_codes
    pair_of, found, weights = _rank(keys, len(distinct_values) * n_sizes)
    return Pairs(distinct_values[found // n_sizes], distinct_sizes[found % n_sizes], weights, pair_of)


def _codes(numbers: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the position (group,) of each number among the distinct ones, and those in order."""
    if len(numbers) and is_whole(numbers):
        least, greatest = float(numbers.min()), float(numbers.max())
        if greatest - least < max(_CELLS, _CELLS_PER_GROUP * len(numbers)):
            ranks, found, _ = _rank((numbers - least).astype(np.intp), int(greatest - least) + 1)
            return ranks, found.astype(np.float64) + least
    distinct, positions = np.unique(numbers, return_inverse=True)
    return positions.astype(np.intp, copy=False), distinct


def _rank(keys: IntArray, n_cells: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Return each key's rank among the distinct keys, those in order, and how often each occurs."""
    if n_cells > max(_CELLS, _CELLS_PER_GROUP * len(keys)):
        found, ranks, occurrences = np.unique(keys, return_inverse=True, return_counts=True)
        return ranks.astype(np.intp, copy=False), found, occurrences.astype(np.float64)
    occurrences = np.bincount(keys, minlength=n_cells)
    found = np.flatnonzero(occurrences)
    if len(found) == n_cells:
        return keys, found, occurrences.astype(np.float64)
    rank_of = np.empty(n_cells, dtype=np.intp)
    rank_of[found] = np.arange(len(found))
    return rank_of[keys], found, occurrences[found].astype(np.float64)

"""Distinct pairs of a count and its size, which is all that conjugate groups differ in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln, xlogy

from partialpool.inference.conjugate.rising_sums import Distinct, collapse, is_whole, tail_counts
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.gamma_differences import log_rising


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

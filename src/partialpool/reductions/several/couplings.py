"""Couplings: the blocks by which levels of the remaining factors meet, as linear functions of the leading factor's
state.

With V_0 the covariance of the rows when the leading factor alone varies (in units of the residual variance), levels k
of one factor and m of another meet in Z_k' V_0^-1 Z_m. Each entry is a constant plus a sum over leading groups of
products of projections times entries of B_j^-1; groups of one design class share B^-1, so that all entries are one
sparse matrix, made once, times the distinct B^-1 of a node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.small_matrices import lower_pairs
from partialpool.reductions.several.cells import Cells, pair_within_groups

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Share of all pairs of levels from which the whole grid of blocks is kept instead of a list.
_FULL = 0.25


@dataclass(frozen=True)
class Coupling:
    """The blocks between two of the remaining factors, ``first`` at or before ``second`` in the order of elimination.

    ``row`` and ``column`` (block,) are levels; within one factor row >= column. ``constant`` (q_first * q_second *
    block,) and ``map`` (the same, pair of B^-1 * design class) make up the entries; where not ``within`` (both factors
    contain the leading one's groups whole) the map applies to B^-1 - I.
    """

    first: int
    second: int
    row: IntArray
    column: IntArray
    constant: FloatArray
    map: csr_matrix
    within: bool

    @property
    def n_blocks(self) -> int:
        """How many pairs of levels meet."""
        return len(self.row)


def find_meeting_levels(first: Cells, second: Cells, same: bool, sizes: tuple[int, int]) -> IntArray:
    """Return the sorted keys row * size + column of levels that meet in a leading group."""
    left, right = pair_within_groups(first.start, second.start, same)
    keys = _distinct(first.level[left] * sizes[1] + second.level[right], sizes[0] * sizes[1])
    if len(keys) < _FULL * sizes[0] * sizes[1] * (0.5 if same else 1.0):
        return keys
    if not same:
        return np.arange(sizes[0] * sizes[1], dtype=np.intp)
    row, column = np.tril_indices(sizes[0])
    return np.asarray(row * sizes[1] + column, dtype=np.intp)


def _distinct(keys: IntArray, n_possible: int) -> IntArray:
    """Return the sorted distinct keys below ``n_possible``; marking them beats sorting them where they are many."""
    if n_possible > 8 * len(keys) + 10**6:
        return np.unique(keys)
    seen = np.zeros(n_possible, dtype=bool)
    seen[keys] = True
    return np.flatnonzero(seen)


def locate_keys(keys: IntArray, wanted: IntArray, sizes: tuple[int, int], same: bool) -> IntArray:
    """Return the positions of ``wanted`` among sorted ``keys``, at once where those are the whole grid."""
    if same and len(keys) == sizes[0] * (sizes[0] + 1) // 2:
        row, column = wanted // sizes[1], wanted % sizes[1]
        return np.asarray(row * (row + 1) // 2 + column)
    if not same and len(keys) == sizes[0] * sizes[1]:
        return wanted
    return np.asarray(np.searchsorted(keys, wanted), dtype=np.intp)


def map_entries(
    first: Cells, second: Cells, same: bool, keys: IntArray, sizes: tuple[int, int], unit_of: IntArray, n_units: int
) -> csr_matrix:
    """Return the sparse matrix (q_first * q_second * block, pair of B^-1 * unit) of ``Coupling.map``.

    ``unit_of`` (leading group,) says which column a group's products go to: its design class, or itself.
    """
    from scipy.sparse import csr_matrix, vstack

    left, right = pair_within_groups(first.start, second.start, same)
    block = locate_keys(keys, first.level[left] * sizes[1] + second.level[right], sizes, same)
    unit = unit_of[first.group[left]]
    pairs = lower_pairs(len(first.values))
    rows = []
    for i in range(first.values.shape[1]):
        for k in range(second.values.shape[1]):
            values = []
            for a, b in pairs:
                product = first.values[a, i, left] * second.values[b, k, right]
                if a != b:
                    product += first.values[b, i, left] * second.values[a, k, right]
                values.append(product)
            columns = np.concatenate([pair * n_units + unit for pair in range(len(pairs))])
            shape = (len(keys), len(pairs) * n_units)
            rows.append(csr_matrix((np.concatenate(values), (np.tile(block, len(pairs)), columns)), shape=shape))
    return rows[0] if len(rows) == 1 else csr_matrix(vstack(rows))

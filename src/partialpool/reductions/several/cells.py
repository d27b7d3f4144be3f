"""Cells: which levels of a factor meet which groups of the leading factor, and the projections of their columns.

For group j of the leading factor with orthonormal columns Q_j, and level l of another factor with columns Z, the cell
(j, l) holds A = Q_j' W^(1/2) Z_l over the rows that they share.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.reductions.columns import Column, sum_by_group, weigh
from partialpool.reductions.orthogonalise import Orthogonal


class Cells(NamedTuple):
    """Cells in order of their groups: ``group`` and ``level`` (cell,), ``values`` A (leading effect, effect, cell), and
    ``start`` (group + 1,), where each group's cells begin."""

    group: IntArray
    level: IntArray
    values: FloatArray
    start: IntArray


def is_nested(fine: IntArray, coarse: IntArray, n_fine: int) -> bool:
    """Say whether every level of ``fine`` lies within one level of ``coarse``; both are codes (row,)."""
    parent = np.zeros(n_fine, dtype=coarse.dtype)
    parent[fine] = coarse
    return bool(np.array_equal(parent[fine], coarse))


def nested_cells(values: FloatArray, fine: IntArray, coarse: IntArray) -> Cells:
    """Return the cells of a factor that the leading one is nested in: one a group; ``values`` are the projections."""
    n_groups = values.shape[-1]
    level = np.zeros(n_groups, dtype=np.intp)
    level[fine] = coarse
    every = np.arange(n_groups + 1, dtype=np.intp)
    return Cells(every[:-1], level, values, every)


def crossed_cells(
    orthogonal: Orthogonal, columns: list[Column], leading: IntArray, codes: IntArray, n_levels: int, weights: Column
) -> Cells:
    """Return the cells of a factor with ``codes`` (row,) and ``columns`` beside the leading one."""
    n_groups = orthogonal.root.shape[-1]
    keys, cell = np.unique(leading.astype(np.int64) * n_levels + codes, return_inverse=True)
    group, level = (keys // n_levels).astype(np.intp), (keys % n_levels).astype(np.intp)
    values = np.empty((len(orthogonal.directions), len(columns), len(keys)))
    for m, direction in enumerate(orthogonal.directions):
        weighted = weigh(direction, weights)
        for i, column in enumerate(columns):
            product = weighted if column is None else weigh(column, weighted)
            values[m, i] = sum_by_group(product, cell, len(keys)) * orthogonal.per_length[m, group]
    start = np.searchsorted(group, np.arange(n_groups + 1)).astype(np.intp)
    return Cells(group, level, values, start)


def pair_within_groups(left: IntArray, right: IntArray, same: bool) -> tuple[IntArray, IntArray]:
    """Return all pairs of positions that share a group, from both sides' ``start`` (group + 1,).

    With ``same`` both sides are one list, and each unordered pair occurs once, the later position first.
    """
    if same:
        counts = np.arange(left[-1]) - np.repeat(left[:-1], np.diff(left)) + 1
        first = np.repeat(left[:-1], np.diff(left))
    else:
        per_group, starts = np.diff(right), right[:-1]
        counts, first = np.repeat(per_group, np.diff(left)), np.repeat(starts, np.diff(left))
    return _expand(counts, first)


def count_pairs(left: IntArray, right: IntArray, same: bool) -> int:
    """Return how many pairs ``pair_within_groups`` would make."""
    sizes = np.diff(left).astype(float)
    return int(np.sum(sizes * (sizes + 1.0) / 2.0) if same else np.sum(sizes * np.diff(right)))


def _expand(counts: IntArray, first: IntArray) -> tuple[IntArray, IntArray]:
    """Repeat position k ``counts[k]`` times, beside the positions that follow ``first[k]``."""
    left = np.repeat(np.arange(len(counts), dtype=np.intp), counts)
    ends = np.cumsum(counts)
    offset = np.arange(len(left), dtype=np.intp) - np.repeat(ends - counts, counts)
    return left, np.repeat(first, counts) + offset

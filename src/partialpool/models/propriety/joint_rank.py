"""Ranks of the columns of several effects, over several factors, taken together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from partialpool.inputs.columns.levels import lies_within
from partialpool.inputs.designs.design import GroupDesign
from partialpool.models.propriety.identification import rank_with_groups
from partialpool.numerics.arrays import FloatArray

# A column of length 1 of which less than this is left is explained by the columns taken out of it.
_NOTHING_LEFT = 1e-8
# Rows that are written out, a column for each level, at a time.
_ROWS_AT_ONCE = 8_192
# Rows up to which the rank of all columns of several factors is computed, not bounded.
_MOST_ROWS = 500


def reduce_effects(
    columns: FloatArray, effects: Mapping[str, tuple[GroupDesign, int]]
) -> Callable[[Collection[str]], int]:
    """Return a function that tells the rank of the levels' columns of some of ``effects``, by name, once ``columns``
    (row, column), independent, are taken out. Meant for few levels: a column for each is written out."""
    levels = {name: np.flatnonzero(group.find_levels_with(k)) for name, (group, k) in effects.items()}
    lengths = {
        name: np.sqrt(np.bincount(group.codes, weights=group.values[:, k] ** 2, minlength=group.n_levels))[levels[name]]
        for name, (group, k) in effects.items()
    }
    ends = np.cumsum([columns.shape[1], *map(len, levels.values())])
    sizes = np.linalg.norm(columns, axis=0)
    triangle = np.empty((0, int(ends[-1])))
    for start in range(0, len(columns), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        parts = [
            group.values[rows, k, None] * (group.codes[rows, None] == levels[name]) / lengths[name]
            for name, (group, k) in effects.items()
        ]
        triangle = np.asarray(np.linalg.qr(np.vstack([triangle, np.hstack([columns[rows] / sizes, *parts])]), mode="r"))
    left = triangle[columns.shape[1] :]
    places = {name: np.arange(a, b) for name, a, b in zip(effects, ends[:-1], ends[1:], strict=True)}

    def rank(names: Collection[str]) -> int:
        chosen = left[:, np.concatenate([places[name] for name in names])]
        return int(np.count_nonzero(np.linalg.svd(chosen, compute_uv=False) > _NOTHING_LEFT))

    return rank


def rank_of_all_columns(columns: FloatArray, groups: Sequence[GroupDesign]) -> int:
    """Return the rank of ``columns`` (row, column), independent, and of every level's own columns.

    Of several factors in more than a few hundred rows it is an upper bound: a factor whose columns another one's span
    adds nothing, and any other its own rank, less the constant that all share.
    """
    if not groups:
        return int(columns.shape[1])
    if len(groups) > 1 and len(columns) <= _MOST_ROWS:
        own = [
            group.values[:, [k]] * (group.codes[:, None] == np.flatnonzero(group.find_levels_with(k)))
            for group in groups
            for k in range(len(group.names))
        ]
        together = np.hstack([columns, *own])
        return int(np.linalg.matrix_rank(together / np.linalg.norm(together, axis=0), tol=_NOTHING_LEFT))
    leading, *others = sorted(groups, key=lambda group: -group.n_levels * len(group.names))
    rank = rank_with_groups(columns, leading, range(len(leading.names)))
    for k, group in enumerate(others):
        finer = [leading, *others[:k]]
        if any(_spans(other, group) for other in finer):
            continue
        constant = "Intercept" in group.names and any("Intercept" in other.names for other in finer)
        rank += rank_with_groups(columns[:, :0], group, range(len(group.names))) - constant
    return rank


def _spans(fine: GroupDesign, coarse: GroupDesign) -> bool:
    """Say whether one factor's columns span another's, whose levels hold its own whole."""
    return set(coarse.names) <= set(fine.names) and lies_within(fine.codes, coarse.codes, fine.n_levels)

"""Which groups tell something of an effect, and which population columns compete with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from partialpool.inputs.designs.design import GroupDesign
from partialpool.numerics.arrays import FloatArray, IntArray

# A column of length 1 of which less than this is left is explained by the columns taken out of it.
_NOTHING_LEFT = 1e-8


def count_identifying_groups(group: GroupDesign, k: int) -> int:
    """Count the groups whose rows tell something of effect k: it varies there, beside an intercept, or is not 0."""
    if group.names[k] == "Intercept":
        return group.n_levels
    return int(np.count_nonzero(find_identifying_groups(group, k)))


def find_identifying_groups(group: GroupDesign, k: int) -> NDArray[np.bool_]:
    """Say for each group whether column k varies in it (beside an intercept) or is not zero in it."""
    column = group.values[:, k]
    if "Intercept" not in group.names:
        return group.find_levels_with(k)
    low, high = np.full(group.n_levels, np.inf), np.full(group.n_levels, -np.inf)
    np.minimum.at(low, group.codes, column)
    np.maximum.at(high, group.codes, column)
    return np.asarray(high > low)


def find_competing_columns(columns: FloatArray, group: GroupDesign, k: int) -> tuple[int, NDArray[np.bool_]]:
    """Return how many independent combinations of ``columns`` effect k of the groups could stand in for, and which
    columns take part in one.

    ``columns`` (row, column) are independent. For an intercept these are the combinations that are constant within
    every group; for a slope of x, x times something constant within every group.
    """
    if not columns.shape[1]:
        return 0, np.zeros(0, dtype=bool)
    directions, triangle = _orthogonalise(columns)
    within = take_out(directions, group.values[:, k], group.codes, group.n_levels)
    _, left, combinations = np.linalg.svd(np.linalg.qr(within, mode="r"))
    free = np.linalg.solve(triangle, combinations[left < _NOTHING_LEFT].T)
    parts = np.abs(free) > 1e-6 * np.abs(free).max(axis=0, initial=0.0)
    return free.shape[1], np.asarray(parts.any(axis=1))


def rank_with_groups(columns: FloatArray, group: GroupDesign, effects: Sequence[int]) -> int:
    """Return the rank of ``columns`` (row, column), independent, and of each group's own columns of ``effects``."""
    rank = 0
    left = _orthogonalise(columns)[0]
    basis: list[FloatArray] = []
    for k in effects:
        column = group.values[:, k]
        size = np.bincount(group.codes, weights=column**2, minlength=group.n_levels)
        for other in basis:
            column = take_out(column[:, None], other, group.codes, group.n_levels)[:, 0]
        remaining = np.bincount(group.codes, weights=column**2, minlength=group.n_levels)
        own = remaining > _NOTHING_LEFT**2 * size
        column = np.where(own[group.codes], column, 0.0)
        basis.append(column)
        rank += int(np.count_nonzero(own))
        left = take_out(left, column, group.codes, group.n_levels)
    if not left.shape[1]:
        return rank
    return rank + int(np.count_nonzero(np.linalg.svd(np.linalg.qr(left, mode="r"), compute_uv=False) > _NOTHING_LEFT))


def _orthogonalise(columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Orthogonal directions that span the columns, and the triangle that makes the columns, at length 1, of them."""
    directions, triangle = np.linalg.qr(columns / np.linalg.norm(columns, axis=0))
    return directions, triangle


def take_out(columns: FloatArray, effect: FloatArray, codes: IntArray, n_groups: int) -> FloatArray:
    """Return what is left of each column (row, column) once each group's own multiple of ``effect`` (row,) is taken
    out."""
    size = np.bincount(codes, weights=effect**2, minlength=n_groups)
    size[size == 0.0] = 1.0
    left = np.empty_like(columns)
    for i, column in enumerate(columns.T):
        multiple = np.bincount(codes, weights=effect * column, minlength=n_groups) / size
        left[:, i] = column - multiple[codes] * effect
    return left

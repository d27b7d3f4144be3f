"""Orthogonalising the effects' columns within groups, and projecting the population columns and the response."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.reductions.columns import Column, dot, sum_by_group, weigh

# A column whose norm after projection is below this fraction of its norm before is in the span of the others.
_DEPENDENT = 1e-9


class Orthogonal(NamedTuple):
    """W^(1/2) Z_j = Q_j R_j within each group j, and targets projected on Q_j.

    ``root`` is R (q, q, group), ``projection`` (q, target, group); ``left`` is what the projections leave of the
    targets, None for a target that is wholly in the span of the effects. ``directions`` are orthogonal columns
    (row,) which times ``per_length`` (q, group) are the unit columns Q before weighting.
    """

    root: FloatArray
    projection: FloatArray
    left: list[Column]
    directions: list[Column]
    per_length: FloatArray


def orthogonalise(
    effects: list[Column],
    targets: list[Column],
    same: dict[int, int],
    codes: IntArray,
    n_groups: int,
    weights: FloatArray | None,
) -> Orthogonal:
    """Orthogonalise the effect columns within groups (modified Gram-Schmidt) and project the targets on them.

    ``same`` says which target equals which effect. A column dependent on earlier ones within a group gives a zero row
    of R there.

    Source: Golub and Van Loan (2013), Matrix Computations, section 5.2.8.
    """
    n_effects, n_targets = len(effects), len(targets)
    root = np.zeros((n_effects, n_effects, n_groups))
    projection = np.zeros((n_effects, n_targets, n_groups))
    per_lengths = np.zeros((n_effects, n_groups))
    current, left = list(effects), list(targets)
    norms = [sum_by_group(_square(column, weights), codes, n_groups) for column in effects]
    for k in range(n_effects):
        column = current[k]
        squares = norms[k] if k == 0 else sum_by_group(_square(column, weights), codes, n_groups)
        independent = squares > _DEPENDENT**2 * norms[k]
        length = np.sqrt(np.where(independent, squares, 0.0))
        per_length = np.where(independent, 1.0 / np.where(independent, length, 1.0), 0.0)
        root[k, k], per_lengths[k] = length, per_length
        for m in range(k + 1, n_effects):
            root[k, m], current[m] = _project(column, current[m], per_length, codes, n_groups, weights)
        for t in range(n_targets):
            if t not in same:
                projection[k, t], left[t] = _project(column, left[t], per_length, codes, n_groups, weights)
    for target, effect in same.items():
        projection[:, target] = root[:, effect]
        left[target] = None
    for t in range(n_targets):
        # without groups a column of ones is still a column; with them None says that nothing is left of it
        if left[t] is None and t not in same:
            left[t] = np.ones(len(codes) if n_groups else _n_rows(targets))
    return Orthogonal(root, projection, left, current, per_lengths)


def _n_rows(targets: list[Column]) -> int:
    return next(len(column) for column in reversed(targets) if column is not None)


def _square(column: FloatArray | None, weights: FloatArray | None) -> FloatArray | None:
    return weights if column is None else weigh(column * column, weights)


def _project(
    column: FloatArray | None,
    other: FloatArray | None,
    per_length: FloatArray,
    codes: IntArray,
    n_groups: int,
    weights: FloatArray | None,
) -> tuple[FloatArray, FloatArray]:
    """Return the projection (group,) of ``other`` on the unit column and what it leaves (row,)."""
    if other is None:
        other = np.ones(len(codes))
    product = weigh(other if column is None else column * other, weights)
    projection = sum_by_group(product, codes, n_groups) * per_length
    step = (projection * per_length)[codes]
    return projection, other - (step if column is None else step * column)


def multiply_columns(columns: list[Column], weights: FloatArray | None) -> FloatArray:
    """Return the weighted cross-product of columns, None standing for zero."""
    product = np.zeros((len(columns), len(columns)))
    for i, left in enumerate(columns):
        for j, right in enumerate(columns[: i + 1]):
            if left is not None and right is not None:
                product[i, j] = product[j, i] = dot(left, right, weights, len(left))
    return product

"""The cross-product Z'WZ of all effects of a small model, whole."""

from __future__ import annotations

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.small_matrices import lower_pairs
from partialpool.reductions.cross_products import CrossProducts
from partialpool.reductions.several.remaining_factors import RemainingFactors


def build_whole_gram(
    cross: CrossProducts,
    leading: int,
    remaining: RemainingFactors,
    n_groups: tuple[int, ...],
    n_effects: tuple[int, ...],
) -> FloatArray:
    """Return Z'WZ in scaled columns; its columns run over levels within effects within factors of the design."""
    starts = np.cumsum([0, *(n * q for n, q in zip(n_groups, n_effects, strict=True))])
    gram = np.zeros((starts[-1], starts[-1]))

    def columns(factor: int, effect: int, level: IntArray) -> IntArray:
        return np.asarray(starts[factor] + effect * n_groups[factor] + level)

    def add(rows: IntArray, others: IntArray, values: FloatArray) -> None:
        gram[rows, others] = values
        gram[others, rows] = values

    order, every = cross.n_effects, np.arange(cross.n_groups)
    roots = cross.class_root[..., cross.class_of]
    for i in range(order):
        for k in range(order):
            add(columns(leading, i, every), columns(leading, k, every), np.sum(roots[:, i] * roots[:, k], axis=0))
    for place, (position, cells) in enumerate(zip(remaining.positions, remaining.cells, strict=True)):
        for i in range(order):
            for k in range(remaining.n_effects[place]):
                values = np.sum(roots[:, i, cells.group] * cells.values[:, k], axis=0)
                add(columns(leading, i, cells.group), columns(position, k, cells.level), values)
    whole = np.concatenate([np.full(cross.n_classes, float(a == b)) for a, b in lower_pairs(order)])
    for part in remaining.couplings:
        first, second = remaining.positions[part.first], remaining.positions[part.second]
        flat = part.constant + (part.map @ whole if part.within else 0.0)
        values = flat.reshape(remaining.n_effects[part.first], remaining.n_effects[part.second], -1)
        for i in range(values.shape[0]):
            for k in range(values.shape[1]):
                add(columns(first, i, part.row), columns(second, k, part.column), values[i, k])
    return gram

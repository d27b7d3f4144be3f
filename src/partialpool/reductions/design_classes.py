"""Design classes: groups with the same design share one factorisation, and their products are summed once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.small_matrices import lower_pairs

if TYPE_CHECKING:
    from partialpool.reductions.cross_products import CrossProducts

_MOMENTS_BYTES = 2**28


def find_design_classes(roots: FloatArray) -> tuple[FloatArray, IntArray, FloatArray]:
    """Return the distinct R (q, q, design_class), each group's class, and the classes' sizes.

    Entries are compared to 36 bits relative to their column's norm: sums of the same numbers in another order then
    agree, and merging moves a design by less than 1e-10.
    """
    n_effects, n_groups = roots.shape[0], roots.shape[-1]
    codes: IntArray = np.zeros(n_groups, dtype=np.intp)
    for column in range(n_effects):
        norm = np.sqrt(np.sum(roots[:, column] ** 2, axis=0))
        mantissa, exponent = np.frexp(norm)
        keys = [np.round(mantissa * 2.0**36) + 2.0**37 * exponent]
        unit = roots[:, column] / np.where(norm > 0.0, norm, 1.0)
        keys += [np.round(unit[row] * 2.0**36) for row in range(column)]
        for key in keys:
            _, part = np.unique(key, return_inverse=True)
            _, codes = np.unique(codes * (int(part.max(initial=0)) + 1) + part, return_inverse=True)
    n_classes = int(codes.max(initial=-1)) + 1
    if n_classes > 0.9 * n_groups:
        return roots, np.arange(n_groups, dtype=np.intp), np.ones(n_groups)
    first = np.full(n_classes, n_groups)
    np.minimum.at(first, codes, np.arange(n_groups))
    return (
        np.ascontiguousarray(roots[..., first]),
        codes.astype(np.intp),
        np.bincount(codes, minlength=n_classes).astype(float),
    )


def class_moments(cross: CrossProducts) -> Iterator[tuple[slice, FloatArray]]:
    """Yield, for runs of design classes, their summed products of projections.

    The array is (effect pair, design_class, target pair) over the lower triangles, so that multiplying by the
    lower triangle of B^-1 (off-diagonals count once here, both orders being summed) gives sum_j a_j' B_j^-1 a_j.
    """
    effects, targets = lower_pairs(cross.n_effects), lower_pairs(cross.n_coefficients + 1)
    bytes_per_class = 8 * len(effects) * len(targets)
    length = max(1, min(cross.n_classes, _MOMENTS_BYTES // max(1, 2 * bytes_per_class)))
    one_group_each = cross.n_classes == cross.n_groups
    order = np.arange(cross.n_groups) if one_group_each else np.argsort(cross.class_of, kind="stable")
    ends = np.concatenate([[0], np.cumsum(cross.class_size).astype(np.intp)])
    for start in range(0, cross.n_classes, length):
        stop = min(start + length, cross.n_classes)
        if one_group_each:
            groups = cross.projection[..., start:stop]
        else:
            groups = cross.projection[..., order[ends[start] : ends[stop]]]
        moments = np.empty((len(effects), stop - start, len(targets)))
        for row, (k, m) in enumerate(effects):
            for column, (i, j) in enumerate(targets):
                products = groups[k, i] * groups[m, j]
                if k != m:
                    products = products + groups[m, i] * groups[k, j]
                if not one_group_each:
                    products = np.add.reduceat(products, ends[start:stop] - ends[start])
                moments[row, :, column] = products
        yield slice(start, stop), moments

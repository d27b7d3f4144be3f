"""Sums of blocks by the place they fall on."""

from __future__ import annotations

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray


def sum_into(place: IntArray, values: FloatArray, n_places: int) -> FloatArray:
    """Sum values (effect, effect, item, node) by ``place`` (item,) into (effect, effect, place, node)."""
    rows, columns, n_items, n_nodes = values.shape
    if np.array_equal(place, np.arange(n_places)):
        return values
    from scipy.sparse import csc_matrix

    every = np.arange(n_items + 1)
    collect = csc_matrix((np.ones(n_items), place, every), shape=(n_places, n_items))
    result = np.empty((rows, columns, n_places, n_nodes))
    for i in range(rows):
        for k in range(columns):
            result[i, k] = collect @ values[i, k]
    return result

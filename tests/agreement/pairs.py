"""Distinct pairs of a count and its size, found by sorting."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from partialpool.inference.conjugate.pairs import Pairs


def collapse_pairs(values: ArrayLike, sizes: ArrayLike) -> Pairs:
    """Return the distinct pairs of ``values`` and ``sizes`` (group,), ordered by value, then size."""
    rows = np.column_stack([np.asarray(values, dtype=float), np.asarray(sizes, dtype=float)])
    pairs, pair_of, weights = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return Pairs(pairs[:, 0].copy(), pairs[:, 1].copy(), weights.astype(float), pair_of.ravel().astype(np.intp))

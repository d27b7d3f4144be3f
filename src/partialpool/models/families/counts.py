"""What the families of counts share: draws of means of any size, and where rates lie."""

from __future__ import annotations

import numpy as np

from partialpool.models.families.base import ResponseColumns
from partialpool.numerics.arrays import FloatArray

# Up to it Poisson counts are drawn one by one; beyond, a normal count differs by less than rounding.
_LARGEST_MEAN = 1e15


def draw_counts(mean: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw Poisson counts of ``mean``, of any shape and size."""
    counts = rng.poisson(np.minimum(mean, _LARGEST_MEAN)).astype(np.float64)
    large = mean > _LARGEST_MEAN
    if np.any(large):
        beyond = np.asarray(mean)[large]
        counts = np.asarray(counts)
        counts[large] = beyond + np.sqrt(beyond) * rng.standard_normal(beyond.shape)
    return counts


def overall_rate(response: ResponseColumns, counts: FloatArray) -> float:
    """Return the positive rate per unit of exposure over all rows."""
    return (float(counts @ response.values) + 0.5) / float(counts @ response.sizes)

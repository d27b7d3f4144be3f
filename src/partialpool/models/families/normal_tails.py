"""The standard normal's hazard, stable in both tails."""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx

from partialpool.numerics.arrays import FloatArray

_ROOT_HALF = np.sqrt(0.5)
_ROOT_TWO_OVER_PI = np.sqrt(2.0 / np.pi)
# Beyond it the slope comes from the asymptotic series, whose first term left out is below 1e-13.
_FAR = 100.0


def mills_ratio(z: FloatArray) -> FloatArray:
    """Return (1 - Phi(z)) / phi(z)."""
    return np.asarray(erfcx(z * _ROOT_HALF) / _ROOT_TWO_OVER_PI)


def hazard(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return h = phi(z) / (1 - Phi(z)) and its derivative h (h - z), which is between 0 and 1: one less the variance of
    what lies above z."""
    rate = _ROOT_TWO_OVER_PI / erfcx(z * _ROOT_HALF)
    slope = rate * (rate - z)
    far = z > _FAR
    if np.any(far):
        inverse = np.maximum(z, _FAR) ** -2.0
        slope = np.where(far, 1.0 - inverse * (1.0 - inverse * (6.0 - 50.0 * inverse)), slope)
    return rate, slope

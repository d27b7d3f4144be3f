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


def hazard(z: FloatArray) -> FloatArray:
    """Return phi(z) / (1 - Phi(z))."""
    return np.asarray(_ROOT_TWO_OVER_PI / erfcx(z * _ROOT_HALF))


def hazard_slope(z: FloatArray) -> FloatArray:
    """Return the derivative h (h - z) of the hazard, between 0 and 1: one less the variance of z beyond z."""
    rate = hazard(z)
    far = np.maximum(z, _FAR) ** -2.0
    return np.where(z > _FAR, 1.0 - far * (1.0 - far * (6.0 - 50.0 * far)), rate * (rate - np.minimum(z, _FAR)))

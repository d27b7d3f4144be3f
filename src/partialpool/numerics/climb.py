"""The mode of a density whose every evaluation is dear and comes with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from partialpool.errors import ComputationError
from partialpool.numerics.arrays import FloatArray

#: A log density and its gradient (dimension,) at one point (dimension,).
PointDensity = Callable[[FloatArray], tuple[float, FloatArray]]

# The climb ends where the quadratic model promises less than this: a fifth of a posterior sd or so from the mode, which
# only has to be good enough to place nodes by.
_ENOUGH = 0.02
_LONGEST_STEP = 1.5
_MOST_STEPS = 80


class Climb(NamedTuple):
    """``location`` (dimension,) near the mode, with the approximate posterior ``covariance`` there."""

    location: FloatArray
    covariance: FloatArray


def climb(density: PointDensity, start: FloatArray, covariance: FloatArray) -> Climb:
    """Climb by the quasi-Newton steps of BFGS from ``start``, whose approximate ``covariance`` is a first guess.

    A step is at most 1.5 long in every coordinate, and shortened by cubic interpolation where it gains nothing. Raises
    ``ComputationError`` where the density is zero at the start or the steps do not settle.

    Source: Nocedal and Wright (2006), Numerical Optimization, section 6.1 and equation 3.59.
    """
    location, inverse = start.astype(float), covariance.copy()
    value, gradient = density(location)
    if not np.isfinite(value):
        raise ComputationError("the posterior density is zero at the starting point: check the priors' supports")
    shrink = 1.0
    for _ in range(_MOST_STEPS):
        direction = inverse @ gradient
        if 0.5 * float(gradient @ direction) < _ENOUGH:
            return Climb(location, inverse)
        step = direction * min(shrink, _LONGEST_STEP / float(np.abs(direction).max()))
        new_value, new_gradient = density(location + step)
        if np.isfinite(new_value):
            inverse = _update(inverse, step, gradient - new_gradient)
        if new_value > value:
            location, value, gradient, shrink = location + step, new_value, new_gradient, 1.0
        else:
            shrink *= _shorten(value, float(gradient @ step), new_value, new_gradient, step)
            if shrink < 1e-6:
                raise ComputationError("the mode of the hyperparameters was not found: the density is not smooth there")
    raise ComputationError(
        f"the mode of the hyperparameters was not found in {_MOST_STEPS} steps: give more informative priors"
    )


def _update(inverse: FloatArray, step: FloatArray, drop: FloatArray) -> FloatArray:
    """Return the inverse curvature updated by how much the gradient drops along a step."""
    curvature = float(step @ drop)
    if curvature <= 1e-3 * float(np.sqrt((step @ step) * (drop @ drop))):
        return inverse
    keep = np.eye(len(step)) - np.outer(step, drop) / curvature
    return np.asarray(keep @ inverse @ keep.T + np.outer(step, step) / curvature)


def _shorten(value: float, slope: float, new_value: float, new_gradient: FloatArray, step: FloatArray) -> float:
    """Return the fraction of a step that gained nothing at which a cubic through both ends has its maximum."""
    if not np.isfinite(new_value):
        return 0.2
    new_slope = float(new_gradient @ step)
    first = slope + new_slope - 3.0 * (new_value - value)
    root = first**2 - slope * new_slope
    if root <= 0.0:
        return 0.3
    second = float(np.sqrt(root))
    fraction = 1.0 - (-new_slope + second - first) / (-new_slope + slope + 2.0 * second)
    return float(np.clip(fraction, 0.1, 0.6)) if np.isfinite(fraction) else 0.3

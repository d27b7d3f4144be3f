"""The gradient of the log likelihood by coordinates: the library's, and by numerical differentiation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from partialpool.inference.gaussian.gradient import value_and_gradient
from partialpool.inference.gaussian.marginal import GaussianMarginal
from partialpool.models.space.hyper_gradient import pull_back
from partialpool.models.space.hyperspace import HyperSpace

FloatArray = NDArray[np.float64]

# Steps of the central differences and their weights, which leave an error of the order of the fourth power.
_STEPS = (1e-3, 2e-3)
_WEIGHTS = (4.0 / 3.0, -1.0 / 3.0)


def slope_of(marginal: GaussianMarginal, space: HyperSpace, coordinates: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the library's log likelihood (node,) and its gradient (node, dimension)."""
    points, _ = space.constrain(coordinates)
    values, gradient = value_and_gradient(marginal, points)
    return values, pull_back(space, coordinates, points, gradient)


def differentiate(function: Callable[[FloatArray], FloatArray], at: FloatArray) -> FloatArray:
    """Return the gradient (dimension,) of a function of (node, dimension) by central differences of order 4."""
    result = np.zeros(len(at))
    for step, weight in zip(_STEPS, _WEIGHTS, strict=True):
        moves = step * np.eye(len(at))
        difference = function(at + moves) - function(at - moves)
        result += np.asarray(weight * difference / (2 * step), dtype=float)
    return result

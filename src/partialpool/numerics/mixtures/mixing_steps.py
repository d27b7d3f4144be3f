"""Steps that move the weights of a mixing distribution up the likelihood."""

from __future__ import annotations

import numpy as np

from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.mixtures.nonnegative_quadratic import maximise_quadratic

# The part of a group's likelihood that a step may take: the quadratic model knows nothing of groups without any.
_MOST_LOSS = 0.9
_LEAST_SHORTENING = 1e-9
_ROUNDING = 1e-15


def newton_step(likelihoods: FloatArray, shares: FloatArray, weights: FloatArray) -> FloatArray:
    """Return better weights (point,): towards the maximum of the quadratic model, as far as the likelihood grows.

    ``likelihoods`` (point, group), ``shares`` (group,) that sum to one. The objective is the sum of shares log f less
    the sum of the weights. With D (point,) its gradient plus 1, its Hessian H times the weights is minus D, so that the
    model is (2 D - 1)' y + y' H y / 2, y >= 0 (Kim, Carbonetto, Stephens and Anitescu 2020 do it so, without the
    constraint on the sum, which the maximum satisfies by itself).
    """
    density = weights @ likelihoods
    directions = likelihoods @ (shares / density)
    ratios = likelihoods / density
    scaled = ratios * np.sqrt(shares)
    target = maximise_quadratic(scaled @ scaled.T, 2.0 * directions - 1.0, weights)
    change = target - weights
    slope = float((directions - 1.0) @ change)
    relative = change @ ratios
    length = 1.0 / max(1.0, -float(relative.min()) / _MOST_LOSS)
    while length > _LEAST_SHORTENING:
        gain = float(shares @ np.log1p(length * relative)) - length * float(change.sum())
        if gain >= 0.1 * length * slope - _ROUNDING:
            return np.asarray(weights + length * change)
        length *= 0.5
    # where the model is of no use all weights go a little towards EM's, and the steepest point's share grows
    steepest = int(np.argmax(directions))
    spread = 0.99 * weights * directions
    spread[steepest] += 1.0 - spread.sum()
    return spread

"""The textbook grid: one population sd on equally spaced values of its natural scale.

Kept for teaching and as a second opinion on the adaptive grid: it shares only the likelihood with it. Draws take
the sd from the grid, then the coefficients, then the effects in turn.

Source: Gelman, Carlin, Stern, Dunson, Vehtari and Rubin (2013), Bayesian Data Analysis (3rd ed.), section 5.4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.errors import ComputationError, DataError
from partialpool.models.space.hyperspace import HyperSpace
from partialpool.numerics.arrays import BatchLogDensity, FloatArray

_N_VALUES = 4000
# The grid ends where the density has fallen to this fraction of its largest value.
_EDGE = 1e-6


class NaturalGrid(NamedTuple):
    """``coordinates`` (node, 1), ``weights`` (node,) that sum to one, the ``log_integral``, the ``upper`` end."""

    coordinates: FloatArray
    weights: FloatArray
    log_integral: float
    upper: float


def integrate_on_natural_grid(space: HyperSpace, log_density: BatchLogDensity) -> NaturalGrid:
    """Evaluate the posterior of one population sd on equally spaced values from 0.

    Raises ``DataError`` unless the sd is the only hyperparameter, ``ComputationError`` where the tail is too long
    for equal spacing.
    """
    hyper = space.scalars[space.free[0]] if space.dimension == 1 else None
    if hyper is None or hyper.role != "effect_sd":
        raise DataError(
            f"method='grid' is for one unknown population sd (known standard errors, one varying coefficient); this "
            f"model has {space.dimension} hyperparameters: use method='auto'"
        )

    def natural_log_density(values: FloatArray) -> FloatArray:
        coordinates = np.array([hyper.unconstrain(value) for value in values])
        _, log_slope = hyper.constrain(coordinates)
        return np.asarray(log_density(coordinates[:, None]) - log_slope)

    lower, most = hyper.support
    upper = min(most, lower + 4.0 * hyper.guess)
    for _ in range(40):
        values = lower + (upper - lower) * (np.arange(_N_VALUES) + 0.5) / _N_VALUES
        density = natural_log_density(values)
        if upper == most or density[-1] < density.max() + np.log(_EDGE):
            break
        upper = min(most, lower + 2.0 * (upper - lower))
    else:
        raise ComputationError(f"the tail of {hyper.name} is too long for equal spacing: use method='auto'")
    peak = float(density.max())
    weights = np.exp(density - peak)
    log_integral = peak + float(np.log(weights.sum() * (upper - lower) / _N_VALUES))
    coordinates = np.array([[hyper.unconstrain(value)] for value in values])
    return NaturalGrid(coordinates, weights / weights.sum(), log_integral, upper)

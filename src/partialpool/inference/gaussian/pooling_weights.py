"""How far a group's own rows decide its effects, everything else given: the part of the population's variance that
they take away.

For an intercept alone this is n tau^2 / (n tau^2 + sigma^2), the weight that the group's own estimate has in its
partially pooled one. With slopes there is no such number: an estimate then leans on those of the other coefficients,
and what it has of the group's own one lies outside [0, 1] and changes with a covariate's origin.
"""

from __future__ import annotations

import numpy as np

from partialpool.inference.gaussian.elimination.block_factor import relative_root
from partialpool.inference.gaussian.marginal import GaussianMarginal
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.small_matrices import factor_ldl, invert_ldl, multiply

# Node-design products worked on at a time.
_BLOCK = 2**20


def average_pooling_weights(
    marginal: GaussianMarginal, points: HyperPoints, node_weights: FloatArray, factor: int
) -> FloatArray:
    """Return the weights (effect, level) of one factor's levels, averaged over nodes with ``node_weights`` (node,)."""
    statistics = marginal.statistics
    grams, unit_of = statistics.own_designs(factor)
    n_units = grams.shape[-1]
    weights = np.empty((len(grams), n_units))
    length = max(1, _BLOCK // points.n_nodes)
    for start in range(0, n_units, length):
        part = slice(start, start + length)
        given = pooling_weights_given_nodes(marginal, points, factor, grams[..., part])
        weights[:, part] = np.einsum("n,kun->ku", node_weights, given)
    return weights[:, unit_of]


def pooling_weights_given_nodes(
    marginal: GaussianMarginal, points: HyperPoints, factor: int, grams: FloatArray
) -> FloatArray:
    """Return 1 - (variance given the group's rows) / (population's variance) of each effect (effect, design, node), for
    designs Z'WZ (effect, effect, design) in scaled columns; 0 where the population has no variance.

    With effects L b, b standard normal, and A = L' Z'WZ L / sigma^2 it is the diagonal of L (I + A)^-1 A L' over that
    of L L'.
    """
    statistics = marginal.statistics
    scaled = relative_root(statistics, points, factor)[:, :, None]
    part = statistics.effect_slices[factor]
    own = (points.effect_root[part, part] / points.residual_sd)[:, :, None]
    learned = multiply(scaled.swapaxes(0, 1), multiply(grams[..., None], scaled))
    matrix = learned.copy()
    for i in range(len(matrix)):
        matrix[i, i] += 1.0
    taken = multiply(multiply(own, multiply(invert_ldl(factor_ldl(matrix)), learned)), own.swapaxes(0, 1))
    lost = np.stack([taken[k, k] for k in range(len(taken))])
    population = np.sum(own * own, axis=1)
    return np.asarray(np.clip(np.divide(lost, population, out=np.zeros_like(lost), where=population > 0.0), 0.0, 1.0))

"""The weight that a group's own estimate has in its partially pooled one, everything else given.

For an intercept alone this is n tau^2 / (n tau^2 + sigma^2); for several effects the diagonal of K Z'WZ, K their
conditional covariance over sigma^2 from the group's own rows.
"""

from __future__ import annotations

import numpy as np

from partialpool.inference.block_factor import relative_root
from partialpool.inference.gaussian_marginal import GaussianMarginal
from partialpool.models.hyperspace import HyperPoints
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
    """Return the weights (effect, design, node) for designs Z'WZ (effect, effect, design) in scaled columns."""
    statistics = marginal.statistics
    scaled = relative_root(statistics, points, factor)[:, :, None]
    part = statistics.effect_slices[factor]
    own = (points.effect_root[part, part] / points.residual_sd)[:, :, None]
    gram = grams[..., None]
    matrix = multiply(scaled.swapaxes(0, 1), multiply(gram, scaled))
    for i in range(len(matrix)):
        matrix[i, i] += 1.0
    covariance = multiply(multiply(own, invert_ldl(factor_ldl(matrix))), scaled.swapaxes(0, 1))
    design = multiply(gram, statistics.effect_maps[factor][:, :, None, None])
    return np.stack([np.sum(covariance[k] * design[:, k], axis=0) for k in range(len(matrix))])

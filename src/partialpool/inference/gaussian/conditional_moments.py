"""Normal distributions of many quantities given each node."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.inference.gaussian.marginal import CoefficientConditional, GaussianMarginal
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.small_matrices import factor_ldl, multiply


class ConditionalMoments(NamedTuple):
    """Means and variances given each node, (node, quantity)."""

    mean: FloatArray
    variance: FloatArray


def quadratic_form(vectors: FloatArray, covariance: FloatArray) -> FloatArray | float:
    """Return v' C v for vectors (basis, node, quantity) and covariances (basis, basis, node)."""
    total: FloatArray | float = 0.0
    for i in range(len(vectors)):
        for j in range(i + 1):
            factor = 1.0 if i == j else 2.0
            total = total + factor * covariance[i, j][:, None] * (vectors[i] * vectors[j])
    return total


def draw_normal(covariance: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw one vector (order, draw) from each centred normal with covariance (order, order, draw)."""
    if not len(covariance):
        return np.empty(covariance.shape[1:])
    factor = factor_ldl(covariance)
    scaled = np.sqrt(factor.pivots) * rng.standard_normal(factor.pivots.shape)
    return multiply(factor.lower, scaled[:, None], left_is="lower")[:, 0]


def all_coefficients(
    marginal: GaussianMarginal, conditional: CoefficientConditional, basis: FloatArray, points: HyperPoints
) -> FloatArray:
    """Return every coefficient of the formula (coefficient, node), the integrated and the sampled."""
    prior = marginal.coefficient_prior
    result = np.empty((marginal.cross.n_coefficients, points.n_nodes))
    result[list(prior.integrated)] = conditional.back @ basis + conditional.constant[:, None]
    result[list(prior.sampled)] = points.coefficients
    return result

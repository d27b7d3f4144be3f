"""Gradient and Hessian of the likelihood of a mixture of normals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.numerics.arrays import FloatArray


class Curvature(NamedTuple):
    """``gradient`` (3 component,) and ``hessian`` by means, log sds and log weights, the weights scaled to sum to one:
    along all log weights together the likelihood is flat."""

    gradient: FloatArray
    hessian: FloatArray


def measure_curvature(
    shares: FloatArray, moments: FloatArray, group_weights: FloatArray, weights: FloatArray, sds: FloatArray
) -> Curvature:
    """Return the curvature of the sum of w_g log f_g, f_g = the sum over components of ``weights`` times the groups'
    marginal likelihoods.

    ``shares`` (component, group) are the components' probabilities given each group, ``moments`` (4, component, group)
    those of z = (t - mean) / sd given group and component: derivatives of a normal density are Hermite polynomials of z
    times it.
    """
    n = len(weights)
    first, second, third, fourth = moments
    slopes = np.concatenate([shares * first / sds[:, None], shares * (second - 1.0), shares - weights[:, None]])
    counts = shares @ group_weights
    hessian = -(slopes * group_weights) @ slopes.T
    diagonal = np.arange(n)
    hessian[diagonal, diagonal] += (shares * (second - 1.0)) @ group_weights / sds**2
    cross = (shares * (third - 3.0 * first)) @ group_weights / sds
    hessian[diagonal, n + diagonal] += cross
    hessian[n + diagonal, diagonal] += cross
    hessian[n + diagonal, n + diagonal] += (shares * (fourth - 4.0 * second + 1.0)) @ group_weights
    of_shapes = slopes[: 2 * n] @ group_weights
    mixed = np.tile(np.eye(n), (2, 1)) * of_shapes[:, None] - of_shapes[:, None] * weights
    hessian[: 2 * n, 2 * n :] += mixed
    hessian[2 * n :, : 2 * n] += mixed.T
    total = float(group_weights.sum())
    spread = np.diag(weights) - np.outer(weights, weights)
    hessian[2 * n :, 2 * n :] += (
        np.diag(counts)
        - np.outer(counts, weights)
        - np.outer(weights, counts)
        + total * (np.outer(weights, weights) - spread)
    )
    return Curvature(slopes @ group_weights, hessian)

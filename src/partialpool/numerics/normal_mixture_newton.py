"""Gradient and Hessian of the likelihood of a mixture of normals on a grid."""

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
    likelihoods: FloatArray,
    points: FloatArray,
    group_weights: FloatArray,
    masses: FloatArray,
    weights: FloatArray,
    means: FloatArray,
    sds: FloatArray,
) -> Curvature:
    """Return the curvature of sum of w_g log f_g, f = the sum of ``masses`` (component, point) times ``likelihoods``
    (point, group)."""
    n = len(means)
    z = (points - means[:, None]) / sds[:, None]
    whole = masses.sum(axis=0)
    slopes = np.concatenate(
        [masses * z / sds[:, None], masses * (z * z - 1.0), masses - weights[:, None] * whole]
    )  # (3 component, point)
    density = np.maximum(whole @ likelihoods, 1e-300)
    by_group = slopes @ likelihoods / density * np.sqrt(group_weights)
    shares = likelihoods @ (group_weights / density)
    hessian = -by_group @ by_group.T
    diagonal = np.arange(n)
    hessian[diagonal, diagonal] += (masses * (z * z - 1.0)) @ shares / sds**2
    cross = (masses * (z**3 - 3.0 * z)) @ shares / sds
    hessian[diagonal, n + diagonal] += cross
    hessian[n + diagonal, diagonal] += cross
    hessian[n + diagonal, n + diagonal] += (masses * (z**4 - 4.0 * z * z + 1.0)) @ shares
    of_shapes = slopes[: 2 * n] @ shares
    mixed = np.tile(np.eye(n), (2, 1)) * of_shapes[:, None] - of_shapes[:, None] * weights
    hessian[: 2 * n, 2 * n :] += mixed
    hessian[2 * n :, : 2 * n] += mixed.T
    counts, total = masses @ shares, float(whole @ shares)
    spread = np.diag(weights) - np.outer(weights, weights)
    hessian[2 * n :, 2 * n :] += (
        np.diag(counts)
        - np.outer(counts, weights)
        - np.outer(weights, counts)
        + total * (np.outer(weights, weights) - spread)
    )
    return Curvature(slopes @ shares, hessian)

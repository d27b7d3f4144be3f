"""Finite mixtures of normals as densities on a grid that is dense in the narrowest and reaches over the widest."""

from __future__ import annotations

import numpy as np

from partialpool.numerics.arrays import FloatArray

# Sds of a normal that the grid reaches over, the sds that it spans unstretched, and the least share that counts.
_REACH, _SPAN, _LEAST_SHARE = 7.0, 8.0, 1e-10
_NEWTON_STEPS = 12
# Array elements (item, node, part, point) of a block.
_BLOCK = 2**21


def tabulate_normals(
    share: FloatArray, mean: FloatArray, sd: FloatArray, n_points: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return z (point,), centre, scale (item, node), density (item, node, point) and stretch (item, node) such that the
    mixture of normals ``share``, ``mean``, ``sd`` (item, node, part) has this density at centre + scale
    sinh(stretch z) / stretch, by z, summing to one over the points.

    The scale is the width of the densest part, about which the grid is centred where one stands out.
    """
    z = np.linspace(-_SPAN, _SPAN, n_points)
    sd = np.maximum(sd, 1e-300)
    centre = np.sum(share * mean, axis=-1)
    scale = 1.0 / np.sum(share / sd, axis=-1)
    carried = share > _LEAST_SHARE
    reach = np.max(np.where(carried, np.abs(mean - centre[..., None]) + _REACH * sd, 0.0), axis=-1)
    stretch = _solve_stretch(reach / (scale * _SPAN)) / _SPAN
    density = np.empty((*centre.shape, n_points))
    size = max(1, _BLOCK // (mean.shape[1] * mean.shape[2] * n_points))
    for start in range(0, len(mean), size):
        part = slice(start, start + size)
        bend = stretch[part, :, None]
        away = np.where(bend > 0.0, np.sinh(bend * z) / np.where(bend > 0.0, bend, 1.0), z) * scale[part, :, None]
        left = (away[..., None, :] - (mean[part] - centre[part, :, None])[..., None]) / sd[part][..., None]
        weight = (share[part] / sd[part])[..., None]
        density[part] = np.sum(weight * np.exp(-0.5 * left * left), axis=-2) * np.cosh(bend * z)
    density /= density.sum(axis=-1, keepdims=True)
    return z, centre, scale, density, stretch


def _solve_stretch(ratio: FloatArray) -> FloatArray:
    """Solve sinh(x) / x = ratio, 0 where the ratio is 1 or less."""
    ratio = np.maximum(ratio, 1.0)
    x = np.where(ratio < 3.0, np.sqrt(6.0 * (ratio - 1.0)), np.log(2.0 * ratio) + np.log(np.log(2.0 * ratio)))
    for _ in range(_NEWTON_STEPS):
        safe = np.maximum(x, 1e-6)
        slope = (np.cosh(safe) - np.sinh(safe) / safe) / safe
        x = np.maximum(safe - (np.sinh(safe) / safe - ratio) / np.maximum(slope, 1e-12), 0.0)
    return np.where(ratio > 1.0 + 1e-6, x, 0.0)

"""Draws of several factors' effects where a factorisation is dear: few nodes carry many draws.

Hyperparameters are drawn from the surrogate's nodes. Given them, conditional means of coefficients and of spherical
effects are interpolated between the evaluated nodes; what varies about the means is drawn at the nearest of these.
Effects are then scaled by the draw's own covariance root.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partialpool.inference.gaussian.conditional_moments import all_coefficients, draw_normal
from partialpool.inference.gaussian.interpolated import InterpolatedEffects
from partialpool.inference.gaussian.several_factors import draw_noise
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.progress import track
from partialpool.numerics.small_matrices import multiply


def draw_between_nodes(
    table: InterpolatedEffects,
    points: HyperPoints,
    coordinates: FloatArray,
    levels: Sequence[IntArray],
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, tuple[FloatArray, ...]]:
    """Return coefficients (coefficient, draw), the centres of effects, and effects (effect, draw, level) by factor.

    ``coordinates`` (draw, dimension) are those of ``points``.
    """
    statistics, marginal = table.marginal.statistics, table.marginal
    mixing = table.mix_to(coordinates)
    nearest = _nearest(table, coordinates)
    conditional = table.mix_coefficients(points, mixing)
    basis = conditional.mean + draw_normal(conditional.covariance, rng)
    coefficients = all_coefficients(marginal, conditional, basis, points)
    target = np.concatenate([conditional.shift - conditional.basis @ basis, np.ones((1, len(nearest)))])
    noise = _draw_noise_nearby(table, nearest, levels, rng)
    effects = []
    for k, part in enumerate(statistics.effect_slices):
        own = multiply(points.effect_root[part, part][:, :, None], noise[k][:, None])[:, 0]
        if len(levels[k]):
            for t, row in enumerate(target):
                own += table.moments.means[k][:, t, levels[k]] @ (mixing * row)
        effects.append(own.swapaxes(1, 2))
    return coefficients, coefficients, tuple(effects)


def _draw_noise_nearby(
    table: InterpolatedEffects, nearest: IntArray, levels: Sequence[IntArray], rng: np.random.Generator
) -> list[FloatArray]:
    """Draw spherical effects about their means (effect, level, draw), each draw at its nearest evaluated node."""
    statistics = table.marginal.statistics
    noise = [
        np.empty((part.stop - part.start, len(at), len(nearest)))
        for part, at in zip(statistics.effect_slices, levels, strict=True)
    ]
    if not any(len(at) for at in levels):
        return noise
    for node in track(np.unique(nearest).tolist(), "drawing effects"):
        point = table.evaluated.select(np.array([node], dtype=np.intp))
        blocks = table.marginal.reduce_effects(point).blocks
        if blocks is None:
            raise ValueError("there is no factor beside the leading one")
        here = np.flatnonzero(nearest == node)
        for k, drawn in enumerate(draw_noise(statistics, point, blocks, levels, rng, len(here))):
            noise[k][:, :, here] = drawn
    return noise


def _nearest(table: InterpolatedEffects, at: FloatArray) -> IntArray:
    """Return the evaluated node nearest to each point, distances in posterior sds."""
    nodes, wanted = table.warp.apply(table.coordinates), table.warp.apply(at)
    squares = np.sum(wanted**2, axis=1)[:, None] + np.sum(nodes**2, axis=1) - 2.0 * wanted @ nodes.T
    return np.asarray(np.argmin(squares, axis=1), dtype=np.intp)

"""Draws of several factors' effects where a factorisation is dear: few nodes carry many draws.

Hyperparameters are drawn from the surrogate's nodes. Given them, conditional means of coefficients and spherical effects
are interpolated between the carriers, where they were computed; what varies about the means is drawn at the nearest
carrier. Effects are then scaled by the draw's own covariance root.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partialpool.inference.conditional_moments import all_coefficients, draw_normal
from partialpool.inference.gaussian_marginal import CoefficientConditional, GaussianMarginal, join_conditionals
from partialpool.inference.hyper_posterior import HyperPosterior
from partialpool.inference.several_factors import draw_noise, spherical_means
from partialpool.models.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.interpolation import interpolation_weights
from partialpool.numerics.small_matrices import multiply


def draw_from_carriers(
    marginal: GaussianMarginal,
    hyper: HyperPosterior,
    points: HyperPoints,
    coordinates: FloatArray,
    levels: Sequence[IntArray],
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, tuple[FloatArray, ...]]:
    """Return coefficients (coefficient, draw), the centres of effects, and effects (effect, draw, level) by factor.

    ``coordinates`` (draw, dimension) are those of ``points``.
    """
    statistics = marginal.statistics
    mixing = interpolation_weights(hyper.coordinates, hyper.weights, coordinates)
    nearest = _nearest(hyper.coordinates, hyper.weights, coordinates)
    means: list[list[FloatArray]] = [[] for _ in levels]
    noise = [
        np.empty((s.stop - s.start, len(at), len(nearest)))
        for s, at in zip(statistics.effect_slices, levels, strict=True)
    ]
    conditionals = []
    for node in range(len(hyper.weights)):
        point = hyper.points.select(np.array([node], dtype=np.intp))
        reduction = marginal.reduce_effects(point)
        if reduction.blocks is None:
            raise ValueError("there is no factor beside the leading one")
        conditionals.append(marginal.condition_on(point, reduction))
        for k, mean in enumerate(spherical_means(statistics, point, reduction.blocks, levels)):
            means[k].append(mean[..., 0] / point.residual_sd[0])
        here = np.flatnonzero(nearest == node)
        if len(here):
            for k, about in enumerate(draw_noise(statistics, point, reduction.blocks, levels, rng, len(here))):
                noise[k][:, :, here] = about
    conditional = _interpolate(join_conditionals(conditionals), marginal, points, mixing, nearest)
    basis = conditional.mean + draw_normal(conditional.covariance, rng)
    coefficients = all_coefficients(marginal, conditional, basis, points)
    target = np.concatenate([conditional.shift - conditional.basis @ basis, np.ones((1, len(nearest)))])
    effects = []
    for k, part in enumerate(statistics.effect_slices):
        spherical_draws = noise[k]
        for t, row in enumerate(target):
            at_carriers = np.stack([carried[:, t] for carried in means[k]], axis=-1)
            spherical_draws += at_carriers @ (mixing * row)
        own = multiply(points.effect_root[part, part][:, :, None], spherical_draws[:, None])[:, 0]
        effects.append(own.swapaxes(1, 2))
    return coefficients, coefficients, tuple(effects)


def _nearest(nodes: FloatArray, weights: FloatArray, at: FloatArray) -> IntArray:
    """Return the carrier nearest to each point, distances in posterior sds."""
    centre = weights @ nodes
    sd = np.sqrt(weights @ (nodes - centre) ** 2)
    sd = np.where(sd > 0.0, sd, 1.0)
    squares = np.sum(((at[:, None] - nodes) / sd) ** 2, axis=2)
    return np.asarray(np.argmin(squares, axis=1), dtype=np.intp)


def _interpolate(
    conditional: CoefficientConditional,
    marginal: GaussianMarginal,
    points: HyperPoints,
    mixing: FloatArray,
    nearest: IntArray,
) -> CoefficientConditional:
    """Return the coefficients' conditional at the draws: interpolated means, the nearest carrier's covariance."""
    return CoefficientConditional(
        conditional.mean @ mixing,
        conditional.covariance[..., nearest],
        conditional.basis,
        marginal.shift_at(points),
        conditional.back,
        conditional.constant,
    )

"""Groups of a single factor given the hyperparameters: conditional moments and joint draws.

Given a node, beta and u_j are jointly normal (``effect_factors``). Integrating beta adds r' V r with
r = x - a_X' R K z.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partialpool.inference.gaussian.conditional_moments import ConditionalMoments, quadratic_form
from partialpool.inference.gaussian.effect_factors import factor_effects, pull_of
from partialpool.inference.gaussian.marginal import CoefficientConditional, GaussianMarginal
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.small_matrices import multiply
from partialpool.reductions.cross_products import CrossProducts

# Draw-group products worked on at a time, so that the dozen arrays of a block stay in a core's cache.
_DRAW_BLOCK = 2**16


def contrast_of_groups(
    marginal: GaussianMarginal,
    points: HyperPoints,
    conditional: CoefficientConditional,
    population: FloatArray,
    terms: Sequence[tuple[IntArray, FloatArray]],
    coefficients_known: bool = False,
) -> ConditionalMoments:
    """Return the moments of population'beta + sum of effects'u given each node.

    ``population`` (coefficient, quantity) and each term's effects (effect, quantity) are on the formula's own scale,
    quantity being 1 where all share them. A term's groups (quantity,) are codes, -1 for one that is not in the data;
    within a quantity no group occurs twice.
    """
    cross = marginal.cross
    scaling = cross.scaling
    x = np.linalg.solve(scaling.population.T, population) if len(population) else population
    # scaled coefficients less the reference fit, at the conditional means: (coefficient, node)
    shifted = conditional.basis @ conditional.mean - conditional.shift
    mean = (scaling.reference[:, None] + shifted).T @ x
    on_basis = (conditional.basis.T @ x)[:, None, :]
    variance = np.zeros_like(mean)
    for groups, effects in terms:
        new = groups < 0
        if new.any():
            spread = np.einsum("ikn,iq->knq", points.effect_root, effects)
            variance = variance + np.where(new, np.sum(spread * spread, axis=0), 0.0)
        if new.all():
            continue
        known, effects = np.where(new, 0, groups), np.where(new, 0.0, effects)
        classes = cross.class_of[known]
        factors = factor_effects(cross, points, classes)
        root = factors.root
        toward = np.einsum("iknq,iq->knq", root, effects)
        variance = variance + np.sum(toward * toward, axis=0) * points.residual_sd[:, None] ** 2
        pull = np.einsum("imnq,iq->mnq", pull_of(factors, root, cross.class_root[:, :, classes]), effects)
        projection = cross.projection[..., known]
        for m in range(cross.n_effects):
            left = projection[m, -1] - shifted.T @ projection[m, :-1]
            mean = mean + pull[m] * left
            on_basis = on_basis - pull[m] * (conditional.basis.T @ projection[m, :-1])[:, None, :]
    if not coefficients_known:
        variance = variance + quadratic_form(on_basis, conditional.covariance)
    shape = np.broadcast_shapes(mean.shape, variance.shape)
    return ConditionalMoments(np.broadcast_to(mean, shape), np.broadcast_to(variance, shape))


def effects_of_groups(
    marginal: GaussianMarginal,
    points: HyperPoints,
    conditional: CoefficientConditional,
    populations: Sequence[FloatArray],
    groups: slice,
    coefficients_known: bool = False,
) -> ConditionalMoments:
    """Return the moments of every effect k plus population[:, k]'beta for each group, given each node.

    Each of ``populations`` is (coefficient, effect): zero for deviations, unit columns for the groups' own values. The
    quantities run over groups within effects within populations, (node, population * effect * group). One
    factorisation a design class serves all of them.
    """
    cross = marginal.cross
    n_effects = cross.n_effects
    classes = cross.class_of[groups]
    shared = cross.n_classes < len(classes)
    within: IntArray | slice = slice(None) if shared else classes
    factors = factor_effects(cross, points, within)
    root = factors.root
    pull = pull_of(factors, root, cross.class_root[:, :, within])
    noise = np.sum(root * root, axis=1) * points.residual_sd[:, None] ** 2
    if shared:
        noise, pull = noise[..., classes], pull[..., classes]
    xs = [np.linalg.solve(cross.scaling.population.T, population) for population in populations]
    shifted = conditional.basis @ conditional.mean - conditional.shift
    projection = cross.projection[..., groups]
    left = [projection[m, -1] - shifted.T @ projection[m, :-1] for m in range(n_effects)]
    on_projection = [conditional.basis.T @ projection[m, :-1] for m in range(n_effects)]
    means = [sum(pull[k, m] * left[m] for m in range(n_effects)) for k in range(n_effects)]
    pulled = [sum(pull[k, m][None] * on_projection[m][:, None] for m in range(n_effects)) for k in range(n_effects)]
    shape = (len(xs), n_effects, *left[0].shape)
    mean, variance = np.empty(shape), np.empty(shape)
    for kind, x in enumerate(xs):
        centre = (cross.scaling.reference[:, None] + shifted).T @ x
        on_basis = conditional.basis.T @ x
        for k in range(n_effects):
            mean[kind, k] = centre[:, k, None] + means[k]
            variance[kind, k] = noise[k]
            if not coefficients_known:
                vectors = on_basis[:, k, None, None] - pulled[k]
                variance[kind, k] += quadratic_form(vectors, conditional.covariance)
    return ConditionalMoments(_by_node(mean), _by_node(variance))


def _by_node(values: FloatArray) -> FloatArray:
    """Reorder (kind, effect, node, group) to (node, kind * effect * group)."""
    return np.moveaxis(values, 2, 0).reshape(values.shape[2], -1)


def draw_groups(
    cross: CrossProducts, points: HyperPoints, shifted: FloatArray, groups: IntArray, rng: np.random.Generator
) -> FloatArray:
    """Draw the effects of some groups (effect, draw, group), one hyperparameter point and ``shifted`` a draw."""
    # draws of one group lie next to each other, as they are asked for by name
    effects = np.empty((cross.n_effects, len(groups), points.n_nodes)).swapaxes(1, 2)
    length = max(1, _DRAW_BLOCK // points.n_nodes)
    for start in range(0, effects.shape[2], length):
        block = slice(start, start + length)
        _draw_effects(cross, points, shifted, groups[block], rng, effects[:, :, block])
    return effects


def _draw_effects(
    cross: CrossProducts,
    points: HyperPoints,
    shifted: FloatArray,
    groups: IntArray,
    rng: np.random.Generator,
    out: FloatArray,
) -> None:
    """Draw the effects of some groups into ``out`` (effect, draw, group): L U (U' L' R' left + sigma noise)."""
    classes = cross.class_of[groups]
    inner, outer, back = factor_effects(cross, points, classes)
    projection = cross.projection[..., groups]
    left = np.stack([projection[m, -1] - shifted.T @ projection[m, :-1] for m in range(cross.n_effects)])[:, None]
    inward = multiply(cross.class_root[:, :, None, classes].swapaxes(0, 1), left, left_is="lower")
    inward = multiply(outer[..., None].swapaxes(0, 1), inward)
    inward = multiply(inner.swapaxes(0, 1), inward, left_is="lower")
    noise = rng.standard_normal(inward.shape)
    noise *= points.residual_sd[:, None]
    inward += noise
    out[...] = multiply(back[..., None], multiply(inner, inward, left_is="upper"))[:, 0]

"""Groups given the hyperparameters: conditional moments of linear predictors x'beta + z'u, and joint draws.

Given a node, beta and u_j are jointly normal: u_j | beta has mean K R' (a_y - a_X beta) and covariance sigma^2 K with
K = L (I + L' R' R L)^-1 L', L the effects' relative root. Integrating beta adds r' V r with
r = x - a_X' R K z. Everything is a sum of positive terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from partialpool.inference.cross_products import CrossProducts
from partialpool.inference.gaussian_marginal import (
    CoefficientConditional,
    GaussianMarginal,
    scaled_relative_root,
)
from partialpool.models.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.small_matrices import (
    factor_ldl,
    invert_unit_lower,
    lower_pairs,
    multiply,
)


class ConditionalMoments(NamedTuple):
    """Means and variances given each node, (node, quantity)."""

    mean: FloatArray
    variance: FloatArray


class EffectFactors(NamedTuple):
    """The effects' conditional distribution for each node and design class.

    With U D U' the inverse of I + (R L)'(R L), L the effects' relative root for scaled columns: ``inner`` is U D^(1/2)
    (effect, effect, node, class), ``outer`` is L (effect, effect, node) and ``back`` is L on the formula's scale. All
    exist where an effect's variance is zero as well.
    """

    inner: FloatArray
    outer: FloatArray
    back: FloatArray

    @property
    def root(self) -> FloatArray:
        """The root of the effects' conditional covariance over sigma^2, on the formula's scale, shaped as ``inner``."""
        return multiply(self.back[..., None], self.inner, right_is="upper")


def factor_effects(cross: CrossProducts, points: HyperPoints, classes: IntArray | slice) -> EffectFactors:
    """Factor the effects' conditional distribution once for a set of nodes and design classes."""
    outer = scaled_relative_root(cross, points)
    factor = factor_ldl(_identity_plus_congruence(outer, cross.class_gram[:, classes]))
    # pivots of I plus a positive matrix are 1 or more, but may round to less where the effects' sds are huge
    inner = invert_unit_lower(factor.lower).swapaxes(0, 1) / np.sqrt(np.maximum(factor.pivots, 1.0))
    return EffectFactors(inner, outer, points.effect_root / points.residual_sd)


def _identity_plus_congruence(root: FloatArray, gram: FloatArray) -> FloatArray:
    """Return I + root' M root (effect, effect, node, class), the lower triangle only, as products of matrices.

    ``root`` is (effect, effect, node), ``gram`` the lower triangles of M (pair, class).
    """
    order = len(root)
    result = np.zeros((order, order, root.shape[2], gram.shape[1]))
    for i in range(order):
        for j in range(i + 1):
            terms = [
                root[k, i] * root[k, j] if k == m else root[k, i] * root[m, j] + root[m, i] * root[k, j]
                for k, m in lower_pairs(order)
            ]
            np.matmul(np.stack(terms, axis=1), gram, out=result[i, j])
        result[i, i] += 1.0
    return result


def pull_of(factors: EffectFactors, root: FloatArray, class_root: FloatArray) -> FloatArray:
    """Return what takes projections' residuals to the effects' conditional means, (effect, projection, node, class).

    ``root`` is ``factors.root``, ``class_root`` R (effect, effect, class) of the same classes.
    """
    design = class_root[:, :, None].swapaxes(0, 1)
    inward = multiply(factors.outer[..., None].swapaxes(0, 1), design, right_is="lower")
    return multiply(root, multiply(factors.inner.swapaxes(0, 1), inward, left_is="lower"))


def predictor_given_nodes(
    marginal: GaussianMarginal,
    points: HyperPoints,
    conditional: CoefficientConditional,
    population: FloatArray,
    effects: FloatArray,
    groups: IntArray | slice | None,
    coefficients_known: bool = False,
) -> ConditionalMoments:
    """Return the moments of population'beta + effects'u given each node.

    ``population`` (coefficient, quantity) and ``effects`` (effect, quantity) are on the formula's own scale, quantity
    being 1 where all share them. ``groups`` says whose effects are meant (quantity,); None means a group not in
    the data. ``coefficients_known`` leaves the coefficients' uncertainty out (plug-in estimates).
    """
    cross = marginal.cross
    scaling = cross.scaling
    x = np.linalg.solve(scaling.population.T, population) if len(population) else population
    # scaled coefficients less the reference fit, at the conditional means: (coefficient, node)
    shifted = conditional.basis @ conditional.mean - conditional.shift
    mean = (scaling.reference[:, None] + shifted).T @ x
    on_basis = (conditional.basis.T @ x)[:, None, :]
    variance = np.zeros_like(mean)
    if cross.n_effects:
        if groups is None:
            spread = np.einsum("ikn,iq->knq", points.effect_root, effects)
            variance = np.sum(spread * spread, axis=0)
        else:
            classes = cross.class_of[groups]
            factors = factor_effects(cross, points, classes)
            root = factors.root
            toward = np.einsum("iknq,iq->knq", root, effects)
            variance = np.sum(toward * toward, axis=0) * points.residual_sd[:, None] ** 2
            pull = np.einsum("imnq,iq->mnq", pull_of(factors, root, cross.class_root[:, :, classes]), effects)
            projection = cross.projection[..., groups]
            for m in range(cross.n_effects):
                left = projection[m, -1] - shifted.T @ projection[m, :-1]
                mean = mean + pull[m] * left
                on_basis = on_basis - pull[m] * (conditional.basis.T @ projection[m, :-1])[:, None, :]
    if not coefficients_known:
        variance = variance + _quadratic(on_basis, conditional.covariance)
    shape = np.broadcast_shapes(mean.shape, variance.shape)
    return ConditionalMoments(np.broadcast_to(mean, shape), np.broadcast_to(variance, shape))


def _quadratic(vectors: FloatArray, covariance: FloatArray) -> FloatArray | float:
    """Return v' C v for vectors (basis, node, quantity) and covariances (basis, basis, node)."""
    total: FloatArray | float = 0.0
    for i in range(len(vectors)):
        for j in range(i + 1):
            factor = 1.0 if i == j else 2.0
            total = total + factor * covariance[i, j][:, None] * (vectors[i] * vectors[j])
    return total


def effects_given_nodes(
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
                variance[kind, k] += _quadratic(vectors, conditional.covariance)
    return ConditionalMoments(_by_node(mean), _by_node(variance))


def _by_node(values: FloatArray) -> FloatArray:
    """Reorder (kind, effect, node, group) to (node, kind * effect * group)."""
    return np.moveaxis(values, 2, 0).reshape(values.shape[2], -1)


def pooling_weights_given_nodes(cross: CrossProducts, points: HyperPoints, classes: slice) -> FloatArray:
    """Return the weight of a group's own estimate in its conditional mean, (effect, node, design_class).

    For an intercept alone this is n tau^2 / (n tau^2 + sigma^2); for several effects the diagonal of K R'R.
    """
    factors = factor_effects(cross, points, classes)
    pull = pull_of(factors, factors.root, cross.class_root[:, :, classes])
    design = multiply(cross.class_root[:, :, None, classes], cross.scaling.effects[:, :, None, None])
    return np.stack([np.sum(pull[k] * design[:, k], axis=0) for k in range(cross.n_effects)])


def raw_estimates(
    cross: CrossProducts, shifted: FloatArray, coefficient: float, effect: int, common: Sequence[int] = ()
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return each group's own least-squares value of one effect, its sd over sigma, (group,) each, and its slopes.

    ``shifted`` (coefficient,) are scaled coefficients less the reference fit, which the columns that do not vary by
    group keep; ``coefficient`` is the population's value, to which the effect is added. The slopes (common, group) are
    the derivatives by those coefficients of the formula that do not vary by group, ``common``. NaN where the group's
    rows do not determine it.
    """
    per_common = cross.scaling.population[:, list(common)]
    left = cross.projection[:, -1] - np.einsum("mpg,p->mg", cross.projection[:, :-1], shifted)
    z = np.linalg.inv(cross.scaling.effects)[effect]
    if cross.n_effects == 1:
        root = cross.class_root[0, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            per = np.where(root > 0.0, z[0] / np.where(root > 0.0, root, 1.0), np.nan)
        per = per[cross.class_of]
        slopes = -per * (per_common.T @ cross.projection[0, :-1])
        return coefficient + per * left[0], np.abs(per), slopes
    roots = np.moveaxis(cross.class_root, -1, 0)
    inverse = np.linalg.pinv(roots, rcond=1e-9)
    seen = np.einsum("cij,cjk,i->ck", inverse, roots, z)
    determined = np.max(np.abs(seen - z), axis=1) < 1e-7 * np.max(np.abs(z))
    row = np.einsum("i,cim->cm", z, inverse)
    row[~determined] = np.nan
    row = row[cross.class_of]
    slopes = -np.einsum("gm,mpg,pc->cg", row, cross.projection[:, :-1], per_common, optimize=True)
    return coefficient + np.einsum("gm,mg->g", row, left), np.sqrt(np.sum(row * row, axis=1)), slopes


class JointDraws(NamedTuple):
    """Draws of the formula's coefficients (coefficient, draw) and of effects (effect, draw, group)."""

    coefficients: FloatArray
    effects: FloatArray


# Draw-group products worked on at a time, so that the dozen arrays of a block stay in a core's cache.
_DRAW_BLOCK = 2**16


def draw_jointly(
    marginal: GaussianMarginal,
    points: HyperPoints,
    groups: IntArray,
    rng: np.random.Generator,
    coefficients_known: bool = False,
) -> JointDraws:
    """Draw coefficients, then effects, given one hyperparameter point a draw.

    ``coefficients_known`` draws effects around the coefficients' conditional mean (plug-in estimates).
    """
    cross = marginal.cross
    conditional = marginal.coefficients_given(points)
    basis = conditional.mean + _draw_normal(conditional.covariance, rng)
    coefficients = _all_coefficients(marginal, conditional, basis, points)
    centre = conditional.mean if coefficients_known else basis
    shifted = conditional.basis @ centre - conditional.shift
    # draws of one group lie next to each other, as they are asked for by name
    effects = np.empty((cross.n_effects, len(groups) if cross.n_effects else 0, points.n_nodes)).swapaxes(1, 2)
    length = max(1, _DRAW_BLOCK // points.n_nodes)
    for start in range(0, effects.shape[2], length):
        block = slice(start, start + length)
        _draw_effects(cross, points, shifted, groups[block], rng, effects[:, :, block])
    return JointDraws(coefficients, effects)


def _draw_normal(covariance: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw one vector (order, draw) from each centred normal with covariance (order, order, draw)."""
    if not len(covariance):
        return np.empty(covariance.shape[1:])
    factor = factor_ldl(covariance)
    scaled = np.sqrt(factor.pivots) * rng.standard_normal(factor.pivots.shape)
    return multiply(factor.lower, scaled[:, None], left_is="lower")[:, 0]


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


def _all_coefficients(
    marginal: GaussianMarginal, conditional: CoefficientConditional, basis: FloatArray, points: HyperPoints
) -> FloatArray:
    """Return every coefficient of the formula (coefficient, node), the integrated and the sampled."""
    prior = marginal.coefficient_prior
    result = np.empty((marginal.cross.n_coefficients, points.n_nodes))
    result[list(prior.integrated)] = conditional.back @ basis + conditional.constant[:, None]
    result[list(prior.sampled)] = points.coefficients
    return result

"""The log marginal likelihood with its gradient in closed form.

With effects in spherical coordinates, u_j = L b_j and b_j ~ N(0, I), Fisher's identity says that the derivative along a
change dL of a factor's covariance root is tr((L^-1 dL)' (E[sum_j b_j b_j' | y] - J I)): the posterior second moment of
the effects less their prior one. It is exact, and finite where an sd is zero.

Source: Fisher (1925), Proc. Cambridge Philosophical Society 22:700-725; Bates et al. (2015), section 3.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from partialpool.inference.gaussian.elimination.block_conditional import (
    BlockConditional,
    condition_blocks,
    condition_leading,
    project_covariances,
    solve_leading_means,
)
from partialpool.inference.gaussian.marginal import CoefficientConditional, GaussianMarginal, Reduction
from partialpool.models.space.hyper_gradient import HyperGradient, join_gradients
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.small_matrices import lower_pairs, multiply

#: Takes the conditional effects of a run of nodes, which the gradient needs and which others may have a use for.
Keep = Callable[[HyperPoints, Reduction, BlockConditional], None]


def value_and_gradient(
    marginal: GaussianMarginal, points: HyperPoints, keep: Keep | None = None
) -> tuple[FloatArray, HyperGradient]:
    """Return log p(y | hyperparameters) (node,) and its gradient at each node.

    With several factors ``keep`` is called with what was computed of the effects on the way.
    """
    values, gradients = [], []
    with np.errstate(all="ignore"):  # a node outside the floating range gets density zero
        for part in marginal.split(points):
            reduction = marginal.reduce_effects(part)
            values.append(marginal.likelihood_of(part, reduction))
            conditional = None
            if reduction.blocks is not None:
                conditional = condition_blocks(marginal.statistics, part, reduction.blocks)
                if keep is not None:
                    keep(part, reduction, conditional)
            gradients.append(_differentiate(marginal, part, reduction, conditional))
    return np.concatenate(values), join_gradients(gradients)


def _differentiate(
    marginal: GaussianMarginal, points: HyperPoints, reduction: Reduction, effects: BlockConditional | None
) -> HyperGradient:
    statistics, prior = marginal.statistics, marginal.coefficient_prior
    conditional = marginal.condition_on(points, reduction)
    targets = _second_moment_of_targets(conditional)
    variance = points.residual_sd**2
    moments = second_moments(marginal, points, reduction, targets / variance, effects)
    root = np.zeros_like(points.effect_root)
    traces = np.zeros(points.n_nodes)
    for part, n_groups, moment in zip(statistics.effect_slices, statistics.n_groups, moments, strict=True):
        excess = moment - n_groups * np.eye(len(moment))[:, :, None]
        root[part, part] = excess
        traces += np.einsum("iin->n", excess)
    squares = np.einsum("tun,tun->n", targets, reduction.augmented, optimize=True) / variance
    mean = np.concatenate([conditional.shift - conditional.basis @ conditional.mean, np.ones((1, points.n_nodes))])
    pulled = np.einsum("tun,un->tn", reduction.augmented[:-1], mean) / variance
    n_sampled = len(prior.sampled)
    sampled = statistics.scaling.population[:, list(prior.sampled)].T @ pulled if n_sampled else pulled[:0]
    if (by_sampled := prior.stated_sampled) is not None:
        excess = prior.stated_integrated @ conditional.coefficient_mean - prior.mean_at(points.coefficients)
        sampled = sampled - by_sampled.T @ (prior.precision_at(points.coefficient_sds) * excess)
    return HyperGradient(
        root, squares - statistics.n_rows - traces, sampled, _of_mixed_sds(marginal, conditional, points)
    )


def _second_moment_of_targets(conditional: CoefficientConditional) -> FloatArray:
    """Return E[w w'] (target, target, node) for w = (-beta, 1) in scaled columns, so that [X, y] w is the residual."""
    shifted = conditional.basis @ conditional.mean - conditional.shift
    mean = np.concatenate([-shifted, np.ones((1, shifted.shape[1]))])
    result: FloatArray = mean[:, None] * mean
    spread = np.einsum("ia,abn,jb->ijn", conditional.basis, conditional.covariance, conditional.basis, optimize=True)
    result[:-1, :-1] += spread
    return result


def second_moments(
    marginal: GaussianMarginal,
    points: HyperPoints,
    reduction: Reduction,
    targets: FloatArray,
    effects: BlockConditional | None = None,
) -> list[FloatArray]:
    """Return E[sum_j b_j b_j' | y] (effect, effect, node) of each factor, in the design's order.

    ``targets`` (target, target, node) is E[w w'] over the residual variance, [X, y] w being the residual.
    """
    statistics = marginal.statistics
    if not statistics.effect_slices:
        return []
    cross, remaining, blocks = statistics.cross, statistics.remaining, reduction.blocks
    if remaining is None or blocks is None:
        leading = condition_leading(statistics, points)
        inner = _within_classes(marginal, targets)
        own = np.einsum("c,ikcn->ikn", cross.class_size, leading.covariance)
        return [own + _congruence(leading.pull, inner)]
    effects = effects or condition_blocks(statistics, points, blocks)
    leading, means, covariances = effects.leading, effects.means, effects.covariances
    moments = [np.empty(0)] * len(statistics.effect_slices)
    for k, (position, part) in enumerate(zip(remaining.positions, means, strict=True)):
        own_blocks = covariances[k, k][:, :, remaining.coupling(k, k).row == remaining.coupling(k, k).column]
        moments[position] = own_blocks.sum(axis=2) + _contract(part, targets)
    seen = project_covariances(statistics, blocks.roots, covariances, by_group=False)
    own = np.einsum("c,ikcn->ikn", cross.class_size, leading.covariance) + _congruence(leading.pull, seen)
    own += _contract(solve_leading_means(statistics, leading, blocks, means), targets)
    moments[statistics.leading] = own
    return moments


def _contract(means: FloatArray, targets: FloatArray) -> FloatArray:
    """Return sum_l b_l W b_l' (effect, effect, node) for means (effect, target, level, node), W over targets."""
    order, n_nodes = len(means), means.shape[-1]
    result = np.empty((order, order, n_nodes))
    for i in range(order):
        for k in range(i + 1):
            products = np.einsum("tln,uln->tun", means[i], means[k], optimize=True)
            result[i, k] = result[k, i] = np.einsum("tun,tun->n", products, targets)
    return result


def _congruence(pull: FloatArray, inner: FloatArray) -> FloatArray:
    """Return the sum over units of N Q N' for arrays (effect, effect, unit, node)."""
    product = multiply(multiply(pull, inner), pull.swapaxes(0, 1))
    return np.asarray(product.sum(axis=2))


def _within_classes(marginal: GaussianMarginal, targets: FloatArray) -> FloatArray:
    """Return sum_j a_j W a_j' over the groups of each class, (projection, projection, design_class, node)."""
    cross = marginal.cross
    order = cross.n_effects
    inner = np.empty((order, order, cross.n_classes, targets.shape[-1]))
    pairs = lower_pairs(cross.n_coefficients + 1)
    across = np.stack([targets[i, j] for i, j in pairs])
    once = np.array([1.0 if i == j else 2.0 for i, j in pairs])[:, None]
    for classes, moments in marginal.moments_by_class():
        for row, (k, m) in enumerate(lower_pairs(order)):
            # moments of k != m hold both orders of the effects already
            values = moments[row] @ (across * (once if k == m else 0.5 * once))
            inner[k, m, classes] = inner[m, k, classes] = values
    return inner


def _of_mixed_sds(
    marginal: GaussianMarginal, conditional: CoefficientConditional, points: HyperPoints
) -> FloatArray | None:
    """Return the derivative by the log prior sds of coefficients that are mixed over."""
    prior = marginal.coefficient_prior
    if points.coefficient_sds is None:
        return None
    mixed, stated = list(prior.mixed), prior.stated_integrated
    mean = (stated @ conditional.coefficient_mean - prior.mean_at(points.coefficients))[mixed]
    variance = np.einsum("ia,abn,ib->in", stated[mixed], conditional.coefficient_covariance, stated[mixed])
    return np.asarray((mean**2 + variance) / points.coefficient_sds**2 - 1.0)

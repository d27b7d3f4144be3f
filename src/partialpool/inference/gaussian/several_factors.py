"""Levels of several factors given the hyperparameters: conditional moments and joint draws at every node."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partialpool.inference.gaussian.conditional_moments import ConditionalMoments, quadratic_form
from partialpool.inference.gaussian.effect_factors import factor_effects
from partialpool.inference.gaussian.elimination.block_conditional import (
    LeadingConditional,
    condition_blocks,
    condition_leading,
    solve_leading_means,
    solve_means,
    subtract_effects,
)
from partialpool.inference.gaussian.elimination.block_factor import BlockFactor
from partialpool.inference.gaussian.elimination.contrast_variance import KnownTerm, contrast_variances
from partialpool.inference.gaussian.elimination.scatter import sum_into
from partialpool.inference.gaussian.marginal import CoefficientConditional, GaussianMarginal
from partialpool.inference.gaussian.spherical_moments import (
    SphericalMoments,
    find_spherical_moments,
    join_spherical_moments,
)
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.block_chain import solve_backward
from partialpool.numerics.progress import track
from partialpool.numerics.small_matrices import multiply
from partialpool.reductions.several.chain_layout import from_chain_order
from partialpool.reductions.statistics import Statistics


def effects_of_levels(
    marginal: GaussianMarginal,
    points: HyperPoints,
    conditional: CoefficientConditional,
    populations: Sequence[FloatArray],
    levels: slice,
    coefficients_known: bool,
    factor: int,
) -> ConditionalMoments:
    """Return the moments of one factor's effects, as ``group_posterior.effects_given_nodes`` says."""
    statistics = marginal.statistics
    means, variances = moments_of_levels(marginal, points).at(statistics, factor, levels)
    xs = [np.linalg.solve(statistics.scaling.population.T, population) for population in populations]
    shifted = conditional.basis @ conditional.mean - conditional.shift
    # u_y - u_X beta, and u_X on the basis: (effect, level, node) and (basis, effect, level, node)
    deviation = means[:, -1] - np.einsum("qtln,tn->qln", means[:, :-1], shifted, optimize=True)
    pulled = np.einsum("tb,qtln->bqln", conditional.basis, means[:, :-1], optimize=True)
    noise = variances * points.residual_sd**2
    mean = np.empty((points.n_nodes, len(xs), *deviation.shape[:2]))
    variance = np.empty_like(mean)
    for kind, x in enumerate(xs):
        centre = (statistics.scaling.reference[:, None] + shifted).T @ x
        on_basis = conditional.basis.T @ x
        for k in range(len(deviation)):
            mean[:, kind, k] = centre[:, k, None] + deviation[k].T
            variance[:, kind, k] = noise[k].T
            if not coefficients_known:
                vectors = np.moveaxis(on_basis[:, k, None, None] - pulled[:, k], 1, 2)
                variance[:, kind, k] += quadratic_form(vectors, conditional.covariance)
    # interpolated covariances may be negative by their error
    return ConditionalMoments(mean.reshape(points.n_nodes, -1), np.maximum(variance, 0.0).reshape(points.n_nodes, -1))


def contrast_of_levels(
    marginal: GaussianMarginal,
    points: HyperPoints,
    conditional: CoefficientConditional,
    population: FloatArray,
    terms: Sequence[tuple[int, IntArray, FloatArray]],
    coefficients_known: bool,
) -> ConditionalMoments:
    """Return the moments of contrasts, as ``group_posterior.contrast_given_nodes`` says."""
    statistics = marginal.statistics
    x = np.linalg.solve(statistics.scaling.population.T, population) if len(population) else population
    shifted = conditional.basis @ conditional.mean - conditional.shift
    moments = moments_of_levels(marginal, points)
    n_nodes, n_quantities = points.n_nodes, population.shape[1]
    mean = (statistics.scaling.reference[:, None] + shifted).T @ x
    on_basis = np.repeat((conditional.basis.T @ x)[:, None], n_nodes, axis=1)
    variance = np.zeros((n_nodes, n_quantities))
    known: list[KnownTerm] = []
    for factor, codes, effects in terms:
        new = codes < 0
        part = statistics.effect_slices[factor]
        spread = np.einsum("ikn,iq->knq", points.effect_root[part, part], np.where(new, effects, 0.0))
        variance += np.sum(spread * spread, axis=0)
        if new.all():
            continue
        level, own = np.where(new, 0, codes), np.where(new, 0.0, effects)
        known.append((factor, level, own))
        means, _ = moments.at(statistics, factor, level)
        toward = np.einsum("kq,ktqn->tnq", own, means, optimize=True)
        mean = mean + toward[-1] - np.einsum("tnq,tn->nq", toward[:-1], shifted, optimize=True)
        on_basis -= np.einsum("tb,tnq->bnq", conditional.basis, toward[:-1], optimize=True)
    if known:
        variance += _contrast_variances(marginal, points, known, n_quantities) * points.residual_sd[:, None] ** 2
    if not coefficients_known:
        variance = np.maximum(variance + quadratic_form(on_basis, conditional.covariance), 0.0)
    return ConditionalMoments(mean, variance)


def _contrast_variances(
    marginal: GaussianMarginal, points: HyperPoints, terms: Sequence[KnownTerm], n_quantities: int
) -> FloatArray:
    """Return variances over sigma^2 (node, quantity) of sums of effects; where nodes are interpolated, so are the logs
    of their shares of what the population alone gives."""
    for table in marginal.tables:
        nodes = table.find(points)
        if nodes is not None:
            known = contrast_variances(marginal.statistics, table.evaluated, terms, n_quantities)
            shares = known / _prior_variances(marginal.statistics, table.evaluated, terms, n_quantities)
            logs = table.mixing[:, nodes].T @ np.log(np.maximum(shares, 1e-300))
            return np.exp(logs) * _prior_variances(marginal.statistics, points, terms, n_quantities)
    return contrast_variances(marginal.statistics, points, terms, n_quantities)


def _prior_variances(
    statistics: Statistics, points: HyperPoints, terms: Sequence[KnownTerm], n_quantities: int
) -> FloatArray:
    """Return the variances over sigma^2 (node, quantity) that sums of effects have in the population."""
    total = np.zeros((points.n_nodes, n_quantities))
    for factor, _, effects in terms:
        part = statistics.effect_slices[factor]
        spread = np.einsum("ikn,iq->knq", points.effect_root[part, part], effects)
        total += np.sum(spread * spread, axis=0)
    return np.maximum(total / points.residual_sd[:, None] ** 2, 1e-300)


# Sets of nodes whose moments are held: a summary goes back and forth between two.
_HELD = 3


def moments_of_levels(marginal: GaussianMarginal, points: HyperPoints) -> SphericalMoments:
    """Return the effects' moments at the points: interpolated ones, or those held from the last call, or computed."""
    for table in marginal.tables:
        nodes = table.find(points)
        if nodes is not None:
            return table.moments.select(nodes)
    for known, result in marginal.held:
        if known is points:
            return result
    runs: list[SphericalMoments] = []
    for part in track(marginal.split(points), "conditioning effects"):
        blocks = marginal.reduce_effects(part).blocks
        if blocks is None:
            raise ValueError("there is no factor beside the leading one")
        effects = condition_blocks(marginal.statistics, part, blocks)
        runs.append(find_spherical_moments(marginal.statistics, part, blocks, effects))
    joined = join_spherical_moments(points, runs)
    marginal.held.append((points, joined))
    del marginal.held[:-_HELD]
    return joined


def draw_levels(
    statistics: Statistics,
    points: HyperPoints,
    blocks: BlockFactor,
    shifted: FloatArray,
    levels: Sequence[IntArray],
    rng: np.random.Generator,
) -> list[FloatArray]:
    """Draw the effects (effect, draw, level) of some levels of each factor, one node and ``shifted`` a draw."""
    means = _means_at(statistics, points, blocks, shifted, levels)
    noise = draw_noise(statistics, points, blocks, levels, rng)
    drawn = []
    for position, part in enumerate(statistics.effect_slices):
        spherical = means[position] + noise[position]
        own = multiply(points.effect_root[part, part][:, :, None], spherical[:, None])[:, 0]
        drawn.append(own.swapaxes(1, 2))
    return drawn


def _means_at(
    statistics: Statistics, points: HyperPoints, blocks: BlockFactor, shifted: FloatArray, levels: Sequence[IntArray]
) -> list[FloatArray]:
    """Return the spherical effects' means (effect, level, node) at some levels, given the coefficients."""
    target = np.concatenate([-shifted, np.ones((1, points.n_nodes))]) / points.residual_sd
    spherical = spherical_means(statistics, points, blocks, levels)
    return [np.einsum("qtln,tn->qln", part, target, optimize=True) for part in spherical]


def spherical_means(
    statistics: Statistics, points: HyperPoints, blocks: BlockFactor, levels: Sequence[IntArray]
) -> list[FloatArray]:
    """Return b_t (effect, target, level, node) of each factor, in the design's order, at some of its levels."""
    remaining = statistics.remaining
    if remaining is None:
        raise ValueError("there is no factor beside the leading one")
    n_targets = statistics.n_coefficients + 1
    if not any(len(at) for at in levels):
        sizes = [part.stop - part.start for part in statistics.effect_slices]
        return [np.empty((size, n_targets, 0, points.n_nodes)) for size in sizes]
    means = solve_means(remaining, blocks)
    result = dict(zip(remaining.positions, means, strict=True))
    if len(levels[statistics.leading]):
        leading = condition_leading(statistics, points)
        result[statistics.leading] = solve_leading_means(statistics, leading, blocks, means)
    else:
        result[statistics.leading] = np.empty((statistics.cross.n_effects, n_targets, 0, points.n_nodes))
    return [result[k][:, :, levels[k]] for k in range(len(result))]


def draw_noise(
    statistics: Statistics,
    points: HyperPoints,
    blocks: BlockFactor,
    levels: Sequence[IntArray],
    rng: np.random.Generator,
    n_copies: int = 1,
) -> list[FloatArray]:
    """Draw spherical effects of some levels about their means, (effect, level, node * copy) by factor of the design.

    With ``n_copies`` above 1 there is one node, of which that many independent draws are made.
    """
    remaining = statistics.remaining
    if remaining is None:
        raise ValueError("there is no factor beside the leading one")
    n_nodes = points.n_nodes
    if not any(len(at) for at in levels):
        return [np.empty((part.stop - part.start, 0, n_nodes * n_copies)) for part in statistics.effect_slices]
    drawn: list[FloatArray] = [np.empty(0)] * len(remaining.positions)
    layout = remaining.plan.chain
    if layout is not None and blocks.chain is not None:
        normal = rng.standard_normal((n_nodes, layout.n_columns, n_copies))
        solved = from_chain_order(remaining, layout, solve_backward(blocks.chain, normal))
        for k, part in zip(layout.places, solved, strict=True):
            drawn[k] = part
    for step, factored in zip(reversed(remaining.plan.steps), reversed(blocks.steps), strict=True):
        q, n_levels = remaining.n_effects[step.place], remaining.n_levels[step.place]
        right = rng.standard_normal((q, n_copies, n_levels, n_nodes))
        for m in step.neighbours:
            coupling = remaining.coupling(step.place, m)
            product = multiply(factored.outward[m], drawn[m][:, :, coupling.column])
            right -= sum_into(coupling.row, product, n_levels)
        drawn[step.place] = multiply(factored.root.swapaxes(0, 1), right, left_is="upper")
    result = {position: part[:, :, levels[position]] for position, part in zip(remaining.positions, drawn, strict=True)}
    wanted = levels[statistics.leading]
    result[statistics.leading] = _draw_leading_noise(statistics, points, blocks, drawn, wanted, rng, n_copies)
    return [
        part.transpose(0, 2, 3, 1).reshape(part.shape[0], part.shape[2], n_nodes * n_copies)
        for part in (result[k] for k in range(len(result)))
    ]


def _draw_leading_noise(
    statistics: Statistics,
    points: HyperPoints,
    blocks: BlockFactor,
    drawn: list[FloatArray],
    wanted: IntArray,
    rng: np.random.Generator,
    n_copies: int,
) -> FloatArray:
    """Draw the leading factor's spherical effects (effect, copy, wanted group, node) given the others' noise."""
    cross = statistics.cross
    if not len(wanted):
        return np.empty((cross.n_effects, n_copies, 0, points.n_nodes))
    inner = factor_effects(cross, statistics.leading_points(points), slice(None)).inner.swapaxes(2, 3)
    leading: LeadingConditional = condition_leading(statistics, points)
    nothing = np.zeros((cross.n_effects, n_copies, len(wanted), 1))
    left = subtract_effects(statistics, blocks.roots, nothing, drawn, wanted)
    classes = cross.class_of[wanted]
    pulled = multiply(leading.pull[:, :, classes], left)
    normal = rng.standard_normal(pulled.shape)
    return pulled + multiply(inner[:, :, classes], normal, left_is="upper")

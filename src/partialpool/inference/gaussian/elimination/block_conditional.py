"""The effects of several factors given the hyperparameters: conditional means and covariances at a batch of nodes.

All in spherical coordinates (``block_factor``). For each target t (a population column or the response) b_t is the mean
that the effects would have were t the response, in units of the residual sd; the conditional mean given coefficients
beta is b_y - b_X beta. Covariances are kept for pairs of levels that meet, which is all that tables and gradients ask
for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partialpool.inference.gaussian.effect_factors import factor_effects
from partialpool.inference.gaussian.elimination.block_factor import BlockFactor, StepFactor
from partialpool.inference.gaussian.elimination.scatter import sum_into
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.block_chain import invert_chain, solve_backward
from partialpool.numerics.small_matrices import lower_pairs, multiply
from partialpool.reductions.several.chain_layout import from_chain_order, read_chain
from partialpool.reductions.several.elimination_plan import Step
from partialpool.reductions.several.remaining_factors import RemainingFactors
from partialpool.reductions.statistics import Statistics

#: Blocks (effect, effect, block, node) by pair of factors' places.
Blocks = dict[tuple[int, int], FloatArray]


@dataclass(frozen=True)
class LeadingConditional:
    """The leading factor given all others: ``pull`` N (effect, projection, design_class, node) takes what is left of
    projections to conditional means, ``covariance`` (effect, effect, design_class, node) is what others leave."""

    pull: FloatArray
    covariance: FloatArray


def condition_leading(statistics: Statistics, points: HyperPoints) -> LeadingConditional:
    """Return the leading factor's conditional distribution given all other effects."""
    cross = statistics.cross
    factors = factor_effects(cross, statistics.leading_points(points), slice(None))
    design = cross.class_root[:, :, None].swapaxes(0, 1)
    inward = multiply(factors.outer[..., None].swapaxes(0, 1), design, right_is="lower")
    pull = multiply(factors.inner, multiply(factors.inner.swapaxes(0, 1), inward, left_is="lower"), left_is="upper")
    covariance = multiply(factors.inner, factors.inner.swapaxes(0, 1), left_is="upper", right_is="lower")
    return LeadingConditional(
        np.ascontiguousarray(pull.swapaxes(2, 3)), np.ascontiguousarray(covariance.swapaxes(2, 3))
    )


@dataclass(frozen=True)
class BlockConditional:
    """All effects given the coefficients, at the nodes of a ``BlockFactor``: the ``leading`` factor's, and of the
    remaining ones the ``means`` b_t (effect, target, level, node) and ``covariances``."""

    leading: LeadingConditional
    means: list[FloatArray]
    covariances: Blocks


def condition_blocks(statistics: Statistics, points: HyperPoints, factor: BlockFactor) -> BlockConditional:
    """Solve for the remaining factors' means and for their covariances where levels meet."""
    remaining = statistics.remaining
    if remaining is None:
        raise ValueError("there is no factor beside the leading one")
    leading = condition_leading(statistics, points)
    return BlockConditional(leading, solve_means(remaining, factor), invert_on_pattern(remaining, factor))


def solve_means(remaining: RemainingFactors, factor: BlockFactor) -> list[FloatArray]:
    """Return b_t of the remaining factors, (effect, target, level, node) each."""
    means: list[FloatArray] = [np.empty(0)] * len(remaining.positions)
    layout = remaining.plan.chain
    if factor.chain is not None and layout is not None:
        solved = from_chain_order(remaining, layout, solve_backward(factor.chain, factor.border))
        for k, part in zip(layout.places, solved, strict=True):
            means[k] = part
    for step, factored in zip(reversed(remaining.plan.steps), reversed(factor.steps), strict=True):
        right = factored.border.copy()
        for m in step.neighbours:
            coupling = remaining.coupling(step.place, m)
            product = multiply(factored.outward[m], means[m][:, :, coupling.column])
            right -= sum_into(coupling.row, product, remaining.n_levels[step.place])
        means[step.place] = multiply(factored.root.swapaxes(0, 1), right, left_is="upper")
    return means


def solve_leading_means(
    statistics: Statistics, leading: LeadingConditional, factor: BlockFactor, means: list[FloatArray]
) -> FloatArray:
    """Return b_t of the leading factor, (effect, target, group, node)."""
    left = subtract_effects(statistics, factor.roots, statistics.cross.projection[..., None], means)
    return multiply(leading.pull[:, :, statistics.cross.class_of], left)


def subtract_effects(
    statistics: Statistics,
    roots: tuple[FloatArray, ...],
    projection: FloatArray,
    effects: list[FloatArray],
    groups: IntArray | None = None,
) -> FloatArray:
    """Return leading projections (leading effect, side, group, node or 1) less those of spherical effects (effect,
    side, level, node) of the remaining factors; the projections are those of some ``groups`` (None: all)."""
    remaining = statistics.remaining
    if remaining is None:
        return projection
    from scipy.sparse import csr_matrix

    n_leading, _, n_groups, _ = projection.shape
    left = projection
    for cells, root, part in zip(remaining.projections, roots, effects, strict=True):
        scaled = multiply(root[:, :, None], part).swapaxes(1, 2)
        n_effects, n_levels, n_sides, n_nodes = scaled.shape
        if groups is not None:
            columns = np.concatenate([m * remaining.n_groups + groups for m in range(n_leading)])
            cells = csr_matrix(cells.tocsc()[:, columns])
        seen = cells.T @ scaled.reshape(n_effects * n_levels, n_sides * n_nodes)
        left = left - seen.reshape(n_leading, n_groups, n_sides, n_nodes).swapaxes(1, 2)
    return left


def invert_on_pattern(remaining: RemainingFactors, factor: BlockFactor) -> Blocks:
    """Return the effects' conditional covariances over sigma^2 for levels that meet."""
    blocks: Blocks = {}
    layout = remaining.plan.chain
    if factor.chain is not None and layout is not None:
        blocks |= read_chain(remaining, layout, invert_chain(factor.chain))
    for step, factored in zip(reversed(remaining.plan.steps), reversed(factor.steps), strict=True):
        _invert_step(remaining, step, factored, blocks)
    return blocks


def _invert_step(remaining: RemainingFactors, step: Step, factored: StepFactor, blocks: Blocks) -> None:
    """Add the blocks of a factor that left, from those of the factors that it met."""
    toward = {m: np.zeros_like(factored.outward[m]) for m in step.neighbours}
    for pairs in step.pairs:
        first, second, covariance = pairs.first, pairs.second, blocks[pairs.first, pairs.second][:, :, pairs.target]
        product = multiply(factored.outward[first][:, :, pairs.left], covariance)
        toward[second] += sum_into(pairs.right, product, toward[second].shape[2])
        other = np.ones(len(pairs.left), dtype=bool) if first != second else pairs.left != pairs.right
        if other.any():
            transposed = covariance.swapaxes(0, 1)[:, :, other]
            product = multiply(factored.outward[second][:, :, pairs.right[other]], transposed)
            toward[first] += sum_into(pairs.left[other], product, toward[first].shape[2])
    root, turned = factored.root, factored.root.swapaxes(0, 1)
    inner = np.zeros_like(root)
    for i in range(len(root)):
        inner[i, i] = 1.0
    for m in step.neighbours:
        coupling = remaining.coupling(step.place, m)
        product = multiply(toward[m], factored.outward[m].swapaxes(0, 1))
        inner += sum_into(coupling.row, product, remaining.n_levels[step.place])
        blocks[step.place, m] = -multiply(turned[:, :, coupling.row], toward[m], left_is="upper")
    blocks[step.place, step.place] = multiply(multiply(turned, inner, left_is="upper"), root, right_is="lower")


def project_covariances(
    statistics: Statistics, roots: tuple[FloatArray, ...], blocks: Blocks, by_group: bool
) -> FloatArray:
    """Return A C A' (leading effect, leading effect, unit, node), C the remaining effects' covariances: for each
    leading group, or summed over the groups of each design class."""
    remaining, cross = statistics.remaining, statistics.cross
    if remaining is None:
        raise ValueError("there is no factor beside the leading one")
    order = cross.n_effects
    n_units = cross.n_groups if by_group else cross.n_classes
    maps = remaining.group_maps if by_group else tuple(part.map for part in remaining.couplings)
    pairs = lower_pairs(order)
    total: FloatArray | float = 0.0
    for part, entry_map in zip(remaining.couplings, maps, strict=True):
        scaled = multiply(
            multiply(roots[part.first][:, :, None], blocks[part.first, part.second]),
            roots[part.second].swapaxes(0, 1)[:, :, None],
        )
        scaled = scaled * np.where((part.first == part.second) & (part.row == part.column), 1.0, 2.0)[:, None]
        total = total + entry_map.T @ scaled.reshape(-1, scaled.shape[-1])
    flat = np.asarray(total).reshape(len(pairs), n_units, -1)
    result = np.empty((order, order, *flat.shape[1:]))
    for values, (a, b) in zip(flat, pairs, strict=True):
        result[a, b] = result[b, a] = values if a == b else 0.5 * values
    return result

"""The remaining factors factored at a batch of nodes: forward elimination by the plan.

Effects are in spherical coordinates: those of level l of factor k are L_k b_l, with L_k the root of their covariance
relative to the residual sd and b_l standard normal, so that every block to be factored is I plus a positive matrix and
an sd of zero is a state like any other.

Source: Bates, Maechler, Bolker and Walker (2015), J. Statistical Software 67(1), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from partialpool.inference.gaussian.elimination.scatter import sum_into
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.block_chain import Chain, chain_log_determinant, factor_chain, solve_forward
from partialpool.numerics.small_matrices import (
    factor_ldl,
    invert_ldl,
    invert_unit_lower,
    log_determinant,
    lower_pairs,
    multiply,
)
from partialpool.reductions.cross_products import CrossProducts
from partialpool.reductions.several.chain_layout import fill_chain, to_chain_order
from partialpool.reductions.several.elimination_plan import PairsOfBlocks, Step
from partialpool.reductions.several.remaining_factors import RemainingFactors
from partialpool.reductions.statistics import Statistics


class LeadingFactor(NamedTuple):
    """The leading factor's ``precision`` B^-1 (effect, effect, design_class, node) and sum_j log|B_j| (node,)."""

    precision: FloatArray
    log_determinant: FloatArray


class StepFactor(NamedTuple):
    """A factor that left: ``root`` V (effect, effect, level, node) with V'V the inverse of its blocks, ``outward`` V
    times its couplings with each neighbour (effect, effect, block, node), ``border`` V times its products with the
    targets (effect, target, level, node)."""

    root: FloatArray
    outward: dict[int, FloatArray]
    border: FloatArray


@dataclass(frozen=True)
class BlockFactor:
    """``roots`` L (effect, effect, node) of the remaining factors; the factored steps and chain, the chain's ``border``
    (node, column, target) solved forward; ``log_determinant`` (node,) and the ``explained`` products of targets
    (target, target, node) by which the remaining factors lower those that the leading one left."""

    roots: tuple[FloatArray, ...]
    steps: tuple[StepFactor, ...]
    chain: Chain | None
    border: FloatArray
    log_determinant: FloatArray
    explained: FloatArray


def factor_remaining(statistics: Statistics, points: HyperPoints, leading: LeadingFactor | None = None) -> BlockFactor:
    """Eliminate the remaining factors at every node, the ``leading`` one (None: factored here) having left."""
    remaining = statistics.remaining
    if remaining is None:
        raise ValueError("there is no factor beside the leading one")
    roots = tuple(relative_root(statistics, points, k) for k in remaining.positions)
    precision = (leading or factor_leading(statistics.cross, statistics.leading_points(points))).precision
    entries = _couple(remaining, precision, roots)
    borders = _border(remaining, statistics.cross, precision, roots)
    n_targets, n_nodes = borders[0].shape[1], points.n_nodes
    log_determinants, explained = np.zeros(n_nodes), np.zeros((n_targets, n_targets, n_nodes))
    steps = []
    for step in remaining.plan.steps:
        factored, log_volume = _eliminate(remaining, step, entries, borders)
        log_determinants += log_volume
        explained += np.einsum("qtln,quln->tun", factored.border, factored.border, optimize=True)
        steps.append(factored)
    layout = remaining.plan.chain
    if layout is None:
        return BlockFactor(roots, tuple(steps), None, np.empty((n_nodes, 0, n_targets)), log_determinants, explained)
    chain = factor_chain(fill_chain(remaining, layout, entries, n_nodes))
    border = solve_forward(chain, to_chain_order(layout, [borders[k] for k in layout.places]))
    log_determinants += chain_log_determinant(chain)
    explained += np.einsum("nct,ncu->tun", border, border, optimize=True)
    return BlockFactor(roots, tuple(steps), chain, border, log_determinants, explained)


def relative_root(statistics: Statistics, points: HyperPoints, factor: int) -> FloatArray:
    """Return L (effect, effect, node) of one factor for scaled columns, relative to the residual sd."""
    part = statistics.effect_slices[factor]
    root = points.effect_root[part, part] / points.residual_sd
    return multiply(statistics.effect_maps[factor][:, :, None], root)


def factor_leading(cross: CrossProducts, points: HyperPoints) -> LeadingFactor:
    """Factor the leading factor at every node."""
    root = multiply(cross.scaling.effects[:, :, None], points.effect_root) / points.residual_sd
    spread = multiply(cross.class_root[..., None], root[:, :, None])
    order = cross.n_effects
    matrix = np.empty((order, order, cross.n_classes, points.n_nodes))
    for i, j in lower_pairs(order):
        matrix[i, j] = sum(spread[i, k] * spread[j, k] for k in range(order))
        if i == j:
            matrix[i, j] += 1.0
    factor = factor_ldl(matrix)
    return LeadingFactor(invert_ldl(factor), cross.class_size @ log_determinant(factor))


def _couple(
    remaining: RemainingFactors, precision: FloatArray, roots: tuple[FloatArray, ...]
) -> dict[tuple[int, int], FloatArray]:
    """Return the couplings in spherical coordinates, (effect, effect, block, node) by pair of factors."""
    pairs = lower_pairs(len(precision))
    inverse = np.concatenate([precision[a, b] for a, b in pairs])
    complement = np.concatenate([precision[a, b] - (a == b) for a, b in pairs])
    entries = {}
    for part in remaining.couplings:
        values = part.map @ (inverse if part.within else complement)
        values += part.constant[:, None]
        shape = (remaining.n_effects[part.first], remaining.n_effects[part.second], part.n_blocks, values.shape[1])
        left, right = roots[part.first].swapaxes(0, 1)[:, :, None], roots[part.second][:, :, None]
        entries[part.first, part.second] = multiply(multiply(left, values.reshape(shape)), right)
    return entries


def _border(
    remaining: RemainingFactors, cross: CrossProducts, precision: FloatArray, roots: tuple[FloatArray, ...]
) -> list[FloatArray]:
    """Return L' Z' V_0^-1 [X, y] of each remaining factor, (effect, target, level, node)."""
    n_effects, n_targets, n_groups = cross.projection.shape
    n_nodes = precision.shape[-1]
    of_group = precision[:, :, cross.class_of]
    solved = np.zeros((n_effects, n_groups, n_targets, n_nodes))
    for m in range(n_effects):
        for a in range(n_effects):
            solved[m] += of_group[m, a][:, None] * cross.projection[a].T[:, :, None]
    flat = solved.reshape(n_effects * n_groups, n_targets * n_nodes)
    borders = []
    for projection, constant, root in zip(remaining.projections, remaining.border, roots, strict=True):
        own, _, n_levels = constant.shape
        gathered = (projection @ flat).reshape(own, n_levels, n_targets, n_nodes).swapaxes(1, 2)
        borders.append(multiply(root.swapaxes(0, 1)[:, :, None], gathered + constant[..., None]))
    return borders


def _eliminate(
    remaining: RemainingFactors, step: Step, entries: dict[tuple[int, int], FloatArray], borders: list[FloatArray]
) -> tuple[StepFactor, FloatArray]:
    """Factor the blocks of one factor and take what they explain from all that is left, in place."""
    own = entries[step.place, step.place].copy()
    for i in range(len(own)):
        own[i, i] += 1.0
    factor = factor_ldl(own)
    root = invert_unit_lower(factor.lower) / np.sqrt(factor.pivots)[:, None]
    border = multiply(root, borders[step.place], left_is="lower")
    outward = {}
    for m in step.neighbours:
        coupling = remaining.coupling(step.place, m)
        outward[m] = multiply(root[:, :, coupling.row], entries[step.place, m], left_is="lower")
        product = multiply(outward[m].swapaxes(0, 1)[:, :, :], border[:, :, coupling.row])
        borders[m] -= sum_into(coupling.column, product, remaining.n_levels[m])
    for pairs in step.pairs:
        entries[pairs.first, pairs.second] -= _multiply_pairs(remaining, pairs, outward)
    return StepFactor(root, outward, border), log_determinant(factor).sum(axis=0)


def _multiply_pairs(remaining: RemainingFactors, pairs: PairsOfBlocks, outward: dict[int, FloatArray]) -> FloatArray:
    """Return the products Y_first' Y_second of pairs of blocks, summed where they fall."""
    left = outward[pairs.first][:, :, pairs.left].swapaxes(0, 1)
    product = multiply(left, outward[pairs.second][:, :, pairs.right])
    return sum_into(pairs.target, product, remaining.coupling(pairs.first, pairs.second).n_blocks)

"""Conditional variances of any sums of effects of several factors.

Small models solve with the precision of all effects at once. In large ones a contrast is pushed through the elimination
as a sparse vector: what its leading level explains moves to the levels that it meets, and so on down to the chain,
whose triangular solve gives the rest of the variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from partialpool.inference.gaussian.elimination.block_conditional import LeadingConditional, condition_leading
from partialpool.inference.gaussian.elimination.block_factor import BlockFactor, StepFactor, factor_remaining
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.block_chain import solve_forward
from partialpool.reductions.several.elimination_plan import ChainLayout, Step
from partialpool.reductions.several.remaining_factors import RemainingFactors
from partialpool.reductions.statistics import Statistics

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

#: A factor, its level codes (quantity,) and effects (effect, quantity) on the formula's scale.
KnownTerm = tuple[int, IntArray, FloatArray]

# Columns of all factors up to which their precision is inverted whole.
_SMALL = 100
# Numbers of a dense right-hand side worked on at a time.
_CHUNK = 2**22


def contrast_variances(
    statistics: Statistics, points: HyperPoints, terms: Sequence[KnownTerm], n_quantities: int
) -> FloatArray:
    """Return the variances over sigma^2 (node, quantity) of sums of terms, the coefficients given."""
    result = np.empty((points.n_nodes, n_quantities))
    if (
        sum(n * (s.stop - s.start) for n, s in zip(statistics.n_groups, statistics.effect_slices, strict=True))
        <= _SMALL
    ):
        n_effects = len(statistics.whole_gram)
        length = max(1, _CHUNK // (n_effects * (3 * n_effects + 3 * n_quantities)))
        every = np.arange(points.n_nodes, dtype=np.intp)
        for start in range(0, points.n_nodes, length):
            part = slice(start, start + length)
            result[part] = _from_whole_precision(statistics, points.select(every[part]), terms)
        return result
    remaining = statistics.remaining
    if remaining is None:
        raise ValueError("there is no factor beside the leading one")
    n_columns = remaining.plan.chain.n_columns if remaining.plan.chain else 1
    length = max(1, _CHUNK // max(n_columns, 1))
    for node in range(points.n_nodes):
        point = points.select(np.array([node]))
        blocks, leading = factor_remaining(statistics, point), condition_leading(statistics, point)
        for start in range(0, n_quantities, length):
            part = slice(start, start + length)
            chunk = [(factor, codes[part], effects[:, part]) for factor, codes, effects in terms]
            result[node, part] = _push(statistics, point, blocks, leading, chunk)
    return result


def _from_whole_precision(statistics: Statistics, points: HyperPoints, terms: Sequence[KnownTerm]) -> FloatArray:
    """Solve with the precision of all spherical effects, at a run of nodes."""
    n_nodes = points.n_nodes
    starts = np.cumsum([0, *(n * len(e) for n, e in zip(statistics.n_groups, statistics.effect_maps, strict=True))])
    root = np.zeros((n_nodes, starts[-1], starts[-1]))
    for k, (n_levels, mapping) in enumerate(zip(statistics.n_groups, statistics.effect_maps, strict=True)):
        part = statistics.effect_slices[k]
        own = np.einsum("ik,kjn->nij", mapping, points.effect_root[part, part] / points.residual_sd)
        every = np.arange(n_levels)
        for i in range(len(mapping)):
            for j in range(len(mapping)):
                rows, columns = starts[k] + i * n_levels + every, starts[k] + j * n_levels + every
                root[:, rows, columns] = own[:, i, j, None]
    precision = np.swapaxes(root, 1, 2) @ (statistics.whole_gram @ root)
    np.einsum("nii->ni", precision)[...] += 1.0
    vectors = np.zeros((n_nodes, starts[-1], terms[0][2].shape[1]))
    for factor, codes, effects in terms:
        part = statistics.effect_slices[factor]
        spherical = np.einsum("kin,kq->niq", points.effect_root[part, part] / points.residual_sd, effects)
        for i in range(spherical.shape[1]):
            rows = starts[factor] + i * statistics.n_groups[factor] + codes
            vectors[:, rows, np.arange(len(codes))] += spherical[:, i]
    return np.asarray(np.sum(vectors * np.linalg.solve(precision, vectors), axis=1))


def _push(
    statistics: Statistics,
    point: HyperPoints,
    blocks: BlockFactor,
    leading: LeadingConditional,
    terms: Sequence[KnownTerm],
) -> FloatArray:
    """Return the variances (quantity,) at one node by forward elimination of sparse vectors."""
    remaining = statistics.remaining
    if remaining is None:
        raise ValueError("there is no factor beside the leading one")
    n_quantities = terms[0][2].shape[1]
    variance = np.zeros(n_quantities)
    own: dict[int, list[tuple[IntArray, FloatArray]]] = {}
    for factor, codes, effects in terms:
        part = statistics.effect_slices[factor]
        spherical = point.effect_root[part, part, 0].T @ effects / point.residual_sd[0]
        own.setdefault(factor, []).append((codes, spherical))
    vectors = [
        _gather(own.get(position, []), remaining.n_levels[k], remaining.n_effects[k], n_quantities)
        for k, position in enumerate(remaining.positions)
    ]
    cross = statistics.cross
    pulled = []
    for codes, spherical in own.get(statistics.leading, []):
        classes = cross.class_of[codes]
        variance += np.einsum("iq,ikq,kq->q", spherical, leading.covariance[:, :, classes, 0], spherical)
        pulled.append((codes, np.einsum("kmq,kq->mq", leading.pull[:, :, classes, 0], spherical)))
    if pulled:
        moved = _gather(pulled, cross.n_groups, cross.n_effects, n_quantities)
        for k, (cells, root) in enumerate(zip(remaining.projections, blocks.roots, strict=True)):
            vectors[k] = vectors[k] - _apply(root[..., 0].T, remaining.n_levels[k]) @ (cells @ moved)
    for step, factored in zip(remaining.plan.steps, blocks.steps, strict=True):
        variance += _push_step(remaining, step, factored, vectors)
    if remaining.plan.chain is not None and blocks.chain is not None:
        right = _dense_sides(remaining.plan.chain, vectors)
        solved = solve_forward(blocks.chain, right[None])[0]
        variance += np.sum(solved * solved, axis=0)
    return variance


def _push_step(remaining: RemainingFactors, step: Step, factored: StepFactor, vectors: list[csc_matrix]) -> FloatArray:
    """Take a factor's part of the variance and move what it explains to its neighbours, in place."""
    n_levels = remaining.n_levels[step.place]
    every = np.arange(n_levels)
    solved = _as_sparse(factored.root[..., 0], every, every, n_levels, n_levels) @ vectors[step.place]
    for m in step.neighbours:
        coupling = remaining.coupling(step.place, m)
        values, size = factored.outward[m][..., 0], remaining.n_levels[m]
        vectors[m] = vectors[m] - _as_sparse(values, coupling.row, coupling.column, n_levels, size).T @ solved
    return np.asarray(solved.multiply(solved).sum(axis=0)).ravel()


def _gather(parts: list[tuple[IntArray, FloatArray]], n_levels: int, n_effects: int, n_quantities: int) -> csc_matrix:
    """Return vectors (effect * level, quantity) from codes (quantity,) and values (effect, quantity)."""
    from scipy.sparse import csc_matrix

    rows: list[IntArray] = [np.empty(0, dtype=np.intp)]
    columns, values = [np.empty(0, dtype=np.intp)], [np.empty(0)]
    for codes, effects in parts:
        for i, row in enumerate(effects):
            rows.append(i * n_levels + codes)
            columns.append(np.arange(n_quantities))
            values.append(row)
    data = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csc_matrix(data, shape=(n_effects * n_levels, n_quantities))


def _apply(matrix: FloatArray, n_levels: int) -> csc_matrix:
    """Return the matrix that applies a small one to the effects of every level."""
    from scipy.sparse import csc_matrix, identity, kron

    return csc_matrix(kron(matrix, identity(n_levels)))


def _as_sparse(values: FloatArray, row: IntArray, column: IntArray, n_rows: int, n_columns: int) -> csc_matrix:
    """Return blocks (effect, effect, block) as one matrix (effect * row level, effect * column level)."""
    from scipy.sparse import csc_matrix

    first, second, _ = values.shape
    rows = np.concatenate([i * n_rows + row for i in range(first) for _ in range(second)])
    columns = np.concatenate([k * n_columns + column for _ in range(first) for k in range(second)])
    return csc_matrix((values.ravel(), (rows, columns)), shape=(first * n_rows, second * n_columns))


def _dense_sides(layout: ChainLayout, vectors: list[csc_matrix]) -> FloatArray:
    """Return the chain's part of the vectors (column, quantity) in the chain's order."""
    together = np.concatenate([vectors[k].toarray() for k in layout.places])
    ordered = np.empty_like(together)
    ordered[layout.position] = together
    return ordered

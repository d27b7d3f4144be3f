"""Sufficient statistics of the factors beside the leading one, and the plan by which they leave."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.reductions.columns import Column, sum_by_group, weigh
from partialpool.reductions.orthogonalise import Orthogonal
from partialpool.reductions.several.cells import Cells, crossed_cells, nested_cells
from partialpool.reductions.several.chain_layout import locate_in_storage
from partialpool.reductions.several.cost import check_pairs, check_plan
from partialpool.reductions.several.couplings import Coupling, find_meeting_levels, locate_keys, map_entries
from partialpool.reductions.several.elimination_plan import EliminationPlan, Pattern, plan_elimination

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class FactorRows:
    """One of the remaining factors as its rows show it: ``name`` and ``position`` in the design, ``columns`` (scaled),
    ``codes`` (row,), ``n_levels``, whether the leading factor's groups lie ``within`` its levels, and for such factors
    what the leading projections leave of the columns (None: nothing)."""

    name: str
    position: int
    columns: list[Column]
    codes: IntArray
    n_levels: int
    within: bool
    left: list[Column]


@dataclass(frozen=True)
class RemainingFactors:
    """``positions`` in the design in the order in which they leave, with the ``n_effects`` and ``n_levels`` of each.

    ``cells`` hold the projections of their columns on the leading factor's; ``border`` (effect, target, level) their
    products with what those projections leave of the population's columns and the response.
    """

    positions: tuple[int, ...]
    n_effects: tuple[int, ...]
    n_levels: tuple[int, ...]
    cells: tuple[Cells, ...]
    border: tuple[FloatArray, ...]
    couplings: tuple[Coupling, ...]
    plan: EliminationPlan
    n_groups: int

    @cached_property
    def projections(self) -> tuple[csr_matrix, ...]:
        """For each factor its cells' A' as a sparse matrix (effect * level, leading effect * leading group)."""
        from scipy.sparse import csr_matrix

        result = []
        for cells, n_levels in zip(self.cells, self.n_levels, strict=True):
            n_leading, n_effects, _ = cells.values.shape
            row = [i * n_levels + cells.level for _ in range(n_leading) for i in range(n_effects)]
            column = [m * self.n_groups + cells.group for m in range(n_leading) for _ in range(n_effects)]
            shape = (n_effects * n_levels, n_leading * self.n_groups)
            result.append(csr_matrix((cells.values.ravel(), (np.concatenate(row), np.concatenate(column))), shape))
        return tuple(result)

    @cached_property
    def group_maps(self) -> tuple[csr_matrix, ...]:
        """The couplings' maps with a column for each leading group instead of each design class."""
        every = np.arange(self.n_groups, dtype=np.intp)
        maps = []
        for coupling in self.couplings:
            k, m = coupling.first, coupling.second
            sizes = (self.n_levels[k], self.n_levels[m])
            keys = coupling.row * sizes[1] + coupling.column
            maps.append(map_entries(self.cells[k], self.cells[m], k == m, keys, sizes, every, self.n_groups))
        return tuple(maps)

    @cached_property
    def numbers_a_node(self) -> int:
        """About how many numbers the arrays of one node hold."""
        entries = sum(int(part.constant.size) for part in self.couplings)
        chain = 0 if self.plan.chain is None else self.plan.chain.storage
        targets = int(self.border[0].shape[1])
        columns = sum(n * q for n, q in zip(self.n_levels, self.n_effects, strict=True))
        return 4 * entries + 2 * chain + 3 * targets * (columns + self.n_groups * len(self.cells[0].values))

    @property
    def seconds(self) -> float:
        """About how long they take to leave, once, on one core of a machine of the 2020s (measured to a factor of
        2)."""
        entries = sum(float(part.map.nnz + part.constant.size) for part in self.couplings)
        pairs = sum(float(len(part.left)) for step in self.plan.steps for part in step.pairs)
        targets = float(self.border[0].size + self.border[0].shape[1] * self.n_groups)
        chain = 0.0 if self.plan.chain is None else self.plan.chain.flops / 3e10 + 4e-9 * self.plan.chain.storage
        return 3e-10 * entries + 2e-8 * pairs + 4e-9 * targets + chain

    @cached_property
    def chain_places(self) -> dict[tuple[int, int], IntArray]:
        """Where the couplings' entries lie in the storage of the plan's chain."""
        return {} if self.plan.chain is None else locate_in_storage(self, self.plan.chain)

    def coupling(self, first: int, second: int) -> Coupling:
        """Return the coupling between two factors."""
        return next(part for part in self.couplings if (part.first, part.second) == (first, second))


def build_remaining_factors(
    factors: list[FactorRows],
    leading: IntArray,
    orthogonal: Orthogonal,
    class_of: IntArray,
    n_classes: int,
    n_targets: int,
    weights: FloatArray | None,
) -> RemainingFactors:
    """Reduce the rows of the remaining factors; ``leading`` are the leading factor's codes (row,)."""
    cells = _build_cells(factors, leading, orthogonal, n_targets, weights)
    names = tuple(factor.name for factor in factors)
    check_pairs(cells, names)
    n_levels = tuple(factor.n_levels for factor in factors)
    n_effects = tuple(len(factor.columns) for factor in factors)
    pattern: Pattern = {}
    for k in range(len(factors)):
        for m in range(k, len(factors)):
            pattern[k, m] = find_meeting_levels(cells[k], cells[m], k == m, (n_levels[k], n_levels[m]))
    plan = plan_elimination(pattern, n_levels, n_effects)
    check_plan(plan, names)
    couplings = []
    for (k, m), keys in plan.pattern.items():
        within = factors[k].within and factors[m].within
        couplings.append(
            Coupling(
                k,
                m,
                keys // n_levels[m],
                keys % n_levels[m],
                _sum_products(factors[k], factors[m], k == m, keys, within, weights),
                map_entries(cells[k], cells[m], k == m, keys, (n_levels[k], n_levels[m]), class_of, n_classes),
                within,
            )
        )
    border = tuple(_multiply_targets(factor, orthogonal.left[:n_targets], weights) for factor in factors)
    positions = tuple(factor.position for factor in factors)
    return RemainingFactors(positions, n_effects, n_levels, cells, border, tuple(couplings), plan, len(class_of))


def _build_cells(
    factors: list[FactorRows], leading: IntArray, orthogonal: Orthogonal, n_targets: int, weights: FloatArray | None
) -> tuple[Cells, ...]:
    cells = []
    first = n_targets
    for factor in factors:
        if factor.within:
            stop = first + len(factor.columns)
            cells.append(nested_cells(orthogonal.projection[:, first:stop], leading, factor.codes))
            first = stop
        else:
            cells.append(crossed_cells(orthogonal, factor.columns, leading, factor.codes, factor.n_levels, weights))
    return tuple(cells)


def _sum_products(
    first: FactorRows, second: FactorRows, same: bool, keys: IntArray, within: bool, weights: FloatArray | None
) -> FloatArray:
    """Return the constant part of a coupling (effect * effect * block,): Z_k'W Z_m, or what projections leave of it."""
    lefts, rights = (first.left, second.left) if within else (first.columns, second.columns)
    constant = np.zeros((len(lefts), len(rights), len(keys)))
    if within and all(column is None for column in (*lefts, *rights)):
        return constant.ravel()
    sizes = (first.n_levels, second.n_levels)
    block = locate_keys(keys, first.codes * sizes[1] + second.codes, sizes, same)
    for i, left in enumerate(lefts):
        for k, right in enumerate(rights):
            if within and (left is None or right is None):
                continue
            product = weigh(right, weights) if left is None else weigh(left, weigh(right, weights))
            constant[i, k] = sum_by_group(product, block, len(keys))
    return constant.ravel()


def _multiply_targets(factor: FactorRows, left: list[Column], weights: FloatArray | None) -> FloatArray:
    """Return the factor's products with what projections leave of the targets, (effect, target, level)."""
    columns = factor.left if factor.within else factor.columns
    border = np.zeros((len(columns), len(left), factor.n_levels))
    for t, target in enumerate(left):
        if target is None:
            continue
        weighted = weigh(target, weights)
        for i, column in enumerate(columns):
            if not (factor.within and column is None):
                border[i, t] = sum_by_group(weigh(column, weighted), factor.codes, factor.n_levels)
    return border

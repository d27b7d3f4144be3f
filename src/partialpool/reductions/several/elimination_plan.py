"""The plan by which the remaining factors leave, from the pattern of their couplings alone.

A factor whose levels do not meet one another is eliminated level by level; the levels that each of them met then meet
(fill-in). Nested factors never fill. When the largest factor left is not like that, all factors left form one
dense matrix, or a chain of dense blocks where an ordering by breadth-first search makes that cheaper.

Source: George and Liu (1981), Computer Solution of Large Sparse Positive Definite Systems, chapters 4 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.reductions.several.cells import pair_within_groups
from partialpool.reductions.several.couplings import locate_keys

#: Sorted keys row * n_levels(column's factor) + column of the blocks between two factors, by their places.
Pattern = dict[tuple[int, int], IntArray]

# Columns up to which one dense matrix is cheaper than any structure.
_SMALL = 48
# A chain of blocks must save this much of the dense matrix's work.
_WORTH_A_CHAIN = 0.5


@dataclass(frozen=True)
class PairsOfBlocks:
    """Pairs of blocks that share a level of the factor that leaves: ``left`` in its coupling with factor ``first``,
    ``right`` in that with ``second``, and the block of coupling (first, second) that their product falls on.

    Within one factor each unordered pair occurs once, the later level first.
    """

    first: int
    second: int
    left: IntArray
    right: IntArray
    target: IntArray


@dataclass(frozen=True)
class Step:
    """The factor at ``place`` leaves; ``neighbours`` are the places of those that are left, whose levels it meets."""

    place: int
    neighbours: tuple[int, ...]
    pairs: tuple[PairsOfBlocks, ...]


@dataclass(frozen=True)
class ChainLayout:
    """Where the columns of the last factors go: ``places`` of the factors, ``position`` (column,) of each column in the
    chain's order, and ``sizes`` of the blocks. Columns run over levels within effects within factors."""

    places: tuple[int, ...]
    position: IntArray
    sizes: tuple[int, ...]

    @property
    def n_columns(self) -> int:
        """How many columns there are."""
        return len(self.position)

    @property
    def storage(self) -> int:
        """How many numbers the blocks hold."""
        sizes = self.sizes
        return sum(size**2 for size in sizes) + sum(a * b for a, b in pairwise(sizes))

    @property
    def flops(self) -> float:
        """Operations of one factorisation."""
        sizes = np.array(self.sizes, dtype=float)
        return float(np.sum(sizes**3) / 3.0 + 2.0 * np.sum(sizes[1:] * sizes[:-1] * (sizes[1:] + sizes[:-1])))


@dataclass(frozen=True)
class EliminationPlan:
    """The steps, then the chain of what is left (None: nothing); ``pattern`` has the fill-in of the steps."""

    pattern: Pattern
    steps: tuple[Step, ...]
    chain: ChainLayout | None


def plan_elimination(pattern: Pattern, n_levels: tuple[int, ...], n_effects: tuple[int, ...]) -> EliminationPlan:
    """Plan how factors 0, 1, ... (largest first) leave; ``pattern`` are their couplings once the leading one left."""
    pattern = dict(pattern)
    leaving: list[tuple[int, tuple[int, ...]]] = []
    left = list(range(len(n_levels)))
    while left and sum(n_levels[k] * n_effects[k] for k in left) > _SMALL:
        place, later = left[0], tuple(left[1:])
        own = pattern[place, place]
        if not np.array_equal(own // n_levels[place], own % n_levels[place]):
            break
        for m, other in _pairs_of(later):
            _, _, wanted = _pair_blocks(pattern, place, m, other, n_levels)
            pattern[m, other] = np.union1d(pattern[m, other], wanted).astype(np.intp)
        leaving.append((place, later))
        left = left[1:]
    steps = tuple(_plan_step(pattern, place, later, n_levels) for place, later in leaving)
    chain = _lay_out_chain(pattern, tuple(left), n_levels, n_effects) if left else None
    return EliminationPlan(pattern, steps, chain)


def _pairs_of(places: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(m, other) for index, m in enumerate(places) for other in places[index:]]


def _plan_step(pattern: Pattern, place: int, later: tuple[int, ...], n_levels: tuple[int, ...]) -> Step:
    pairs = []
    for m, other in _pairs_of(later):
        left, right, wanted = _pair_blocks(pattern, place, m, other, n_levels)
        target = locate_keys(pattern[m, other], wanted, (n_levels[m], n_levels[other]), m == other)
        pairs.append(PairsOfBlocks(m, other, left, right, target))
    return Step(place, later, tuple(pairs))


def _pair_blocks(
    pattern: Pattern, place: int, m: int, other: int, n_levels: tuple[int, ...]
) -> tuple[IntArray, IntArray, IntArray]:
    """Pair the blocks of each level that leaves; return both sides and the keys on which their products fall."""
    starts, columns = [], []
    for factor in (m, other):
        keys = pattern[place, factor]
        every = np.arange(n_levels[place] + 1) * n_levels[factor]
        starts.append(np.searchsorted(keys, every).astype(np.intp))
        columns.append(keys % n_levels[factor])
    left, right = pair_within_groups(starts[0], starts[1], m == other)
    return left, right, columns[0][left] * n_levels[other] + columns[1][right]


def _lay_out_chain(
    pattern: Pattern, places: tuple[int, ...], n_levels: tuple[int, ...], n_effects: tuple[int, ...]
) -> ChainLayout:
    n_columns = sum(n_levels[k] * n_effects[k] for k in places)
    dense = ChainLayout(places, np.arange(n_columns, dtype=np.intp), (n_columns,))
    n_blocks = sum(len(pattern.get((k, m), ())) for k in places for m in places if m >= k)
    if n_columns <= _SMALL or n_blocks > 0.1 * sum(n_levels[k] for k in places) ** 2:
        return dense
    chain = _order_breadth_first(pattern, places, n_levels, n_effects)
    return chain if chain.flops < _WORTH_A_CHAIN * dense.flops else dense


def _order_breadth_first(
    pattern: Pattern, places: tuple[int, ...], n_levels: tuple[int, ...], n_effects: tuple[int, ...]
) -> ChainLayout:
    """Order levels by reverse Cuthill-McKee and cut them where no level meets one beyond the next block."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    starts = dict(zip(places, np.cumsum([0, *(n_levels[k] for k in places)]), strict=False))
    rows, columns = [], []
    for k in places:
        for m in places:
            keys = pattern.get((k, m))
            if keys is not None and m >= k:
                rows.append(starts[k] + keys // n_levels[m])
                columns.append(starts[m] + keys % n_levels[m])
    row, column = np.concatenate(rows), np.concatenate(columns)
    total = sum(n_levels[k] for k in places)
    graph = coo_matrix((np.ones(len(row)), (row, column)), shape=(total, total)).tocsr()
    order = np.asarray(reverse_cuthill_mckee(graph + graph.T, symmetric_mode=True), dtype=np.intp)
    rank = np.empty(total, dtype=np.intp)
    rank[order] = np.arange(total)
    cuts = _cut_into_blocks(np.maximum(rank[row], rank[column]), np.minimum(rank[row], rank[column]), total)
    width = np.concatenate([np.full(n_levels[k], n_effects[k]) for k in places])[order]
    ends = np.concatenate([[0], np.cumsum(width)])
    position = np.concatenate(
        [ends[rank[starts[k] : starts[k] + n_levels[k]]] + effect for k in places for effect in range(n_effects[k])]
    )
    sizes = tuple(int(ends[b] - ends[a]) for a, b in pairwise(cuts))
    return ChainLayout(places, position.astype(np.intp), sizes)


def _cut_into_blocks(later: IntArray, earlier: IntArray, n_levels: int) -> list[int]:
    """Return the ends of consecutive blocks, each about as short as one that meets the next block alone can be.

    ``later`` and ``earlier`` (pair,) are the ranks of levels that meet.
    """
    furthest: FloatArray = np.arange(n_levels, dtype=float)
    np.maximum.at(furthest, earlier, later.astype(float))
    reach = np.maximum.accumulate(furthest).astype(int)
    cuts = [0, min(_SMALL, n_levels)]
    while cuts[-1] < n_levels:
        cuts.append(min(max(int(reach[cuts[-1] - 1]) + 1, cuts[-1] + _SMALL), n_levels))
    return cuts

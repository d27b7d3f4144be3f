"""Nested grouping factors as a tree: each unit of a level lies within one unit of the level above."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from partialpool.errors import NotYetError
from partialpool.inputs.columns.levels import lies_within
from partialpool.inputs.designs.design import GroupDesign
from partialpool.numerics.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class Tree:
    """Levels from the coarsest to the finest factor, units in the order of the tree.

    ``factors`` (level,) are the positions of the factors in the formula; ``unit_of`` gives for each level the unit of
    each of its factor's groups (group,); ``starts`` for each level where the children of each unit begin, among the
    units of the next level or, for the finest, among the rows.
    """

    factors: tuple[int, ...]
    unit_of: tuple[IntArray, ...]
    starts: tuple[IntArray, ...]
    n_rows: int

    @property
    def n_levels(self) -> int:
        """How many factors there are."""
        return len(self.factors)

    def n_units(self, level: int) -> int:
        """How many units a level has."""
        return len(self.starts[level])

    def n_children(self, level: int) -> int:
        """How many children all units of a level have together."""
        return self.n_rows if level == self.n_levels - 1 else self.n_units(level + 1)

    def spread(self, level: int, values: FloatArray) -> FloatArray:
        """Return values (..., unit, column) of a level at each of the units' children."""
        lengths = np.diff(np.append(self.starts[level], self.n_children(level)))
        return values if np.all(lengths == 1) else np.repeat(values, lengths, axis=-2)

    def sum(self, level: int, values: FloatArray) -> FloatArray:
        """Return sums over each unit's children of values (..., child, column)."""
        if values.shape[-2] == self.n_units(level):
            return values
        return np.asarray(np.add.reduceat(values, self.starts[level], axis=-2))

    def within(self, first: int, stop: int) -> list[slice]:
        """Return which units of each level lie within some units of the coarsest."""
        found = [slice(first, stop)]
        for level in range(self.n_levels - 1):
            ends = np.append(self.starts[level], self.n_children(level))
            found.append(slice(int(ends[found[-1].start]), int(ends[found[-1].stop])))
        return found

    def part(self, first: int, stop: int) -> tuple[Tree, slice]:
        """Return the subtree of some units of the coarsest level, and its rows."""
        starts = []
        lower, upper = first, stop
        for level in range(self.n_levels):
            ends = np.append(self.starts[level], self.n_children(level))
            begin, end = int(ends[lower]), int(ends[upper])
            starts.append(self.starts[level][lower:upper] - begin)
            lower, upper = begin, end
        none = tuple(np.empty(0, dtype=np.intp) for _ in self.factors)
        return Tree(self.factors, none, tuple(starts), upper - lower), slice(lower, upper)


def grow_tree(groups: tuple[GroupDesign, ...]) -> tuple[Tree, IntArray]:
    """Return the tree of nested factors and the order that rows take in it.

    Raises ``NotYetError`` for factors that are crossed.
    """
    by_size = sorted(range(len(groups)), key=lambda k: groups[k].n_levels)
    for coarse, fine in pairwise(by_size):
        if not lies_within(groups[fine].codes, groups[coarse].codes, groups[fine].n_levels):
            raise NotYetError(
                f"{groups[coarse].name} and {groups[fine].name} are crossed: under this likelihood nested factors are "
                "integrated, such as (1 | batch/cask); keep one of them, or put the other in the population part"
            )
    codes = [groups[k].codes for k in by_size]
    order = np.lexsort(codes[::-1])
    unit_of, starts = [], []
    units = [_number_units(code[order]) for code in codes]
    for level, (unit, k) in enumerate(zip(units, by_size, strict=True)):
        own = np.empty(groups[k].n_levels, dtype=np.intp)
        own[codes[level][order]] = unit
        unit_of.append(own)
        first_rows = np.flatnonzero(np.diff(unit, prepend=-1))
        starts.append(first_rows if level == len(units) - 1 else units[level + 1][first_rows])
    return Tree(tuple(by_size), tuple(unit_of), tuple(np.asarray(s, dtype=np.intp) for s in starts), len(order)), order


def _number_units(codes: IntArray) -> IntArray:
    """Return 0, 1, ... for the runs of equal codes."""
    return np.cumsum(np.diff(codes, prepend=codes[0]) != 0).astype(np.intp)

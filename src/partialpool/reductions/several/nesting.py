"""One factor among others: those nested within it, those that it is nested within, or crossed with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from partialpool.inputs.columns.levels import lies_within
from partialpool.inputs.designs.design import GroupDesign


class Nesting(NamedTuple):
    """Positions of factors in the formula: ``within`` from the factor itself to the finest that is nested in it, each
    nested within the one before, and ``above`` those that the factor is nested within."""

    within: tuple[int, ...]
    above: tuple[int, ...]


class Crossed(NamedTuple):
    """Two factors whose levels do not lie within one another, by name."""

    one: str
    other: str


def find_nesting(groups: Sequence[GroupDesign], factor: int) -> Nesting | Crossed:
    """Return which factors lie within a factor and which it lies within, or two that are crossed.

    Factors above may be crossed with one another: given their effects the factor's groups are independent.
    """
    by_size = sorted(range(len(groups)), key=lambda k: (groups[k].n_levels, k != factor))
    place = by_size.index(factor)
    above, within = by_size[:place], by_size[place:]
    for k in above:
        if not _lies_in(groups[factor], groups[k]):
            return Crossed(groups[factor].name, groups[k].name)
    for coarse, fine in pairwise(within):
        if not _lies_in(groups[fine], groups[coarse]):
            return Crossed(groups[coarse].name, groups[fine].name)
    return Nesting(tuple(within), tuple(above))


def _lies_in(fine: GroupDesign, coarse: GroupDesign) -> bool:
    return lies_within(fine.codes, coarse.codes, fine.n_levels)

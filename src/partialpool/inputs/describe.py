"""Describe: how a formula was understood, given the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from partialpool.inputs.columns.levels import lies_within
from partialpool.inputs.columns.places import count_things, join_words, list_some
from partialpool.inputs.describe_noise import describe_noise
from partialpool.inputs.designs.design import Design, GroupDesign
from partialpool.inputs.page import wrap_prose

# Where what a line says begins.
_MARGIN = 14


@dataclass(frozen=True)
class FactorDescription:
    """One grouping factor: its levels, how many rows they have, and what varies over it.

    ``rows_per_level`` is (fewest, median, most); ``blocks`` are the coefficients that are correlated among
    themselves; ``parameters`` the names of its population parameters, sd(g), sd(g, x), cor(g, x1, x2); ``within`` the
    coarser factors that it is nested in: each of its levels lies within one of theirs.
    """

    name: str
    n_levels: int
    first_levels: tuple[str, ...]
    rows_per_level: tuple[int, float, int]
    blocks: tuple[tuple[str, ...], ...]
    parameters: tuple[str, ...]
    within: tuple[str, ...] = ()


@dataclass(frozen=True)
class FormulaDescription:
    """How a formula was understood; printed, it is a few readable lines."""

    formula: str
    response: str
    noise: str
    coefficients: tuple[str, ...]
    levels: Mapping[str, int]
    factors: tuple[FactorDescription, ...]
    rows_read: int
    rows_used: int
    rows_dropped: Mapping[str, int]
    notes: tuple[str, ...] = ()
    zero: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the description as lines of text."""
        lines = [
            f"formula       {self.formula}",
            f"response      {self.response}, {self.noise}",
            f"rows          {self.rows_used} used of {self.rows_read}{_print_dropped(self.rows_dropped)}",
            f"coefficients  {list_some(self.coefficients) or 'none'}",
        ]
        lines += [f"zeros         {list_some(self.zero)}"] if self.zero else []
        for name, count in self.levels.items():
            lines.append(f"column        {name}: labels, {count_things(count, 'level')}")
        for factor in self.factors:
            lines += _print_factor(factor)
        lines += [f"note          {note}" for note in self.notes]
        return "\n".join(part for line in lines for part in wrap_prose(line, indent=_MARGIN))


def describe_formula(design: Design, obstacle: str = "") -> FormulaDescription:
    """Describe what the formula means for these data: columns, factors, levels, counts and parameter names, which
    columns are left out, and the ``obstacle`` to fitting it, if there is one.

    >>> from partialpool.inputs.language.formula import parse_formula
    >>> from partialpool.inputs.observations import read_observations
    >>> from partialpool.inputs.designs.design import build_design
    >>> data = {"y": [1.0, 2.0, 4.0, 3.0, 5.0], "x": [0, 1, 0, 1, 2], "g": ["a", "a", "b", "b", "b"]}
    >>> formula = parse_formula("y ~ x + (x | g)")
    >>> print(describe_formula(build_design(formula, read_observations(data, formula))))
    formula       y ~ x + (x | g)
    response      y, raw rows with unknown sigma
    rows          5 used of 5
    coefficients  Intercept, x
    factor        g: 2 levels (a, b), 2 to 3 rows a level
      varying     Intercept, x (correlated)
      parameters  sd(g, Intercept), sd(g, x), cor(g, Intercept, x)
    """
    return FormulaDescription(
        " ".join(design.formula.text.split()),
        design.formula.response,
        describe_noise(design.measurements, design.roles),
        design.population.names,
        {name: len(levels) for name, levels in design.column_levels.items() if levels is not None},
        tuple(_describe_factor(group, design.groups) for group in design.groups),
        design.rows_read,
        len(design.measurements.response),
        design.rows_dropped,
        _collect_notes(design, obstacle),
        () if design.zero is None else tuple(f"zero: {name}" for name in design.zero.names),
    )


def _collect_notes(design: Design, obstacle: str) -> tuple[str, ...]:
    notes = [f"columns of {part} are left out: {said}" for part, said in design.left_out.items()]
    if obstacle:
        notes.append(f"not fitted as it stands, without given values such as sigma: {obstacle}")
    return tuple(notes)


def name_parameters(group: GroupDesign) -> tuple[str, ...]:
    """Return the names of a factor's population parameters: sd(g), or sd(g, x) each and cor(g, x1, x2)."""
    correlations = [
        f"cor({group.name}, {group.names[first]}, {group.names[second]})"
        for block in group.blocks
        for first, second in combinations(block, 2)
    ]
    return (*group.sd_names, *correlations)


def _describe_factor(group: GroupDesign, groups: Sequence[GroupDesign]) -> FactorDescription:
    per_level = np.bincount(group.codes, minlength=group.n_levels)
    shown = tuple(group.labels[:3]) if group.n_levels > 4 else group.labels
    return FactorDescription(
        group.name,
        group.n_levels,
        shown,
        (int(per_level.min()), float(np.median(per_level)), int(per_level.max())),
        tuple(tuple(group.names[place] for place in block) for block in group.blocks),
        name_parameters(group),
        tuple(
            other.name
            for other in groups
            if other.n_levels < group.n_levels and lies_within(group.codes, other.codes, group.n_levels)
        ),
    )


def _print_factor(factor: FactorDescription) -> list[str]:
    levels = ", ".join(factor.first_levels) + (", ..." if len(factor.first_levels) < factor.n_levels else "")
    fewest, _, most = factor.rows_per_level
    rows = f"{fewest} to {most} rows" if fewest < most else count_things(most, "row")
    nested = f", nested in {join_words(factor.within)}" if factor.within else ""
    return [
        f"factor        {factor.name}: {count_things(factor.n_levels, 'level')} ({levels}), {rows} a level{nested}",
        f"  varying     {'; '.join(_print_block(block) for block in factor.blocks)}",
        f"  parameters  {list_some(factor.parameters)}",
    ]


def _print_block(block: Sequence[str]) -> str:
    return list_some(block) + (" (correlated)" if len(block) > 1 else "")


def _print_dropped(dropped: Mapping[str, int]) -> str:
    if not dropped:
        return ""
    return "; left out: " + ", ".join(f"{count} for {name}" for name, count in dropped.items())

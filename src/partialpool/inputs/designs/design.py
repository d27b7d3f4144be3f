"""Design: the columns of the population part and of each grouping factor, with the recipe for new rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import FormulaError
from partialpool.inputs.coding.aliasing import describe_left_out, leave_out_aliased
from partialpool.inputs.coding.recipes import CombinedRecipe, Recipe, build_recipe, check_finite, check_range
from partialpool.inputs.columns.labels import Categorical
from partialpool.inputs.columns.levels import combine_factors, level_labels
from partialpool.inputs.columns.raw_columns import FloatArray, IntArray
from partialpool.inputs.designs.enough_rows import check_enough_rows
from partialpool.inputs.language.formula import Formula, GroupTerm
from partialpool.inputs.language.terms import expand_terms
from partialpool.inputs.observations import Observations, describe_rows
from partialpool.inputs.roles.measurements import Measurements
from partialpool.inputs.roles.selection import check_selection

# Columns from which there must be enough rows, whatever is given, before they are compared with each other.
_MANY_COLUMNS = 200

__all__ = ["Design", "GroupDesign", "PopulationDesign", "Recipe", "build_design", "level_labels"]


@dataclass(frozen=True)
class PopulationDesign:
    """The population part: coefficient ``names``, their ``values`` (row, coefficient), and the recipe."""

    names: tuple[str, ...]
    values: FloatArray
    recipe: Recipe


@dataclass(frozen=True)
class GroupDesign:
    """One grouping factor with every term over it.

    ``level_keys`` holds the data's own values, one array (level,) per data column (for matching new rows);
    ``labels`` are their display forms ('A', '3', 'A:a'), made on demand because a million strings take a
    second; ``codes`` (row,) index into them. ``names`` and ``values`` (row, coefficient) are the coefficients
    that vary over the factor; ``blocks`` lists the positions of those that are correlated among themselves
    ((0, 1),) for (1 + x | g), ((0,), (1,)) for (x || g).
    """

    name: str
    columns: tuple[str, ...]
    level_keys: tuple[NDArray[Any], ...]
    codes: IntArray
    names: tuple[str, ...]
    values: FloatArray
    blocks: tuple[tuple[int, ...], ...]
    recipe: Recipe

    @property
    def n_levels(self) -> int:
        """How many levels the factor has in the data."""
        return len(self.level_keys[0])

    @property
    def sd_names(self) -> tuple[str, ...]:
        """The names of its population sds: sd(g) for an intercept alone, else sd(g, x) of each coefficient."""
        if self.names == ("Intercept",):
            return (f"sd({self.name})",)
        return tuple(f"sd({self.name}, {name})" for name in self.names)

    def find_levels_with(self, k: int) -> NDArray[np.bool_]:
        """Say for each level whether column k is other than 0 in some row of it."""
        if self.names[k] == "Intercept":
            return np.ones(self.n_levels, dtype=bool)
        return np.asarray(np.bincount(self.codes, weights=self.values[:, k] != 0.0, minlength=self.n_levels) > 0)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The levels as they are printed, in order."""
        return level_labels(self.level_keys)


@dataclass(frozen=True)
class Design:
    """What a model needs of the data: measurements, population columns, and one entry per grouping factor.

    ``column_levels`` gives, for each column that coefficient columns are made of, its levels (None: numeric);
    ``roles`` is as in ``Observations``; ``zones`` gives the time zone of label columns that hold moments, as in
    ``Categorical``. All serve to read new rows as the fit's were read. ``zero`` are the columns of structural
    zeros that covariates explain.
    """

    formula: Formula
    measurements: Measurements
    population: PopulationDesign
    groups: tuple[GroupDesign, ...]
    rows_read: int
    rows_dropped: Mapping[str, int]
    column_levels: Mapping[str, NDArray[Any] | None] = field(default_factory=dict)
    roles: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def left_out(self) -> Mapping[str, str]:
        """For each part of the formula whose columns are not all kept: which are left out, and why."""
        recipes = {"the population part": self.population.recipe}
        if self.zero is not None:
            recipes["the part of zeros"] = self.zero.recipe
        recipes |= {f"what varies by {group.name}": group.recipe for group in self.groups}
        return {part: said for part, recipe in recipes.items() if (said := describe_left_out(recipe))}

    zones: Mapping[str, str] = field(default_factory=dict)
    zero: PopulationDesign | None = None


def build_design(formula: Formula, observations: Observations) -> Design:
    """Turn observations into coefficient columns and group codes; ``unknowns`` checks what they can tell apart.

    Columns that others of their part determine are left out (``aliasing``).

    Raises ``IdentificationError`` naming a column that is constant; ``FormulaError`` for a coefficient that varies
    twice over one factor; ``DataError`` where a function of a column is infinite or undefined.

    >>> from partialpool.inputs.language.formula import parse_formula
    >>> from partialpool.inputs.observations import read_observations
    >>> data = {"y": [1.0, 2.0, 4.0, 3.0], "x": [0, 1, 0, 1], "g": ["a", "a", "b", "b"]}
    >>> formula = parse_formula("y ~ x + (x || g)")
    >>> design = build_design(formula, read_observations(data, formula))
    >>> design.population.names, design.groups[0].labels, design.groups[0].blocks
    (('Intercept', 'x'), ('a', 'b'), ((0,), (1,)))
    """
    n_rows = len(observations.measurements.response)
    where = describe_rows(observations.rows, observations.factors)
    recipe = build_recipe(expand_terms(formula.population), observations.columns)
    values = recipe.code(observations.columns, n_rows)
    check_finite(recipe.names, values, where)
    check_range(recipe.names, values, where)
    if len(recipe.names) > _MANY_COLUMNS:
        # before thousands of columns are compared with each other
        measured = observations.measurements
        check_enough_rows(len(recipe.names), measured.dispersion, measured, observations.columns)
    recipe, values = leave_out_aliased(recipe, values, "the population part")
    groups = tuple(
        _build_group(factor, terms, observations, n_rows)
        for factor, terms in _terms_by_factor(formula.group_terms).items()
    )
    population = PopulationDesign(recipe.names, values, recipe)
    _check_selection(formula, groups, observations)
    levels = {
        name: column.levels if isinstance(column, Categorical) else None
        for name, column in observations.columns.items()
    }
    return Design(
        formula,
        observations.measurements,
        population,
        groups,
        observations.rows_read,
        observations.rows_dropped,
        levels,
        observations.roles,
        _list_zones(observations),
        _build_zero(formula, observations, n_rows),
    )


def _build_zero(formula: Formula, observations: Observations, n_rows: int) -> PopulationDesign | None:
    """Return the columns of structural zeros, None where their probability is constant."""
    if not formula.zero:
        return None
    recipe = build_recipe(expand_terms(formula.zero), observations.columns)
    values = recipe.code(observations.columns, n_rows)
    where = describe_rows(observations.rows, observations.factors)
    check_finite(recipe.names, values, where)
    check_range(recipe.names, values, where)
    recipe, values = leave_out_aliased(recipe, values, "the part of zeros")
    return PopulationDesign(recipe.names, values, recipe)


def _list_zones(observations: Observations) -> dict[str, str]:
    columns = {**observations.columns, **observations.factors}
    return {name: column.zone for name, column in columns.items() if isinstance(column, Categorical) and column.zone}


def _terms_by_factor(terms: Sequence[GroupTerm]) -> dict[tuple[str, ...], list[GroupTerm]]:
    found: dict[tuple[str, ...], list[GroupTerm]] = {}
    for term in terms:
        found.setdefault(term.factor, []).append(term)
    return found


def _build_group(
    factor: tuple[str, ...], terms: Sequence[GroupTerm], observations: Observations, n_rows: int
) -> GroupDesign:
    codes, keys = combine_factors([observations.factors[name] for name in factor])
    parts = [build_recipe(expand_terms(term.columns), observations.columns) for term in terms]
    _check_names_differ([name for part in parts for name in part.names], ":".join(factor))
    values = [part.code(observations.columns, n_rows) for part in parts]
    where = describe_rows(observations.rows, observations.factors)
    for k, (term, part) in enumerate(zip(terms, parts, strict=True)):
        check_finite(part.names, values[k], where)
        check_range(part.names, values[k], where)
        parts[k], values[k] = leave_out_aliased(part, values[k], f"({term.columns} | {term.factor_name})")
    recipe = parts[0] if len(parts) == 1 else CombinedRecipe(tuple(parts))
    blocks: list[tuple[int, ...]] = []
    start = 0
    for term, part in zip(terms, parts, strict=True):
        places = tuple(range(start, start + len(part.names)))
        blocks += [places] if term.correlated else [(place,) for place in places]
        start += len(places)
    together = values[0] if len(values) == 1 else np.hstack(values)
    return GroupDesign(":".join(factor), factor, keys, codes, recipe.names, together, tuple(blocks), recipe)


def _check_selection(formula: Formula, groups: Sequence[GroupDesign], observations: Observations) -> None:
    measured, selection = observations.measurements, observations.measurements.selection
    if selection is None:
        return
    where = describe_rows(observations.rows, observations.factors)
    factors = {group.name: (group.codes, group.names) for group in groups}
    title, dropped = f"response '{formula.response.strip('`')}'", observations.rows_dropped
    check_selection(selection, title, measured.response, measured.counts, factors, where, dropped)


def _check_names_differ(names: Sequence[str], factor: str) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise FormulaError(f"the coefficient '{name}' varies over {factor} twice: keep it in one group term")

"""Aliasing: coefficient columns that others determine in the rows at hand are left out, the last ones, as R does; rows
in which they would differ are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.coding.recipes import Recipe
from partialpool.inputs.columns.labels import Categorical
from partialpool.inputs.columns.levels import level_labels
from partialpool.inputs.columns.places import join_words
from partialpool.inputs.columns.raw_columns import FloatArray
from partialpool.inputs.designs.identification import find_aliased

# What a left-out column may differ by from what the others make of it, as a share of the sizes that add up to it.
_ROUNDING = 1e-8
# Columns that a message names.
_MOST_NAMED = 4


@dataclass(frozen=True)
class EstimableRecipe:
    """A recipe without the columns that others determine in the fit's rows.

    ``kept`` and ``left_out`` are places among the columns of the ``whole`` recipe; ``weights`` (kept, left out) are the
    combinations that the columns left out are. A row in which these do not hold lies outside the space that the fit's
    rows span: its linear predictor depends on a coefficient of which they say nothing.
    """

    whole: Recipe
    kept: tuple[int, ...]
    left_out: tuple[int, ...]
    weights: FloatArray

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that are kept, in order."""
        return tuple(self.whole.names[place] for place in self.kept)

    def code(self, columns: Mapping[str, FloatArray | Categorical], n_rows: int) -> FloatArray:
        """Return the coefficient columns (row, coefficient); raises ``DataError`` for a row outside the space that the
        fit's rows span."""
        values = self.whole.code(columns, n_rows)
        kept = np.ascontiguousarray(values[:, list(self.kept)])
        own, made = values[:, list(self.left_out)], kept @ self.weights
        sizes = np.abs(kept) @ np.abs(self.weights) + np.abs(own)
        unlike = np.abs(own - made) > _ROUNDING * sizes
        if unlike.any():
            row = int(np.argmax(unlike.any(axis=1)))
            place = int(np.argmax(unlike[row]))
            raise DataError(self._explain(columns, row, place, float(own[row, place]), float(made[row, place])))
        return kept

    def _explain(
        self, columns: Mapping[str, FloatArray | Categorical], row: int, place: int, own: float, made: float
    ) -> str:
        name = self.whole.names[self.left_out[place]]
        involved = [name, *(self.whole.names[self.kept[k]] for k in np.flatnonzero(self.weights[:, place]))]
        cell = [
            f"{column} '{level_labels((values.levels[[values.codes[row]]],))[0]}'"
            for column, values in columns.items()
            if isinstance(values, Categorical) and _is_named(column, involved)
        ]
        if cell:
            return (
                f"row {row + 1} has {join_words(cell)}, a combination that no row of the fit had: what its "
                f"coefficients add up to is unknown ({name} was left out); drop the row, or fit without the interaction"
            )
        return (
            f"row {row + 1} has {name} = {own:g} where the fit's rows would have {made:g}: there "
            f"{describe_combination(name, involved[1:])}, so that its own coefficient is unknown; drop the row, or "
            f"leave {name} out of the formula"
        )


def leave_out_aliased(recipe: Recipe, values: FloatArray, part: str) -> tuple[Recipe, FloatArray]:
    """Return the recipe and the columns (row, coefficient) without those that others determine.

    Raises ``IdentificationError`` for a column that is constant beside an intercept, or 0 in every row, where that is
    a term of its own.
    """
    found = find_aliased(recipe.names, values, part)
    if found is None:
        return recipe, values
    kept = tuple(place for place in range(len(recipe.names)) if place not in found.places)
    whole = EstimableRecipe(recipe, kept, found.places, found.weights)
    return whole, np.ascontiguousarray(values[:, list(kept)])


def describe_combination(name: str, others: Sequence[str]) -> str:
    """Say of which columns one is a combination."""
    return f"{name} is a combination of {join_words(others)}" if others else f"{name} is 0"


def describe_left_out(recipe: Recipe) -> str:
    """Return which columns of a recipe are left out and why, '' for none."""
    if not isinstance(recipe, EstimableRecipe):
        parts = getattr(recipe, "parts", ())
        return "; ".join(said for said in map(describe_left_out, parts) if said)
    names = recipe.whole.names
    others = [np.flatnonzero(recipe.weights[:, k]) for k in range(len(recipe.left_out))]
    empty = [names[place] for place, own in zip(recipe.left_out, others, strict=True) if not len(own)]
    cells, determined = [], []
    for place, own in zip(recipe.left_out, others, strict=True):
        if len(own) and empty and ":" in names[place]:
            cells.append(names[place])
        elif len(own):
            determined.append(describe_combination(names[place], [names[recipe.kept[i]] for i in own]))
    said = [f"no row has {_name_some(empty)}"] if empty else []
    if cells:
        said.append(f"the columns that are kept tell apart all cells without {_name_some(cells)}")
    return "; ".join([*said, *_some(determined)])


def _is_named(column: str, names: Sequence[str]) -> bool:
    """Say whether a column of labels is one that coefficient names speak of."""
    return any("[" in name and re.search(rf"(?<!\w){re.escape(column)}(?!\w)", name) for name in names)


def _name_some(names: Sequence[str]) -> str:
    return ", ".join(_some(names))


def _some(texts: Sequence[str]) -> list[str]:
    more = len(texts) - _MOST_NAMED
    return [*texts[:_MOST_NAMED], f"and {more} more"] if more > 0 else list(texts)

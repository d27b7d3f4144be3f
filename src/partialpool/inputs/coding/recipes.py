"""Recipes: how columns of data become coefficient columns, at fit time and for new rows alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.coding.plain_recipe import build_plain_recipe
from partialpool.inputs.columns.labels import Categorical
from partialpool.inputs.columns.numeric import LARGEST_VALUE
from partialpool.inputs.columns.raw_columns import FloatArray
from partialpool.inputs.language.terms import Term


class Recipe(Protocol):
    """How columns of data become coefficient columns, at fit time and for new rows alike."""

    @property
    def names(self) -> tuple[str, ...]:
        """The coefficient columns' names, in order."""
        ...

    def code(self, columns: Mapping[str, FloatArray | Categorical], n_rows: int) -> FloatArray:
        """Return the coefficient columns (row, coefficient) of these rows."""
        ...


@dataclass(frozen=True)
class CombinedRecipe:
    """Several recipes side by side: the terms over one grouping factor."""

    parts: tuple[Recipe, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The coefficient columns' names, part after part."""
        return tuple(name for part in self.parts for name in part.names)

    def code(self, columns: Mapping[str, FloatArray | Categorical], n_rows: int) -> FloatArray:
        """Return the coefficient columns (row, coefficient) of these rows."""
        return np.hstack([part.code(columns, n_rows) for part in self.parts])


def build_recipe(terms: Sequence[Term], columns: Mapping[str, FloatArray | Categorical]) -> Recipe:
    """Learn a recipe from the rows at hand: the plain one where it suffices, else formulaic's."""
    plain = build_plain_recipe(terms, columns)
    if plain is not None:
        return plain
    from partialpool.inputs.coding.formulaic_recipe import build_formulaic_recipe

    return build_formulaic_recipe(terms, columns)


def check_range(names: Sequence[str], values: FloatArray, where: Callable[[int], str]) -> None:
    """Raise ``DataError`` naming the first column (row, coefficient) whose squares leave the range of doubles."""
    if values.strides[0] == 0:
        return
    sizes = np.maximum(values.max(axis=0, initial=0.0), -values.min(axis=0, initial=0.0))  # no copy of all rows
    bad = (sizes > LARGEST_VALUE) | ((sizes > 0.0) & (sizes < 1.0 / LARGEST_VALUE))
    if bad.any():
        place = int(np.argmax(bad))
        row = int(np.argmax(np.abs(values[:, place])))
        raise DataError(
            f"{names[place]} is {values[row, place]:g} in {where(row)}, the largest of its values: their squares are "
            "out of range; change its units"
        )


def check_finite(names: Sequence[str], values: FloatArray, where: Callable[[int], str]) -> None:
    """Raise ``DataError`` naming the first column and row that a function made infinite or undefined."""
    if values.strides[0] == 0 or np.isfinite(values).all():
        return
    row, place = (int(index) for index in np.argwhere(~np.isfinite(values))[0])
    raise DataError(
        f"{names[place]} is {values[row, place]} in {where(row)}: mend or drop the row, or change the function"
    )

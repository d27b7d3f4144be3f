"""Design: the numeric columns of the population part and of each grouping factor, with the recipe for new rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from partialpool.inputs.formula import Formula
from partialpool.inputs.observations import Categorical, FloatArray, IntArray, Measurements


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
class PopulationDesign:
    """The population part: coefficient ``names``, their ``values`` (row, coefficient), and the recipe."""

    names: tuple[str, ...]
    values: FloatArray
    recipe: Recipe


@dataclass(frozen=True)
class GroupDesign:
    """One grouping factor with every term over it.

    ``levels`` are display labels ('A', '3', 'A:a') in order; ``level_keys`` the data's own values, one tuple
    per level (for matching new rows); ``codes`` (row,) index into them. ``names`` and ``values``
    (row, coefficient) are the coefficients that vary over the factor; ``blocks`` lists the positions of those that
    are correlated among themselves ((0, 1),) for (1 + x | g), ((0,), (1,)) for (x || g).
    """

    name: str
    columns: tuple[str, ...]
    levels: tuple[str, ...]
    level_keys: tuple[tuple[Any, ...], ...]
    codes: IntArray
    names: tuple[str, ...]
    values: FloatArray
    blocks: tuple[tuple[int, ...], ...]
    recipe: Recipe


@dataclass(frozen=True)
class Design:
    """What a model needs of the data: measurements, population columns, and one entry per grouping factor."""

    formula: Formula
    measurements: Measurements
    population: PopulationDesign
    groups: tuple[GroupDesign, ...]
    rows_read: int
    rows_dropped: Mapping[str, int]

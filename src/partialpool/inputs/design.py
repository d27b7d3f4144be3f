"""Design: the numeric columns of the population part and of each grouping factor, with the recipe for new rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from numpy.typing import NDArray

from partialpool.inputs.formula import Formula
from partialpool.inputs.observations import Categorical, FloatArray, IntArray, Measurements


def level_labels(level_keys: tuple[NDArray[Any], ...]) -> tuple[str, ...]:
    """Return the printed form of each level: 'A', '3' (also for 3.0), 'A:a' for two columns."""
    raise NotImplementedError


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

    ``level_keys`` holds the data's own values, one array (level,) per data column (for matching new rows);
    ``labels`` are their display forms ('A', '3', 'A:a'), made on demand because a million strings take a
    second; ``codes`` (row,) index into them. ``names`` and ``values``
    (row, coefficient) are the coefficients that vary over the factor; ``blocks`` lists the positions of those that
    are correlated among themselves ((0, 1),) for (1 + x | g), ((0,), (1,)) for (x || g).
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

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The levels as they are printed, in order."""
        return level_labels(self.level_keys)


@dataclass(frozen=True)
class Design:
    """What a model needs of the data: measurements, population columns, and one entry per grouping factor."""

    formula: Formula
    measurements: Measurements
    population: PopulationDesign
    groups: tuple[GroupDesign, ...]
    rows_read: int
    rows_dropped: Mapping[str, int]

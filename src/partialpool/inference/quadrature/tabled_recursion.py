"""The recursion up a tree of nested effects, what is below each level read from tables instead of integrated again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from partialpool.inference.quadrature.recursion import Centred, Recursion, Shifted
from partialpool.inference.quadrature.value_grid import ValueGrid, differentiate, read_between
from partialpool.numerics.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class TabledRecursion(Recursion):
    """A recursion with the log density of what is below each unit of a level on a grid of its values, ``tables`` (unit,
    column, point) by level; ``middle`` (column,) is what those values are without effects."""

    grid: ValueGrid
    tables: tuple[FloatArray, ...]
    middle: FloatArray

    def at_columns(self, columns: IntArray) -> TabledRecursion:
        """Return the recursion at some of the hyperparameter points."""
        dispersion = tuple(value[columns] for value in self.dispersion)
        part = replace(self, base=self.base[:, columns], sds=self.sds[:, columns], dispersion=dispersion)
        tables = tuple(table[:, columns] for table in self.tables)
        return replace(part, tables=tables, middle=self.middle[columns])

    def within(self, first: int, stop: int) -> TabledRecursion:
        """Return the recursion within some units of the coarsest level; its rows cannot be asked for."""
        tree, rows = self.tree.part(first, stop)
        tables = tuple(table[units] for table, units in zip(self.tables, self.tree.within(first, stop), strict=True))
        return replace(self, tree=tree, base=self.base[rows], tables=tables)

    def at_units(self, level: int, units: IntArray) -> TabledRecursion:
        """Return the recursion for some units of a level; of other levels nothing can be asked."""
        tables = tuple(table[units] if k == level else table[:0] for k, table in enumerate(self.tables))
        return replace(self, tables=tables)

    def log_density(self, level: int, centred: Centred, v: FloatArray) -> FloatArray:
        """Return the log integrand of a level's units at v (..., unit, column)."""
        t = self.middle + centred.shift + self.sds[level] * v
        return read_between(self.grid, self.tables[level], t) - 0.5 * v * v

    def _children(self, level: int, shift: FloatArray, near: Centred | None) -> tuple[Shifted, Centred | None]:
        """Return the log density of what is below a level's units, and its derivatives, at shifts (..., unit,
        column)."""
        return Shifted(*differentiate(self.grid, self.tables[level], self.middle + shift)), None

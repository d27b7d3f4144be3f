"""Nested factors by one grid of values: what is known of a unit's value is carried up the tree as a table.

Under nested quadrature rules the rows are visited at every combination of the levels' points, some thousands; on a grid
of values once for each of its points: the integral over a level's effects is a smoothing of its units' tables by the
population, whatever the levels below. The recursion remains the measure: the grid is refined until both agree near the
posterior's bulk, and given up where they do not, or where it would not be quicker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from partialpool.inference.contract import ConditionalTables
from partialpool.inference.quadrature.joined_tables import HALVES, choose_half, mix_parts
from partialpool.inference.quadrature.nested_hermite import ROW_SECONDS, NestedHermite, UnitRun, separate_tables
from partialpool.inference.quadrature.recursion import Recursion
from partialpool.inference.quadrature.refinement import TOLERANCE
from partialpool.inference.quadrature.tabled_recursion import TabledRecursion
from partialpool.inference.quadrature.tree import Tree
from partialpool.inference.quadrature.value_grid import ValueGrid, floor_below_peak, integrate_at, lay_grid, smooth
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.progress import track

# Points of the grid in the sd of the narrowest unit that are tried, and most points.
_PER_SD, _MOST_POINTS = (1.0, 1.5, 2.0, 3.0), 400
# Points of the scan that finds the units' peaks, how far it goes, and how far the grid does, in spreads of the data.
_SCAN_POINTS, _SCAN_REACH, _REACH = 1201, 15.0, 60.0
# Array elements (node, row or unit, point) of a block.
_BLOCK = 2**16
# Numbers (unit, node, point) of the tables on the grid that are held: 64 MB.
_HELD = 2**23
# Rows whose effects are drawn at once, at most.
_DRAWN_ROWS = 256
# Seconds that a row takes at one point, a unit there, and an entry of the population's kernel.
_SECONDS, _UNIT_SECONDS, _KERNEL_SECONDS = 1e-8, 2e-8, 5e-9
# Seconds that a point of a table takes for each point of the rule above.
_TABLE_SECONDS = 4e-8


class Held(NamedTuple):
    """All units' tables on the grid at some points."""

    points: HyperPoints
    recursion: TabledRecursion


@dataclass(frozen=True)
class NestedGrid(NestedHermite):
    """The recursive marginal with a grid of values for its log likelihoods, None before it is refined; what is ``held``
    of some points serves all tables there."""

    grid: ValueGrid | None = None
    held: Held | None = None

    @property
    def work(self) -> float:
        """In numbers of the recursion."""
        return super().work if self.grid is None else self.seconds / (ROW_SECONDS * self.model.family.cost)

    @property
    def seconds(self) -> float:
        """Counted, not timed."""
        if self.grid is None:
            return super().seconds
        n_points, n_levels = self.grid.n_points, self.tree.n_levels
        n_units = sum(self.tree.n_units(level) for level in range(1, n_levels))
        rows = _SECONDS * self.model.family.cost * len(self.population) * n_points
        return rows + _UNIT_SECONDS * n_units * n_points + _KERNEL_SECONDS * (n_levels - 1) * n_points**2

    def table_seconds(self, factor: int) -> float:
        """An evaluation, and the points of every unit's deviation for each of those of the units above."""
        if self.grid is None:
            return super().table_seconds(factor)
        level = self.tree.factors.index(factor)
        n_points = self.tree.n_units(level) * (2 * HALVES[0] + 1) * (self.order if level else 1)
        return 2.0 * self.seconds + _TABLE_SECONDS * n_points

    @property
    def route(self) -> str:
        """The grid, in words."""
        if self.grid is None:
            return super().route
        names = ", within ".join(self.model.groups[k].name for k in self.tree.factors[::-1])
        return (
            f"effects of {names} integrated out up the tree on {self.grid.n_points} points; checked against nested "
            f"Gauss-Hermite quadrature of {self.order} points a level"
        )

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y | hyperparameters) for each node."""
        if self.grid is None:
            return super().log_likelihood(points)
        total = np.full(points.n_nodes, np.nan)
        size = max(1, _BLOCK // (self.grid.n_points * max(len(self.population), self.grid.n_points)))
        with np.errstate(all="ignore"):
            for nodes in track(_runs(points.n_nodes, size), "evaluating the likelihood"):
                total[nodes] = self.log_constant + self._climb_tree(points.select(nodes), self.grid)
        return np.where(np.isnan(total), -np.inf, total)

    @property
    def coarser(self) -> NestedGrid | None:
        """The marginal with every second point of the grid."""
        return None if self.grid is None else replace(self, grid=self.grid.thinned)

    @property
    def fallback(self) -> NestedHermite:
        """The recursion."""
        return NestedHermite(**{field.name: getattr(self, field.name) for field in fields(NestedHermite)})

    def refine(self, points: HyperPoints) -> NestedHermite:
        """Raise the recursion's order, then refine the grid until its log likelihood at ``points`` differs from the
        recursion's by less than the tolerance."""
        recursion = self.fallback.refine(points)
        wanted = recursion.log_likelihood(points)
        for per_sd in _PER_SD:
            grid = self._lay(points, per_sd)
            if grid is None:
                break
            found = replace(self, order=recursion.order, grid=grid)
            if self.grid is not None and grid.n_points < self.grid.n_points:
                continue
            if found.seconds >= recursion.seconds:
                break
            difference = np.abs(found.log_likelihood(points) - wanted)
            change = float(np.max(difference, where=np.isfinite(wanted), initial=0.0))
            if change < TOLERANCE:
                return replace(found, change=max(change, recursion.change))
        return recursion

    def _climb_tree(self, points: HyperPoints, grid: ValueGrid) -> FloatArray:
        """Return the log integrals (node,) over all effects."""
        tables, middle = self._tables_up(points, self.tree, slice(None), grid)
        logs = np.swapaxes(tables[0], 0, 1)
        return np.asarray(integrate_at(grid, logs, self._sds(points)[0], middle).sum(axis=1))

    def _conditional(self, points: HyperPoints, first: int, stop: int, level: int) -> tuple[Recursion, int]:
        """Return a recursion that reads what is below a level from tables, where there is a grid."""
        recursion, first_unit = self._recursion(points, first, stop, level)
        return (
            recursion if self.grid is None else self._tabulate(recursion, points, first, stop, self.grid)
        ), first_unit

    def _tabulate(
        self, recursion: Recursion, points: HyperPoints, first: int, stop: int, grid: ValueGrid
    ) -> TabledRecursion:
        """Return the recursion of some coarsest units with tables on the grid."""
        tree, rows = self.tree.part(first, stop)
        size = max(1, _BLOCK // (grid.n_points * max(tree.n_rows, grid.n_points)))
        runs = [self._tables_up(points.select(nodes), tree, rows, grid) for nodes in _runs(points.n_nodes, size)]
        by_level = tuple(np.concatenate(tables, axis=1) for tables in zip(*[tables for tables, _ in runs], strict=True))
        middle = np.concatenate([middle for _, middle in runs])
        plain = {field.name: getattr(recursion, field.name) for field in fields(Recursion)}
        return TabledRecursion(**plain, grid=grid, tables=by_level, middle=middle)

    def tables(self, points: HyperPoints, factor: int, effect: int, classes: IntArray) -> ConditionalTables:
        """Return the conditional densities of some units' deviations: of units below others summed over the levels
        above at once, or where one grid does not serve all of them one for every point of the rules above."""
        level = self.tree.factors.index(factor)
        if self.grid is None or not level:
            return super().tables(points, factor, effect, classes)
        with np.errstate(all="ignore"):
            runs = [
                [mix_parts(part, level, units) for part, units in self._tabled_runs(points, level, run, self.grid)]
                for run in self._unit_runs(level, classes, points.n_nodes)
            ]
            half = choose_half([mixture for run in runs for mixture in run])
            found = [[m.parts if half is None else m.tabulate(half) for m in run] for run in runs]
            return self._in_order([_join_nodes(parts) for parts in found], level, classes)

    def hold(self, points: HyperPoints) -> NestedGrid:
        """Return the marginal with all units' tables on the grid at these points."""
        n_units = sum(self.tree.n_units(level) for level in range(self.tree.n_levels))
        if self.grid is None or n_units * points.n_nodes * self.grid.n_points > _HELD:
            return self
        every = 0, self.tree.n_units(0)
        with np.errstate(all="ignore"):
            recursion = self._tabulate(self._recursion(points, *every, 0)[0], points, *every, self.grid)
        return replace(self, held=Held(points, recursion))

    def _tabled_runs(
        self, points: HyperPoints, level: int, run: UnitRun, grid: ValueGrid
    ) -> Iterator[tuple[TabledRecursion, IntArray]]:
        """Yield the recursion of some nodes at a time, and the places of a run's units in it."""
        held = None if self.held is None or self.held.points is not points else self.held.recursion
        if held is not None:
            held = held.within(run.first, run.stop)
        first_unit = self.tree.within(run.first, run.stop)[level].start
        for nodes in self._node_runs(points.n_nodes, run):
            if held is None:
                some = points.select(nodes)
                plain, _ = self._recursion(some, run.first, run.stop, level)
                yield self._tabulate(plain, some, run.first, run.stop, grid), run.units - first_unit
            else:
                yield held.at_columns(nodes), run.units - first_unit

    def _table(self, points: HyperPoints, level: int, run: UnitRun) -> ConditionalTables:
        """Return the tables of some units, of some nodes at a time."""
        if self.grid is None:
            return super()._table(points, level, run)
        runs = self._tabled_runs(points, level, run, self.grid)
        return _join_nodes([separate_tables(recursion, level, units) for recursion, units in runs])

    def _rows_at_once(self, n_nodes: int) -> int:
        """Return how many rows' tables fit a block at one node."""
        return super()._rows_at_once(n_nodes) if self.grid is None else max(1, 16 * _BLOCK // self.grid.n_points)

    def _node_runs(self, n_nodes: int, run: UnitRun) -> list[IntArray]:
        """Divide the nodes into runs for which the tables of all units of a run stay short."""
        ends = self._row_ends
        n_rows = int(ends[run.stop - 1] - (ends[run.first - 1] if run.first else 0))
        return _runs(n_nodes, max(1, 16 * _BLOCK // (_MOST_POINTS * n_rows)))

    def _drawn_together(self, needed: IntArray) -> list[tuple[int, int]]:
        """Return runs of coarsest units of a few rows together: they share their nodes' kernels."""
        if self.grid is None or not len(needed):
            return super()._drawn_together(needed)
        runs, first = [], int(needed[0])
        for unit, after in pairwise([*needed.tolist(), None]):
            before = int(self._row_ends[first - 1]) if first else 0
            if after != unit + 1 or self._row_ends[after] - before > _DRAWN_ROWS:
                runs.append((first, unit + 1))
                first = after
        return runs

    def _draws_at_once(self, n_rows: int) -> int:
        """Return for how many draws the tables on the grid stay short."""
        if self.grid is None:
            return super()._draws_at_once(n_rows)
        return max(1, 4 * _BLOCK // (self.grid.n_points * n_rows))

    def _tables_up(
        self, points: HyperPoints, tree: Tree, rows: slice, grid: ValueGrid
    ) -> tuple[list[FloatArray], FloatArray]:
        """Return what is below the units of each level, (unit, node, point), from the coarsest down, of some coarsest
        units; and linear predictors without effects (node,)."""
        middle = self._base(points).mean(axis=0)
        some = points.select(np.zeros(1, dtype=np.intp)) if self._rows_are_level else points
        sds, tables = self._sds(points), [self._tables(some, grid.points, tree, rows)]
        for below in range(tree.n_levels - 1, 0, -1):
            tables.append(tree.sum(below - 1, smooth(grid, tables[-1], sds[below])))
        tables[0] = np.broadcast_to(tables[0], (points.n_nodes, *tables[0].shape[1:]))
        return [np.swapaxes(table, 0, 1) for table in tables[::-1]], middle

    def _sds(self, points: HyperPoints) -> list[FloatArray]:
        """Return the sds (node,) of the levels."""
        return [points.effect_root[k, k] for k in self.tree.factors]

    def _base(self, points: HyperPoints) -> FloatArray:
        """Return linear predictors without effects (row, node)."""
        base = self.population @ points.coefficients
        return base if self.offset is None else base + self.offset[:, None]

    @cached_property
    def _rows_are_level(self) -> bool:
        """Whether rows differ by nothing that is unknown but their effects: their densities are then those of one
        node."""
        return not self.model.n_dispersions and not np.any(self.population != self.population[0])

    def _tables(self, points: HyperPoints, t: FloatArray, tree: Tree, rows: slice) -> FloatArray:
        """Return the log densities (node, unit, point) of some rows within their finest units, where linear predictors
        without effects average ``t`` (point,) over all rows."""
        base = self._base(points)
        eta = (base[rows] - base.mean(axis=0)).T[..., None] + t
        extras = () if points.extras is None else points.extras[: self.model.n_dispersions, :, None, None]
        response = self.response.select(np.arange(len(base), dtype=np.intp)[rows]).expand(1)
        logs = self.model.family.log_density(eta, response, tuple(extras))
        if self.counts is not None:
            logs = logs * self.counts[rows, None]
        logs = np.where(np.isnan(logs), -np.inf, logs)
        return floor_below_peak(tree.sum(tree.n_levels - 1, logs))

    def _lay(self, points: HyperPoints, per_sd: float) -> ValueGrid | None:
        """Return the grid for the narrowest of the coarsest units' likelihoods at the first point, None where it is too
        large or no unit's likelihood has a peak."""
        scales = self.model.scales
        t = scales.response_mean + scales.response_sd * np.linspace(-_SCAN_REACH, _SCAN_REACH, _SCAN_POINTS)
        with np.errstate(all="ignore"):
            logs = self._tables(points.select(np.zeros(1, dtype=np.intp)), t, self.tree, slice(None))
        for level in range(self.tree.n_levels - 1, 0, -1):
            logs = self.tree.sum(level - 1, logs)
        peaks = np.argmax(logs[0], axis=1)
        inside = np.flatnonzero((peaks > 0) & (peaks < len(t) - 1))
        if not len(inside):
            return None
        peaks = peaks[inside]
        left, top, right = (logs[0, inside, peaks + step] for step in (-1, 0, 1))
        sd = float(np.max(2.0 * top - left - right)) ** -0.5 * (t[1] - t[0])
        grid = lay_grid(t[peaks], sd, per_sd, _REACH * scales.response_sd)
        return grid if grid.n_points <= _MOST_POINTS else None


def _runs(n_nodes: int, size: int) -> list[IntArray]:
    """Return runs of nodes of at most some size."""
    return [np.arange(start, min(start + size, n_nodes), dtype=np.intp) for start in range(0, n_nodes, size)]


def _join_nodes(parts: list[ConditionalTables]) -> ConditionalTables:
    """Put tables of the same items at successive nodes together."""
    shares = [part.node_weights for part in parts if part.node_weights is not None]
    return parts[0]._replace(
        centre=np.concatenate([part.centre for part in parts], axis=1),
        scale=np.concatenate([part.scale for part in parts], axis=1),
        density=np.concatenate([part.density for part in parts], axis=1),
        node_weights=np.concatenate(shares, axis=1) if shares else None,
    )

"""Nested factors by one grid of values: what is known of a unit's value is carried up the tree as a table.

Under nested quadrature rules the rows are visited at every combination of the levels' points, some thousands; on a grid
of values once for each of its points: the integral over a level's effects is a smoothing of its units' tables by the
population, whatever the levels below. The recursion remains the measure: the grid is refined until both agree near the
posterior's bulk, and given up where they do not, or where it would not be quicker.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from partialpool.inference.latent.nested_hermite import ROW_SECONDS, NestedHermite
from partialpool.inference.latent.recursion import Recursion
from partialpool.inference.latent.refinement import TOLERANCE
from partialpool.inference.latent.tabled_recursion import TabledRecursion
from partialpool.inference.latent.tree import Tree
from partialpool.inference.latent.value_grid import ValueGrid, floor_below_peak, integrate_at, lay_grid, smooth
from partialpool.models.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.progress import track

# Points of the grid in the sd of the narrowest unit that are tried, and most points.
_PER_SD, _MOST_POINTS = (1.0, 1.5, 2.0, 3.0), 400
# Points of the scan that finds the units' peaks, how far it goes, and how far the grid does, in spreads of the data.
_SCAN_POINTS, _SCAN_REACH, _REACH = 1201, 15.0, 60.0
# Array elements (node, row or unit, point) of a block.
_BLOCK = 2**18
# Seconds that a row takes at one point, a unit there, and an entry of the population's kernel.
_SECONDS, _UNIT_SECONDS, _KERNEL_SECONDS = 1e-8, 3e-8, 6e-9


@dataclass(frozen=True)
class NestedGrid(NestedHermite):
    """The recursive marginal with a grid of values for its log likelihoods; None before it is refined."""

    grid: ValueGrid | None = None

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
        numbers = self.grid.n_points * max(len(self.population), self.grid.n_points)
        size = max(1, _BLOCK // numbers)
        with np.errstate(all="ignore"):
            for start in track(range(0, points.n_nodes, size), "evaluating the likelihood"):
                nodes = np.arange(start, min(start + size, points.n_nodes), dtype=np.intp)
                total[nodes] = self.log_constant + self._climb_tree(points.select(nodes), self.grid)
        return np.where(np.isnan(total), -np.inf, total)

    def refine(self, points: HyperPoints) -> NestedHermite:
        """Raise the recursion's order, then refine the grid until its log likelihood at ``points`` differs from the
        recursion's by less than the tolerance."""
        plain = {field.name: getattr(self, field.name) for field in fields(NestedHermite)}
        recursion = NestedHermite(**plain).refine(points)
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
        sds = self._sds(points)
        logs, middle = self._tables(points, grid.points, self.tree, slice(None))
        for level in range(self.tree.n_levels - 1, 0, -1):
            logs = self.tree.sum(level - 1, smooth(grid, logs, sds[level]))
        return integrate_at(grid, logs, sds[0], middle).sum(axis=1)

    def _conditional(self, points: HyperPoints, first: int, stop: int, level: int) -> tuple[Recursion, int]:
        """Return a recursion that reads what is below a level from tables on the grid."""
        recursion, first_unit = self._recursion(points, first, stop, level)
        if self.grid is None:
            return recursion, first_unit
        tree, rows = self.tree.part(first, stop)
        logs, middle = self._tables(points, self.grid.points, tree, rows)
        tables = [logs]
        for below in range(tree.n_levels - 1, 0, -1):
            tables.append(tree.sum(below - 1, smooth(self.grid, tables[-1], recursion.sds[below])))
        by_level = tuple(np.ascontiguousarray(np.swapaxes(table, 0, 1)) for table in tables[::-1])
        plain = {field.name: getattr(recursion, field.name) for field in fields(Recursion)}
        return TabledRecursion(**plain, grid=self.grid, tables=by_level, middle=middle), first_unit

    def _sds(self, points: HyperPoints) -> list[FloatArray]:
        """Return the sds (node,) of the levels."""
        return [points.effect_root[k, k] for k in self.tree.factors]

    def _tables(
        self, points: HyperPoints, t: FloatArray, tree: Tree, rows: slice
    ) -> tuple[FloatArray, FloatArray]:
        """Return the log densities (node, unit, point) of some rows within their finest units, where linear predictors
        average ``t`` (point,) over all rows, and that average (node,) without effects."""
        base = self.population @ points.coefficients
        if self.offset is not None:
            base = base + self.offset[:, None]
        middle = base.mean(axis=0)
        eta = (base[rows] - middle).T[..., None] + t
        extras = () if points.extras is None else points.extras[: self.model.n_dispersions, :, None, None]
        response = self.response.select(np.arange(len(base), dtype=np.intp)[rows]).expand(1)
        logs = self.model.family.log_density(eta, response, tuple(extras))
        if self.counts is not None:
            logs = logs * self.counts[rows, None]
        logs = np.where(np.isnan(logs), -np.inf, logs)
        return floor_below_peak(tree.sum(tree.n_levels - 1, logs)), middle

    def _lay(self, points: HyperPoints, per_sd: float) -> ValueGrid | None:
        """Return the grid for the narrowest of the coarsest units' likelihoods at the first point, None where it is too
        large or no unit's likelihood has a peak."""
        scales = self.model.scales
        t = scales.response_mean + scales.response_sd * np.linspace(-_SCAN_REACH, _SCAN_REACH, _SCAN_POINTS)
        with np.errstate(all="ignore"):
            logs, _ = self._tables(points.select(np.zeros(1, dtype=np.intp)), t, self.tree, slice(None))
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

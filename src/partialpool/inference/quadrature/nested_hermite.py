"""Nested factors, observation-level effects included: Gauss-Hermite quadrature recursively up the tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from partialpool.inference.contract import ConditionalTables, LatentMarginal
from partialpool.inference.quadrature.nested_draws import draw_level
from partialpool.inference.quadrature.recursion import Centred, Recursion
from partialpool.inference.quadrature.refinement import refine_until_still
from partialpool.inference.quadrature.tree import Tree
from partialpool.models.families.base import ResponseColumns
from partialpool.models.latent_model import LatentModel
from partialpool.models.space.hyper_gradient import HyperGradient
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.discrete_gauss import compress_measure
from partialpool.numerics.hermite import Rule, hermite_rule, uniform_rule
from partialpool.numerics.progress import track

# Array elements (point, ..., row, node) of a block are eight times this: what stays in a core's cache.
_BLOCK = 2**15
# Array elements (row, draw, point) that effects are drawn with at once: calls are many and arrays short.
_DRAWN = 2**17
#: Seconds that one point of one row takes; from 2e-8 where likelihoods are concave to 1.2e-7 where they are not.
ROW_SECONDS = 4e-8
_ORDERS = (5, 7, 9, 13, 19, 27)
# Newton steps that a level's mode takes, about.
_STEPS = 5
# The grid of conditional densities, in Laplace sds.
_REACH, _SPACING = 8.0, 0.4


class UnitRun(NamedTuple):
    """Some ``units`` of a level (unit,), which lie within the coarsest units from the ``first`` up to ``stop``."""

    first: int
    stop: int
    units: IntArray


@dataclass(frozen=True)
class NestedHermite(LatentMarginal):
    """The marginal likelihood by a rule of ``order`` points at every level of the tree; rows are in its order."""

    model: LatentModel
    tree: Tree
    response: ResponseColumns
    counts: FloatArray | None
    population: FloatArray  # (row, coefficient)
    offset: FloatArray | None
    log_constant: float
    order: int = 9
    change: float = float("nan")

    @property
    def work(self) -> float:
        """Rows times the points of all levels' rules and modes."""
        return float(len(self.population) * (self.order + _STEPS) ** self.tree.n_levels)

    @property
    def seconds(self) -> float:
        """Counted, not timed."""
        return ROW_SECONDS * self.model.family.cost * self.work

    @property
    def route(self) -> str:
        """The recursion, in words."""
        names = ", within ".join(self.model.groups[k].name for k in self.tree.factors[::-1])
        return f"effects of {names} integrated out by nested Gauss-Hermite quadrature of {self.order} points a level"

    @property
    def evidence(self) -> dict[str, float]:
        """The change of the log likelihood when the order was last raised."""
        return {"change on raising the order": self.change}

    @cached_property
    def _rule(self) -> Rule:
        return hermite_rule(self.order)

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y | hyperparameters) for each node."""
        total = np.full(points.n_nodes, self.log_constant)
        with np.errstate(all="ignore"):
            for _, nodes, recursion in self._blocks(points):
                total[nodes] += recursion.value(0, recursion.no_shift).sum(axis=0)
        return np.where(np.isnan(total), -np.inf, total)

    def group_log_likelihood(self, points: HyperPoints, factor: int, above: FloatArray | None = None) -> FloatArray:
        """Return the log likelihood of each unit of a level, the recursion begun there."""
        level = self.tree.factors.index(factor)
        unit_of = self.tree.unit_of[level]
        shift = np.zeros((len(unit_of), points.n_nodes))
        if above is not None:
            shift[unit_of] = above
        values, first = np.empty_like(shift), 0
        with np.errstate(all="ignore"):
            for rows, nodes, recursion in self._blocks(points):
                first = 0 if rows.start == 0 else first
                units = slice(first, first + recursion.tree.n_units(level))
                values[units, nodes] = recursion.value(level, shift[units, nodes])
                first = units.stop
        return np.where(np.isnan(values), -np.inf, values)[unit_of]

    def value_and_gradient(self, points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        """Return the log likelihood and its gradient, by Fisher's identity at the same points."""
        n = points.n_nodes
        total = np.full(n, self.log_constant)
        root = np.zeros((len(points.effect_root), len(points.effect_root), n))
        coefficients = np.zeros(points.coefficients.shape)
        extras = None if points.extras is None else np.zeros(points.extras.shape)
        with np.errstate(all="ignore"):
            for rows, nodes, recursion in self._blocks(points):
                found = recursion.expect()
                total[nodes] += found.value
                coefficients[:, nodes] += self.population[rows].T @ found.row
                for moment, factor in zip(found.level, self.tree.factors, strict=True):
                    root[factor, factor, nodes] += moment
                if extras is not None:
                    for k, slope in enumerate(found.dispersion):
                        extras[k, nodes] += slope
        return total, HyperGradient(root, np.zeros(n), coefficients, None, extras)

    def refine(self, points: HyperPoints) -> NestedHermite:
        """Raise the order until the log likelihood at ``points`` moves by less than the tolerance."""
        found, change = refine_until_still([replace(self, order=order) for order in _ORDERS], points)
        return replace(found, change=change)

    def table_seconds(self, factor: int) -> float:
        """Points along, above and below a factor's level."""
        per_row = (self.order + _STEPS) ** (self.tree.n_levels - 1) * round(2.0 * _REACH / _SPACING)
        return float(ROW_SECONDS * self.model.family.cost * len(self.population) * per_row)

    def class_of(self, factor: int) -> IntArray:
        """Return each group's unit of the tree."""
        return self.tree.unit_of[self.tree.factors.index(factor)]

    def group_rows(self, factor: int) -> FloatArray:
        """Return how many raw rows each group has."""
        group = self.model.groups[factor]
        counts = self.model.design.measurements.counts
        return np.bincount(group.codes, weights=counts, minlength=group.n_levels).astype(np.float64)

    def population_variances(self, points: HyperPoints, factor: int) -> FloatArray:
        """Return the square of the factor's sd."""
        return np.asarray(points.effect_root[factor, factor][None] ** 2)

    def tables(self, points: HyperPoints, factor: int, effect: int, classes: IntArray) -> ConditionalTables:
        """Return the conditional densities of some units' deviations: for units below others, one for every point of
        the rules above, with its weight."""
        level = self.tree.factors.index(factor)
        with np.errstate(all="ignore"):
            runs = self._unit_runs(level, classes, points.n_nodes)
            return self._in_order([self._table(points, level, run) for run in runs], level, classes)

    def _unit_runs(self, level: int, units: IntArray, n_nodes: int) -> Iterator[UnitRun]:
        """Divide some units of a level into runs that are tabulated together, in the order of the coarsest units."""
        top = self._top_units(level, units)
        order = np.argsort(top, kind="stable")
        for run in self._runs(top[order], self._rows_at_once(n_nodes)):
            wanted = order[run]
            yield UnitRun(int(top[wanted[0]]), int(top[wanted[-1]]) + 1, units[wanted])

    def _in_order(self, parts: list[ConditionalTables], level: int, units: IntArray) -> ConditionalTables:
        """Put the tables of successive runs together, in the order of the units that were asked for."""
        order = np.argsort(self._top_units(level, units), kind="stable")
        inverse = np.empty(len(order), dtype=np.intp)
        inverse[order] = np.arange(len(order))
        return _take_items(_stack(parts), inverse)

    def _rows_at_once(self, n_nodes: int) -> int:
        """Return how many rows, at all nodes and points, fit a block."""
        per_row = n_nodes * 41 * (self.order + _STEPS) ** (self.tree.n_levels - 1)
        return int(max(1, 16 * _BLOCK // per_row))

    def _runs(self, tops: IntArray, most_rows: int) -> Iterator[slice]:
        """Divide sorted coarsest units into runs of so many rows at most, or of one unit."""
        ends = self._row_ends
        start = 0
        while start < len(tops):
            before = ends[tops[start] - 1] if tops[start] else 0
            last = max(int(np.searchsorted(ends, before + most_rows, side="right")), int(tops[start]) + 1)
            stop = int(np.searchsorted(tops, last, side="left"))
            yield slice(start, stop)
            start = stop

    def draw_effects(
        self, points: HyperPoints, levels: list[IntArray], rng: np.random.Generator
    ) -> tuple[FloatArray, ...]:
        """Draw the deviations of some levels of each factor jointly, from the coarsest down."""
        n_draws = points.n_nodes
        result = [np.empty((1, n_draws, len(wanted))) for wanted in levels]
        tops = [self._top_units(k, self.tree.unit_of[k][levels[f]]) for k, f in enumerate(self.tree.factors)]
        needed = np.unique(np.concatenate(tops)) if tops else np.empty(0, dtype=np.intp)
        for first, stop in track(self._drawn_together(needed), "drawing effects"):
            drawn, firsts = self._draw_tree(points, first, stop, rng)
            for level, factor in enumerate(self.tree.factors):
                own = np.flatnonzero((tops[level] >= first) & (tops[level] < stop))
                places = self.tree.unit_of[level][levels[factor][own]] - firsts[level]
                result[factor][0][:, own] = drawn[level][places].T
        return tuple(result)

    def _drawn_together(self, needed: IntArray) -> list[tuple[int, int]]:
        """Return the runs of coarsest units, first and stop, whose effects are drawn at once."""
        return [(int(unit), int(unit) + 1) for unit in needed]

    def _draws_at_once(self, n_rows: int) -> int:
        """Return for how many draws the arrays of so many rows stay short."""
        points = (self.order + _STEPS) ** (self.tree.n_levels - 1)
        return max(1, _DRAWN // max(n_rows * int(points), 1))

    def _draw_tree(
        self, points: HyperPoints, first: int, stop: int, rng: np.random.Generator
    ) -> tuple[list[FloatArray], list[int]]:
        """Draw the deviations (unit, draw) of each level within some units of the coarsest."""
        tree, _ = self.tree.part(first, stop)
        top, firsts, lower, upper = (first, stop), [], first, stop
        for level in range(tree.n_levels):
            firsts.append(lower)
            ends = np.append(self.tree.starts[level], self.tree.n_children(level))
            lower, upper = int(ends[lower]), int(ends[upper])
        drawn = [np.empty((tree.n_units(level), points.n_nodes)) for level in range(tree.n_levels)]
        size = self._draws_at_once(tree.n_rows)
        for start in range(0, points.n_nodes, size):
            nodes = np.arange(start, min(start + size, points.n_nodes), dtype=np.intp)
            with np.errstate(all="ignore"):
                recursion, _ = self._conditional(points.select(nodes), *top, 0)
                shift = recursion.no_shift
                for level in range(tree.n_levels):
                    drawn[level][:, nodes] = recursion.sds[level] * draw_level(recursion, level, shift, rng)
                    shift = tree.spread(level, shift + drawn[level][:, nodes])
        return drawn, firsts

    def _top_units(self, level: int, units: IntArray) -> IntArray:
        """Return the unit of the coarsest level that each unit of a level lies in."""
        for above in range(level - 1, -1, -1):
            units = np.searchsorted(self.tree.starts[above], units, side="right") - 1
        return np.asarray(units, dtype=np.intp)

    def _recursion(self, points: HyperPoints, first: int, stop: int, level: int) -> tuple[Recursion, int]:
        """Return the recursion of some coarsest units, and the number of their first unit at a level."""
        tree, rows = self.tree.part(first, stop)
        for above in range(level):
            first = int(self.tree.starts[above][first])
        base = self.population[rows] @ points.coefficients
        if self.offset is not None:
            base = base + self.offset[rows, None]
        taken = np.arange(rows.start, rows.stop, dtype=np.intp)
        recursion = Recursion(
            tree,
            self.model.family,
            self.response.select(taken).expand(1),
            None if self.counts is None else self.counts[rows, None],
            base,
            np.stack([points.effect_root[k, k] for k in self.tree.factors]),
            () if points.extras is None else tuple(points.extras[: self.model.n_dispersions]),
            self._rule,
        )
        return recursion, first

    def _table(self, points: HyperPoints, level: int, run: UnitRun) -> ConditionalTables:
        """Return the tables of some units of a level."""
        recursion, first = self._conditional(points, run.first, run.stop, level)
        return separate_tables(recursion, level, run.units - first)

    def _conditional(self, points: HyperPoints, first: int, stop: int, level: int) -> tuple[Recursion, int]:
        """Return the recursion that tables and draws are made with."""
        return self._recursion(points, first, stop, level)

    def _blocks(self, points: HyperPoints) -> Iterator[tuple[slice, slice, Recursion]]:
        """Yield the rows of runs of coarsest units, runs of nodes, and their recursions."""
        per_row = (self.order + _STEPS) ** max(self.tree.n_levels - 1, 1) * self.order
        at_once = max(1, _BLOCK * 8 // per_row)
        ends = self._row_ends
        runs, first = [], 0
        while first < len(ends):
            before = ends[first - 1] if first else 0
            stop = max(first + 1, int(np.searchsorted(ends, before + at_once, side="right")))
            runs.append(slice(first, stop))
            first = stop
        longest = max(int(ends[run.stop - 1] - (ends[run.start - 1] if run.start else 0)) for run in runs)
        n_nodes = max(1, at_once // longest)
        for start in track(range(0, points.n_nodes, n_nodes), "evaluating the likelihood"):
            nodes = slice(start, min(start + n_nodes, points.n_nodes))
            chosen = points.select(np.arange(nodes.start, nodes.stop, dtype=np.intp))
            for run in runs:
                rows = slice(int(ends[run.start - 1]) if run.start else 0, int(ends[run.stop - 1]))
                yield rows, nodes, self._recursion(chosen, run.start, run.stop, 0)[0]

    @cached_property
    def _row_ends(self) -> IntArray:
        """Where the rows of each coarsest unit end."""
        ends = np.arange(1, self.tree.n_units(0) + 1)
        for level in range(self.tree.n_levels):
            bounds = np.append(self.tree.starts[level], self.tree.n_children(level))
            ends = bounds[ends]
        return np.asarray(ends, dtype=np.intp)


def spread_over_rules(recursion: Recursion, level: int) -> tuple[FloatArray, FloatArray]:
    """Return the shifts (part, unit, node) that the levels above a level give its units, none at the coarsest, and what
    each is worth: as many as the rule of one level has points, whatever the number of levels."""
    tree, shift = recursion.tree, recursion.no_shift
    weights = np.ones_like(shift)
    for above in range(level):
        centred = recursion.centre(above, shift)
        weights = weights * normalise(recursion.log_terms(above, centred, recursion.rule))
        shift = shift + recursion.sds[above] * centred.spread(recursion.rule)
        if above:
            shift, weights = (part.reshape(-1, *part.shape[-2:]) for part in (shift, weights))
            shift, weights = compress_measure(shift, weights, len(recursion.rule.log_weights))
        shift, weights = tree.spread(above, shift), tree.spread(above, weights)
    return shift, weights


def separate_tables(recursion: Recursion, level: int, units: IntArray) -> ConditionalTables:
    """Return tables of some units of a level, one for every point of the rules above."""
    shift, weights = spread_over_rules(recursion, level)
    return table_parts(recursion, level, units, recursion.centre(level, shift), weights)


def table_parts(
    recursion: Recursion, level: int, units: IntArray, centred: Centred, weights: FloatArray
) -> ConditionalTables:
    """Return tables of some units of a level, one for each of the shifts that they are ``centred`` at."""
    rule = uniform_rule(_REACH, _SPACING)
    density = normalise(recursion.log_terms(level, centred, rule)[..., units, :])
    sds = recursion.sds[level]
    parts = (sds * centred.mode, sds * centred.scale, weights)
    centre, scale, share = (_join_parts(part[..., units, :]) for part in parts)
    tables = ConditionalTables(rule.points[0], centre, scale, _join_parts(density, 1))
    return tables if level == 0 else tables._replace(node_weights=share)


def normalise(logs: FloatArray) -> FloatArray:
    """Return probabilities (point, ...) from their logs up to a constant."""
    share = np.exp(logs - logs.max(axis=0))
    return np.asarray(share / share.sum(axis=0))


def _join_parts(values: FloatArray, n_kept: int = 0) -> FloatArray:
    """Return values (kept, ..., unit, node) as (unit, node and part, kept), parts of one node next to each other."""
    moved = np.moveaxis(values, (-2, -1), (n_kept, n_kept + 1))
    joined = moved.reshape(*moved.shape[: n_kept + 1], -1)
    return np.moveaxis(joined, 0, -1) if n_kept else joined


def _stack(parts: list[ConditionalTables]) -> ConditionalTables:
    """Put tables of successive items together."""
    shares = [part.node_weights for part in parts if part.node_weights is not None]
    return parts[0]._replace(
        centre=np.concatenate([part.centre for part in parts]),
        scale=np.concatenate([part.scale for part in parts]),
        density=np.concatenate([part.density for part in parts]),
        node_weights=np.concatenate(shares) if shares else None,
    )


def _take_items(tables: ConditionalTables, items: IntArray) -> ConditionalTables:
    shares = tables.node_weights
    return tables._replace(
        centre=tables.centre[items],
        scale=tables.scale[items],
        density=tables.density[items],
        node_weights=None if shares is None else shares[items],
    )

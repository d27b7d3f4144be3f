"""Quadrature over the window of each group's likelihood and population, for populations of any shape.

The likelihood and the population's density are evaluated on one grid a group, laid where their product carries its mass
(``windows``); the number of points is doubled until the log likelihood stops moving.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from partialpool.inference.contract import ConditionalTables, LatentMarginal
from partialpool.inference.quadrature.located import log_sum
from partialpool.inference.quadrature.refinement import refine_until_still
from partialpool.inference.quadrature.table_draws import draw_on_grid
from partialpool.inference.quadrature.windows import LOG_DROP, Window, place_windows
from partialpool.models.latent_model import LatentModel
from partialpool.models.populations.base import Population
from partialpool.models.space.hyper_gradient import HyperGradient
from partialpool.models.space.hyperspace import HyperPoints, find_distinct_points
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.progress import track
from partialpool.reductions.grouped_rows import GroupedRows

_SECONDS = 4e-8
_BLOCK = 2**17
_HALVES = (20, 30, 40, 60, 80, 120, 160, 240)
# What a group's peak may lie below the population's, in log, before its window is widened.
_MARGIN = 8.0
# An sd that is given as 0 is this share of the response's spread: no digit of a likelihood tells them apart.
_NO_SPREAD = 1e-10
# What placing a window costs, in points.
_PLACING = 41 + 4 * 9


class _Placed(NamedTuple):
    """A block of classes at some nodes: its rows, what eta is without the group (row, node), dispersions and the
    population's parameters (node,) each, and the window."""

    rows: GroupedRows
    base: FloatArray
    dispersion: tuple[FloatArray, ...]
    shapes: tuple[FloatArray, ...]
    window: Window

    def at_nodes(self, nodes: IntArray) -> _Placed:
        """Return the block at some of the nodes, its windows left out."""
        dispersion = tuple(value[nodes] for value in self.dispersion)
        shapes = tuple(value[nodes] for value in self.shapes)
        return self._replace(base=self.base[:, nodes], dispersion=dispersion, shapes=shapes)


@dataclass(frozen=True)
class PopulationWindow(LatentMarginal):
    """The marginal likelihood by grids of 2 ``half`` + 1 points; ``change`` is what the last refinement moved it by."""

    model: LatentModel
    rows: GroupedRows
    half: int = 30
    change: float = float("nan")

    @property
    def work(self) -> float:
        """Rows times points."""
        return float(self.rows.n_rows * (2 * self.half + 1 + _PLACING))

    @property
    def seconds(self) -> float:
        """Counted, not timed."""
        return _SECONDS * self.model.family.cost * self.work

    def table_seconds(self, factor: int) -> float:
        """As long as an evaluation."""
        return self.seconds

    @property
    def route(self) -> str:
        """The grid, in words."""
        return (
            f"group parameters integrated out on grids of {2 * self.half + 1} points over each group's window of "
            f"likelihood and {self.model.population.name} population"
        )

    @property
    def evidence(self) -> dict[str, float]:
        """The change of the log likelihood when the grid was last refined."""
        return {"change on refining the grid": self.change}

    @property
    def _w(self) -> FloatArray:
        return np.arange(-self.half, self.half + 1, dtype=np.float64)

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y | hyperparameters) for each node."""
        total = np.full(points.n_nodes, self.rows.log_constant)
        with np.errstate(all="ignore"):
            for part, nodes, logs in self._class_values(points):
                total[nodes] += self.rows.class_weights[part] @ logs
        return np.where(np.isnan(total), -np.inf, total)

    def group_log_likelihood(self, points: HyperPoints, factor: int, above: FloatArray | None = None) -> FloatArray:
        """Return the log likelihood of each group, on the same grids."""
        values = self.class_log_likelihood(points)
        return np.where(np.isnan(values), -np.inf, values)[self.rows.class_of]

    def class_log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return the log likelihood of a group of each class (class, node), NaN outside the floating range."""
        values = np.empty((self.rows.n_classes, points.n_nodes))
        with np.errstate(all="ignore"):
            for part, nodes, logs in self._class_values(points):
                values[part, nodes] = logs
        return values

    def _class_values(self, points: HyperPoints) -> Iterator[tuple[slice, slice, FloatArray]]:
        """Yield runs of classes and of nodes with the classes' log likelihoods (class, node)."""
        for part, nodes, placed in self._blocks(points):
            yield part, nodes, log_sum(self._log_terms(placed)[1])

    def class_moments(self, points: HyperPoints) -> tuple[FloatArray, FloatArray]:
        """Return each class's log marginal likelihood (class, node), and the moments (4, class, node) of orders 1 to 4,
        given the class, of the deviation over the population's sd."""
        logs = np.empty((self.rows.n_classes, points.n_nodes))
        moments = np.empty((4, *logs.shape))
        with np.errstate(all="ignore"):
            for part, nodes, placed in self._blocks(points):
                t, terms = self._log_terms(placed)
                own = log_sum(terms)
                z, share = t / placed.shapes[0][:, None], np.exp(terms - own[..., None])
                logs[part, nodes] = own
                for order in range(4):
                    share = share * z
                    moments[order, part, nodes] = share.sum(axis=-1)
        return logs, moments

    def value_and_gradient(self, points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        """Return the log likelihood and its gradient, by Fisher's identity at the grid's points."""
        total, gradient = np.full(points.n_nodes, self.rows.log_constant), self.no_gradient(points)
        with np.errstate(all="ignore"):
            for part, nodes, placed in self._blocks(points):
                t, logs = self._log_terms(placed)
                own = log_sum(logs)
                weights = self.rows.class_weights[part]
                total[nodes] += weights @ own
                share = np.exp(logs - own[..., None]) * weights[:, None, None]
                self._add_gradient(gradient, nodes, placed, t, share)
        return total, gradient

    def refine(self, points: HyperPoints) -> PopulationWindow:
        """Refine the grid until the log likelihood at ``points`` moves by less than the tolerance."""
        found, change = refine_until_still([replace(self, half=half) for half in _HALVES], points)
        return replace(found, change=change)

    @staticmethod
    def no_gradient(points: HyperPoints) -> HyperGradient:
        """Return a gradient of zeros."""
        n = points.n_nodes
        root = np.zeros((*points.effect_root.shape[:2], n))
        extras = None if points.extras is None else np.zeros(points.extras.shape)
        return HyperGradient(root, np.zeros(n), np.zeros(points.coefficients.shape), None, extras)

    def class_of(self, factor: int) -> IntArray:
        """Return each group's class."""
        return self.rows.class_of

    def group_rows(self, factor: int) -> FloatArray:
        """Return how many raw rows each group has."""
        return self.rows.group_rows

    def population_variances(self, points: HyperPoints, factor: int) -> FloatArray:
        """Return the population's variance about its mean on the linear predictor's scale, inf where it has none."""
        return latent_variance(self.model.population, self.shapes(points))[None]

    def prior_spreads(self, points: HyperPoints, factor: int) -> FloatArray:
        """Return the population's variance, of a Student-t population without one the square of its scale."""
        own, shapes = self.population_variances(points, factor), self.shapes(points)
        return np.where(np.isfinite(own), own, self.model.population.location_scale(shapes)[1] ** 2)

    def tables(self, points: HyperPoints, factor: int, effect: int, classes: IntArray) -> ConditionalTables:
        """Return the conditional densities of groups' parameters."""
        with np.errstate(all="ignore"):
            placed = self._place(self.rows.take_classes(classes), points)
            _, logs = self._log_terms(placed)
            density = np.exp(logs - logs.max(axis=-1, keepdims=True))
        density /= density.sum(axis=-1, keepdims=True)
        return ConditionalTables(self._w, placed.window.centre, placed.window.scale, density, placed.window.stretch)

    def draw_effects(
        self, points: HyperPoints, levels: list[IntArray], rng: np.random.Generator
    ) -> tuple[FloatArray, ...]:
        """Draw groups' parameters from their grids, one hyperparameter point a draw."""
        classes = self.rows.class_of[levels[0]]
        result = np.empty((1, points.n_nodes, len(classes)))
        if not len(classes):
            return (result,)
        distinct, place = find_distinct_points(points)
        order = np.argsort(place, kind="stable")
        size = max(1, 8 * _BLOCK // (len(self._w) * max(1, len(classes)) * int(self.rows.lengths.max())))
        for start in range(0, distinct.n_nodes, size):
            nodes = np.arange(start, min(start + size, distinct.n_nodes), dtype=np.intp)
            ends = np.searchsorted(place[order], [start, start + len(nodes)])
            draws = order[ends[0] : ends[1]]
            result[0, draws] = self._draw_at(distinct.select(nodes), classes, place[draws] - start, rng).T
        return (result,)

    def _draw_at(self, points: HyperPoints, classes: IntArray, nodes: IntArray, rng: np.random.Generator) -> FloatArray:
        """Draw groups' parameters (group, draw) at ``nodes`` (draw,) among ``points`` that may come up again: what a
        node knows of its groups is found once."""
        distinct, of_class = np.unique(classes, return_inverse=True)
        with np.errstate(all="ignore"):
            placed = self._place(self.rows.take_classes(distinct), points)
            w = draw_on_grid(self._w, self._log_terms(placed)[1][of_class][:, nodes], rng)
        centre, scale, bend = (part[of_class][:, nodes] for part in placed.window)
        safe = np.where(bend > 0.0, bend, 1.0)
        return np.asarray(centre + scale * np.where(bend > 0.0, np.sinh(safe * w) / safe, w))

    def shapes(self, points: HyperPoints) -> tuple[FloatArray, ...]:
        """Return the population's parameters, each (node,)."""
        return self.shapes_of(self.model, points)

    @staticmethod
    def shapes_of(model: LatentModel, points: HyperPoints) -> tuple[FloatArray, ...]:
        """Return the population's parameters, each (node,)."""
        own = () if points.extras is None else tuple(points.extras[model.n_dispersions :])
        if not model.population.centred:
            return own
        return (np.maximum(points.effect_root[0, 0], _NO_SPREAD * model.scales.response_sd), *own)

    def _place(self, rows: GroupedRows, points: HyperPoints) -> _Placed:
        base = rows.population @ points.coefficients
        if rows.offset is not None:
            base = base + rows.offset[:, None]
        n_dispersions = self.model.n_dispersions
        dispersion = () if points.extras is None else tuple(points.extras[:n_dispersions])
        shapes = self.shapes(points)
        placed = _Placed(rows, base, dispersion, shapes, Window(base, base, base))
        low, high = self.model.population.window(shapes, LOG_DROP + _MARGIN)
        centre, width = self.model.population.location_scale(shapes)
        reach = np.maximum(high - centre, centre - low)

        def integrand(t: FloatArray, nodes: IntArray) -> FloatArray:
            return self._log_integrand(placed if len(nodes) == points.n_nodes else placed.at_nodes(nodes), t)

        full = np.zeros((rows.n_classes, points.n_nodes))
        window = place_windows(integrand, full + centre, full + width, full + reach, self.half)
        return placed._replace(window=window)

    def _log_integrand(self, placed: _Placed, t: FloatArray) -> FloatArray:
        """Return log likelihood plus log population density (class, node, point)."""
        rows = placed.rows
        t = np.broadcast_to(t, (rows.n_classes, *t.shape[1:]))
        eta = placed.base[..., None] + rows.spread(t)
        dispersion = tuple(value[:, None] for value in placed.dispersion)
        values = self.model.family.log_density(eta, rows.response.expand(2), dispersion)
        if rows.counts is not None:
            values = values * rows.counts[:, None, None]
        shapes = tuple(value[:, None] for value in placed.shapes)
        return rows.sum(values) + self.model.population.log_density(t, shapes)

    def _log_terms(self, placed: _Placed) -> tuple[FloatArray, FloatArray]:
        """Return t and the log terms of the trapezoid rule (class, node, point)."""
        t = placed.window.values(self._w)
        return t, self._log_integrand(placed, t) + placed.window.log_spacing(self._w)

    def _add_gradient(
        self, gradient: HyperGradient, nodes: slice, placed: _Placed, t: FloatArray, share: FloatArray
    ) -> None:
        rows, model = placed.rows, self.model
        eta = placed.base[..., None] + rows.spread(t)
        dispersion = tuple(value[:, None] for value in placed.dispersion)
        found = model.family.derivatives(eta, rows.response.expand(2), dispersion)
        expected = rows.spread(share)
        if rows.counts is not None:
            expected = expected * rows.counts[:, None, None]
        first = np.where(expected > 0.0, found.first * expected, 0.0).sum(axis=-1)
        if len(gradient.coefficients):
            gradient.coefficients[:, nodes] += rows.population.T @ first
        shapes = tuple(value[:, None] for value in placed.shapes)
        by_shapes = model.population.derivatives(t, shapes)[3]
        totals = [np.where(share > 0.0, slope * share, 0.0).sum(axis=(0, 2)) for slope in by_shapes]
        if model.population.centred:
            gradient.root[0, 0, nodes] += totals.pop(0) * placed.shapes[0]
        if gradient.extras is not None:
            for k, slope in enumerate(found.by_dispersion):
                gradient.extras[k, nodes] += np.where(expected > 0.0, slope * expected, 0.0).sum(axis=(0, 2))
            for k, value in enumerate(totals):
                gradient.extras[model.n_dispersions + k, nodes] += value

    def _blocks(self, points: HyperPoints) -> Iterator[tuple[slice, slice, _Placed]]:
        """Yield runs of classes and of nodes with their windows."""
        n_points = 2 * self.half + 1
        runs = self.rows.blocks(max(1, _BLOCK // n_points))
        longest = max(int(self.rows.lengths[run].sum()) for run in runs)
        n_nodes = max(1, _BLOCK // (n_points * longest))
        for start in track(range(0, points.n_nodes, n_nodes), "evaluating the likelihood"):
            nodes = slice(start, min(start + n_nodes, points.n_nodes))
            chosen = points.select(np.arange(nodes.start, nodes.stop, dtype=np.intp))
            for run in runs:
                yield run, nodes, self._place(self.rows if len(runs) == 1 else self.rows.select(run), chosen)


def latent_variance(population: Population, shapes: tuple[FloatArray, ...]) -> FloatArray:
    """Return the variance (node,) of t: for a beta population that of the logit, for a gamma one that of the log."""
    from scipy.special import polygamma

    if population.name == "beta":
        return np.asarray(polygamma(1, shapes[0]) + polygamma(1, shapes[1]))
    if population.name == "gamma":
        return np.asarray(polygamma(1, shapes[0]))
    if population.name == "exponential":
        return np.full(np.shape(shapes[0]), np.pi**2 / 6.0)
    return np.asarray(population.mean_sd_response(shapes)[1] ** 2)

"""Populations of any shape over a likelihood that hyperparameters do not change: tabulated once, then matrix products.

Without covariates and unknown dispersions a group's likelihood is a function of its own linear predictor alone. It is
tabulated once for every class, on one grid as dense as the most precise class needs, with ends that widen
geometrically. At any hyperparameter point the classes' marginal likelihoods are then the table times the population's
density on the grid, weighted by its spacing. A population narrower than the grid can follow is integrated over its
window instead, and the table is used only where it agrees with that.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from partialpool.inference.quadrature.located import locate_modes
from partialpool.inference.quadrature.population_window import PopulationWindow
from partialpool.inference.quadrature.refinement import TOLERANCE
from partialpool.inference.quadrature.support_marginal import tabulate_likelihood
from partialpool.models.latent_model import LatentModel
from partialpool.models.space.hyper_gradient import HyperGradient
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.reductions.grouped_rows import GroupedRows

# Spacing in sds of the most precise class, points between the classes' estimates at most, and numbers of the table.
_PER_SD, _MOST_POINTS, _MOST_NUMBERS = 2.0, 2500, 3 * 10**7
# Growth of the spacing towards the ends, and how far these lie beyond the outermost estimates, in spacings.
_GROWTH, _TAIL_POINTS = 1.05, 260
# Spacings that the population's core must be wide, and the sd, in spreads, that bounds estimates of groups that have
# none of their own.
_NARROWEST, _BOUND = 2.0, 4.0
_SECONDS = 4e-10
_BLOCK = 64


@dataclass(frozen=True)
class LikelihoodGrid(PopulationWindow):
    """A window marginal with a table: ``points`` (point,) and the classes' ``log_peaks`` (class,) and likelihoods by
    these, ``table`` (class, point)."""

    points: FloatArray = field(default_factory=lambda: np.empty(0))
    log_peaks: FloatArray = field(default_factory=lambda: np.empty(0))
    table: FloatArray = field(default_factory=lambda: np.empty((0, 0)))

    @cached_property
    def _log_spacing(self) -> FloatArray:
        return np.asarray(np.log(np.gradient(self.points)))

    @property
    def seconds(self) -> float:
        """Counted, not timed."""
        return _SECONDS * self.table.size + 1e-7 * len(self.points)

    @property
    def work(self) -> float:
        """Numbers of the table, in multiply-adds, which go many at a time."""
        return self.table.size / 30.0

    def table_seconds(self, factor: int) -> float:
        """As long as an evaluation over windows."""
        return float(3e-8 * self.model.family.cost * self.rows.n_rows * (2 * self.half + 80))

    @property
    def route(self) -> str:
        """The table, in words."""
        return (
            f"likelihoods of {len(self.log_peaks):,} distinct groups tabulated once on {len(self.points):,} points, "
            f"then one matrix product a {self.model.population.name} population; narrow populations over their windows"
        )

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y | hyperparameters) for each node."""
        total = np.full(points.n_nodes, np.nan)
        wide = self._is_wide(points)
        if not wide.all():
            narrow = np.flatnonzero(~wide)
            total[narrow] = super().log_likelihood(points.select(narrow))
        with np.errstate(all="ignore"):
            for nodes in self._runs(wide):
                logs = self._tabled_values(points.select(nodes))
                total[nodes] = self.rows.log_constant + self.rows.class_weights @ logs
        return np.where(np.isnan(total), -np.inf, total)

    def class_log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return the log likelihood of a group of each class (class, node), by the table where it serves."""
        values = np.empty((self.rows.n_classes, points.n_nodes))
        wide = self._is_wide(points)
        if not wide.all():
            narrow = np.flatnonzero(~wide)
            values[:, narrow] = super().class_log_likelihood(points.select(narrow))
        with np.errstate(all="ignore"):
            for nodes in self._runs(wide):
                values[:, nodes] = self._tabled_values(points.select(nodes))
        return values

    def _tabled_values(self, points: HyperPoints) -> FloatArray:
        """Return the classes' log likelihoods (class, node) from the table."""
        marginal = self.table @ np.exp(self._log_weights(points))
        return np.asarray(np.log(marginal) + self.log_peaks[:, None])

    def value_and_gradient(self, points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        """Return the log likelihood and its gradient, by Fisher's identity on the grid."""
        total, gradient = np.empty(points.n_nodes), self.no_gradient(points)
        wide = self._is_wide(points)
        if not wide.all():
            narrow = np.flatnonzero(~wide)
            total[narrow], found = super().value_and_gradient(points.select(narrow))
            self._place_gradient(gradient, narrow, found)
        with np.errstate(all="ignore"):
            for nodes in self._runs(wide):
                total[nodes], found = self._by_products(points.select(nodes))
                self._place_gradient(gradient, nodes, found)
        return total, gradient

    @property
    def fallback(self) -> PopulationWindow:
        """The windows."""
        return PopulationWindow(self.model, self.rows, self.half)

    def refine(self, points: HyperPoints) -> PopulationWindow:
        """Refine the windows; give the table up where it differs from them."""
        window = self.fallback.refine(points)
        tabled = replace(self, half=window.half)
        difference = np.abs(tabled.log_likelihood(points) - window.log_likelihood(points))
        change = float(np.max(difference, where=np.isfinite(difference), initial=0.0))
        return replace(tabled, change=max(change, window.change)) if change < TOLERANCE else window

    def _is_wide(self, points: HyperPoints) -> NDArray[np.bool_]:
        """Say which nodes' populations the grid resolves."""
        _, width = self.model.population.location_scale(self.shapes(points))
        spacing = float(np.diff(self.points).min())
        return np.broadcast_to(width >= _NARROWEST * spacing, (points.n_nodes,))

    @staticmethod
    def _runs(wide: NDArray[np.bool_]) -> list[IntArray]:
        nodes = np.flatnonzero(wide)
        return [nodes[start : start + _BLOCK] for start in range(0, len(nodes), _BLOCK)]

    def _population_at(self, points: HyperPoints) -> tuple[FloatArray, tuple[FloatArray, ...]]:
        """Return what the population is evaluated at (point, node), and its parameters (node,) each."""
        shift = points.coefficients[0] if self.rows.population.shape[1] and self.model.population.centred else 0.0
        return self.points[:, None] - shift, self.shapes(points)

    def _log_weights(self, points: HyperPoints) -> FloatArray:
        t, shapes = self._population_at(points)
        return np.asarray(self.model.population.log_density(t, shapes) + self._log_spacing[:, None])

    def _by_products(self, points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        """Return values and gradient at nodes that the grid resolves."""
        t, shapes = self._population_at(points)
        found = self.model.population.derivatives(t, shapes)
        weights = np.exp(found.value + self._log_spacing[:, None])
        marginal = self.table @ weights
        total = self.rows.log_constant + self.rows.class_weights @ (np.log(marginal) + self.log_peaks[:, None])
        # summed over classes first: one product more, however many parameters there are
        shares = self.table.T @ (self.rows.class_weights[:, None] / marginal) * weights
        gradient = self.no_gradient(points)
        totals = [np.sum(shares * slope, axis=0, where=shares > 0.0) for slope in found.by_parameter]
        if self.model.population.centred:
            gradient.root[0, 0] = totals.pop(0) * shapes[0]
            if len(gradient.coefficients):
                gradient.coefficients[0] = -np.sum(shares * found.by_t, axis=0, where=shares > 0.0)
        if gradient.extras is not None:
            for k, value in enumerate(totals):
                gradient.extras[k] = value
        return total, gradient

    @staticmethod
    def _place_gradient(gradient: HyperGradient, nodes: IntArray, found: HyperGradient) -> None:
        gradient.root[..., nodes] = found.root
        gradient.coefficients[:, nodes] = found.coefficients
        if gradient.extras is not None and found.extras is not None:
            gradient.extras[:, nodes] = found.extras


def build_window(model: LatentModel, rows: GroupedRows) -> PopulationWindow:
    """Return the marginal of a population that is not normal, with a table where one serves."""
    window = PopulationWindow(model, rows)
    only_intercept = rows.population.shape[1] <= 1 and not np.any(rows.population != 1.0)
    alike = any(hyper.given == 0.0 for hyper in model.space.effect_sds)
    if model.family.dispersions or not only_intercept or not model.groups or alike:
        return window
    points = _lay_grid(model, rows)
    if points is None or len(points) * rows.n_classes > _MOST_NUMBERS:
        return window
    logs = tabulate_likelihood(model.family, rows, points)
    peaks = logs.max(axis=1)
    if not np.isfinite(peaks).all():
        return window
    return LikelihoodGrid(model, rows, points=points, log_peaks=peaks, table=np.exp(logs - peaks[:, None]))


def _lay_grid(model: LatentModel, rows: GroupedRows) -> FloatArray | None:
    """Return the grid's points, None where the most precise class asks for too many."""
    sd, location = _BOUND * model.scales.response_sd, model.scales.response_mean
    offset = np.full(rows.n_rows, location) + (0.0 if rows.offset is None else rows.offset)
    alone = HyperPoints(np.full((1, 1, 1), sd), np.ones(1), np.empty((0, 1)), None, None)
    bare = replace(rows, offset=offset, population=np.empty((rows.n_rows, 0)))
    with np.errstate(all="ignore"):
        found = locate_modes(model.family, bare, alone)
    centre, sds = location + sd * found.mode[0, :, 0], sd * found.root[0, 0, :, 0]
    spacing = float(sds.min()) / _PER_SD
    low, high = float((centre - 3.0 * sds).min()), float((centre + 3.0 * sds).max())
    n_points = int(np.ceil((high - low) / spacing)) + 1
    if n_points > _MOST_POINTS or not np.isfinite(low + high):
        return None
    core = low + spacing * np.arange(n_points)
    steps = spacing * np.cumsum(_GROWTH ** np.arange(1.0, _TAIL_POINTS))
    return np.concatenate([core[0] - steps[::-1], core, core[-1] + steps])

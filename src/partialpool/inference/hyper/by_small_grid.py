"""One or two hyperparameters by a grid of some hundred nodes, interpolated between them.

The first axis is a population sd where there is one, in coordinates in which its density is smooth at 0 (the table of
``axis_maps``); the second in units of its sd given the first, about its mode given the first, both quadratic in
t = r^2 / (1 + r^2), r the sd over its mode: even in the sd, and bounded. The interpolated density carries two lattices:
one of equal weights, for hyperparameters and draws, and one for effects. No two nodes of these share a value, so that
effects about a mean have no comb for a distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partialpool.errors import ComputationError
from partialpool.inference.contract import LatentMarginal
from partialpool.inference.hyper.certificate import Engine
from partialpool.inference.hyper.hyper_posterior import FineNodes, HyperPosterior, log_posterior
from partialpool.models.space.hyperspace import HyperSpace, ScalarHyperparameter
from partialpool.numerics.arrays import BatchLogDensity, FloatArray
from partialpool.numerics.axis_maps import AxisMap, BoundedEvenMap, EndMap, EndsMap, EvenMap, LineMap
from partialpool.numerics.climb import Climb
from partialpool.numerics.sampling.lattice import lattice_points
from partialpool.numerics.sampling.node_subset import tail_nodes
from partialpool.numerics.smooth_grid import (
    PlaneDensity,
    SmoothGrid,
    halve,
    integrate_on_plane,
    interpolate_at,
    scan,
    spread_lattice,
)

ROUTE = "interpolated grid"
#: About how many evaluations it takes.
EVALUATIONS = 400.0
# Nodes for what depends on hyperparameters alone, and for effects.
_FINE, _CARRYING = 4096, 1024
# Nodes in the bulk at which the interpolation is checked, beside those far out, and the error of the log density there.
_CHECKED, _TOLERANCE = 12, 0.02
# Sds aside of the mode at which the second axis is placed, and the search for its modes there.
_ASIDE, _STEP, _NEAR, _MOST_STEPS = 2.5, 0.3, 0.1, 20
# Populations that are symmetric about their centre: the likelihood is even in their sd.
_SYMMETRIC = ("normal", "lognormal", "student_t")


def suits(marginal: LatentMarginal) -> bool:
    """Say whether a model has one or two hyperparameters of which one, of two, is a population sd, one peak, and a
    bounded response: means of unbounded ones are sums that far tails make up, in which nodes of equal weight are few
    (1,667 for 2,287 counts under a Uniform prior of the sd)."""
    space, family = marginal.model.space, marginal.model.family
    if family.response_name != "p" and family.link != "identity":
        return False
    if space.pair is not None or space.blocks or not 0 < space.dimension <= 2 or not family.concave:
        return False
    return space.dimension == 1 or any(place < len(space.effect_sds) for place in space.free)


def integrate_on_small_grid(marginal: LatentMarginal, found: Climb, growth: FloatArray) -> HyperPosterior:
    """Integrate the hyperparameters near whose mode ``found`` is; ``growth`` (dimension,) is how fast the functions of
    interest grow along the coordinates (exp(growth * coordinate)).

    Raises ``ComputationError`` where the density is no number somewhere near its bulk, has another region, does not
    become accurate on 3,000 nodes, or is not what is interpolated at nodes that did not shape it.
    """
    space = marginal.model.space
    counted = _Counted(log_posterior(space, marginal))
    chart = _lay_chart(space, marginal.model.population.name in _SYMMETRIC, found, counted)

    def log_density(x: FloatArray, z: FloatArray) -> FloatArray:
        coordinates, log_volume = chart.coordinates(x, z)
        return counted(coordinates) + log_volume

    def grown(x: FloatArray, z: FloatArray) -> FloatArray:
        return np.asarray(np.maximum((chart.coordinates(x, z)[0] - found.location) @ growth, 0.0))

    flat, folded = space.dimension == 1, chart.first.folded
    centre = chart.first.place(float(found.location[chart.axis]))

    def profile(x: FloatArray) -> FloatArray:
        return log_density(x, np.zeros(len(x))) + grown(x, np.zeros(len(x)))

    line = scan(profile, centre, chart.sd_along(found), folded)
    grid = integrate_on_plane(log_density, grown, line, folded, flat)
    unit, weights = _vanish_at_edges(lattice_points(_CARRYING, 2))
    unit = np.concatenate([lattice_points(_FINE, 2), unit])
    for finer in (0, 1, None):
        x, z = spread_lattice(grid, unit)
        nodes, carrying = np.split(chart.coordinates(x, z)[0], [_FINE])
        error = _measure_error(grid, x[:_FINE], z[:_FINE], log_density)
        if error <= _TOLERANCE:
            break
        if finer is None or (flat and finer):
            raise ComputationError(
                f"the interpolated log density of the hyperparameters is {error:.2g} off at nodes that did not shape it"
            )
        grid = halve(grid, log_density, finer)
    evidence = {
        "nodes": float(grid.values.size),
        "change on halving the spacing": grid.change,
        "interpolation's error": error,
        "evaluations": float(counted.n_evaluations),
    }
    reason = f"{space.dimension} hyperparameter{'s' if space.dimension > 1 else ''}"
    engine = Engine(ROUTE, reason, evidence, "converged", float("inf"))
    fine = FineNodes(nodes, np.full(_FINE, 1.0 / _FINE))
    return HyperPosterior(space, carrying, weights, grid.log_integral, None, engine, fine)


def _vanish_at_edges(unit: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return points of the unit square denser near its edges and weights that make up for it: what is integrated is
    then periodic and smooth there, and a lattice is accurate to a high order of its number of nodes. Of twelve
    hospitals' quantiles 128 nodes gave the worst to 0.004 sds, where of equal weight 1,024 were needed.

    Source: Sidi (1993), Numerical Integration IV, ISNM 112:359-373, m = 2.
    """
    turn = 2.0 * np.pi * unit
    weights = np.prod(1.0 - np.cos(turn), axis=1)
    return np.clip(unit - np.sin(turn) / (2.0 * np.pi), 1e-12, 1.0 - 1e-12), weights / weights.sum()


class _Counted:
    """A log density that counts the points that it is asked for."""

    def __init__(self, log_density: BatchLogDensity) -> None:
        self._log_density = log_density
        self.n_evaluations = 0

    def __call__(self, coordinates: FloatArray) -> FloatArray:
        self.n_evaluations += len(coordinates)
        return self._log_density(coordinates)


@dataclass(frozen=True)
class _Ridge:
    """Modes and log sds of the second coordinate given the first, polynomials in t through three ``anchors``."""

    anchors: FloatArray
    modes: FloatArray
    log_sds: FloatArray

    def at(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        a, b, c = self.anchors
        basis = np.stack(
            [
                (t - b) * (t - c) / ((a - b) * (a - c)),
                (t - a) * (t - c) / ((b - a) * (b - c)),
                (t - a) * (t - b) / ((c - a) * (c - b)),
            ]
        )
        return self.modes @ basis, self.log_sds @ basis


@dataclass(frozen=True)
class _Chart:
    """From places x along the first axis and z across to coordinates; ``axis`` is the first's coordinate, ``mode`` its
    mode, ``upper`` whether it is a share of an interval; ``growing`` where the second's sd grows with the first."""

    first: AxisMap
    axis: int
    mode: float
    upper: bool
    growing: bool
    ridge: _Ridge | None

    def coordinates(self, x: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the coordinates (node, dimension) and the log of the volume of a unit of x and z there."""
        y, log_volume = self.first.coordinate(x)
        if self.ridge is None:
            return y[:, None], log_volume
        ratio, t = self.relative(y)
        mode, log_sd = self.ridge.at(t)
        if self.growing:
            log_sd = log_sd + 0.5 * np.log1p(ratio)
        both = (y, mode + np.exp(log_sd) * z)
        return np.stack(both if self.axis == 0 else both[::-1], axis=1), log_volume + log_sd

    def relative(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return r^2, the squared first number over its mode, and t = r^2 / (1 + r^2)."""
        log_r = y - self.mode
        if self.upper:
            log_r = np.logaddexp(0.0, -self.mode) - np.logaddexp(0.0, -y)
        return np.exp(np.minimum(2.0 * log_r, 600.0)), 1.0 / (1.0 + np.exp(-2.0 * log_r))

    def sd_along(self, found: Climb) -> float:
        """Return about how wide the density is in x."""
        x = self.first.place(self.mode)
        log_slope = float(self.first.coordinate(np.array([x]))[1][0])
        return float(np.sqrt(found.covariance[self.axis, self.axis]) / np.exp(log_slope))


def _lay_chart(space: HyperSpace, symmetric: bool, found: Climb, log_density: BatchLogDensity) -> _Chart:
    place = int(space.free[0])
    hyper = space.scalars[place]
    if hyper is None:
        raise ComputationError("the first hyperparameter has no coordinate of its own")
    mode, sd = float(found.location[0]), float(np.sqrt(found.covariance[0, 0]))
    scale = hyper.role == "effect_sd"
    first = _choose_map(hyper, symmetric, mode, sd) if scale else LineMap(mode, sd)
    chart = _Chart(first, 0, mode, bool(np.isfinite(hyper.support[1])), False, None)
    if space.dimension == 1:
        return chart
    other = space.scalars[int(space.free[1])]
    growing = other is None or (other.role == "coefficient" and bool(np.isinf(other.support[0])))
    centre, width = first.place(mode), chart.sd_along(found)
    x = centre + _ASIDE * width * np.array([-1.0, 0.0, 1.0])
    x[0] = max(float(x[0]), 0.1 * centre) if first.folded else x[0]
    y = first.coordinate(x)[0]
    ratio, t = chart.relative(y)
    modes, sds = _find_across(log_density, y, float(found.location[1]), float(np.sqrt(found.covariance[1, 1])))
    log_sds = np.log(sds) - (0.5 * np.log1p(ratio) if growing else 0.0)
    return _Chart(first, 0, mode, chart.upper, growing, _Ridge(t, modes, log_sds))


def _choose_map(hyper: ScalarHyperparameter, symmetric: bool, mode: float, sd: float) -> AxisMap:
    """Choose the coordinates in which the density of a population's sd is smooth at 0: the table of ``axis_maps``."""
    even, (lower, upper) = symmetric and hyper.prior.even, hyper.support
    if even and np.isinf(upper):
        return EvenMap(mode)
    if even:
        return BoundedEvenMap(float(0.5 * np.logaddexp(0.0, np.log(2.0) + mode)))
    if np.isfinite(upper):
        return EndsMap(mode, sd)
    if lower > 0.0 or np.isfinite(hyper.prior.zero_exponent):
        return EndMap(mode)
    return LineMap(mode, sd)


def _find_across(
    log_density: BatchLogDensity, first: FloatArray, start: float, sd: float
) -> tuple[FloatArray, FloatArray]:
    """Return modes and sds of the second coordinate given each ``first`` (place,), by Newton's steps on differences."""
    modes, sds = np.full(len(first), start), np.full(len(first), sd)
    for _ in range(_MOST_STEPS):
        steps = _STEP * sds
        points = np.concatenate([modes - steps, modes, modes + steps])
        low, here, high = log_density(np.stack([np.tile(first, 3), points], axis=1)).reshape(3, -1)
        slope, curvature = 0.5 * (high - low) / steps, (2.0 * here - high - low) / steps**2
        if not np.isfinite(slope).all():
            raise ComputationError("the posterior density of the hyperparameters is no number beside its mode")
        bent = curvature > 0.04 / sds**2
        new = np.where(bent, np.maximum(curvature, 1e-300) ** -0.5, 5.0 * sds)
        move = np.clip(slope * new**2, -3.0 * new, 3.0 * new)
        modes = modes + move
        settled = bool(np.all(np.abs(move) < _NEAR * new) and np.all(np.abs(np.log(new / sds)) < 0.3))
        sds = new
        if settled:
            return modes, sds
    raise ComputationError("the modes of the second hyperparameter given the first are not found")


def _measure_error(grid: SmoothGrid, x: FloatArray, z: FloatArray, log_density: PlaneDensity) -> float:
    """Return the largest error of the interpolated log density at nodes that did not shape it, in the bulk and the
    farthest out; infinite where that is no number."""
    both, weights = np.stack([x, z], axis=1), np.full(len(x), 1.0 / len(x))
    farthest = [int(find(column)) for column in both.T for find in (np.argmin, np.argmax)]
    tails = [int(np.flatnonzero((both == node).all(axis=1))[0]) for node in tail_nodes(both, weights)]
    bulk = np.linspace(0, len(x) - 1, _CHECKED).astype(np.intp).tolist()
    places = np.unique(np.array(bulk + tails + farthest))
    error = np.abs(interpolate_at(grid, x[places], z[places]) - log_density(x[places], z[places]))
    return float(np.max(np.where(np.isfinite(error), error, np.inf)))

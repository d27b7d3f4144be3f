"""Shelves: how much of a density lies where a log scale goes to minus infinity.

A population sd whose prior density is positive at zero has a log density that falls off to the left like exp(x),
however far, at the height that the rest of the model gives it without that effect. The other coordinates move there
together (what an effect no longer explains is noise), so that a line along the one coordinate says nothing of it: with
0.5 % of a posterior on two such shelves no line missed more than 0.01 %, Pareto-k was 0, and a 95 % quantile was 0.06
sds off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from partialpool.numerics.arrays import BatchLogDensity, FloatArray
from partialpool.numerics.mode import Climb, Mode, climb_from, drive
from partialpool.numerics.sampling.transport import Transport, affine_map

# The density is looked at this far beyond the edge: the flank of what the nodes cover, which is steeper than a shelf,
# has ended there. From there a line runs on, on which a prior of small scale may rise first.
_BEYOND = 1.0
_LINE = np.concatenate([np.linspace(0.0, 6.0, 13), np.linspace(7.0, 25.0, 19)])
# What a density like exp(x) has between the edge and where it is looked at, in units of its height there.
_BETWEEN = float(np.e - 1.0)


class Edge(NamedTuple):
    """Where nodes end: ``place`` on a coordinate ``axis``, and a ``location`` (dimension,) near there to climb from."""

    axis: int
    place: float
    location: FloatArray


class Shelf(NamedTuple):
    """What is beyond an edge along an ``axis``: the ``mode`` over the other coordinates a unit beyond it; ``place`` and
    ``sd`` of the line that runs on from there, and ``log_mass`` of all of it."""

    axis: int
    mode: Mode
    place: float
    sd: float
    log_mass: float

    def to_map(self) -> Transport:
        """Return the map to a normal that stands on the shelf."""
        mean = np.insert(self.mode.location, self.axis, self.place)
        covariance = np.insert(np.linalg.inv(self.mode.precision), self.axis, 0.0, axis=0)
        covariance = np.insert(covariance, self.axis, 0.0, axis=1)
        covariance[self.axis, self.axis] = self.sd**2
        return affine_map(mean, covariance)


def find_shelves(log_density: BatchLogDensity, edges: Sequence[Edge]) -> list[Shelf]:
    """Climb with one coordinate held a unit beyond each of ``edges``, and follow it from the mode that is found there.

    An edge at which no climb ends has no shelf.
    """
    if not edges or len(edges[0].location) < 2:
        return []
    held = [(edge.axis, edge.place - _BEYOND) for edge in edges]
    starts = np.array([edge.location for edge in edges])
    starts[np.arange(len(edges)), [axis for axis, _ in held]] = [place for _, place in held]
    values = np.where(np.isfinite(at := log_density(starts)), at, -np.inf)
    known = [k for k in range(len(edges)) if np.isfinite(values[k])]
    climbs = [
        _hold(climb_from(np.delete(starts[k], held[k][0]), float(values[k]), roughly=True), *held[k]) for k in known
    ]
    ended = drive(log_density, climbs)
    found = [(held[k], mode) for k, mode in zip(known, ended, strict=True) if isinstance(mode, Mode)]
    if not found:
        return []
    lines = np.concatenate(
        [
            np.insert(np.tile(mode.location, (len(_LINE), 1)), axis, place - _LINE, axis=1)
            for (axis, place), mode in found
        ]
    )
    drops = np.nan_to_num(log_density(lines), nan=-np.inf, posinf=-np.inf).reshape(len(found), -1)
    return [_measure(axis, place, mode, line) for ((axis, place), mode), line in zip(found, drops, strict=True)]


def _measure(axis: int, place: float, mode: Mode, line: FloatArray) -> Shelf:
    """Integrate along the ``line`` (step,) of log densities that runs from the mode."""
    heights = np.exp(np.clip(line - mode.log_density, -700.0, 100.0))
    weights = heights * np.gradient(_LINE)
    weights[[0, -1]] *= 0.5  # the trapezoid rule
    total = float(weights.sum())
    middle = float(weights @ _LINE / total)
    sd = float(np.sqrt(max(weights @ (_LINE - middle) ** 2 / total, 1.0)))
    return Shelf(axis, mode, place - middle, sd, mode.log_mass + float(np.log(total + _BETWEEN)))


def _hold(climb: Climb, axis: int, place: float) -> Climb:
    """Let a climb over the other coordinates ask for points of all."""
    points = next(climb)
    while True:
        answer = yield np.insert(points, axis, place, axis=1)
        try:
            points = climb.send(answer)
        except StopIteration as stop:
            mode: Mode = stop.value
            return mode

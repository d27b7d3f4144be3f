"""Grids that follow likelihoods of any widths: as dense at each place as the narrowest one there asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from partialpool.inference.quadrature.located import locate_modes
from partialpool.models.families.base import Family
from partialpool.models.scales import DataScales
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray
from partialpool.reductions.grouped_rows import GroupedRows

# Points for each sd of a likelihood, at least, and the sds on either side of its mode over which it is not negligible.
_PER_SD, _ALIVE = 5.0, 6.5
# Sds of a group's own estimate that the interval reaches beyond it, and the sd of the prior that bounds estimates of
# groups that have none of their own, in spreads of the response.
_BEYOND, _BOUND = 3.0, 4.0


def lay_support_grid(family: Family, rows: GroupedRows, scales: DataScales) -> FloatArray:
    """Return increasing points (point,) over the interval of the groups' own estimates."""
    centre, sds = estimate_alone(family, rows, scales)
    reach = np.minimum(_BEYOND * sds, _BEYOND * scales.response_sd)
    return lay_points(centre, sds, float((centre - reach).min()), float((centre + reach).max()))


def estimate_alone(family: Family, rows: GroupedRows, scales: DataScales) -> tuple[FloatArray, FloatArray]:
    """Return where each class's likelihood peaks and its sd there, (class,) each, under a wide prior."""
    location, sd = scales.response_mean, _BOUND * scales.response_sd
    base = replace(rows, offset=np.full(rows.n_rows, location) + (0.0 if rows.offset is None else rows.offset))
    alone = HyperPoints(np.full((1, 1, 1), sd), np.ones(1), np.empty((0, 1)))
    with np.errstate(all="ignore"):
        found = locate_modes(family, base, alone)
    return location + sd * found.mode[0, :, 0], sd * found.root[0, 0, :, 0]


def lay_points(centre: FloatArray, sds: FloatArray, low: float, high: float) -> FloatArray:
    """Return increasing points from ``low`` to ``high`` that are dense about each ``centre`` (class,) for its sd.

    Sds that differ by less than a factor of two share one spacing; where intervals of several meet the narrowest
    rules."""
    level = np.floor(np.log2(sds))
    starts, ends = np.maximum(centre - _ALIVE * sds, low), np.minimum(centre + _ALIVE * sds, high)
    finer: list[tuple[FloatArray, FloatArray]] = []
    points = [np.array([low, high])]
    for own in np.unique(level):
        of_level = level == own
        union = _unite(starts[of_level], ends[of_level])
        laid = _fill(*union, 2.0**own / _PER_SD)
        for intervals in finer:
            laid = laid[~_is_within(laid, *intervals)]
        points.append(laid)
        finer.append(union)
    return np.unique(np.concatenate(points))


def _unite(starts: FloatArray, ends: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the union of intervals as intervals that do not meet."""
    order = np.argsort(starts)
    starts, reached = starts[order], np.maximum.accumulate(ends[order])
    first = np.append(True, starts[1:] > reached[:-1])
    return starts[first], reached[np.append(np.flatnonzero(first)[1:] - 1, len(starts) - 1)]


def _fill(starts: FloatArray, ends: FloatArray, spacing: float) -> FloatArray:
    """Return points of each interval, both ends among them, at most ``spacing`` apart."""
    pieces = np.maximum(np.ceil((ends - starts) / spacing).astype(np.intp), 1)
    interval = np.repeat(np.arange(len(starts)), pieces + 1)
    step = np.arange(len(interval)) - np.repeat(np.cumsum(pieces + 1) - (pieces + 1), pieces + 1)
    fraction = step / pieces[interval]
    return np.asarray(starts[interval] * (1.0 - fraction) + ends[interval] * fraction)


def _is_within(points: FloatArray, starts: FloatArray, ends: FloatArray) -> NDArray[np.bool_]:
    """Say which points lie in one of the increasing intervals."""
    place = np.searchsorted(starts, points, side="right") - 1
    return np.asarray((place >= 0) & (points <= ends[np.maximum(place, 0)]))

"""A small trapezoid grid of one or two axes in coordinates that make a density smooth, and its interpolation.

``grid.Grid`` is made for densities that cost nothing; this one for those of which each evaluation counts: the first
axis is scanned along the ridge before the grid is laid, the second is in units of its conditional sds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from partialpool.errors import ComputationError
from partialpool.numerics.arrays import FloatArray, IntArray

#: Log density at places x and z, each (node,), by both.
PlaneDensity = Callable[[FloatArray, FloatArray], FloatArray]

# Log density below the peak at which the grid ends: the mass left out is about 3e-7.
_EDGE_DROP = 15.0
# Spacing in sds: a normal density is integrated to 1e-13, its subgrid of twice the spacing to 1e-3.
_SPACING = 0.8
_SPACING_ALONG = 0.6  # a population's sd is skewed
_REACH = 5.6
# Change of log integral, means and sds (in sds) from the subgrid to the grid: the grid's own error is about its square.
_TOLERANCE = 0.03
_MOST_NODES = 3000
# Points of a scan, and how often it is made wider and finer.
_SCANNED, _MOST_SCANS = 32, 10
# Scan points an sd of what they find.
_COARSEST, _FINEST = 1.0, 6.0
# Distances beyond the sides, in conditional sds, at which nothing else may lie.
_FAR_ACROSS = np.array([3.0, 10.0, 40.0])


@dataclass(frozen=True)
class SmoothGrid:
    """Log density ``values`` (x, z) at equally spaced ``x`` and ``z``; ``folded`` where x begins at 0 and the density
    is even in it. ``change`` is the largest that halving the spacing made, in sds or of the log
    integral."""

    x: FloatArray
    z: FloatArray
    values: FloatArray
    folded: bool
    change: float = np.inf

    @property
    def weights(self) -> FloatArray:
        """The probability of each node (x, z), summing to one."""
        weights = np.exp(self.values - self.values.max())
        if self.folded:
            weights[0] *= 0.5
        return np.asarray(weights / weights.sum())

    @property
    def log_integral(self) -> float:
        """The log of the integral."""
        peak = float(self.values.max())
        heights = np.exp(self.values - peak)
        if self.folded:
            heights[0] *= 0.5
        cells = [np.log(axis[1] - axis[0]) for axis in (self.x, self.z) if len(axis) > 1]
        return float(peak + np.log(heights.sum()) + sum(cells))

    def moments(self) -> FloatArray:
        """Return mean and sd of x and z, (axis, 2)."""
        weights = self.weights
        found = []
        for axis, points in enumerate((self.x, self.z)):
            marginal = weights.sum(axis=1 - axis)
            mean = float(marginal @ points)
            found.append((mean, float(np.sqrt(marginal @ (points - mean) ** 2))))
        return np.array(found)


class Line(NamedTuple):
    """Where along x the density lies: from ``low`` to ``high``, with this ``sd``."""

    low: float
    high: float
    sd: float


def scan(profile: Callable[[FloatArray], FloatArray], centre: float, sd: float, folded: bool) -> Line:
    """Find where along x a log density ``profile``, grown by what grows fastest of interest, is above its edge.

    Raises ``ComputationError`` where it has no end or no number.
    """
    low, step = centre - 0.5 * _SCANNED * 0.5 * sd, 0.5 * sd
    high = centre + 0.5 * _SCANNED * 0.5 * sd
    for _ in range(_MOST_SCANS):
        if folded:
            low = 0.0
        n = int(np.ceil((high - low) / step))
        if n > 20 * _SCANNED:
            break
        x = _steps(low, step, 0, n)
        logs = profile(x)
        logs = np.where(np.isnan(logs), -np.inf, logs)  # far out, where numbers end
        above = np.flatnonzero(logs > logs.max() - _EDGE_DROP - 1.0)
        _check_numbers(logs[above[0] : above[-1] + 1] if len(above) else logs)
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        found = float(np.sqrt(weights @ (x - weights @ x) ** 2))
        first, last = int(above[0]), int(above[-1])
        if last == n:
            high += 0.5 * (high - low)
        elif first == 0 and not folded:
            low -= 0.5 * (high - low)
        elif found < _COARSEST * step:
            low, high, step = x[max(first - 1, 0)], x[last + 1], max(0.4 * found, 0.1 * step)
        elif found > _FINEST * step:
            step = 0.5 * found
        else:
            return Line(0.0 if folded else float(x[first]), float(x[last]), found)
    raise ComputationError("the posterior of the hyperparameters has no end along one of them: give stronger priors")


def integrate_on_plane(
    log_density: PlaneDensity, grown: PlaneDensity, line: Line, folded: bool, flat: bool
) -> SmoothGrid:
    """Lay a grid along ``line`` and across it, wider where its edges carry something, finer along an axis until halving
    its spacing no longer matters; ``grown`` is the log of the fastest growing function of interest, ``flat`` where
    there is no second axis.

    Raises ``ComputationError`` where a value is not a number, or 3,000 nodes do not suffice.
    """
    step = _SPACING_ALONG * line.sd
    first, half = 0.0 if folded else line.low, round(_REACH / _SPACING)
    x = _steps(first, step, 0, 2 * int(np.ceil((line.high - first) / step / 2.0)))
    z = np.zeros(1) if flat else _steps(0.0, _SPACING, -half, half)
    grid = SmoothGrid(x, z, _cross(log_density, x, z), folded)
    while side := _short_side(grid, grown):
        grid = _widen(grid, log_density, side)
    if not flat:
        _look_across(grid, log_density)
    while True:
        changes = _change_on_doubling(grid)
        moving = ~(changes <= _TOLERANCE)
        if not moving.any():
            return replace(grid, change=float(changes.max()))
        for axis in np.flatnonzero(moving):
            grid = halve(grid, log_density, int(axis))


def _steps(origin: float, step: float, first: int, last: int) -> FloatArray:
    return np.asarray(origin + step * np.arange(first, last + 1), dtype=np.float64)


def _cross(log_density: PlaneDensity, x: FloatArray, z: FloatArray) -> FloatArray:
    if len(x) * len(z) > _MOST_NODES:
        raise ComputationError(
            f"a grid of {len(x) * len(z)} nodes would be needed for the hyperparameters: give more informative priors"
        )
    values = log_density(np.repeat(x, len(z)), np.tile(z, len(x)))
    _check_numbers(values)
    return values.reshape(len(x), len(z))


def _check_numbers(values: FloatArray) -> None:
    """Refuse what is interpolated neither through nor past: a floor in its place rings."""
    if not np.isfinite(values).all():
        raise ComputationError("the posterior density of the hyperparameters is no number somewhere near its bulk")


def _short_side(grid: SmoothGrid, grown: PlaneDensity) -> tuple[int, int] | None:
    """Return the first (axis, side) at which the grid ends too early."""
    high = grid.values + grown(np.repeat(grid.x, len(grid.z)), np.tile(grid.z, len(grid.x))).reshape(grid.values.shape)
    high = high - high.max()
    plain = grid.values - grid.values.max()
    worst = np.maximum(high, plain)
    if worst[-1].max() > -_EDGE_DROP:
        return 0, -1
    if not grid.folded and worst[0].max() > -_EDGE_DROP:
        return 0, 0
    if len(grid.z) > 1:
        for side in (0, -1):
            if worst[:, side].max() > -_EDGE_DROP:
                return 1, side
    return None


def _widen(grid: SmoothGrid, log_density: PlaneDensity, where: tuple[int, int]) -> SmoothGrid:
    axis, side = where
    old = (grid.x, grid.z)[axis]
    step, n = old[1] - old[0], 2 * max(1, len(old) // 8)
    more = old[-1] + step * np.arange(1, n + 1) if side else old[0] - step * np.arange(n, 0, -1)
    parts = (old, more) if side else (more, old)
    if len(grid.values) * len(grid.z) * (1 + n / len(old)) > _MOST_NODES:
        raise ComputationError("the posterior of the hyperparameters is too diffuse for a small grid")
    new = _cross(log_density, more, grid.z) if axis == 0 else _cross(log_density, grid.x, more)
    values = np.concatenate((grid.values, new) if side else (new, grid.values), axis=axis)
    whole = np.concatenate(parts)
    return replace(grid, x=whole, values=values) if axis == 0 else replace(grid, z=whole, values=values)


def _look_across(grid: SmoothGrid, log_density: PlaneDensity) -> None:
    """Refuse a density that comes back beyond the grid's sides: a second region that no grid about the first has."""
    some = grid.x[np.linspace(0, len(grid.x) - 1, 3).astype(np.intp)]
    ends = np.concatenate([grid.z[0] - _FAR_ACROSS, grid.z[-1] + _FAR_ACROSS])
    logs = log_density(np.repeat(some, len(ends)), np.tile(ends, len(some)))
    if np.max(logs, where=~np.isnan(logs), initial=-np.inf) > grid.values.max() - _EDGE_DROP:
        raise ComputationError("the posterior of the hyperparameters has another region beside its grid")


def _change_on_doubling(grid: SmoothGrid) -> FloatArray:
    """Compare the grid with its subgrids of every second node along each axis, (axis,)."""
    fine = grid.moments()
    changes = np.zeros(2)
    for axis in range(2 if len(grid.z) > 1 else 1):
        coarse = (
            replace(grid, x=grid.x[::2], values=grid.values[::2])
            if axis == 0
            else replace(grid, z=grid.z[::2], values=grid.values[:, ::2])
        )
        sds = np.where(fine[:, 1] > 0.0, fine[:, 1], 1.0)[:, None]
        shift = np.abs(fine - coarse.moments()) / sds
        changes[axis] = max(abs(grid.log_integral - coarse.log_integral), float(shift.max()))
    return changes


def halve(grid: SmoothGrid, log_density: PlaneDensity, axis: int) -> SmoothGrid:
    """Return the grid with half the spacing along an axis."""
    old = (grid.x, grid.z)[axis]
    between = 0.5 * (old[1:] + old[:-1])
    if (2 * len(old) - 1) * grid.values.shape[1 - axis] > _MOST_NODES:
        raise ComputationError(
            "a small grid does not become accurate for the hyperparameters: their density is not smooth"
        )
    new = _cross(log_density, between, grid.z) if axis == 0 else _cross(log_density, grid.x, between)
    shape = [2 * size - 1 if k == axis else size for k, size in enumerate(grid.values.shape)]
    values = np.empty(shape)
    every, odd = (slice(None, None, 2), slice(None)), (slice(1, None, 2), slice(None))
    values[every[:: 1 - 2 * axis]], values[odd[:: 1 - 2 * axis]] = grid.values, new
    whole = np.empty(2 * len(old) - 1)
    whole[::2], whole[1::2] = old, between
    return replace(grid, x=whole, values=values) if axis == 0 else replace(grid, z=whole, values=values)


def interpolation_weights(places: FloatArray, n: int, folded: bool) -> FloatArray:
    """Return the weights (place, node) of eight-point Lagrange interpolation at ``places``, in spacings from the first
    of ``n`` nodes; beyond a fold the nodes' mirror images serve."""
    width = min(8, n)
    lowest = -(width // 2) if folded else 0
    start = np.clip(np.floor(places).astype(np.intp) - width // 2 + 1, lowest, n - width)
    left = (places - start) - np.arange(width)[:, None]
    before, after = np.ones_like(left), np.ones_like(left)
    np.cumprod(left[:-1], axis=0, out=before[1:])
    np.cumprod(left[:0:-1], axis=0, out=after[-2::-1])
    # the products of the differences of the nodes' numbers
    factorials = np.cumprod(np.concatenate([[1.0], np.arange(1.0, width)]))
    signs = (-1.0) ** np.arange(width - 1, -1, -1)
    values = before * after / (signs * factorials * factorials[::-1])[:, None]
    weights, rows = np.zeros((len(places), n)), np.arange(len(places))
    for i in range(width):  # a node and its mirror image are not reached by one i
        weights[rows, np.abs(start + i)] += values[i]
    return weights


def spread_lattice(grid: SmoothGrid, unit: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return points x and z (node,) whose distribution is the interpolated density's, from points (node, axis) of the
    unit square: x by its own distribution, then z given x."""
    step = grid.x[1] - grid.x[0]
    fine = np.arange((len(grid.x) - 1) * 16 + 1) / 16.0
    rows = interpolation_weights(fine, len(grid.x), grid.folded) @ grid.values
    heights = np.exp(rows - rows.max()).sum(axis=1)
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (heights[1:] + heights[:-1]))])
    places = np.interp(unit[:, 0] * cumulative[-1], cumulative, fine)
    x = grid.x[0] + step * places
    if len(grid.z) == 1:
        return x, np.zeros(len(x))
    # linear between these points: a quarter of the spacing widened a normal by 0.3 %
    across = np.arange((len(grid.z) - 1) * 8 + 1) / 8.0
    refined = interpolation_weights(across, len(grid.z), False) @ grid.values.T
    logs = refined @ interpolation_weights(places, len(grid.x), grid.folded).T
    logs -= logs.max(axis=0)
    position = _invert_columns(np.exp(logs, out=logs), unit[:, 1])
    return x, grid.z[0] + 0.125 * (grid.z[1] - grid.z[0]) * position


def interpolate_at(grid: SmoothGrid, x: FloatArray, z: FloatArray) -> FloatArray:
    """Return the interpolated log density (node,)."""
    along = interpolation_weights((x - grid.x[0]) / (grid.x[1] - grid.x[0]), len(grid.x), grid.folded)
    if len(grid.z) == 1:
        return np.asarray(along @ grid.values[:, 0])
    across = interpolation_weights((z - grid.z[0]) / (grid.z[1] - grid.z[0]), len(grid.z), False)
    return np.asarray(np.einsum("nx,xz,nz->n", along, grid.values, across, optimize=True))


def _invert_columns(density: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Return the positions (column,) in spacings up to which each column's density, linear between points, comes to its
    probability."""
    pieces = 0.5 * (density[1:] + density[:-1])
    cumulative = np.cumsum(pieces, axis=0)
    target = probabilities * cumulative[-1]
    cell: IntArray = np.minimum((cumulative < target).sum(axis=0), len(pieces) - 1)
    columns = np.arange(len(cell))
    below = cumulative[cell, columns] - pieces[cell, columns]
    left, right, area = density[cell, columns], density[cell + 1, columns], np.maximum(target - below, 0.0)
    root = np.sqrt(np.maximum(left**2 + 2.0 * (right - left) * area, 0.0))
    return np.asarray(cell + np.minimum(2.0 * area / np.maximum(left + root, 1e-300), 1.0))

"""One grid of linear predictors on which log densities of nested units are kept, smoothed by a normal population, and
interpolated.

    t = centre + spacing sinh(bend w) / bend,  w = -half, ..., half,

dense where likelihoods have their peaks and wide where only populations reach. Log densities are smooth and nearly
quadratic, so that six points interpolate them far better than the densities themselves, and to the same relative
accuracy far out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from partialpool.inference.quadrature.located import log_sum
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.hermite import hermite_rule

# Population sds, in spacings, from which the trapezoid rule resolves the population's density; narrower ones have a
# Gauss-Hermite rule, of as many points as stand by the next of these.
_RESOLVED = 1.1
_NARROW_ORDERS = ((0.0, 3), (0.1, 5), (0.25, 7))
# Log densities below their peak are not told apart beyond this.
_FLOOR = -650.0
# The coefficients of the polynomial through values at -2, ..., 3, by rising powers.
_POINTS = np.arange(-2.0, 4.0)
_COEFFICIENTS = np.linalg.inv(np.vander(_POINTS, increasing=True))


class ValueGrid(NamedTuple):
    """The grid's ``centre``, ``spacing`` there, ``bend`` and ``half``, and the spacing ``core`` where likelihoods have
    their peaks."""

    centre: float
    spacing: float
    bend: float
    half: int
    core: float

    @property
    def n_points(self) -> int:
        """How many points there are."""
        return 2 * self.half + 1

    @property
    def points(self) -> FloatArray:
        """The linear predictors (point,)."""
        w = np.arange(-self.half, self.half + 1, dtype=np.float64)
        return np.asarray(self.centre + self.spacing * np.sinh(self.bend * w) / self.bend)

    @property
    def spacings(self) -> FloatArray:
        """dt / dw (point,)."""
        w = np.arange(-self.half, self.half + 1, dtype=np.float64)
        return np.asarray(self.spacing * np.cosh(self.bend * w))

    @property
    def thinned(self) -> ValueGrid:
        """The grid of every second point, from the centre to both ends."""
        return ValueGrid(self.centre, 2.0 * self.spacing, 2.0 * self.bend, -(-self.half // 2), 2.0 * self.core)

    def place(self, t: FloatArray) -> FloatArray:
        """Return the positions of linear predictors among the points, those beyond the ends at these."""
        w = np.arcsinh((t - self.centre) * (self.bend / self.spacing)) / self.bend
        return np.clip(w + self.half, 0.0, 2.0 * self.half)


def lay_grid(peaks: FloatArray, sd: float, per_sd: float, reach: float) -> ValueGrid:
    """Return the grid of ``per_sd`` points an ``sd`` where likelihoods of some ``peaks`` are as narrow as that, and
    that ends ``reach`` beyond them."""
    low, high = float(peaks.min()) - 4.0 * sd, float(peaks.max()) + 4.0 * sd
    core = sd / per_sd
    # spacings grow by half from the centre to the core's ends: cosh(bend w) = 1.5
    spacing, half_core = core / 1.5, 0.5 * (high - low)
    bend = spacing * float(np.sinh(np.arccosh(1.5))) / half_core
    last = np.arcsinh((half_core + reach) * bend / spacing) / bend
    return ValueGrid(0.5 * (low + high), spacing, bend, int(np.ceil(last)), core)


def interpolate(logs: FloatArray, places: FloatArray) -> FloatArray:
    """Return log densities between the points of the grid: (node, unit, place) from ``logs`` (node or one, unit, point)
    at the ``places`` (node, place).

    Places that all units share are a matrix, six entries a column: a product with it is many times faster than
    gathering numbers unit by unit.
    """
    n_nodes, n_places = places.shape
    first, fraction = _split(places, logs.shape[-1])
    matrix = np.zeros((n_nodes, logs.shape[-1], n_places))
    flat = matrix.reshape(-1)
    index = (np.arange(n_nodes, dtype=np.intp)[:, None] * logs.shape[-1] + first) * n_places
    index += np.arange(n_places, dtype=np.intp)
    for k, weight in enumerate(_weights(fraction)):
        flat[index + k * n_places] = weight
    return np.asarray(logs @ matrix)


def read_between(grid: ValueGrid, logs: FloatArray, t: FloatArray) -> FloatArray:
    """Return log densities at one value ``t`` (..., unit, node) of each of the ``logs`` (unit, node, point)."""
    first, fraction = _split(grid.place(t), logs.shape[-1])
    index, (lowest, *others) = _starts(logs) + first, _divided_differences(logs)
    total, factor = lowest[index], np.empty(t.shape)
    for differences, point in zip(others, _POINTS[4::-1], strict=True):
        np.subtract(fraction, point, out=factor)
        total *= factor
        total += differences[index]
    return np.asarray(total)


def differentiate(grid: ValueGrid, logs: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return log densities and their first two derivatives at one value ``t`` (..., unit, node) of each of the
    ``logs`` (unit, node, point)."""
    places = grid.place(t)
    first, fraction = _split(places, logs.shape[-1])
    index, flat = _starts(logs) + first, np.ascontiguousarray(logs).reshape(-1)
    around = np.stack([flat[index + k] for k in range(6)])
    by_power = np.einsum("pk,k...->p...", _COEFFICIENTS, around)
    value, slope, second = by_power[5], np.zeros_like(t), np.zeros_like(t)
    for coefficient in by_power[4::-1]:
        second, slope, value = second * fraction + 2.0 * slope, slope * fraction + value, value * fraction + coefficient
    w = places - grid.half
    rate = grid.spacing * np.cosh(grid.bend * w)
    bent = grid.spacing * grid.bend * np.sinh(grid.bend * w)
    by_t = slope / rate
    return value, by_t, (second - bent * by_t) / (rate * rate)


def _divided_differences(logs: FloatArray) -> list[FloatArray]:
    """Return the coefficients of Newton's form of the polynomial through six values in a row, of the fifth order first,
    (value,) each: two multiplications a coefficient where the values' weights take many."""
    found = [np.ascontiguousarray(logs).reshape(-1)]
    for order in range(1, len(_POINTS)):
        found.append(np.append(np.diff(found[-1]) / order, 0.0))
    return found[::-1]


def _split(places: FloatArray, n_points: int) -> tuple[IntArray, FloatArray]:
    """Return the first of the six points around each place, and how far it lies beyond the third, in points."""
    first = np.clip(places.astype(np.intp) - 2, 0, n_points - 6)
    return first, places - first - 2.0


def _starts(logs: FloatArray) -> IntArray:
    """Return where the points of each density begin in all of them, one after another."""
    return np.asarray(np.arange(logs[..., 0].size, dtype=np.intp).reshape(logs.shape[:-1]) * logs.shape[-1])


def _weights(f: FloatArray) -> list[FloatArray]:
    """Return what the six values around count for at a fraction between the third and the fourth."""
    a, b, d, e, g = f + 2.0, f + 1.0, f - 1.0, f - 2.0, f - 3.0
    ab, de = a * b, d * e
    low, high = ab * f, de * g
    middle = f * high
    return [
        b * middle / -120.0,
        a * middle / 24.0,
        ab * high / -12.0,
        low * (e * g) / 12.0,
        low * (d * g) / -24.0,
        low * de / 120.0,
    ]


def smooth(grid: ValueGrid, logs: FloatArray, sds: FloatArray) -> FloatArray:
    """Return the logs of densities (node, unit, point) of a sum from those of one part, the other normal with mean 0
    and an sd of its own at each node: what is known of a unit's value says of the value that it deviates from.

    ``logs`` that are the same at all nodes have one."""
    result = np.empty((len(sds), *logs.shape[1:]))
    for nodes, order in _by_rule(grid, sds):
        sd, part = sds[nodes, None, None], logs if len(logs) == 1 else logs[nodes]
        if not order:
            kernel = np.swapaxes(_kernel(grid.points[:, None], grid.points, sd), -1, -2)
            peak = part.max(axis=-1, keepdims=True)
            found = (np.exp(part - peak) * grid.spacings) @ kernel
            result[nodes] = peak + np.log(found / (grid.spacings @ kernel)[:, None])
        else:
            t = grid.points + sd * hermite_rule(order).points[0][:, None]  # (node, point of the rule, point)
            places = grid.place(t).reshape(len(nodes), -1)
            found = interpolate(part, places).reshape(len(nodes), logs.shape[1], *t.shape[1:])
            result[nodes] = log_sum(found + _rule_logs(order)[:, None], axis=-2)
    return floor_below_peak(result)


def integrate_at(grid: ValueGrid, logs: FloatArray, sds: FloatArray, means: FloatArray) -> FloatArray:
    """Return the logs (node, unit) of the integrals of densities (node, unit, point) over a normal population of each
    node's ``means`` and ``sds``."""
    result = np.empty(logs.shape[:2])
    for nodes, order in _by_rule(grid, sds):
        mean, sd = means[nodes, None, None], sds[nodes, None, None]
        if not order:
            kernel = _kernel(mean, grid.points, sd) * grid.spacings
            result[nodes] = log_sum(logs[nodes] + np.log(kernel / kernel.sum(axis=-1, keepdims=True)))
        else:
            places = grid.place(means[nodes, None] + sds[nodes, None] * hermite_rule(order).points[0])
            result[nodes] = log_sum(interpolate(logs[nodes], places) + _rule_logs(order))
    return result


def _by_rule(grid: ValueGrid, sds: FloatArray) -> Iterator[tuple[IntArray, int]]:
    """Yield nodes with the order of the rule that their ``sds`` take, 0 where the grid resolves them."""
    starts = grid.core * np.array([*(start for start, _ in _NARROW_ORDERS), _RESOLVED])
    which = np.searchsorted(starts, sds, side="right") - 1
    for k, order in enumerate([*(order for _, order in _NARROW_ORDERS), 0]):
        nodes = np.flatnonzero(which == k)
        if len(nodes):
            yield nodes, order


def floor_below_peak(logs: FloatArray) -> FloatArray:
    """Return log densities that can be interpolated: none further below its peak than counts."""
    peak = logs.max(axis=-1, keepdims=True)
    return np.where(logs > peak + _FLOOR, logs, peak + _FLOOR)


def _kernel(means: FloatArray, points: FloatArray, sd: FloatArray) -> FloatArray:
    """Return normal densities (node, mean, point) but for a factor. Divided by their sums about each mean they add to
    one: beyond the ends of a grid, and where it does not resolve them, what they weigh is taken to be level."""
    distances = (points - means) ** 2
    kernel = distances * (-0.5 / (sd * sd))
    return np.asarray(np.exp(kernel, out=kernel))


def _rule_logs(order: int) -> FloatArray:
    """Return the log weights of the standard normal rule."""
    rule = hermite_rule(order)
    logs = rule.log_weights - 0.5 * rule.points[0] ** 2
    return np.asarray(logs - np.log(np.exp(logs).sum()))

"""Where one-dimensional integrands of any shape carry their mass, and grids laid over it.

The integrand of a group is its likelihood times a population's density. A coarse scan over the population's window
finds the peak, zooming finds its width, and the scan where the integrand has died away. The grid is

    t = centre + scale sinh(stretch w) / stretch,  w = -n, ..., n,

dense about the peak and wide in the tails; the trapezoid rule in w then converges faster than any power of 1/n
(Trefethen and Weideman 2014, SIAM Review 56:385-458).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray

#: Log integrand (class, node, point) at some nodes (node,), at values of t of that shape.
LogIntegrand = Callable[[FloatArray, IntArray], FloatArray]

# Log of the integrand below its peak at which it counts as dead.
LOG_DROP = 36.0
_SCAN_POINTS = 41
# A group whose likelihood pulls it out of the population's window has it widened this often, threefold each time.
_MOST_WIDENINGS = 12
_ZOOM_POINTS = 9
_MOST_ZOOMS = 40
# Zooming ends where the neighbours of the peak are this near to it.
_RESOLVED = 0.5
# Spacing at the peak, in units of the curvature's sd, and sds that the grid reaches where the scan saw only the peak.
_CORE, _PEAK_REACH = 0.35, 14.0


class Window(NamedTuple):
    """The grid's ``centre``, ``scale`` and ``stretch``, each (class, node), for w from -half to half."""

    centre: FloatArray
    scale: FloatArray
    stretch: FloatArray

    def values(self, w: FloatArray) -> FloatArray:
        """Return t (class, node, point)."""
        bend = self.stretch[..., None]
        safe = np.where(bend > 0.0, bend, 1.0)
        bent = np.where(bend > 0.0, np.sinh(safe * w) / safe, w)
        return np.asarray(self.centre[..., None] + self.scale[..., None] * bent)

    def log_spacing(self, w: FloatArray) -> FloatArray:
        """Return log dt/dw (class, node, point)."""
        return np.asarray(np.log(self.scale)[..., None] + np.log(np.cosh(self.stretch[..., None] * w)))


def place_windows(
    integrand: LogIntegrand, centre: FloatArray, width: FloatArray, reach: FloatArray, half: int
) -> Window:
    """Place the grid of 2 ``half`` + 1 points of every class and node.

    ``centre``, ``width`` (of the core) and ``reach`` (from the centre), each (class, node) or broadcasting with it,
    describe the population's window.
    """
    last = _SCAN_POINTS - 1
    t, logs = _scan(integrand, centre, width, reach)
    peak = np.argmax(logs, axis=-1)
    low, high = _take(t, np.maximum(peak - 1, 0)), _take(t, np.minimum(peak + 1, last))
    location, sd, top = _zoom(integrand, low, high)
    alive = logs > top[..., None] - LOG_DROP
    first = np.where(alive.any(axis=-1), np.argmax(alive, axis=-1), peak)
    final = np.where(alive.any(axis=-1), last - np.argmax(alive[..., ::-1], axis=-1), peak)
    below = location - _take(t, np.maximum(first - 1, 0))
    above = _take(t, np.minimum(final + 1, last)) - location
    only_peak = (first >= peak - 1) & (final <= peak + 1)
    wide = np.maximum(below, above)
    reached = np.where(only_peak, np.minimum(_PEAK_REACH * sd, wide), wide)
    reached = np.maximum(reached, 4.0 * _CORE * sd)
    return _lay(location, _CORE * sd, reached, half)


def _scan(
    integrand: LogIntegrand, centre: FloatArray, width: FloatArray, reach: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return values of t (class, node, point) that hold each integrand's mass, and its log there.

    Nodes whose windows are wide enough are left alone while others, often a few under heavy tails, are widened.
    """
    half = _SCAN_POINTS // 2
    steps = np.arange(-half, half + 1, dtype=np.float64)
    all_t, all_logs = (np.empty((*centre.shape, _SCAN_POINTS)) for _ in range(2))
    nodes = np.arange(centre.shape[1], dtype=np.intp)
    for _ in range(_MOST_WIDENINGS):
        t = _lay(centre[:, nodes], width[:, nodes] / 6.0, reach, half).values(steps)
        logs = _finite(integrand(t, nodes))
        all_t[:, nodes], all_logs[:, nodes] = t, logs
        peak = np.argmax(logs, axis=-1)
        at_end = (peak == 0) | (peak == _SCAN_POINTS - 1)
        at_end |= np.maximum(logs[..., 0], logs[..., -1]) > logs.max(axis=-1) - LOG_DROP
        wider = at_end.any(axis=0)
        if not wider.any():
            break
        reach, nodes = np.where(at_end, 3.0 * reach, reach)[:, wider], nodes[wider]
    return all_t, all_logs


def _lay(centre: FloatArray, spacing: FloatArray, reach: FloatArray, half: int) -> Window:
    """Return the grid with ``spacing`` at the centre, or less, that ends at ``reach``."""
    centre, spacing, reach = np.broadcast_arrays(centre, spacing, reach)
    ratio = reach / (half * spacing)
    bends = np.linspace(1e-3, 20.0, 4000)
    # sinh(x) / x for x = stretch times half, inverted by a table in logs
    logs = bends + np.log1p(-np.exp(-2.0 * bends)) - np.log(2.0 * bends)
    x = np.interp(np.log(np.maximum(ratio, 1.0)), logs, bends)
    stretch = np.where(ratio > 1.001, x / half, 0.0)
    scale = np.where(ratio > 1.001, spacing, reach / half)
    return Window(np.array(centre), scale, stretch)


def _zoom(integrand: LogIntegrand, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the peak between ``low`` and ``high``, the curvature's sd there, and the log integrand."""
    fractions = np.linspace(0.0, 1.0, _ZOOM_POINTS)
    seen = np.empty((5, *low.shape))
    nodes = np.arange(low.shape[1], dtype=np.intp)
    for _ in range(_MOST_ZOOMS):
        t = low[..., None] + (high - low)[..., None] * fractions
        logs = _finite(integrand(t, nodes))
        best = np.clip(np.argmax(logs, axis=-1), 1, _ZOOM_POINTS - 2)
        left, middle, right = _take(logs, best - 1), _take(logs, best), _take(logs, best + 1)
        location = _take(t, best)
        spacing = (high - low) / (_ZOOM_POINTS - 1)
        seen[:, :, nodes] = left, middle, right, location, spacing
        resolved = (np.minimum(left, right) > middle - _RESOLVED) | (spacing <= 1e-13 * np.abs(location))
        closer = ~resolved.all(axis=0)
        if not closer.any():
            break
        low = np.where(resolved, low, location - spacing)[:, closer]
        high = np.where(resolved, high, location + spacing)[:, closer]
        nodes = nodes[closer]
    left, middle, right, location, spacing = seen
    curvature = (2.0 * middle - left - right) / spacing**2
    slope = (right - left) / (2.0 * spacing)
    # at an edge, or where it is flat, the slope and the interval say how wide it is
    floor = np.maximum(np.abs(slope), 0.25 / np.maximum((_ZOOM_POINTS - 1) * spacing, 1e-300)) ** 2
    sd = np.maximum(np.where(curvature > floor, curvature, floor), 1e-300) ** -0.5
    return location, sd, np.maximum(np.maximum(left, middle), right)


def _take(values: FloatArray, index: IntArray) -> FloatArray:
    return np.take_along_axis(values, index[..., None], axis=-1)[..., 0]


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.isnan(values), -np.inf, np.maximum(values, -1e300))

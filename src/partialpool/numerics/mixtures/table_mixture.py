"""Mixtures over nodes of densities tabulated on grids: moments and quantiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from partialpool.numerics.arrays import FloatArray

_MOST_STEPS = 80
# Steps end when the cumulative probability is this near to the one asked for.
_NEAR = 1e-7
# Values whose squares are not formed.
_LARGE = 1e100


def table_moments(weights: FloatArray, density: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and sd (item,) of mixtures; ``weights`` (node,) or (item, node), ``density`` and ``values``
    (item, node, point). Both are infinite where a value is that has a density."""
    weights = np.broadcast_to(weights, density.shape[:2])
    values = np.where(density > 0.0, values, 0.0)  # infinite far out under a log link
    endless = np.asarray(np.isinf(values).any(axis=(1, 2)))
    values = np.where(endless[:, None, None], 0.0, values)
    # squares of what an exponential link makes of a far tail overflow: in units of the largest they do not
    unit = np.maximum(np.max(np.abs(values), axis=(1, 2)), 1e-300)
    values = values / unit[:, None, None] if np.max(unit) > _LARGE else values
    given = np.sum(density * values, axis=-1)
    mean = np.sum(weights * given, axis=-1)
    left = values - mean[:, None, None]
    within = np.sum(density * left * left, axis=-1)
    sd = np.sqrt(np.sum(weights * within, axis=-1))
    if np.max(unit) > _LARGE:
        mean, sd = mean * unit, sd * unit
    return np.where(endless, np.inf, mean), np.where(endless, np.inf, sd)


def table_quantiles(
    weights: FloatArray,
    z: FloatArray,
    centre: FloatArray,
    scale: FloatArray,
    density: FloatArray,
    probabilities: FloatArray,
    stretch: FloatArray | None = None,
) -> FloatArray:
    """Return quantiles (item, probability) of mixtures over nodes.

    An item's number given a node is centre + scale sinh(stretch z) / stretch with ``density`` (item, node, point) over
    ``z``. The cumulative probability is the trapezoid rule's with the Euler-Maclaurin correction, between grid points a
    cubic; the mixture's is inverted by a safeguarded secant. Where ``z`` is one point the numbers are single values.
    """
    weights = np.broadcast_to(weights, centre.shape)
    if len(z) == 1:
        return _step_quantiles(weights, centre, probabilities)
    cumulative = _accumulate(density)
    scale = np.where(np.abs(scale) > 1e-300, scale, 1e-300)
    low, high = _ends(z, centre, scale, stretch, weights)

    def cumulative_at(values: FloatArray) -> tuple[FloatArray, FloatArray]:
        where = (values[:, None] - centre) / scale
        slope = 1.0 / scale
        if stretch is not None:
            bend = np.where(stretch > 0.0, stretch, 1.0)
            slope = np.where(stretch > 0.0, slope / np.sqrt(1.0 + (stretch * where) ** 2), slope)
            where = np.where(stretch > 0.0, np.arcsinh(stretch * where) / bend, where)
        found, rate = _interpolate(where, z, cumulative, density)
        return np.sum(weights * found, axis=1), np.sum(weights * rate * slope, axis=1)

    mean, sd = table_moments(weights, density, _values_at(z, centre, scale, stretch))
    result = np.empty((len(centre), len(probabilities)))
    for k, probability in enumerate(probabilities):
        # a normal's quantile to one digit is a start
        start = mean + sd * 0.55 * np.log(probability / (1.0 - probability))
        result[:, k] = _invert(cumulative_at, probability, start, low, high)
    return result


def _step_quantiles(weights: FloatArray, values: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Return the least of the ``values`` (item, value) up to which ``weights`` come to each probability."""
    order = np.argsort(values, axis=1)
    cumulative = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    reached = cumulative[:, None] < probabilities[:, None] * cumulative[:, None, -1:] * (1.0 - _NEAR)
    place = np.minimum(reached.sum(axis=-1), values.shape[1] - 1)
    return np.take_along_axis(ordered, place, axis=1)


def _values_at(z: FloatArray, centre: FloatArray, scale: FloatArray, stretch: FloatArray | None) -> FloatArray:
    if stretch is None:
        return centre[..., None] + scale[..., None] * z
    bend = np.where(stretch > 0.0, stretch, 1.0)[..., None]
    return np.asarray(
        centre[..., None] + scale[..., None] * np.where(stretch[..., None] > 0.0, np.sinh(bend * z) / bend, z)
    )


def _accumulate(density: FloatArray) -> FloatArray:
    """Return the cumulative probability at the points (item, node, point), nondecreasing, 1 at the end."""
    pieces = 0.5 * (density[..., 1:] + density[..., :-1])
    # the next term of the trapezoid rule's error: a twelfth of the difference of slopes
    slope = np.gradient(density, axis=-1)
    pieces -= (slope[..., 1:] - slope[..., :-1]) / 12.0
    cumulative = np.concatenate(
        [np.zeros((*density.shape[:-1], 1)), np.cumsum(np.maximum(pieces, 0.0), axis=-1)], axis=-1
    )
    return np.asarray(cumulative / cumulative[..., -1:])


def _ends(
    z: FloatArray, centre: FloatArray, scale: FloatArray, stretch: FloatArray | None, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return an interval (item,) twice that holds each mixture."""
    ends = _values_at(z[[0, -1]], centre, scale, stretch)
    carried = weights > 0.0
    low = np.where(carried, ends.min(axis=-1), np.inf).min(axis=1)
    high = np.where(carried, ends.max(axis=-1), -np.inf).max(axis=1)
    return low, high


def _interpolate(
    where: FloatArray, z: FloatArray, cumulative: FloatArray, density: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the cumulative probability (item, node) at positions z of the cubic that has the density for its slope,
    and its slope by z."""
    spacing = z[1] - z[0]
    position = np.clip((where - z[0]) / spacing, 0.0, len(z) - 1.0)
    left = np.minimum(position.astype(np.intp), len(z) - 2)
    t = position - left
    base = np.arange(left.size, dtype=np.intp).reshape(left.shape) * len(z) + left
    flat, slopes = cumulative.reshape(-1), density.reshape(-1)
    f0, d0, d1 = flat[base], slopes[base], slopes[base + 1]
    rise = flat[base + 1] - f0
    # slopes beyond three times the rise would overshoot (Fritsch and Carlson 1980)
    d0, d1 = np.minimum(d0, 3.0 * rise), np.minimum(d1, 3.0 * rise)
    second, third = 3.0 * rise - 2.0 * d0 - d1, d0 + d1 - 2.0 * rise
    value = f0 + t * (d0 + t * (second + t * third))
    return value, (d0 + t * (2.0 * second + 3.0 * t * third)) / spacing


def _invert(
    cumulative_at: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    probability: float,
    start: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> FloatArray:
    """Solve cumulative = probability for every item by Newton's method between ends that close in."""
    low, high = low.copy(), high.copy()
    values = np.clip(start, low, high)
    for step in range(_MOST_STEPS):
        found, slope = cumulative_at(values)
        error = found - probability
        if np.max(np.abs(error), initial=0.0) < _NEAR:
            break
        high, low = np.where(error > 0.0, values, high), np.where(error > 0.0, low, values)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = values - error / slope
        inside = (newton > low) & (newton < high) & (step % 4 < 3)
        values = np.where(np.abs(error) < _NEAR, values, np.where(inside, newton, 0.5 * (low + high)))
        if np.all(high - low <= 1e-13 * (np.abs(high) + np.abs(low))):
            break
    return values

"""Groups whose own sigma is unknown: the log integrand in t = log sigma, and where it carries its mass.

A group of n rows with residuals of mean r, squares S about it and total precision A (at sigma = 1), whose effect with
sd tau has been integrated out, and whose t is Normal(m, s), has with e = exp(-2 t) and B = A tau^2

    f(t) = -n t - S e / 2 - log(1 + B e) / 2 - r^2 A e / (2 (1 + B e)) - (t - m)^2 / (2 s^2),

which has one peak, or two where r is far outside the population. Its derivative is

    f'(t) = -(n - k(t)) + S e - (t - m) / s^2,  k(t) = B e / (1 + B e) + r^2 A e / (1 + B e)^2,

and lies between those with a constant k, whose roots are Wright's omega function (Corless and Jeffrey 2002, Springer
LNCS 2385:76-89). Bounds of k between the bounds of the stationary points bring these closer, and beyond them the
integrand falls at a rate that is known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.numerics.arrays import FloatArray

# The log of the integrand below its peak at which it counts as dead: e^-30 of 8 conditional sds.
_DROP = 30.0
# How often bounds of the stationary points are brought closer.
_STEPS = 4
#: An sd of log sigmas below which sigmas are one: relative differences of a millionth.
LEAST_SPREAD = 1e-6
_LOG_2PI = float(np.log(2.0 * np.pi))


class Residuals(NamedTuple):
    """What is left of groups at some nodes: ``counts`` n and ``weights`` A (group, 1), ``means`` r and ``squares`` S
    (group, node), the effects' sd ``effect_sd`` tau, and the ``centre`` m and ``spread`` s of log sigmas, (node,)."""

    counts: FloatArray
    weights: FloatArray
    means: FloatArray
    squares: FloatArray
    effect_sd: FloatArray
    centre: FloatArray
    spread: FloatArray


class LogSigmas(NamedTuple):
    """Points ``t`` (group, node, point) of log sigma at equal ``spacing`` (group, node), the ``log_terms`` of the
    trapezoid rule there, and ``precision`` A e and ``shrinkage`` 1 / (1 + B e) (group, node, point)."""

    t: FloatArray
    spacing: FloatArray
    log_terms: FloatArray
    precision: FloatArray
    shrinkage: FloatArray


def lay_points(left: Residuals, n_points: int) -> LogSigmas:
    """Return ``n_points`` points over each group's window with the logs of the integrand times the spacing."""
    low, high = find_window(left)
    spacing = (high - low) / (n_points - 1)
    t = low[..., None] + spacing[..., None] * np.arange(n_points)
    inverse = np.exp(-2.0 * t)
    precision = left.weights[..., None] * inverse
    shrinkage = 1.0 / (1.0 + precision * (left.effect_sd**2)[:, None])
    away = (t - left.centre[:, None]) / left.spread[:, None]
    squares = left.squares[..., None] * inverse + (left.means**2)[..., None] * precision * shrinkage
    logs = -left.counts[..., None] * t - 0.5 * (squares - np.log(shrinkage) + away * away)
    logs += np.log(spacing)[..., None] - np.log(left.spread)[:, None] - 0.5 * _LOG_2PI
    return LogSigmas(t, spacing, logs, precision, shrinkage)


def find_window(left: Residuals) -> tuple[FloatArray, FloatArray]:
    """Return the ends (group, node) of an interval beyond which the integrand is below e^-30 of its peak."""
    low, high = _bound_stationary(left)
    half = 0.5 / left.spread**2
    below = left.squares * np.exp(-2.0 * low)
    above = left.squares * np.exp(-2.0 * high)
    # S e (exp(2x) - 1 - 2x) / 2 >= S e x^2 below, S e (exp(-2x) - 1 + 2x) / 2 >= S e x^2 / (1 + x) above
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(above > 0.0, _DROP * (1.0 + np.sqrt(1.0 + 4.0 * above / _DROP)) / (2.0 * above), np.inf)
    return low - np.sqrt(_DROP / (below + half)), high + np.minimum(reach, np.sqrt(_DROP / half))


def _bound_stationary(left: Residuals) -> tuple[FloatArray, FloatArray]:
    """Return bounds (group, node) of all points at which the integrand's slope is 0."""
    n, squares, outside = left.counts, left.squares, left.means**2
    variance = left.effect_sd**2
    ratio = left.weights * variance
    with np.errstate(divide="ignore", invalid="ignore"):
        steepest = np.where(outside > 0.0, outside / (4.0 * variance), 0.0)
        at_most = 0.5 * np.log(ratio)  # where the second part of k is largest
    low = _find_root(left, n, squares)
    high = _find_root(left, n - 1.0, squares + outside * left.weights)
    high = np.minimum(high, _find_root(left, np.maximum(n - 1.0 - steepest, -1e300), squares))
    for _ in range(_STEPS):
        inverse = np.exp(-2.0 * np.maximum(at_most, low))
        second = outside * left.weights * inverse / (1.0 + ratio * inverse) ** 2
        least, most = (_first_part(ratio, end) for end in (high, low))
        low = _find_root(left, n - least, squares)
        high = np.minimum(high, _find_root(left, n - most - second, squares))
    return low, np.maximum(high, low)


def _first_part(ratio: FloatArray, t: FloatArray) -> FloatArray:
    return np.asarray(1.0 - 1.0 / (1.0 + ratio * np.exp(-2.0 * t)))


def _find_root(left: Residuals, freedom: FloatArray, squares: FloatArray) -> FloatArray:
    """Solve -freedom + squares exp(-2 t) - (t - m) / s^2 = 0."""
    from scipy.special import wrightomega

    variance = left.spread**2
    start = left.centre - variance * freedom
    with np.errstate(divide="ignore"):
        return np.asarray(start + 0.5 * wrightomega(np.log(2.0 * variance * squares) - 2.0 * start))

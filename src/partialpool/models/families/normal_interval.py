"""Probabilities of the standard normal in an interval, with its moments there, stable however far out or narrow.

With M1 = (phi(b) - phi(a)) / P and M2 = (b phi(b) - a phi(a)) / P, the mean in the interval is -M1 and its variance
1 - M2 - M1^2 (Johnson, Kotz and Balakrishnan 1994, 13.10.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from partialpool.models.families.normal_tails import hazard, mills_ratio
from partialpool.numerics.arrays import FloatArray

_LOG_ROOT_TWO_PI = 0.5 * np.log(2.0 * np.pi)
# Where an infinite end is put at least: nothing is left of the density there.
_FAR = 1e10
# From here out the interval's variance is that of a truncated exponential distribution, to 1e-10.
_EXPONENTIAL = 1e3
# The density is e-fold at most over intervals that quadrature takes, so that 8 points reach rounding.
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(8)


class IntervalMoments(NamedTuple):
    """``log_p`` = log P; ``slope`` = M1; ``scale_slope`` = M2; ``curvature`` = M2 + M1^2, one less the variance."""

    log_p: FloatArray
    slope: FloatArray
    scale_slope: FloatArray
    curvature: FloatArray


def normal_interval(a: FloatArray, b: FloatArray, width: FloatArray) -> IntervalMoments:
    """Return log(Phi(b) - Phi(a)) and its moments for a < b, either may be infinite; ``width`` is b - a, passed because
    it may be known better than they are."""
    a, b, width, flipped = _orient(a, b, width)
    results = np.empty((4, *a.shape))
    for where, compute in zip(_split(a, b, width), (_narrow, _tail, _straddling), strict=True):
        if where.any():
            results[:, where] = compute(a[where], b[where], width[where])
    results[1] *= np.where(flipped, -1.0, 1.0)
    return IntervalMoments(*results)


def log_normal_interval(a: FloatArray, b: FloatArray, width: FloatArray) -> FloatArray:
    """Return log(Phi(b) - Phi(a)) alone."""
    a, b, width, _ = _orient(a, b, width)
    result = np.empty(a.shape)
    computed: tuple[Callable[..., FloatArray], ...] = (_log_narrow, _log_tail, _log_straddling)
    for where, compute in zip(_split(a, b, width), computed, strict=True):
        if where.any():
            result[where] = compute(a[where], b[where], width[where])
    return result


def normal_tail(z: FloatArray, side: FloatArray) -> IntervalMoments:
    """Return log Phi(z) and its moments: of the interval below z where ``side`` is 1, above -z where it is -1."""
    near = np.clip(z, -_FAR, _FAR)
    rate, slope = hazard(-near)
    return IntervalMoments(log_normal_tail(z), side * rate, near * rate, slope)


def log_normal_tail(z: FloatArray) -> FloatArray:
    """Return log Phi(z) alone."""
    return np.asarray(log_ndtr(z))


def _orient(
    a: FloatArray, b: FloatArray, width: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return finite ends, mirrored so that the middle is not negative, and where they were mirrored."""
    a, b, width = np.broadcast_arrays(a, b, width)
    a = np.where(np.isneginf(a), -_FAR - 2.0 * np.abs(np.where(np.isinf(b), 0.0, b)), a)
    b = np.where(np.isposinf(b), _FAR + 2.0 * np.abs(a), b)
    width = np.where(np.isinf(width), b - a, width)
    flipped = a + b < 0.0
    return np.where(flipped, -b, a), np.where(flipped, -a, b), width, flipped


def _split(a: FloatArray, b: FloatArray, width: FloatArray) -> tuple[NDArray[np.bool_], ...]:
    narrow = width * b <= 1.0
    tail = ~narrow & (a >= 0.0)
    return narrow, tail, ~narrow & ~tail


def _log_phi(z: FloatArray) -> FloatArray:
    return np.asarray(-0.5 * z * z - _LOG_ROOT_TWO_PI)


def _quadrature(a: FloatArray, width: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return distances from a (element, point) and the density there over phi(a), times weights."""
    steps = 0.5 * width[:, None] * (1.0 + _POINTS)
    return steps, 0.5 * _WEIGHTS * np.exp(-steps * (a[:, None] + 0.5 * steps))


def _log_narrow(a: FloatArray, b: FloatArray, width: FloatArray) -> FloatArray:
    return np.asarray(_log_phi(a) + np.log(width * _quadrature(a, width)[1].sum(axis=1)))


def _narrow(a: FloatArray, b: FloatArray, width: FloatArray) -> tuple[FloatArray, ...]:
    steps, weights = _quadrature(a, width)
    total = weights.sum(axis=1)
    mean = (weights * steps).sum(axis=1) / total
    variance = (weights * (steps - mean[:, None]) ** 2).sum(axis=1) / total
    slope = -(a + mean)
    return _log_phi(a) + np.log(width * total), slope, 1.0 - variance - slope**2, 1.0 - variance


def _tail_mass(a: FloatArray, b: FloatArray, width: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return P / phi(a), and log(phi(b) / phi(a))."""
    drop = -0.5 * width * (a + b)
    return mills_ratio(a) - np.exp(drop) * mills_ratio(b), drop


def _log_tail(a: FloatArray, b: FloatArray, width: FloatArray) -> FloatArray:
    return _log_phi(a) + np.log(_tail_mass(a, b, width)[0])


def _tail(a: FloatArray, b: FloatArray, width: FloatArray) -> tuple[FloatArray, ...]:
    mass, drop = _tail_mass(a, b, width)
    slope, scale_slope = np.expm1(drop) / mass, (b * np.exp(drop) - a) / mass
    length = np.minimum(a * width, 700.0)
    far = np.maximum(a, _EXPONENTIAL)
    exponential = 1.0 - (1.0 - length**2 * np.exp(-length) / np.expm1(-np.maximum(length, 0.1)) ** 2) / far**2
    curvature = np.where(a > _EXPONENTIAL, exponential, scale_slope + slope**2)
    return _log_phi(a) + np.log(mass), slope, scale_slope, curvature


def _log_straddling(a: FloatArray, b: FloatArray, width: FloatArray) -> FloatArray:
    return np.asarray(np.log1p(-(ndtr(a) + ndtr(-b))))


def _straddling(a: FloatArray, b: FloatArray, width: FloatArray) -> tuple[FloatArray, ...]:
    log_p = _log_straddling(a, b, width)
    at_a, at_b = np.exp(_log_phi(a) - log_p), np.exp(_log_phi(b) - log_p)
    slope, scale_slope = at_b - at_a, b * at_b - a * at_a
    return log_p, slope, scale_slope, scale_slope + slope**2

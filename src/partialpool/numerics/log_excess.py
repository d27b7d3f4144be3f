"""Logarithms less their linear terms, without cancellation near one."""

from __future__ import annotations

import numpy as np

from partialpool.numerics.arrays import FloatArray

# |t| up to which the series is used, and its coefficients 2 / (2 j + 3): there r^2 < 0.032, so what is left out is
# below 2e-16 of the whole.
_NEAR = 0.3
_SERIES = tuple(2.0 / (2 * j + 3) for j in range(10))


def log1p_less(t: FloatArray) -> FloatArray:
    """Return log(1 + t) - t for t > -1, accurate relative to itself.

    With r = t / (2 + t), log(1 + t) = 2 artanh r and 2 r - t = -r t, so what is left is a series in r^2.
    """
    t = np.asarray(t, dtype=np.float64)
    near = np.clip(t, -_NEAR, _NEAR)
    ratio = near / (2.0 + near)
    square = ratio * ratio
    tail = np.full_like(square, _SERIES[-1])
    for coefficient in _SERIES[-2::-1]:
        tail *= square
        tail += coefficient
    series = ratio * (square * tail - near)
    far = np.abs(t) > _NEAR
    if far.any():
        series = np.where(far, np.log1p(t) - t, series)
    return np.asarray(series)


def log_ratio_less(top: FloatArray, bottom: FloatArray, difference: FloatArray) -> FloatArray:
    """Return log(top / bottom) - (top / bottom - 1) for positive ``top`` and ``bottom``, whose ``difference`` is
    passed because it may be known better than they are."""
    t = difference / bottom
    close = np.asarray(log1p_less(np.clip(t, -_NEAR, _NEAR)))
    far = np.abs(t) > _NEAR
    if far.any():
        close = np.where(far, np.log(top) - np.log(bottom) - t, close)
    return close

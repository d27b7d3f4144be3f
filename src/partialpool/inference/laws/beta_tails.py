"""Tails of beta distributions for many shapes at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincc, expit

from partialpool.numerics.arrays import FloatArray

# With both shapes above this, Gauss-Legendre's rule with so many points is right to 1e-11 of the larger tail.
_LARGE = 3.0
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(32)
# The log density this far below its peak ends what is integrated.
_DROP = 36.0
_TILE = 2**13
# Where p and (a + b) p are below these, the series from 0 needs few terms; a tail below the third is not found from its
# complement.
_NEAR, _FEW, _CANCELS, _MOST_TERMS = 0.1, 12.0, 1e-7, 80


def beta_tail(a: FloatArray, b: FloatArray, t: FloatArray, lower: bool, log_peak: FloatArray) -> FloatArray:
    """Return the probability (node, item) that logit p of shapes ``a``, ``b`` (node, item) is below t (item,), or
    above; ``log_peak`` is the log density of logit p at its mode.

    scipy's incomplete beta function takes several times as long as an integral over the density or a series from 0,
    and is left what both leave.
    """
    wide = np.broadcast_to(t, a.shape)
    large = (a >= _LARGE) & (b >= _LARGE)
    if large.all():
        flat = _integrate(a.ravel(), b.ravel(), wide.ravel(), lower, log_peak.ravel())
        return flat.reshape(a.shape)
    tail = np.empty(a.shape)
    tail[large] = _integrate(a[large], b[large], wide[large], lower, log_peak[large])
    small = ~large
    tail[small] = _tail_of_small(a[small], b[small], wide[small], lower, log_peak[small])
    return tail


def _tail_of_small(a: FloatArray, b: FloatArray, t: FloatArray, lower: bool, log_peak: FloatArray) -> FloatArray:
    """Mirrored so that the first shape is the smaller, by the series where p is near 0."""
    swap = a > b
    one, other, side = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, -t, t)
    p = expit(side)
    near = (p < _NEAR) & (p * (one + other) < _FEW)
    below = np.empty(len(t))
    for start in range(0, len(t), _TILE):
        part = slice(start, start + _TILE)
        chosen = near[part]
        below[part][chosen] = _series(*(each[part][chosen] for each in (one, other, side, p, log_peak)))
    tail = np.where(swap == lower, 1.0 - below, below)
    rest = ~near | (tail < _CANCELS)
    tail[rest] = _incomplete(a[rest], b[rest], t[rest], lower)
    return tail


def _series(a: FloatArray, b: FloatArray, t: FloatArray, p: FloatArray, log_peak: FloatArray) -> FloatArray:
    """Return the probability below t (Abramowitz and Stegun 1964, 26.5.4): the density there over a, times the sum of
    (a + b) ... (a + b + k - 1) / (a + 1) ... (a + k) p^k."""
    total = a + b
    u = t - np.log(a / b)
    term = np.exp(log_peak - total * np.log1p(np.expm1(u) * (a / total)) + a * u) / a
    value = term.copy()
    for k in range(_MOST_TERMS):
        term *= (total + k) * p / (a + (k + 1.0))
        value += term
        if k % 8 == 7 and np.all(term < 1e-17 * value):
            break
    return value


def _incomplete(a: FloatArray, b: FloatArray, t: FloatArray, lower: bool) -> FloatArray:
    """Incomplete beta functions of the smaller of p and 1 - p."""
    left = t <= 0.0
    one, other, x = np.where(left, a, b), np.where(left, b, a), expit(-np.abs(t))
    tail = np.empty(len(t))
    inwards = left == lower
    tail[inwards] = betainc(one[inwards], other[inwards], x[inwards])
    tail[~inwards] = betaincc(one[~inwards], other[~inwards], x[~inwards])
    return tail


def _integrate(a: FloatArray, b: FloatArray, t: FloatArray, lower: bool, log_peak: FloatArray) -> FloatArray:
    """Integrate from t away from the mode, mirrored so that the first shape is the smaller: there with u = t - mode
    the log density falls by (a + b) log(1 + p0 (e^u - 1)) - a u, which hardly cancels."""
    swap: NDArray[np.bool_] = a > b
    small, large = np.where(swap, b, a), np.where(swap, a, b)
    total = small + large
    u = np.where(swap, -1.0, 1.0) * (t - np.log(a / b))
    right = u > 0.0
    reach = np.sqrt(2.0 * _DROP * total / (small * large)) + 0.65 * _DROP / np.where(right, large, small)
    width = 0.5 * (reach - np.abs(u))
    within = np.flatnonzero(width > 0.0)
    beyond = np.zeros(len(t))
    length = _TILE // len(_POINTS)
    for start in range(0, len(within), length):
        part = within[start : start + length]
        ends = np.where(right[part], width[part], -width[part])
        beyond[part] = _integrate_tile(small[part], total[part], u[part], ends, log_peak[part])
    # what is beyond t is below it left of the mode, and mirrored where shapes were swapped
    return np.where((right == swap) == lower, beyond, 1.0 - beyond)


def _integrate_tile(
    a: FloatArray, total: FloatArray, u: FloatArray, half: FloatArray, log_peak: FloatArray
) -> FloatArray:
    """Integrate the density from u to u + 2 ``half``, at points (point, element)."""
    points = u + half * (1.0 + _POINTS[:, None])
    fall = np.expm1(points)
    fall *= a / total
    np.log1p(fall, out=fall)
    fall *= total
    points *= a
    fall -= points
    np.subtract(log_peak, fall, out=fall)
    np.exp(fall, out=fall)
    return np.asarray(np.abs(half) * (_WEIGHTS @ fall))

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


def beta_tail(a: FloatArray, b: FloatArray, t: FloatArray, lower: bool, log_peak: FloatArray) -> FloatArray:
    """Return the probability (node, item) that logit p of shapes ``a``, ``b`` (node, item) is below t (item,), or
    above; ``log_peak`` is the log density of logit p at its mode.

    An incomplete beta function of large shapes costs several times an integral over the density.
    """
    wide = np.broadcast_to(t, a.shape)
    large = (a >= _LARGE) & (b >= _LARGE)
    if large.all():
        flat = _integrate(a.ravel(), b.ravel(), wide.ravel(), lower, log_peak.ravel())
        return flat.reshape(a.shape)
    tail = np.empty(a.shape)
    tail[large] = _integrate(a[large], b[large], wide[large], lower, log_peak[large])
    small = ~large
    tail[small] = _incomplete(a[small], b[small], wide[small], lower)
    return tail


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
    tail = np.empty(len(t))
    length = _TILE // len(_POINTS)
    for start in range(0, len(t), length):
        part = slice(start, start + length)
        tail[part] = _integrate_tile(a[part], b[part], t[part], lower, log_peak[part])
    return tail


def _integrate_tile(a: FloatArray, b: FloatArray, t: FloatArray, lower: bool, log_peak: FloatArray) -> FloatArray:
    """Integrate from t away from the mode, mirrored so that the first shape is the smaller: there with u = t - mode
    the log density falls by (a + b) log(1 + p0 (e^u - 1)) - a u, which hardly cancels."""
    swap: NDArray[np.bool_] = a > b
    small, large = np.where(swap, b, a), np.where(swap, a, b)
    total = small + large
    u = np.where(swap, -1.0, 1.0) * (t - np.log(a / b))
    reach = np.sqrt(2.0 * _DROP * total / (small * large))
    right = u > 0.0
    end = np.where(right, reach + 0.65 * _DROP / large, -reach - 0.65 * _DROP / small)
    width = 0.5 * (end - u)
    width[right == (width < 0.0)] = 0.0
    points = u + width * (1.0 + _POINTS[:, None])
    fall = np.expm1(points)
    fall *= small / total
    np.log1p(fall, out=fall)
    fall *= total
    points *= small
    fall -= points
    np.subtract(log_peak, fall, out=fall)
    np.exp(fall, out=fall)
    beyond = np.abs(width) * (_WEIGHTS @ fall)
    # what is beyond t is below it left of the mode, and mirrored where shapes were swapped
    return np.asarray(np.where((right == swap) == lower, beyond, 1.0 - beyond))

"""Differences of log gamma, digamma and trigamma over a step, where the functions themselves would cancel.

Above 8 Stirling's series are subtracted term by term (Abramowitz and Stegun 1964, 6.1.40, 6.3.18 and 6.4.12; what is
left out is below 1e-16); below, log gammas are subtracted, and the arguments of the others first raised by 8 with the
recurrences 6.3.5 and 6.4.6. All functions broadcast, take ``a`` from 1e-300 to 1e15 and a real ``k`` from 0 to 1e9, and
are accurate to about 3e-14 of the result, log differences to that of the larger of 1 and the result.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.log_excess import log1p_less

_LIFT = 8
_Below = Callable[[FloatArray, FloatArray], FloatArray]
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_ORDERS = (2, 4, 6, 8, 10, 12, 14, 16)
_LOG_GAMMA = tuple(b / (n * (n - 1)) for b, n in zip(_BERNOULLI, _ORDERS, strict=True))
_DIGAMMA = tuple(b / n for b, n in zip(_BERNOULLI, _ORDERS, strict=True))


def log_rising(a: FloatArray, k: FloatArray) -> FloatArray:
    """Return log Gamma(a + k) - log Gamma(a), the log of the rising factorial a (a + 1) ... (a + k - 1)."""
    a, k = _floats(a, k)
    high = np.maximum(a, _LIFT)
    value = _log_gamma_above(high, k) + k * np.log(high)
    return _replaced(value, _log_below, a, k)


def log_rising_excess(a: FloatArray, k: FloatArray) -> FloatArray:
    """Return log Gamma(a + k) - log Gamma(a) - k log a, which goes to 0 as k (k - 1) / 2 a for large a."""
    a, k = _floats(a, k)
    value = _log_gamma_above(np.maximum(a, _LIFT), k)
    return _replaced(value, lambda low, steps: _log_below(low, steps) - steps * np.log(low), a, k)


def digamma_difference(a: FloatArray, k: FloatArray) -> FloatArray:
    """Return psi(a + k) - psi(a), the derivative of ``log_rising`` by a."""
    a, k = _floats(a, k)
    lifted = _lift(a)
    return _corrected(_digamma_above(lifted, k) + np.log1p(k / lifted), 1.0, _inverse_below, a, k)


def digamma_excess(a: FloatArray, k: FloatArray) -> FloatArray:
    """Return psi(a + k) - psi(a) - log(1 + k / a), which goes to 0 as k / (2 a (a + k)) for large a."""
    a, k = _floats(a, k)
    lifted = _lift(a)
    value = _digamma_above(lifted, k)
    if (a < _LIFT).any():
        value = value + np.where(a < _LIFT, np.log1p(k / lifted) - _log1p_ratio(k, a), 0.0)
    return _corrected(value, 1.0, _inverse_below, a, k)


def trigamma_difference(a: FloatArray, k: FloatArray) -> FloatArray:
    """Return psi'(a + k) - psi'(a), which is not positive; ``a`` from 1e-150."""
    a, k = _floats(a, k)
    lifted = _lift(a)
    end = lifted + k
    inverse, inverse_end = 1.0 / lifted, 1.0 / end
    step = k * inverse * inverse_end
    series = inverse_end**3 * _series(_BERNOULLI, inverse_end) - inverse**3 * _series(_BERNOULLI, inverse)
    value = series - step * (1.0 + 0.5 * (inverse + inverse_end))
    return _corrected(value, -1.0, _inverse_square_below, a, k)


def log_gamma_excess(a: FloatArray) -> FloatArray:
    """Return log Gamma(a) - a log a + a, about log(2 pi / a) / 2 for large a."""
    a = np.asarray(a, dtype=np.float64)
    lifted = _lift(a)
    inverse = 1.0 / lifted
    value = 0.5 * np.log(2.0 * np.pi * inverse) + inverse * _series(_LOG_GAMMA, inverse)
    if (a < _LIFT).any():
        log_gamma = value + lifted * np.log(lifted) - lifted - sum(np.log(a + j) for j in range(_LIFT))
        value = np.where(a < _LIFT, log_gamma - a * np.log(a) + a, value)
    return np.asarray(value)


def digamma_gap(a: FloatArray) -> FloatArray:
    """Return psi(a) - log a, the derivative of ``log_gamma_excess``, about -1 / (2 a) for large a."""
    a = np.asarray(a, dtype=np.float64)
    lifted = _lift(a)
    inverse = 1.0 / lifted
    value = -inverse * (0.5 + inverse * _series(_DIGAMMA, inverse))
    if (a < _LIFT).any():
        below = value + np.log(lifted) - np.log(a) - sum(1.0 / (a + j) for j in range(_LIFT))
        value = np.where(a < _LIFT, below, value)
    return np.asarray(value)


def scaled_trigamma(a: FloatArray) -> FloatArray:
    """Return a^2 psi'(a), which is 1 at 0 and about a + 1 / 2 for large a; ``a`` from 0."""
    a = np.asarray(a, dtype=np.float64)
    lifted = _lift(a)
    inverse = 1.0 / lifted
    series = inverse + 0.5 * inverse**2 + inverse**3 * _series(_BERNOULLI, inverse)
    value = a * a * series
    if (a < _LIFT).any():
        below = 1.0 + sum((a / (a + j)) ** 2 for j in range(1, _LIFT))
        value = value + np.where(a < _LIFT, below, 0.0)
    return np.asarray(value)


def _floats(a: FloatArray, k: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.asarray(a, dtype=np.float64), np.asarray(k, dtype=np.float64)


def _lift(a: FloatArray) -> FloatArray:
    return np.where(a < _LIFT, a + _LIFT, a)


def _series(coefficients: tuple[float, ...], inverse: FloatArray) -> FloatArray:
    """Return the sum of coefficients times 1, x^-2, x^-4, ... at x = 1 / inverse."""
    square = inverse * inverse
    total = np.full_like(square, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total *= square
        total += coefficient
    return total


def _log_gamma_above(a: FloatArray, k: FloatArray) -> FloatArray:
    """Return log Gamma(a + k) - log Gamma(a) - k log a for a >= 8."""
    ratio = k / a
    inverse, inverse_end = 1.0 / a, 1.0 / (a + k)
    series = inverse_end * _series(_LOG_GAMMA, inverse_end) - inverse * _series(_LOG_GAMMA, inverse)
    return np.asarray((k - 0.5) * np.log1p(ratio) + a * log1p_less(ratio) + series)


def _digamma_above(a: FloatArray, k: FloatArray) -> FloatArray:
    """Return psi(a + k) - psi(a) - log(1 + k / a) for a >= 8."""
    inverse, inverse_end = 1.0 / a, 1.0 / (a + k)
    series = inverse**2 * _series(_DIGAMMA, inverse) - inverse_end**2 * _series(_DIGAMMA, inverse_end)
    return np.asarray(0.5 * k * inverse * inverse_end + series)


def _replaced(value: FloatArray, below: _Below, a: FloatArray, k: FloatArray) -> FloatArray:
    """Return ``value``, or ``below(a, k)`` where a is below the lift."""
    low = a < _LIFT
    if not low.any():
        return np.asarray(value)
    if low.all():
        return np.asarray(below(a, k))
    low, wide_a, wide_k = np.broadcast_arrays(low, a, k)
    value = np.array(np.broadcast_to(value, low.shape))
    value[low] = below(wide_a[low], wide_k[low])
    return value


def _corrected(value: FloatArray, sign: float, below: _Below, a: FloatArray, k: FloatArray) -> FloatArray:
    """Return ``value``, with ``sign`` times ``below(a, k)`` added where a is below the lift."""
    low = a < _LIFT
    if not low.any():
        return np.asarray(value)
    low, wide_a, wide_k = np.broadcast_arrays(low, a, k)
    value = np.array(np.broadcast_to(value, low.shape))
    value[low] += sign * below(wide_a[low], wide_k[low])
    return value


def _log1p_ratio(k: FloatArray, a: FloatArray) -> FloatArray:
    """Return log(1 + k / a) though k / a may overflow."""
    return np.where(k > a, np.log(a + k) - np.log(a), np.log1p(np.minimum(k, a) / a))


def _log_below(a: FloatArray, k: FloatArray) -> FloatArray:
    """Return log Gamma(a + k) - log Gamma(a) where neither is large beside 1 and the difference."""
    from scipy.special import gammaln

    return np.asarray(gammaln(a + k) - gammaln(a))


def _inverse_below(a: FloatArray, k: FloatArray) -> FloatArray:
    """Return the sum over j < 8 of 1 / (a + j) - 1 / (a + k + j)."""
    total = k / (a + k) / a
    for j in range(1, _LIFT):
        total = total + k / ((a + j) * (a + k + j))
    return np.asarray(total)


def _inverse_square_below(a: FloatArray, k: FloatArray) -> FloatArray:
    """Return the sum over j < 8 of 1 / (a + j)^2 - 1 / (a + k + j)^2."""
    total = np.zeros(np.broadcast_shapes(a.shape, k.shape))
    for j in range(_LIFT):
        start, end = a + j, a + k + j
        total = total + k / end / start * (1.0 / start + 1.0 / end)
    return total

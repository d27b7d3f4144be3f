"""Normalising constants of gamma, beta and t densities that neither cancel nor overflow."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import digamma, gammaln

from partialpool.numerics.arrays import FloatArray

_FAR = 16.0
_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
_LOG_GAMMA = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760)


def stirling_error(x: FloatArray) -> FloatArray:
    """Return log Gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2 for x > 0 (Loader 2000; from 16 on by the series of
    Abramowitz and Stegun 1964, 6.1.41)."""
    x = np.asarray(x, dtype=np.float64)
    near, far = np.minimum(x, _FAR), np.maximum(x, _FAR)
    plain = gammaln(near) - (near - 0.5) * np.log(near) + near - _HALF_LOG_TWO_PI
    return np.where(x < _FAR, plain, _series(_LOG_GAMMA, far) / far)


def log_less_digamma(x: FloatArray) -> FloatArray:
    """Return log x - psi(x) for x > 0, which goes to 1 / (2 x) (Abramowitz and Stegun 1964, 6.3.18)."""
    x = np.asarray(x, dtype=np.float64)
    near, far = np.minimum(x, _FAR), np.maximum(x, _FAR)
    return np.where(x < _FAR, np.log(near) - digamma(near), (0.5 + _series(_DIGAMMA, far) / far) / far)


def log_gamma_peak(shape: FloatArray) -> FloatArray:
    """Return the log density of the log of a gamma variable at its mode."""
    return np.asarray(0.5 * np.log(shape) - _HALF_LOG_TWO_PI - stirling_error(shape))


def log_beta_peak(alpha: FloatArray, beta: FloatArray) -> FloatArray:
    """Return the log density of the logit of a beta variable at its mode."""
    total = alpha + beta
    errors = stirling_error(total) - stirling_error(alpha) - stirling_error(beta)
    return np.asarray(0.5 * (np.log(alpha) + np.log(beta) - np.log(total)) - _HALF_LOG_TWO_PI + errors)


def log_t_peak(nu: FloatArray) -> FloatArray:
    """Return the log density of Student's t at 0."""
    half = 0.5 * nu
    lifted = half * np.log1p(0.5 / half) - 0.5
    return np.asarray(lifted + stirling_error(half + 0.5) - stirling_error(half) - _HALF_LOG_TWO_PI)


def log_t_peak_slope(nu: FloatArray) -> FloatArray:
    """Return the derivative of ``log_t_peak``."""
    half = 0.5 * nu
    steps = log_less_digamma(half) - log_less_digamma(half + 0.5)
    return np.asarray(0.5 * (np.log1p(1.0 / nu) - 1.0 / nu + steps))


def _series(coefficients: tuple[float, ...], x: FloatArray) -> FloatArray:
    inverse_square = 1.0 / (x * x)
    total = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * inverse_square + coefficient
    return total

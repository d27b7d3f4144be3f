"""Terms of log densities that stay accurate where the textbook expression cancels or overflows."""

from __future__ import annotations

import math

import numpy as np

from partialpool.models.priors.base import FloatArray


def log_half_step(b: float) -> float:
    """Return log(Gamma(b + 1/2) / Gamma(b)), for b > 0.

    The difference of two log-gammas loses all digits at b = 1e12; from b = 20 the asymptotic series
    (Tricomi and Erdelyi 1951) is exact to rounding.
    """
    if b < 20:
        return math.lgamma(b + 0.5) - math.lgamma(b)
    s = 1 / (b * b)
    series = -1 / 8 + s * (1 / 192 + s * (-1 / 640 + s * (17 / 14336 + s * (-31 / 18432))))
    return 0.5 * math.log(b) + series / b


def log_one_plus_square(log_ratio: FloatArray) -> FloatArray:
    """Return log(1 + t^2) from log t, for t whose square may overflow."""
    return np.logaddexp(0.0, 2.0 * log_ratio)


def log_gamma_kernel(shape: float, u: FloatArray, log_u: FloatArray) -> FloatArray:
    """Return log(u^shape exp(-u) / Gamma(shape)).

    From shape 16 on by Stirling's series and the deviance (Loader 2000), where the plain terms, each of the
    order of the shape, would cancel.
    """
    if shape < 16:
        logs = shape * log_u - u - math.lgamma(shape)
    else:
        s = 1 / (shape * shape)
        series = (1 / 12 + s * (-1 / 360 + s * (1 / 1260 + s * (-1 / 1680 + s / 1188)))) / shape
        ratio = u / shape
        excess = ratio - 1.0
        near = np.abs(excess) < 0.1
        # the difference of logs costs digits that shape multiplies, but outlives an underflow of the ratio
        far_deviance = excess - np.where(ratio > 0, np.log(ratio), log_u - math.log(shape))
        deviance = np.where(near, _less_log1p(np.where(near, excess, 0.0)), far_deviance)
        logs = 0.5 * math.log(shape / (2 * math.pi)) - series - shape * deviance
    return np.where(np.isinf(u), -np.inf, logs)


def _less_log1p(d: FloatArray) -> FloatArray:
    """Return d - log(1 + d) for |d| < 0.1, by the odd series of log((1 + s) / (1 - s)), s = d / (2 + d)."""
    s = d / (2.0 + d)
    q = s * s
    odd = 1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q * (1 / 13 + q / 15)))))
    return s * d - 2.0 * s * q * odd

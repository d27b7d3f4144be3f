"""Gamma and exponential means or rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.models.populations.base import Population, PopulationDerivatives, Support
from partialpool.models.populations.log_beta import log_gamma_peak, log_less_digamma
from partialpool.models.populations.reach import find_reach
from partialpool.numerics.arrays import FloatArray


@dataclass(frozen=True)
class GammaPopulation(Population):
    """Positive means or rates x, gamma with shape ``alpha`` and rate ``beta``; t = log x.

    With m = log(alpha / beta), the mode of t, the log density is its peak less alpha (exp(t - m) - 1 - (t - m)): terms
    of the order of the shape never meet.
    """

    name: ClassVar[str] = "gamma"
    support: ClassVar[Support] = "positive"
    centred: ClassVar[bool] = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """Shape and rate."""
        return ("alpha", "beta")

    def log_density(self, t: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
        """Beside the mode."""
        alpha, beta = values
        d = t - np.log(alpha / beta)
        with np.errstate(over="ignore"):
            return np.asarray(log_gamma_peak(alpha) - alpha * (np.expm1(d) - d))

    def derivatives(self, t: FloatArray, values: tuple[FloatArray, ...]) -> PopulationDerivatives:
        """From exp(t - m), which is the number by its mean."""
        alpha, beta = values
        d = t - np.log(alpha / beta)
        with np.errstate(over="ignore"):
            excess = np.expm1(d)
            value = log_gamma_peak(alpha) - alpha * (excess - d)
            by_t, by_t2 = -alpha * excess, -alpha * np.exp(d)
            by_parameter = (d + log_less_digamma(alpha), by_t / beta)
        return PopulationDerivatives(value, by_t, by_t2, by_parameter)

    def window(self, values: tuple[FloatArray, ...], log_drop: float) -> tuple[FloatArray, FloatArray]:
        """The left tail falls like exp(alpha t), the right one like exp(-beta exp(t))."""
        alpha, beta = np.broadcast_arrays(*values)
        mode = np.log(alpha / beta)
        start = np.sqrt(2.0 * log_drop / alpha)
        below = find_reach(lambda e: alpha * (np.expm1(-e) + e), start, log_drop)
        above = find_reach(lambda e: alpha * (np.expm1(e) - e), start, log_drop)
        return np.asarray(mode - below), np.asarray(mode + above)

    def location_scale(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """Just above the mode, where the right tail of small shapes begins; the sd at the peak, or 1, in which that
        tail ends, if it is less."""
        alpha, beta = np.broadcast_arrays(*values)
        return np.asarray(np.log((1.0 + alpha) / beta)), np.asarray(1.0 / np.sqrt(1.0 + alpha))

    def stretch(self, values: tuple[FloatArray, ...]) -> FloatArray:
        """What shortens the left tail of small shapes."""
        alpha, _ = np.broadcast_arrays(*values)
        return np.asarray(0.5 / (1.0 + alpha))

    def draw(self, values: tuple[FloatArray, ...], shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Logs of gamma draws."""
        alpha, beta = values
        return draw_log_gamma(alpha, shape, rng) - np.log(beta)

    def mean_sd_response(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """alpha / beta, and that by the root of alpha."""
        alpha, beta = np.broadcast_arrays(*values)
        return alpha / beta, np.sqrt(alpha) / beta


@dataclass(frozen=True)
class ExponentialPopulation(Population):
    """Positive means or rates, exponential with mean ``mean``; t is their log."""

    name: ClassVar[str] = "exponential"
    support: ClassVar[Support] = "positive"
    centred: ClassVar[bool] = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The mean."""
        return ("mean",)

    def log_density(self, t: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
        """d - exp(d), d = t - log mean."""
        d = t - np.log(values[0])
        with np.errstate(over="ignore"):
            return np.asarray(d - np.exp(d))

    def derivatives(self, t: FloatArray, values: tuple[FloatArray, ...]) -> PopulationDerivatives:
        """From exp(d)."""
        (mean,) = values
        d = t - np.log(mean)
        with np.errstate(over="ignore"):
            ratio, excess = np.exp(d), np.expm1(d)
            return PopulationDerivatives(d - ratio, -excess, -ratio, (excess / mean,))

    def window(self, values: tuple[FloatArray, ...], log_drop: float) -> tuple[FloatArray, FloatArray]:
        """The gamma's of shape 1: e - 1 + exp(-e) = D has its root below D + 1, exp(e) - 1 - e = D below both
        sqrt(2 D) and log(2 + 2 D)."""
        centre = np.log(values[0])
        above = min(math.sqrt(2.0 * log_drop), math.log(2.0 + 2.0 * log_drop))
        return np.asarray(centre - log_drop - min(1.0, math.sqrt(2.0 * log_drop))), np.asarray(centre + above)

    def location_scale(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """The gamma's of shape 1."""
        return np.asarray(np.log(2.0 * values[0])), np.full(np.shape(values[0]), math.sqrt(0.5))

    def stretch(self, values: tuple[FloatArray, ...]) -> FloatArray:
        """The gamma's."""
        return np.full(np.shape(values[0]), 0.25)

    def draw(self, values: tuple[FloatArray, ...], shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Logs of exponential draws."""
        return np.asarray(np.log(values[0]) + np.log(rng.standard_exponential(shape)))

    def mean_sd_response(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """Both are the mean."""
        mean = np.array(values[0], dtype=np.float64)
        return mean, mean.copy()


def draw_log_gamma(alpha: FloatArray, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Draw the log of gamma variables with shape ``alpha`` and rate 1, which themselves may underflow.

    A gamma variable is one of shape alpha + 1 times U^(1 / alpha), U uniform (Marsaglia and Tsang 2000, section 6).
    """
    wide = np.broadcast_to(alpha, shape)
    return np.asarray(np.log(rng.standard_gamma(wide + 1.0)) - rng.standard_exponential(shape) / wide)

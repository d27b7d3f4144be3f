"""Student's t deviations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.errors import DataError
from partialpool.models.populations.base import Population, PopulationDerivatives, Support
from partialpool.models.populations.log_beta import log_t_peak, log_t_peak_slope
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.log_excess import log1p_less

# A ratio beyond which 1 + its square is its square; and the log of the longest reach, in units of the scale.
_FAR = 1e100
_LOG_LONGEST = 600.0


@dataclass(frozen=True)
class StudentTPopulation(Population):
    """Deviations from the linear predictor, ``sd`` times a t variable with ``nu`` degrees of freedom.

    ``sd`` is the SCALE: the sd is that times the root of nu / (nu - 2), and infinite for nu <= 2. ``nu`` None means
    that it is unknown and the second parameter.
    """

    name: ClassVar[str] = "student_t"
    support: ClassVar[Support] = "line"
    centred: ClassVar[bool] = True

    nu: float | None = None

    def __post_init__(self) -> None:
        if self.nu is None:
            return
        if isinstance(self.nu, bool) or not isinstance(self.nu, int | float) or not 0.0 < self.nu < math.inf:
            raise DataError(
                f"population student_t: nu={self.nu!r} is no number of degrees of freedom: give a positive number, or "
                "leave it out for an unknown one"
            )
        object.__setattr__(self, "nu", float(self.nu))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The scale, and the degrees of freedom unless they are known."""
        return ("sd", "nu") if self.nu is None else ("sd",)

    def _scale_nu(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        return values[0], np.asarray(self.nu, dtype=np.float64) if self.nu is not None else values[1]

    def log_density(self, t: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
        """-(nu + 1) / 2 log(1 + (t / sd)^2 / nu) beside the peak."""
        scale, nu = self._scale_nu(values)
        ratio = np.abs(t / (scale * np.sqrt(nu)))
        return np.asarray(log_t_peak(nu) - np.log(scale) - 0.5 * (nu + 1.0) * _log_one_plus_square(ratio))

    def derivatives(self, t: FloatArray, values: tuple[FloatArray, ...]) -> PopulationDerivatives:
        """From y = (t / sd)^2 / nu."""
        scale, nu = self._scale_nu(values)
        root = scale * np.sqrt(nu)
        ratio = t / root
        log_growth = _log_one_plus_square(np.abs(ratio))
        value = log_t_peak(nu) - np.log(scale) - 0.5 * (nu + 1.0) * log_growth
        near = np.clip(ratio, -_FAR, _FAR)
        y = near * near
        share = y / (1.0 + y)
        by_t = -(nu + 1.0) * (ratio / (1.0 + y)) / root
        by_t2 = -(nu + 1.0) * ((1.0 - y) / (1.0 + y)) / (1.0 + y) / (root * root)
        by_scale = ((nu + 1.0) * share - 1.0) / scale
        if self.nu is not None:
            return PopulationDerivatives(value, by_t, by_t2, (by_scale,))
        # log(1 + y) - y / (1 + y) without the terms that cancel for small y
        less = np.where(y < 1.0, log1p_less(np.minimum(y, 1.0)) + share * np.minimum(y, 1.0), log_growth - share)
        by_nu = log_t_peak_slope(nu) - 0.5 * less + 0.5 * share / nu
        return PopulationDerivatives(value, by_t, by_t2, (by_scale, np.asarray(by_nu)))

    def window(self, values: tuple[FloatArray, ...], log_drop: float) -> tuple[FloatArray, FloatArray]:
        """Symmetric; by bounds on both tails' mass that are tight for heavy and for light tails.

        Beyond x the mass of one tail is at most c nu^((nu - 1) / 2) x^-nu, c the peak, since 1 + u^2 / nu > u^2 / nu,
        and at most c nu / ((nu - 1) x) (1 + x^2 / nu)^((1 - nu) / 2), since u / x > 1. No reach is longer than exp(600)
        scales, which is less than that for nu < 0.06 or so.
        """
        scale, nu = np.broadcast_arrays(*self._scale_nu(values))
        log_twice_peak = math.log(2.0) + log_t_peak(nu)
        log_nu = np.log(nu)
        by_power = (log_twice_peak + 0.5 * (nu - 1.0) * log_nu + log_drop) / nu
        above_one = np.maximum(nu - 1.0, 1e-12)
        light = 2.0 * (log_drop + np.maximum(log_twice_peak + log_nu - np.log(above_one), 0.0)) / above_one
        by_light = 0.5 * (log_nu + _log_expm1(light))
        by_density = 0.5 * (log_nu + _log_expm1(2.0 * log_drop / (nu + 1.0)))
        log_reach = np.maximum(np.minimum(by_power, np.maximum(by_light, 0.0)), by_density)
        reach = scale * np.exp(np.minimum(log_reach, _LOG_LONGEST))
        return -reach, reach

    def location_scale(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """0 and the scale."""
        scale, _ = np.broadcast_arrays(*self._scale_nu(values))
        return np.zeros_like(scale), np.array(scale, dtype=np.float64)

    def stretch(self, values: tuple[FloatArray, ...]) -> FloatArray:
        """nu^(-1/2): t = sd sqrt(nu) sinh(u) has density proportional to cosh(u)^-nu, u = z / sqrt(nu)."""
        _, nu = np.broadcast_arrays(*self._scale_nu(values))
        return np.asarray(1.0 / np.sqrt(nu))

    def draw(self, values: tuple[FloatArray, ...], shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """The scale times t draws."""
        scale, nu = self._scale_nu(values)
        return np.asarray(scale * rng.standard_t(np.broadcast_to(nu, shape)))

    def mean_sd_response(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """0, which exists above nu = 1, and the scale times the root of nu / (nu - 2), finite above nu = 2."""
        scale, nu = np.broadcast_arrays(*self._scale_nu(values))
        finite = nu > 2.0
        inflation = np.where(finite, nu, 1.0) / np.where(finite, nu - 2.0, 1.0)
        return np.where(nu > 1.0, 0.0, np.nan), np.where(finite, scale * np.sqrt(inflation), np.inf)


def _log_one_plus_square(ratio: FloatArray) -> FloatArray:
    """Return log(1 + r^2) for r >= 0 whose square may overflow."""
    near = np.minimum(ratio, _FAR)
    growth = np.log1p(near * near)
    if not np.any(ratio > _FAR):
        return np.asarray(growth)
    return np.asarray(growth + 2.0 * np.log(np.maximum(ratio / _FAR, 1.0)))


def _log_expm1(x: FloatArray) -> FloatArray:
    """Return log(exp(x) - 1) for x > 0."""
    return np.asarray(x + np.log(-np.expm1(-x)))

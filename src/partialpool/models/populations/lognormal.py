"""Lognormal means or rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.models.populations.base import Population, PopulationDerivatives, Support
from partialpool.models.populations.normal import NormalPopulation
from partialpool.numerics.arrays import FloatArray

_NORMAL = NormalPopulation()


@dataclass(frozen=True)
class LognormalPopulation(Population):
    """Positive means or rates, lognormal; t is their log, normal with mean log ``mean`` - ``sd``^2 / 2.

    ``mean`` is the mean of the positive number itself, as it is an exponential population's; ``sd`` is that of its log.
    """

    name: ClassVar[str] = "lognormal"
    support: ClassVar[Support] = "positive"
    centred: ClassVar[bool] = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The mean on the response's scale, and the sd of the log."""
        return ("mean", "sd")

    def log_density(self, t: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
        """The normal's about ``location_scale``'s centre."""
        centre, sd = self.location_scale(values)
        return _NORMAL.log_density(t - centre, (sd,))

    def derivatives(self, t: FloatArray, values: tuple[FloatArray, ...]) -> PopulationDerivatives:
        """The normal's, and the chain rule of its centre."""
        mean, sd = values
        normal = _NORMAL.derivatives(t - self.location_scale(values)[0], (sd,))
        by_sd = normal.by_parameter[0] + normal.by_t * sd
        return PopulationDerivatives(normal.value, normal.by_t, normal.by_t2, (-normal.by_t / mean, by_sd))

    def window(self, values: tuple[FloatArray, ...], log_drop: float) -> tuple[FloatArray, FloatArray]:
        """Symmetric about the centre."""
        centre, sd = self.location_scale(values)
        lower, upper = _NORMAL.window((sd,), log_drop)
        return centre + lower, centre + upper

    def location_scale(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """Mean and sd of the log."""
        mean, sd = np.broadcast_arrays(*values)
        return np.asarray(np.log(mean) - 0.5 * sd * sd), np.array(sd, dtype=np.float64)

    def draw(self, values: tuple[FloatArray, ...], shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Normal draws."""
        centre, sd = self.location_scale(values)
        return np.asarray(centre + sd * rng.standard_normal(shape))

    def mean_sd_response(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """The mean, and the mean times the root of exp(sd^2) - 1."""
        mean, sd = np.broadcast_arrays(*values)
        with np.errstate(over="ignore"):
            return np.array(mean, dtype=np.float64), np.asarray(mean * np.sqrt(np.expm1(sd * sd)))

"""Normal deviations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.models.populations.base import Population, PopulationDerivatives, Support
from partialpool.numerics.arrays import FloatArray

_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class NormalPopulation(Population):
    """Deviations from the linear predictor, normal with mean 0 and sd ``sd``."""

    name: ClassVar[str] = "normal"
    support: ClassVar[Support] = "line"
    centred: ClassVar[bool] = True

    @property
    def parameters(self) -> tuple[str, ...]:
        """The sd."""
        return ("sd",)

    def log_density(self, t: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
        """-(t / sd)^2 / 2 - log sd, and the constant."""
        (sd,) = values
        return np.asarray(-0.5 * np.square(t / sd) - (np.log(sd) + _HALF_LOG_TWO_PI))

    def derivatives(self, t: FloatArray, values: tuple[FloatArray, ...]) -> PopulationDerivatives:
        """Of a parabola."""
        (sd,) = values
        z = t / sd
        value = -0.5 * z * z - (np.log(sd) + _HALF_LOG_TWO_PI)
        curvature = np.broadcast_to(-1.0 / (sd * sd), value.shape)
        return PopulationDerivatives(value, -z / sd, curvature, ((z * z - 1.0) / sd,))

    def window(self, values: tuple[FloatArray, ...], log_drop: float) -> tuple[FloatArray, FloatArray]:
        """Symmetric about 0."""
        reach = math.sqrt(2.0 * log_drop) * values[0]
        return -reach, reach

    def location_scale(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """0 and the sd."""
        return np.zeros_like(values[0]), np.array(values[0], dtype=np.float64)

    def draw(self, values: tuple[FloatArray, ...], shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """The sd times standard normal draws."""
        return np.asarray(values[0] * rng.standard_normal(shape))

    def mean_sd_response(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """0 and the sd."""
        return self.location_scale(values)

"""A population known as weights on points: what the nonparametric maximum likelihood estimate is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.models.populations.base import PopulationDerivatives
from partialpool.models.populations.fitted import FittedPopulation
from partialpool.numerics.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class SupportPopulation(FittedPopulation):
    """``weights`` (point,) that sum to one on increasing ``points`` (point,) of the linear predictor's scale."""

    name: ClassVar[str] = "nonparametric"

    points: FloatArray
    weights: FloatArray

    def log_density(self, t: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
        """Infinite on the points, zero elsewhere: there is no density."""
        return np.where(np.isin(t, self.points), np.inf, -np.inf)

    def derivatives(self, t: FloatArray, values: tuple[FloatArray, ...]) -> PopulationDerivatives:
        """Zero: there is no density."""
        value = self.log_density(t, values)
        return PopulationDerivatives(value, np.zeros_like(value), np.zeros_like(value), ())

    def window(self, values: tuple[FloatArray, ...], log_drop: float) -> tuple[FloatArray, FloatArray]:
        """The first and the last point."""
        return np.array(self.points[0]), np.array(self.points[-1])

    def location_scale(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """Mean and sd."""
        return self.mean_sd_response(values)

    def draw(self, values: tuple[FloatArray, ...], shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Draw points by weight."""
        return np.asarray(rng.choice(self.points, size=shape, p=self.weights))

    def rule(self) -> tuple[FloatArray, FloatArray]:
        """The points and their weights."""
        return self.points, self.weights

    def name_parameters(self) -> dict[str, float]:
        """None: there are as many as points."""
        return {}

"""A population known as weights on points: what an estimated mixing distribution is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.models.populations.base import Population, PopulationDerivatives, Support
from partialpool.numerics.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class SupportPopulation(Population):
    """``weights`` (point,) that sum to one on equally spaced ``points`` (point,) of the linear predictor's scale.

    It has no parameters left to learn. ``name`` is that of the estimated population."""

    centred: ClassVar[bool] = False
    support: ClassVar[Support] = "line"

    name: str  # type: ignore[misc]  # 'mixture' or 'nonparametric'
    points: FloatArray
    weights: FloatArray

    @property
    def parameters(self) -> tuple[str, ...]:
        """None."""
        return ()

    def log_density(self, t: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
        """The log of the weights over their spacing, constant about each point."""
        spacing = self.points[1] - self.points[0]
        place = np.clip(np.rint((t - self.points[0]) / spacing).astype(np.intp), 0, len(self.points) - 1)
        inside = np.abs(t - self.points[place]) <= spacing
        with np.errstate(divide="ignore"):
            return np.where(inside, np.log(self.weights[place] / spacing), -np.inf)

    def derivatives(self, t: FloatArray, values: tuple[FloatArray, ...]) -> PopulationDerivatives:
        """Zero: the density is constant about each point."""
        value = self.log_density(t, values)
        return PopulationDerivatives(value, np.zeros_like(value), np.zeros_like(value), ())

    def window(self, values: tuple[FloatArray, ...], log_drop: float) -> tuple[FloatArray, FloatArray]:
        """The first and the last point that carries weight."""
        carrying = self.points[self.weights > 0.0]
        return np.array(carrying[0]), np.array(carrying[-1])

    def location_scale(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """Mean and sd."""
        mean, sd = self.mean_sd_response(values)
        return mean, np.maximum(sd, self.points[1] - self.points[0])

    def draw(self, values: tuple[FloatArray, ...], shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Draw points by weight."""
        return np.asarray(rng.choice(self.points, size=shape, p=self.weights))

    def mean_sd_response(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """Mean and sd over the points."""
        mean = self.weights @ self.points
        return np.array(mean), np.sqrt(self.weights @ (self.points - mean) ** 2)

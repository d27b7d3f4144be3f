"""A mixture of normals that was estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.models.populations.base import PopulationDerivatives
from partialpool.models.populations.fitted import FittedPopulation
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.hermite import hermite_rule

# Points of the rule over each component.
_POINTS = 31


@dataclass(frozen=True, eq=False)
class NormalMixturePopulation(FittedPopulation):
    """Components (component,) of ``weights`` that sum to one, with ``means`` and ``sds`` on the linear predictor's
    scale."""

    name: ClassVar[str] = "mixture"

    weights: FloatArray
    means: FloatArray
    sds: FloatArray

    def log_density(self, t: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
        """The log of the sum over components."""
        return np.asarray(np.logaddexp.reduce(self._parts(t), axis=-1))

    def derivatives(self, t: FloatArray, values: tuple[FloatArray, ...]) -> PopulationDerivatives:
        """Averages over components, by their shares of the density."""
        parts = self._parts(t)
        value = np.logaddexp.reduce(parts, axis=-1)
        shares = np.exp(parts - value[..., None])
        slopes = -(t[..., None] - self.means) / self.sds**2
        first = np.sum(shares * slopes, axis=-1)
        second = np.sum(shares * (slopes**2 - self.sds**-2.0), axis=-1) - first**2
        return PopulationDerivatives(value, first, second, ())

    def window(self, values: tuple[FloatArray, ...], log_drop: float) -> tuple[FloatArray, FloatArray]:
        """That of all components."""
        reach = np.sqrt(2.0 * log_drop) * self.sds
        return np.array((self.means - reach).min()), np.array((self.means + reach).max())

    def location_scale(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """Mean and sd of the heaviest component."""
        heaviest = int(np.argmax(self.weights))
        return np.array(self.means[heaviest]), np.array(self.sds[heaviest])

    def draw(self, values: tuple[FloatArray, ...], shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Draw a component by weight, and a number from it."""
        which = rng.choice(len(self.weights), size=shape, p=self.weights)
        return np.asarray(self.means[which] + self.sds[which] * rng.standard_normal(shape))

    def rule(self) -> tuple[FloatArray, FloatArray]:
        """Gauss-Hermite points of every component."""
        rule = hermite_rule(_POINTS)
        shares = np.exp(rule.log_weights - 0.5 * rule.points[0] ** 2)
        points = self.means[:, None] + self.sds[:, None] * rule.points[0]
        return points.ravel(), (self.weights[:, None] * (shares / shares.sum())).ravel()

    def name_parameters(self) -> dict[str, float]:
        """Weights, means and sds, in the order of the means."""
        return {
            f"{name}({k + 1})": float(value)
            for k, each in enumerate(zip(self.weights, self.means, self.sds, strict=True))
            for name, value in zip(("weight", "mean", "sd"), each, strict=True)
        }

    def _parts(self, t: FloatArray) -> FloatArray:
        z = (np.asarray(t)[..., None] - self.means) / self.sds
        return np.asarray(np.log(self.weights / (self.sds * np.sqrt(2.0 * np.pi))) - 0.5 * z * z)

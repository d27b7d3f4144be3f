"""What estimated populations have in common: nothing is left to learn of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.models.populations.base import Population, Support
from partialpool.numerics.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class FittedPopulation(Population):
    """A distribution of the linear predictor that was estimated whole."""

    centred: ClassVar[bool] = False
    support: ClassVar[Support] = "line"

    @property
    def parameters(self) -> tuple[str, ...]:
        """None."""
        return ()

    @abstractmethod
    def rule(self) -> tuple[FloatArray, FloatArray]:
        """Return points and weights (point,) whose sum is the mean of a function over the population."""

    @abstractmethod
    def name_parameters(self) -> dict[str, float]:
        """Return what it consists of, by name, where that is a few numbers."""

    def mean_sd_response(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """Mean and sd of the linear predictor."""
        points, weights = self.rule()
        mean = weights @ points
        return np.array(mean), np.sqrt(weights @ (points - mean) ** 2)

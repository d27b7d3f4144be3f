"""A parameter whose value is given: it is known, and carries no density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.models.priors.base import FloatArray, Kind, ScalarPrior


@dataclass(frozen=True)
class Fixed(ScalarPrior):
    """All mass at ``value``: the parameter is known, and is not among the unknowns.

    It suits every parameter. ``Fixed(0)`` for a population sd pools that factor completely; for a correlation matrix
    the value is that of all its correlations.

    >>> print(Fixed(2), float(Fixed(2).quantile(0.05)))
    Fixed(2) 2.0
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"coefficient", "scale", "correlation", "shape", "probability"})

    value: float

    def __post_init__(self) -> None:
        self._set_finite("value")

    @property
    def support(self) -> tuple[float, float]:
        """The value alone."""
        return (self.value, self.value)

    @property
    def tail_exponent(self) -> float:
        """There is no tail."""
        return math.inf

    @property
    def zero_exponent(self) -> float:
        """Values just above 0 have no mass."""
        return math.inf

    def _log_density(self, values: FloatArray) -> FloatArray:
        """By counting measure: the mass is 1, so that a known value adds nothing."""
        return np.zeros(values.shape)

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        return np.full(probabilities.shape, self.value)

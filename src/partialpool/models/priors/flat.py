"""Flat priors, bounded or not, for coefficients and for standard deviations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.models.priors.base import FloatArray, Kind, ScalarPrior, argument_error, read_number


@dataclass(frozen=True, init=False)
class Uniform(ScalarPrior):
    """Constant between ``lower`` and ``upper``.

    ``upper`` None or inf (or ``lower`` -inf, for a coefficient) leaves that side open: an improper prior.
    For a standard deviation ``lower`` must be 0 or more.

    >>> print(Uniform(0, 1000), Uniform(0, None))
    Uniform(0, 1000) Uniform(0, inf)
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"coefficient", "scale", "shape", "probability"})

    lower: float
    upper: float

    def __init__(self, lower: float, upper: float | None) -> None:
        low = read_number(self, "lower", lower)
        high = math.inf if upper is None else read_number(self, "upper", upper)
        if low == math.inf:
            raise argument_error(self, "lower", low, "give a finite number, or -inf for no lower bound")
        if not low < high:
            raise argument_error(self, "upper", high, f"give a number above lower, which is {low:g}")
        self._set("lower", low)
        self._set("upper", high)

    @property
    def support(self) -> tuple[float, float]:
        """From lower to upper."""
        return (self.lower, self.upper)

    @property
    def proper(self) -> bool:
        """Whether both bounds are finite."""
        return math.isfinite(self.lower) and math.isfinite(self.upper)

    @property
    def tail_exponent(self) -> float:
        """inf with an upper bound, 0 without."""
        return math.inf if math.isfinite(self.upper) else 0.0

    @property
    def zero_exponent(self) -> float:
        """0 where values just above 0 are inside, else inf."""
        return 0.0 if self.lower <= 0 < self.upper else math.inf

    @property
    def even(self) -> bool:
        """Where values just above 0 are inside."""
        return self.lower <= 0 < self.upper

    def _log_density(self, values: FloatArray) -> FloatArray:
        # halves, because upper - lower overflows for bounds near the largest float
        log_width = math.log(0.5 * self.upper - 0.5 * self.lower) + math.log(2) if self.proper else 0.0
        return np.where(np.isnan(values), np.nan, -log_width)

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        return (1 - probabilities) * self.lower + probabilities * self.upper


@dataclass(frozen=True)
class Flat(ScalarPrior):
    """Constant everywhere: improper. On a standard deviation it is p(tau^2) proportional to 1/tau.

    >>> Flat().proper, float(Flat().log_density(3.0))
    (False, 0.0)
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"coefficient", "scale", "shape"})

    @property
    def support(self) -> tuple[float, float]:
        """The whole line; a standard deviation is positive whatever its prior."""
        return (-math.inf, math.inf)

    @property
    def proper(self) -> bool:
        """Never."""
        return False

    @property
    def tail_exponent(self) -> float:
        """0."""
        return 0.0

    @property
    def even(self) -> bool:
        """Always."""
        return True

    def _log_density(self, values: FloatArray) -> FloatArray:
        return np.where(np.isnan(values), np.nan, 0.0)

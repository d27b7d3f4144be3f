"""Priors for shapes: of populations of probabilities and rates, and of likelihoods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.models.priors.base import FloatArray, Kind, ScalarPrior
from partialpool.models.priors.scale import ScalePrior


@dataclass(frozen=True)
class LogNormal(ScalePrior):
    """The exponential of Normal(mu, sigma); its median is exp(mu).

    >>> print(LogNormal(0, 1), float(LogNormal(0, 1).quantile(0.5)))
    LogNormal(0, 1) 1.0
    """

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        self._set_finite("mu")
        self._set_positive("sigma")

    @property
    def tail_exponent(self) -> float:
        """Lighter than any power."""
        return math.inf

    @property
    def zero_exponent(self) -> float:
        """The density vanishes at 0 faster than any power."""
        return math.inf

    def _log_density(self, values: FloatArray) -> FloatArray:
        log_values = np.log(values)
        z = (log_values - self.mu) / self.sigma
        logs = -0.5 * z * z - log_values - (math.log(self.sigma) + 0.5 * math.log(2 * math.pi))
        return np.where(values == 0, -np.inf, logs)

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        from scipy.special import ndtri

        return np.asarray(np.exp(self.mu + self.sigma * ndtri(probabilities)))


@dataclass(frozen=True)
class Beta(ScalarPrior):
    """Beta with shapes ``alpha`` and ``beta``, for a probability.

    >>> print(Beta(1, 1), float(Beta(1, 1).log_density(0.3)))
    Beta(1, 1) 0.0
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"probability"})

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        self._set_positive("alpha", "beta")

    @property
    def support(self) -> tuple[float, float]:
        """From 0 to 1."""
        return (0.0, 1.0)

    @property
    def tail_exponent(self) -> float:
        """There is no tail."""
        return math.inf

    def _log_density(self, values: FloatArray) -> FloatArray:
        from scipy.special import betaln, xlog1py, xlogy

        logs = xlogy(self.alpha - 1.0, values) + xlog1py(self.beta - 1.0, -values)
        return np.asarray(logs - betaln(self.alpha, self.beta))

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        from scipy.special import betaincinv

        return np.asarray(betaincinv(self.alpha, self.beta, probabilities))


@dataclass(frozen=True)
class AlphaBetaPower(ScalarPrior):
    """Density of (alpha, beta) proportional to (alpha + beta)^power: improper.

    A power of -5/2 is flat on the mean and on (alpha + beta)^(-1/2), about the sd of the population (Gelman et al.
    2013, Bayesian Data Analysis, 3rd ed., section 5.3, equation 5.9); the posterior is then proper when at least one
    group has both successes and failures.

    >>> AlphaBetaPower().proper, str(AlphaBetaPower())
    (False, 'AlphaBetaPower(-2.5)')
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"pair"})

    power: float = -2.5

    def __post_init__(self) -> None:
        self._set_finite("power")

    @property
    def proper(self) -> bool:
        """Never."""
        return False

    @property
    def tail_exponent(self) -> float:
        """That of alpha + beta, whose own density is (alpha + beta)^(power + 1)."""
        return -(self.power + 1.0)

    def _log_density(self, values: FloatArray) -> FloatArray:
        """By alpha + beta."""
        return self.power * np.log(values)

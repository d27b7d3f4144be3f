"""Priors for population coefficients."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from partialpool.models.priors.base import FloatArray, Kind, Prior, ScalarPrior, argument_error
from partialpool.models.priors.log_terms import log_half_step, log_one_plus_square


@dataclass(frozen=True)
class LocationPrior(ScalarPrior):
    """A prior on the whole line, for coefficients.

    ``at`` says what an intercept's prior is of: the value where all columns are 'zero', or that at the columns'
    'means', which does not depend on where a column has its zero: a year counted from 0 or from 2000.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"coefficient"})

    at: Literal["zero", "means"] = field(default="zero", kw_only=True)

    def __post_init__(self) -> None:
        if self.at not in ("zero", "means"):
            raise argument_error(self, "at", self.at, "give 'zero' or 'means'")

    @property
    def support(self) -> tuple[float, float]:
        """The whole line."""
        return (-math.inf, math.inf)


@dataclass(frozen=True)
class Normal(LocationPrior):
    """Normal with mean ``mu`` and standard deviation ``sigma``.

    >>> print(Normal(0, 2.5), Normal(0, 2.5).quantile(0.5))
    Normal(0, 2.5) 0.0
    """

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set_finite("mu")
        self._set_positive("sigma", instead="give a finite number, or Flat()")

    @property
    def tail_exponent(self) -> float:
        """Lighter than any power."""
        return math.inf

    def _log_density(self, values: FloatArray) -> FloatArray:
        z = (values - self.mu) / self.sigma
        return -0.5 * z * z - (math.log(self.sigma) + 0.5 * math.log(2 * math.pi))

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        from scipy.special import ndtri

        return np.asarray(self.mu + self.sigma * ndtri(probabilities))


@dataclass(frozen=True)
class StudentT(LocationPrior):
    """Student's t with ``nu`` degrees of freedom, centre ``mu`` and scale ``sigma``."""

    nu: float
    mu: float
    sigma: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set_positive("nu", instead="give a finite number, or Normal(mu, sigma)")
        self._set_finite("mu")
        self._set_positive("sigma", instead="give a finite number, or Flat()")

    @property
    def tail_exponent(self) -> float:
        """nu + 1."""
        return self.nu + 1

    def _log_density(self, values: FloatArray) -> FloatArray:
        return log_student_t(np.abs(values - self.mu), self.nu, self.sigma)

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        # both tails from the half-t: 1 - probability would lose the lower one
        tail = 2 * np.minimum(probabilities, 1 - probabilities)
        distance = half_t_quantile(self.nu, tail, upper_tail=True)
        return np.asarray(self.mu + self.sigma * np.copysign(distance, probabilities - 0.5))


@dataclass(frozen=True)
class Cauchy(LocationPrior):
    """Cauchy with centre ``mu`` and quartiles at mu - scale and mu + scale; StudentT(1, mu, scale)."""

    mu: float
    scale: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set_finite("mu")
        self._set_positive("scale", instead="give a finite number, or Flat()")

    @property
    def tail_exponent(self) -> float:
        """2."""
        return 2.0

    def _log_density(self, values: FloatArray) -> FloatArray:
        return log_cauchy(np.abs(values - self.mu), self.scale)

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        tail = np.minimum(probabilities, 1 - probabilities)
        distance = np.where(tail == 0.5, 0.0, 1 / np.tan(math.pi * tail))
        return np.asarray(self.mu + self.scale * np.copysign(distance, probabilities - 0.5))


def is_at_means(prior: Prior) -> bool:
    """Say whether a prior is of an intercept's value at the columns' means."""
    return isinstance(prior, LocationPrior) and prior.at == "means"


def log_cauchy(distance: FloatArray, scale: float) -> FloatArray:
    """Return the log density of a Cauchy at this ``distance`` from its centre."""
    log_ratio = np.log(distance) - math.log(scale)
    return -log_one_plus_square(log_ratio) - (math.log(math.pi) + math.log(scale))


def log_student_t(distance: FloatArray, nu: float, sigma: float) -> FloatArray:
    """Return the log density of Student's t at this ``distance`` from its centre."""
    log_ratio = np.log(distance) - (math.log(sigma) + 0.5 * math.log(nu))
    log_height = log_half_step(0.5 * nu) - 0.5 * math.log(nu) - 0.5 * math.log(math.pi) - math.log(sigma)
    return log_height - 0.5 * (nu + 1) * log_one_plus_square(log_ratio)


def half_t_quantile(nu: float, probabilities: FloatArray, *, upper_tail: bool = False) -> FloatArray:
    """Return the standard half-t value with these ``probabilities`` below it (above it: ``upper_tail``)."""
    from scipy.special import betaincinv, erfcinv, erfinv

    below = 1 - probabilities if upper_tail else probabilities
    above = probabilities if upper_tail else 1 - probabilities
    if nu > 1e6:  # betaincinv loses digits; Cornish and Fisher's expansion about the normal has 12 here
        z = math.sqrt(2) * np.where(below < 0.5, erfinv(below), erfcinv(above))
        s = z * z
        first = (s + 1) / (4 * nu)
        second = ((5 * s + 16) * s + 3) / (96 * nu**2)
        third = (((3 * s + 19) * s + 17) * s - 15) / (384 * nu**3)
        return np.where(np.isinf(z), np.inf, z * (1 + first + second + third))
    # t^2 / (nu + t^2) is Beta(1/2, nu/2); each half from the end where it keeps its digits
    inner = betaincinv(0.5, 0.5 * nu, np.minimum(below, 0.5))
    outer = betaincinv(0.5 * nu, 0.5, np.minimum(above, 0.5))
    middle = np.where(below < 0.5, np.sqrt(inner / (1 - inner)), np.sqrt(1 - outer) / np.sqrt(outer))
    # next to 0 the density is constant, while the square would underflow
    log_height = log_half_step(0.5 * nu) - 0.5 * math.log(math.pi) + math.log(2)
    near_zero = below * math.exp(-log_height)
    return np.asarray(math.sqrt(nu) * np.where(below < 1e-10, near_zero, middle))

"""Priors for standard deviations: of groups around the population, and of rows around their group."""

from __future__ import annotations

import math
from dataclasses import InitVar, dataclass, field
from typing import ClassVar, Literal

import numpy as np

from partialpool.errors import PriorError
from partialpool.models.priors.base import FloatArray, Kind, ScalarPrior, argument_error, read_number
from partialpool.models.priors.location import half_t_quantile, log_cauchy, log_student_t
from partialpool.models.priors.log_terms import log_gamma_kernel


class ScalePrior(ScalarPrior):
    """A prior on a standard deviation, its density taken on the standard deviation itself."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"scale", "shape"})


class HalfPrior(ScalePrior):
    """The positive half of a density that is symmetric about 0, the location that texts write before the scale."""

    may_name_zero: ClassVar[bool] = True

    @property
    def even(self) -> bool:
        """Always: the other half is its mirror image."""
        return True

    def _leave_out_zero(self, argument: str, after_zero: float | None) -> None:
        """Where two numbers stand in the place of the ``argument``, check that the first is 0 and keep the other."""
        if after_zero is None:
            return
        location = read_number(self, "location", getattr(self, argument))
        if location != 0.0:
            raise argument_error(
                self,
                "location",
                location,
                "it is half of a density about 0, the smallest sd there is; give location 0 or leave it out "
                "(Uniform, Gamma and LogNormal can keep away from 0)",
            )
        self._set(argument, after_zero)


@dataclass(frozen=True)
class HalfNormal(HalfPrior):
    """The positive half of Normal(0, sigma); its mode is at 0. HalfNormal(0, sigma) is the same.

    >>> print(HalfNormal(1), HalfNormal(1).quantile(0.95).round(3))
    HalfNormal(1) 1.96
    """

    sigma: float
    after_zero: InitVar[float | None] = None

    def __post_init__(self, after_zero: float | None) -> None:
        self._leave_out_zero("sigma", after_zero)
        self._set_positive("sigma", instead="give a finite number, or Flat()")

    @property
    def tail_exponent(self) -> float:
        """Lighter than any power."""
        return math.inf

    def _log_density(self, values: FloatArray) -> FloatArray:
        z = values / self.sigma
        return 0.5 * math.log(2 / math.pi) - math.log(self.sigma) - 0.5 * z * z

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        from scipy.special import erfinv

        return np.asarray(self.sigma * math.sqrt(2) * erfinv(probabilities))


@dataclass(frozen=True)
class HalfCauchy(HalfPrior):
    """The positive half of Cauchy(0, scale), with median ``scale``; its mode is at 0 (Gelman 2006).
    HalfCauchy(0, scale) is the same.

    >>> print(HalfCauchy(0, 2))
    HalfCauchy(2)
    """

    scale: float
    after_zero: InitVar[float | None] = None

    def __post_init__(self, after_zero: float | None) -> None:
        self._leave_out_zero("scale", after_zero)
        self._set_positive("scale", instead="give a finite number, or Flat()")

    @property
    def tail_exponent(self) -> float:
        """2."""
        return 2.0

    def _log_density(self, values: FloatArray) -> FloatArray:
        return math.log(2) + log_cauchy(values, self.scale)

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        angle = 0.5 * math.pi * (1 - probabilities)  # 1 / tan near 1, where tan(pi/2) is not infinite in floats
        near_zero = np.tan(0.5 * math.pi * probabilities)
        return np.asarray(self.scale * np.where(probabilities < 0.5, near_zero, 1 / np.tan(angle)))


@dataclass(frozen=True)
class HalfStudentT(HalfPrior):
    """The positive half of StudentT(nu, 0, sigma); its mode is at 0. HalfStudentT(nu, 0, sigma) is the same."""

    nu: float
    sigma: float
    after_zero: InitVar[float | None] = None

    def __post_init__(self, after_zero: float | None) -> None:
        self._leave_out_zero("sigma", after_zero)
        self._set_positive("nu", instead="give a finite number, or HalfNormal(sigma)")
        self._set_positive("sigma", instead="give a finite number, or Flat()")

    @property
    def tail_exponent(self) -> float:
        """nu + 1."""
        return self.nu + 1

    def _log_density(self, values: FloatArray) -> FloatArray:
        return math.log(2) + log_student_t(values, self.nu, self.sigma)

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        return self.sigma * half_t_quantile(self.nu, probabilities)


@dataclass(frozen=True)
class Exponential(ScalePrior):
    """Exponential with this ``rate``, so with mean 1/rate."""

    rate: float

    def __post_init__(self) -> None:
        self._set_positive("rate")

    @property
    def tail_exponent(self) -> float:
        """Lighter than any power."""
        return math.inf

    def _log_density(self, values: FloatArray) -> FloatArray:
        return math.log(self.rate) - self.rate * values

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        return -np.log1p(-probabilities) / self.rate


@dataclass(frozen=True)
class PCPrior(ScalePrior):
    """The Exponential with P(sd > upper) = probability.

    The penalised-complexity prior of a normal population's standard deviation (Simpson, Rue, Riebler,
    Martins and Sorbye 2017).

    >>> prior = PCPrior(upper=1, probability=0.05)
    >>> print(prior, prior.quantile(0.95).round(12))
    PCPrior(1, 0.05) 1.0
    """

    upper: float
    probability: float

    def __post_init__(self) -> None:
        self._set_positive("upper")
        value = read_number(self, "probability", self.probability)
        if not 0.0 < value < 1.0:
            raise argument_error(self, "probability", value, "give a number between 0 and 1, such as 0.05")
        self._set("probability", value)

    @property
    def rate(self) -> float:
        """The rate of the Exponential: -log(probability) / upper."""
        return -math.log(self.probability) / self.upper

    @property
    def tail_exponent(self) -> float:
        """Lighter than any power."""
        return math.inf

    def _log_density(self, values: FloatArray) -> FloatArray:
        depth = -math.log(self.probability)
        return math.log(depth) - math.log(self.upper) - depth * (values / self.upper)

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        return np.log1p(-probabilities) / math.log(self.probability) * self.upper


@dataclass(frozen=True)
class Gamma(ScalePrior):
    """Gamma with density proportional to sd^(shape - 1) exp(-rate sd); a shape above 1 keeps away from 0."""

    shape: float
    rate: float

    def __post_init__(self) -> None:
        self._set_positive("shape", "rate")

    @property
    def tail_exponent(self) -> float:
        """Lighter than any power."""
        return math.inf

    @property
    def zero_exponent(self) -> float:
        """shape - 1."""
        return self.shape - 1

    def _log_density(self, values: FloatArray) -> FloatArray:
        log_values = np.log(values)
        log_u = math.log(self.rate) + log_values
        logs = log_gamma_kernel(self.shape, self.rate * values, log_u) - log_values
        # shape log(u) - log(value) is inf - inf at 0
        at_zero = math.log(self.rate) if self.shape == 1 else math.copysign(math.inf, 1 - self.shape)
        return np.where(values == 0, at_zero, logs)

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        from scipy.special import gammaincinv

        return np.asarray(gammaincinv(self.shape, probabilities) / self.rate)


@dataclass(frozen=True)
class InverseGamma(ScalePrior):
    """Inverse gamma, density proportional to x^-(shape + 1) exp(-scale / x).

    ``on`` says what x is: "sd" or "variance". Texts use both and the answers differ, so it has no default.

    >>> print(InverseGamma(2, 1, on="variance"))
    InverseGamma(2, 1, on='variance')
    """

    shape: float
    scale: float
    on: Literal["sd", "variance"] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._set_positive("shape", "scale")
        if self.on is None:
            remedy = "on='variance' if it is a prior on the variance, on='sd' if it is on the standard deviation"
            raise PriorError(f"InverseGamma: on is not given: say {remedy}")
        if self.on not in ("sd", "variance"):
            raise argument_error(self, "on", self.on, "say on='sd' or on='variance'")

    @property
    def tail_exponent(self) -> float:
        """shape + 1 on the sd, 2 shape + 1 on the variance."""
        return self.shape + 1 if self.on == "sd" else 2 * self.shape + 1

    @property
    def zero_exponent(self) -> float:
        """The density vanishes at 0 faster than any power."""
        return math.inf

    def _log_density(self, values: FloatArray) -> FloatArray:
        log_values = np.log(values)
        if self.on == "sd":
            u, log_u, log_step = self.scale / values, math.log(self.scale) - log_values, 0.0
        else:  # variance = sd^2 carries the Jacobian 2 sd
            root = math.sqrt(self.scale) / values
            u, log_u, log_step = root * root, math.log(self.scale) - 2 * log_values, math.log(2)
        logs = log_gamma_kernel(self.shape, u, log_u) - log_values + log_step
        return np.where(values == 0, -np.inf, logs)

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        from scipy.special import gammainccinv

        inverse = np.asarray(gammainccinv(self.shape, probabilities))
        ratio = np.asarray(self.scale / inverse)
        return ratio if self.on == "sd" else np.sqrt(ratio)


@dataclass(frozen=True)
class VariancePower(ScalePrior):
    """Density of the variance proportional to variance^power: improper.

    On the sd this is sd^(2 power + 1). VariancePower(-0.5) is p(tau^2) proportional to 1/tau, the same as
    Flat(); VariancePower(0) is flat on the variance; VariancePower(-1) is p(tau^2) proportional to 1/tau^2,
    which is usual for a residual sigma and leaves the posterior of a group-level sd improper.
    """

    power: float

    def __post_init__(self) -> None:
        self._set_finite("power")

    @property
    def proper(self) -> bool:
        """Never."""
        return False

    @property
    def tail_exponent(self) -> float:
        """-(2 power + 1)."""
        return -(2 * self.power + 1)

    @property
    def zero_exponent(self) -> float:
        """2 power + 1."""
        return 2 * self.power + 1

    def _log_density(self, values: FloatArray) -> FloatArray:
        if self.zero_exponent == 0:
            return np.where(np.isnan(values), np.nan, 0.0)
        return self.zero_exponent * np.log(values)

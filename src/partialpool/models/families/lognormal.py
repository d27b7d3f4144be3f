"""Positive measurements whose logs are normal, and which may be censored or truncated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from partialpool.inputs.roles.role import DescribeRow
from partialpool.models.families.base import Derivatives, Family, ResponseColumns, ResponseNoise
from partialpool.models.families.checks import check_positive
from partialpool.models.families.data_scale import mean_and_spread, measured_values
from partialpool.models.families.limit_checks import check_limits
from partialpool.models.families.mean_links import MEAN_LINKS
from partialpool.models.families.normal_limits import normal_constant, normal_derivatives, normal_log_density
from partialpool.numerics.arrays import FloatArray


@dataclass(frozen=True)
class LogNormal(Family):
    """log y ~ Normal(eta, sigma): eta is the log of the median; ``sigma`` is unknown unless given.

    On the response's scale a group is exp(eta), the median, which the noise does not move; the mean is
    exp(eta + sigma^2 / 2).
    """

    name: ClassVar[str] = "lognormal"
    links: ClassVar[tuple[str, ...]] = ("log",)

    link: str = "log"
    sigma: float | None = None

    @property
    def dispersions(self) -> tuple[str, ...]:
        """The sd of the logs, unless it is given."""
        return ("sigma",) if self.sigma is None else ()

    def _sd(self, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        return dispersion[0] if self.sigma is None else np.asarray(self.sigma)

    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """That of log y, log limits included, but for -log y."""
        return normal_log_density(eta, self._sd(dispersion), _on_log_scale(response))

    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """Those of a normal log y."""
        found = normal_derivatives(eta, self._sd(dispersion), _on_log_scale(response))
        return Derivatives(*found[:3], (found.by_sd,) if self.sigma is None else ())

    def log_constant(self, response: ResponseColumns) -> FloatArray:
        """-log y - log(2 pi) / 2 for observed rows."""
        jacobian = -np.log(response.values)
        if response.censoring is not None:
            jacobian = np.where(response.censoring == 0, jacobian, 0.0)
        return normal_constant(response) + jacobian

    def response_scale(self, eta: FloatArray) -> FloatArray:
        """The median exp(eta)."""
        return MEAN_LINKS["log"].response(eta)

    def linear_scale(self, mean: FloatArray) -> FloatArray:
        """The log of the median."""
        return MEAN_LINKS["log"].linear(mean)

    def draw(
        self,
        eta: FloatArray,
        sizes: FloatArray,
        standard_errors: FloatArray | None,
        dispersion: tuple[FloatArray, ...],
        rng: np.random.Generator,
    ) -> FloatArray:
        """A positive measurement."""
        mean, sd = np.broadcast_arrays(eta, self._sd(dispersion))
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(mean + sd * rng.standard_normal(mean.shape)))

    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """The mean is exp(sigma^2 / 2) medians."""
        variance = self._sd(dispersion) ** 2
        with np.errstate(over="ignore"):
            return ResponseNoise(np.exp(0.5 * variance), 0.0, 0.0, np.exp(variance) * np.expm1(variance))

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """The mean and sd of the logs."""
        return mean_and_spread(np.log(measured_values(response)), counts)

    def guess_dispersions(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, ...]:
        """The sd of the logs."""
        return (self.typical_eta(response, counts)[1],) if self.sigma is None else ()

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Values are positive, and limits agree with them."""
        check_positive(title, response.values, where, self.name, censored=True)
        check_limits(title, response, where)


def _on_log_scale(response: ResponseColumns) -> ResponseColumns:
    return replace(
        response,
        values=np.log(response.values),
        upper=_log_limit(response.upper),
        lower_limit=_log_limit(response.lower_limit),
        upper_limit=_log_limit(response.upper_limit),
    )


def _log_limit(limit: FloatArray | None) -> FloatArray | None:
    if limit is None:
        return None
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.maximum(limit, 0.0)))

"""Normal measurements whose sd is each group's own, drawn from a lognormal population of sds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.inputs.roles.role import DescribeRow
from partialpool.models.families.base import Derivatives, Family, ResponseColumns, ResponseNoise, Support
from partialpool.models.families.checks import check_real
from partialpool.models.families.data_scale import mean_and_spread
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.hermite import hermite_rule

#: The names of the population of log sds: its mean and sd.
LOG_SIGMA_MEAN, LOG_SIGMA_SD = "mean(log sigma)", "sd(log sigma)"
#: The default scale of the sd of log sds: at 0.5 nine groups in ten lie within a factor of 5, at 1 of 27.
DEFAULT_SPREAD = 0.5
#: The starting point of the sd of log sds.
USUAL_SPREAD = 0.3
_LOG_2PI = float(np.log(2.0 * np.pi))
# Points of the rule over log sigma.
_POINTS = 31


@dataclass(frozen=True)
class GaussianOwnSigma(Family):
    """y ~ Normal(eta, sigma_j), log sigma_j ~ Normal(mean(log sigma), sd(log sigma)) for every group j.

    As a family of rows it is the law of a row whose group is not known: its sigma integrated out. What rows of a group
    have in common is its marginal likelihood's (``OwnSigmaMarginal``).
    """

    name: ClassVar[str] = "gaussian"
    links: ClassVar[tuple[str, ...]] = ("identity",)

    link: str = "identity"

    def __str__(self) -> str:
        """The text that ``read_family`` takes: data have one family 'gaussian', whose sigma is said elsewhere."""
        return "gaussian_own_sigma"

    @property
    def dispersions(self) -> tuple[str, ...]:
        """Those of the population of log sds."""
        return (LOG_SIGMA_MEAN, LOG_SIGMA_SD)

    @property
    def supports(self) -> tuple[Support, ...]:
        """A mean of logs may be any number, their sd is positive."""
        return ("line", "positive")

    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """That of a mixture of normals over log sigma."""
        return self.derivatives(eta, response, dispersion).value

    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """Expectations over the points of a Gauss-Hermite rule, given the row."""
        centre, spread = dispersion
        rule = hermite_rule(_POINTS)
        z = rule.points[0]
        log_prior = rule.log_weights - 0.5 * (z * z + _LOG_2PI)
        log_sd = np.asarray(centre)[..., None] + np.asarray(spread)[..., None] * z
        left = (response.values - eta)[..., None]
        precision = np.exp(-2.0 * log_sd)
        squares = left * left * precision
        terms = log_prior - log_sd - 0.5 * (squares + _LOG_2PI)
        top = terms.max(axis=-1, keepdims=True)
        shares = np.exp(terms - top)
        total = shares.sum(axis=-1, keepdims=True)
        shares = shares / total
        first = np.sum(shares * left * precision, axis=-1)
        second = np.sum(shares * precision * (squares - 1.0), axis=-1) - first**2
        by_log_sd = shares * (squares - 1.0)
        by_dispersion = (by_log_sd.sum(axis=-1), np.sum(by_log_sd * z, axis=-1))
        return Derivatives((top + np.log(total))[..., 0], first, second, by_dispersion)

    def response_scale(self, eta: FloatArray) -> FloatArray:
        """The mean."""
        return eta

    def linear_scale(self, mean: FloatArray) -> FloatArray:
        """The mean."""
        return mean

    def draw(
        self,
        eta: FloatArray,
        sizes: FloatArray,
        standard_errors: FloatArray | None,
        dispersion: tuple[FloatArray, ...],
        rng: np.random.Generator,
    ) -> FloatArray:
        """A measurement of the mean in a group of its own."""
        centre, spread = dispersion
        sd = np.exp(centre + spread * rng.standard_normal(eta.shape))
        return np.asarray(eta + sd * rng.standard_normal(eta.shape))

    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """The mean square of a lognormal sigma."""
        centre, spread = dispersion
        return ResponseNoise(1.0, np.exp(2.0 * (centre + spread**2)), 0.0, 0.0)

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """The mean and sd of the values."""
        return mean_and_spread(response.values, counts)

    def guess_dispersions(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, ...]:
        """The log of the sd of the values, and a spread that is usual."""
        return float(np.log(mean_and_spread(response.values, counts)[1])), USUAL_SPREAD

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Values are finite."""
        check_real(title, response.values, where)

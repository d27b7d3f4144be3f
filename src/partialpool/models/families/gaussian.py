"""Normal measurements, whose noise is known or not, and which may be censored or truncated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.inputs.roles.role import DescribeRow
from partialpool.models.families.base import Derivatives, Family, ResponseColumns, ResponseNoise
from partialpool.models.families.checks import check_noise, check_real
from partialpool.models.families.data_scale import link_mean_and_spread, mean_and_spread, measured_values
from partialpool.models.families.limit_checks import check_limits
from partialpool.models.families.mean_links import MEAN_LINKS
from partialpool.models.families.noise import chain_rule, get_noise, real_mean
from partialpool.models.families.normal_limits import normal_constant, normal_derivatives, normal_log_density
from partialpool.numerics.arrays import FloatArray


@dataclass(frozen=True)
class Gaussian(Family):
    """y ~ Normal(mean, sigma), link(mean) = eta; ``known_noise`` where the sds are the rows' standard errors.

    Under 'log' the mean is positive, the values need not be.
    """

    name: ClassVar[str] = "gaussian"
    links: ClassVar[tuple[str, ...]] = ("identity", "log")

    link: str = "identity"
    known_noise: bool = False

    @property
    def concave(self) -> bool:
        """Under 'identity', where truncation keeps an exponential family, and censoring to an interval leaves less
        variance than truncation about it (Burdett 1996)."""
        return self.link == "identity"

    @property
    def dispersions(self) -> tuple[str, ...]:
        """The noise sd, unless it is known."""
        return () if self.known_noise else ("sigma",)

    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """-(y - mean)^2 / (2 sigma^2) - log sigma, the log probability of what is known where censored, less the log
        probability of being in the data."""
        sd = get_noise(self.known_noise, response.standard_errors, dispersion)
        return normal_log_density(real_mean(self.link, eta), sd, response)

    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """Those by the mean, times those of the mean by eta, and by sigma."""
        sd = get_noise(self.known_noise, response.standard_errors, dispersion)
        found = normal_derivatives(real_mean(self.link, eta), sd, response)
        first, second = chain_rule(self.link, eta, found.first, found.second)
        return Derivatives(found.value, first, second, () if self.known_noise else (found.by_sd,))

    def log_constant(self, response: ResponseColumns) -> FloatArray:
        """-log(2 pi) / 2 for observed rows."""
        return normal_constant(response)

    def response_scale(self, eta: FloatArray) -> FloatArray:
        """The mean."""
        return real_mean(self.link, eta)

    def linear_scale(self, mean: FloatArray) -> FloatArray:
        """The link of the mean."""
        return MEAN_LINKS[self.link].linear(mean)

    def draw(
        self,
        eta: FloatArray,
        sizes: FloatArray,
        standard_errors: FloatArray | None,
        dispersion: tuple[FloatArray, ...],
        rng: np.random.Generator,
    ) -> FloatArray:
        """A measurement of the mean."""
        mean, sd = np.broadcast_arrays(
            real_mean(self.link, eta), get_noise(self.known_noise, standard_errors, dispersion)
        )
        return mean + sd * rng.standard_normal(mean.shape)

    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """The square of the noise sd."""
        return ResponseNoise(1.0, get_noise(self.known_noise, standard_errors, dispersion) ** 2, 0.0, 0.0)

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """The mean and sd of the values on the link's scale."""
        return link_mean_and_spread(self.link, measured_values(response), counts)

    def guess_dispersions(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, ...]:
        """The sd of the values."""
        return () if self.known_noise else (mean_and_spread(measured_values(response), counts)[1],)

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Values are finite, known noise positive, and limits agree with the values."""
        check_real(title, response.values, where)
        if self.known_noise:
            check_noise(title, response, where, self.name)
        check_limits(title, response, where)

"""Poisson counts with exposures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.inputs.roles.role import DescribeRow
from partialpool.models.families.base import Derivatives, Family, Merging, ResponseColumns, ResponseName, ResponseNoise
from partialpool.models.families.checks import check_exposed_counts, refuse_limits
from partialpool.models.families.counts import draw_counts, overall_rate
from partialpool.models.families.large_counts import choose, is_large, log_count_constant, poisson_from_peak
from partialpool.models.families.mean_links import LEAST, MEAN_LINKS, MeanLink
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.log_excess import log_ratio_less


@dataclass(frozen=True)
class Poisson(Family):
    """Counts with mean exposure times rate, link(rate) = eta; under 'sqrt' and 'identity' eta is not negative.

    Counts and exposures of rows with equal predictors are sufficient as sums.
    """

    name: ClassVar[str] = "poisson"
    links: ClassVar[tuple[str, ...]] = ("log", "sqrt", "identity")
    merging: ClassVar[Merging] = "sums"
    response_name: ClassVar[ResponseName] = "rate"
    discrete: ClassVar[bool] = True

    link: str = "log"

    @property
    def mean_link(self) -> MeanLink:
        """The functions of the link."""
        return MEAN_LINKS[self.link]

    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """y log rate - exposure rate."""
        if self.link != "log":
            return self.derivatives(eta, response, dispersion).value
        with np.errstate(over="ignore"):
            return choose(
                is_large(response.values),
                lambda: poisson_from_peak(eta, response.values, response.sizes),
                lambda: response.values * eta - response.sizes * np.exp(eta),
            )

    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """Under 'log' the mean is minus the second derivative; outside the link's range derivatives are 0."""
        if self.link != "log":
            return self._ranged_derivatives(eta, response)
        with np.errstate(over="ignore"):
            mean = response.sizes * np.exp(eta)
            value = choose(
                is_large(response.values),
                lambda: poisson_from_peak(eta, response.values, response.sizes),
                lambda: response.values * eta - mean,
            )
        return Derivatives(value, response.values - mean, -mean)

    def _ranged_derivatives(self, eta: FloatArray, response: ResponseColumns) -> Derivatives:
        positive = np.maximum(eta, LEAST)
        counts, exposures = response.values, response.sizes
        rates, logs = self.mean_link.mean(positive), self.mean_link.log_mean(positive)
        value, first, second = (counts * log - exposures * rate for log, rate in zip(logs, rates, strict=True))
        large = is_large(counts)
        if large.any():
            expected, safe = exposures * rates.value, np.maximum(counts, 1.0)
            value = np.where(large, counts * log_ratio_less(expected, safe, expected - safe), value)
        # at 0 the rate is 0, which a count of 0 has
        outside = (eta < 0.0) | ((eta == 0.0) & (counts > 0.0))
        return Derivatives(
            np.where(outside, -np.inf, value), np.where(outside, 0.0, first), np.where(outside, 0.0, second)
        )

    def log_constant(self, response: ResponseColumns) -> FloatArray:
        """y log exposure - log y!, or what a large count has at its peak."""
        return log_count_constant(response.values, response.sizes)

    def response_scale(self, eta: FloatArray) -> FloatArray:
        """The rate, 0 where eta is below the link's range."""
        return self.mean_link.response(eta)

    def linear_scale(self, mean: FloatArray) -> FloatArray:
        """The link of the rate."""
        return self.mean_link.linear(mean)

    def draw(
        self,
        eta: FloatArray,
        sizes: FloatArray,
        standard_errors: FloatArray | None,
        dispersion: tuple[FloatArray, ...],
        rng: np.random.Generator,
    ) -> FloatArray:
        """Counts in ``sizes`` units of exposure."""
        return draw_counts(sizes * self.response_scale(eta), rng)

    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """The variance is the mean."""
        return ResponseNoise(sizes, 0.0, sizes, 0.0)

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """The link of the overall rate; the spread that one order of e makes, to first order."""
        rate = overall_rate(response, counts)
        spread = {"log": 1.0, "sqrt": 0.5 * rate**0.5, "identity": rate}[self.link]
        return float(self.linear_scale(np.array(rate))), spread

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Counts are whole and not negative, exposures positive."""
        refuse_limits(title, response, self.name)
        check_exposed_counts(title, response, where)

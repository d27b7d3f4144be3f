"""Binomial successes among trials, and single successes (bernoulli)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import gammaln

from partialpool.inputs.roles.role import DescribeRow
from partialpool.models.families.base import Derivatives, Family, Merging, ResponseColumns, ResponseName, ResponseNoise
from partialpool.models.families.checks import check_outcomes, check_successes, refuse_limits
from partialpool.models.families.large_counts import binomial_from_peak, choose, is_large, log_binomial_peak
from partialpool.models.families.links import PROBABILITY_LINKS, ProbabilityLink
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.gamma_differences import log_rising


@dataclass(frozen=True)
class Binomial(Family):
    """Successes among ``sizes`` trials of probability p, link(p) = eta.

    Successes and trials of rows with equal predictors are sufficient as sums.
    """

    name: ClassVar[str] = "binomial"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog")
    merging: ClassVar[Merging] = "sums"
    response_name: ClassVar[ResponseName] = "p"
    discrete: ClassVar[bool] = True

    link: str = "logit"

    @property
    def probability_link(self) -> ProbabilityLink:
        """The functions of the link."""
        return PROBABILITY_LINKS[self.link]

    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """y log p + (n - y) log(1 - p)."""
        failures = response.sizes - response.values

        def plain() -> FloatArray:
            if self.link == "logit":
                return _logit_density(eta, response, failures, np.exp(-np.abs(eta)))
            log_p, log_q = self.probability_link.logs(eta)
            return response.values * log_p + failures * log_q

        large = is_large(np.minimum(response.values, failures))
        return choose(large, lambda: self._from_peak(eta, response.values, failures), plain)

    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """Those of log p and log(1 - p), times successes and failures."""
        failures = response.sizes - response.values
        if self.link == "logit":
            found = _logit_derivatives(eta, response, failures)
        else:
            log_p, log_q = self.probability_link.curves(eta)
            value, first, second = (response.values * p + failures * q for p, q in zip(log_p, log_q, strict=True))
            found = Derivatives(value, first, second)
        large = is_large(np.minimum(response.values, failures))
        return found._replace(
            value=choose(large, lambda: self._from_peak(eta, response.values, failures), lambda: found.value)
        )

    def _from_peak(self, eta: FloatArray, successes: FloatArray, failures: FloatArray) -> FloatArray:
        return binomial_from_peak(*self.probability_link.logs(eta), successes, failures)

    def log_constant(self, response: ResponseColumns) -> FloatArray:
        """The log binomial coefficient, or the peak of large successes and failures."""
        large = is_large(np.minimum(response.values, response.sizes - response.values))
        return choose(
            large,
            lambda: log_binomial_peak(response.values, response.sizes),
            lambda: log_binomial_coefficient(response),
        )

    def response_scale(self, eta: FloatArray) -> FloatArray:
        """The probability."""
        return self.probability_link.probability(eta)

    def linear_scale(self, mean: FloatArray) -> FloatArray:
        """The logit, probit or complementary log-log."""
        return self.probability_link.linear(mean)

    def draw(
        self,
        eta: FloatArray,
        sizes: FloatArray,
        standard_errors: FloatArray | None,
        dispersion: tuple[FloatArray, ...],
        rng: np.random.Generator,
    ) -> FloatArray:
        """Successes among ``sizes`` trials."""
        return draw_successes(self.response_scale(eta), sizes, rng)

    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """n p and n p (1 - p)."""
        return ResponseNoise(sizes, 0.0, sizes, -sizes)

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """The link of the overall proportion; 1 is wide on any of the scales."""
        return float(self.linear_scale(np.array(overall_proportion(response, counts)))), 1.0

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Successes are whole, from 0 to the trials, and trials whole and positive."""
        refuse_limits(title, response, self.name)
        check_successes(title, response, where)


@dataclass(frozen=True)
class Bernoulli(Binomial):
    """Single outcomes 0 or 1, of probability p: binomial successes in one trial each."""

    name: ClassVar[str] = "bernoulli"

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Outcomes are 0 or 1."""
        refuse_limits(title, response, self.name)
        check_outcomes(title, response, where)


def log_binomial_coefficient(response: ResponseColumns) -> FloatArray:
    """Return log of n over y (row,), without cancellation in large n."""
    fewer = np.minimum(response.values, response.sizes - response.values)
    return np.asarray(log_rising(response.sizes - fewer + 1.0, fewer) - gammaln(fewer + 1.0))


def draw_successes(p: FloatArray, sizes: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw successes among ``sizes`` trials."""
    return np.asarray(rng.binomial(np.rint(sizes).astype(np.int64), p)).astype(np.float64)


def overall_proportion(response: ResponseColumns, counts: FloatArray) -> float:
    """Return the proportion of successes over all rows, strictly between 0 and 1."""
    return (float(counts @ response.values) + 0.5) / (float(counts @ response.sizes) + 1.0)


def _logit_density(eta: FloatArray, response: ResponseColumns, failures: FloatArray, small: FloatArray) -> FloatArray:
    # nothing cancels where all or none succeed; small is exp(-|eta|)
    both = response.values * np.minimum(eta, 0.0) - failures * np.maximum(eta, 0.0)
    return np.asarray(both - response.sizes * np.log1p(small))


def _logit_derivatives(eta: FloatArray, response: ResponseColumns, failures: FloatArray) -> Derivatives:
    small = np.exp(-np.abs(eta))
    larger = 1.0 / (1.0 + small)
    smaller = small * larger
    positive = eta >= 0.0
    # p and 1 - p each without cancellation
    p, q = np.where(positive, larger, smaller), np.where(positive, smaller, larger)
    value = _logit_density(eta, response, failures, small)
    return Derivatives(value, response.values * q - failures * p, -response.sizes * (larger * smaller))

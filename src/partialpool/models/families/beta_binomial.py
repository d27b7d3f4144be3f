"""Beta-binomial successes: binomial successes whose probabilities scatter by a beta distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.inputs.roles.role import DescribeRow
from partialpool.models.families.base import Derivatives, Family, ResponseColumns, ResponseName, ResponseNoise
from partialpool.models.families.binomial import draw_successes, log_binomial_coefficient, overall_proportion
from partialpool.models.families.checks import check_successes, refuse_limits
from partialpool.models.families.large_counts import binomial_from_peak, choose, is_large, log_binomial_peak
from partialpool.models.families.links import PROBABILITY_LINKS, Curve
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.gamma_differences import (
    digamma_difference,
    digamma_excess,
    log_gamma_excess,
    log_rising_excess,
    trigamma_difference,
)
from partialpool.numerics.log_excess import log_ratio_less

# Least probability of derivatives by the concentration, which have a limit there.
_LEAST_PROBABILITY = 1e-150
_LEAST_ALPHA = 1e-290


@dataclass(frozen=True)
class BetaBinomial(Family):
    """Successes among ``sizes`` trials whose probability is Beta(c p, c (1 - p)), link(p) = eta; the concentration c is
    unknown unless given.

    Every term is written as its difference from the binomial term, so that concentrations of 1e12 lose nothing.
    """

    name: ClassVar[str] = "beta_binomial"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog")
    response_name: ClassVar[ResponseName] = "p"
    discrete: ClassVar[bool] = True
    cost: ClassVar[float] = 20.0

    link: str = "logit"
    concentration: float | None = None

    @property
    def concave(self) -> bool:
        """No: beyond the first success the log density is convex where p is far below 1 / c."""
        return False

    @property
    def dispersions(self) -> tuple[str, ...]:
        """The concentration, unless it is given."""
        return ("concentration",) if self.concentration is None else ()

    def _concentration(self, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        return dispersion[0] if self.concentration is None else np.asarray(self.concentration)

    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """Rising factorials of c p by successes and of c (1 - p) by failures, over that of c by trials."""
        c = self._concentration(dispersion)
        log_p, log_q = PROBABILITY_LINKS[self.link].logs(eta)

        def plain() -> FloatArray:
            successes = _log_rising_share(log_p, c, response.values)
            failures = _log_rising_share(log_q, c, response.sizes - response.values)
            return np.asarray(successes + failures - log_rising_excess(c, response.sizes))

        return choose(is_large(response.sizes), lambda: _from_peak(log_p, log_q, c, response), plain)

    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """Those of the rising factorials, by digamma and trigamma differences."""
        c, failures = self._concentration(dispersion), response.sizes - response.values
        log_p, log_q = PROBABILITY_LINKS[self.link].curves(eta)
        by_p = _differentiate_share(log_p, c, response.values)
        by_q = _differentiate_share(log_q, c, failures)
        value = choose(
            is_large(response.sizes),
            lambda: _from_peak(log_p.value, log_q.value, c, response),
            lambda: np.asarray(by_p.value + by_q.value - log_rising_excess(c, response.sizes)),
        )
        first, second = by_p.first + by_q.first, by_p.second + by_q.second
        if self.concentration is not None:
            return Derivatives(value, first, second)
        by_c = (
            _by_concentration(log_p.value, c, response.values, response.sizes)
            + _by_concentration(log_q.value, c, failures, response.sizes)
            - digamma_excess(c, response.sizes)
        )
        return Derivatives(value, first, second, (by_c,))

    def log_constant(self, response: ResponseColumns) -> FloatArray:
        """The log binomial coefficient, or the binomial peak of many trials."""
        return choose(
            is_large(response.sizes),
            lambda: log_binomial_peak(response.values, response.sizes),
            lambda: log_binomial_coefficient(response),
        )

    def response_scale(self, eta: FloatArray) -> FloatArray:
        """The mean probability."""
        return PROBABILITY_LINKS[self.link].probability(eta)

    def linear_scale(self, mean: FloatArray) -> FloatArray:
        """The logit, probit or complementary log-log."""
        return PROBABILITY_LINKS[self.link].linear(mean)

    def draw(
        self,
        eta: FloatArray,
        sizes: FloatArray,
        standard_errors: FloatArray | None,
        dispersion: tuple[FloatArray, ...],
        rng: np.random.Generator,
    ) -> FloatArray:
        """Successes among ``sizes`` trials, of a probability that all trials of a row share."""
        c = self._concentration(dispersion)
        log_p, log_q, _ = np.broadcast_arrays(*PROBABILITY_LINKS[self.link].logs(eta), sizes * c)
        p = rng.beta(np.maximum(c * np.exp(log_p), _LEAST_ALPHA), np.maximum(c * np.exp(log_q), _LEAST_ALPHA))
        return draw_successes(p, sizes, rng)

    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """n p, and n p (1 - p) (c + n) / (c + 1)."""
        c = self._concentration(dispersion)
        spread = sizes * ((c + sizes) / (c + 1.0))
        return ResponseNoise(sizes, 0.0, spread, -spread)

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """The link of the overall proportion; 1 is wide on any of the scales."""
        return float(self.linear_scale(np.array(overall_proportion(response, counts)))), 1.0

    def guess_dispersions(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, ...]:
        """The concentration from the variance about the overall proportion."""
        if self.concentration is not None:
            return ()
        p, n = overall_proportion(response, counts), response.sizes
        binomial = n * p * (1.0 - p)
        pairs = float(counts @ (binomial * (n - 1.0)))
        if pairs <= 0.0:
            return (10.0,)
        share = float(counts @ ((response.values - n * p) ** 2 - binomial)) / pairs
        return (float(np.clip(1.0 / max(share, 1e-3) - 1.0, 0.5, 1e3)),)

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Successes are whole, from 0 to the trials, and trials whole and positive."""
        refuse_limits(title, response, self.name)
        check_successes(title, response, where)


def _from_peak(log_p: FloatArray, log_q: FloatArray, c: FloatArray, response: ResponseColumns) -> FloatArray:
    """Return the deviances of data and of population from the posterior mean, both negative, and what Stirling's
    formula leaves of the gamma functions (Loader 2000): nothing of the order of the trials."""
    trials, successes = response.sizes, response.values
    failures = trials - successes
    alpha, beta = (np.maximum(c * np.exp(log), _LEAST_ALPHA) for log in (log_p, log_q))
    # log posterior means of p and 1 - p
    logs = (np.log((alpha + successes) / (c + trials)), np.log((beta + failures) / (c + trials)))
    data = binomial_from_peak(*logs, np.maximum(successes, 0.5), np.maximum(failures, 0.5))
    data = np.where(successes == 0.0, trials * np.log1p(-alpha / (c + trials)), data)
    data = np.where(failures == 0.0, trials * np.log1p(-beta / (c + trials)), data)
    population = binomial_from_peak(*logs, alpha, beta)
    stirling = sum(
        log_gamma_excess(shape + count) - log_gamma_excess(shape)
        for shape, count in ((alpha, successes), (beta, failures))
    )
    return np.asarray(data + population + stirling + log_gamma_excess(c) - log_gamma_excess(c + trials))


def _log_rising_share(log_p: FloatArray, c: FloatArray, k: FloatArray) -> FloatArray:
    """Return log of c p (c p + 1) ... (c p + k - 1) / c^k, with the first factor by itself so that p may underflow."""
    alpha, rest = c * np.exp(log_p), np.maximum(k - 1.0, 0.0)
    # log(p + 1 / c), near log p by nothing that rounds
    raised = np.where(alpha > 1.0, log_p + np.log1p(1.0 / np.maximum(alpha, 1.0)), np.log1p(alpha) - np.log(c))
    return np.where(k > 0.0, log_p + rest * raised + log_rising_excess(1.0 + alpha, rest), 0.0)


def _differentiate_share(log_p: Curve, c: FloatArray, k: FloatArray) -> Curve:
    """Return ``_log_rising_share`` with its derivatives by eta, from those of log p."""
    alpha, rest, some = c * np.exp(log_p.value), np.maximum(k - 1.0, 0.0), np.where(k > 0.0, 1.0, 0.0)
    # by log alpha, once and twice; the first factor gives 1 and 0
    once = alpha * digamma_difference(1.0 + alpha, rest)
    twice = once + alpha**2 * trigamma_difference(1.0 + alpha, rest)
    first, second = some + once, twice
    return Curve(
        _log_rising_share(log_p.value, c, k), first * log_p.first, first * log_p.second + second * log_p.first**2
    )


def _by_concentration(log_p: FloatArray, c: FloatArray, k: FloatArray, n: FloatArray) -> FloatArray:
    """Return p (psi(c p + k) - psi(c p)) less p log(1 + n / c), up to a term that is linear in k / p - n: over
    successes and failures those terms add to 0."""
    p = np.maximum(np.exp(log_p), _LEAST_PROBABILITY)
    share = k / p
    return p * (log_ratio_less(c + share, c + n, share - n) + digamma_excess(c * p, k))

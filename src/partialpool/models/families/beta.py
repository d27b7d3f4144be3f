"""Shares strictly between 0 and 1: beta regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from partialpool.inputs.roles.role import DescribeRow
from partialpool.inputs.roles.shares import check_shares
from partialpool.models.families.base import Derivatives, Family, ResponseColumns, ResponseNoise
from partialpool.models.families.checks import refuse_limits
from partialpool.models.families.data_scale import mean_and_spread
from partialpool.models.families.large_counts import binomial_from_peak
from partialpool.models.families.links import PROBABILITY_LINKS, Curve
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.gamma_differences import digamma_gap, log_gamma_excess, scaled_trigamma

# Shapes below it are moved to it: what they add to a log density goes on as their log.
_LOG_LEAST = -690.0
# What a draw of 0 or 1, where rounding or a tiny shape makes one, is moved to.
_LEAST_SHARE = 1e-300
_LARGEST_SHARE = 1.0 - 2.0**-53


class _Shapes(NamedTuple):
    """a = precision mu and b = precision (1 - mu), and by how much their logs were raised to stay in range."""

    a: FloatArray
    b: FloatArray
    short: FloatArray


@dataclass(frozen=True)
class BetaFamily(Family):
    """y ~ Beta(precision mu, precision (1 - mu)), link(mu) = eta: mean mu, variance mu (1 - mu) / (1 + precision).

    ``precision``, phi of Ferrari and Cribari-Neto (2004, J. Applied Statistics 31:799-815, equation 4), is unknown
    unless given. The density is concave in mu and not in eta: rows in conflict may leave several peaks.
    """

    name: ClassVar[str] = "beta"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog")
    single_peaked: ClassVar[bool] = False
    cost: ClassVar[float] = 8.0

    link: str = "logit"
    precision: float | None = None

    @property
    def concave(self) -> bool:
        """No: where the mean is far from the value towards an end, the density is convex in eta."""
        return False

    @property
    def dispersions(self) -> tuple[str, ...]:
        """The precision, unless it is given."""
        return ("precision",) if self.precision is None else ()

    def _precision(self, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        return dispersion[0] if self.precision is None else np.asarray(self.precision)

    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """a log(y / mu) + b log((1 - y) / (1 - mu)), and what Stirling's formula leaves of the beta function."""
        return _log_density(*PROBABILITY_LINKS[self.link].logs(eta), self._precision(dispersion), response)

    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """By the logs of mu and 1 - mu, a (log y - psi(a)) and its like, carried to eta; and by the precision."""
        phi = self._precision(dispersion)
        log_p, log_q = PROBABILITY_LINKS[self.link].curves(eta)
        shapes = _find_shapes(log_p.value, log_q.value, phi)
        by_p = _differentiate_share(log_p, np.log(response.values), shapes.a)
        by_q = _differentiate_share(log_q, np.log1p(-response.values), shapes.b)
        value = _log_density(log_p.value, log_q.value, phi, response)
        first, second = by_p.first + by_q.first, by_p.second + by_q.second
        if self.precision is not None:
            return Derivatives(value, first, second)
        gaps = shapes.a * digamma_gap(shapes.a) + shapes.b * digamma_gap(shapes.b)
        by_phi = digamma_gap(phi) + (_deviance(shapes, response) - gaps) / phi
        return Derivatives(value, first, second, (by_phi,))

    def log_constant(self, response: ResponseColumns) -> FloatArray:
        """-log y - log(1 - y)."""
        return np.asarray(-np.log(response.values) - np.log1p(-response.values))

    def response_scale(self, eta: FloatArray) -> FloatArray:
        """The mean mu."""
        return PROBABILITY_LINKS[self.link].probability(eta)

    def linear_scale(self, mean: FloatArray) -> FloatArray:
        """The logit, probit or complementary log-log of the mean."""
        return PROBABILITY_LINKS[self.link].linear(mean)

    def draw(
        self,
        eta: FloatArray,
        sizes: FloatArray,
        standard_errors: FloatArray | None,
        dispersion: tuple[FloatArray, ...],
        rng: np.random.Generator,
    ) -> FloatArray:
        """A share, kept off 0 and 1, which rounding of tiny shapes would make of it."""
        log_p, log_q = PROBABILITY_LINKS[self.link].logs(eta)
        a, b = np.broadcast_arrays(*_find_shapes(log_p, log_q, self._precision(dispersion))[:2])
        return np.clip(rng.beta(a, b), _LEAST_SHARE, _LARGEST_SHARE)

    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """p (1 - p) / (precision + 1)."""
        share = 1.0 / (1.0 + self._precision(dispersion))
        return ResponseNoise(1.0, 0.0, share, -share)

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """The mean and sd of the values on the link's scale."""
        return mean_and_spread(self.linear_scale(response.values), counts)

    def guess_dispersions(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, ...]:
        """The precision from the variance about the overall mean."""
        if self.precision is not None:
            return ()
        mean, sd = mean_and_spread(response.values, counts)
        return (float(np.clip(mean * (1.0 - mean) / sd**2 - 1.0, 0.5, 1e6)),)

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Values are above 0 and below 1."""
        refuse_limits(title, response, self.name)
        check_shares(title, response.values, where)


def _find_shapes(log_p: FloatArray, log_q: FloatArray, phi: FloatArray) -> _Shapes:
    log_a, log_b = log_p + np.log(phi), log_q + np.log(phi)
    short = np.minimum(log_a - _LOG_LEAST, 0.0) + np.minimum(log_b - _LOG_LEAST, 0.0)
    return _Shapes(np.exp(np.maximum(log_a, _LOG_LEAST)), np.exp(np.maximum(log_b, _LOG_LEAST)), short)


def _deviance(shapes: _Shapes, response: ResponseColumns) -> FloatArray:
    """Return a log(y / mu) + b log((1 - y) / (1 - mu)), not positive: nothing of the order of the precision is lost."""
    return binomial_from_peak(np.log(response.values), np.log1p(-response.values), shapes.a, shapes.b)


def _log_density(log_p: FloatArray, log_q: FloatArray, phi: FloatArray, response: ResponseColumns) -> FloatArray:
    shapes = _find_shapes(log_p, log_q, phi)
    stirling = log_gamma_excess(phi) - log_gamma_excess(shapes.a) - log_gamma_excess(shapes.b)
    return np.asarray(_deviance(shapes, response) + stirling + shapes.short)


def _differentiate_share(log_p: Curve, log_y: FloatArray, a: FloatArray) -> Curve:
    """Return the derivatives by eta of a log(y / mu) and of a's part of the beta function, from those of log mu; terms
    that the other share takes off again are left out, and the value with them."""
    by_log = a * (log_y - log_p.value - digamma_gap(a))
    twice = by_log - scaled_trigamma(a)
    return Curve(a, by_log * log_p.first, by_log * log_p.second + twice * log_p.first**2)

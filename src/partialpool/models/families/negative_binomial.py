"""Negative binomial counts: Poisson counts whose rates scatter by a gamma distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.inputs.roles.role import DescribeRow
from partialpool.models.families.base import Derivatives, Family, ResponseColumns, ResponseName, ResponseNoise
from partialpool.models.families.checks import check_exposed_counts, refuse_limits
from partialpool.models.families.counts import draw_counts, overall_rate
from partialpool.models.families.large_counts import choose, is_large, log_count_constant, log_excess
from partialpool.models.families.links import LARGEST_LOG
from partialpool.models.families.mean_links import MEAN_LINKS
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.gamma_differences import digamma_excess, log_gamma_excess, log_rising_excess
from partialpool.numerics.log_excess import log_ratio_less

_ALMOST_MINUS_ONE = -1.0 + 2.0**-53


@dataclass(frozen=True)
class NegativeBinomial(Family):
    """Counts with mean m = exposure exp(eta) and variance m + m^2 / shape; ``shape`` is unknown unless given.

    Every term is written as its difference from the Poisson term, so that shapes of 1e12 lose nothing.
    """

    name: ClassVar[str] = "negative_binomial"
    links: ClassVar[tuple[str, ...]] = ("log",)
    response_name: ClassVar[ResponseName] = "rate"
    discrete: ClassVar[bool] = True
    cost: ClassVar[float] = 7.0

    link: str = "log"
    shape: float | None = None

    @property
    def dispersions(self) -> tuple[str, ...]:
        """The shape, unless it is given."""
        return ("shape",) if self.shape is None else ()

    def _shape(self, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        return dispersion[0] if self.shape is None else np.asarray(self.shape)

    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """y eta - (y + s) log(1 + m / s), and what the rising factorial of s has beside y log s."""
        shape, counts = self._shape(dispersion), response.values

        def plain() -> FloatArray:
            with np.errstate(over="ignore"):
                spent = np.log1p(np.exp(eta) * (response.sizes / shape))
            return np.asarray(counts * eta - (counts + shape) * spent + log_rising_excess(shape, counts))

        return choose(is_large(counts), lambda: _from_peak(eta, response, shape), plain)

    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """s (y - m) / (s + m), -(y + s) s m / (s + m)^2, and the derivative by the shape."""
        shape, counts = self._shape(dispersion), response.values
        mean = response.sizes * np.exp(np.minimum(eta, LARGEST_LOG))
        kept = shape / (shape + mean)
        total = counts + shape
        value = choose(
            is_large(counts),
            lambda: _from_peak(eta, response, shape),
            lambda: np.asarray(counts * eta - total * np.log1p(mean / shape) + log_rising_excess(shape, counts)),
        )
        first = (counts - mean) * kept
        second = -total * kept * (mean / (shape + mean))
        if self.shape is not None:
            return Derivatives(value, first, second)
        by_shape = digamma_excess(shape, counts) + log_ratio_less(total, shape + mean, counts - mean)
        return Derivatives(value, first, second, (by_shape,))

    def log_constant(self, response: ResponseColumns) -> FloatArray:
        """y log exposure - log y!, as of Poisson counts."""
        return log_count_constant(response.values, response.sizes)

    def response_scale(self, eta: FloatArray) -> FloatArray:
        """The rate."""
        return MEAN_LINKS[self.link].response(eta)

    def linear_scale(self, mean: FloatArray) -> FloatArray:
        """The log rate."""
        return MEAN_LINKS[self.link].linear(mean)

    def draw(
        self,
        eta: FloatArray,
        sizes: FloatArray,
        standard_errors: FloatArray | None,
        dispersion: tuple[FloatArray, ...],
        rng: np.random.Generator,
    ) -> FloatArray:
        """Counts in ``sizes`` units of exposure."""
        mean, shape = np.broadcast_arrays(sizes * self.response_scale(eta), self._shape(dispersion))
        return draw_counts(mean * (rng.standard_gamma(shape) / shape), rng)

    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """The mean, and its square over the shape."""
        return ResponseNoise(sizes, 0.0, sizes, sizes**2 / self._shape(dispersion))

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """The log of the overall rate; one order of e."""
        return float(np.log(overall_rate(response, counts))), 1.0

    def guess_dispersions(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, ...]:
        """The shape from the variance about the overall rate."""
        if self.shape is not None:
            return ()
        mean = response.sizes * overall_rate(response, counts)
        excess = float(counts @ ((response.values - mean) ** 2 - mean))
        squares = float(counts @ mean**2)
        return (float(np.clip(squares / max(excess, 1e-4 * squares), 0.1, 1e3)),)

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Counts are whole and not negative, exposures positive."""
        refuse_limits(title, response, self.name)
        check_exposed_counts(title, response, where)


def _from_peak(eta: FloatArray, response: ResponseColumns, shape: FloatArray) -> FloatArray:
    """Return y log((m / y) (y + s) / (m + s)) + s log((y + s) / (m + s)), and what Stirling's formula leaves of the
    gamma functions: of the order of s at most, and of that of one near the peak."""
    counts = response.values
    above = np.expm1(np.minimum(log_excess(eta, counts, response.sizes), LARGEST_LOG))  # m / y - 1
    total = counts + shape
    by_count = np.maximum(shape * above / (counts * (1.0 + above) + shape), _ALMOST_MINUS_ONE)
    value = counts * np.log1p(by_count) - shape * np.log1p(counts / total * above)
    return np.asarray(value + (log_gamma_excess(total) - log_gamma_excess(shape)))

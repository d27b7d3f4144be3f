"""Positive measurements of constant coefficient of variation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.inputs.roles.role import DescribeRow
from partialpool.models.families.base import Derivatives, Family, ResponseColumns, ResponseNoise
from partialpool.models.families.checks import check_positive, refuse_limits
from partialpool.models.families.data_scale import link_mean_and_spread, mean_and_spread
from partialpool.models.families.links import LARGEST_LOG
from partialpool.models.families.mean_links import LEAST, MEAN_LINKS, MeanLink
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.gamma_differences import digamma_gap, log_gamma_excess


@dataclass(frozen=True)
class GammaFamily(Family):
    """y ~ Gamma with mean m and variance m^2 / shape, link(m) = eta; ``shape`` is unknown unless given.

    Under 'inverse' and 'identity' eta is positive.
    """

    name: ClassVar[str] = "gamma"
    links: ClassVar[tuple[str, ...]] = ("log", "inverse", "identity")

    link: str = "log"
    shape: float | None = None

    @property
    def concave(self) -> bool:
        """Under all links but 'identity', where values far above the mean are convex in it."""
        return self.link != "identity"

    @property
    def dispersions(self) -> tuple[str, ...]:
        """The shape, unless it is given."""
        return ("shape",) if self.shape is None else ()

    @property
    def mean_link(self) -> MeanLink:
        """The functions of the link."""
        return MEAN_LINKS[self.link]

    def _shape(self, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        return dispersion[0] if self.shape is None else np.asarray(self.shape)

    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """shape (log(y / m) - y / m + 1), less what log Gamma(shape) has beside shape log shape - shape."""
        shape = self._shape(dispersion)
        positive = eta if self.mean_link.everywhere else np.maximum(eta, LEAST)
        ratio = np.log(response.values) - self.mean_link.log_mean(positive).value
        value = shape * (ratio - np.expm1(np.minimum(ratio, LARGEST_LOG))) - log_gamma_excess(shape)
        return value if self.mean_link.everywhere else np.where(eta > 0.0, value, -np.inf)

    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """With L = log m and v = y / m: shape (v - 1) L', shape ((v - 1) L'' - v L'^2), and by the shape; outside the
        link's range 0."""
        shape = self._shape(dispersion)
        positive = eta if self.mean_link.everywhere else np.maximum(eta, LEAST)
        level, slope, bend = self.mean_link.log_mean(positive)
        ratio = np.log(response.values) - level
        above = np.expm1(np.minimum(ratio, LARGEST_LOG))
        gap = ratio - above
        value = shape * gap - log_gamma_excess(shape)
        first = shape * slope * above
        second = shape * (bend * above - slope**2 * (above + 1.0))
        by_shape = gap - digamma_gap(shape)
        if not self.mean_link.everywhere:
            inside = eta > 0.0
            value = np.where(inside, value, -np.inf)
            first, second, by_shape = (np.where(inside, part, 0.0) for part in (first, second, by_shape))
        return Derivatives(value, first, second, (by_shape,) if self.shape is None else ())

    def log_constant(self, response: ResponseColumns) -> FloatArray:
        """-log y."""
        return np.asarray(-np.log(response.values))

    def response_scale(self, eta: FloatArray) -> FloatArray:
        """The mean, at its end where eta is outside the link's range."""
        return self.mean_link.response(eta)

    def linear_scale(self, mean: FloatArray) -> FloatArray:
        """The link of the mean."""
        return self.mean_link.linear(mean)

    def draw(
        self,
        eta: FloatArray,
        sizes: FloatArray,
        standard_errors: FloatArray | None,
        dispersion: tuple[FloatArray, ...],
        rng: np.random.Generator,
    ) -> FloatArray:
        """A positive measurement."""
        mean, shape = np.broadcast_arrays(self.response_scale(eta), self._shape(dispersion))
        return np.asarray(mean * (rng.standard_gamma(shape) / shape))

    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """The square of the mean over the shape."""
        return ResponseNoise(1.0, 0.0, 0.0, 1.0 / self._shape(dispersion))

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """The mean and sd of the values on the link's scale."""
        return link_mean_and_spread(self.link, response.values, counts)

    def guess_dispersions(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, ...]:
        """The squared coefficient of variation, inverted."""
        if self.shape is not None:
            return ()
        mean, sd = mean_and_spread(response.values, counts)
        return (float(np.clip((mean / sd) ** 2, 0.1, 1e6)),)

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Values are positive."""
        refuse_limits(title, response, self.name)
        check_positive(title, response.values, where, self.name, censored=False)

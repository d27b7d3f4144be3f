"""Measurements with Student-t noise, which outliers move less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from partialpool.inputs.roles.role import DescribeRow
from partialpool.models.families.base import Derivatives, Family, ResponseColumns, ResponseNoise
from partialpool.models.families.checks import check_noise, check_real, refuse_limits
from partialpool.models.families.data_scale import link_mean_and_spread, median_and_spread
from partialpool.models.families.mean_links import MEAN_LINKS
from partialpool.models.families.noise import chain_rule, get_noise, real_mean
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.gamma_differences import digamma_excess, log_rising_excess
from partialpool.numerics.log_excess import log_ratio_less

_HALF = np.asarray(0.5)
_LOG_ROOT_TWO_PI = 0.5 * np.log(2.0 * np.pi)
_USUAL_NU = 5.0


@dataclass(frozen=True)
class StudentTFamily(Family):
    """y = mean + sigma t, t ~ Student-t with nu degrees of freedom, link(mean) = eta.

    ``nu`` is unknown unless given; sigma is the rows' standard errors where ``known_noise``. Every term is written as
    its difference from the normal one, so that a nu of 1e12 loses nothing.
    """

    name: ClassVar[str] = "student_t"
    links: ClassVar[tuple[str, ...]] = ("identity", "log")
    single_peaked: ClassVar[bool] = False

    link: str = "identity"
    nu: float | None = None
    known_noise: bool = False

    @property
    def concave(self) -> bool:
        """No: tails are convex."""
        return False

    @property
    def dispersions(self) -> tuple[str, ...]:
        """The scale and the degrees of freedom, as far as they are unknown."""
        return (() if self.known_noise else ("sigma",)) + (() if self.nu is not None else ("nu",))

    def _nu(self, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        return dispersion[-1] if self.nu is None else np.asarray(self.nu)

    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """-(nu + 1) / 2 log(1 + z^2 / nu) - log sigma, and the ratio of gamma functions."""
        nu, scale = self._nu(dispersion), get_noise(self.known_noise, response.standard_errors, dispersion)
        square = (response.values - real_mean(self.link, eta)) / scale
        square *= square
        return -0.5 * (nu + 1.0) * np.log1p(square / nu) + (log_rising_excess(0.5 * nu, _HALF) - np.log(scale))

    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """By the mean (nu + 1) z / (sigma (nu + z^2)), and so on; by sigma and nu as far as they are unknown."""
        nu, scale = self._nu(dispersion), get_noise(self.known_noise, response.standard_errors, dispersion)
        z = (response.values - real_mean(self.link, eta)) / scale
        square = z * z
        bottom = nu + square
        weight = (nu + 1.0) / bottom
        value = -0.5 * (nu + 1.0) * np.log1p(square / nu) + (log_rising_excess(0.5 * nu, _HALF) - np.log(scale))
        by_mean = weight * z / scale
        by_mean_twice = -weight * (nu - square) / bottom / scale**2
        by_dispersion: tuple[FloatArray, ...] = ()
        if not self.known_noise:
            by_dispersion += (nu / bottom * (square - 1.0) / scale,)
        if self.nu is None:
            spread = log_ratio_less(nu + 1.0, bottom, 1.0 - square)
            by_dispersion += (0.5 * (digamma_excess(0.5 * nu, _HALF) + spread),)
        return Derivatives(value, *chain_rule(self.link, eta, by_mean, by_mean_twice), by_dispersion)

    def log_constant(self, response: ResponseColumns) -> FloatArray:
        """-log(2 pi) / 2, the normal limit's."""
        return np.full(response.values.shape, -_LOG_ROOT_TWO_PI)

    def response_scale(self, eta: FloatArray) -> FloatArray:
        """The centre, which is the mean where nu is above 1."""
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
        """A measurement about the mean."""
        scale = get_noise(self.known_noise, standard_errors, dispersion)
        mean, scale, nu = np.broadcast_arrays(real_mean(self.link, eta), scale, self._nu(dispersion))
        return mean + scale * rng.standard_t(nu)

    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """The square of the scale times nu / (nu - 2)."""
        nu, scale = self._nu(dispersion), get_noise(self.known_noise, standard_errors, dispersion)
        with np.errstate(divide="ignore"):
            return ResponseNoise(1.0, scale**2 * np.where(nu > 2.0, nu / np.maximum(nu - 2.0, 0.0), np.inf), 0.0, 0.0)

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """The median of the values and their spread about it, on the link's scale."""
        if self.link == "identity":
            return median_and_spread(response.values, counts)
        return link_mean_and_spread(self.link, response.values, counts)

    def guess_dispersions(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, ...]:
        """The spread of the values about their median, and 5 degrees of freedom."""
        spread = median_and_spread(response.values, counts)[1]
        return tuple({"sigma": spread, "nu": _USUAL_NU}[name] for name in self.dispersions)

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Values are finite and known noise is positive."""
        refuse_limits(title, response, self.name)
        check_real(title, response.values, where)
        if self.known_noise:
            check_noise(title, response, where, self.name)

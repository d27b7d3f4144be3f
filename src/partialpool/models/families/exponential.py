"""Waiting times of constant hazard, which may be censored or truncated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from partialpool.inputs.roles.role import DescribeRow, Role, refuse
from partialpool.models.families.base import Derivatives, Family, Merging, ResponseColumns, ResponseNoise
from partialpool.models.families.data_scale import measured_values
from partialpool.models.families.limit_checks import check_limits
from partialpool.models.families.links import LARGEST_LOG, cloglog_curve, log_of_cloglog
from partialpool.models.families.mean_links import MEAN_LINKS
from partialpool.numerics.arrays import FloatArray


@dataclass(frozen=True)
class ExponentialFamily(Family):
    """y ~ Exponential with mean exp(eta).

    Without limits, values of rows with equal predictors are sufficient as sums, with ``sizes`` the numbers of rows that
    were observed to their end: a right-censored row is a value of size 0.
    """

    name: ClassVar[str] = "exponential"
    links: ClassVar[tuple[str, ...]] = ("log",)
    merging: ClassVar[Merging] = "sums"

    link: str = "log"

    @property
    def concave(self) -> bool:
        """No: truncation from above is convex in eta for values near the lower limit (all else is concave)."""
        return False

    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """-size eta - (time at risk) exp(-eta), and log(1 - exp(-width exp(-eta))) of intervals."""
        sizes, times = _summarise(response)
        value = -sizes * eta - times * np.exp(np.minimum(-eta, LARGEST_LOG))
        for sign, log_width, where in _bounded(response):
            share = log_of_cloglog(log_width - eta)
            value = value + (sign * share if where is None else np.where(where, sign * share, 0.0))
        return value

    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """Those of ``log_density``; by -eta where an interval's share depends on log(width) - eta."""
        sizes, times = _summarise(response)
        risk = times * np.exp(np.minimum(-eta, LARGEST_LOG))
        value, first, second = -sizes * eta - risk, risk - sizes, -risk
        for sign, log_width, where in _bounded(response):
            share = cloglog_curve(log_width - eta)
            parts = (sign * share.value, -sign * share.first, sign * share.second)
            if where is not None:
                parts = tuple(np.where(where, part, 0.0) for part in parts)  # type: ignore[assignment]
            value, first, second = value + parts[0], first + parts[1], second + parts[2]
        return Derivatives(value, first, second)

    def response_scale(self, eta: FloatArray) -> FloatArray:
        """The mean."""
        return MEAN_LINKS["log"].response(eta)

    def linear_scale(self, mean: FloatArray) -> FloatArray:
        """The log of the mean."""
        return MEAN_LINKS["log"].linear(mean)

    def draw(
        self,
        eta: FloatArray,
        sizes: FloatArray,
        standard_errors: FloatArray | None,
        dispersion: tuple[FloatArray, ...],
        rng: np.random.Generator,
    ) -> FloatArray:
        """The sum of ``sizes`` times."""
        mean, shape = np.broadcast_arrays(self.response_scale(eta), sizes)
        return np.asarray(mean * rng.standard_gamma(shape))

    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """As many squares of the mean as times."""
        return ResponseNoise(sizes, 0.0, 0.0, sizes)

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """The log of the time at risk per observed row; one order of e."""
        values = measured_values(response)
        codes = 0 if response.censoring is None else response.censoring
        observed = np.where(np.asarray(codes) == 0, response.sizes, np.where(np.asarray(codes) == 1, 0.0, 1.0))
        ended = max(float(counts @ observed), 0.5)
        return float(np.log(max(float(counts @ values), 1e-300) / ended)), 1.0

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Times are not negative, and limits agree with them."""
        values = response.values
        measured = Role(title, title, values)
        bad = ~(values >= 0.0) | np.isinf(values)
        remedy = "with family='exponential' values are times, not negative; mend or drop the row, or give family="
        refuse(measured, bad, where, f"{remedy}'gaussian'")
        codes = np.zeros(len(values), dtype=np.intp) if response.censoring is None else response.censoring
        empty = (codes == -1) & (values == 0.0)
        refuse(measured, empty, where, "with code 'left' nothing is below 0: mend its code, or drop the row")
        check_limits(title, response, where)


def _lowest(response: ResponseColumns) -> FloatArray:
    """Return the lower limits of truncation, 0 where there are none."""
    return np.asarray(0.0) if response.lower_limit is None else np.maximum(response.lower_limit, 0.0)


def _summarise(response: ResponseColumns) -> tuple[FloatArray, FloatArray]:
    """Return how many rows ended, and the time at risk since the lower limit of truncation, each as ``values``."""
    sizes, times = response.sizes, response.values - _lowest(response)
    if response.censoring is not None:
        sizes = np.where(response.censoring == 0, sizes, 0.0)
        times = np.where(response.censoring == -1, 0.0, times)
    return sizes, times


def _bounded(response: ResponseColumns) -> list[tuple[float, FloatArray, NDArray[np.bool_] | None]]:
    """Return the intervals of finite width that enter: their sign, log width, and the rows where they do, None for
    all."""
    found: list[tuple[float, FloatArray, NDArray[np.bool_] | None]] = []
    codes, values, lower = response.censoring, response.values, _lowest(response)
    if codes is not None and codes.any():
        upper = np.inf if response.upper_limit is None else response.upper_limit
        width = np.where(codes == -1, values - lower, np.where(codes == 1, upper - values, 1.0))
        if response.upper is not None:
            width = np.where(codes == 2, response.upper - values, width)
        finite = (codes != 0) & np.isfinite(width)
        if finite.any():
            found.append((1.0, np.log(np.where(finite, width, 1.0)), finite))
    if response.upper_limit is not None:
        found.append((-1.0, np.log(response.upper_limit - lower), None))
    return found

"""Counts with more zeros than their distribution has: some rows cannot be anything else."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.roles.role import DescribeRow
from partialpool.models.families.base import Derivatives, Family, ResponseColumns, ResponseName, ResponseNoise, Support
from partialpool.models.families.checks import check_exposed_counts, refuse_limits
from partialpool.models.families.counts import overall_rate
from partialpool.models.families.links import log_sigmoid, sigmoid
from partialpool.models.families.negative_binomial import NegativeBinomial
from partialpool.models.families.poisson import Poisson
from partialpool.numerics.arrays import FloatArray

# Where the share of structural zeros is guessed to be, at least and at most.
_GUESSES = (0.05, 0.9)


class _Zero(NamedTuple):
    """The probability of a structural zero with the logs of it and of its complement."""

    probability: FloatArray
    log: FloatArray
    log_rest: FloatArray


@dataclass(frozen=True)
class ZeroInflated(Family):
    """A row is a structural zero with probability ``zero``, else a count of ``counts``' family with mean exposure
    exp(eta) (Lambert 1992, Technometrics 34:1-14, equation 1).

    ``zero`` is unknown unless given. Where rows have ``zero_columns`` its logit is a linear predictor of its own,
    with a coefficient for each of ``zero_names``. The log density of a zero is not concave in eta: from 0 it falls to
    log zero, and stays there, so that a group of zeros and large counts may have two peaks.
    """

    links: ClassVar[tuple[str, ...]] = ("log",)
    response_name: ClassVar[ResponseName] = "rate"
    discrete: ClassVar[bool] = True
    single_peaked: ClassVar[bool] = False
    zero_inflated: ClassVar[bool] = True

    link: str = "log"
    zero: float | None = None
    zero_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.zero is not None and not 0.0 < self.zero < 1.0:
            raise DataError(
                f"zero={self.zero!r} with family='{self.name}': it is the probability of a structural zero, between 0 "
                "and 1; leave it out to learn it"
            )

    @property
    @abstractmethod
    def counts(self) -> Family:
        """The family of the rows that are not structural zeros."""

    @property
    def concave(self) -> bool:
        """No: zeros are convex where the mean is large."""
        return False

    @property
    def dispersions(self) -> tuple[str, ...]:
        """Those of the counts, then ``zero``, or its coefficients 'zero: x'."""
        own = tuple(f"zero: {name}" for name in self.zero_names) or (("zero",) if self.zero is None else ())
        return (*self.counts.dispersions, *own)

    @property
    def supports(self) -> tuple[Support, ...]:
        """``zero`` is a probability, its coefficients are any numbers."""
        own: Support = "line" if self.zero_names else "unit interval"
        return (*self.counts.supports, *(own for _ in self.dispersions[len(self.counts.dispersions) :]))

    def _split(self, dispersion: tuple[FloatArray, ...]) -> tuple[tuple[FloatArray, ...], tuple[FloatArray, ...]]:
        n_counts = len(self.counts.dispersions)
        return dispersion[:n_counts], dispersion[n_counts:]

    def _find_zero(self, dispersion: tuple[FloatArray, ...], columns: FloatArray | None) -> _Zero:
        own = self._split(dispersion)[1]
        if self.zero_names:
            assert columns is not None
            logit = np.asarray(sum(columns[:, k] * value for k, value in enumerate(own)))
            return _Zero(sigmoid(logit), log_sigmoid(logit), log_sigmoid(-logit))
        p = np.asarray(own[0] if self.zero is None else self.zero)
        with np.errstate(divide="ignore"):
            return _Zero(p, np.log(p), np.log1p(-p))

    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """log(zero + (1 - zero) f(0)) of a zero, log(1 - zero) + log f(y) of another count."""
        zero = self._find_zero(dispersion, response.zero_columns)
        counted = zero.log_rest + self.counts.log_density(eta, response, self._split(dispersion)[0])
        return np.where(response.values == 0.0, np.logaddexp(zero.log, counted), counted)

    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """Those of the counts, times the probability w that a zero is none of the structural ones; the second has
        w (1 - w) times the square of the first beside."""
        zero = self._find_zero(dispersion, response.zero_columns)
        found = self.counts.derivatives(eta, response, self._split(dispersion)[0])
        counted = zero.log_rest + found.value
        is_zero = response.values == 0.0
        value = np.where(is_zero, np.logaddexp(zero.log, counted), counted)
        of_zero = np.where(is_zero, value, 0.0)
        share = np.where(is_zero, np.exp(np.where(is_zero, counted, 0.0) - of_zero), 1.0)
        rest = np.where(is_zero, np.exp(zero.log - of_zero), 0.0)

        def weigh(slope: FloatArray) -> FloatArray:
            with np.errstate(invalid="ignore"):  # far out the slope of a zero is without end, and its share 0
                return np.where(share > 0.0, share * slope, 0.0)

        first = weigh(found.first)
        with np.errstate(over="ignore", invalid="ignore"):
            second = weigh(found.second) + np.where((share > 0.0) & (rest > 0.0), rest * first * found.first, 0.0)
        by_counts = tuple(weigh(slope) for slope in found.by_dispersion)
        if self.zero_names:
            assert response.zero_columns is not None
            by_logit = rest - zero.probability
            by_zero = tuple(response.zero_columns[:, k] * by_logit for k in range(len(self.zero_names)))
        elif self.zero is None:
            inflated = np.where(is_zero, np.expm1(-of_zero), -1.0)
            by_zero = (inflated / (1.0 - zero.probability),)
        else:
            by_zero = ()
        return Derivatives(value, first, second, by_counts + by_zero)

    def log_constant(self, response: ResponseColumns) -> FloatArray:
        """That of the counts, which is 0 for a zero."""
        return self.counts.log_constant(response)

    def response_scale(self, eta: FloatArray) -> FloatArray:
        """The rate of rows that are no structural zeros."""
        return self.counts.response_scale(eta)

    def linear_scale(self, mean: FloatArray) -> FloatArray:
        """The log rate."""
        return self.counts.linear_scale(mean)

    def settle(self, dispersion: tuple[FloatArray, ...], zero_columns: FloatArray | None) -> tuple[FloatArray, ...]:
        """Return the dispersions of the counts, then each row's probability of a structural zero."""
        return (*self._split(dispersion)[0], self._find_zero(dispersion, zero_columns).probability)

    def mean_share(self, settled: tuple[FloatArray, ...]) -> FloatArray:
        """1 - zero."""
        return np.asarray(1.0 - settled[-1])

    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """That of the counts, and of whether there are any: zero / (1 - zero) times the squared mean."""
        found = self.counts.response_noise(sizes, standard_errors, dispersion[:-1])
        zero = dispersion[-1]
        return found._replace(square=(found.square + zero * np.square(found.factor)) / (1.0 - zero))

    def draw(
        self,
        eta: FloatArray,
        sizes: FloatArray,
        standard_errors: FloatArray | None,
        dispersion: tuple[FloatArray, ...],
        rng: np.random.Generator,
    ) -> FloatArray:
        """Counts, of which some are zeros whatever their rate."""
        drawn = np.asarray(self.counts.draw(eta, sizes, standard_errors, dispersion[:-1], rng))
        return np.where(rng.random(drawn.shape) < dispersion[-1], 0.0, drawn)

    def _guess_zero(self, response: ResponseColumns, counts: FloatArray) -> float:
        """Return what the zeros are in excess of a Poisson distribution's, roughly."""
        if self.zero is not None:
            return self.zero
        mean = response.sizes * overall_rate(response, counts)
        expected = float(np.average(np.exp(-mean), weights=counts))
        seen = float(np.average(response.values == 0.0, weights=counts))
        return float(np.clip((seen - expected) / (1.0 - expected), *_GUESSES))

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """The log of the overall rate of rows that are no structural zeros; one order of e."""
        location, spread = self.counts.typical_eta(response, counts)
        return location - float(np.log1p(-self._guess_zero(response, counts))), spread

    def guess_dispersions(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, ...]:
        """Those of the counts, and what there is of zeros in excess."""
        own = self.counts.guess_dispersions(response, counts)
        if self.zero_names:
            guess = self._guess_zero(response, counts)
            logit = float(np.log(guess) - np.log1p(-guess))
            return (*own, *(logit if name == "Intercept" else 0.0 for name in self.zero_names))
        return own if self.zero is not None else (*own, self._guess_zero(response, counts))

    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Counts are whole and not negative, exposures positive; without a zero nothing is inflated."""
        refuse_limits(title, response, self.name)
        check_exposed_counts(title, response, where)
        if not np.any(response.values == 0.0):
            raise DataError(
                f"{title} has no zero: there is nothing that family='{self.name}' could explain by structural zeros; "
                f"give family='{self.counts.name}'"
            )


@dataclass(frozen=True)
class ZeroInflatedPoisson(ZeroInflated):
    """Zeros with probability ``zero``, else Poisson counts."""

    name: ClassVar[str] = "zero_inflated_poisson"
    cost: ClassVar[float] = 3.0

    @property
    def counts(self) -> Poisson:
        """Poisson counts."""
        return Poisson()


@dataclass(frozen=True)
class ZeroInflatedNegativeBinomial(ZeroInflated):
    """Zeros with probability ``zero``, else negative binomial counts; ``shape`` as there."""

    name: ClassVar[str] = "zero_inflated_negative_binomial"
    cost: ClassVar[float] = 9.0

    shape: float | None = None

    @property
    def counts(self) -> NegativeBinomial:
        """Negative binomial counts."""
        return NegativeBinomial(shape=self.shape)

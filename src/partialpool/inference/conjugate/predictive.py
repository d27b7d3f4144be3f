"""Beta-binomial and negative binomial probabilities of counts, at any shapes from 1e-300 to 1e12."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from partialpool.inference.laws.deviance import deviance
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.gamma_differences import log_gamma_excess


def successes_log_pmf(counts: FloatArray, sizes: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """Return log of C(n, y) B(y + a, n - y + b) / B(a, b); all arguments broadcast, 0 <= counts <= sizes."""
    counts, sizes, a, b = (np.asarray(each, dtype=np.float64) for each in (counts, sizes, a, b))
    failures, total = sizes - counts, a + b
    inverse = 1.0 / (sizes + total)
    p, q, excess = (counts + a) * inverse, (failures + b) * inverse, (counts * b - failures * a) * inverse
    none, every = (counts == 0.0).astype(np.float64), (failures == 0.0).astype(np.float64)
    lost = deviance(sizes * p, excess, none) + deviance(sizes * q, -excess, every)
    lost += deviance(total * p, -excess) + deviance(total * q, excess)
    left = _step(a, counts) + _step(b, failures) - _step(total, sizes)
    return np.asarray(left - lost + _factorial(sizes) - _factorial(counts) - _factorial(failures))


def counts_log_pmf(counts: FloatArray, exposures: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """Return log of E^y Gamma(y + a) b^a / (y! Gamma(a) (b + E)^(y + a)); all arguments broadcast."""
    counts, exposures, a, b = (np.asarray(each, dtype=np.float64) for each in (counts, exposures, a, b))
    inverse = 1.0 / (exposures + b)
    rate, excess = (counts + a) * inverse, (counts * b - exposures * a) * inverse
    lost = deviance(exposures * rate, excess, (counts == 0.0).astype(np.float64)) + deviance(b * rate, -excess)
    return np.asarray(_step(a, counts) - lost - _factorial(counts))


class Counts(Protocol):
    """One row's distributions of counts (node, 1)."""

    @property
    def most(self) -> float:
        """The largest count."""

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Return means and variances (node,)."""

    def log_pmf(self, counts: FloatArray) -> FloatArray:
        """Return log probabilities (node, count)."""

    def log_ratio(self, counts: FloatArray) -> FloatArray:
        """Return the log (node, count) of the probability of one more over that of each count."""


@dataclass(frozen=True, eq=False)
class Successes:
    """Successes among ``size`` trials of a probability that is beta of shapes ``a``, ``b`` (node, 1)."""

    size: float
    a: FloatArray
    b: FloatArray

    @property
    def most(self) -> float:
        """The trials."""
        return self.size

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Those of the beta-binomial distribution."""
        total = self.a + self.b
        p, q = self.a / total, self.b / total
        return (self.size * p)[:, 0], (self.size * p * q * (total + self.size) / (total + 1.0))[:, 0]

    def log_pmf(self, counts: FloatArray) -> FloatArray:
        """Beta-binomial."""
        return successes_log_pmf(counts, np.array(self.size), self.a, self.b)

    def log_ratio(self, counts: FloatArray) -> FloatArray:
        """(n - y) (y + a) over (y + 1) (n - y - 1 + b)."""
        failures = self.size - counts
        return np.log(((counts + self.a) / (counts + 1.0)) * (failures / (failures - 1.0 + self.b)))


@dataclass(frozen=True, eq=False)
class ExposedCounts:
    """Counts in an ``exposure`` at a rate that is gamma of shape ``a`` and inverse scale ``b`` (node, 1)."""

    exposure: float
    a: FloatArray
    b: FloatArray

    @property
    def most(self) -> float:
        """There is none."""
        return np.inf

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Those of the negative binomial distribution."""
        mean = self.exposure * self.a / self.b
        return mean[:, 0], (mean * (1.0 + self.exposure / self.b))[:, 0]

    def log_pmf(self, counts: FloatArray) -> FloatArray:
        """Negative binomial."""
        return counts_log_pmf(counts, np.array(self.exposure), self.a, self.b)

    def log_ratio(self, counts: FloatArray) -> FloatArray:
        """E (y + a) over (y + 1) (b + E)."""
        return np.log((counts + self.a) / (counts + 1.0)) - np.log1p(self.b / self.exposure)


def _step(a: FloatArray, k: FloatArray) -> FloatArray:
    return np.asarray(log_gamma_excess(a + k) - log_gamma_excess(a))


def _factorial(k: FloatArray) -> FloatArray:
    """Return log k! - k log k + k."""
    positive = np.maximum(k, 0.5)
    return np.where(k > 0.0, log_gamma_excess(positive) + np.log(positive), 0.0)

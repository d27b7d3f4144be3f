"""Beta and gamma distributions of groups' parameters on the linear predictor's scale t: logit p, log rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, expit, gammainc, gammaincc, gammainccinv, gammaincinv

from partialpool.inference.laws.beta_tails import beta_tail
from partialpool.inference.laws.deviance import deviance
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.gamma_differences import log_gamma_excess

# Distance from 0 beyond which tails are exactly exponential in t in double precision.
_FAR = 600.0
_LEAST, _ALMOST_ONE = 1e-300, 1.0 - 2.0**-53


class Tail(NamedTuple):
    """The probability (node, item) beyond t, the density there and the derivative of the density by t."""

    probability: FloatArray
    density: FloatArray
    slope: FloatArray


class Law(Protocol):
    """Distributions (node, item) of t."""

    def log_peak(self) -> FloatArray:
        """Return the log density (node, item) at the mode."""

    def tail(self, t: FloatArray, lower: bool, log_peak: FloatArray) -> Tail:
        """Return the probabilities below t (item,), or above, and the densities."""

    def start(self, probability: float, lower: bool, node_weights: FloatArray) -> FloatArray:
        """Return t (item,) with ``probability`` below, or above, in the one distribution of the mixture's moments."""

    def take(self, items: NDArray[np.bool_]) -> Law:
        """Return the laws of some items."""


@dataclass(frozen=True, eq=False)
class BetaLaw:
    """p of shapes ``a`` and ``b`` (node, item); t = logit p."""

    a: FloatArray
    b: FloatArray

    def log_peak(self) -> FloatArray:
        """What Stirling's formula leaves of the normalising constant."""
        return np.asarray(log_gamma_excess(self.a + self.b) - log_gamma_excess(self.a) - log_gamma_excess(self.b))

    def tail(self, t: FloatArray, lower: bool, log_peak: FloatArray) -> Tail:
        """Incomplete beta functions of the smaller of p and 1 - p."""
        near = np.clip(t, -_FAR, _FAR)
        p, q = expit(near), expit(-near)
        excess = self.a * q - self.b * p
        total = self.a + self.b
        beyond = np.where(t < 0.0, self.a, self.b) * -np.abs(t - near)
        density = np.exp(log_peak - deviance(total * p, excess) - deviance(total * q, -excess) + beyond)
        probability = beta_tail(self.a, self.b, near, lower, log_peak)
        inwards = (t < 0.0) == lower
        probability = np.where(inwards, probability * np.exp(beyond), probability)
        return Tail(probability, density, density * excess)

    def start(self, probability: float, lower: bool, node_weights: FloatArray) -> FloatArray:
        """Beta of the mixture's mean and variance."""
        total = self.a + self.b
        p, q = self.a / total, self.b / total
        mean, other = node_weights @ p, node_weights @ q
        variance = node_weights @ (p * q / (total + 1.0) + (p - mean) ** 2)
        size = mean * other / variance - 1.0
        size = np.where(size > 0.0, size, node_weights @ total)
        one, two = (mean, other) if lower else (other, mean)
        p = np.clip(betaincinv(one * size, two * size, probability), _LEAST, _ALMOST_ONE)
        return np.asarray((np.log(p) - np.log1p(-p)) * (1.0 if lower else -1.0))

    def take(self, items: NDArray[np.bool_]) -> BetaLaw:
        """Columns of the shapes."""
        return BetaLaw(self.a[:, items], self.b[:, items])


@dataclass(frozen=True, eq=False)
class GammaLaw:
    """Rates of shapes ``a`` and inverse scales ``b`` (node, item); t = log rate."""

    a: FloatArray
    b: FloatArray

    def log_peak(self) -> FloatArray:
        """What Stirling's formula leaves of the normalising constant."""
        return -log_gamma_excess(self.a)

    def tail(self, t: FloatArray, lower: bool, log_peak: FloatArray) -> Tail:
        """Incomplete gamma functions."""
        near = np.clip(t, -_FAR, _FAR)
        x = self.b * np.exp(near)
        beyond = self.a * np.minimum(t - near, 0.0)
        density = np.exp(log_peak - deviance(x, self.a - x) + beyond)
        probability = gammainc(self.a, x) * np.exp(beyond) if lower else gammaincc(self.a, x)
        return Tail(probability, density, density * (self.a - x))

    def start(self, probability: float, lower: bool, node_weights: FloatArray) -> FloatArray:
        """Gamma of the mixture's mean and variance."""
        each = self.a / self.b
        mean = node_weights @ each
        variance = node_weights @ (each / self.b + (each - mean) ** 2)
        inverse = gammaincinv if lower else gammainccinv
        quantile = np.maximum(inverse(mean * mean / variance, probability), _LEAST)
        return np.asarray(np.log(quantile) + np.log(variance / mean))

    def take(self, items: NDArray[np.bool_]) -> GammaLaw:
        """Columns of the shapes and inverse scales."""
        return GammaLaw(self.a[:, items], self.b[:, items])

"""Log densities in several dimensions whose integrals and moments are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """A log density, its log integral, and the mean and sd of every coordinate."""

    log_density: Callable[[FloatArray], FloatArray]
    log_integral: float
    mean: FloatArray
    sd: FloatArray

    @property
    def dimension(self) -> int:
        """The number of coordinates."""
        return len(self.mean)


def correlated_normal(dimension: int, correlation: float = 0.9) -> Target:
    """An autoregressive normal whose coordinates have sds from 0.01 to 3."""
    sd = np.logspace(-2, 0.5, dimension)
    lags = np.abs(np.subtract.outer(np.arange(dimension), np.arange(dimension)))
    covariance = correlation**lags * np.outer(sd, sd)
    precision, centre = np.linalg.inv(covariance), np.linspace(-3, 3, dimension) * sd
    log_integral = 0.5 * dimension * np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(covariance)[1]

    def log_density(x: FloatArray) -> FloatArray:
        return np.asarray(-0.5 * np.einsum("ni,ij,nj->n", x - centre, precision, x - centre))

    return Target(log_density, float(log_integral), centre, sd)


def log_gammas(dimension: int) -> Target:
    """Logs of gamma variables, mixed by a triangular matrix of determinant 1: skewed and correlated."""
    shapes = np.linspace(0.7, 6.0, dimension)
    mixing = np.tril(np.full((dimension, dimension), 0.4), -1) + np.eye(dimension)
    inverse = np.linalg.inv(mixing)

    def log_density(x: FloatArray) -> FloatArray:
        z = x @ inverse.T
        return np.asarray((shapes * z - np.exp(z)).sum(axis=1))

    return Target(
        log_density,
        float(special.gammaln(shapes).sum()),
        mixing @ special.digamma(shapes),
        np.sqrt(mixing**2 @ special.polygamma(1, shapes)),
    )


def funnel(dimension: int, width: float = 1.0) -> Target:
    """A log scale and coordinates that have it, as an sd and the effects under it do."""

    def log_density(x: FloatArray) -> FloatArray:
        scale = x[:, :1]
        inner = -0.5 * x[:, 1:] ** 2 * np.exp(-2 * scale) - scale
        return np.asarray(-0.5 * (x[:, 0] / width) ** 2 + inner.sum(axis=1))

    sd = np.full(dimension, np.exp(width**2))
    sd[0] = width
    return Target(log_density, 0.5 * dimension * np.log(2 * np.pi) + np.log(width), np.zeros(dimension), sd)


def student(dimension: int, degrees: float) -> Target:
    """A multivariate Student t: polynomial tails."""

    def log_density(x: FloatArray) -> FloatArray:
        return np.asarray(-0.5 * (degrees + dimension) * np.log1p((x**2).sum(axis=1) / degrees))

    log_integral = (
        special.gammaln(0.5 * degrees)
        - special.gammaln(0.5 * (degrees + dimension))
        + 0.5 * dimension * np.log(degrees * np.pi)
    )
    sd = np.full(dimension, np.sqrt(degrees / (degrees - 2)))
    return Target(log_density, float(log_integral), np.zeros(dimension), sd)

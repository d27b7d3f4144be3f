"""Beta probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from partialpool.models.populations.base import Population, PopulationDerivatives, Support
from partialpool.models.populations.gamma import draw_log_gamma
from partialpool.models.populations.log_beta import log_beta_peak, log_less_digamma
from partialpool.models.populations.reach import find_reach
from partialpool.numerics.arrays import FloatArray

# Beyond this distance from the mode a tail is exactly exponential in double precision.
_FAR = 500.0


class _Ratios(NamedTuple):
    """log(p / p0) and log(q / q0) for p = 1 - q of a logit a distance from the mode, where p0 = 1 - q0 = alpha / n."""

    of_p: FloatArray
    of_q: FloatArray


@dataclass(frozen=True)
class BetaPopulation(Population):
    """Probabilities p, beta with shapes ``alpha`` and ``beta``; t = logit p.

    With m = log(alpha / beta), the mode of t, the log density is its peak plus alpha log(p / p0) + beta log(q / q0):
    terms of the order of the shapes never meet.
    """

    name: ClassVar[str] = "beta"
    support: ClassVar[Support] = "probability"
    centred: ClassVar[bool] = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The two shapes."""
        return ("alpha", "beta")

    def log_density(self, t: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
        """Beside the mode."""
        alpha, beta = values
        return np.asarray(log_beta_peak(alpha, beta) - _fall(t - np.log(alpha / beta), alpha, beta))

    def derivatives(self, t: FloatArray, values: tuple[FloatArray, ...]) -> PopulationDerivatives:
        """alpha q - beta p and -(alpha + beta) p q by t; those by the shapes from log p and log q."""
        alpha, beta = values
        total = alpha + beta
        d = t - np.log(alpha / beta)
        small = np.exp(-np.abs(t))
        larger, smaller = 1.0 / (1.0 + small), small / (1.0 + small)
        p, q = np.where(t >= 0.0, larger, smaller), np.where(t >= 0.0, smaller, larger)
        fall = -np.expm1(-np.abs(d))
        by_t = np.where(d > 0.0, -beta * p, alpha * q) * fall
        ratios = _log_ratios(d, alpha, beta)
        by_alpha = ratios.of_p + log_less_digamma(alpha) - log_less_digamma(total)
        by_beta = ratios.of_q + log_less_digamma(beta) - log_less_digamma(total)
        value = log_beta_peak(alpha, beta) - _fall(d, alpha, beta)
        return PopulationDerivatives(value, by_t, -total * p * q, (by_alpha, by_beta))

    def window(self, values: tuple[FloatArray, ...], log_drop: float) -> tuple[FloatArray, FloatArray]:
        """The tails fall like exp(alpha t) and exp(-beta t)."""
        alpha, beta = np.broadcast_arrays(*values)
        mode = np.log(alpha / beta)
        start = np.sqrt(2.0 * log_drop / alpha + 2.0 * log_drop / beta)
        below = find_reach(lambda e: _fall(-e, alpha, beta), start, log_drop)
        above = find_reach(lambda e: _fall(e, alpha, beta), start, log_drop)
        return np.asarray(mode - below), np.asarray(mode + above)

    def location_scale(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """Beside the mode, where tails of small shapes begin; the sd at the peak, or 1, in which tails bend, if it is
        less."""
        alpha, beta = np.broadcast_arrays(*values)
        return np.asarray(np.log((1.0 + alpha) / (1.0 + beta))), np.asarray(
            1.0 / np.sqrt(1.0 + _precision(alpha, beta))
        )

    def stretch(self, values: tuple[FloatArray, ...]) -> FloatArray:
        """What shortens the tails of small shapes."""
        alpha, beta = np.broadcast_arrays(*values)
        return np.asarray(0.5 / (1.0 + _precision(alpha, beta)))

    def draw(self, values: tuple[FloatArray, ...], shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Differences of logs of gamma draws."""
        alpha, beta = values
        return draw_log_gamma(alpha, shape, rng) - draw_log_gamma(beta, shape, rng)

    def mean_sd_response(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """alpha / (alpha + beta), and the root of the mean times one less the mean over alpha + beta + 1."""
        alpha, beta = np.broadcast_arrays(*values)
        total = alpha + beta
        return alpha / total, np.sqrt(alpha / total) * np.sqrt(beta / total) / np.sqrt(total + 1.0)


def _precision(alpha: FloatArray, beta: FloatArray) -> FloatArray:
    """Return minus the second derivative at the mode."""
    return np.asarray(np.minimum(alpha, beta) * (np.maximum(alpha, beta) / (alpha + beta)))


def _oriented(d: FloatArray, alpha: FloatArray, beta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the distance e from the mode towards the larger shape's side, log(1 + r (exp(e) - 1)) and e's part beyond
    the far point, r <= 1/2 the smaller shape's share; of what is beyond the far point the logarithm holds nothing."""
    share = np.minimum(alpha, beta) / (alpha + beta)
    e = np.where(alpha <= beta, d, -d)
    near = np.minimum(e, _FAR)
    return near, np.asarray(np.log1p(share * np.expm1(near))), np.asarray(e - near)


def _fall(d: FloatArray, alpha: FloatArray, beta: FloatArray) -> FloatArray:
    """Return the log density at the mode less that at a distance ``d`` of it."""
    near, log_size, beyond = _oriented(d, alpha, beta)
    smaller, larger = np.minimum(alpha, beta), np.maximum(alpha, beta)
    return np.asarray((alpha + beta) * log_size - smaller * near + larger * beyond)


def _log_ratios(d: FloatArray, alpha: FloatArray, beta: FloatArray) -> _Ratios:
    near, log_size, beyond = _oriented(d, alpha, beta)
    of_smaller, of_larger = near - log_size, -log_size - beyond
    is_smaller = alpha <= beta
    return _Ratios(np.where(is_smaller, of_smaller, of_larger), np.where(is_smaller, of_larger, of_smaller))

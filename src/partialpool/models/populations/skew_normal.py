"""Skew-normal deviations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.special import erfcx, log_ndtr

from partialpool.models.populations.base import Population, PopulationDerivatives, Support
from partialpool.models.populations.reach import find_reach
from partialpool.numerics.arrays import FloatArray

_LOG_TWO_OVER_ROOT = math.log(2.0) - 0.5 * math.log(2.0 * math.pi)
_ROOT_TWO_OVER_PI = math.sqrt(2.0 / math.pi)
# Below this, log Phi's first derivative plus its argument is a series.
_LEFT = -100.0


class _Shape(NamedTuple):
    """What of ``skew`` alone the density needs: delta and its derivative; the sd ``narrowing`` of a variable of unit
    scale and its derivative. ``mode_side`` is delta sqrt(2 / pi), that variable's mean."""

    delta: FloatArray
    delta_slope: FloatArray
    narrowing: FloatArray
    narrowing_slope: FloatArray
    mode_side: FloatArray


@dataclass(frozen=True)
class SkewNormalPopulation(Population):
    """Deviations from the linear predictor, skew-normal with mean 0, sd ``sd`` and shape ``skew`` (any real number).

    With z = (t - xi) / omega the density is 2 / omega phi(z) Phi(skew z) (Azzalini 1985), where omega and xi are such
    that mean and sd are 0 and ``sd``; at skew 0 it is the normal, and as skew grows a half normal with an edge at xi.
    """

    name: ClassVar[str] = "skew_normal"
    support: ClassVar[Support] = "line"
    centred: ClassVar[bool] = True

    @property
    def parameters(self) -> tuple[str, ...]:
        """Sd and shape."""
        return ("sd", "skew")

    def log_density(self, t: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
        """log(2 phi(z) Phi(skew z) / omega)."""
        sd, skew = values
        shape = _read_shape(skew)
        omega = sd / shape.narrowing
        z = t / omega + shape.mode_side
        return np.asarray(_LOG_TWO_OVER_ROOT - np.log(omega) - 0.5 * z * z + log_ndtr(skew * z))

    def derivatives(self, t: FloatArray, values: tuple[FloatArray, ...]) -> PopulationDerivatives:
        """By the inverse Mills ratio of skew z."""
        sd, skew = values
        shape = _read_shape(skew)
        omega = sd / shape.narrowing
        z = t / omega + shape.mode_side
        mills, mills_slope = _inverse_mills(skew * z)
        value = _LOG_TWO_OVER_ROOT - np.log(omega) - 0.5 * z * z + log_ndtr(skew * z)
        by_z = skew * mills - z
        by_sd = -(1.0 + by_z * (t / omega)) / sd
        z_by_skew = t / sd * shape.narrowing_slope + shape.delta_slope * _ROOT_TWO_OVER_PI
        by_skew = shape.narrowing_slope / shape.narrowing + by_z * z_by_skew + z * mills
        return PopulationDerivatives(
            np.asarray(value), by_z / omega, (skew * skew * mills_slope - 1.0) / (omega * omega), (by_sd, by_skew)
        )

    def window(self, values: tuple[FloatArray, ...], log_drop: float) -> tuple[FloatArray, FloatArray]:
        """By distances from xi, where the density is less than at its peak."""
        sd, skew = np.broadcast_arrays(*values)
        omega = sd / _read_shape(skew).narrowing
        start = math.sqrt(2.0 * log_drop)

        def fall(z: FloatArray) -> FloatArray:
            return np.asarray(0.5 * z * z - log_ndtr(skew * z) - math.log(2.0))

        below = find_reach(lambda e: fall(-e), start / np.hypot(1.0, np.maximum(0.0, skew)), log_drop)
        above = find_reach(fall, start / np.hypot(1.0, np.maximum(0.0, -skew)), log_drop)
        centre, _ = self.location_scale(values)
        return centre - omega * below, centre + omega * above

    def location_scale(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """xi, where the edge is, with the width of the edge."""
        sd, skew = np.broadcast_arrays(*values)
        shape = _read_shape(skew)
        omega = sd / shape.narrowing
        return -omega * shape.mode_side, omega / np.hypot(1.0, skew)

    def stretch(self, values: tuple[FloatArray, ...]) -> FloatArray:
        """0 without skew; what goes from the edge's width to omega's with it."""
        _, skew = np.broadcast_arrays(*values)
        return np.asarray(0.5 - 0.5 / np.hypot(1.0, skew))

    def draw(self, values: tuple[FloatArray, ...], shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """delta |u| + sqrt(1 - delta^2) v for normal u and v (Azzalini 1986), scaled."""
        sd, skew = values
        form = _read_shape(skew)
        folded, other = np.abs(rng.standard_normal(shape)), rng.standard_normal(shape)
        z = form.delta * folded + other / np.hypot(1.0, skew)
        return np.asarray(sd / form.narrowing * (z - form.mode_side))

    def mean_sd_response(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """0 and the sd."""
        sd, _ = np.broadcast_arrays(*values)
        return np.zeros_like(sd), np.array(sd, dtype=np.float64)

    def log_mean_exponential(self, order: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
        """Return the log of the mean of exp(order t): 2 exp(order xi + (order omega)^2 / 2) Phi(delta omega order)
        (Azzalini 1985)."""
        sd, skew = values
        shape = _read_shape(skew)
        reach = order * sd / shape.narrowing
        return np.asarray(math.log(2.0) - reach * shape.mode_side + 0.5 * reach**2 + log_ndtr(shape.delta * reach))


def _read_shape(skew: FloatArray) -> _Shape:
    length = np.hypot(1.0, skew)
    delta = skew / length
    delta_slope = 1.0 / length / length / length
    narrowing = np.sqrt(1.0 - 2.0 / math.pi * delta * delta)
    narrowing_slope = -2.0 / math.pi * delta * delta_slope / narrowing
    return _Shape(delta, delta_slope, narrowing, narrowing_slope, delta * _ROOT_TWO_OVER_PI)


def _inverse_mills(w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return h = phi(w) / Phi(w), the derivative of log Phi, and h' = -h (w + h).

    Far left w + h = -1/w + 2/w^3 - 10/w^5 + 74/w^7 (Abramowitz and Stegun 1964, 26.2.12, inverted).
    """
    with np.errstate(over="ignore"):
        h = _ROOT_TWO_OVER_PI / erfcx(-w / math.sqrt(2.0))
    inverse = 1.0 / np.minimum(w, _LEFT)
    square = inverse * inverse
    series = inverse * (-1.0 + square * (2.0 + square * (-10.0 + 74.0 * square)))
    return np.asarray(h), np.asarray(-h * np.where(w < _LEFT, series, w + h))

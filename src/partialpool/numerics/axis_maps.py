"""Coordinates in which a density of a positive number is smooth at 0 and vanishes fast at both ends.

| the density, by the number itself | number | grid |
| --- | --- | --- |
| even and smooth about 0, the half line | e^centre sinh x | half, folded at x = 0 |
| the same up to an upper end | upper tanh(ratio sinh x) | half, folded |
| ends at 0 like a power, or with a kink | e^centre exp(x - e^-x) | whole |
| ends at both ends of an interval | its coordinate is centre + spread sinh x | whole |
| anything else, on coordinates of its own | its coordinate is centre + spread x | whole |

The trapezoid rule converges exponentially along each of them. On a folded grid the density is even in x: its value at 0
counts half, and what is interpolated near 0 sees the mirror image. Every map gives the coordinate y that models use:
the log of a number on a half line, the logit of its share of an interval.

Source: Takahasi and Mori (1974), Publ. RIMS 9:721-741, for the third and the fourth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from partialpool.numerics.arrays import FloatArray

# An x that stands for 0: the density there differs by the square of it.
_NEARLY_ZERO = 1e-6


class AxisMap(Protocol):
    """The map of one axis."""

    @property
    def folded(self) -> bool:
        """Whether x runs from 0 on, the density being even in it."""
        ...

    def coordinate(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return y and the log of dy/dx, each as ``x``."""
        ...

    def place(self, y: float) -> float:
        """Return the x of a coordinate."""
        ...


@dataclass(frozen=True)
class LineMap:
    """y = centre + spread x."""

    centre: float
    spread: float
    folded: bool = False

    def coordinate(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return y and the log of dy/dx."""
        return self.centre + self.spread * x, np.full(x.shape, np.log(self.spread))

    def place(self, y: float) -> float:
        """Return the x of a coordinate."""
        return (y - self.centre) / self.spread


@dataclass(frozen=True)
class EndsMap:
    """y = centre + spread sinh x, the logit of the share of an interval."""

    centre: float
    spread: float
    folded: bool = False

    def coordinate(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return y and the log of dy/dx."""
        return self.centre + self.spread * np.sinh(x), np.log(self.spread * np.cosh(x))

    def place(self, y: float) -> float:
        """Return the x of a coordinate."""
        return float(np.arcsinh((y - self.centre) / self.spread))


@dataclass(frozen=True)
class EvenMap:
    """y = centre + log sinh x, the log of a number whose density is even about 0."""

    centre: float
    folded: bool = True

    def coordinate(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return y and the log of dy/dx."""
        x = np.maximum(x, _NEARLY_ZERO)
        return self.centre + _log_sinh(x), -np.log(np.tanh(x))

    def place(self, y: float) -> float:
        """Return the x of a coordinate."""
        return float(np.arcsinh(np.exp(y - self.centre)))


@dataclass(frozen=True)
class BoundedEvenMap:
    """y = logit tanh(ratio sinh x), the logit of the share of an interval from 0 of a number whose density is even
    about 0; ``ratio`` is what part of the interval the density is wide."""

    ratio: float
    folded: bool = True

    def coordinate(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return y and the log of dy/dx."""
        x = np.maximum(x, _NEARLY_ZERO)
        w = self.ratio * np.sinh(x)
        log_slope = np.log1p(1.0 / np.tanh(w)) + np.log(self.ratio * np.cosh(x))
        return _log_sinh(w) + w, log_slope

    def place(self, y: float) -> float:
        """Return the x of a coordinate."""
        # artanh of the logistic function is half the log of 1 + 2 e^y
        return float(np.arcsinh(0.5 * np.logaddexp(0.0, np.log(2.0) + y) / self.ratio))


@dataclass(frozen=True)
class EndMap:
    """y = centre + x - e^-x, the log of a number whose density ends at 0 like a power."""

    centre: float
    folded: bool = False

    def coordinate(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return y and the log of dy/dx."""
        steep = np.exp(-x)
        return self.centre + x - steep, np.log1p(steep)

    def place(self, y: float) -> float:
        """Return the x of a coordinate."""
        short = y - self.centre
        x = short if short > 0.0 else -float(np.log1p(-short))
        for _ in range(20):  # Newton's steps on a concave function
            x -= (x - np.exp(-x) - short) / (1.0 + np.exp(-x))
        return float(x)


def _log_sinh(x: FloatArray) -> FloatArray:
    return np.asarray(x + np.log(-np.expm1(-2.0 * x)) - np.log(2.0))

"""Distributions from their characteristic functions, by Fourier series on an interval that holds all of their mass.

On an interval of length L the density is the sum over k of phi(w_k) exp(-i w_k x) / L, w_k = 2 pi k / L, but for the
mass outside and the terms left out (Abate and Whitt 1992, Queueing Systems 10:5-88, section 4); the cumulative is its
integral.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool.numerics.arrays import FloatArray

ComplexArray = NDArray[np.complex128]

_MOST_STEPS, _NEAR = 60, 1e-9
_BLOCK = 2**20


@dataclass(frozen=True)
class FourierSeries:
    """Distributions (item,) on ``centre`` (item,) +- ``half``; ``terms`` (item, k) are phi(w_k) exp(-i w_k centre) for
    k = 1, 2, ..."""

    centre: FloatArray
    half: float
    terms: ComplexArray

    @property
    def _frequencies(self) -> FloatArray:
        return np.asarray(np.pi / self.half * np.arange(1.0, self.terms.shape[1] + 1.0))

    def cumulative(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the probability up to x (item,), and the density there."""
        w, length = self._frequencies, 2.0 * self.half
        y = np.clip(x - self.centre, -self.half, self.half)
        probability, density = np.empty(len(y)), np.empty(len(y))
        alternating = (-1.0) ** np.arange(1, len(w) + 1)
        size = max(1, _BLOCK // len(w))
        for start in range(0, len(y), size):
            part = slice(start, start + size)
            wave, terms = np.exp(-1j * w * y[part, None]), self.terms[part]
            density[part] = (1.0 + 2.0 * np.sum(terms * wave, axis=1).real) / length
            rise = np.sum(terms * (wave - alternating) * (1j / w), axis=1).real
            probability[part] = (y[part] + self.half + 2.0 * rise) / length
        return probability, density

    def quantile(self, probability: float, start: FloatArray) -> FloatArray:
        """Return where the cumulative is ``probability`` (item,), by Newton's method between ends that close in."""
        low, high = self.centre - self.half, self.centre + self.half
        x = np.clip(start, low, high)
        for step in range(_MOST_STEPS):
            found, density = self.cumulative(x)
            error = found - probability
            if np.max(np.abs(error), initial=0.0) < _NEAR:
                break
            high, low = np.where(error > 0.0, x, high), np.where(error > 0.0, low, x)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                newton = x - error / density
            inside = (newton > low) & (newton < high) & (step % 4 < 3)
            x = np.where(np.abs(error) < _NEAR, x, np.where(inside, newton, 0.5 * (low + high)))
        return x

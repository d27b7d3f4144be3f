"""Envelopes of log-concave densities, under which draws by rejection are exact.

An envelope is flat at the mode's height and falls along the tangents at a point on either side: about 1.1 proposals
make a draw from what is nearly normal.

Source: Gilks and Wild (1992), J. Royal Statistical Society C 41:337-348, section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray

#: Rounds of proposals after which a density that is still not drawn from is taken not to be log-concave.
MOST_ROUNDS = 200
# Where the tangents touch, in conditional sds from the mode: sqrt 2 is best for a normal density.
_TOUCH = 1.4
# What the height of a numerical mode, or of a density that is itself an integral, may lie below the true one.
_SLACK = 1e-3


class Envelope(NamedTuple):
    """The height at the mode, where the flat middle ends on the left and right, and how fast the log rises and falls
    there; all of one shape."""

    height: FloatArray
    left: FloatArray
    right: FloatArray
    rise: FloatArray
    fall: FloatArray

    def take(self, index: tuple[IntArray | slice, ...]) -> Envelope:
        """Return some of the envelopes."""
        return Envelope(*(part[index] for part in self))

    def propose(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return one proposal from each and the log of the envelope there."""
        areas = (1.0 / self.rise, self.right - self.left, 1.0 / self.fall)
        place = rng.random(self.height.shape) * sum(areas)
        beyond = rng.standard_exponential(self.height.shape)
        in_left, in_right = place < areas[0], place >= areas[0] + areas[1]
        inner = self.left + place - areas[0]
        outer = np.where(in_left, self.left - beyond / self.rise, self.right + beyond / self.fall)
        in_tails = in_left | in_right
        return np.where(in_tails, outer, inner), self.height - np.where(in_tails, beyond, 0.0)


def find_envelope(
    mode: FloatArray, scale: FloatArray, density: Callable[[FloatArray], tuple[FloatArray, FloatArray]]
) -> Envelope:
    """Return envelopes of log densities whose values and slopes ``density`` gives; ``scale`` is from the curvature."""
    height = density(mode)[0] + _SLACK
    low, high = mode - _TOUCH * scale, mode + _TOUCH * scale
    below, rise = density(low)
    above, fall = density(high)
    return Envelope(height, low + (height - below) / rise, high + (height - above) / fall, rise, -fall)

"""Draws from log-concave densities by rejection under tangents.

An envelope is the least of three tangents, at the mode and at a point on either side: about 1.1 proposals make a draw
from what is nearly normal.

Source: Gilks and Wild (1992), J. Royal Statistical Society C 41:337-348, section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from partialpool.errors import ComputationError
from partialpool.numerics.arrays import FloatArray, IntArray

#: Rounds of proposals after which a density that is still not drawn from is taken not to be log-concave.
MOST_ROUNDS = 200
# Where the outer tangents touch, in sds from the mode (sqrt 2 is best for a normal density), and how much further out,
# and how often, where the density does not fall there yet by this much an sd.
_TOUCH, _FURTHER, _MOST_MOVES, _LEAST_FALL = 1.4, 1.0, 40, 0.3
# What tangents of a density that is itself an integral may lie below it.
_SLACK = 1e-3
# The middle tangent is as good as flat below this rise over its length.
_FLAT = 1e-9

Density = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


class Envelope(NamedTuple):
    """Three pieces, all arrays of one shape: the middle one from ``left`` to ``right``, where its log is ``height`` at
    ``left`` and rises by ``tilt`` a unit; outside it the log rises by ``rise`` and falls by ``fall`` a unit."""

    left: FloatArray
    right: FloatArray
    height: FloatArray
    tilt: FloatArray
    rise: FloatArray
    fall: FloatArray

    def take(self, index: tuple[IntArray | slice, ...]) -> Envelope:
        """Return some of the envelopes."""
        return Envelope(*(part[index] for part in self))

    def propose(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return one proposal from each and the log of the envelope there."""
        width = self.right - self.left
        climb = self.tilt * width
        flat = np.abs(climb) < _FLAT
        tilt = np.where(flat, 1.0, self.tilt)
        middle = np.where(flat, width, np.expm1(climb) / tilt)
        areas = (1.0 / self.rise, middle, np.exp(climb) / self.fall)
        place = rng.random(self.height.shape) * sum(areas) - areas[0]
        beyond = rng.standard_exponential(self.height.shape)
        inside = np.clip(place, 0.0, middle)
        inner = self.left + np.where(flat, inside, np.log1p(inside * tilt) / tilt)
        in_left, in_right = place < 0.0, place >= middle
        outer = np.where(in_left, self.left - beyond / self.rise, self.right + beyond / self.fall)
        log_outer = self.height + np.where(in_left, 0.0, climb) - beyond
        log_inner = self.height + self.tilt * (inner - self.left)
        in_tails = in_left | in_right
        return np.where(in_tails, outer, inner), np.where(in_tails, log_outer, log_inner)


def find_envelope(mode: FloatArray, scale: FloatArray, density: Density) -> Envelope:
    """Return envelopes of log densities whose values and slopes ``density`` gives, near their modes and with about
    these scales."""
    value, tilt = density(mode)
    low, below, rise = _touch(mode, -scale, density)
    high, above, fall = _touch(mode, scale, density)
    left = mode + (below - value + rise * (mode - low)) / (tilt - rise)
    right = mode + (above - value + fall * (mode - high)) / (tilt - fall)
    return Envelope(left, right, value + tilt * (left - mode) + _SLACK, tilt, rise, -fall)


def _touch(mode: FloatArray, step: FloatArray, density: Density) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return points on one side where the density falls away from the mode, its values and its slopes there."""
    at = mode + _TOUCH * step
    value, slope = density(at)
    for _ in range(_MOST_MOVES):
        short = slope * step > -_LEAST_FALL
        if not short.any():
            break
        at = np.where(short, at + _FURTHER * step, at)
        value, slope = density(at)
    return at, value, slope


def draw_columns(
    envelope: Envelope, log_density: Callable[[IntArray, FloatArray], FloatArray], rng: np.random.Generator
) -> FloatArray:
    """Draw one number from each of some densities (item, column).

    ``log_density`` gives the log densities of all items of some columns (column,) at numbers (item, column); columns
    all of whose items have accepted drop out. Raises ``ComputationError`` where proposals are never accepted.
    """
    drawn = np.empty_like(envelope.height)
    waiting = np.ones(drawn.shape, dtype=bool)
    columns = np.arange(drawn.shape[1], dtype=np.intp)
    for _ in range(MOST_ROUNDS):
        proposed, log_cover = envelope.take((slice(None), columns)).propose(rng)
        accepted = np.log(rng.random(proposed.shape)) < log_density(columns, proposed) - log_cover
        accepted &= waiting[:, columns]
        drawn[:, columns] = np.where(accepted, proposed, drawn[:, columns])
        waiting[:, columns] &= ~accepted
        columns = np.flatnonzero(waiting.any(axis=0))
        if not len(columns):
            return drawn
    raise not_log_concave()


def not_log_concave() -> ComputationError:
    """Return the error of a density from which no proposal is accepted."""
    return ComputationError(
        "a group's effect could not be drawn: its conditional density is not log-concave to rounding; rescale the "
        "covariates and the response to moderate numbers"
    )

"""Exact draws from log-concave conditional densities of one effect, by rejection.

Under an envelope that is flat at the mode's height and falls along the tangents at a point on either side, about 1.1
proposals make a draw, and nothing is tabulated.

Source: Gilks and Wild (1992), J. Royal Statistical Society C 41:337-348, section 2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.errors import ComputationError
from partialpool.inference.latent.located import Located, derivatives_at
from partialpool.numerics.arrays import FloatArray, IntArray

# Where the tangents touch, in conditional sds from the mode: sqrt 2 is best for a normal density.
_TOUCH = 1.4
# What the height of a numerical mode may lie below the true one, and rounds of proposals.
_SLACK = 1e-4
_MOST_ROUNDS = 200


class _Envelope(NamedTuple):
    """The height at the mode, and where the flat middle ends and how fast the log falls there on either side, each
    (class, node)."""

    height: FloatArray
    left: FloatArray
    right: FloatArray
    rise: FloatArray
    fall: FloatArray


def draw_log_concave(located: Located, of_class: IntArray, rng: np.random.Generator) -> FloatArray:
    """Draw v (group, node) of groups of some classes (group,) of ``located``, which has one effect."""
    envelope = _find_envelope(located)
    n_nodes = located.mode.shape[-1]
    drawn = np.empty(len(of_class) * n_nodes)
    classes, nodes = np.repeat(of_class, n_nodes), np.tile(np.arange(n_nodes, dtype=np.intp), len(of_class))
    left = np.arange(len(drawn))
    for _ in range(_MOST_ROUNDS):
        at = _Envelope(*(part[classes[left], nodes[left]] for part in envelope))
        proposed, log_cover = _propose(at, rng)
        log_density = _log_density_at(located, classes[left], nodes[left], proposed)
        accepted = np.log(rng.random(len(left))) < log_density - log_cover
        drawn[left[accepted]] = proposed[accepted]
        left = left[~accepted]
        if not len(left):
            return drawn.reshape(len(of_class), n_nodes)
    raise ComputationError(
        "a group's effect could not be drawn: its conditional density is not log-concave to rounding; rescale the "
        "covariates and the response to moderate numbers"
    )


def _find_envelope(located: Located) -> _Envelope:
    mode, scale = located.mode[0], located.root[0, 0]
    height = derivatives_at(located, located.mode)[0] + _SLACK
    low, high = mode - _TOUCH * scale, mode + _TOUCH * scale
    below, rise, _ = derivatives_at(located, low[None])
    above, fall, _ = derivatives_at(located, high[None])
    return _Envelope(height, low + (height - below) / rise[0], high + (height - above) / fall[0], rise[0], -fall[0])


def _propose(at: _Envelope, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return proposals (pair,) and the log of the envelope there."""
    areas = np.stack([1.0 / at.rise, at.right - at.left, 1.0 / at.fall])
    place = rng.random(len(at.height)) * areas.sum(axis=0)
    beyond = rng.standard_exponential(len(at.height))
    in_left, in_right = place < areas[0], place >= areas[0] + areas[1]
    middle = at.left + place - areas[0]
    proposed = np.where(in_left, at.left - beyond / at.rise, np.where(in_right, at.right + beyond / at.fall, middle))
    return proposed, at.height - np.where(in_left | in_right, beyond, 0.0)


def _log_density_at(located: Located, classes: IntArray, nodes: IntArray, v: FloatArray) -> FloatArray:
    """Return the log integrand of pairs of a class and a node, (pair,)."""
    rows, starts = located.rows.rows_of(classes)
    pairs = np.repeat(np.arange(len(classes), dtype=np.intp), located.rows.lengths[classes])
    node = nodes[pairs]
    eta = located.base[rows, node] + located.columns[0, rows, node] * v[pairs]
    dispersion = tuple(value[node] for value in located.dispersion)
    values = located.family.log_density(eta, located.rows.response.select(rows), dispersion)
    if located.rows.counts is not None:
        values = values * located.rows.counts[rows]
    return np.asarray(np.add.reduceat(values, starts) - 0.5 * v * v)

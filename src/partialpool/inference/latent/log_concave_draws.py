"""Exact draws from log-concave conditional densities of one effect, by rejection."""

from __future__ import annotations

import numpy as np

from partialpool.errors import ComputationError
from partialpool.inference.latent.located import Located, derivatives_at
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.log_concave import MOST_ROUNDS, find_envelope


def draw_log_concave(located: Located, of_class: IntArray, rng: np.random.Generator) -> FloatArray:
    """Draw v (group, node) of groups of some classes (group,) of ``located``, which has one effect."""

    def density(v: FloatArray) -> tuple[FloatArray, FloatArray]:
        value, slope, _ = derivatives_at(located, v[None])
        return value, slope[0]

    envelope = find_envelope(located.mode[0], located.root[0, 0], density)
    n_nodes = located.mode.shape[-1]
    drawn = np.empty(len(of_class) * n_nodes)
    classes, nodes = np.repeat(of_class, n_nodes), np.tile(np.arange(n_nodes, dtype=np.intp), len(of_class))
    left = np.arange(len(drawn))
    for _ in range(MOST_ROUNDS):
        proposed, log_cover = envelope.take((classes[left], nodes[left])).propose(rng)
        log_density = _log_density_at(located, classes[left], nodes[left], proposed)
        accepted = np.log(rng.random(len(left))) < log_density - log_cover
        drawn[left[accepted]] = proposed[accepted]
        left = left[~accepted]
        if not len(left):
            return drawn.reshape(len(of_class), n_nodes)
    raise not_log_concave()


def not_log_concave() -> ComputationError:
    """Return the error of a density from which no proposal is accepted."""
    return ComputationError(
        "a group's effect could not be drawn: its conditional density is not log-concave to rounding; rescale the "
        "covariates and the response to moderate numbers"
    )


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

"""Draws from log-concave conditional densities of groups' effects, by rejection."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from partialpool.inference.quadrature.located import Located, derivatives_at, evaluate, log_sum
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.hermite import Rule, hermite_rule
from partialpool.numerics.log_concave import MOST_ROUNDS, draw_columns, find_envelope, not_log_concave

# Points along each axis that is integrated out, by their number; the step of differences along an axis.
_ACROSS = {1: 9, 2: 7}
_STEP = 1e-3


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


def draw_axes(located: Located, rng: np.random.Generator) -> FloatArray:
    """Draw v (effect, class, node) axis by axis, later ones integrated out by Gauss-Hermite; earlier ones, drawn
    already, have moved the centre.

    Integrals over log-concave densities are log-concave (Prekopa 1973, Acta Sci. Math. 34:335-343).
    """
    for axis in range(len(located.mode)):
        z = _draw_axis(located, axis, rng)
        located = located._replace(mode=located.mode + located.root[:, axis] * z)
    return located.mode


def _draw_axis(located: Located, axis: int, rng: np.random.Generator) -> FloatArray:
    """Draw z (class, node) along one axis, in units of the conditional scale."""
    rule = _rule_across(axis, len(located.mode))

    def log_density(columns: IntArray | slice, z: FloatArray) -> FloatArray:
        at = located.at_nodes(columns)
        return log_sum(evaluate(at._replace(mode=at.mode + at.root[:, axis] * z), rule).log_terms)

    def density(z: FloatArray) -> tuple[FloatArray, FloatArray]:
        up, down = (log_density(slice(None), z + step) for step in (_STEP, -_STEP))
        return 0.5 * (up + down), (up - down) / (2.0 * _STEP)

    start = np.zeros(located.mode.shape[1:])
    return draw_columns(find_envelope(start, np.ones_like(start), density), log_density, rng)


@lru_cache(maxsize=8)
def _rule_across(axis: int, n_axes: int) -> Rule:
    """Return the rule of one point along an axis and earlier ones, of Gauss-Hermite along later ones."""
    n_later = n_axes - 1 - axis
    later = hermite_rule(_ACROSS[n_later], n_later) if n_later else Rule(np.empty((0, 1)), np.zeros(1))
    points = np.zeros((n_axes, later.points.shape[1]))
    points[axis + 1 :] = later.points
    return Rule(points, later.log_weights)


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

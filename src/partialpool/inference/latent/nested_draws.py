"""Draws of a nested level's effects given those above, the levels below integrated out."""

from __future__ import annotations

import numpy as np

from partialpool.inference.latent.log_concave_draws import not_log_concave
from partialpool.inference.latent.recursion import Centred, Recursion
from partialpool.inference.latent.table_draws import draw_on_grid
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.hermite import uniform_rule
from partialpool.numerics.log_concave import MOST_ROUNDS, find_envelope

# The grid that draws interpolate where a density need not be log-concave, in Laplace sds, and how much finer it gets.
_REACH, _COARSE, _FINER = 8.0, 0.8, 4


def draw_level(recursion: Recursion, level: int, shift: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw v (unit, column) of every unit of a level at shifts of the same shape.

    An integral over log-concave densities is log-concave (Prekopa 1973, Acta Sci. Math. 34:335-343), so that under such
    likelihoods rejection serves at every level.
    """
    centred = recursion.centre(level, shift)
    if recursion.family.concave:
        return _draw_by_rejection(recursion, level, centred, rng)
    rule = uniform_rule(_REACH, _COARSE)
    logs = np.moveaxis(recursion.log_terms(level, centred, rule), 0, -1)
    return np.asarray(centred.mode + centred.scale * draw_on_grid(*_interpolate(rule.points[0], logs), rng))


def _draw_by_rejection(recursion: Recursion, level: int, centred: Centred, rng: np.random.Generator) -> FloatArray:
    """Draw for all units of a column together; columns all of whose units have accepted drop out."""
    envelope = find_envelope(centred.mode, centred.scale, lambda v: recursion.log_density_and_slope(level, centred, v))
    drawn = np.empty_like(centred.mode)
    waiting = np.ones(drawn.shape, dtype=bool)
    columns = np.arange(drawn.shape[1], dtype=np.intp)
    for _ in range(MOST_ROUNDS):
        proposed, log_cover = envelope.take((slice(None), columns)).propose(rng)
        part = recursion if len(columns) == drawn.shape[1] else recursion.at_columns(columns)
        log_density = part.log_density(level, centred.at_columns(columns), proposed)
        accepted = (np.log(rng.random(proposed.shape)) < log_density - log_cover) & waiting[:, columns]
        drawn[:, columns] = np.where(accepted, proposed, drawn[:, columns])
        waiting[:, columns] &= ~accepted
        columns = np.flatnonzero(waiting.any(axis=0))
        if not len(columns):
            return drawn
    raise not_log_concave()


def _interpolate(grid: FloatArray, logs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a finer grid and the log density there by cubic splines."""
    from scipy.interpolate import CubicSpline

    fine = np.linspace(grid[0], grid[-1], _FINER * (len(grid) - 1) + 1)
    heights = np.maximum(logs - logs.max(axis=-1, keepdims=True), -80.0)
    return fine, np.minimum(CubicSpline(grid, heights, axis=-1)(fine), 5.0)

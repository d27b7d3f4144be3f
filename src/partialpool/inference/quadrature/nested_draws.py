"""Draws of a nested level's effects given those above, the levels below integrated out."""

from __future__ import annotations

import numpy as np

from partialpool.inference.quadrature.recursion import Centred, Recursion
from partialpool.inference.quadrature.table_draws import draw_on_grid
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.hermite import uniform_rule
from partialpool.numerics.log_concave import draw_columns, find_envelope

# The grid that draws interpolate where a density need not be log-concave, in Laplace sds, and how much finer it gets
# (at twice the spacing a spline overshot beside a steep flank).
_REACH, _COARSE, _FINER = 8.0, 0.4, 2


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
    def log_density(columns: IntArray, v: FloatArray) -> FloatArray:
        part = recursion if len(columns) == recursion.base.shape[1] else recursion.at_columns(columns)
        return part.log_density(level, centred.at_columns(columns), v)

    envelope = find_envelope(centred.mode, centred.scale, lambda v: recursion.log_density_and_slope(level, centred, v))
    return draw_columns(envelope, log_density, rng)


def _interpolate(grid: FloatArray, logs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a finer grid and the log density there by cubic splines."""
    from scipy.interpolate import CubicSpline

    fine = np.linspace(grid[0], grid[-1], _FINER * (len(grid) - 1) + 1)
    heights = np.maximum(logs - logs.max(axis=-1, keepdims=True), -80.0)
    return fine, np.minimum(CubicSpline(grid, heights, axis=-1)(fine), 5.0)

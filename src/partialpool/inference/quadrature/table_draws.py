"""Draws of groups' effects from their conditional distributions, coordinate by coordinate."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from partialpool.inference.quadrature.located import evaluate, locate_modes, log_sum
from partialpool.inference.quadrature.log_concave_draws import draw_axes, draw_log_concave
from partialpool.models.families.base import Family
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.hermite import Rule, hermite_rule
from partialpool.reductions.grouped_rows import GroupedRows

# The grid that a coordinate is drawn from, in conditional sds, and the points along each axis that is integrated out.
_GRID = np.asarray(0.35 * np.arange(-29, 30), dtype=np.float64)
_ACROSS = 11
_BLOCK = 2**21
# Arrays of one number for each row, node and point across that rejection holds at once, about.
_PASSES = 3


def draw_from_rule(
    family: Family, rows: GroupedRows, points: HyperPoints, classes: IntArray, rng: np.random.Generator
) -> FloatArray:
    """Draw the deviations (effect, draw, group) of groups of some ``classes`` (group,), one point a draw.

    Effects are R v with v drawn coordinate by coordinate, under log-concave likelihoods by rejection.
    """
    n_effects, n_draws = len(points.effect_root), points.n_nodes
    result = np.empty((n_effects, n_draws, len(classes)))
    if not n_effects or not len(classes):
        return result
    one_by_one = family.concave and n_effects > 1  # few draws of a group are rejected, some of many groups always
    n_points = _PASSES if family.concave else len(_GRID)
    n_points *= _ACROSS ** (n_effects - 1)
    size = max(1, _BLOCK // (n_points * max(1, int(rows.lengths[classes].max()))))
    per_group = 1 if one_by_one else max(1, size // n_draws)
    draw = _draw_log_concave if family.concave else _draw_v
    for start in range(0, len(classes), per_group):
        part = slice(start, start + per_group)
        for first in range(0, n_draws, size):
            nodes = np.arange(first, min(first + size, n_draws), dtype=np.intp)
            chosen = points.select(nodes)
            with np.errstate(all="ignore"):
                v = draw(family, rows, classes[part], chosen, rng)
            result[:, nodes, part] = np.einsum("ekn,kcn->enc", chosen.effect_root, v)
    return result


def _draw_log_concave(
    family: Family, rows: GroupedRows, classes: IntArray, points: HyperPoints, rng: np.random.Generator
) -> FloatArray:
    """Draw v (effect, group, node); of a single effect groups of one class have their modes found once."""
    if len(points.effect_root) > 1:
        return draw_axes(locate_modes(family, rows.take_classes(classes), points), rng)
    distinct, of_class = np.unique(classes, return_inverse=True)
    located = locate_modes(family, rows.take_classes(distinct), points)
    return draw_log_concave(located, of_class, rng)[None]


def _draw_v(
    family: Family, rows: GroupedRows, classes: IntArray, points: HyperPoints, rng: np.random.Generator
) -> FloatArray:
    """Draw v (effect, group, node) for every group and node, axis by axis.

    An axis is drawn from its density on a grid, the later ones integrated out by Gauss-Hermite; the earlier ones, drawn
    already, have moved the centre.
    """
    located = locate_modes(family, rows.take_classes(classes), points)
    n_axes = len(located.mode)
    for axis in range(n_axes):
        rule = _rule_along(axis, n_axes)
        logs = evaluate(located, rule).log_terms
        along = log_sum(logs.reshape(*logs.shape[:2], len(_GRID), -1))
        z = draw_on_grid(_GRID, along, rng)
        located = located._replace(mode=located.mode + located.root[:, axis] * z)
    return located.mode


@lru_cache(maxsize=8)
def _rule_along(axis: int, n_axes: int) -> Rule:
    """Return the rule of the grid along one axis, of Gauss-Hermite along later ones, of one point along earlier
    ones."""
    n_later = n_axes - 1 - axis
    later = hermite_rule(_ACROSS, n_later) if n_later else Rule(np.empty((0, 1)), np.zeros(1))
    n_across = len(later.log_weights)
    points = np.zeros((n_axes, len(_GRID) * n_across))
    points[axis] = np.repeat(_GRID, n_across)
    points[axis + 1 :] = np.tile(later.points, len(_GRID))
    return Rule(points, np.tile(later.log_weights, len(_GRID)))


def draw_on_grid(grid: FloatArray, log_density: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw one number from each density (..., point) on an equally spaced ``grid``.

    The density is linear between points; its cumulative sum is inverted exactly.
    """
    density = np.exp(log_density - log_density.max(axis=-1, keepdims=True))
    pieces = 0.5 * (density[..., 1:] + density[..., :-1])
    cumulative = np.cumsum(pieces, axis=-1)
    wanted = rng.random(density.shape[:-1]) * cumulative[..., -1]
    place = np.sum(cumulative < wanted[..., None], axis=-1).clip(max=pieces.shape[-1] - 1)[..., None]
    before = np.take_along_axis(cumulative, place, axis=-1) - np.take_along_axis(pieces, place, axis=-1)
    left = np.take_along_axis(density, place, axis=-1)
    slope = np.take_along_axis(density, place + 1, axis=-1) - left
    rest = (wanted[..., None] - before)[..., 0]
    left, slope = left[..., 0], slope[..., 0]
    # rest = left t + slope t^2 / 2, solved without cancellation
    root = np.sqrt(np.maximum(left * left + 2.0 * slope * rest, 0.0))
    t = np.where(left + root > 0.0, 2.0 * rest / np.where(left + root > 0.0, left + root, 1.0), 0.5)
    return np.asarray(grid[place[..., 0]] + (grid[1] - grid[0]) * np.clip(t, 0.0, 1.0))

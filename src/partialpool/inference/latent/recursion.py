"""Adaptive Gauss-Hermite quadrature up a tree of nested scalar effects.

At each level the log of a unit's integral is a function of a shift s of the linear predictors below it,

    F(s) = log of the integral over v of phi(v) exp(sum over children f(s + tau v)),

with derivatives F' = E[sum f'] and F'' = E[sum f''] + Var[sum f'] under the integrand (Louis 1982, J. Royal Statistical
Society B 44:226-233), so that the level above finds its modes by Newton's method too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from partialpool.inference.latent.located import log_sum
from partialpool.inference.latent.tree import Tree
from partialpool.models.families.base import Family, ResponseColumns
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.hermite import Rule

_LOG_2PI = float(np.log(2.0 * np.pi))
_MOST_STEPS = 60
_NEAR = 1e-4
_LONGEST_STEP = 8.0
_LEAST_CURVATURE = 0.2


class Shifted(NamedTuple):
    """A function of a shift at each unit: ``value``, ``first`` and ``second`` derivatives, each (unit, column)."""

    value: FloatArray
    first: FloatArray
    second: FloatArray


class Centred(NamedTuple):
    """A level's integrands at some shifts: their modes and scales in v, each (unit, column)."""

    mode: FloatArray
    scale: FloatArray


@dataclass(frozen=True)
class Recursion:
    """A tree with its rows at some hyperparameter points, one a column.

    ``base`` (row, column) is the linear predictor without effects, ``sds`` (level, column), ``dispersion`` (column,)
    each. ``rule`` is the Gauss-Hermite rule of every level.
    """

    tree: Tree
    family: Family
    response: ResponseColumns  # (row, 1)
    counts: FloatArray | None  # (row, 1)
    base: FloatArray
    sds: FloatArray
    dispersion: tuple[FloatArray, ...]
    rule: Rule

    def repeat(self, times: int) -> Recursion:
        """Return the recursion with every column ``times`` times, next to each other."""
        if times == 1:
            return self
        return Recursion(
            self.tree,
            self.family,
            self.response,
            self.counts,
            np.repeat(self.base, times, axis=1),
            np.repeat(self.sds, times, axis=1),
            tuple(np.repeat(value, times) for value in self.dispersion),
            self.rule,
        )

    def children(self, level: int, shift: FloatArray) -> Shifted:
        """Return the sum over children of a level's units, all effects below integrated out, at shifts (unit,
        column)."""
        spread = self.tree.spread(level, shift)
        if level == self.tree.n_levels - 1:
            found = self.family.derivatives(self.base + spread, self.response, self.dispersion)
            parts = (found.value, found.first, found.second)
            if self.counts is not None:
                parts = tuple(part * self.counts for part in parts)  # type: ignore[assignment]
        else:
            parts = self.integral(level + 1, spread)
        return Shifted(*(self.tree.sum(level, part) for part in parts))

    def integral(self, level: int, shift: FloatArray) -> Shifted:
        """Return the log integral over a level's effects as a function of the shift above them."""
        centred = self.centre(level, shift)
        found, logs = self.evaluate(level, shift, centred, self.rule)
        value = log_sum(logs)
        share = np.exp(logs - value[..., None])
        first = np.sum(share * found.first, axis=-1)
        spread = np.sum(share * (found.first - first[..., None]) ** 2, axis=-1)
        return Shifted(value, first, np.sum(share * found.second, axis=-1) + spread)

    def evaluate(self, level: int, shift: FloatArray, centred: Centred, rule: Rule) -> tuple[Shifted, FloatArray]:
        """Return the children's sums and the log terms of the rule, each (unit, column, point)."""
        n_points = rule.points.shape[1]
        v = centred.mode[..., None] + centred.scale[..., None] * rule.points[0]
        shifted = shift[..., None] + self.sds[level][:, None] * v
        wide = self.repeat(n_points).children(level, shifted.reshape(len(shift), -1))
        found = Shifted(*(part.reshape(v.shape) for part in wide))
        logs = found.value - 0.5 * v * v + rule.log_weights + (np.log(centred.scale) - 0.5 * _LOG_2PI)[..., None]
        return found, logs

    def centre(self, level: int, shift: FloatArray) -> Centred:
        """Find the mode and the curvature of every unit's integrand in v."""
        sd = self.sds[level]
        v = np.zeros_like(shift)
        found = self.children(level, shift)
        height = found.value
        length = np.ones_like(v)
        for _ in range(_MOST_STEPS):
            gradient = sd * found.first - v
            curvature = 1.0 + np.maximum(-(sd**2) * found.second, 0.0)
            gradient = np.where(np.isfinite(gradient), gradient, 0.0)
            curvature = np.where(np.isfinite(curvature), curvature, 1.0)
            step = np.clip(gradient / curvature, -_LONGEST_STEP, _LONGEST_STEP)
            if np.all((np.abs(step) * np.sqrt(curvature) < _NEAR) | (length < 1e-6)):
                break
            proposal = v + length * step
            after = self.children(level, shift + sd * proposal)
            new_height = np.where(np.isnan(after.value), -np.inf, after.value - 0.5 * proposal**2)
            better = new_height >= height - 1e-12 * (1.0 + np.abs(height))
            v, height = np.where(better, proposal, v), np.where(better, new_height, height)
            found = Shifted(*(np.where(better, new, old) for new, old in zip(after, found, strict=True)))
            length = np.where(better, np.minimum(1.0, 2.0 * length), 0.3 * length)
        curvature = np.maximum(1.0 - sd**2 * found.second, _LEAST_CURVATURE)
        return Centred(v, np.where(np.isfinite(curvature), curvature, 1.0) ** -0.5)

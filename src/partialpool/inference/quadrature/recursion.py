"""Adaptive Gauss-Hermite quadrature up a tree of nested scalar effects.

At each level the log of a unit's integral is a function of a shift s of the linear predictors below it,

    F(s) = log of the integral over v of phi(v) exp(sum over children f(s + tau v)),

with derivatives F' = E[sum f'] and F'' = E[sum f''] + Var[sum f'] under the integrand (Louis 1982, J. Royal Statistical
Society B 44:226-233), so that the level above finds its modes by Newton's method too.

Arrays end in the axes (unit, column), a column being a point of the hyperparameters; the points of the levels above
come before, the innermost first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from partialpool.inference.quadrature.located import log_sum
from partialpool.inference.quadrature.tree import Tree
from partialpool.models.families.base import Family, ResponseColumns
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.hermite import Rule

_LOG_2PI = float(np.log(2.0 * np.pi))
_MOST_STEPS = 60
# The step, in conditional sds, that is the last one: Newton's method squares it.
_NEAR = 1e-2
_LONGEST_STEP = 8.0
_LEAST_CURVATURE = 0.2


class Shifted(NamedTuple):
    """A function of a shift at each unit: ``value``, ``first`` and ``second`` derivatives, each (..., unit, column)."""

    value: FloatArray
    first: FloatArray
    second: FloatArray


class Centred(NamedTuple):
    """A level's integrands at some shifts: their modes and scales in v and how fast modes move with the ``shift``, each
    (..., unit, column); and the same of the level ``below`` with v near the modes, where there is one."""

    shift: FloatArray
    mode: FloatArray
    scale: FloatArray
    slope: FloatArray
    below: Centred | None

    def predict(self, shift: FloatArray) -> FloatArray:
        """Return about where the modes are at other shifts, no further than one step leads back from."""
        return np.asarray(self.mode + np.clip(self.slope * (shift - self.shift), -_LONGEST_STEP, _LONGEST_STEP))

    def at_columns(self, columns: IntArray) -> Centred:
        """Return the same at some of the columns."""
        below = None if self.below is None else self.below.at_columns(columns)
        shift, mode, scale, slope = (part[..., columns] for part in self[:4])
        return Centred(shift, mode, scale, slope, below)

    def spread(self, rule: Rule) -> FloatArray:
        """Return v at the points of a rule, (point, ..., unit, column)."""
        points = rule.points[0].reshape(-1, *(1,) * self.mode.ndim)
        return np.asarray(self.mode + self.scale * points)


class Expected(NamedTuple):
    """The log integrals of all units together, ``value`` (column,), and expectations given the data: of v v' less their
    number at each ``level`` (level, column), of the log density's derivative by the linear predictor at each ``row``
    (row, column) and by each unknown ``dispersion``, (column,) each."""

    value: FloatArray
    level: FloatArray
    row: FloatArray
    dispersion: tuple[FloatArray, ...]


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

    @property
    def no_shift(self) -> FloatArray:
        """The shift of the coarsest units, (unit, column)."""
        return np.zeros((self.tree.n_units(0), self.base.shape[1]))

    def at_columns(self, columns: IntArray) -> Recursion:
        """Return the recursion at some of the hyperparameter points."""
        dispersion = tuple(value[columns] for value in self.dispersion)
        return replace(self, base=self.base[:, columns], sds=self.sds[:, columns], dispersion=dispersion)

    def value(self, level: int, shift: FloatArray, near: Centred | None = None) -> FloatArray:
        """Return the log integral over a level's effects at shifts; ``near`` is known of other shifts."""
        return log_sum(self.log_terms(level, self.centre(level, shift, near), self.rule), axis=0)

    def log_terms(self, level: int, centred: Centred, rule: Rule) -> FloatArray:
        """Return the logs of the rule's terms, (point, ..., unit, column)."""
        return _weigh(self.log_density(level, centred, centred.spread(rule)), centred, rule)

    def log_density(self, level: int, centred: Centred, v: FloatArray) -> FloatArray:
        """Return the log integrand of a level's units, levels below integrated out, at v (..., unit, column)."""
        shifts = self.tree.spread(level, centred.shift + self.sds[level] * v)
        if level == self.tree.n_levels - 1:
            values = self.family.log_density(self.base + shifts, self.response, self.dispersion)
            values = values if self.counts is None else values * self.counts
        else:
            values = self.value(level + 1, shifts, centred.below)
        return np.asarray(self.tree.sum(level, values) - 0.5 * v * v)

    def log_density_and_slope(self, level: int, centred: Centred, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the log integrand of a level's units and its derivative by v."""
        found, _ = self._children(level, centred.shift + self.sds[level] * v, centred.below)
        return found.value - 0.5 * v * v, self.sds[level] * found.first - v

    def expect(self) -> Expected:
        """Return the log integrals and what Fisher's identity makes their gradient of.

        Source: Louis (1982), section 2.
        """
        shift, near = self.no_shift, None
        weight, value = np.ones_like(shift), np.zeros(shift.shape[1])
        moments = []
        for level in range(self.tree.n_levels):
            centred = self.centre(level, shift, near)
            logs = self.log_terms(level, centred, self.rule)
            total = log_sum(logs, axis=0)
            value = value if level else total.sum(axis=0)
            share = np.exp(logs - total) * weight
            v = centred.spread(self.rule)
            moments.append(_sum_leading(_carry(share, v * v - 1.0), 1))
            shift = self.tree.spread(level, shift + self.sds[level] * v)
            weight, near = self.tree.spread(level, share), centred.below
        found = self.family.derivatives(self.base + shift, self.response, self.dispersion)
        expected = weight if self.counts is None else weight * self.counts
        by_row = _sum_leading(_carry(expected, found.first), 2)
        by_dispersion = tuple(_sum_leading(_carry(expected, slope), 1) for slope in found.by_dispersion)
        return Expected(value, np.stack(moments), by_row, by_dispersion)

    def centre(self, level: int, shift: FloatArray, near: Centred | None = None) -> Centred:
        """Find the mode and the curvature of every unit's integrand in v; ``near`` is known of other shifts."""
        sd = self.sds[level]
        v = np.zeros_like(shift) if near is None else near.predict(shift)
        found, below = self._children(level, shift + sd * v, None if near is None else near.below)
        height = _height(found, v)
        length = np.ones_like(v)
        for _ in range(_MOST_STEPS):
            gradient = sd * found.first - v
            curvature = 1.0 + np.maximum(-(sd**2) * found.second, 0.0)
            gradient = np.where(np.isfinite(gradient), gradient, 0.0)
            curvature = np.where(np.isfinite(curvature), curvature, 1.0)
            step = np.clip(gradient / curvature, -_LONGEST_STEP, _LONGEST_STEP)
            if np.all((np.abs(step) * np.sqrt(curvature) < _NEAR) | (length < 1e-6)):
                v = v + np.where(length < 1e-6, 0.0, step)
                break
            proposal = v + length * step
            after, below = self._children(level, shift + sd * proposal, below)
            new_height = _height(after, proposal)
            better = new_height >= height - 1e-12 * (1.0 + np.abs(height))
            if better.all():
                v, height, found = proposal, new_height, after
                length = np.minimum(1.0, 2.0 * length)
                continue
            below = None  # of proposals that overshot: nothing to start from
            v, height = np.where(better, proposal, v), np.where(better, new_height, height)
            found = Shifted(*(np.where(better, new, old) for new, old in zip(after, found, strict=True)))
            length = np.where(better, np.minimum(1.0, 2.0 * length), 0.3 * length)
        if below is None and level < self.tree.n_levels - 1:
            _, below = self._children(level, shift + sd * v, None)
        second = np.where(np.isfinite(found.second), found.second, 0.0)
        scale = np.maximum(1.0 - sd**2 * second, _LEAST_CURVATURE) ** -0.5
        return Centred(shift, v, scale, sd * np.minimum(second, 0.0) * scale**2, below)

    def _children(self, level: int, shift: FloatArray, near: Centred | None) -> tuple[Shifted, Centred | None]:
        """Return the sum over children of a level's units, all effects below integrated out, at shifts (..., unit,
        column)."""
        shifts = self.tree.spread(level, shift)
        if level < self.tree.n_levels - 1:
            parts, centred = self._integral(level + 1, shifts, near)
        else:
            derivatives = self.family.derivatives(self.base + shifts, self.response, self.dispersion)
            parts, centred = Shifted(derivatives.value, derivatives.first, derivatives.second), None
            if self.counts is not None:
                parts = Shifted(*(part * self.counts for part in parts))
        return Shifted(*(self.tree.sum(level, part) for part in parts)), centred

    def _integral(self, level: int, shift: FloatArray, near: Centred | None) -> tuple[Shifted, Centred]:
        """Return the log integral over a level's effects as a function of the shift above them."""
        centred = self.centre(level, shift, near)
        v = centred.spread(self.rule)
        found, _ = self._children(level, shift + self.sds[level] * v, centred.below)
        logs = _weigh(found.value - 0.5 * v * v, centred, self.rule)
        value = log_sum(logs, axis=0)
        share = np.exp(logs - value)
        first = np.sum(share * found.first, axis=0)
        variance = np.sum(share * (found.first - first) ** 2, axis=0)
        return Shifted(value, first, np.sum(share * found.second, axis=0) + variance), centred


def _weigh(log_density: FloatArray, centred: Centred, rule: Rule) -> FloatArray:
    """Return the log terms of a rule from the log integrand at its points."""
    weights = rule.log_weights.reshape(-1, *(1,) * centred.mode.ndim)
    return np.asarray(log_density + weights + (np.log(centred.scale) - 0.5 * _LOG_2PI))


def _height(found: Shifted, v: FloatArray) -> FloatArray:
    return np.where(np.isnan(found.value), -np.inf, found.value - 0.5 * v * v)


def _carry(weight: FloatArray, values: FloatArray) -> FloatArray:
    """Return weighted values; what has no weight may be infinite."""
    return np.where(weight > 0.0, weight * values, 0.0)


def _sum_leading(values: FloatArray, kept: int) -> FloatArray:
    """Return the sums over all but the last axes."""
    return np.asarray(values.sum(axis=tuple(range(values.ndim - kept))))

"""Tables of units below others, summed over what the levels above give them: one grid of deviations at each node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool.inference.contract import ConditionalTables
from partialpool.inference.quadrature.nested_hermite import spread_over_rules, table_parts
from partialpool.inference.quadrature.recursion import Centred
from partialpool.inference.quadrature.tabled_recursion import TabledRecursion
from partialpool.numerics.arrays import FloatArray, IntArray

#: Points on each side of a grid that are tried, fewest first.
HALVES = (40, 80, 160)
# How far the grid goes and how fine it must be, in Laplace sds; what is worth less than this is not looked at.
_REACH, _SPACING, _CARRIES_NOTHING = 7.0, 0.5, 1e-7
# Share of the nodes, on average over units, whose parts may be narrower than that.
_UNRESOLVED = 1e-3
# Array elements (point, part, unit, node) of a block.
_BLOCK = 2**16


@dataclass(frozen=True)
class Mixture:
    """Some units of a level at some nodes, ``centred`` at each of the shifts that the levels above give them, (part,
    unit, node), which are worth ``weights`` of the same shape."""

    recursion: TabledRecursion  # of these units alone at their level
    level: int
    centred: Centred
    weights: FloatArray

    @property
    def ends(self) -> tuple[FloatArray, FloatArray]:
        """Between which deviations (unit, node), in population sds, every part that counts lies."""
        carried, mode, reach = self._carried, self.centred.mode, _REACH * self.centred.scale
        low = np.min(np.where(carried, mode - reach, np.inf), axis=0)
        return low, np.max(np.where(carried, mode + reach, -np.inf), axis=0)

    def unresolved(self, half: int) -> FloatArray:
        """Return the weight (unit, node) of the parts that a grid of ``half`` points on each side is too coarse for."""
        low, high = self.ends
        coarse = (high - low) / (2.0 * half) > _SPACING * self.centred.scale
        return np.asarray(np.sum(self.weights, axis=0, where=coarse & self._carried))

    @property
    def _carried(self) -> NDArray[np.bool_]:
        return np.asarray(self.weights > _CARRIES_NOTHING)

    @property
    def parts(self) -> ConditionalTables:
        """The tables (unit, node and part, point) of every part on its own grid."""
        every = np.arange(self.weights.shape[-2], dtype=np.intp)
        return table_parts(self.recursion, self.level, every, self.centred, self.weights)

    def tabulate(self, half: int) -> ConditionalTables:
        """Return the tables (unit, node, point) of all parts together on grids of ``half`` points on each side."""
        z = np.arange(-half, half + 1, dtype=np.float64)
        low, high = self.ends
        middle, spacing = 0.5 * (low + high), (high - low) / (2.0 * half)
        density = np.empty((*middle.shape, len(z)))
        size = max(1, _BLOCK // (len(z) * self.centred.mode[..., 0].size))
        for start in range(0, middle.shape[1], size):
            nodes = np.arange(start, min(start + size, middle.shape[1]), dtype=np.intp)
            v = middle[:, nodes] + spacing[:, nodes] * z.reshape(-1, 1, 1, 1)
            logs = self.recursion.at_columns(nodes).log_density(self.level, self.centred.at_columns(nodes), v)
            logs -= logs.max(axis=0)
            parts = np.exp(logs, out=logs)
            share = self.weights[..., nodes] / parts.sum(axis=0)
            density[:, nodes] = np.einsum("pjun,jun->unp", parts, share)
        sds = self.recursion.sds[self.level]
        return ConditionalTables(z, sds * middle, sds * spacing, density)


def mix_parts(recursion: TabledRecursion, level: int, units: IntArray) -> Mixture:
    """Return some units of a level with all that the levels above give them."""
    shift, weights = spread_over_rules(recursion, level)
    part = recursion.at_units(level, units)
    return Mixture(part, level, part.centre(level, shift[..., units, :]), weights[..., units, :])


def choose_half(mixtures: Sequence[Mixture]) -> int | None:
    """Return the fewest points on each side that serve all units at all but few nodes, None where none do.

    Parts narrower than what parts them are the rule's comb in place of a smooth density: resolving them adds nothing.
    """
    for half in HALVES:
        unresolved = np.concatenate([mixture.unresolved(half).ravel() for mixture in mixtures])
        if np.mean(unresolved) <= _UNRESOLVED:
            return half
    return None

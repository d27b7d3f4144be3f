"""Conditional moments of the effects of several factors at a set of nodes.

Where an evaluation is dear they are computed at few nodes and interpolated to many. What is interpolated varies slowly
with the hyperparameters: the effects' means, which are bounded by the data, and the logs of their variances relative to
the population's (triangular factors where a level has several effects).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from partialpool.inference.gaussian.elimination.block_conditional import (
    BlockConditional,
    project_covariances,
    solve_leading_means,
)
from partialpool.inference.gaussian.elimination.block_factor import BlockFactor
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.small_matrices import factor_ldl, multiply
from partialpool.reductions.statistics import Statistics


@dataclass(frozen=True)
class SphericalMoments:
    """By factor of the design: the means for each target ``means`` (effect, target, level, node) and the
    ``covariances`` (effect, effect, level, node), the coefficients given. ``points`` are the nodes that they are for;
    with ``mixing`` (node, point) the arrays are at other nodes, from which they are interpolated."""

    points: HyperPoints
    means: tuple[FloatArray, ...]
    covariances: tuple[FloatArray, ...]
    mixing: FloatArray | None = None

    def at(self, statistics: Statistics, factor: int, levels: slice | IntArray) -> tuple[FloatArray, FloatArray]:
        """Return on the formula's scale the means (effect, target, level, node) and the variances over sigma^2 (effect,
        level, node) of some levels of a factor."""
        means, covariance = self.means[factor][:, :, levels], self.covariances[factor][:, :, levels]
        if self.mixing is not None:
            means, covariance = means @ self.mixing, mix_covariances(covariance, self.mixing)
        part = statistics.effect_slices[factor]
        root = (self.points.effect_root[part, part] / self.points.residual_sd)[:, :, None]
        return means, np.sum(multiply(root, covariance) * root, axis=1)

    @property
    def numbers(self) -> int:
        """How many numbers are held."""
        return sum(part.size for part in (*self.means, *self.covariances))

    def select(self, nodes: IntArray) -> SphericalMoments:
        """Return the moments at some of the points."""
        if self.mixing is not None:
            return replace(self, points=self.points.select(nodes), mixing=self.mixing[:, nodes])
        return SphericalMoments(
            self.points.select(nodes),
            tuple(part[..., nodes] for part in self.means),
            tuple(part[..., nodes] for part in self.covariances),
        )


def find_spherical_moments(
    statistics: Statistics, points: HyperPoints, blocks: BlockFactor, effects: BlockConditional
) -> SphericalMoments:
    """Return the moments of every level of every factor at the nodes of ``blocks``."""
    remaining = statistics.remaining
    if remaining is None:
        raise ValueError("there is no factor beside the leading one")
    means: dict[int, FloatArray] = dict(zip(remaining.positions, effects.means, strict=True))
    covariances: dict[int, FloatArray] = {}
    for k, position in enumerate(remaining.positions):
        coupling = remaining.coupling(k, k)
        covariances[position] = effects.covariances[k, k][:, :, coupling.row == coupling.column]
    seen = project_covariances(statistics, blocks.roots, effects.covariances, by_group=True)
    class_of = statistics.cross.class_of
    pull = effects.leading.pull[:, :, class_of]
    own = effects.leading.covariance[:, :, class_of] + multiply(multiply(pull, seen), pull.swapaxes(0, 1))
    means[statistics.leading] = solve_leading_means(statistics, effects.leading, blocks, effects.means)
    covariances[statistics.leading] = own
    order = range(len(means))
    roots = [points.effect_root[part, part] / points.residual_sd for part in statistics.effect_slices]
    return SphericalMoments(
        points,
        tuple(multiply(roots[k][:, :, None], means[k]) for k in order),
        tuple(covariances[k] for k in order),
    )


def join_spherical_moments(points: HyperPoints, runs: Sequence[SphericalMoments]) -> SphericalMoments:
    """Join the moments of successive runs of nodes, which together are ``points``."""
    factors = range(len(runs[0].means))
    return SphericalMoments(
        points,
        tuple(np.concatenate([run.means[k] for run in runs], axis=-1) for k in factors),
        tuple(np.concatenate([run.covariances[k] for run in runs], axis=-1) for k in factors),
    )


def mix_covariances(covariances: FloatArray, mixing: FloatArray) -> FloatArray:
    """Interpolate covariances (order, order, ..., node) to points by ``mixing`` (node, point).

    Their triangular factors and the logs of their pivots are interpolated: variances grow over orders of magnitude, and
    the result is positive definite.
    """
    order = len(covariances)
    if not order:
        return np.empty((*covariances.shape[:-1], mixing.shape[1]))
    factor = factor_ldl(covariances)
    pivots = np.exp(np.log(np.maximum(factor.pivots, 1e-300)) @ mixing)
    if order == 1:
        return pivots[None]
    lower = factor.lower @ mixing
    return multiply(lower * pivots, lower.swapaxes(0, 1), left_is="lower", right_is="upper")

"""What coefficients and effects are given the nodes of a surrogate, interpolated between the nodes that were
evaluated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from partialpool.inference.gaussian.elimination.block_conditional import condition_blocks
from partialpool.inference.gaussian.marginal import CoefficientConditional, GaussianMarginal, join_conditionals
from partialpool.inference.gaussian.spherical_moments import (
    SphericalMoments,
    find_spherical_moments,
    join_spherical_moments,
    mix_covariances,
)
from partialpool.inference.hyper.hyper_posterior import weighted_quantiles
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.progress import track
from partialpool.numerics.surrogates.interpolation import interpolation_weights
from partialpool.numerics.surrogates.surrogate import FLOOR_BELOW, Warp, bend


@dataclass(frozen=True, eq=False)
class InterpolatedEffects:
    """The ``evaluated`` nodes with their ``coordinates``, the ``points`` that are interpolated to, the ``mixing``
    weights (evaluated node, point), and the coordinates' ``warp``."""

    marginal: GaussianMarginal
    evaluated: HyperPoints
    coordinates: FloatArray
    points: HyperPoints
    mixing: FloatArray
    warp: Warp

    @cached_property
    def _places(self) -> dict[bytes, int]:
        return {node_key(self.points, node): node for node in range(self.points.n_nodes)}

    def find(self, points: HyperPoints) -> IntArray | None:
        """Return which of ``self.points`` these are; None where one of them is another."""
        places = [self._places.get(node_key(points, node), -1) for node in range(points.n_nodes)]
        return None if min(places, default=-1) < 0 else np.array(places, dtype=np.intp)

    def mix_to(self, coordinates: FloatArray) -> FloatArray:
        """Return weights (evaluated node, point) for any other points."""
        return interpolation_weights(self.warp.apply(self.coordinates), self.warp.apply(coordinates))

    @cached_property
    def conditional(self) -> CoefficientConditional:
        """The coefficients at the evaluated nodes."""
        return self._computed[0]

    @cached_property
    def moments(self) -> SphericalMoments:
        """The effects at the evaluated nodes, to be interpolated to ``points``."""
        return replace(self._computed[1], points=self.points, mixing=self.mixing)

    @cached_property
    def _computed(self) -> tuple[CoefficientConditional, SphericalMoments]:
        conditionals, runs = [], []
        for part in track(self.marginal.split(self.evaluated), "conditioning effects"):
            reduction = self.marginal.reduce_effects(part)
            if reduction.blocks is None:
                raise ValueError("there is no factor beside the leading one")
            conditionals.append(self.marginal.condition_on(part, reduction))
            effects = condition_blocks(self.marginal.statistics, part, reduction.blocks)
            runs.append(find_spherical_moments(self.marginal.statistics, part, reduction.blocks, effects))
        return join_conditionals(conditionals), join_spherical_moments(self.evaluated, runs)

    def hold(self, conditional: CoefficientConditional, moments: SphericalMoments) -> None:
        """Take what was computed at the evaluated nodes already."""
        self.__dict__["_computed"] = (conditional, moments)

    def coefficients_at(self, nodes: IntArray) -> CoefficientConditional:
        """Return the coefficients' conditional at some of the points."""
        return self.mix_coefficients(self.points.select(nodes), self.mixing[:, nodes])

    def mix_coefficients(self, points: HyperPoints, mixing: FloatArray) -> CoefficientConditional:
        """Return the coefficients' conditional at any points, to which ``mixing`` (evaluated node, point) leads."""
        known = self.conditional
        return replace(
            known,
            mean=known.mean @ mixing,
            covariance=mix_covariances(known.covariance, mixing),
            shift=self.marginal.shift_at(points),
        )


def interpolate_effects(
    marginal: GaussianMarginal,
    evaluated: HyperPoints,
    coordinates: FloatArray,
    points: HyperPoints,
    nodes: FloatArray,
    weights: FloatArray,
    log_scales: NDArray[np.bool_],
) -> InterpolatedEffects:
    """Prepare the interpolation from evaluated ``coordinates`` (evaluated node, dimension) to the ``nodes`` (node,
    dimension) of a posterior with these ``weights``; ``log_scales`` (dimension,) are logs of population sds."""
    middle = [weighted_quantiles(column, weights, np.array([0.5]))[0] for column in nodes.T]
    floor = np.where(log_scales, np.array(middle) - FLOOR_BELOW, -np.inf)
    bent = bend(nodes, floor)
    centre = weights @ bent
    spread = (bent - centre) * np.sqrt(weights)[:, None]
    covariance = spread.T @ spread
    root = np.linalg.cholesky(covariance + 1e-10 * np.trace(covariance) * np.eye(len(centre)))
    warp = Warp(floor, centre, np.asarray(root))
    mixing = interpolation_weights(warp.apply(coordinates), warp.apply(nodes))
    return InterpolatedEffects(marginal, evaluated, coordinates, points, mixing, warp)


def node_key(points: HyperPoints, node: int) -> bytes:
    """Return the node's hyperparameters as bytes."""
    return bytes(points.effect_root[..., node].tobytes() + points.residual_sd[node].tobytes())

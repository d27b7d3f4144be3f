"""Whether weighted nodes cover the density that they stand for, or only a part of it.

Weights compare a density with its proposal where the proposal has points; nothing in them tells of a ridge that leaves
the sample at both ends. So the density is followed along lines from a point in the middle, in the directions of its own
curvature and along the coordinates, as far as it goes, and compared with how far the nodes go.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from partialpool.numerics.arrays import BatchLogDensity, FloatArray, IntArray
from partialpool.numerics.mode import difference_quotients
from partialpool.numerics.sampling.importance import WeightedNodes

# Steps along a line to both sides, in sds of the nodes.
_LADDER = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 14.0, 20.0, 40.0])
# Step of the curvature's differences, in sds.
_STEP = 0.3
# Share of the weight without which the nodes reach as far as they do.
_WITHOUT = 1e-4
# A line ends where its log density has fallen by this much: beyond, there may be rounding where a density should be.
_FALLEN = 30.0
# Points between two steps of the ladder at which the log density is interpolated.
_BETWEEN = 16
_NOTHING = 1e6


class Lines(NamedTuple):
    """What lines through the middle of a density show: ``missed``, the largest share of a line's mass that lies further
    out than the nodes do; and the ``n_evaluations`` made."""

    missed: float
    n_evaluations: int


def follow_lines(log_density: BatchLogDensity, sample: WeightedNodes) -> Lines:
    """Follow the density along lines and compare with how far the nodes go.

    Lines start at the likeliest node and run along the coordinates and along the axes of the
    curvature in coordinates where the nodes' covariance is the identity: of a normal that is covered 0.0002 is missed,
    of one whose nodes are half as wide 0.06.
    """
    nodes, weights = sample.nodes, sample.weights
    dimension = nodes.shape[1]
    root = _covariance_root(nodes - weights @ nodes, weights)
    if root is None:
        return Lines(1.0, 0)
    inverse = np.linalg.inv(root)
    best = int(np.argmax(np.where(weights > 0.0, sample.log_density, -np.inf)))
    centre, height = nodes[best], float(sample.log_density[best])

    def whitened(points: FloatArray) -> FloatArray:
        return log_density(centre + points @ root.T)

    _, precision, n_around = difference_quotients(whitened, np.zeros(dimension), height, np.full(dimension, _STEP))
    axes = np.linalg.eigh(np.nan_to_num(precision, posinf=1e6, neginf=-1e6))[1].T
    coordinates = inverse / np.linalg.norm(inverse, axis=0)
    directions = np.concatenate([axes, coordinates.T])
    signed = np.concatenate([directions, -directions])
    drops = height - whitened((_LADDER[:, None, None] * signed).reshape(-1, dimension)).reshape(len(_LADDER), -1)
    places = (directions @ inverse) @ (nodes[_carrying(weights)] - centre).T
    reach = np.concatenate([places.max(axis=1), -places.min(axis=1)])
    return Lines(float(_missed_shares(drops, reach).max()), n_around + drops.size)


def _covariance_root(deviations: FloatArray, weights: FloatArray) -> FloatArray | None:
    covariance = (deviations * weights[:, None]).T @ deviations
    sds = np.sqrt(np.diag(covariance))
    if not (np.isfinite(sds).all() and (sds > 0.0).all()):
        return None
    correlation = covariance / np.outer(sds, sds)
    try:
        return np.asarray(sds[:, None] * np.linalg.cholesky(correlation + 1e-12 * np.eye(len(sds))))
    except np.linalg.LinAlgError:
        return None


def _carrying(weights: FloatArray) -> IntArray:
    """Return the nodes that together hold all but a ten-thousandth of the weight."""
    order = np.argsort(weights)
    return order[int(np.searchsorted(np.cumsum(weights[order]), _WITHOUT)) :]


def _missed_shares(drops: FloatArray, reach: FloatArray) -> FloatArray:
    """Return the share (line,) of each line's mass that is beyond its reach.

    ``drops`` (step, signed direction) are how far the log density has fallen from the centre, negative where it rises;
    the first half of the directions and the second are the two sides of each line.
    """
    steps = np.concatenate([[0.0], _LADDER])
    fine = np.unique(np.concatenate([np.linspace(a, b, _BETWEEN + 1) for a, b in pairwise(steps)]))
    n_lines = drops.shape[1] // 2
    known = np.nan_to_num(drops, nan=_NOTHING, posinf=_NOTHING, neginf=-_NOTHING)
    over = np.logical_or.accumulate(known > _FALLEN, axis=0)
    heights = -np.vstack([np.zeros(drops.shape[1]), np.where(over, _NOTHING, known)])
    logs = np.array([np.interp(fine, steps, column) for column in heights.T]).reshape(2, n_lines, -1)
    densities = np.exp(logs - logs.max(axis=(0, 2), keepdims=True)) * np.gradient(fine)
    outside = densities * (fine > reach.reshape(2, n_lines, 1))
    return np.asarray(outside.sum(axis=(0, 2)) / densities.sum(axis=(0, 2)))

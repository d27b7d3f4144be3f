"""Interpolating smooth functions that are known at a few nodes."""

from __future__ import annotations

import numpy as np

from partialpool.numerics.arrays import FloatArray

# Length scale in posterior sds, and how far the values may be missed relative to the process: conditions the solve.
_LENGTH = 5.0
# How far out of the box of the nodes, in posterior sds along each axis, the trend is followed.
_BEYOND = 3.0
_NUGGET = 1e-7


def interpolation_weights(nodes: FloatArray, at: FloatArray) -> FloatArray:
    """Return weights (node, point) that take a function's values at ``nodes`` (node, dimension) to the points ``at``.

    Coordinates are whitened: in posterior sds. A quadratic trend (linear where nodes are few) plus a Gaussian process
    of squared-exponential covariance: linear functions are exact, and every column sums to one. A point far outside
    the box of the nodes counts as less far.

    Source: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, section 2.7.
    """
    wanted = at.clip(nodes.min(axis=0) - _BEYOND, nodes.max(axis=0) + _BEYOND)
    dimension = nodes.shape[1]
    quadratic = len(nodes) >= (dimension + 1) * (dimension + 2)
    trend, goal = _trend(nodes, quadratic), _trend(wanted, quadratic)
    n_nodes, n_trend = trend.shape
    system = np.zeros((n_nodes + n_trend, n_nodes + n_trend))
    system[:n_nodes, :n_nodes] = _kernel(nodes, nodes) + _NUGGET * np.eye(n_nodes)
    system[:n_nodes, n_nodes:] = trend
    system[n_nodes:, :n_nodes] = trend.T
    right = np.concatenate([_kernel(nodes, wanted), goal.T])
    return np.asarray(np.linalg.lstsq(system, right, rcond=1e-13)[0][:n_nodes])


def _kernel(left: FloatArray, right: FloatArray) -> FloatArray:
    squares = np.sum(left**2, axis=1)[:, None] + np.sum(right**2, axis=1) - 2.0 * left @ right.T
    return np.asarray(np.exp(-0.5 * np.maximum(squares, 0.0) / _LENGTH**2))


def _trend(points: FloatArray, quadratic: bool) -> FloatArray:
    columns = [np.ones((len(points), 1)), points]
    if quadratic:
        rows, others = np.tril_indices(points.shape[1])
        columns.append(points[:, rows] * points[:, others])
    return np.concatenate(columns, axis=1)

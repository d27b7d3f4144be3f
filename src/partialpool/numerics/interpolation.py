"""Interpolating smooth functions that are known at a few weighted nodes."""

from __future__ import annotations

import numpy as np

from partialpool.numerics.arrays import FloatArray


def interpolation_weights(nodes: FloatArray, weights: FloatArray, at: FloatArray) -> FloatArray:
    """Return weights (node, point) that take a function's values at ``nodes`` (node, dimension) to points ``at``.

    Regression on the coordinates, and on their squares where there are nodes enough, each node counting by its
    weight: exact for linear functions, and every column sums to one. Points outside the nodes' reach count as on
    its edge, where a polynomial would run away.
    """
    centre = weights @ nodes
    sd = np.sqrt(weights @ (nodes - centre) ** 2)
    sd = np.where(sd > 0.0, sd, 1.0)
    standard = (nodes - centre) / sd
    points = np.clip((at - centre) / sd, standard.min(axis=0), standard.max(axis=0))
    squares = len(nodes) >= 2 * (1 + 2 * nodes.shape[1])
    features, wanted = _features(standard, squares), _features(points, squares)
    weighted = features * weights[:, None]
    gram = weighted.T @ features
    ridge = 1e-10 * np.trace(gram) * np.eye(len(gram))
    return np.asarray(weighted @ np.linalg.solve(gram + ridge, wanted.T))


def _features(points: FloatArray, squares: bool) -> FloatArray:
    columns = [np.ones((len(points), 1)), points]
    if squares:
        columns.append(points**2)
    return np.concatenate(columns, axis=1)

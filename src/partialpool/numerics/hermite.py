"""Gauss-Hermite rules for standard normal weights, products of them, and uniform rules with the same use."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from partialpool.numerics.arrays import FloatArray

_LOG_2PI = float(np.log(2.0 * np.pi))


class Rule(NamedTuple):
    """``points`` (axis, point) and ``log_weights`` (point,) such that the integral of f over space is about the sum of
    exp(log_weights) f(points), best where f is a standard normal density times a polynomial."""

    points: FloatArray
    log_weights: FloatArray


@lru_cache(maxsize=64)
def hermite_rule(order: int, n_axes: int = 1) -> Rule:
    """Return the product rule of ``order`` points along each axis.

    Source: Liu and Pierce (1994), Biometrika 81:624-629, section 2.
    """
    from scipy.special import roots_hermitenorm

    points, weights = roots_hermitenorm(order)
    # the rule's weights are for exp(-z^2/2); points where they underflow carry nothing
    kept = weights > 1e-290
    points, logs = points[kept], np.log(weights[kept]) + 0.5 * points[kept] ** 2
    return _multiply([(points, logs)] * n_axes)


@lru_cache(maxsize=64)
def uniform_rule(reach: float, spacing: float, order: int = 0, n_axes: int = 1) -> Rule:
    """Return the trapezoid rule on -reach..reach along the first axis, times a Gauss-Hermite rule along the others;
    the first axis runs slowest."""
    half = round(reach / spacing)
    points = np.asarray(spacing * np.arange(-half, half + 1), dtype=np.float64)
    first = (points, np.full(len(points), np.log(spacing)))
    if n_axes == 1:
        return _multiply([first])
    other = hermite_rule(order)
    return _multiply([first, *[(other.points[0], other.log_weights)] * (n_axes - 1)])


def _multiply(axes: list[tuple[FloatArray, FloatArray]]) -> Rule:
    index = np.array(list(product(*(range(len(points)) for points, _ in axes)))).T
    points = np.stack([axis[0][i] for axis, i in zip(axes, index, strict=True)])
    logs = np.sum([axis[1][i] for axis, i in zip(axes, index, strict=True)], axis=0)
    return Rule(points, logs)

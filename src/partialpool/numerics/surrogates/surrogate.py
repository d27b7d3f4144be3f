"""A smooth surrogate of a log likelihood, from its values and gradients at a few nodes.

A quadratic trend plus a Gaussian process of squared-exponential covariance, both fitted to values and gradients
together. Coordinates are whitened, so that the trend has the prior of a normal log density and the process a bounded
size: far from all nodes the surrogate is nearly normal. Length scale and size are those of a short list that best
predict each node from the others. Log scales are warped first: the likelihood is a smooth function of a variance down
to 0, so as a function of log(variance + floor) / 2 it is as smooth, while along the log scale itself it is flat to the
left for ever.

Source: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, sections 2.7 and 9.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import ComputationError
from partialpool.numerics.arrays import FloatArray, IntArray

#: Log scales are warped this far below their middle: there, at a quarter of the variance, the likelihood begins to
#: flatten.
FLOOR_BELOW = 0.7

# Length scales and sizes of the process, in posterior sds and units of log likelihood.
_LENGTHS = (1.7, 2.5, 3.7, 5.5)
_SIZES = (0.1, 1.0, 10.0)
# Prior sds of the trend's constant, gradient and second derivatives about those of a whitened normal density.
_TREND_SDS = (30.0, 3.0, 0.5)
# The largest eigenvalue of the trend's second derivatives with which it still falls as a normal log density does.
_RISING = 0.1
# What the fit may miss the data by: far below the accuracy asked for, and enough to condition it.
_NOISE = 3e-4
# A gradient along a warped coordinate that hardly moves any more is rounding.
_LEAST_SLOPE = 1e-3


@dataclass(frozen=True)
class Warp:
    """Log scales above ``floor`` (dimension,) pass almost unchanged, those below end there; -inf leaves a coordinate
    alone. Then coordinates are whitened by ``centre`` and ``root`` (dimension, dimension)."""

    floor: FloatArray
    centre: FloatArray
    root: FloatArray

    def apply(self, coordinates: FloatArray) -> FloatArray:
        """Return whitened coordinates (node, dimension)."""
        bent = bend(coordinates, self.floor)
        return np.asarray(np.linalg.solve(self.root, (bent - self.centre).T).T)

    def slopes(self, coordinates: FloatArray) -> FloatArray:
        """Return the derivatives (node, dimension) of the bent coordinates."""
        return 1.0 / (1.0 + np.exp(np.minimum(2.0 * (self.floor - coordinates), 600.0)))


def bend(coordinates: FloatArray, floor: FloatArray) -> FloatArray:
    """Return log(exp(2 c) + exp(2 floor)) / 2 for each coordinate."""
    return 0.5 * np.logaddexp(2.0 * coordinates, 2.0 * np.maximum(floor, -1e300))


@dataclass(frozen=True)
class Surrogate:
    """The fitted function; ``nodes`` are whitened, ``weights`` (node,) and ``slopes`` (node, dimension) the process's
    coefficients, ``constant``, ``gradient`` and ``curvature`` the quadratic's; ``importance`` (node,) is as given."""

    warp: Warp
    nodes: FloatArray
    weights: FloatArray
    slopes: FloatArray
    length: float
    constant: float
    gradient: FloatArray
    curvature: FloatArray
    importance: FloatArray

    def __call__(self, coordinates: FloatArray) -> FloatArray:
        """Return the log likelihood (node,) at coordinates (node, dimension)."""
        at = self.warp.apply(coordinates)
        trend = self.constant + at @ self.gradient + 0.5 * np.sum((at @ self.curvature) * at, axis=1)
        kernel = _kernel(at, self.nodes, self.length)
        along = self.slopes / self.length**2
        inner = self.weights - np.sum(self.nodes * along, axis=1) + at @ along.T
        return np.asarray(trend + np.sum(kernel * inner, axis=1))


def fit_surrogate(
    warp: Warp, coordinates: FloatArray, values: FloatArray, gradients: FloatArray, importance: FloatArray
) -> Surrogate:
    """Fit values (node,) and gradients (node, dimension; NaN where unknown) at coordinates (node, dimension).

    ``importance`` (node,) says how much it matters what the surrogate is at each node.
    """
    nodes = warp.apply(coordinates)
    bent_slopes = warp.slopes(coordinates)
    known = np.asarray(bent_slopes > _LEAST_SLOPE)
    # a gradient by a whitened coordinate mixes those by bent ones: only whole ones are of use
    whole = np.asarray((known & np.isfinite(gradients)).all(axis=1))
    by_bent = np.where(whole[:, None], gradients / np.where(known, bent_slopes, 1.0), 0.0)
    used = np.concatenate([np.ones(len(nodes), dtype=bool), np.repeat(whole, nodes.shape[1])])
    data = np.concatenate([values - values.max(), (by_bent @ warp.root).ravel()])[used]
    trend = _trend_rows(nodes)[used]
    of_node = np.concatenate([np.arange(len(nodes)), np.repeat(np.arange(len(nodes)), nodes.shape[1])])[used]
    candidates = []
    for length in _LENGTHS:
        covariance = _covariance(nodes, length)[np.ix_(used, used)]
        for size in _SIZES:
            fit = _krige(covariance, data, trend, length, size, nodes.shape[1])
            if fit is not None:
                candidates.append((_leave_out(fit, of_node, importance), fit))
    if not candidates:
        raise ComputationError("no surrogate fits the log likelihood: it is not smooth where the posterior is")
    steep = [float(np.linalg.eigvalsh(_curvature(fit.trend, nodes.shape[1]))[-1]) for _, fit in candidates]
    # the process fades away from the nodes, and a trend that rises is left there alone
    most = max(_RISING, min(steep))
    tame = [candidate for candidate, rise in zip(candidates, steep, strict=True) if rise <= most]
    fit = min(tame, key=lambda candidate: candidate[0])[1]
    return _assemble(warp, nodes, fit, used, float(values.max()), importance)


class _Fit(NamedTuple):
    """``length``, ``trend`` coefficients (constant, gradient, lower triangle of the curvature), ``process``
    coefficients (datum,), and the data's ``precision`` (datum, datum) with ``weighted`` = precision times what the
    prior missed."""

    length: float
    trend: FloatArray
    process: FloatArray
    precision: FloatArray
    weighted: FloatArray


def _krige(
    covariance: FloatArray, data: FloatArray, trend: FloatArray, length: float, size: float, dimension: int
) -> _Fit | None:
    """Fit trend and process at one length scale and size."""
    prior = _normal_trend(dimension)
    spread = np.concatenate([[_TREND_SDS[0]], np.full(dimension, _TREND_SDS[1])])
    spread = np.concatenate([spread, np.full(len(prior) - len(spread), _TREND_SDS[2])]) ** 2
    total = size**2 * covariance + (trend * spread) @ trend.T
    total[np.diag_indices_from(total)] += _NOISE**2
    precision = _invert(total)
    if precision is None:
        return None
    weighted = precision @ (data - trend @ prior)
    return _Fit(length, prior + spread * (trend.T @ weighted), size**2 * weighted, precision, weighted)


def _invert(covariance: FloatArray) -> FloatArray | None:
    """Return the inverse from the Cholesky factor; None where the matrix is not positive definite."""
    from scipy.linalg import lapack

    root, failed = lapack.dpotrf(covariance, lower=True)
    if failed:
        return None
    inverse, failed = lapack.dpotri(root, lower=True)
    lower = np.tril(inverse)
    return None if failed else np.asarray(lower + np.tril(lower, -1).T)


def _normal_trend(dimension: int) -> FloatArray:
    """Return the trend of a standard normal log density, -|x|^2 / 2."""
    quadratic = -0.5 * np.equal(*np.tril_indices(dimension))
    return np.concatenate([np.zeros(1 + dimension), quadratic])


def _leave_out(fit: _Fit, of_node: IntArray, importance: FloatArray) -> float:
    """Return the root mean square error of each node's value as predicted without the node.

    Source: Dubrule (1983), Mathematical Geology 15:687-699 (cross-validation of kriging).
    """
    squares = np.zeros(len(importance))
    for node in range(len(importance)):
        own = np.flatnonzero(of_node == node)
        block = fit.precision[np.ix_(own, own)]
        try:
            squares[node] = np.linalg.solve(block, fit.weighted[own])[0] ** 2
        except np.linalg.LinAlgError:
            return np.inf
    return float(np.sqrt(importance @ squares / importance.sum()))


def _assemble(
    warp: Warp, nodes: FloatArray, fit: _Fit, used: NDArray[np.bool_], top: float, importance: FloatArray
) -> Surrogate:
    n_nodes, dimension = nodes.shape
    every = np.zeros(len(used))
    every[used] = fit.process
    return Surrogate(
        warp,
        nodes,
        every[:n_nodes],
        every[n_nodes:].reshape(n_nodes, dimension),
        fit.length,
        top + float(fit.trend[0]),
        fit.trend[1 : dimension + 1],
        _curvature(fit.trend, dimension),
        importance,
    )


def _kernel(at: FloatArray, nodes: FloatArray, length: float) -> FloatArray:
    """Return exp(-|x - x_i|^2 / (2 length^2)), (node, node)."""
    squares = np.sum(at**2, axis=1)[:, None] + np.sum(nodes**2, axis=1) - 2.0 * at @ nodes.T
    return np.asarray(np.exp(-0.5 * np.maximum(squares, 0.0) / length**2))


def _covariance(nodes: FloatArray, length: float) -> FloatArray:
    """Return the covariance of values, then of gradients (node by node), under the process."""
    n_nodes, dimension = nodes.shape
    kernel = _kernel(nodes, nodes, length)
    apart = (nodes[:, None] - nodes) / length**2  # (x_i - x_j) / length^2
    result = np.empty((n_nodes * (dimension + 1),) * 2)
    result[:n_nodes, :n_nodes] = kernel
    crossed = (kernel[:, :, None] * apart).reshape(n_nodes, -1)  # value at i, gradient at j
    result[:n_nodes, n_nodes:] = crossed
    result[n_nodes:, :n_nodes] = crossed.T
    both = -apart[:, :, :, None] * apart[:, :, None, :] + np.eye(dimension) / length**2
    result[n_nodes:, n_nodes:] = (
        (kernel[:, :, None, None] * both).transpose(0, 2, 1, 3).reshape(n_nodes * dimension, -1)
    )
    return result


def _trend_rows(nodes: FloatArray) -> FloatArray:
    """Return the rows of 1, x, and the lower triangle of x x' for values and for gradients."""
    n_nodes, dimension = nodes.shape
    rows, columns = np.tril_indices(dimension)
    of_values = np.concatenate([np.ones((n_nodes, 1)), nodes, nodes[:, rows] * nodes[:, columns]], axis=1)
    of_gradients = np.zeros((n_nodes, dimension, of_values.shape[1]))
    for k in range(dimension):
        of_gradients[:, k, 1 + k] = 1.0
        of_gradients[:, k, 1 + dimension :] = (rows == k) * nodes[:, columns] + (columns == k) * nodes[:, rows]
    return np.concatenate([of_values, of_gradients.reshape(n_nodes * dimension, -1)])


def _curvature(coefficients: FloatArray, dimension: int) -> FloatArray:
    """Return the matrix C for which x'Cx / 2 is the trend's quadratic part."""
    rows, columns = np.tril_indices(dimension)
    matrix = np.zeros((dimension, dimension))
    matrix[rows, columns] = coefficients[1 + dimension :]
    return matrix + matrix.T

"""A map from the standard normal to a skewed, bent, funnel-shaped density, fitted to weighted points.

The map is triangular: coordinate k is placed by a polynomial in the coordinates before it, stretched by the
exponential of another, and bent by Tukey's g-and-h function, which skews (g) and fattens (h > 0: polynomial tails of
index 1/h). The density of a pushed point is known at once, which is all that importance sampling asks.

Source: Marzouk, Moselhy, Parno and Spantini (2016), in Handbook of Uncertainty Quantification, chapter 23 (triangular
maps); Hoaglin (1985), in Exploring Data Tables, Trends, and Shapes, chapter 11 (g-and-h).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partialpool.numerics.arrays import BatchLogDensity, FloatArray
from partialpool.numerics.mode import Mode

# h: tails of index 10, fatter than any log-scale posterior's exponential tail.
_TAIL = 0.1
# Polynomials are evaluated no further out than this many standard deviations, where they would run away.
_REACH = 3.5
_ROUNDING = 1e-12
_MOST_CROSSED = 5  # dimensions up to which products of coordinates enter the polynomials


@dataclass(frozen=True)
class Transport:
    """``centre`` (dimension,) and the lower triangular ``root`` (dimension, dimension) standardise; ``shifts`` and
    ``log_scales`` hold one coefficient array per coordinate for the polynomial features of those before it; ``skew``
    (dimension,) is g, ``tail`` (dimension,) h."""

    centre: FloatArray
    root: FloatArray
    shifts: tuple[FloatArray, ...]
    log_scales: tuple[FloatArray, ...]
    skew: FloatArray
    tail: FloatArray

    def push(self, normal: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Map points (node, dimension); return them with the log density of the pushed normal there."""
        dimension = len(self.centre)
        standard = np.empty_like(normal)
        log_density = np.full(len(normal), -self._log_volume)
        for k in range(dimension):
            features = _features(standard[:, :k], dimension)
            log_scale = features @ self.log_scales[k]
            bent, log_slope = _bend(normal[:, k], self.skew[k], self.tail[k])
            standard[:, k] = features @ self.shifts[k] + np.exp(log_scale) * bent
            log_density -= 0.5 * normal[:, k] ** 2 + 0.5 * np.log(2.0 * np.pi) + log_slope + log_scale
        return self.centre + standard @ self.root.T, log_density

    @property
    def _log_volume(self) -> float:
        return float(np.sum(np.log(np.diag(self.root))))


def fit_to_curvature(log_density: BatchLogDensity, mode: Mode) -> Transport:
    """Return the linear map of the mode's curvature, each axis as wide and skewed as the density is found to be.

    Along each axis the density is evaluated at a ladder of steps to both sides; the step at which its log has
    dropped by 2 is two standard deviations of a normal.
    """
    covariance = np.linalg.inv(mode.precision)
    root = np.linalg.cholesky(covariance)
    dimension = len(root)
    ladder = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0, 13.0])
    steps = (ladder[:, None, None] * np.stack([root.T, -root.T]).reshape(2 * dimension, dimension)).reshape(
        -1, dimension
    )
    values = log_density(mode.location + steps).reshape(len(ladder), 2 * dimension)
    drops = np.maximum.accumulate(np.nan_to_num(mode.log_density - values, nan=1e6, posinf=1e6), axis=0)
    widths = np.array([np.interp(2.0, drop, ladder) for drop in drops.T]).reshape(2, dimension) / 2.0
    spread = np.sqrt(np.diag(covariance))
    skew = np.clip(np.log(widths[0] / widths[1]) / 2.0, -0.8, 0.8)
    shifts, log_scales = [], []
    for k in range(dimension):
        n_features = _features(np.empty((0, k)), dimension).shape[1]
        shift, log_scale = np.zeros(n_features), np.zeros(n_features)
        if k:
            regression = np.linalg.solve(covariance[:k, :k], covariance[:k, k])
            shift[1 : k + 1] = regression * spread[:k] / spread[k]
        log_scale[0] = np.log(root[k, k] / spread[k] * np.sqrt(widths[0, k] * widths[1, k]))
        shifts.append(shift)
        log_scales.append(log_scale)
    return Transport(mode.location, np.diag(spread), tuple(shifts), tuple(log_scales), skew, np.full(dimension, _TAIL))


def affine_map(mean: FloatArray, covariance: FloatArray) -> Transport:
    """Return the map to a normal of this mean and covariance, but for its fat tails."""
    dimension = len(mean)
    sizes = [_features(np.empty((0, k)), dimension).shape[1] for k in range(dimension)]
    nothing = tuple(np.zeros(size) for size in sizes)
    sds = np.sqrt(np.diag(covariance))
    root = sds[:, None] * np.linalg.cholesky(covariance / np.outer(sds, sds) + _ROUNDING * np.eye(dimension))
    return Transport(mean, root, nothing, nothing, np.zeros(dimension), np.full(dimension, _TAIL))


def fit_to_points(points: FloatArray, weights: FloatArray) -> Transport:
    """Return the map fitted to weighted points (node, dimension): shifts by least squares, scales by least squares
    on log squared residuals, skews from quantiles; all shrunk a little towards no dependence."""
    dimension = points.shape[1]
    centre = weights @ points
    sds = np.sqrt(np.maximum(weights @ (points - centre) ** 2, 1e-300))
    root, standard = np.diag(sds), (points - centre) / sds
    ridge = 2.0 * float(np.sum(weights**2))
    shifts, log_scales = [], []
    skew, tail = np.zeros(dimension), np.zeros(dimension)
    for k in range(dimension):
        features = _features(standard[:, :k], dimension)
        shift = _ridge_regression(features, standard[:, k], weights, ridge)
        residual = standard[:, k] - features @ shift
        squares = residual**2 + 1e-4 * float(weights @ residual**2)
        log_scale = 0.5 * _ridge_regression(features, np.log(squares), weights, 5.0 * ridge)
        scaled = residual / np.exp(features @ log_scale)
        far_low, low, middle, high, far_high = _weighted_quantiles(scaled, weights)
        upper, lower = max(high - middle, 0.05), max(middle - low, 0.05)
        skew[k] = np.clip(np.log(upper / lower) / 1.5, -1.2, 1.2)
        tail[k] = _fit_tail(max(far_high - far_low, 0.1) / (upper + lower), skew[k])
        reach_up, _ = _bend(np.array([1.5, -1.5]), skew[k], tail[k])
        # The bent normal's median is 0: the shift moves the polynomial to the conditional median.
        shift = shift + middle * _exp_shift(log_scale)
        log_scale = log_scale.copy()
        log_scale[0] += np.log((upper + lower) / (reach_up[0] - reach_up[1])) + 0.02
        shifts.append(shift)
        log_scales.append(log_scale)
    return Transport(centre, root, tuple(shifts), tuple(log_scales), skew, tail)


def _exp_shift(log_scale: FloatArray) -> FloatArray:
    """exp(polynomial) to first order: takes a median of scaled residuals back to the coordinate."""
    constant = np.zeros_like(log_scale)
    constant[0] = np.exp(log_scale[0])
    constant[1:] = constant[0] * log_scale[1:]
    return constant


def _features(before: FloatArray, dimension: int) -> FloatArray:
    """Return 1, the coordinates before, their squares, and (in few dimensions) products, clipped: (node, feature)."""
    clipped = np.clip(before, -_REACH, _REACH)
    k = before.shape[1]
    columns = [np.ones(len(before)), *clipped.T, *(clipped.T**2 - 1.0)]
    if dimension <= _MOST_CROSSED:
        columns += [clipped[:, i] * clipped[:, j] for i in range(k) for j in range(i)]
    return np.stack(columns, axis=1)


def _bend(normal: FloatArray, skew: float, tail: float) -> tuple[FloatArray, FloatArray]:
    """Return the g-and-h function of standard normal values and the log of its slope."""
    g = skew if abs(skew) > 1e-6 else 1e-6
    log_stretch = 0.5 * tail * normal**2
    bent = np.expm1(g * normal) / g
    slope = np.exp(g * normal) + tail * normal * bent
    return bent * np.exp(log_stretch), np.log(slope) + log_stretch


def _ridge_regression(features: FloatArray, target: FloatArray, weights: FloatArray, ridge: float) -> FloatArray:
    weighted = features * weights[:, None]
    gram = weighted.T @ features
    penalty = np.full(len(gram), ridge)
    penalty[0] = 1e-12
    return np.asarray(np.linalg.solve(gram + np.diag(penalty), weighted.T @ target))


def _fit_tail(far_to_near: float, skew: float) -> float:
    """Return h from the ratio of the spans between +-2.3 and between +-1.5 normal sds, never below the least tail."""
    g = max(abs(skew), 1e-6)
    excess = np.log(far_to_near) - np.log(np.sinh(2.3 * g) / np.sinh(1.5 * g))
    return float(np.clip(_TAIL + 2.0 * excess / (2.3**2 - 1.5**2), _TAIL, 0.3))


def _weighted_quantiles(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the quantiles at -2.3, -1.5, 0, 1.5 and 2.3 normal sds."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order]) - 0.5 * weights[order]
    levels = [0.0107241, 0.0668072, 0.5, 0.9331928, 0.9892759]
    return np.asarray(np.interp(levels, cumulative, values[order]))

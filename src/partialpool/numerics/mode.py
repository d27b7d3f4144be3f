"""Mode and curvature of a log density that is evaluated in batches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.errors import ComputationError
from partialpool.numerics.arrays import BatchLogDensity, FloatArray

# Step lengths tried along the Newton direction, in one batch.
_STEP_LENGTHS = np.array([1.0, 0.5, 2.0, 0.2, 0.05, 0.01])
# Curvature below this (a standard deviation of 5 on a log scale) is treated as this much.
_LEAST_CURVATURE = 0.04


class Mode(NamedTuple):
    """``location`` (dimension,), ``precision`` (dimension, dimension; minus the Hessian made positive definite),
    the ``log_density`` there and the number of points evaluated."""

    location: FloatArray
    precision: FloatArray
    log_density: float
    n_evaluations: int


def find_mode(log_density: BatchLogDensity, starts: FloatArray, max_steps: int = 60) -> Mode:
    """Climb from the best of ``starts`` (start, dimension) by Newton steps on batched central differences.

    A batch of d^2 + d points gives gradient and Hessian, whose differences are taken a tenth of a
    standard deviation apart. Raises ``ComputationError`` when no start has a finite density or when the steps do
    not settle.

    Source: Nocedal and Wright (2006), Numerical Optimization, sections 3.4 and 8.1.
    """
    values = np.where(np.isnan(first := log_density(starts)), -np.inf, first)
    n_evaluations = len(starts)
    best = int(np.argmax(values))
    if not np.isfinite(values[best]):
        raise ComputationError("the posterior density is zero at every starting point: check the priors' supports")
    location, value = starts[best].astype(float), float(values[best])
    step = np.full(len(location), 0.1)
    for _ in range(max_steps):
        gradient, precision = _differences(log_density, location, value, step)
        direction, precision = _newton_direction(gradient, precision)
        candidates = location + _STEP_LENGTHS[:, None] * direction
        candidate_values = log_density(candidates)
        candidate_values = np.where(np.isnan(candidate_values), -np.inf, candidate_values)
        n_evaluations += len(location) * (len(location) + 1) + len(candidates)
        chosen = int(np.argmax(candidate_values))
        moved = _STEP_LENGTHS[chosen] * direction
        gain = float(candidate_values[chosen]) - value
        if gain > 0.0:
            location, value = location + moved, float(candidate_values[chosen])
        step = 0.1 / np.sqrt(np.diag(precision))
        # The mode only places the nodes: a thousandth of the unit of log density is ample.
        if gain < 1e-3 and float(gradient @ direction) < 1e-2:
            return Mode(location, precision, value, n_evaluations)
    raise ComputationError(
        f"the mode of the hyperparameters was not found in {max_steps} steps: give more informative priors"
    )


def _differences(
    log_density: BatchLogDensity, location: FloatArray, value: float, step: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the gradient and minus the Hessian by central differences, in one batch."""
    dimension = len(location)
    axes = np.diag(step)
    pairs = [(i, j) for i in range(dimension) for j in range(i)]
    offsets = [*axes, *(-axes)]
    for i, j in pairs:
        offsets += [axes[i] + axes[j], -axes[i] - axes[j]]
    around = log_density(location + np.array(offsets))
    around = np.where(np.isfinite(around), around, value - 1e3)
    up, down, mixed = around[:dimension], around[dimension : 2 * dimension], around[2 * dimension :]
    gradient = (up - down) / (2.0 * step)
    precision = np.diag((2.0 * value - up - down) / step**2)
    for k, (i, j) in enumerate(pairs):
        both = mixed[2 * k] + mixed[2 * k + 1] - up[i] - up[j] - down[i] - down[j] + 2.0 * value
        precision[i, j] = precision[j, i] = -both / (2.0 * step[i] * step[j])
    return gradient, precision


def _newton_direction(gradient: FloatArray, precision: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the Newton direction, at most three units long, and the precision made positive definite."""
    eigenvalues, axes = np.linalg.eigh(precision)
    eigenvalues = np.maximum(np.abs(eigenvalues), _LEAST_CURVATURE)
    precision = (axes * eigenvalues) @ axes.T
    direction = axes @ ((axes.T @ gradient) / eigenvalues)
    length = float(np.max(np.abs(direction)))
    return direction * min(1.0, 3.0 / max(length, 1e-300)), precision

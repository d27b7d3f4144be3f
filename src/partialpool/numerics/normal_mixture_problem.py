"""The likelihood of a mixture of normals as the population of groups whose likelihoods are known on a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.numerics.arrays import FloatArray, IntArray

#: What a likelihood that underflows counts as.
LEAST_LIKELIHOOD = 1e-300


class MixtureParameters(NamedTuple):
    """``weights``, ``means`` and ``sds``, each (start, component)."""

    weights: FloatArray
    means: FloatArray
    sds: FloatArray

    def select(self, starts: IntArray | slice) -> MixtureParameters:
        """Return some of the starts."""
        return MixtureParameters(self.weights[starts], self.means[starts], self.sds[starts])


@dataclass(frozen=True)
class MixtureProblem:
    """Likelihoods (point, group), each group's largest being one, on ``points`` (point,) with trapezoid ``steps``, and
    ``group_weights`` (group,). ``constant`` is what the log likelihood lacks; no sd goes below ``floor``."""

    likelihoods: FloatArray
    points: FloatArray
    steps: FloatArray
    group_weights: FloatArray
    constant: float
    floor: float

    def masses(self, parameters: MixtureParameters) -> FloatArray:
        """Return what each component puts at each point, (start, component, point)."""
        z = (self.points - parameters.means[..., None]) / parameters.sds[..., None]
        heights = parameters.weights / (parameters.sds * math.sqrt(2.0 * math.pi))
        return np.asarray(heights[..., None] * np.exp(-0.5 * z * z) * self.steps)

    def densities(self, masses: FloatArray) -> FloatArray:
        """Return f (start, group)."""
        return np.asarray(np.maximum(masses.sum(axis=-2) @ self.likelihoods, LEAST_LIKELIHOOD))

    def log_likelihood(self, parameters: MixtureParameters) -> FloatArray:
        """Return the log likelihood (start,)."""
        logs = np.log(self.densities(self.masses(parameters)))
        return np.asarray(logs @ self.group_weights + self.constant)


def pose_mixture(
    log_likelihoods: FloatArray, points: FloatArray, group_weights: FloatArray | None = None
) -> MixtureProblem:
    """Return the problem of log likelihoods (group, point) on increasing ``points`` (point,).

    The sds' floor is the widest spacing, at which the trapezoid rule integrates a normal density to 1e-8.

    Raises:
        DataError: shapes do not fit, points do not increase, or a group's likelihood is zero everywhere or nan.
    """
    logs, places = np.asarray(log_likelihoods, dtype=np.float64), np.asarray(points, dtype=np.float64)
    if logs.ndim != 2 or not len(logs) or places.shape != logs.shape[1:] or len(places) < 3:
        raise DataError(f"log likelihoods have shape {logs.shape} and points {places.shape}: give (group, point)")
    spacing = np.diff(places)
    if not (spacing > 0.0).all():
        raise DataError("points of a mixture's grid must increase: sort them and drop equal ones")
    weights = np.ones(len(logs)) if group_weights is None else np.asarray(group_weights, dtype=np.float64)
    if weights.shape != (len(logs),) or not np.isfinite(weights).all() or weights.min() < 0.0 or not weights.any():
        raise DataError(f"group weights: give {len(logs)} numbers of at least 0, some of them above it")
    largest = logs.max(axis=1)
    if not np.isfinite(largest).all():
        place = int(np.flatnonzero(~np.isfinite(largest))[0])
        raise DataError(f"log likelihoods of group {place} (from 0) are nan, +inf, or -inf at every point")
    likelihoods = np.array(logs.T, order="C")
    likelihoods -= largest
    np.exp(likelihoods, out=likelihoods)
    steps = 0.5 * (np.append(spacing, 0.0) + np.insert(spacing, 0, 0.0))
    return MixtureProblem(likelihoods, places, steps, weights, float(weights @ largest), float(spacing.max()))

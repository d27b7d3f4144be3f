"""Nonparametric maximum likelihood of a mixing distribution on given support points.

The weights maximise a concave function (Kiefer and Wolfowitz 1956), the sum over groups of w_g log f_g with
f_g = sum over points of L_gk pi_k. With D_k = sum over groups of w_g L_gk / f_g / W, W the groups' total weight, they
are the maximum exactly where no D_k is above 1, and at any weights the maximum is at most W log max D above what is
reached (Lindsay 1983; Koenker and Mizera 2014): max D - 1 is the gap.

The steps are those of the constrained Newton method (Wang 2007): the points in use are joined by those where D peaks
above 1, and on these few a quadratic model is maximised (as Kim, Carbonetto, Stephens and Anitescu 2020 do it, without
the constraint on the sum, which the maximum of the likelihood less the sum satisfies by itself).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from partialpool.errors import ComputationError, DataError
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.nonnegative_quadratic import maximise_quadratic

_MOST_STEPS = 300
_STEPS_OF_EM = 3
# Points besides those that EM favours with which the steps start.
_SPREAD_POINTS = 12
# A group's likelihood at its best point in use by that at its best point of all, below which that point is used too.
_LEAST_COVER = 0.1
# Weights that are dropped at each step, and those that are dropped at the end if they are of no use.
_NEGLIGIBLE = 1e-14
_SMALL = 1e-9
# The part of a group's likelihood that a step may take: the quadratic model knows nothing of groups without any.
_MOST_LOSS = 0.9
_LEAST_SHORTENING = 1e-9
_ROUNDING = 1e-15


@dataclass(frozen=True)
class MixingWeights:
    """``weights`` (point,) that sum to one, most of them zero; the ``log_likelihood`` there, and the ``gap``: it is at
    most the groups' total weight times the gap below the maximum."""

    weights: FloatArray
    log_likelihood: float
    gap: float
    n_iterations: int


class _Solution(NamedTuple):
    points: IntArray
    weights: FloatArray
    gap: float


@dataclass(frozen=True)
class _Problem:
    """Likelihoods (point, group), each group's largest being one, and the groups' ``shares`` (group,) of their
    ``total`` weight."""

    likelihoods: FloatArray
    shares: FloatArray
    total: float

    def density(self, points: IntArray, weights: FloatArray) -> FloatArray:
        """Return f (group,)."""
        return np.asarray(weights @ self.likelihoods[points])

    def directions(self, density: FloatArray) -> FloatArray:
        """Return D (point,)."""
        return np.asarray(self.likelihoods @ (self.shares / density))


def estimate_mixing_weights(
    log_likelihoods: FloatArray, group_weights: FloatArray | None = None, tolerance: float = 1e-8
) -> MixingWeights:
    """Return the mixing weights (point,) of maximum likelihood, from log likelihoods (group, point).

    ``group_weights`` (group,) say how many groups each row stands for. Points in the order of their places make for
    fewer steps, and any order gives the maximum.

    Raises:
        DataError: a log likelihood is nan or +inf, a weight is negative or not finite, or a group's likelihood is zero
            at every point.
        ComputationError: the gap did not come to ``tolerance``.
    """
    problem, constant = _read(log_likelihoods, group_weights)
    points = _start(problem)
    weights = np.full(len(points), 1.0 / len(points))
    density = problem.density(points, weights)
    for step in range(_MOST_STEPS):
        directions = problem.directions(density)
        gap = float(directions.max()) - 1.0
        if gap <= tolerance:
            points, weights, gap = _finish(problem, points, weights, gap, tolerance)
            value = problem.total * float(problem.shares @ np.log(problem.density(points, weights))) + constant
            everywhere = np.zeros(len(directions))
            everywhere[points] = weights
            return MixingWeights(everywhere, value, max(gap, 0.0), step)
        points, weights = _join(points, weights, directions)
        moved = _newton_step(problem, points, weights, density, directions[points])
        kept = moved > _NEGLIGIBLE
        points, weights = points[kept], moved[kept] / moved[kept].sum()
        density = problem.density(points, weights)
    raise ComputationError(
        f"the mixing weights' gap to the maximum of the likelihood is {gap:.2g} after {_MOST_STEPS} steps, more than "
        f"{tolerance:.2g}: use fewer or wider spaced support points, or a larger tolerance"
    )


def _read(log_likelihoods: FloatArray, group_weights: FloatArray | None) -> tuple[_Problem, float]:
    """Return the problem and what its log likelihood lacks."""
    logs = np.asarray(log_likelihoods, dtype=np.float64)
    if logs.ndim != 2 or not logs.size:
        raise DataError(f"log likelihoods have shape {logs.shape}: give (group, point), at least one of each")
    weights = np.ones(len(logs)) if group_weights is None else np.asarray(group_weights, dtype=np.float64)
    if weights.shape != (len(logs),) or not np.isfinite(weights).all() or weights.min() < 0.0 or not weights.any():
        raise DataError(f"group weights: give {len(logs)} numbers of at least 0, some of them above it")
    used = weights > 0.0
    if not used.all():
        logs, weights = logs[used], weights[used]
    largest = logs.max(axis=1)
    if not np.isfinite(largest).all():
        place = int(np.flatnonzero(used)[np.flatnonzero(~np.isfinite(largest))[0]])
        raise DataError(
            f"log likelihoods of group {place} (of {len(used)}, from 0) are nan, +inf, or -inf at every point: give "
            "support points where every group's likelihood is positive"
        )
    total = float(weights.sum())
    likelihoods = np.array(logs.T, order="C")
    likelihoods -= largest
    np.exp(likelihoods, out=likelihoods)
    return _Problem(likelihoods, weights / total, total), float(weights @ largest)


def _start(problem: _Problem) -> IntArray:
    """Return points where a few steps of EM have peaks, some in between, and some that serve each group."""
    n_points = len(problem.likelihoods)
    weights = np.full(n_points, 1.0 / n_points)
    for _ in range(_STEPS_OF_EM):
        weights = weights * problem.directions(weights @ problem.likelihoods)
    spread = np.linspace(0, n_points - 1, min(_SPREAD_POINTS, n_points)).round().astype(np.intp)
    points = np.union1d(_find_peaks(weights), spread)
    best = problem.likelihoods[points].max(axis=0)
    while (alone := np.flatnonzero(best < _LEAST_COVER)).size:
        point = int(np.argmax(problem.likelihoods[:, alone[0]]))
        points = np.union1d(points, [point])
        best = np.maximum(best, problem.likelihoods[point])
    return points


def _find_peaks(values: FloatArray) -> IntArray:
    """Return where values (point,) are no less than their neighbours and more than the one before."""
    padded = np.concatenate([[-np.inf], values, [-np.inf]])
    return np.flatnonzero((padded[1:-1] > padded[:-2]) & (padded[1:-1] >= padded[2:]))


def _join(points: IntArray, weights: FloatArray, directions: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the points in use and those where D peaks above 1, in order, with their weights, zero where new."""
    peaks = _find_peaks(directions)
    joined = np.union1d(points, peaks[directions[peaks] > 1.0])
    wide = np.zeros(len(joined))
    wide[np.searchsorted(joined, points)] = weights
    return joined, wide


def _newton_step(
    problem: _Problem, points: IntArray, weights: FloatArray, density: FloatArray, directions: FloatArray
) -> FloatArray:
    """Return better weights of ``points``: towards the maximum of the quadratic model, as far as the likelihood grows.

    The objective is sum of shares log f less the sum of the weights. Its Hessian H times the weights is minus D, so
    that the model is (2 D - 1)' y + y' H y / 2, y >= 0.
    """
    ratios = problem.likelihoods[points] / density
    scaled = ratios * np.sqrt(problem.shares)
    target = maximise_quadratic(scaled @ scaled.T, 2.0 * directions - 1.0, weights)
    change = target - weights
    slope = float((directions - 1.0) @ change)
    relative = change @ ratios
    length = 1.0 / max(1.0, -float(relative.min()) / _MOST_LOSS)
    while length > _LEAST_SHORTENING:
        gain = float(problem.shares @ np.log1p(length * relative)) - length * float(change.sum())
        if gain >= 0.1 * length * slope - _ROUNDING:
            return np.asarray(weights + length * change)
        length *= 0.5
    # where the model is of no use all weights go a little towards EM's, and the steepest point's share grows
    steepest = int(np.argmax(directions))
    spread = 0.99 * weights * directions
    spread[steepest] += 1.0 - spread.sum()
    return spread


def _finish(problem: _Problem, points: IntArray, weights: FloatArray, gap: float, tolerance: float) -> _Solution:
    """Return the weights without those that are as good as zero, if the gap allows it."""
    kept = weights > _SMALL
    fewer, rest = points[kept], weights[kept] / weights[kept].sum()
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        rest_gap = float(problem.directions(problem.density(fewer, rest)).max()) - 1.0
    if rest_gap <= max(gap, 0.5 * tolerance):
        points, weights, gap = fewer, rest, rest_gap
    return _Solution(points, weights, gap)

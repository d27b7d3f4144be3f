"""Nonparametric maximum likelihood of a mixing distribution over an interval of the line.

The likelihood is a concave function of the distribution (Kiefer and Wolfowitz 1956): the sum over groups of
w_g log f_g, f_g = sum over points of L_g(t_k) pi_k. With D(t) = sum over groups of w_g L_g(t) / f_g / W, W the groups'
total weight, a distribution is the maximum exactly where D is nowhere above 1, and at any distribution the maximum is
at most W log max D above what is reached (Lindsay 1983; Koenker and Mizera 2014): max D - 1 is the gap. The maximum of
D is taken over the whole interval: a grid that follows the likelihoods shows where D peaks, and each peak is then
found between the grid's points. The support is where such peaks are, and on no grid.

The steps are those of the constrained Newton method (Wang 2007).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from partialpool.errors import ComputationError, DataError
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.mixtures.mixing_steps import newton_step

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: Log likelihoods (group, point) at points (point,).
LogLikelihood = Callable[[FloatArray], FloatArray]

_MOST_STEPS = 500
_STEPS_OF_EM = 3
# Points besides those that EM favours with which the steps start.
_SPREAD_POINTS = 12
# A group's likelihood at its best point in use by that at its best point of all, below which that point is used too.
_LEAST_COVER = 0.1
# Weights that are dropped at each step, and at the end.
_NEGLIGIBLE = 1e-14
_SMALL = 1e-9
# A peak of D between points of a grid as dense as the narrowest likelihood asks for is at most this much above them.
_BETWEEN = 0.05
# Parabolas through three points that find a peak, each at most this much narrower than the one before, and the change
# of D that is not rounding.
_PARABOLAS, _NARROWER = 4, 0.1
_SEEN = 1e-10
# Rounding of log likelihoods, by their size: D is known to no more.
_ROUNDING = 8.0 * float(np.finfo(np.float64).eps)
# Log of the likelihood below a group's largest at which it counts as zero: D's parts there are below e^-34.
_DEAD = 34.0
# Peaks that are joined: those above 1 by this part of the highest, the others are where points are already.
_WORTH = 1e-3
# At the maximum D is 1 where there are points: peaks no further below it have one, whose weight takes so many steps.
_LEVEL, _STEPS_OF_POLISH, _POLISHES = 1e-3, 3, 4
_BLOCK = 2**21


@dataclass(frozen=True)
class MixingDistribution:
    """``weights`` (point,) that sum to one on increasing ``points`` (point,), the ``log_likelihood`` there, and the
    ``gap``: no distribution on the interval is more than the groups' total weight times the gap better."""

    points: FloatArray
    weights: FloatArray
    log_likelihood: float
    gap: float
    n_iterations: int


class _Support(NamedTuple):
    """``points`` and ``weights`` (point,), and the groups' likelihoods there (point, group)."""

    points: FloatArray
    weights: FloatArray
    likelihoods: FloatArray

    @property
    def density(self) -> FloatArray:
        """F (group,)."""
        return np.asarray(self.weights @ self.likelihoods)

    def keep(self, kept: IntArray) -> _Support:
        """Return some of the points, their weights scaled to sum to one."""
        weights = self.weights[kept]
        return _Support(self.points[kept], weights / weights.sum(), self.likelihoods[kept])


@dataclass(frozen=True)
class _Problem:
    """The groups' log likelihoods as a function of points, and their likelihoods by their largest on a ``grid``
    (point,), ``table`` (point, group), whose logs are ``largest`` (group,); ``shares`` (group,) of the total weight."""

    log_likelihood: LogLikelihood
    grid: FloatArray
    table: csr_matrix
    largest: FloatArray
    shares: FloatArray

    def likelihoods(self, points: FloatArray) -> FloatArray:
        """Return the likelihoods (point, group) by their largest."""
        if not len(points):
            return np.empty((0, len(self.largest)))
        return np.exp(self.log_likelihood(points).T - self.largest)

    def support(self, points: FloatArray, weights: FloatArray) -> _Support:
        """Return a distribution."""
        return _Support(points, weights, self.likelihoods(points))


def estimate_mixing_distribution(
    log_likelihood: LogLikelihood, grid: FloatArray, group_weights: FloatArray, tolerance: float = 1e-8
) -> MixingDistribution:
    """Return the mixing distribution of maximum likelihood over the interval from the first point of ``grid`` to its
    last.

    ``grid`` (point,) increases, and where a group's likelihood is not negligible has several points for each of its
    sds. ``group_weights`` (group,) say how many groups each row of the log likelihoods stands for. The gap comes to
    ``tolerance``, or to the rounding of the log likelihoods.

    Raises:
        DataError: a log likelihood is nan or +inf, or a group's likelihood is zero at every point of the grid.
        ComputationError: the gap did not come to ``tolerance``.
    """
    problem = _pose(log_likelihood, grid, group_weights)
    support = _start(problem)
    total = float(group_weights.sum())
    gap, tolerance = np.inf, max(tolerance, _ROUNDING * float(np.abs(problem.largest).max()))
    for step in range(_MOST_STEPS):
        ratios = problem.shares / support.density
        peaks, heights = _find_peaks(problem, ratios)
        gap = float(heights.max()) - 1.0
        if gap <= tolerance:
            support, gap = _finish(problem, support, gap, tolerance)
            value = total * float(problem.shares @ (np.log(support.density) + problem.largest))
            return MixingDistribution(support.points, support.weights, value, max(gap, 0.0), step)
        support = _advance(problem, support, peaks[heights > 1.0 + _WORTH * gap])
    raise ComputationError(
        f"the mixing distribution's gap to the maximum of the likelihood is {gap:.2g} after {_MOST_STEPS} steps, more "
        f"than {tolerance:.2g}: fit population='normal' or 'mixture(2)' instead"
    )


def _pose(log_likelihood: LogLikelihood, grid: FloatArray, group_weights: FloatArray) -> _Problem:
    """Tabulate the likelihoods on the grid, leaving out what is zero to all digits."""
    from scipy.sparse import csr_matrix

    n_groups = len(group_weights)
    size = max(1, _BLOCK // n_groups)
    largest = np.full(n_groups, -np.inf)
    rows: list[IntArray] = []
    columns: list[IntArray] = []
    logs: list[FloatArray] = []
    for start in range(0, len(grid), size):
        block = log_likelihood(grid[start : start + size]).T
        if np.isnan(block).any():
            raise DataError(_describe_unusable(int(np.flatnonzero(np.isnan(block).any(axis=0))[0]), n_groups))
        largest = np.maximum(largest, block.max(axis=0))
        point, group = np.nonzero(block > largest - _DEAD)
        rows.append(point + start)
        columns.append(group)
        logs.append(block[point, group])
    if not np.isfinite(largest).all():
        raise DataError(_describe_unusable(int(np.flatnonzero(~np.isfinite(largest))[0]), n_groups))
    column = np.concatenate(columns)
    values = np.exp(np.concatenate(logs) - largest[column])
    table = csr_matrix((values, (np.concatenate(rows), column)), shape=(len(grid), n_groups))
    return _Problem(log_likelihood, grid, table, largest, group_weights / group_weights.sum())


def _describe_unusable(place: int, n_groups: int) -> str:
    return (
        f"log likelihoods of group {place} (of {n_groups}, from 0) are nan, +inf, or -inf at every point: give a grid "
        "on which every group's likelihood is positive somewhere"
    )


def _start(problem: _Problem) -> _Support:
    """Return points where a few steps of EM have peaks, some in between, and some that serve each group."""
    n_points = len(problem.grid)
    weights = np.full(n_points, 1.0 / n_points)
    for _ in range(_STEPS_OF_EM):
        weights = weights * (problem.table @ (problem.shares / (problem.table.T @ weights)))
    spread = np.linspace(0, n_points - 1, min(_SPREAD_POINTS, n_points)).round().astype(np.intp)
    places = np.union1d(_local_maxima(weights), spread)
    best = problem.table[places].max(axis=0).toarray()[0]
    by_group = problem.table.tocsc()
    while (alone := np.flatnonzero(best < _LEAST_COVER)).size:
        own = by_group[:, alone[0]]
        place = int(own.indices[np.argmax(own.data)])
        places = np.union1d(places, [place])
        best = np.maximum(best, problem.table[place].toarray()[0])
    return problem.support(problem.grid[places], np.full(len(places), 1.0 / len(places)))


def _local_maxima(values: FloatArray) -> IntArray:
    """Return where values (point,) are no less than their neighbours and more than the one before."""
    padded = np.concatenate([[-np.inf], values, [-np.inf]])
    return np.flatnonzero((padded[1:-1] > padded[:-2]) & (padded[1:-1] >= padded[2:]))


def _find_peaks(problem: _Problem, ratios: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the points of the interval where D, from ``ratios`` (group,) of shares to densities, peaks near 1 or
    above, and D there, (peak,) each."""
    grid, on_grid = problem.grid, problem.table @ ratios
    places = _local_maxima(on_grid)
    places = places[on_grid[places] > 1.0 - _BETWEEN]
    low, high = _bracket(on_grid, places)
    peak, height, ends = grid[places], on_grid[places], np.stack([grid[low], grid[high]])
    # the narrower of the two intervals about a point, of which an end of the grid has one
    gaps = np.stack([np.where(low < places, peak - ends[0], np.inf), np.where(high > places, ends[1] - peak, np.inf)])
    width = np.min(gaps, axis=0)
    width = np.where(np.isfinite(width), width, 0.0)
    for _ in range(_PARABOLAS):
        sides = np.clip(peak + width * np.array([[-1.0], [1.0]]), grid[0], grid[-1])
        values = (problem.likelihoods(sides.ravel()) @ ratios).reshape(sides.shape)
        vertex = np.clip(_vertex(sides, values, peak, height), ends[0], ends[1])
        tried = np.stack([peak, *sides, vertex])
        heights = np.stack([height, *values, problem.likelihoods(vertex) @ ratios])
        best = np.argmax(heights, axis=0)[None]
        width = np.maximum(_NARROWER * width, 0.5 * np.abs(np.take_along_axis(tried, best, axis=0)[0] - peak))
        peak, height = (np.take_along_axis(each, best, axis=0)[0] for each in (tried, heights))
    return peak, height


def _bracket(values: FloatArray, places: IntArray) -> tuple[IntArray, IntArray]:
    """Return places on either side of peaks at which ``values`` (point,) are less by more than rounding, or the
    ends."""
    low, high = places, places
    for step in (1, 2, 4, 8, 16):
        for side in (-1, 1):
            at = low if side < 0 else high
            still = values[at] > values[places] - _SEEN
            moved = np.where(still, np.clip(places + side * step, 0, len(values) - 1), at)
            low, high = (moved, high) if side < 0 else (low, moved)
    return low, high


def _vertex(sides: FloatArray, values: FloatArray, middle: FloatArray, height: FloatArray) -> FloatArray:
    """Return where the parabola through three points has its top, the middle one where it has none."""
    left, right = sides - middle
    slopes = np.divide(values - height, sides - middle, out=np.zeros_like(values), where=sides != middle)
    bend = slopes[1] - slopes[0]
    top = 0.5 * (slopes[1] * left - slopes[0] * right)
    return np.asarray(middle + np.divide(top, bend, out=np.zeros_like(top), where=bend < 0.0))


def _advance(problem: _Problem, support: _Support, peaks: FloatArray) -> _Support:
    """Join the points in use by new ones and move the weights."""
    new = np.setdiff1d(peaks, support.points)
    points = np.concatenate([support.points, new])
    order = np.argsort(points)
    likelihoods = np.concatenate([support.likelihoods, problem.likelihoods(new)])[order]
    weights = np.concatenate([support.weights, np.zeros(len(new))])[order]
    moved = newton_step(likelihoods, problem.shares, weights)
    wide = _Support(points[order], moved, likelihoods)
    return wide.keep(np.flatnonzero(moved > _NEGLIGIBLE))


def _finish(problem: _Problem, support: _Support, gap: float, tolerance: float) -> tuple[_Support, float]:
    """Return the distribution with the points about each peak of D, of which the steps leave several, made one, if the
    gap allows it after a few steps more."""
    current = support
    peaks, heights = _find_peaks(problem, problem.shares / support.density)
    for _ in range(_POLISHES):
        current = _merge(problem, current, np.unique(peaks[heights > 1.0 - _LEVEL]))
        if not current.density.all():
            break
        peaks, heights = _find_peaks(problem, problem.shares / current.density)
        rest = float(heights.max()) - 1.0
        if rest <= max(gap, tolerance):
            return current, rest
        current = _advance(problem, current, peaks[heights > 1.0 + _WORTH * rest])
    kept = support.keep(np.flatnonzero(support.weights > _SMALL))
    if kept.density.all():
        kept = kept._replace(weights=newton_step(kept.likelihoods, problem.shares, kept.weights))
        kept = kept.keep(np.flatnonzero(kept.weights > 0.0))
        rest = float(_find_peaks(problem, problem.shares / kept.density)[1].max()) - 1.0
        if rest <= max(gap, tolerance):
            return kept, rest
    return support, gap


def _merge(problem: _Problem, support: _Support, peaks: FloatArray) -> _Support:
    """Put the points nearest to each peak into their mean, and move the weights."""
    nearest = np.searchsorted(0.5 * (peaks[1:] + peaks[:-1]), support.points)
    mass = np.bincount(nearest, support.weights, minlength=len(peaks))
    used = mass > _SMALL
    points = np.bincount(nearest, support.weights * support.points, minlength=len(peaks))[used] / mass[used]
    weights, likelihoods = np.asarray(mass[used], dtype=np.float64), problem.likelihoods(points)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(_STEPS_OF_POLISH):
            weights = newton_step(likelihoods, problem.shares, np.maximum(weights, _NEGLIGIBLE))
    return _Support(points, weights, likelihoods).keep(np.flatnonzero(weights > _SMALL))

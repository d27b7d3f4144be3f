"""Mode and curvature of a log density that is evaluated in batches."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from partialpool.errors import ComputationError
from partialpool.numerics.arrays import BatchLogDensity, FloatArray, IntArray

# Step lengths tried along the Newton direction, in one batch.
_STEP_LENGTHS = np.array([1.0, 0.5, 2.0, 0.2, 0.05, 0.01])
# Curvature below this (a standard deviation of 5 on a log scale) is treated as this much.
_LEAST_CURVATURE = 0.04
_MOST_STEPS = 60
# Steps in a row without a gain, each with differences of its own spacing, after which the climb ends where it is.
_MOST_IDLE_STEPS = 3
# Differences of the log density that are rounding's.
_ROUNDING = 1e-8
# Modes closer than these sds are one, and one this much lower in log density than the highest is left out.
_SAME_MODE, _TOO_LOW = 2.0, 20.0
# Ends of climbs to one mode are as high as one another to this.
_EVEN = 1e-3


class Mode(NamedTuple):
    """``location`` (dimension,), ``precision`` (dimension, dimension; minus the Hessian made positive definite),
    the ``log_density`` there and the number of points evaluated."""

    location: FloatArray
    precision: FloatArray
    log_density: float
    n_evaluations: int

    @property
    def log_mass(self) -> float:
        """Log of the integral of the normal of this height and curvature."""
        dimension = len(self.location)
        log_volume = 0.5 * dimension * np.log(2.0 * np.pi) - 0.5 * np.linalg.slogdet(self.precision)[1]
        return float(self.log_density + log_volume)


#: Asks for log densities at points (node, dimension), is sent them (node,), and returns the mode.
Climb = Generator[FloatArray, FloatArray, Mode]


def find_mode(log_density: BatchLogDensity, starts: FloatArray, max_steps: int = _MOST_STEPS) -> Mode:
    """Climb from the best of ``starts`` (start, dimension) by Newton steps on batched central differences.

    A batch of d^2 + d points gives gradient and Hessian, whose differences are taken a tenth of a
    standard deviation apart; at the edge of the support they are one-sided. The climb also ends where several steps
    in a row gain nothing, as they do in a corner of the support. Raises ``ComputationError`` when no start has a
    finite density or when the steps do not settle.

    Source: Nocedal and Wright (2006), Numerical Optimization, sections 3.4 and 8.1.
    """
    values = _finite(log_density(starts))
    best = int(np.argmax(values))
    if not np.isfinite(values[best]):
        raise ComputationError("the posterior density is zero at every starting point: check the priors' supports")
    (found,) = drive(log_density, [climb_from(starts[best].astype(float), float(values[best]), max_steps)])
    if isinstance(found, ComputationError):
        raise found
    return found._replace(n_evaluations=found.n_evaluations + len(starts))


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.isnan(values), -np.inf, values)


def drive(log_density: BatchLogDensity, climbs: Sequence[Climb]) -> list[Mode | ComputationError]:
    """Let climbs go side by side: what they ask for at a step is evaluated in one batch."""
    ended: dict[int, Mode | ComputationError] = {}
    asked = {k: next(climb) for k, climb in enumerate(climbs)}
    while asked:
        values = log_density(np.concatenate(list(asked.values())))
        ends = np.cumsum([len(points) for points in asked.values()])
        answers = dict(zip(asked, np.split(values, ends[:-1]), strict=True))
        for k, answer in answers.items():
            try:
                asked[k] = climbs[k].send(answer)
            except StopIteration as stop:
                ended[k] = stop.value
            except ComputationError as error:
                ended[k] = error
            if k in ended:
                del asked[k]
    return [ended[k] for k in range(len(climbs))]


def climb_from(location: FloatArray, value: float, max_steps: int = _MOST_STEPS, roughly: bool = False) -> Climb:
    """Ask for the log density (node,) of points (node, dimension) until the mode is found; return it.

    Differences around the end of the full step are asked for beside the other lengths: most steps are full ones.
    Where the mode is wanted ``roughly`` the climb ends within a twentieth of the unit of log density.
    """
    n_evaluations = 0
    step, idle, held, polished = np.full(len(location), 0.1), 0, np.eye(len(location)), False
    around: FloatArray | None = None
    for _ in range(max_steps):
        gradient, precision, n_around = yield from _take_differences(location, value, step, around)
        direction, precision = _newton_direction(gradient, precision)
        next_step = 0.1 / np.sqrt(np.diag(precision))
        candidates = location + _STEP_LENGTHS[:, None] * direction
        ahead = candidates[0] + _pattern(len(location))[0] * next_step
        values = _finite((yield np.concatenate([candidates, ahead])))
        candidate_values = values[: len(candidates)]
        n_evaluations += (n_around if around is None else n_around - len(ahead)) + len(values)
        # of steps that rounding alone tells apart the first, which is the full one
        chosen = int(np.argmax(candidate_values >= candidate_values.max() - _ROUNDING))
        moved = _STEP_LENGTHS[chosen] * direction
        gain = float(candidate_values[chosen]) - value
        idle = 0 if gain > 0.0 else idle + 1
        if idle > 1 and np.linalg.slogdet(precision)[1] < np.linalg.slogdet(held)[1]:
            precision = held  # of differences at the same place, those that saw the edge
            next_step = 0.1 / np.sqrt(np.diag(precision))
        around = None
        if gain > 0.0 or (polished and gain > -_ROUNDING):
            location, value = location + moved, float(candidate_values[chosen])
            around = values[len(candidates) :] if chosen == 0 and precision is not held else None
        held = precision
        step, last_step = next_step, step
        # beside an edge, differences much wider than the density is say too little
        narrowing = n_around > len(location) * (len(location) + 1) and bool((step < 0.5 * last_step).any())
        # The mode only places the nodes: a thousandth of the unit of log density is ample.
        least, flat = (0.05, 0.1) if roughly else (1e-3, 1e-2)
        settled = gain < least and float(gradient @ direction) < flat and not narrowing
        if idle == _MOST_IDLE_STEPS or (settled and (polished or roughly)):
            return Mode(location, precision, value, n_evaluations)
        polished = settled  # one step more, so that the nodes hardly know the start
    raise ComputationError(
        f"the mode of the hyperparameters was not found in {max_steps} steps: give more informative priors"
    )


def find_modes(log_density: BatchLogDensity, starts: FloatArray) -> tuple[Mode, ...]:
    """Climb from each of ``starts`` (start, dimension); return the different modes found, the highest first.

    Modes within two of their sds are one; those too low to matter are left out. Raises ``ComputationError`` where no
    climb ends.
    """
    values = _finite(log_density(starts))
    climbs = [
        climb_from(starts[k].astype(float), float(values[k])) for k in np.argsort(-values) if np.isfinite(values[k])
    ]
    if not climbs:
        raise ComputationError("the posterior density is zero at every starting point: check the priors' supports")
    ended = drive(log_density, climbs)
    found = [mode for mode in ended if isinstance(mode, Mode)]
    if not found:
        raise next(error for error in ended if isinstance(error, ComputationError))
    return distinct_modes(found)


def distinct_modes(found: Sequence[Mode]) -> tuple[Mode, ...]:
    """Return one of each set of modes that are one, the highest first; of the modes of a set that are as high as one
    another the one that comes first in ``found``, whichever ended a rounding higher."""
    distinct: list[Mode] = []
    for mode in sorted(found, key=lambda each: -each.log_density):
        if not distinct or (mode.log_density > distinct[0].log_density - _TOO_LOW and not _is_any(mode, distinct)):
            distinct.append(mode)
    return tuple(next(each for each in found if _is_same(each, mode)) for mode in distinct)


def _is_same(mode: Mode, other: Mode) -> bool:
    return mode is other or (abs(mode.log_density - other.log_density) < _EVEN and _is_any(mode, [other]))


def _is_any(mode: Mode, others: Sequence[Mode]) -> bool:
    deviations = [(mode.location - other.location, other.precision) for other in others]
    return any(bool(d @ precision @ d < _SAME_MODE**2) for d, precision in deviations)


def difference_quotients(
    log_density: BatchLogDensity, location: FloatArray, value: float, step: FloatArray
) -> tuple[FloatArray, FloatArray, int]:
    """Return the gradient and minus the Hessian by central differences in one batch, and the points evaluated.

    Mixed derivatives average the differences over the two quadrants, or take the one that is inside the support.
    """
    differences = _take_differences(location, value, step)
    points = next(differences)
    while True:
        try:
            points = differences.send(log_density(points))
        except StopIteration as stop:
            found: tuple[FloatArray, FloatArray, int] = stop.value
            return found


def _take_differences(
    location: FloatArray, value: float, step: FloatArray, around: FloatArray | None = None
) -> Generator[FloatArray, FloatArray, tuple[FloatArray, FloatArray, int]]:
    """Ask for what ``difference_quotients`` evaluates, but for the log densities ``around`` where these are known."""
    dimension = len(location)
    pattern, first, second = _pattern(dimension)
    if around is None:
        around = yield location + pattern * step
    up, down, mixed = around[:dimension], around[dimension : 2 * dimension], around[2 * dimension :]
    # what is not finite here is replaced below
    with np.errstate(invalid="ignore"):
        gradient = (up - down) / (2.0 * step)
        precision = np.diag((2.0 * value - up - down) / step**2)
        quadrants = np.stack(
            [
                mixed[0::2] - up[first] - up[second] + value,
                mixed[1::2] - down[first] - down[second] + value,
            ]
        )
    inside = np.isfinite(quadrants)
    means = np.where(inside, quadrants, 0.0).sum(axis=0) / np.maximum(inside.sum(axis=0), 1)
    precision[first, second] = precision[second, first] = -means / (step[first] * step[second])
    at_edge = np.flatnonzero(~(np.isfinite(up) & np.isfinite(down)))
    if len(at_edge):
        inward = np.where(np.isfinite(down[at_edge]), -1.0, 1.0)
        near = np.where(inward < 0.0, down[at_edge], up[at_edge])
        far = yield location + 2.0 * inward[:, None] * np.diag(step)[at_edge]
        gradient[at_edge], precision[at_edge, at_edge] = _one_sided(value, near, far, inward, step[at_edge])
    return gradient, precision, len(pattern) + len(at_edge)


@cache
def _pattern(dimension: int) -> tuple[FloatArray, IntArray, IntArray]:
    """Return offsets in steps (point, dimension): each axis up, then down, then each pair up and down together; and the
    two axes of every pair."""
    axes = np.eye(dimension)
    first, second = np.tril_indices(dimension, -1)
    both = axes[first] + axes[second]
    mixed = np.stack([both, -both], axis=1).reshape(-1, dimension)
    return np.concatenate([axes, -axes, mixed]), first, second


def _one_sided(
    value: float, near: FloatArray, far: FloatArray, inward: FloatArray, step: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return gradient and precision along axes (axis,) that leave the support on the side opposite to ``inward``.

    ``near`` and ``far`` are one and two steps inside. A density that rises up to its edge with slope s falls off inside
    like an exponential of sd 1/s: the precision is s^2 more than the curvature, and the gradient, which leads out,
    is 0. Without a neighbour on either side the sd is a step.
    """
    with np.errstate(invalid="ignore"):
        slope = np.where(np.isfinite(far), 4.0 * near - far - 3.0 * value, 2.0 * (near - value)) / (2.0 * step)
        curvature = np.where(np.isfinite(far), 2.0 * near - far - value, 0.0) / step**2
    alone = ~np.isfinite(near)
    slope, curvature = np.where(alone, 0.0, slope), np.where(alone, step**-2.0, curvature)
    outward = np.minimum(slope, 0.0)
    return inward * np.maximum(slope, 0.0), np.maximum(curvature, 0.0) + outward**2


def _newton_direction(gradient: FloatArray, precision: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the Newton direction, at most three units long, and the precision made positive definite."""
    eigenvalues, axes = np.linalg.eigh(precision)
    eigenvalues = np.maximum(np.abs(eigenvalues), _LEAST_CURVATURE)
    precision = (axes * eigenvalues) @ axes.T
    direction = axes @ ((axes.T @ gradient) / eigenvalues)
    length = float(np.max(np.abs(direction)))
    return direction * min(1.0, 3.0 / max(length, 1e-300)), precision

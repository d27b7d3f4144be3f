"""Adaptive trapezoid grids in one and two dimensions, and continuous draws and quantiles from them.

On a smooth density that vanishes at both ends the trapezoid rule converges faster than any power of the
spacing (Trefethen and Weideman 2014, SIAM Review 56:385-458, section 5), so no nodes are wasted on order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from partialpool.errors import ComputationError
from partialpool.numerics.arrays import BatchLogDensity, FloatArray, IntArray
from partialpool.numerics.mode import Mode

# Log density below the peak at which the grid ends: the mass left out is about 2e-9 of the whole.
_EDGE_DROP = 20.0
_FIRST_SPACING = 0.6  # conditional sds; a normal density is then integrated to 1e-23, its subgrid to 2e-6
_MAX_NODES = 200_000
_REFINED_CELLS = 2**17


@dataclass(frozen=True)
class Grid:
    """Equally spaced ``axes`` and the log density at every crossing, (axis 0[, axis 1]).

    ``change_on_doubling`` is the largest change in the log integral, and in any axis's mean and sd in units
    of that sd, from the subgrid of twice the spacing to this grid.
    """

    axes: tuple[FloatArray, ...]
    log_density: FloatArray
    log_integral: float
    change_on_doubling: float
    n_evaluations: int

    @property
    def nodes(self) -> FloatArray:
        """The crossings as points (node, dimension)."""
        return _crossings(self.axes)

    @property
    def weights(self) -> FloatArray:
        """The probability of each node (node,), summing to one."""
        weights = np.exp(self.log_density.ravel() - self.log_density.max())
        return np.asarray(weights / weights.sum())


def integrate_on_grid(
    log_density: BatchLogDensity,
    mode: Mode,
    growth: FloatArray,
    tolerance: float = 1e-4,
) -> Grid:
    """Grow a grid around the mode until its edges are negligible, then halve the spacing where that still moves it.

    ``growth`` (dimension,) is how fast the functions of interest grow along each axis (exp(growth * x)): edges
    are negligible only when the density times that growth is. Raises ``ComputationError`` when 200,000
    nodes do not suffice, when memory does not, or when the density is infinite somewhere.
    """
    spacing = _FIRST_SPACING / np.sqrt(np.diag(mode.precision))
    bounds = np.array([[-10, 10]] * len(spacing))
    axes = _axes(mode.location, spacing, bounds)
    values = _evaluate(log_density, axes)
    n_evaluations = values.size
    while len(short := _short_sides(axes, values, growth)):
        bounds = bounds.copy()
        for axis, side in short:
            # even bounds, so that the subgrid of twice the spacing keeps the mode
            bounds[axis, side] = 2 * int(0.8 * bounds[axis, side])
        wider = _axes(mode.location, spacing, bounds)
        values, new = _evaluate_new(log_density, wider, axes, values)
        axes, n_evaluations = wider, n_evaluations + new
    while (moving := ~((changes := _change_on_doubling(axes, values, bounds)) < tolerance)).any():
        halved = np.where(moving, 2, 1)
        spacing, bounds = spacing / halved, bounds * halved[:, None]
        finer = _axes(mode.location, spacing, bounds)
        values, new = _evaluate_new(log_density, finer, axes, values)
        axes, n_evaluations = finer, n_evaluations + new
    log_integral = _log_integral(axes, values)
    axes, values = _trim(axes, values, growth)
    return Grid(axes, values, log_integral, float(changes.max()), n_evaluations)


def _axes(centre: FloatArray, spacing: FloatArray, bounds: IntArray) -> tuple[FloatArray, ...]:
    sizes = np.prod(bounds[:, 1] - bounds[:, 0] + 1.0)
    if sizes > _MAX_NODES:
        raise ComputationError(
            f"a grid of {sizes:.0f} nodes would be needed for the hyperparameters: the posterior is too "
            "diffuse or too narrow along a ridge; give more informative priors"
        )
    return tuple(centre[k] + spacing[k] * np.arange(low, high + 1) for k, (low, high) in enumerate(bounds))


def _crossings(axes: tuple[FloatArray, ...]) -> FloatArray:
    mesh = np.meshgrid(*axes, indexing="ij")
    return np.stack([axis.ravel() for axis in mesh], axis=1)


def _evaluate(log_density: BatchLogDensity, axes: tuple[FloatArray, ...]) -> FloatArray:
    return _call(log_density, _crossings(axes)).reshape([len(axis) for axis in axes])


def _call(log_density: BatchLogDensity, points: FloatArray) -> FloatArray:
    """Return the log density (node,) with NaN as density zero; an infinite density cannot be integrated."""
    try:
        values = log_density(points)
    except MemoryError as error:
        raise ComputationError(
            f"the {len(points)} nodes of the hyperparameters' grid need more memory than there is: "
            "give more informative priors, so that fewer suffice"
        ) from error
    if np.isposinf(values).any():
        raise _unusable_density()
    return np.where(np.isnan(values), -np.inf, values)


def _unusable_density() -> ComputationError:
    return ComputationError(
        "the posterior density of the hyperparameters is infinite or not a number far from its peak, where a prior "
        "piles up mass beyond what floating point can hold: give a prior that is less steep near 0"
    )


def _evaluate_new(
    log_density: BatchLogDensity,
    axes: tuple[FloatArray, ...],
    old_axes: tuple[FloatArray, ...],
    old_values: FloatArray,
) -> tuple[FloatArray, int]:
    """Evaluate only the crossings that the old grid does not have; the old grid is a regular part of the new."""
    values = np.full([len(axis) for axis in axes], np.nan)
    kept = []
    for axis, old in zip(axes, old_axes, strict=True):
        stride = round((old[1] - old[0]) / (axis[1] - axis[0]))
        first = round((old[0] - axis[0]) / (axis[1] - axis[0]))
        kept.append(slice(first, first + stride * (len(old) - 1) + 1, stride))
    values[tuple(kept)] = old_values
    missing = np.isnan(values).ravel()
    values.ravel()[missing] = _call(log_density, _crossings(axes)[missing])
    return values, int(missing.sum())


def _edge_profile(axes: tuple[FloatArray, ...], values: FloatArray, growth: FloatArray, axis: int) -> FloatArray:
    """Return the largest log density times growth over each slice of an axis, relative to the peak's."""
    others = tuple(k for k in range(len(axes)) if k != axis)
    profile = values.max(axis=others) if others else values
    peak = axes[axis][int(np.argmax(profile))]
    grown = profile + growth[axis] * np.maximum(axes[axis] - peak, 0.0)
    with np.errstate(invalid="ignore"):  # no finite peak: every comparison fails
        return np.asarray(grown - profile.max())


def _short_sides(axes: tuple[FloatArray, ...], values: FloatArray, growth: FloatArray) -> list[tuple[int, int]]:
    """Return the (axis, side) pairs at which the grid ends too early."""
    short = []
    for axis, side in product(range(len(axes)), (0, 1)):
        if _edge_profile(axes, values, growth, axis)[-side] > -_EDGE_DROP:
            short.append((axis, side))
    return short


def _trim(
    axes: tuple[FloatArray, ...], values: FloatArray, growth: FloatArray
) -> tuple[tuple[FloatArray, ...], FloatArray]:
    """Drop the outer slices that carry nothing."""
    for axis in range(len(axes)):
        keep = np.flatnonzero(_edge_profile(axes, values, growth, axis) > -1.5 * _EDGE_DROP)
        if len(keep) == 0:
            raise _unusable_density()
        window = slice(int(keep[0]), int(keep[-1]) + 1)
        axes = tuple(points[window] if k == axis else points for k, points in enumerate(axes))
        values = values[tuple(window if k == axis else slice(None) for k in range(values.ndim))]
    return axes, values


def _log_integral(axes: tuple[FloatArray, ...], values: FloatArray) -> float:
    peak = float(values.max())
    log_cell = sum(float(np.log(axis[1] - axis[0])) for axis in axes)
    return peak + float(np.log(np.exp(values - peak).sum())) + log_cell


def _axis_moments(axes: tuple[FloatArray, ...], values: FloatArray) -> FloatArray:
    """Return the mean and sd of every axis, (axis, 2)."""
    weights = np.exp(values - values.max())
    weights /= weights.sum()
    moments = []
    for axis, points in enumerate(axes):
        marginal = weights.sum(axis=tuple(k for k in range(len(axes)) if k != axis))
        mean = float(marginal @ points)
        moments.append((mean, float(np.sqrt(marginal @ (points - mean) ** 2))))
    return np.array(moments)


def _change_on_doubling(axes: tuple[FloatArray, ...], values: FloatArray, bounds: IntArray) -> FloatArray:
    """Compare the grid with its subgrid of every second node along each axis in turn, (axis,)."""
    fine_integral, fine_moments = _log_integral(axes, values), _axis_moments(axes, values)
    changes = []
    for k in range(len(axes)):
        every_second = slice(int(-bounds[k, 0]) % 2, None, 2)  # keeps the mode
        coarse_axes = tuple(axis[every_second] if j == k else axis for j, axis in enumerate(axes))
        coarse = values[tuple(every_second if j == k else slice(None) for j in range(len(axes)))]
        shift = np.abs(fine_moments - _axis_moments(coarse_axes, coarse)) / fine_moments[:, 1:]
        changes.append(max(abs(fine_integral - _log_integral(coarse_axes, coarse)), float(shift.max())))
    return np.array(changes)


def refine(grid: Grid) -> tuple[tuple[FloatArray, ...], FloatArray]:
    """Interpolate the log density on a finer grid; return its axes and cell probabilities.

    Cells are at most 1/16 of a node's spacing wide, 1/4 where the grid is large.

    Eight-point Lagrange interpolation reproduces polynomials of degree seven, so what is lost is the eighth-order
    part of the log density over a fraction of a standard deviation.
    """
    dimension = len(grid.axes)
    factor = 32 if dimension == 1 else int(np.clip(np.sqrt(_REFINED_CELLS / grid.log_density.size), 4, 16))
    axes, values = [], np.maximum(grid.log_density, grid.log_density.max() - 60.0)
    for k, axis in enumerate(grid.axes):
        values = _interpolate(values, k, factor)
        axes.append(np.linspace(axis[0], axis[-1], values.shape[k]))
    probabilities = np.exp(values - values.max())
    return tuple(axes), probabilities / probabilities.sum()


def _interpolate(values: FloatArray, axis: int, factor: int) -> FloatArray:
    """Interpolate along an axis of equal spacing, ``factor`` times as fine, by eight-point Lagrange interpolation.

    Memory is that of the result, a few times over.
    """
    n = values.shape[axis]
    fine = np.arange((n - 1) * factor + 1) / factor
    width = min(8, n)
    start = np.clip(np.floor(fine).astype(int) - width // 2 + 1, 0, n - width)
    along = [-1 if k == axis else 1 for k in range(values.ndim)]
    total = np.zeros([len(fine) if k == axis else size for k, size in enumerate(values.shape)])
    for i in range(width):
        weight = np.ones(len(fine))
        for j in range(width):
            if j != i:
                weight *= (fine - start - j) / (i - j)
        total += weight.reshape(along) * np.take(values, start + i, axis=axis)
    return total


def draw_from_grid(grid: Grid, n_draws: int, rng: np.random.Generator) -> FloatArray:
    """Return independent draws (draw, dimension), uniform within the cells of the refined grid."""
    axes, probabilities = refine(grid)
    cells = rng.choice(probabilities.size, size=n_draws, p=probabilities.ravel())
    index = np.unravel_index(cells, probabilities.shape)
    spacing = np.array([axis[1] - axis[0] for axis in axes])
    points = np.stack([axis[i] for axis, i in zip(axes, index, strict=True)], axis=1)
    return np.asarray(points + spacing * (rng.random(points.shape) - 0.5))


def grid_quantiles(grid: Grid, axis: int, probabilities: FloatArray) -> FloatArray:
    """Return the marginal quantiles (probability,) of one axis."""
    axes, cells = refine(grid)
    marginal = cells.sum(axis=tuple(k for k in range(cells.ndim) if k != axis))
    points = axes[axis]
    cumulative = np.concatenate([[0.0], np.cumsum(marginal)])
    edges = np.concatenate([points - 0.5 * (points[1] - points[0]), points[-1:] + 0.5 * (points[1] - points[0])])
    return np.asarray(np.interp(probabilities, cumulative, edges))

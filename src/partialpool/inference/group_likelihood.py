"""The likelihood of each group of a Gaussian model, its effects and those nested within it integrated out.

The rows of a unit of the finest factor, orthogonalised within it (``orthogonalise``), give [Z, r]' V^-1 [Z, r], with V
the covariance of the unit's rows, Z the columns of the factors above it and r what coefficients leave of the response:
a sum of positive terms, so that noise far smaller than the effects costs no digits. Sums over a unit's children are
that unit's products, and its own effects leave by completing the square.

Source: Bates, Maechler, Bolker and Walker (2015), J. Statistical Software 67(1), section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from partialpool.inputs.designs.design import GroupDesign, PopulationDesign
from partialpool.inputs.roles.measurements import Measurements
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.small_matrices import factor_ldl, invert_ldl, log_determinant, multiply
from partialpool.reductions.columns import Column, sum_by_group, weigh
from partialpool.reductions.orthogonalise import orthogonalise
from partialpool.reductions.scaled_rows import ScaledRows, scale_rows
from partialpool.reductions.several.nesting import Nesting

_LOG_2PI = float(np.log(2.0 * np.pi))
# Numbers that the largest array of a run of draws holds (32 MB).
_NUMBERS = 2**22


@dataclass(frozen=True)
class _Units:
    """The finest units in the order of the tree.

    ``root`` R (effect, effect, unit), ``projection`` (effect, target, unit) and ``left`` (target, target, unit), the
    products of what projections leave; targets are the columns of the population, the response, and the columns of
    factors above. ``starts`` says where each level's units begin among those of the next finer one, ``top`` which
    level of the factor each of its units is.
    """

    root: FloatArray
    projection: FloatArray
    left: FloatArray
    starts: tuple[IntArray, ...]
    top: IntArray


def group_log_likelihood(
    measurements: Measurements,
    population: PopulationDesign,
    groups: tuple[GroupDesign, ...],
    nesting: Nesting,
    points: HyperPoints,
    coefficients: FloatArray,
    effects: Sequence[FloatArray],
) -> FloatArray:
    """Return log p(y of a group | hyperparameters, coefficients, effects above it), (group, draw).

    Args:
        nesting: the factor that groups are of, what lies within it and above it.
        points: one hyperparameter point a draw.
        coefficients: (coefficient, draw).
        effects: of each factor of the model (effect, draw, level); read where the factor is above.
    """
    rows = scale_rows(measurements, population, groups)
    units = _build_units(measurements, groups, nesting, rows)
    shifted = rows.scaling.population @ coefficients - rows.scaling.reference[:, None]
    group = groups[nesting.within[0]]
    n_rows = sum_by_group(measurements.counts, group.codes, group.n_levels)[:, None]
    constant = 0.5 * (_sum_log_precisions(measurements, group)[:, None] - n_rows * _LOG_2PI)
    values = np.empty((group.n_levels, points.n_nodes))
    with np.errstate(all="ignore"):  # a draw outside the floating range gets density zero
        for draws in _runs(units, points.n_nodes):
            part = points.select(draws)
            roots = _relative_roots(groups, rows, part)
            log_determinants, products = _integrate_finest(units, roots[nesting.within[-1]], shifted[:, draws])
            for k, starts in zip(nesting.within[-2::-1], units.starts[::-1], strict=True):
                products = np.add.reduceat(products, starts, axis=2)
                lost, products = _integrate_last(products, roots[k])
                log_determinants = np.add.reduceat(log_determinants, starts, axis=0) + lost
            known = _scale_above(groups, nesting, rows, effects, units.top, draws)
            squares = _form(products, known) / part.residual_sd**2
            values[units.top[:, None], draws] = -0.5 * (log_determinants + squares)
            values[:, draws] -= n_rows * np.log(part.residual_sd)
    values += constant
    return np.where(np.isnan(values), -np.inf, values)


def _build_units(
    measurements: Measurements, groups: Sequence[GroupDesign], nesting: Nesting, rows: ScaledRows
) -> _Units:
    finest = groups[nesting.within[-1]]
    above = [column for k in (*nesting.above, *nesting.within[:-1]) for column in rows.effects[k]]
    targets = [*rows.targets, *above]
    found = orthogonalise(rows.effects[nesting.within[-1]], targets, {}, finest.codes, finest.n_levels, rows.weights)
    left = _multiply_by_unit(found.left, rows.weights, finest)
    if measurements.within_squares is not None:
        squares = weigh(measurements.within_squares, measurements.precision)
        response = len(rows.targets) - 1
        left[response, response] += sum_by_group(squares, finest.codes, finest.n_levels)
    ancestors = []
    for k in nesting.within:
        own = np.empty(finest.n_levels, dtype=np.intp)
        own[finest.codes] = groups[k].codes
        ancestors.append(own)
    order = np.lexsort(ancestors[::-1])
    numbers = [np.cumsum(np.diff(own[order], prepend=-1) != 0) - 1 for own in ancestors]
    firsts = [np.flatnonzero(np.diff(number, prepend=-1)) for number in numbers]
    starts = tuple(fine[first] for fine, first in zip(numbers[1:], firsts[:-1], strict=True))
    return _Units(
        found.root[..., order],
        found.projection[..., order],
        left[..., order],
        starts,
        ancestors[0][order][firsts[0]],
    )


def _multiply_by_unit(columns: Sequence[Column], weights: FloatArray | None, group: GroupDesign) -> FloatArray:
    """Return the weighted products of columns summed over each unit's rows, (column, column, unit)."""
    products = np.zeros((len(columns), len(columns), group.n_levels))
    for i, one in enumerate(columns):
        for j, other in enumerate(columns[: i + 1]):
            if one is not None and other is not None:
                total = sum_by_group(weigh(one * other, weights), group.codes, group.n_levels)
                products[i, j] = products[j, i] = total
    return products


def _sum_log_precisions(measurements: Measurements, group: GroupDesign) -> FloatArray:
    """Return the sums over raw rows of their log precisions, (group,)."""
    if measurements.precision is None:
        return np.zeros(group.n_levels)
    logs = weigh(np.log(measurements.precision), measurements.counts)
    return sum_by_group(logs, group.codes, group.n_levels)


def _runs(units: _Units, n_draws: int) -> Iterator[IntArray]:
    """Yield runs of draws whose arrays fit the memory."""
    n_effects, n_targets, n_units = units.projection.shape
    length = max(1, _NUMBERS // (n_units * (n_effects + n_targets) ** 2))
    for start in range(0, n_draws, length):
        yield np.arange(start, min(start + length, n_draws), dtype=np.intp)


def _relative_roots(groups: Sequence[GroupDesign], rows: ScaledRows, points: HyperPoints) -> list[FloatArray]:
    """Return each factor's root of its effects' covariance, of scaled columns and relative to the residual sd."""
    roots, start = [], 0
    for group, mapping in zip(groups, rows.effect_maps, strict=True):
        part = slice(start, start + len(group.names))
        root = multiply(mapping[:, :, None], points.effect_root[part, part]) / points.residual_sd
        roots.append(root)
        start = part.stop
    return roots


def _integrate_finest(units: _Units, root: FloatArray, shifted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log|V| (unit, draw) and [Z, r]' V^-1 [Z, r] (column, column, unit, draw), V relative to the residual
    variance, the finest effects integrated out."""
    n_coefficients, n_draws = shifted.shape
    response = n_coefficients
    n_above = len(units.left) - response - 1
    shape = (n_above + 1, n_above + 1, units.root.shape[2], n_draws)
    products = np.empty(shape)
    x, above = slice(0, response), slice(response + 1, None)
    products[:-1, :-1] = units.left[above, above, :, None]
    products[-1, :-1] = units.left[response, above, :, None] - _combine(units.left[x, above], shifted)
    products[:-1, -1] = products[-1, :-1]
    squares = np.einsum("iju,id,jd->ud", units.left[x, x], shifted, shifted, optimize=True)
    squares -= 2.0 * _combine(units.left[x, response], shifted)
    products[-1, -1] = squares + units.left[response, response, :, None]
    along = np.empty((len(root), n_above + 1, *shape[2:]))
    along[:, :-1] = units.projection[:, above, :, None]
    along[:, -1] = units.projection[:, response, :, None] - _combine(units.projection[:, x].swapaxes(0, 1), shifted)
    spread = multiply(units.root[..., None], root[:, :, None])
    factor = factor_ldl(_add_identity(multiply(spread, spread.swapaxes(0, 1))))
    products += multiply(along.swapaxes(0, 1), multiply(invert_ldl(factor), along))
    return log_determinant(factor), products


def _combine(values: FloatArray, shifted: FloatArray) -> FloatArray:
    """Return the sums over coefficients of values (coefficient, ..., unit) times ``shifted`` (coefficient, draw)."""
    return np.asarray(np.tensordot(values, shifted, axes=(0, 0)))


def _integrate_last(products: FloatArray, root: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Integrate out the effects of the last columns before the response: return what that adds to log|V|, and the
    products of the others."""
    first, response = len(products) - 1 - len(root), len(products) - 1
    kept = [*range(first), response]
    spread = root[:, :, None].swapaxes(0, 1)
    own = multiply(spread, products[first:response])
    factor = factor_ldl(_add_identity(multiply(own[:, first:response], root[:, :, None])))
    explained = multiply(own[:, kept].swapaxes(0, 1), multiply(invert_ldl(factor), own[:, kept]))
    return log_determinant(factor), products[np.ix_(kept, kept)] - explained


def _add_identity(matrices: FloatArray) -> FloatArray:
    for k in range(len(matrices)):
        matrices[k, k] += 1.0
    return matrices


def _scale_above(
    groups: Sequence[GroupDesign],
    nesting: Nesting,
    rows: ScaledRows,
    effects: Sequence[FloatArray],
    top: IntArray,
    draws: IntArray,
) -> FloatArray:
    """Return the effects above each of the factor's units, of scaled columns, (effect, unit, draw)."""
    group, parts = groups[nesting.within[0]], [np.empty((0, len(top), len(draws)))]
    for k in nesting.above:
        parent = np.empty(group.n_levels, dtype=np.intp)
        parent[group.codes] = groups[k].codes
        drawn = effects[k][:, draws][:, :, parent[top]]
        parts.append(np.einsum("ij,jdu->iud", rows.effect_maps[k], drawn))
    return np.concatenate(parts)


def _form(products: FloatArray, known: FloatArray) -> FloatArray:
    """Return r' V^-1 r (unit, draw) once the effects above, which are ``known``, are taken from the response."""
    total = products[-1, -1]
    for i, one in enumerate(known):
        total = total - 2.0 * one * products[-1, i]
        for j, other in enumerate(known):
            total = total + one * other * products[i, j]
    return np.asarray(total)

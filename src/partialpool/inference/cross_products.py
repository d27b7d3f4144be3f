"""Sufficient statistics of a Gaussian model with one grouping factor: the rows are read here and nowhere else.

Within each group j the effects' columns are orthogonalised, W^(1/2) Z_j = Q_j R_j, and the population columns and the
response are projected: a_j = Q_j' W^(1/2) [X_j, y_j]. With B_j = I + R_j S R_j' (S the effects' covariance relative
to the residual variance), the likelihood needs only R_j, a_j and the cross-product of what the projections
leave: [X, y]' V^-1 [X, y] = residual + sum_j a_j' B_j^-1 a_j, a sum of positive terms without cancellation.

Columns are centred and scaled and the response is replaced by the residual of a least-squares fit, so that offsets of
1e12 and units of any size cost no digits; ``Scaling`` says how to return.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partialpool.inputs.design import GroupDesign, PopulationDesign
from partialpool.inputs.observations import Measurements
from partialpool.numerics.arrays import FloatArray, IntArray

# A column whose norm after projection is below this fraction of its norm before is in the span of the others.
_DEPENDENT = 1e-9
_MOMENTS_BYTES = 2**28


@dataclass(frozen=True)
class Scaling:
    """How the computation's columns come from the formula's: x_scaled = (x - centre) / scale.

    ``population`` (coefficient, coefficient) and ``effects`` (effect, effect) map the formula's coefficients to those
    of the scaled columns; ``reference`` (coefficient,) is the least-squares fit, in scaled columns, whose residual
    is the computation's response.
    """

    population: FloatArray
    effects: FloatArray
    reference: FloatArray


@dataclass(frozen=True)
class CrossProducts:
    """Sufficient statistics; p coefficients, q effects, and column p of a ``projection`` is the response.

    ``n_rows`` counts raw rows, ``log_precision`` sums their log precisions, ``residual`` is (p + 1, p + 1).
    Groups that share R_j form a design class: ``class_root`` (q, q, design_class) holds R, ``class_of`` (group,) says
    which class a group is in, ``class_size`` (design_class,) how many groups it has. ``projection`` (q, p + 1,
    group) holds a_j.
    """

    n_rows: float
    log_precision: float
    residual: FloatArray
    class_root: FloatArray
    class_of: IntArray
    class_size: FloatArray
    projection: FloatArray
    scaling: Scaling
    group_rows: FloatArray  # (group,) raw rows of each group
    group_precision: FloatArray  # (group,) summed precision of each group

    @cached_property
    def class_gram(self) -> FloatArray:
        """R'R of each design class, its lower triangle (effect pair, design_class)."""
        return np.stack(
            [np.sum(self.class_root[:, i] * self.class_root[:, j], axis=0) for i, j in lower_pairs(self.n_effects)]
        )

    @property
    def n_coefficients(self) -> int:
        """p, the number of population coefficients."""
        return len(self.residual) - 1

    @property
    def n_effects(self) -> int:
        """q, the number of effects of a group."""
        return len(self.class_root)

    @property
    def n_classes(self) -> int:
        """How many distinct designs the groups have."""
        return int(self.class_root.shape[-1])

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return len(self.class_of)


def build_cross_products(
    measurements: Measurements, population: PopulationDesign, group: GroupDesign | None
) -> CrossProducts:
    """Reduce the rows to sufficient statistics; ``group`` is None under complete pooling."""
    weights = _row_weights(measurements)
    columns, population_map = _scale_columns(population.names, population.values, weights)
    response = measurements.response
    if measurements.offset is not None:
        response = response - measurements.offset
    reference = _least_squares(columns, response, weights)
    response = response - sum(
        coefficient * (1.0 if column is None else column)
        for coefficient, column in zip(reference, columns, strict=True)
    )
    targets: list[FloatArray | None] = [*columns, response]
    n_rows = float(len(response)) if measurements.counts is None else float(measurements.counts.sum())
    if group is None:
        effect_columns: list[FloatArray | None] = []
        effect_map, codes, n_groups = np.empty((0, 0)), np.empty(0, dtype=np.intp), 0
        same: dict[int, int] = {}
    else:
        effect_columns, effect_map = _scale_columns(group.names, group.values, weights)
        codes, n_groups = group.codes, group.n_levels
        same = _shared_columns(population, group)
    roots, projection, left = _orthogonalise(effect_columns, targets, same, codes, n_groups, weights)
    residual = _cross_product(left, weights)
    residual[-1, -1] += _within_squares(measurements)
    class_root, class_of, class_size = _design_classes(roots)
    return CrossProducts(
        n_rows=n_rows,
        log_precision=_log_precision(measurements),
        residual=residual,
        class_root=class_root,
        class_of=class_of,
        class_size=class_size,
        projection=projection,
        scaling=Scaling(population_map, effect_map, reference),
        group_rows=_sum_by_group(measurements.counts, codes, n_groups),
        group_precision=_sum_by_group(weights, codes, n_groups),
    )


def class_moments(cross: CrossProducts) -> Iterator[tuple[slice, FloatArray]]:
    """Yield, for runs of design classes, their summed products of projections.

    The array is (effect pair, design_class, target pair) over the lower triangles, so that multiplying by the
    lower triangle of B^-1 (off-diagonals count once here, both orders being summed) gives sum_j a_j' B_j^-1 a_j.
    """
    effects, targets = lower_pairs(cross.n_effects), lower_pairs(cross.n_coefficients + 1)
    bytes_per_class = 8 * len(effects) * len(targets)
    length = max(1, min(cross.n_classes, _MOMENTS_BYTES // max(1, 2 * bytes_per_class)))
    one_group_each = cross.n_classes == cross.n_groups
    order = np.arange(cross.n_groups) if one_group_each else np.argsort(cross.class_of, kind="stable")
    ends = np.concatenate([[0], np.cumsum(cross.class_size).astype(np.intp)])
    for start in range(0, cross.n_classes, length):
        stop = min(start + length, cross.n_classes)
        if one_group_each:
            groups = cross.projection[..., start:stop]
        else:
            groups = cross.projection[..., order[ends[start] : ends[stop]]]
        moments = np.empty((len(effects), stop - start, len(targets)))
        for row, (k, m) in enumerate(effects):
            for column, (i, j) in enumerate(targets):
                products = groups[k, i] * groups[m, j]
                if k != m:
                    products = products + groups[m, i] * groups[k, j]
                if not one_group_each:
                    products = np.add.reduceat(products, ends[start:stop] - ends[start])
                moments[row, :, column] = products
        yield slice(start, stop), moments


def lower_pairs(order: int) -> list[tuple[int, int]]:
    """Return the positions of a lower triangle, row by row."""
    return [(i, j) for i in range(order) for j in range(i + 1)]


def _row_weights(measurements: Measurements) -> FloatArray | None:
    """Return precision times count of each row; None for all ones."""
    if measurements.precision is None or measurements.counts is None:
        return measurements.counts if measurements.precision is None else measurements.precision
    return measurements.precision * measurements.counts


def _log_precision(measurements: Measurements) -> float:
    if measurements.precision is None:
        return 0.0
    logs = np.log(measurements.precision)
    return float(logs.sum() if measurements.counts is None else logs @ measurements.counts)


def _within_squares(measurements: Measurements) -> float:
    if measurements.within_squares is None:
        return 0.0
    if measurements.precision is None:
        return float(measurements.within_squares.sum())
    return float(measurements.within_squares @ measurements.precision)


def _scale_columns(
    names: tuple[str, ...], values: FloatArray, weights: FloatArray | None
) -> tuple[list[FloatArray | None], FloatArray]:
    """Return scaled columns, None for a column of ones, and the map from the formula's coefficients to theirs.

    Columns are centred only beside an intercept, which absorbs the shift.
    """
    mapping = np.eye(len(names))
    intercept = names.index("Intercept") if "Intercept" in names else None
    columns: list[FloatArray | None] = []
    for k in range(len(names)):
        if k == intercept:
            columns.append(None)
            continue
        column = np.asarray(values[:, k], dtype=float)
        centre = 0.0 if intercept is None else float(np.average(column, weights=weights))
        column = column - centre
        scale = float(np.sqrt(np.average(column * column, weights=weights))) or 1.0
        columns.append(column / scale)
        mapping[k, k] = scale
        if intercept is not None:
            mapping[intercept, k] = centre
    return columns, mapping


def _shared_columns(population: PopulationDesign, group: GroupDesign) -> dict[int, int]:
    """Return which population column equals which effect column once both are scaled."""
    if ("Intercept" in population.names) != ("Intercept" in group.names):
        return {}
    return {population.names.index(name): k for k, name in enumerate(group.names) if name in population.names}


def _weighted(column: FloatArray | None, weights: FloatArray | None) -> FloatArray | None:
    if column is None:
        return weights
    return column if weights is None else column * weights


def _dot(left: FloatArray | None, right: FloatArray | None, weights: FloatArray | None, n_rows: int) -> float:
    product = _weighted(left, weights)
    if product is None:
        return float(n_rows) if right is None else float(right.sum())
    return float(product.sum() if right is None else product @ right)


def _least_squares(columns: list[FloatArray | None], response: FloatArray, weights: FloatArray | None) -> FloatArray:
    """Return weighted least-squares coefficients (minimum norm where columns are dependent)."""
    if not columns:
        return np.empty(0)
    n_rows = len(response)
    centre = float(np.average(response, weights=weights))
    gram = np.array([[_dot(a, b, weights, n_rows) for b in columns] for a in columns])
    moment = np.array([_dot(a, response - centre, weights, n_rows) for a in columns])
    shift = np.array([_dot(a, None, weights, n_rows) for a in columns]) * centre
    solution = np.linalg.lstsq(gram, np.stack([moment, shift], axis=1), rcond=1e-12)[0].sum(axis=1)
    return np.asarray(solution)


def _sum_by_group(values: FloatArray | None, codes: IntArray, n_groups: int) -> FloatArray:
    return np.bincount(codes, weights=values, minlength=n_groups).astype(float)


def _orthogonalise(
    effects: list[FloatArray | None],
    targets: list[FloatArray | None],
    same: dict[int, int],
    codes: IntArray,
    n_groups: int,
    weights: FloatArray | None,
) -> tuple[FloatArray, FloatArray, list[FloatArray | None]]:
    """Orthogonalise the effect columns within groups (modified Gram-Schmidt) and project the targets on them.

    Returns R (q, q, group), the projections (q, target, group) and what the projections leave of the targets,
    None for a target that is wholly in the span of the effects. A column dependent on earlier ones within a
    group gives a zero row of R there.

    Source: Golub and Van Loan (2013), Matrix Computations, section 5.2.8.
    """
    n_effects, n_targets = len(effects), len(targets)
    root = np.zeros((n_effects, n_effects, n_groups))
    projection = np.zeros((n_effects, n_targets, n_groups))
    current, left = list(effects), list(targets)
    norms = [_sum_by_group(_square(column, weights), codes, n_groups) for column in effects]
    for k in range(n_effects):
        column = current[k]
        squares = norms[k] if k == 0 else _sum_by_group(_square(column, weights), codes, n_groups)
        independent = squares > _DEPENDENT**2 * norms[k]
        length = np.sqrt(np.where(independent, squares, 0.0))
        per_length = np.where(independent, 1.0 / np.where(independent, length, 1.0), 0.0)
        root[k, k] = length
        for m in range(k + 1, n_effects):
            root[k, m], current[m] = _project(column, current[m], per_length, codes, n_groups, weights)
        for t in range(n_targets):
            if t not in same:
                projection[k, t], left[t] = _project(column, left[t], per_length, codes, n_groups, weights)
    for target, effect in same.items():
        projection[:, target] = root[:, effect]
        left[target] = None
    for t in range(n_targets):
        # without groups a column of ones is still a column; with them None says that nothing is left of it
        if left[t] is None and t not in same:
            left[t] = np.ones(len(codes) if n_groups else _n_rows(targets))
    return root, projection, left


def _n_rows(targets: list[FloatArray | None]) -> int:
    return next(len(column) for column in reversed(targets) if column is not None)


def _square(column: FloatArray | None, weights: FloatArray | None) -> FloatArray | None:
    return weights if column is None else _weighted(column * column, weights)


def _project(
    column: FloatArray | None,
    other: FloatArray | None,
    per_length: FloatArray,
    codes: IntArray,
    n_groups: int,
    weights: FloatArray | None,
) -> tuple[FloatArray, FloatArray]:
    """Return the projection (group,) of ``other`` on the unit column and what it leaves (row,)."""
    if other is None:
        other = np.ones(len(codes))
    product = _weighted(other if column is None else column * other, weights)
    projection = _sum_by_group(product, codes, n_groups) * per_length
    step = (projection * per_length)[codes]
    return projection, other - (step if column is None else step * column)


def _cross_product(columns: list[FloatArray | None], weights: FloatArray | None) -> FloatArray:
    """Return the weighted cross-product of columns, None standing for zero."""
    product = np.zeros((len(columns), len(columns)))
    for i, left in enumerate(columns):
        for j, right in enumerate(columns[: i + 1]):
            if left is not None and right is not None:
                product[i, j] = product[j, i] = _dot(left, right, weights, len(left))
    return product


def _design_classes(roots: FloatArray) -> tuple[FloatArray, IntArray, FloatArray]:
    """Return the distinct R (q, q, design_class), each group's class, and the classes' sizes.

    Entries are compared to 36 bits relative to their column's norm: sums of the same numbers in another order then
    agree, and merging moves a design by less than 1e-10.
    """
    n_effects, n_groups = roots.shape[0], roots.shape[-1]
    codes: IntArray = np.zeros(n_groups, dtype=np.intp)
    for column in range(n_effects):
        norm = np.sqrt(np.sum(roots[:, column] ** 2, axis=0))
        mantissa, exponent = np.frexp(norm)
        keys = [np.round(mantissa * 2.0**36) + 2.0**37 * exponent]
        unit = roots[:, column] / np.where(norm > 0.0, norm, 1.0)
        keys += [np.round(unit[row] * 2.0**36) for row in range(column)]
        for key in keys:
            _, part = np.unique(key, return_inverse=True)
            _, codes = np.unique(codes * (int(part.max(initial=0)) + 1) + part, return_inverse=True)
    n_classes = int(codes.max(initial=-1)) + 1
    if n_classes > 0.9 * n_groups:
        return roots, np.arange(n_groups, dtype=np.intp), np.ones(n_groups)
    first = np.full(n_classes, n_groups)
    np.minimum.at(first, codes, np.arange(n_groups))
    return (
        np.ascontiguousarray(roots[..., first]),
        codes.astype(np.intp),
        np.bincount(codes, minlength=n_classes).astype(float),
    )

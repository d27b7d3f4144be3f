"""Sufficient statistics of a Gaussian model with one grouping factor: the rows are read here and nowhere else.

Within each group j the effects' columns are orthogonalised, W^(1/2) Z_j = Q_j R_j, and the population columns and the
response are projected: a_j = Q_j' W^(1/2) [X_j, y_j]. With B_j = I + R_j S R_j' (S the effects' covariance relative
to the residual variance), the likelihood needs only R_j, a_j and the cross-product of what the projections
leave: [X, y]' V^-1 [X, y] = residual + sum_j a_j' B_j^-1 a_j, a sum of positive terms without cancellation.

Columns are centred and scaled and the response is replaced by the residual of a least-squares fit, so that offsets of
1e12 and units of any size cost no digits; ``Scaling`` says how to return.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partialpool.inference.columns import Column, Scaling, fit_least_squares, scale_columns, sum_by_group
from partialpool.inference.design_classes import find_design_classes
from partialpool.inference.orthogonalise import multiply_columns, orthogonalise
from partialpool.inputs.design import GroupDesign, PopulationDesign
from partialpool.inputs.observations import Measurements
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.small_matrices import lower_pairs


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
    columns, population_map = scale_columns(population.names, population.values, weights)
    response = measurements.response
    if measurements.offset is not None:
        response = response - measurements.offset
    reference = fit_least_squares(columns, response, weights)
    response = response - sum(
        coefficient * (1.0 if column is None else column)
        for coefficient, column in zip(reference, columns, strict=True)
    )
    targets: list[Column] = [*columns, response]
    n_rows = float(len(response)) if measurements.counts is None else float(measurements.counts.sum())
    if group is None:
        effect_columns: list[Column] = []
        effect_map, codes, n_groups = np.empty((0, 0)), np.empty(0, dtype=np.intp), 0
        same: dict[int, int] = {}
    else:
        effect_columns, effect_map = scale_columns(group.names, group.values, weights)
        codes, n_groups = group.codes, group.n_levels
        same = _shared_columns(population, group)
    roots, projection, left = orthogonalise(effect_columns, targets, same, codes, n_groups, weights)
    residual = multiply_columns(left, weights)
    residual[-1, -1] += _within_squares(measurements)
    class_root, class_of, class_size = find_design_classes(roots)
    return CrossProducts(
        n_rows=n_rows,
        log_precision=_log_precision(measurements),
        residual=residual,
        class_root=class_root,
        class_of=class_of,
        class_size=class_size,
        projection=projection,
        scaling=Scaling(population_map, effect_map, reference),
        group_rows=sum_by_group(measurements.counts, codes, n_groups),
        group_precision=sum_by_group(weights, codes, n_groups),
    )


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


def _shared_columns(population: PopulationDesign, group: GroupDesign) -> dict[int, int]:
    """Return which population column equals which effect column once both are scaled."""
    if ("Intercept" in population.names) != ("Intercept" in group.names):
        return {}
    return {population.names.index(name): k for k, name in enumerate(group.names) if name in population.names}

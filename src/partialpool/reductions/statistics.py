"""Sufficient statistics of a Gaussian model: the rows are read here and nowhere else.

The factor with the most effects in all leads: it leaves group by group (``cross_products``); what is left of the others
is in ``remaining_factors``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from partialpool.inputs.designs.design import GroupDesign, PopulationDesign
from partialpool.inputs.observations import Measurements
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.reductions.columns import Column, Scaling, sum_by_group, weigh
from partialpool.reductions.cross_products import CrossProducts
from partialpool.reductions.design_classes import find_design_classes
from partialpool.reductions.orthogonalise import multiply_columns, orthogonalise
from partialpool.reductions.scaled_rows import ScaledRows, scale_rows
from partialpool.reductions.several.cells import is_nested
from partialpool.reductions.several.remaining_factors import FactorRows, RemainingFactors, build_remaining_factors
from partialpool.reductions.several.whole_gram import build_whole_gram


@dataclass(frozen=True)
class Statistics:
    """``cross`` are the leading factor's cross-products, ``leading`` its position in the design, ``remaining`` the
    other factors (None: there are none).

    By factor, in the design's order: ``effect_slices`` say where a factor's effects are among all, ``effect_maps`` take
    them to scaled columns, ``group_rows`` and ``group_precision`` (level,) count raw rows and sum their precision;
    ``grams`` (where there are several factors) are the levels' own Z'WZ in scaled columns (effect, effect, level).
    """

    cross: CrossProducts
    leading: int
    remaining: RemainingFactors | None
    scaling: Scaling
    effect_slices: tuple[slice, ...]
    effect_maps: tuple[FloatArray, ...]
    group_rows: tuple[FloatArray, ...]
    group_precision: tuple[FloatArray, ...]
    grams: tuple[FloatArray, ...]

    @property
    def n_rows(self) -> float:
        """How many raw rows there are."""
        return self.cross.n_rows

    @property
    def n_coefficients(self) -> int:
        """How many population coefficients there are."""
        return self.cross.n_coefficients

    @property
    def n_groups(self) -> tuple[int, ...]:
        """How many levels each factor has."""
        return tuple(len(rows) for rows in self.group_rows)

    def own_designs(self, factor: int) -> tuple[FloatArray, IntArray]:
        """Return the distinct Z'WZ (effect, effect, design) of a factor's levels in scaled columns, and which one each
        level has (level,)."""
        if self.remaining is None:
            cross = self.cross
            return np.einsum("kiu,kju->iju", cross.class_root, cross.class_root), cross.class_of
        return self.grams[factor], np.arange(self.n_groups[factor], dtype=np.intp)

    @cached_property
    def whole_gram(self) -> FloatArray:
        """Z'WZ of all effects of a small model with several factors, as ``build_whole_gram`` orders them."""
        if self.remaining is None:
            raise ValueError("there is no factor beside the leading one")
        n_effects = tuple(part.stop - part.start for part in self.effect_slices)
        return build_whole_gram(self.cross, self.leading, self.remaining, self.n_groups, n_effects)

    def leading_points(self, points: HyperPoints) -> HyperPoints:
        """Return the points with the leading factor's effects alone."""
        if self.remaining is None:
            return points
        part = self.effect_slices[self.leading]
        return replace(points, effect_root=points.effect_root[part, part])


def build_statistics(
    measurements: Measurements, population: PopulationDesign, groups: tuple[GroupDesign, ...]
) -> Statistics:
    """Reduce the rows to sufficient statistics; without ``groups`` pooling is complete."""
    rows = scale_rows(measurements, population, groups)
    sizes = [group.n_levels * len(group.names) for group in groups]
    order = sorted(range(len(groups)), key=lambda k: -sizes[k])
    leading = order[0] if order else 0
    codes: IntArray = groups[leading].codes if groups else np.empty(0, dtype=np.intp)
    n_groups = groups[leading].n_levels if groups else 0
    effects = rows.effects[leading] if groups else []
    same = _shared_columns(population.names, groups[leading].names) if groups else {}
    within = [k for k in order[1:] if is_nested(codes, groups[k].codes, n_groups)]
    targets, n_targets = list(rows.targets), len(rows.targets)
    for k in within:
        for place, name in _shared_columns(groups[k].names, groups[leading].names).items():
            same[len(targets) + place] = name
        targets += rows.effects[k]
    orthogonal = orthogonalise(effects, targets, same, codes, n_groups, rows.weights)
    residual = multiply_columns(orthogonal.left[:n_targets], rows.weights)
    residual[-1, -1] += _within_squares(measurements)
    class_root, class_of, class_size = find_design_classes(orthogonal.root)
    cross = CrossProducts(
        n_rows=_count_raw_rows(measurements),
        log_precision=_log_precision(measurements),
        residual=residual,
        class_root=class_root,
        class_of=class_of,
        class_size=class_size,
        projection=np.ascontiguousarray(orthogonal.projection[:, :n_targets]),
        scaling=Scaling(
            rows.scaling.population, rows.effect_maps[leading] if groups else np.empty((0, 0)), rows.scaling.reference
        ),
    )
    remaining = None
    if len(order) > 1:
        factors = _read_factors(groups, order[1:], within, rows, orthogonal.left[n_targets:])
        remaining = build_remaining_factors(
            factors, codes, orthogonal, class_of, len(class_size), n_targets, rows.weights
        )
    ends = np.cumsum([0, *(len(group.names) for group in groups)])
    return Statistics(
        cross,
        leading,
        remaining,
        rows.scaling,
        tuple(slice(int(a), int(b)) for a, b in pairwise(ends)),
        rows.effect_maps,
        tuple(sum_by_group(measurements.raw_rows, group.codes, group.n_levels) for group in groups),
        tuple(sum_by_group(rows.weights, group.codes, group.n_levels) for group in groups),
        tuple(_multiply_own(columns, rows.weights, group) for columns, group in zip(rows.effects, groups, strict=True))
        if remaining is not None
        else (),
    )


def _multiply_own(columns: list[Column], weights: FloatArray | None, group: GroupDesign) -> FloatArray:
    """Return each level's own Z'WZ, (effect, effect, level)."""
    gram = np.empty((len(columns), len(columns), group.n_levels))
    for i, left in enumerate(columns):
        for k in range(i + 1):
            product = weigh(columns[k], weights) if left is None else weigh(left, weigh(columns[k], weights))
            gram[i, k] = gram[k, i] = sum_by_group(product, group.codes, group.n_levels)
    return gram


def _read_factors(
    groups: tuple[GroupDesign, ...], order: list[int], within: list[int], rows: ScaledRows, left: list[Column]
) -> list[FactorRows]:
    """Gather the remaining factors' rows; ``left`` is what the projections leave of the columns of those ``within``."""
    parts, start = {}, 0
    for k in within:
        parts[k] = left[start : start + len(rows.effects[k])]
        start += len(rows.effects[k])
    return [
        FactorRows(
            groups[k].name, k, rows.effects[k], groups[k].codes, groups[k].n_levels, k in parts, parts.get(k, [])
        )
        for k in order
    ]


def _count_raw_rows(measurements: Measurements) -> float:
    return float(len(measurements.response)) if measurements.counts is None else float(measurements.counts.sum())


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


def _shared_columns(targets: tuple[str, ...], effects: tuple[str, ...]) -> dict[int, int]:
    """Return which of the target columns equals which effect column once both are scaled."""
    if ("Intercept" in targets) != ("Intercept" in effects):
        return {}
    return {targets.index(name): k for k, name in enumerate(effects) if name in targets}

"""Rows as the computation sees them: columns centred and scaled, the response a residual of least squares.

Offsets of 1e12 and units of any size then cost no digits; ``Scaling`` says how to return.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.inputs.designs.design import GroupDesign, PopulationDesign
from partialpool.inputs.observations import Measurements
from partialpool.numerics.arrays import FloatArray
from partialpool.reductions.columns import Column, Scaling, fit_least_squares, scale_columns


class ScaledRows(NamedTuple):
    """``targets`` are the population's columns and the response, ``effects`` each factor's columns; ``weights`` (row,)
    is None for all ones."""

    targets: list[Column]
    effects: list[list[Column]]
    weights: FloatArray | None
    scaling: Scaling
    effect_maps: tuple[FloatArray, ...]


def scale_rows(measurements: Measurements, population: PopulationDesign, groups: tuple[GroupDesign, ...]) -> ScaledRows:
    """Centre and scale all columns and take a least-squares fit out of the response."""
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
    scaled = [scale_columns(group.names, group.values, weights) for group in groups]
    maps = tuple(mapping for _, mapping in scaled)
    return ScaledRows(
        [*columns, response],
        [part for part, _ in scaled],
        weights,
        Scaling(population_map, _join_diagonally(maps), reference),
        maps,
    )


def _join_diagonally(blocks: tuple[FloatArray, ...]) -> FloatArray:
    """Return the block-diagonal matrix of square blocks."""
    order = sum(len(block) for block in blocks)
    joined, start = np.zeros((order, order)), 0
    for block in blocks:
        stop = start + len(block)
        joined[start:stop, start:stop] = block
        start = stop
    return joined


def _row_weights(measurements: Measurements) -> FloatArray | None:
    """Return precision times count of each row; None for all ones."""
    if measurements.precision is None or measurements.counts is None:
        return measurements.counts if measurements.precision is None else measurements.precision
    return measurements.precision * measurements.counts

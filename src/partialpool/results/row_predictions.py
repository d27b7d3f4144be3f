"""Rows given draws: expected values, replicated responses and pointwise log densities, (draw, row)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from partialpool.inputs.designs.design import Design, GroupDesign
from partialpool.inputs.roles.measurements import Measurements
from partialpool.numerics.arrays import FloatArray

_LOG_2PI = float(np.log(2.0 * np.pi))
# Draw-row products worked on at a time (16 MB an array).
_BLOCK = 2**21


class RowPredictions(NamedTuple):
    """``replicated`` responses and ``log_density`` of what each row stands for, (draw, row)."""

    replicated: FloatArray
    log_density: FloatArray


def predict_own_rows(
    design: Design,
    groups: Sequence[GroupDesign],
    coefficients: FloatArray,
    effects: Sequence[FloatArray],
    residual_sd: FloatArray,
    rng: np.random.Generator,
) -> RowPredictions:
    """Return replicates and log densities of the fit's own rows.

    ``coefficients`` (coefficient, draw), ``effects`` (effect, draw, group) of each factor, ``residual_sd`` (draw, 1),
    or (draw, group) where every group of the only factor has its own.
    """
    measured = design.measurements
    n_draws, n_rows = len(residual_sd), len(measured.response)
    replicated, log_density = np.empty((n_draws, n_rows)), np.empty((n_draws, n_rows))
    for rows in row_blocks(n_draws, n_rows):
        expected = coefficients.T @ design.population.values[rows].T
        for group, own in zip(groups, effects, strict=True):
            for k in range(len(group.names)):
                expected += own[k][:, group.codes[rows]] * group.values[rows, k]
        if measured.offset is not None:
            expected += measured.offset[rows]
        own_sd = residual_sd if residual_sd.shape[1] == 1 else residual_sd[:, groups[0].codes[rows]]
        log_density[:, rows] = row_log_density(measured, rows, expected, own_sd)
        noise = rng.standard_normal(expected.shape)
        replicated[:, rows] = expected + noise * _replicate_sd(measured, rows, own_sd)
    return RowPredictions(replicated, log_density)


def row_log_density(measured: Measurements, rows: slice, expected: FloatArray, residual_sd: FloatArray) -> FloatArray:
    """Return the log density of everything that some rows stand for, (draw, row), given their expected values.

    ``residual_sd`` is (draw, row), or (draw, 1) where it is common to the rows.

    A row of k raw rows with mean y, squares S about it and precision w (noise variance sigma^2 / w) has
    -k/2 log(2 pi sigma^2 / w) - w (k (y - expected)^2 + S) / (2 sigma^2).
    """
    counts = 1.0 if measured.counts is None else measured.counts[rows]
    squares = counts * (measured.response[rows] - expected) ** 2
    if measured.within_squares is not None:
        squares = squares + measured.within_squares[rows]
    log_variance: FloatArray = _LOG_2PI + 2.0 * np.log(residual_sd)
    if measured.precision is not None:
        squares = squares * measured.precision[rows]
        log_variance = log_variance - np.log(measured.precision[rows])
    return np.asarray(-0.5 * (counts * log_variance + squares / residual_sd**2))


def _replicate_sd(measured: Measurements, rows: slice, residual_sd: FloatArray) -> FloatArray:
    """The sd of a new response like the row's, (draw, row): of one raw row, or of a mean where rows are means."""
    precision: FloatArray | float = 1.0 if measured.precision is None else measured.precision[rows]
    if measured.kind == "summaries" and measured.counts is not None:
        precision = precision * measured.counts[rows]
    return np.asarray(residual_sd / np.sqrt(precision))


def row_blocks(n_draws: int, n_rows: int) -> Iterator[slice]:
    """Yield rows in blocks whose products with draws fit the memory."""
    length = max(1, _BLOCK // n_draws)
    for start in range(0, n_rows, length):
        yield slice(start, min(start + length, n_rows))

"""Normal measurements that are observed, censored or truncated, by their mean and sd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from partialpool.models.families.base import ResponseColumns
from partialpool.models.families.normal_interval import (
    log_normal_interval,
    log_normal_tail,
    normal_interval,
    normal_tail,
)
from partialpool.numerics.arrays import FloatArray, IntArray

_LOG_ROOT_TWO_PI = 0.5 * np.log(2.0 * np.pi)


class NormalDerivatives(NamedTuple):
    """The log density with its derivatives by the mean, twice, and by the sd."""

    value: FloatArray
    first: FloatArray
    second: FloatArray
    by_sd: FloatArray


def normal_log_density(mean: FloatArray, sd: FloatArray, response: ResponseColumns) -> FloatArray:
    """Return the log density but for -log(2 pi) / 2 of every observed row."""
    value = (response.values - mean) / sd
    value *= value
    value *= -0.5
    value = value - np.log(sd)
    censored, n_axes = _censored_rows(response), response.values.ndim
    if len(censored):
        ends = _take(censored, n_axes, *_censored_ends(response), mean, sd)
        value[_place(censored, n_axes)] = _log_probabilities(n_axes, *ends)
    truncation = _truncation(response)
    if truncation is not None:
        value -= _log_probabilities(n_axes, *truncation, mean, sd)
    return value


def normal_derivatives(mean: FloatArray, sd: FloatArray, response: ResponseColumns) -> NormalDerivatives:
    """Return ``normal_log_density`` with its derivatives.

    Those of log P over an interval are -M1 / sd, -(1 - variance) / sd^2 and -M2 / sd, by ``normal_interval``.
    """
    z = (response.values - mean) / sd
    square = z * z
    parts = [-0.5 * square - np.log(sd), z / sd, np.broadcast_to(-(sd**-2.0), z.shape), (square - 1.0) / sd]
    censored, n_axes = _censored_rows(response), response.values.ndim
    if len(censored):
        parts[2] = parts[2].copy()
        ends = _take(censored, n_axes, *_censored_ends(response), mean, sd)
        for part, one in zip(parts, _interval_derivatives(n_axes, *ends), strict=True):
            part[_place(censored, n_axes)] = one
    truncation = _truncation(response)
    if truncation is not None:
        gone = _interval_derivatives(n_axes, *truncation, mean, sd)
        parts = [part - one for part, one in zip(parts, gone, strict=True)]
    return NormalDerivatives(*parts)


def normal_constant(response: ResponseColumns) -> FloatArray:
    """Return -log(2 pi) / 2 for observed rows (row,), 0 for censored ones."""
    observed = np.ones(response.values.shape) if response.censoring is None else (response.censoring == 0)
    return np.asarray(-_LOG_ROOT_TWO_PI * observed)


def _censored_rows(response: ResponseColumns) -> IntArray:
    """Return which rows are censored: whole rows, since a mask of elements takes longer than their density."""
    return np.flatnonzero(np.zeros(0) if response.censoring is None else response.censoring).astype(np.intp)


def _place(rows: IntArray, n_axes: int) -> tuple[Any, ...]:
    """Return the index of some rows in arrays whose last ``n_axes`` axes are (row, ...)."""
    return (..., rows, *(slice(None),) * (n_axes - 1))


def _take(rows: IntArray, n_axes: int, *arrays: FloatArray) -> list[FloatArray]:
    """Return some rows of arrays that broadcast with (row, ...)."""
    has_rows = [np.ndim(array) >= n_axes and np.shape(array)[-n_axes] > 1 for array in arrays]
    return [array[_place(rows, n_axes)] if own else array for array, own in zip(arrays, has_rows, strict=True)]


def _log_probabilities(
    n_axes: int, lower: FloatArray, upper: FloatArray, mean: FloatArray, sd: FloatArray
) -> FloatArray:
    """Return the log probability of every row's interval."""
    result = np.empty(np.broadcast_shapes(*map(np.shape, (lower, upper, mean, sd))))
    for rows, ends in _split_rows(lower, upper, mean, sd, n_axes):
        result[_place(rows, n_axes)] = log_normal_tail(ends[0]) if len(ends) < 3 else log_normal_interval(*ends)
    return result


def _interval_derivatives(
    n_axes: int, lower: FloatArray, upper: FloatArray, mean: FloatArray, sd: FloatArray
) -> tuple[FloatArray, ...]:
    """Return the same with its derivatives."""
    result = np.empty((4, *np.broadcast_shapes(*map(np.shape, (lower, upper, mean, sd)))))
    for rows, ends in _split_rows(lower, upper, mean, sd, n_axes):
        moments = normal_tail(*ends) if len(ends) < 3 else normal_interval(*ends)
        result[_place(rows, n_axes)] = np.stack(moments)
    log_p, slope, scale_slope, curvature = result
    return log_p, -slope / sd, -curvature / sd**2, -scale_slope / sd


def _split_rows(
    lower: FloatArray, upper: FloatArray, mean: FloatArray, sd: FloatArray, n_axes: int
) -> Iterator[tuple[IntArray, tuple[FloatArray, ...]]]:
    """Yield the rows of intervals without a lower end, without an upper one, and of others, with the ends in sds from
    the mean: the one end, mirrored so that what is inside lies below it, with the side of the middle that it is on; or
    both and the width."""
    n_rows = np.broadcast_shapes(*map(np.shape, (lower, upper, mean, sd)))[-n_axes]
    no_lower, no_upper = (np.broadcast_to(np.ravel(np.isinf(end)), (n_rows,)) for end in (lower, upper))
    for one, wanted in enumerate((no_lower, no_upper & ~no_lower, ~no_lower & ~no_upper)):
        rows = np.flatnonzero(wanted).astype(np.intp)
        if not len(rows):
            continue
        low, high, middle, scale = _take(rows, n_axes, lower, upper, mean, sd)
        if one == 0:
            yield rows, ((high - middle) / scale, np.asarray(1.0))
        elif one == 1:
            yield rows, ((middle - low) / scale, np.asarray(-1.0))
        else:
            yield rows, ((low - middle) / scale, (high - middle) / scale, (high - low) / scale)


def _censored_ends(response: ResponseColumns) -> tuple[FloatArray, FloatArray]:
    """Return between which values each censored row lies, within its truncation; those of observed rows are not
    read."""
    codes, values = response.censoring, response.values
    lowest = -np.inf if response.lower_limit is None else response.lower_limit
    highest = np.inf if response.upper_limit is None else response.upper_limit
    above = np.where(codes == 1, highest, values)
    if response.upper is not None:
        above = np.where(codes == 2, response.upper, above)
    return np.where(codes == -1, lowest, values), above


def _truncation(response: ResponseColumns) -> tuple[FloatArray, FloatArray] | None:
    if response.lower_limit is None and response.upper_limit is None:
        return None
    lower = np.asarray(-np.inf) if response.lower_limit is None else response.lower_limit
    return lower, np.asarray(np.inf) if response.upper_limit is None else response.upper_limit

"""Normal measurements that are observed, censored or truncated, by their mean and sd."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool.models.families.base import ResponseColumns
from partialpool.models.families.normal_interval import log_normal_interval, normal_interval
from partialpool.numerics.arrays import FloatArray

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
    if response.censoring is not None:
        where = np.broadcast_to(response.censoring != 0, value.shape)
        value[where] = log_normal_interval(*_standardise(_censored_ends(response), mean, sd, where)[:3])
    truncation = _truncation(response)
    if truncation is not None:
        everywhere = np.ones(value.shape, dtype=bool)
        value -= log_normal_interval(*_standardise(truncation, mean, sd, everywhere)[:3]).reshape(value.shape)
    return value


def normal_derivatives(mean: FloatArray, sd: FloatArray, response: ResponseColumns) -> NormalDerivatives:
    """Return ``normal_log_density`` with its derivatives.

    Those of log P over an interval are -M1 / sd, -(1 - variance) / sd^2 and -M2 / sd, by ``normal_interval``.
    """
    z = (response.values - mean) / sd
    square = z * z
    parts = [-0.5 * square - np.log(sd), z / sd, np.broadcast_to(-(sd**-2.0), z.shape), (square - 1.0) / sd]
    if response.censoring is not None:
        where = np.broadcast_to(response.censoring != 0, z.shape)
        parts[2] = parts[2].copy()
        censored = _interval_derivatives(*_standardise(_censored_ends(response), mean, sd, where))
        for part, one in zip(parts, censored, strict=True):
            part[where] = one
    truncation = _truncation(response)
    if truncation is not None:
        gone = _interval_derivatives(*_standardise(truncation, mean, sd, np.ones(z.shape, dtype=bool)))
        parts = [part - one.reshape(z.shape) for part, one in zip(parts, gone, strict=True)]
    return NormalDerivatives(*parts)


def normal_constant(response: ResponseColumns) -> FloatArray:
    """Return -log(2 pi) / 2 for observed rows (row,), 0 for censored ones."""
    observed = np.ones(response.values.shape) if response.censoring is None else (response.censoring == 0)
    return np.asarray(-_LOG_ROOT_TWO_PI * observed)


def _standardise(
    ends: tuple[FloatArray, FloatArray], mean: FloatArray, sd: FloatArray, where: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return both ends and the width of intervals (element,) in sds from the mean, and the sds."""
    lower, upper, mean, sd = (np.broadcast_to(array, where.shape)[where] for array in (*ends, mean, sd))
    return (lower - mean) / sd, (upper - mean) / sd, (upper - lower) / sd, sd


def _interval_derivatives(a: FloatArray, b: FloatArray, width: FloatArray, sd: FloatArray) -> tuple[FloatArray, ...]:
    moments = normal_interval(a, b, width)
    return moments.log_p, -moments.slope / sd, -moments.curvature / sd**2, -moments.scale_slope / sd


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

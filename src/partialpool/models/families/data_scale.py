"""The rows' own location and spread, and rough sizes of what scatters them."""

from __future__ import annotations

import numpy as np

from partialpool.models.families.base import ResponseColumns
from partialpool.numerics.arrays import FloatArray


def measured_values(response: ResponseColumns) -> FloatArray:
    """Return the values (row,), the middle of its interval where a row is censored to one."""
    if response.censoring is None or response.upper is None:
        return response.values
    middle = 0.5 * (response.values + response.upper)
    return np.where((response.censoring == 2) & np.isfinite(middle), middle, response.values)


def mean_and_spread(values: FloatArray, counts: FloatArray) -> tuple[float, float]:
    """Return the mean of values (row,) and their sd, weighted by counts; the sd is positive even if they are equal."""
    mean = float(np.average(values, weights=counts))
    size = float(np.abs(values).max(initial=0.0)) or 1.0  # so that squares do not overflow
    sd = size * float(np.sqrt(np.average(((values - mean) / size) ** 2, weights=counts)))
    return mean, sd if sd > 0.0 else (0.1 * abs(mean) or 1.0)


def median_and_spread(values: FloatArray, counts: FloatArray) -> tuple[float, float]:
    """Return the weighted median and the sd that a normal sample of the same median absolute deviation has."""
    median = _median(values, counts)
    spread = 1.4826 * _median(np.abs(values - median), counts)
    return median, spread if spread > 0.0 else mean_and_spread(values, counts)[1]


def _median(values: FloatArray, counts: FloatArray) -> float:
    order = np.argsort(values)
    below = np.cumsum(counts[order])
    return float(values[order][np.searchsorted(below, 0.5 * below[-1])])


def link_mean_and_spread(link: str, values: FloatArray, counts: FloatArray) -> tuple[float, float]:
    """Return where the link of the mean of values lies and its spread; for 'log' those of the logs if all are
    positive, else to first order."""
    mean, sd = mean_and_spread(values, counts)
    if link == "identity":
        return mean, sd
    if link == "log" and (values > 0.0).all():
        return mean_and_spread(np.log(values), counts)
    level = max(mean, 0.1 * sd)
    relative = min(sd / level, 1.0)
    return (float(np.log(level)), relative) if link == "log" else (1.0 / level, relative / level)

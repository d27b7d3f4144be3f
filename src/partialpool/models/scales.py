"""The data's own scales, on which default priors and starting points stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partialpool.inputs.designs.design import Design
from partialpool.numerics.arrays import FloatArray


@dataclass(frozen=True)
class DataScales:
    """Location and spread of the response, and of every coefficient column, over raw rows.

    ``response_size`` is the root mean square of the response; ``column_means``, ``column_sds`` and
    ``column_sizes`` (root mean squares) are keyed by the column's name. No value but a mean is ever zero.
    """

    response_mean: float
    response_sd: float
    response_size: float
    column_means: dict[str, float]
    column_sds: dict[str, float]
    column_sizes: dict[str, float]


def measure_scales(design: Design) -> DataScales:
    """Measure the response (offset subtracted) and the columns of a design, rows weighted by their counts."""
    measurements = design.measurements
    counts = measurements.counts
    response = measurements.response
    if measurements.offset is not None:
        response = response - measurements.offset
    mean = _mean(response, counts)
    with np.errstate(over="ignore"):  # positive values of 1e200 are measured as logarithms, by their families
        variance = _mean((response - mean) ** 2, counts)
    if measurements.within_squares is not None and counts is not None:
        variance += float(measurements.within_squares.sum() / counts.sum())
    n_rows = float(len(response)) if counts is None else float(counts.sum())
    spread = float(np.sqrt(variance * n_rows / max(n_rows - 1.0, 1.0)))
    if spread <= 1e-14 * abs(mean) or spread == 0.0:
        spread = _noise_size(design)
    means, sds, sizes = {}, {}, {}
    parts = [(design.population.names, design.population.values)]
    parts += [(group.names, group.values) for group in design.groups]
    for names, values in parts:
        for k, name in enumerate(names):
            if name in means:
                continue
            if name == "Intercept":
                means[name], sds[name], sizes[name] = 1.0, 1.0, 1.0
                continue
            column = values[:, k]
            centre = _mean(column, counts)
            means[name] = centre
            sds[name] = float(np.sqrt(_mean((column - centre) ** 2, counts))) or abs(centre) or 1.0
            sizes[name] = float(np.hypot(sds[name], centre))
    return DataScales(mean, spread, float(np.hypot(mean, spread)), means, sds, sizes)


def _mean(values: FloatArray, counts: FloatArray | None) -> float:
    return float(np.average(values, weights=counts))


def _noise_size(design: Design) -> float:
    """The scale of a response that does not vary: its standard errors, which must then be known."""
    precision = design.measurements.precision
    if precision is None or not design.measurements.known_scale:
        return 1.0
    return float(np.sqrt(np.median(1.0 / precision)))

"""The data's own scales on the linear predictor, and where coefficients lie, for any likelihood family."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from partialpool.inputs.design import Design
from partialpool.models.families.base import Family, ResponseColumns
from partialpool.models.scales import DataScales, measure_scales
from partialpool.numerics.arrays import FloatArray

# Steps of scoring to the completely pooled fit: it is a starting point only.
_STEPS = 12
# The prior sd that keeps scoring steps finite, in spreads of the response.
_RIDGE = 5.0
# Rows that the starting point is found from, at most.
_MOST_ROWS = 50_000


def measure_latent_scales(design: Design, family: Family, response: ResponseColumns) -> DataScales:
    """Measure where linear predictors lie and how far they spread, and the columns of the design."""
    columns = measure_scales(design)
    counts = _counts(design)
    location, spread = family.typical_eta(response, counts)
    offset = design.measurements.offset
    if offset is not None:
        location -= float(np.average(offset, weights=counts))
    return replace(columns, response_mean=location, response_sd=spread, response_size=float(np.hypot(location, spread)))


def place_latent_coefficients(
    design: Design, family: Family, response: ResponseColumns, scales: DataScales
) -> tuple[tuple[float, float], ...]:
    """Return each coefficient's value in the completely pooled fit, and the unit of its coordinate: what moves linear
    predictors by the response's spread, or its sd in that fit where that is wider. The pooled fit may be many of its
    sds away from the coefficient of a model with groups.

    A damped Fisher scoring from the data's scale, under a wide normal prior, so that it exists whatever the data.
    """
    names, values = design.population.names, design.population.values
    if not names:
        return ()
    counts, offset = _counts(design), design.measurements.offset
    base = np.zeros(len(values)) if offset is None else offset
    if len(values) > _MOST_ROWS:
        some = np.random.default_rng(0).permutation(len(values))[:_MOST_ROWS]
        values, counts, base, response = values[some], counts[some], base[some], response.select(some)
    sizes = np.array([1.0 if name == "Intercept" else scales.column_sizes[name] for name in names])
    columns = values / sizes
    centre = np.array([scales.response_mean if name == "Intercept" else 0.0 for name in names])
    ridge = (_RIDGE * scales.response_sd) ** -2.0 * np.eye(len(names))
    dispersion = tuple(np.asarray(value) for value in family.guess_dispersions(response, counts))
    beta, precision = centre.copy(), ridge

    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            found = family.derivatives(base + columns @ beta, response, dispersion)
            gradient = columns.T @ (counts * _finite(found.first)) - ridge @ (beta - centre)
            weights = counts * np.maximum(-_finite(found.second), 0.0)
            precision = (columns.T * weights) @ columns + ridge
            step = np.linalg.solve(precision, gradient)
            largest = np.max(np.abs(columns @ step))
            limit = 3.0 * scales.response_sd
            beta = beta + step * min(1.0, limit / largest if largest > 0.0 else 1.0)
    sds = np.sqrt(np.diag(np.linalg.inv(precision))) / sizes
    units = scales.response_sd / np.array([scales.column_sds[name] for name in names])
    return tuple(zip((beta / sizes).tolist(), np.maximum(sds, units).tolist(), strict=True))


def _counts(design: Design) -> FloatArray:
    counts = design.measurements.counts
    return np.ones(len(design.measurements.response)) if counts is None else counts


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, 0.0)

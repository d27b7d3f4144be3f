"""The data's own scales on the linear predictor, and where coefficients lie, for any likelihood family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from partialpool.inputs.designs.design import Design
from partialpool.models.families.base import Family, ResponseColumns
from partialpool.models.families.own_sigma import GaussianOwnSigma
from partialpool.models.scales import DataScales, measure_scales
from partialpool.models.space.coefficient_chart import orthogonalise_columns
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
    if isinstance(family, GaussianOwnSigma):  # rows may be means, whose spread is not the response's
        return columns
    counts = _counts(design)
    location, spread = family.typical_eta(response, counts)
    offset = design.measurements.offset
    if offset is not None:
        location -= float(np.average(offset, weights=counts))
    return replace(columns, response_mean=location, response_sd=spread, response_size=float(np.hypot(location, spread)))


class PlacedCoefficients(NamedTuple):
    """Where sampled coefficients lie, as coefficients of orthogonal columns: ``natural`` (coefficient, coefficient)
    takes these to the formula's, ``places`` are each one's value and the unit of its coordinate."""

    natural: FloatArray
    places: tuple[tuple[float, float], ...]


def place_latent_coefficients(
    design: Design,
    family: Family,
    response: ResponseColumns,
    scales: DataScales,
    sampled: Sequence[int],
    free: tuple[bool, ...],
) -> PlacedCoefficients:
    """Return where the ``sampled`` coefficients lie in the completely pooled fit; those not ``free`` live on intervals.

    The unit of a coordinate is what moves linear predictors by the response's spread, or its sd in that fit where that
    is wider. The pooled fit may be many of its sds away from the coefficient of a model with groups.
    """
    if not len(sampled):
        return PlacedCoefficients(np.empty((0, 0)), ())
    values, counts = design.population.values, _counts(design)
    base = np.zeros(len(values)) if design.measurements.offset is None else design.measurements.offset
    if len(values) > _MOST_ROWS:
        some = np.random.default_rng(0).permutation(len(values))[:_MOST_ROWS]
        values, counts, base, response = values[some], counts[some], base[some], response.select(some)
    everywhere = orthogonalise_columns(values, counts, (True,) * values.shape[1])
    back = np.linalg.inv(everywhere)
    columns = values @ back
    lengths = np.sqrt(np.average(columns * columns, axis=0, weights=counts))
    lengths = np.where(lengths > 0.0, lengths, 1.0)
    fitted = _fit_pooled(columns / lengths, counts, base, family, response, scales)
    working = orthogonalise_columns(values[:, list(sampled)], counts, free)
    change = working @ back[list(sampled)] / lengths
    guesses = change @ fitted.coefficients
    sds = np.sqrt(np.einsum("ia,ab,ib->i", change, fitted.covariance, change))
    own = values[:, list(sampled)] @ np.linalg.inv(working)
    sizes = np.sqrt(np.average(own * own, axis=0, weights=counts))
    units = scales.response_sd / np.where(sizes > 0.0, sizes, 1.0)
    places = tuple(zip(guesses.tolist(), np.maximum(sds, units).tolist(), strict=True))
    return PlacedCoefficients(np.asarray(np.linalg.inv(working)), places)


class _Pooled(NamedTuple):
    """The completely pooled fit: ``coefficients`` (coefficient,) and their ``covariance``."""

    coefficients: FloatArray
    covariance: FloatArray


def _fit_pooled(
    columns: FloatArray,
    counts: FloatArray,
    base: FloatArray,
    family: Family,
    response: ResponseColumns,
    scales: DataScales,
) -> _Pooled:
    """Fit orthogonal columns of unit length by damped Fisher scoring from the data's scale, under a wide normal prior,
    so that the fit exists whatever the data."""
    centre = scales.response_mean * (counts @ columns) / counts.sum()
    ridge = (_RIDGE * scales.response_sd) ** -2.0 * np.eye(columns.shape[1])
    dispersion = tuple(np.asarray(value) for value in family.guess_dispersions(response, counts))
    beta, precision = centre.copy(), ridge
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            found = family.derivatives(base + columns @ beta, response, dispersion)
            gradient = columns.T @ (counts * _finite(found.first)) - ridge @ (beta - centre)
            weights = counts * np.maximum(-_finite(found.second), 0.0)
            precision = (columns.T * weights) @ columns + ridge
            step = np.linalg.solve(precision, gradient)
            largest = np.max(np.abs(columns @ step), initial=0.0)
            limit = 3.0 * scales.response_sd
            beta = beta + step * min(1.0, limit / largest if largest > 0.0 else 1.0)
    return _Pooled(beta, np.linalg.inv(precision))


def _counts(design: Design) -> FloatArray:
    counts = design.measurements.counts
    return np.ones(len(design.measurements.response)) if counts is None else counts


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, 0.0)

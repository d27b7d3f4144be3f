"""The chance that a row's value passes the limits of selection, given its linear predictor.

A value with normal noise passes a limit with probability Phi((mean - limit) / sd), and a probit curve of some width
about that limit with the same probability where the squared width is added to the noise's variance. So is the variance
of a normal population, where the mean is linear in the group's parameter: that is its closed form.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr

from partialpool.errors import NotYetError
from partialpool.models.families.base import Family, ResponseColumns
from partialpool.models.families.gaussian import Gaussian
from partialpool.models.families.lognormal import LogNormal
from partialpool.models.families.noise import real_mean
from partialpool.models.families.normal_interval import log_normal_interval, normal_interval
from partialpool.numerics.arrays import FloatArray

# The log of the chance of not passing is kept above this: what passes surely has none.
_SURE = -1e5


class SelectionChance(NamedTuple):
    """log P(pass) with its derivatives by eta, by the log of each unknown dispersion, and by the log of an added
    ``spread``."""

    value: FloatArray
    by_eta: FloatArray
    by_log_dispersion: tuple[FloatArray, ...]
    by_log_spread: FloatArray


class _Normal(NamedTuple):
    """The mean of the noise's scale, its slope by eta, the noise's variance beside the known one, and which of it is an
    unknown dispersion's."""

    mean: FloatArray
    slope: FloatArray | float
    variance: FloatArray | float
    unknown: bool


def is_linear(family: Family) -> bool:
    """Whether the mean, on the scale on which noise is normal, is the linear predictor itself."""
    return isinstance(family, LogNormal) or family.link == "identity"


def place_limits(family: Family, limits: FloatArray) -> FloatArray:
    """Return limits of the response on the scale on which its noise is normal: their logs under a lognormal family."""
    if not isinstance(family, LogNormal):
        return limits
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.maximum(limits, 0.0)))


def log_chance(
    family: Family,
    eta: FloatArray,
    rows: ResponseColumns,
    dispersion: tuple[FloatArray, ...],
    spread: FloatArray | float = 0.0,
) -> FloatArray:
    """Return log P(the value passes) of each element of eta.

    ``rows`` hold the limits, as ``place_limits`` gives them, and in ``standard_errors`` what is known of the noise, the
    curve's width included. ``spread`` is the sd of a normal variable that is added to the mean.
    """
    normal = _read_normal(family, eta, dispersion)
    # one limit is the usual case, and three times faster by itself
    if not _has_any(rows.upper_limit):
        return np.asarray(log_ndtr((normal.mean - _lower(rows)) / _find_sd(normal, rows, spread)))
    if not _has_any(rows.lower_limit):
        return np.asarray(log_ndtr((_upper(rows) - normal.mean) / _find_sd(normal, rows, spread)))
    a, b, width, _ = _standardise(normal, rows, spread)
    return log_normal_interval(a, b, width).reshape(a.shape)


def log_miss(family: Family, eta: FloatArray, rows: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
    """Return log P(the value does not pass) of each element of eta."""
    normal = _read_normal(family, eta, dispersion)
    sd = _find_sd(normal, rows, 0.0)
    below = log_ndtr((_lower(rows) - normal.mean) / sd) if _has_any(rows.lower_limit) else None
    above = log_ndtr((normal.mean - _upper(rows)) / sd) if _has_any(rows.upper_limit) else None
    parts = [part for part in (below, above) if part is not None]
    return np.asarray(np.maximum(parts[0] if len(parts) == 1 else np.logaddexp(*parts), _SURE))


def chance_derivatives(
    family: Family,
    eta: FloatArray,
    rows: ResponseColumns,
    dispersion: tuple[FloatArray, ...],
    spread: FloatArray | float = 0.0,
) -> SelectionChance:
    """Return ``log_chance`` with its derivatives: those of log P over an interval are -M1 / sd by the mean and -M2 by
    log sd, as ``normal_interval`` has it."""
    normal = _read_normal(family, eta, dispersion)
    a, b, width, sd = _standardise(normal, rows, spread)
    found = normal_interval(a, b, width)
    slope, scale_slope = found.slope.reshape(a.shape), found.scale_slope.reshape(a.shape)
    variance = np.square(sd)
    by_log_noise = -scale_slope * normal.variance / variance
    return SelectionChance(
        found.log_p.reshape(a.shape),
        -slope / sd * normal.slope,
        (by_log_noise,) if normal.unknown else (),
        -scale_slope * np.square(spread) / variance,
    )


def find_edges(
    family: Family, base: FloatArray, rows: ResponseColumns, dispersion: tuple[FloatArray, ...]
) -> list[tuple[FloatArray, FloatArray]]:
    """Return where a group's deviation puts the mean on each limit that some row has, and how far from there the chance
    rises, each of the shape of ``base``; infinite where it never does."""
    edges = []
    for limit in (rows.lower_limit, rows.upper_limit):
        if limit is None or not _has_any(limit):
            continue
        with np.errstate(all="ignore"):
            at = limit if is_linear(family) else np.log(limit)
            normal = _read_normal(family, np.broadcast_to(at, base.shape), dispersion)
            reach = np.sqrt(normal.variance + np.square(_known_noise(rows))) / normal.slope
        place = np.where(np.isfinite(at), at, np.inf) - base
        edges.append((place, np.broadcast_to(reach, base.shape)))
    return edges


def _read_normal(family: Family, eta: FloatArray, dispersion: tuple[FloatArray, ...]) -> _Normal:
    if isinstance(family, LogNormal):
        if family.sigma is not None:
            return _Normal(eta, 1.0, family.sigma**2, False)
        return _Normal(eta, 1.0, np.square(dispersion[0]), True)
    if not isinstance(family, Gaussian):
        raise NotYetError(f"selection of objects under family='{family.name}' is not computed")
    mean = real_mean(family.link, eta)
    slope = 1.0 if family.link == "identity" else mean
    return _Normal(mean, slope, 0.0 if family.known_noise else np.square(dispersion[0]), not family.known_noise)


def _known_noise(rows: ResponseColumns) -> FloatArray | float:
    return 0.0 if rows.standard_errors is None else rows.standard_errors


def _standardise(
    normal: _Normal, rows: ResponseColumns, spread: FloatArray | float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return both limits and what lies between them in sds from the mean, and the sds."""
    sd, lower, upper = _find_sd(normal, rows, spread), _lower(rows), _upper(rows)
    a, b, width, sd = np.broadcast_arrays(
        (lower - normal.mean) / sd, (upper - normal.mean) / sd, np.subtract(upper, lower) / sd, sd
    )
    return a, b, width, sd


def _find_sd(normal: _Normal, rows: ResponseColumns, spread: FloatArray | float) -> FloatArray:
    return np.asarray(np.sqrt(normal.variance + np.square(_known_noise(rows)) + np.square(spread)))


def _has_any(limits: FloatArray | None) -> bool:
    return limits is not None and bool(np.isfinite(limits).any())


def _lower(rows: ResponseColumns) -> FloatArray | float:
    return -np.inf if rows.lower_limit is None else rows.lower_limit


def _upper(rows: ResponseColumns) -> FloatArray | float:
    return np.inf if rows.upper_limit is None else rows.upper_limit

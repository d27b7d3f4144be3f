"""What measurements about a real mean share: their noise, and derivatives through the link of the mean."""

from __future__ import annotations

import numpy as np

from partialpool.errors import DataError
from partialpool.models.families.links import LARGEST_LOG
from partialpool.numerics.arrays import FloatArray


def get_noise(known: bool, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]) -> FloatArray:
    """Return the noise sds: the rows' standard errors if they are known, else the first dispersion."""
    if not known:
        return dispersion[0]
    if standard_errors is None:
        raise DataError("the noise is known by standard errors, which are not given: give standard_error=")
    return standard_errors


def real_mean(link: str, eta: FloatArray) -> FloatArray:
    """Return the mean under link 'identity' or 'log'."""
    return eta if link == "identity" else np.asarray(np.exp(np.minimum(eta, 0.5 * LARGEST_LOG)))


def chain_rule(link: str, eta: FloatArray, first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return first and second derivatives by eta from those by the mean."""
    if link == "identity":
        return first, second
    mean = real_mean(link, eta)
    by_log = first * mean
    return by_log, second * mean**2 + by_log

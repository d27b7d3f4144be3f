"""Poisson deviance terms: how far a count is from its expectation, without cancellation (Loader 2000)."""

from __future__ import annotations

import numpy as np

from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.log_excess import log1p_less

_LEAST = np.finfo(np.float64).tiny
_ALMOST_MINUS_ONE = -1.0 + 2.0**-53


def deviance(expected: FloatArray, excess: FloatArray, empty: FloatArray | None = None) -> FloatArray:
    """Return x log(x / e) - x + e >= 0 for the expectation e and x = e + ``excess``; ``empty`` is 1 where x is 0.

    With r = excess / e it is excess log(1 + r) + e (log(1 + r) - r), accurate from x = e to x far from it.
    """
    ratio = np.maximum(excess / np.maximum(expected, _LEAST), _ALMOST_MINUS_ONE)
    if empty is None:
        return np.asarray(excess * np.log1p(ratio) + expected * log1p_less(ratio))
    ratio *= 1.0 - empty
    return np.asarray(excess * np.log1p(ratio) + expected * (log1p_less(ratio) + empty))


def log_posterior_over_prior(prior: FloatArray, excess: FloatArray, posterior: FloatArray) -> FloatArray:
    """Return log(posterior / prior) where posterior = prior + excess, from whichever is the smaller."""
    below = excess < 0.0
    with np.errstate(over="ignore"):
        return np.where(below, -1.0, 1.0) * np.log1p(np.abs(excess) / np.where(below, posterior, prior))

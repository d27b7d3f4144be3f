"""Log densities of large counts, measured from their peak.

y log m - m is of the order of y log y, and near its peak what matters of it is of the order of one: beyond counts of
some millions rounding shows, and at 1e14 nothing else is left. Large counts have their log density less that of their
own fit (m = y), a deviance, whose terms do not cancel; ``log_constant`` of such a row is what its own fit has.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.gamma_differences import log_gamma_excess
from partialpool.numerics.log_excess import log_ratio_less

# From here on: below, y log y rounds by less than 1e-8.
_LARGE = 1e6
_LARGEST_LOG = 700.0
_LEAST = 1e-290

Compute = Callable[[], FloatArray]


def is_large(counts: FloatArray) -> NDArray[np.bool_]:
    """Say which counts are measured from their peak."""
    return np.asarray(counts > _LARGE)


def choose(large: NDArray[np.bool_], from_peak: Compute, plain: Compute) -> FloatArray:
    """Return ``from_peak()`` where counts are ``large``, ``plain()`` elsewhere, each computed only where needed."""
    if not large.any():
        return plain()
    if large.all():
        return from_peak()
    return np.where(large, from_peak(), plain())


def log_excess(eta: FloatArray, counts: FloatArray, exposures: FloatArray) -> FloatArray:
    """Return the log of the mean exposure exp(eta) over the count: what is rounded is eta alone."""
    return np.asarray(eta - np.log(np.maximum(counts, 1.0) / exposures))


def poisson_from_peak(eta: FloatArray, counts: FloatArray, exposures: FloatArray) -> FloatArray:
    """Return y (d - (exp(d) - 1)), d = log(mean / y)."""
    d = log_excess(eta, counts, exposures)
    return np.asarray(counts * (d - np.expm1(np.minimum(d, _LARGEST_LOG))))


def log_poisson_peak(counts: FloatArray) -> FloatArray:
    """Return the log density of a large count under its own mean: about -log(2 pi y) / 2."""
    safe = np.maximum(counts, 1.0)
    return np.asarray(-np.log(safe) - log_gamma_excess(safe))


def log_count_constant(counts: FloatArray, exposures: FloatArray) -> FloatArray:
    """Return y log exposure - log y!, what log densities of counts have beside y eta - mean; of large ones the peak."""
    from scipy.special import gammaln

    return choose(
        is_large(counts),
        lambda: log_poisson_peak(counts),
        lambda: np.asarray(counts * np.log(exposures) - gammaln(counts + 1.0)),
    )


def binomial_from_peak(log_p: FloatArray, log_q: FloatArray, successes: FloatArray, failures: FloatArray) -> FloatArray:
    """Return y log(p / (y / n)) + (n - y) log(q / ((n - y) / n)) from log p and log q = log(1 - p); y and n - y
    are positive, and need not be whole."""
    total = successes + failures
    share, rest = np.maximum(successes, _LEAST) / total, np.maximum(failures, _LEAST) / total
    p, q = np.exp(log_p), np.exp(log_q)
    # from the smaller of the two, which is known to more places
    above = np.where(p < q, p - share, rest - q)
    return np.asarray(successes * log_ratio_less(p, share, above) + failures * log_ratio_less(q, rest, -above))


def log_binomial_peak(successes: FloatArray, trials: FloatArray) -> FloatArray:
    """Return the log probability of the successes under their own proportion, 0 at none or all."""
    y, f, n = np.maximum(successes, 1.0), np.maximum(trials - successes, 1.0), np.maximum(trials, 1.0)
    value = np.log(n / y / f) + log_gamma_excess(n) - log_gamma_excess(y) - log_gamma_excess(f)
    return np.where((successes > 0) & (successes < trials), value, 0.0)

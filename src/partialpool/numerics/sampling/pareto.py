"""The tail of importance weights: Pareto-k, the effective sample size, and weights from log weights."""

from __future__ import annotations

import numpy as np

from partialpool.numerics.arrays import FloatArray

_BOUNDED = 4.0


def normalise_log_weights(log_weights: FloatArray) -> tuple[FloatArray, float]:
    """Return weights that sum to one and the log of the sum of the unnormalised weights."""
    peak = float(np.max(log_weights))
    weights = np.exp(log_weights - peak)
    total = float(weights.sum())
    return weights / total, peak + float(np.log(total))


def effective_sample_size(weights: FloatArray) -> float:
    """Return Kish's effective sample size of weights that sum to one: 1 / sum(weights**2)."""
    return float(1.0 / np.sum(weights**2))


def pareto_k(weights: FloatArray) -> float:
    """Return the shape k of the generalised Pareto tail of importance weights.

    Below 0.5 the weights have finite variance; above 0.7 the estimate is not to be trusted. Weights of which none is
    four times the mean have no tail, whatever shape fits their largest: k is then 0 at most.

    Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25(72),
    section 3; the fit is Zhang and Stephens (2009), Technometrics 51:316-325, with the prior of section 6
    of the former.
    """
    n_tail = int(min(0.2 * len(weights), 3.0 * np.sqrt(len(weights))))
    if n_tail < 5:
        return float("nan")
    largest = np.sort(weights)[-(n_tail + 1) :]
    if largest[-1] < _BOUNDED * weights.mean():
        return min(_shape_of(largest), 0.0)
    return _shape_of(largest)


def _shape_of(largest: FloatArray) -> float:
    exceedances = largest[1:] - largest[0]
    if exceedances[-1] <= 1e-12 * largest[-1]:
        return float("-inf")
    return _fit_generalised_pareto_shape(exceedances)


def _fit_generalised_pareto_shape(exceedances: FloatArray) -> float:
    """Return the shape k fitted to sorted positive exceedances."""
    n = len(exceedances)
    n_grid = 30 + int(np.sqrt(n))
    quartile = exceedances[int(n / 4 + 0.5) - 1]
    quartile = max(quartile, 1e-12 * exceedances[-1])
    grid = 1.0 - np.sqrt(n_grid / (np.arange(1, n_grid + 1) - 0.5))
    grid = grid / (3.0 * quartile) + 1.0 / exceedances[-1]
    shapes = np.mean(np.log1p(-grid[:, None] * exceedances), axis=1)
    log_likelihood = n * (np.log(-(grid / shapes)) - shapes - 1.0)
    weights, _ = normalise_log_weights(log_likelihood)
    scale = float(np.sum(grid * weights))
    shape = float(np.mean(np.log1p(-scale * exceedances)))
    return (n * shape + 10 * 0.5) / (n + 10)

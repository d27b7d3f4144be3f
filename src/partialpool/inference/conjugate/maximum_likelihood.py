"""Maximum marginal likelihood (ML-II) of beta and gamma populations, with complete pooling recognised as a limit."""

from __future__ import annotations

import math

import numpy as np

from partialpool.errors import DataError
from partialpool.inference.conjugate import beta_binomial, gamma_poisson
from partialpool.inference.conjugate.beta_binomial import LogMarginal
from partialpool.inference.conjugate.estimate import Kind, PopulationEstimate, check_estimable, estimate_of
from partialpool.inference.conjugate.pairs import Pairs
from partialpool.numerics.arrays import FloatArray

# Logs of concentrations relative to a typical group's size: from which the start is chosen, the greatest, the least.
_STARTS = np.linspace(-12.0, 18.0, 31)
_GREATEST, _LEAST = 25.0, -40.0
# A log likelihood no higher than this above that of a limit is the limit's.
_NO_GAIN = 1e-7
_NEWTON_STEPS = 20


def by_maximum_likelihood(kind: Kind, pairs: Pairs) -> PopulationEstimate:
    """Maximise the log marginal likelihood over logit or log mean and log concentration."""
    check_estimable(kind, pairs)
    whole = pairs.total_values / pairs.total_sizes
    centre = np.array([math.log(whole / (1.0 - whole)) if kind == "beta" else math.log(whole), 0.0])
    typical = _log_typical_size(kind, pairs, whole)
    starts = np.stack([np.full_like(_STARTS, centre[0]), typical + _STARTS], axis=1)
    values = _evaluate(kind, pairs, starts)[0]
    ends = np.array([[centre[0], typical + _LEAST], [centre[0], typical + 2.0 * _GREATEST]])
    apart, pooled = _evaluate(kind, pairs, ends)[0]
    point = _climb(kind, pairs, starts[int(np.argmax(values))], typical)
    value = float(_evaluate(kind, pairs, point[None])[0][0])
    if point[1] > typical + 0.8 * _GREATEST or value <= pooled + _NO_GAIN:
        return estimate_of(kind, whole, math.inf)
    if value <= apart + _NO_GAIN:
        raise DataError(
            "the likelihood rises as alpha + beta goes to 0: every group has all or none of its trials successful; "
            "give the population's parameters priors"
        )
    return estimate_of(kind, _mean(kind, point), math.exp(point[1]))


def _log_typical_size(kind: Kind, pairs: Pairs, whole: float) -> float:
    """Return the log of the size of a group in trials; in exposure at least that of one count."""
    size = pairs.total_sizes / pairs.n_groups
    return math.log(size if kind == "beta" else max(size, 1.0 / whole))


def _mean(kind: Kind, point: FloatArray) -> float:
    return 1.0 / (1.0 + math.exp(-point[0])) if kind == "beta" else math.exp(point[0])


def _shapes(kind: Kind, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    size = np.exp(points[:, 1])
    if kind == "gamma":
        return size * np.exp(points[:, 0]), size
    return size / (1.0 + np.exp(-points[:, 0])), size / (1.0 + np.exp(points[:, 0]))


def _evaluate(kind: Kind, pairs: Pairs, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log marginals (point,) and their derivatives (point, coordinate) by location and log concentration."""
    alpha, beta = _shapes(kind, points)
    family = beta_binomial if kind == "beta" else gamma_poisson
    at: LogMarginal = family.log_marginal_gradient(alpha, beta, pairs)
    by_size = alpha * at.by_alpha + beta * at.by_beta
    if kind == "gamma":
        return at.value, np.stack([alpha * at.by_alpha, by_size], axis=1)
    by_location = alpha * beta / (alpha + beta) * (at.by_alpha - at.by_beta)
    return at.value, np.stack([by_location, by_size], axis=1)


def _climb(kind: Kind, pairs: Pairs, start: FloatArray, typical: float) -> FloatArray:
    def objective(point: FloatArray) -> tuple[float, FloatArray]:
        value, slope = _evaluate(kind, pairs, point[None])
        return -float(value[0]) / pairs.n_groups, -slope[0] / pairs.n_groups

    from scipy.optimize import minimize

    bounds = [(start[0] - 30.0, start[0] + 30.0), (typical + _LEAST, typical + _GREATEST)]
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-9}
    )
    return _polish(kind, pairs, np.asarray(found.x, dtype=np.float64))


def _polish(kind: Kind, pairs: Pairs, point: FloatArray) -> FloatArray:
    """Take Newton steps with differenced gradients for as long as they are small ones uphill."""

    width = 1e-4
    offsets = width * np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    for _ in range(_NEWTON_STEPS):
        slopes = _evaluate(kind, pairs, point + offsets)[1]
        hessian = np.stack([slopes[1] - slopes[2], slopes[3] - slopes[4]]) / (2.0 * width)
        hessian = 0.5 * (hessian + hessian.T)
        if not (hessian[0, 0] < 0.0 and np.linalg.det(hessian) > 0.0):
            break
        step = -np.linalg.solve(hessian, slopes[0])
        if np.abs(step).max() > 0.5:
            break
        point = point + step
        if np.abs(step).max() < 1e-9:
            break
    return point

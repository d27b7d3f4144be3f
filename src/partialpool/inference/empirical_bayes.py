"""Empirical Bayes: estimates of the population put in place of its posterior, which ignores their uncertainty.

| estimator | what it solves |
| --- | --- |
| ``moments`` | spread of group means about their unweighted mean less the mean sampling variance (Hedges 1983) |
| ``dersimonian_laird`` | Cochran's Q set equal to its expectation (DerSimonian and Laird 1986) |
| ``ml`` | maximum of the likelihood of coefficients, sds and sigma |
| ``reml`` | maximum of the likelihood with the coefficients integrated out under flat priors |

``ml`` and ``reml`` profile sigma out and search over the effects' relative covariance root, whose diagonal may reach
zero (Bates et al. 2015, section 3.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.errors import ComputationError, DataError
from partialpool.inference.cross_products import CrossProducts
from partialpool.inference.engine import Engine
from partialpool.inference.gaussian_marginal import GaussianMarginal
from partialpool.inference.hyper_posterior import HyperPosterior
from partialpool.models.hyperspace import HyperPoints, HyperSpace
from partialpool.models.model import Model
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.small_matrices import factor_ldl

if TYPE_CHECKING:
    from scipy.optimize import Bounds

_REASON = "population parameters estimated by {estimator}, their uncertainty ignored: intervals are too narrow"
_AT_ZERO = "; a variance is estimated at 0: an estimate, not a finding"


def estimate_hyperparameters(model: Model, marginal: GaussianMarginal, estimator: str) -> HyperPosterior:
    """Return the estimate as a posterior with one node.

    Raises ``DataError`` where the estimator does not suit the model, ``ComputationError`` where the search fails.
    """
    if estimator in ("moments", "dersimonian_laird"):
        root, residual_sd = _by_moments(model, marginal.cross, estimator)
    else:
        root, residual_sd = _by_likelihood(model, marginal, restricted=estimator == "reml")
    coordinates = _coordinates(model.space, root, residual_sd)
    point = _single_point(root, residual_sd)
    likelihood = float(marginal.log_likelihood(point)[0])
    evidence = {}
    if estimator == "reml":
        evidence["restricted log likelihood"] = likelihood
    elif estimator == "ml":
        evidence["log likelihood"] = likelihood - _log_integral_over_peak(marginal, point)
    reason = _REASON.format(estimator=estimator)
    if not np.all(np.any(root, axis=1)):
        reason += _AT_ZERO
    engine = Engine(
        "empirical Bayes",
        reason,
        evidence,
        "plug-in",
        float("inf"),
    )
    return HyperPosterior(model.space, coordinates, np.ones(1), likelihood, None, engine)


def _by_moments(model: Model, cross: CrossProducts, estimator: str) -> tuple[FloatArray, float]:
    """Estimate the variance of group means from their spread."""
    if [group.names for group in model.groups] != [("Intercept",)] or model.design.population.names != ("Intercept",):
        raise DataError(
            f"estimator='{estimator}' is for an intercept that varies by group and nothing else (y ~ 1 + (1 | g)): use "
            "'reml' or 'ml'"
        )
    precision = cross.class_root[0, 0, cross.class_of] ** 2
    means = cross.projection[0, -1] / np.sqrt(precision)
    residual_variance = 1.0
    if model.space.residual_sd is not None:
        residual_variance = float(cross.residual[-1, -1] / (cross.n_rows - cross.n_groups))
    variances = residual_variance / precision
    if estimator == "moments":
        between = float(np.var(means, ddof=1) - np.mean(variances))
    else:
        weights = 1.0 / variances
        centre = np.average(means, weights=weights)
        q = float(weights @ (means - centre) ** 2)
        between = (q - (len(means) - 1)) / float(weights.sum() - (weights @ weights) / weights.sum())
    return np.array([[np.sqrt(max(between, 0.0))]]), float(np.sqrt(residual_variance))


def _by_likelihood(model: Model, marginal: GaussianMarginal, *, restricted: bool) -> tuple[FloatArray, float]:
    """Maximise the profiled (restricted) likelihood over the relative covariance root."""
    from scipy.optimize import Bounds, minimize

    if not model.groups:
        raise DataError("empirical Bayes estimates a population: the formula has no group term")
    known = model.space.residual_sd is None
    places = [
        (part.start + i, part.start + j)
        for group, part in zip(model.groups, model.effect_slices, strict=True)
        for block in group.blocks
        for i in block
        for j in block
        if j <= i
    ]
    spread = np.array([hyper.guess for hyper in model.space.effect_sds])
    unit = spread / (1.0 if known else model.scales.response_sd)

    def root_of(theta: FloatArray) -> FloatArray:
        root = np.zeros((model.n_effects, model.n_effects))
        for value, (i, j) in zip(theta, places, strict=True):
            root[i, j] = value * unit[i]
        return root

    def deviance(theta: FloatArray) -> float:
        return _deviance(marginal, root_of(theta), known, restricted)[0]

    diagonal = np.array([i == j for i, j in places])
    bounds = Bounds(np.where(diagonal, 0.0, -np.inf), np.inf)
    options: Any = {"ftol": 1e-13, "gtol": 1e-8}
    starts: list[Any] = [start * diagonal for start in (0.8, 0.2, 0.02)]
    searches = [minimize(deviance, start, method="L-BFGS-B", bounds=bounds, options=options) for start in starts]
    best = min(searches, key=lambda search: float(search.fun))
    if not np.isfinite(best.fun):
        raise ComputationError("the likelihood has no finite value at any start: check the response's scale")
    theta = _polish(deviance, best.x, bounds)
    root = root_of(theta)
    sigma = 1.0 if known else _deviance(marginal, root, known, restricted)[1]
    return root * sigma, sigma


def _polish(deviance: Callable[[FloatArray], float], theta: FloatArray, bounds: Bounds) -> FloatArray:
    """Tighten the minimum by Nelder-Mead and put a variance at zero exactly there when that is no worse."""
    from scipy.optimize import minimize

    options: Any = {"xatol": 1e-10, "fatol": 1e-13, "maxiter": 4000}
    start: Any = theta
    found = minimize(deviance, start, method="Nelder-Mead", bounds=bounds, options=options)
    theta = found.x if found.fun <= deviance(theta) else theta
    for k in np.flatnonzero(bounds.lb == 0.0):
        at_zero = theta.copy()
        at_zero[k] = 0.0
        if theta[k] < 1e-3 and deviance(at_zero) <= deviance(theta) + 1e-9:
            theta = at_zero
    return theta


def _deviance(marginal: GaussianMarginal, root: FloatArray, known: bool, restricted: bool) -> tuple[float, float]:
    """Return minus twice the profiled log likelihood, up to a constant, and the profiled sigma."""
    cross = marginal.cross
    with np.errstate(all="ignore"):
        log_determinants, augmented, _ = marginal.reduce_effects(_single_point(root, 1.0))
        factor = factor_ldl(augmented)
        residual = float(factor.pivots[-1, 0])
        log_precision = float(np.log(factor.pivots[:-1, 0]).sum()) if restricted else 0.0
    degrees = cross.n_rows - (cross.n_coefficients if restricted else 0)
    if known:
        return float(log_determinants[0]) + log_precision + residual, 1.0
    value = float(log_determinants[0]) + log_precision + degrees * np.log(residual)
    return value, float(np.sqrt(residual / degrees))


def _log_integral_over_peak(marginal: GaussianMarginal, point: HyperPoints) -> float:
    """Return by how much integrating the coefficients under flat priors exceeds maximising over them, in logs."""
    conditional = marginal.coefficients_given(point)
    log_volume = np.linalg.slogdet(conditional.back)[1]
    log_determinant = np.linalg.slogdet(conditional.covariance[..., 0])[1]
    return float(0.5 * len(conditional.mean) * np.log(2.0 * np.pi) + log_volume + 0.5 * log_determinant)


def _single_point(root: FloatArray, residual_sd: float) -> HyperPoints:
    return HyperPoints(root[:, :, None], np.array([residual_sd]), np.empty((0, 1)))


def _coordinates(space: HyperSpace, root: FloatArray, residual_sd: float) -> FloatArray:
    """Return the coordinates of one point; a variance at zero is at minus infinity, a correlation of 1 at infinity."""
    with np.errstate(divide="ignore"):
        log_sds = np.log(np.sqrt(np.sum(root * root, axis=1)))
        correlations: list[float] = []
        for block in space.blocks:
            places = list(block.positions)
            log_sds[places], fisher_z = block.unconstrain(root[np.ix_(places, places)])
            correlations += list(fisher_z)
        residual = [np.log(residual_sd)] if space.residual_sd is not None else []
    return np.array([[*log_sds, *correlations, *residual]])

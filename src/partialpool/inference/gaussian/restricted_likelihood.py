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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import ComputationError, DataError
from partialpool.inference.edges import describe_edges
from partialpool.inference.gaussian.gradient import second_moments
from partialpool.inference.gaussian.marginal import GaussianMarginal
from partialpool.inference.hyper.certificate import Engine
from partialpool.inference.hyper.hyper_posterior import HyperPosterior
from partialpool.models.model import Model
from partialpool.models.space.hyperspace import HyperPoints, HyperSpace
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.small_matrices import factor_ldl
from partialpool.reductions.cross_products import CrossProducts

_REASON = "population parameters estimated by {estimator}, their uncertainty ignored: intervals are too narrow"
# The least diagonal of the relative root during the search, where the gradient still has ten digits.
_NEARLY_ZERO = 1e-6
_AT_EDGE = "; {edges}: an estimate, not a finding"


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
    if edges := describe_edges(model.space, point):
        reason += _AT_EDGE.format(edges=edges)
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
    given = _given_sigma(model.space)
    residual_variance = 1.0 if given is None else given**2
    if given is None:
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
    given = _given_sigma(model.space)
    places = [
        (part.start + i, part.start + j)
        for group, part in zip(model.groups, model.effect_slices, strict=True)
        for block in group.blocks
        for i in block
        for j in block
        if j <= i
    ]
    spread = np.array([hyper.guess for hyper in model.space.effect_sds])
    unit = spread / (model.scales.response_sd if given is None else given)

    def root_of(theta: FloatArray) -> FloatArray:
        root = np.zeros((model.n_effects, model.n_effects))
        for value, (i, j) in zip(theta, places, strict=True):
            root[i, j] = value * unit[i]
        return root

    def deviance(theta: FloatArray) -> tuple[float, FloatArray]:
        value, gradient, _ = _deviance(marginal, root_of(theta), given, restricted)
        return value, np.array([gradient[i, j] * unit[i] for i, j in places])

    diagonal = np.array([i == j for i, j in places])
    bounds = Bounds(np.where(diagonal, _NEARLY_ZERO, -np.inf), np.inf)
    options: Any = {"ftol": 1e-15, "gtol": 1e-9, "maxls": 40}
    starts: list[Any] = [start * diagonal for start in (0.8, 0.2, 0.02)]
    searches = [
        minimize(deviance, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options) for start in starts
    ]
    best = min(searches, key=lambda search: float(search.fun))
    if not np.isfinite(best.fun):
        raise ComputationError("the likelihood has no finite value at any start: check the response's scale")

    def value(theta: FloatArray) -> float:
        return _deviance(marginal, root_of(theta), given, restricted, with_gradient=False)[0]

    root = root_of(_put_at_zero(value, best.x, diagonal))
    sigma = _deviance(marginal, root, given, restricted, with_gradient=False)[2]
    return root * sigma, sigma


def _put_at_zero(deviance: Callable[[FloatArray], float], theta: FloatArray, diagonal: NDArray[np.bool_]) -> FloatArray:
    """Put a variance that is nearly zero exactly there when that is no worse."""
    for k in np.flatnonzero(diagonal):
        at_zero = theta.copy()
        at_zero[k] = 0.0
        if theta[k] < 1e-3 and deviance(at_zero) <= deviance(theta) + 1e-9:
            theta = at_zero
    return theta


def _deviance(
    marginal: GaussianMarginal, root: FloatArray, given: float | None, restricted: bool, with_gradient: bool = True
) -> tuple[float, FloatArray, float]:
    """Return minus twice the profiled log likelihood, up to a constant, its gradient by the root (effect, effect), and
    sigma, the ``given`` one or, where that is None, profiled out."""
    cross, point = marginal.cross, _single_point(root, 1.0)
    n = cross.n_coefficients
    degrees = cross.n_rows - (n if restricted else 0)
    with np.errstate(all="ignore"):
        reduction = marginal.reduce_effects(point)
        factor = factor_ldl(reduction.augmented)
        residual = float(factor.pivots[-1, 0])
        log_precision = float(np.log(factor.pivots[:-1, 0]).sum()) if restricted else 0.0
        value = float(reduction.log_determinants[0]) + log_precision
        value += degrees * float(np.log(residual)) if given is None else residual / given**2
        sigma = float(np.sqrt(residual / degrees)) if given is None else given
        if not with_gradient:
            return value, np.empty(0), sigma
        precision = reduction.augmented[:n, :n, 0]
        left = np.append(-np.linalg.lstsq(precision, reduction.augmented[:n, n, 0], rcond=None)[0], 1.0)
        targets = np.outer(left, left) / sigma**2
        if restricted:
            targets[:n, :n] += np.linalg.pinv(precision)
        moments = second_moments(marginal, point, reduction, targets[:, :, None])
        gradient = np.zeros_like(root)
        for part, n_groups, moment in zip(
            marginal.statistics.effect_slices, marginal.statistics.n_groups, moments, strict=True
        ):
            excess = moment[..., 0] - n_groups * np.eye(len(moment))
            gradient[part, part] = -2.0 * np.linalg.solve(root[part, part].T, excess)
    return value, gradient, sigma


def _given_sigma(space: HyperSpace) -> float | None:
    """Return the residual sd where that is known, 1 beside known standard errors."""
    return space.fixed_residual_sd if space.residual_sd is None else space.residual_sd.given


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
    return np.array([*log_sds, *correlations, *residual])[None, space.free]

"""Integrating a posterior whose likelihood is dear by way of a surrogate, whose error is measured.

The likelihood is evaluated with its gradient on the way to the mode, then on both sides along the axes of the
curvature. The surrogate fitted to this is integrated, with the exact prior, by importance sampling. Fresh nodes spread
over that posterior then tell how far the surrogate is off where it matters, and further ones in its tails; if it is too
far they sharpen it, and the next surrogate is measured at others.

The mean of any quantity under the surrogate is off by at most its sd times the sd of the log ratio of both densities
(by Cauchy and Schwarz, to first order). That sd is estimated from a dozen nodes, and so is itself uncertain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import ComputationError
from partialpool.numerics.arrays import BatchLogDensity, FloatArray
from partialpool.numerics.climb import Climb, climb
from partialpool.numerics.mode import find_mode
from partialpool.numerics.sampling.importance import WeightedNodes, integrate_by_importance
from partialpool.numerics.sampling.node_subset import TAIL_SHARE, spread_nodes, tail_nodes
from partialpool.numerics.surrogates.surrogate import FLOOR_BELOW, Surrogate, Warp, bend, fit_surrogate

#: Values (node,) and gradients (node, dimension) of a log likelihood at coordinates (node, dimension).
DearLogLikelihood = Callable[[FloatArray], tuple[FloatArray, FloatArray]]

# How far out along each axis of the curvature the first nodes lie, in sds.
_FIRST_STEP = 1.5
# Step of the gradients' differences that correct the curvature, in its sds.
_SMALL_STEP = 0.3
# Fresh nodes of a round, at least, and for each dimension.
_FRESH_NODES = (12, 2)
# Evaluations this much less likely than the best, plus a dimension each, say nothing of the posterior.
_FAR = 12.0
# Coordinates are whitened anew by a posterior whose measured error, and Pareto-k, are below these.
_TRUSTED = 0.5
_GOOD_PARETO_K = 0.5
# Rounds in a row without a measured error below that after which the surrogate is given up.
_PATIENCE = 3
# The surrogate is believed this far beyond its furthest node, in sds; further out the density is made to fall steeply.
_BEYOND = 1.5
_STEEP = 4.0
_LEAST_IMPORTANCE = 0.05
# Values and gradient entries that a surrogate is fitted to: the fit takes the third power of their number.
_MOST_DATA = 1000
# Share of the accuracy up to which that fall goes unnoticed.
_LITTLE_CUT = 0.3
# Evaluations further out than this, in sds, are left aside.
_OUTSIDE = 8.0
# Integrals of the surrogate less reliable than this are not taken (Vehtari et al. 2024, section 3), nor are rounds of
# which less than this share of the nodes is distinct.
_MAX_PARETO_K = 0.7
_LEAST_EFFECTIVE = 400.0
_LEAST_DISTINCT = 0.75


@dataclass(frozen=True)
class SurrogateIntegral:
    """``fine_nodes`` (node, dimension) with their ``fine_weights`` are thousands, weighed under the surrogate.
    ``error`` is in posterior sds; ``converged`` says whether it is what was asked for; ``evaluated`` (node, dimension)
    are all nodes at which the likelihood was evaluated that are not out of reach; ``guide`` is the log density under
    the best of all rounds' surrogates, and ``guide_error`` what that one missed."""

    fine_nodes: FloatArray
    fine_weights: FloatArray
    log_integral: float
    error: float
    effective_size: float
    pareto_k: float
    n_evaluations: int
    converged: bool
    evaluated: FloatArray
    guide: BatchLogDensity
    guide_error: float


class _Evaluations:
    """Every evaluation made so far: coordinates, values, gradients."""

    def __init__(self, log_likelihood: DearLogLikelihood, log_prior: BatchLogDensity, n_dimensions: int) -> None:
        self.log_likelihood, self.log_prior = log_likelihood, log_prior
        self.coordinates = np.empty((0, n_dimensions))
        self.values, self.gradients = np.empty(0), np.empty((0, n_dimensions))

    def add(self, coordinates: FloatArray) -> tuple[FloatArray, FloatArray]:
        values, gradients = self.log_likelihood(coordinates)
        finite = np.isfinite(values) & np.isfinite(gradients).all(axis=1)
        values = np.where(finite, values, -np.inf)
        self.coordinates = np.concatenate([self.coordinates, coordinates])
        self.values = np.concatenate([self.values, values])
        self.gradients = np.concatenate([self.gradients, np.where(finite[:, None], gradients, np.nan)])
        return values, gradients

    def posterior(self, point: FloatArray, again: bool = False) -> tuple[float, FloatArray]:
        """Return value and gradient of the log posterior at one point (known from before where ``again``)."""
        if again:
            known = int(np.flatnonzero((self.coordinates == point).all(axis=1))[0])
            values, gradients = self.values[[known]], self.gradients[[known]]
        else:
            values, gradients = self.add(point[None])
        return float(values[0] + self.log_prior(point[None])[0]), gradients[0] + self.prior_gradient(point[None])[0]

    def near(self) -> NDArray[np.bool_]:
        """Say which evaluations are likely enough to tell something of the posterior."""
        posterior = self.values + self.log_prior(self.coordinates)
        return np.asarray(posterior > np.nanmax(posterior) - _FAR - self.coordinates.shape[1])

    def prior_gradient(self, points: FloatArray) -> FloatArray:
        n_nodes, dimension = points.shape
        steps = 1e-5 * np.concatenate([np.eye(dimension), -np.eye(dimension)])
        around = self.log_prior((points[:, None] + steps).reshape(-1, dimension)).reshape(n_nodes, 2, dimension)
        return np.asarray((around[:, 0] - around[:, 1]) / 2e-5)


def integrate_by_surrogate(
    log_likelihood: DearLogLikelihood,
    log_prior: BatchLogDensity,
    start: FloatArray,
    covariance: FloatArray,
    log_scales: NDArray[np.bool_],
    accuracy: float,
    *,
    effective_target: float,
    max_evaluations: int,
) -> SurrogateIntegral:
    """Integrate likelihood times prior over unbounded coordinates.

    ``start`` (dimension,) and its rough posterior ``covariance`` begin the climb; ``log_scales`` (dimension,) are the
    coordinates along which the likelihood is flat towards minus infinity. Rounds of fresh nodes go on until the
    measured error is at most ``accuracy`` posterior sds or the next would exceed ``max_evaluations``. Raises
    ``ComputationError`` where the mode is not found or the surrogate's posterior cannot be integrated.
    """
    made = _Evaluations(log_likelihood, log_prior, len(start))
    found = _look_around(made, climb(made.posterior, start, covariance))
    warp = _warp_around(found, log_scales)
    n_fresh = max(_FRESH_NODES[0], _FRESH_NODES[1] * len(start) + 2)
    mode = found.location
    errors: list[float] = []
    best: tuple[float, Surrogate | None] = (np.inf, None)
    while True:
        surrogate = _fit(warp, made)
        sample = _integrate(surrogate, log_prior, mode, effective_target)
        lost = len(errors) >= _PATIENCE and min(errors[-_PATIENCE:]) > _TRUSTED
        if lost or len(made.values) + n_fresh > max_evaluations:
            break
        error = _measure(made, surrogate, spread_nodes(sample.nodes, sample.weights, n_fresh, len(errors)), n_fresh)
        if error <= accuracy and _is_reliable(sample):
            # what the bulk's nodes say holds for means; sds hang on the tails as well
            error = max(error, TAIL_SHARE * _measure_most(made, surrogate, tail_nodes(sample.nodes, sample.weights)))
            if error <= accuracy and _cut_off(surrogate, sample, _find_reach(surrogate)) > _LITTLE_CUT * accuracy:
                # the surrogate has been measured at these nodes, and so is believed as far beyond them
                reach = _find_reach(surrogate, made.coordinates[made.near()])
                sample = _integrate(surrogate, log_prior, mode, effective_target, reach)
                error = max(error, _cut_off(surrogate, sample, reach))
        errors.append(error)
        if error < best[0]:
            best = error, surrogate
        if error <= accuracy and _is_reliable(sample):
            break
        if error < _TRUSTED and sample.pareto_k < _GOOD_PARETO_K:
            warp = _warp_to(sample, warp.floor)
        mode = sample.nodes[int(np.argmax(surrogate(sample.nodes) + log_prior(sample.nodes)))]
    error = errors[-1] if errors else np.inf
    return SurrogateIntegral(
        sample.nodes,
        sample.weights,
        sample.log_integral,
        error,
        sample.effective_size,
        sample.pareto_k,
        len(made.values),
        bool(error <= accuracy and _is_reliable(sample)),
        made.coordinates[made.near()],
        _join(best[1] or surrogate, log_prior),
        best[0],
    )


def _is_reliable(sample: WeightedNodes) -> bool:
    """Say whether the surrogate itself was integrated, and not one spurious peak of it found."""
    return sample.pareto_k <= _MAX_PARETO_K and sample.effective_size >= _LEAST_EFFECTIVE


def _look_around(made: _Evaluations, found: Climb) -> Climb:
    """Correct the curvature by gradients a small step away along each axis, then evaluate nodes on both sides."""
    eigenvalues, axes = np.linalg.eigh(found.covariance)
    steps = (axes * np.clip(np.sqrt(np.maximum(eigenvalues, 0.0)), 1e-6, 1.0)).T
    near = found.location + _SMALL_STEP * steps
    _, gradients = made.add(near)
    gradients = gradients + made.prior_gradient(near)
    _, here = made.posterior(found.location, again=True)
    drops = -(gradients - here) @ steps.T / _SMALL_STEP
    if np.isfinite(drops).all():
        curvatures, turns = np.linalg.eigh(0.5 * (drops + drops.T))  # in units where the old curvature is I
        root = steps.T @ turns / np.sqrt(np.clip(curvatures, 0.04, 1e6))
        found = Climb(found.location, root @ root.T)
        steps = root.T
    made.add(np.concatenate([found.location + _FIRST_STEP * steps, found.location - _FIRST_STEP * steps]))
    return found


def _warp_around(found: Climb, log_scales: NDArray[np.bool_]) -> Warp:
    floor = np.where(log_scales, found.location - FLOOR_BELOW, -np.inf)
    return Warp(floor, bend(found.location, floor), np.asarray(np.linalg.cholesky(found.covariance)))


def _warp_to(sample: WeightedNodes, floor: FloatArray) -> Warp:
    """Whiten by the posterior that was found."""
    bent = bend(sample.nodes, floor)
    centre = sample.weights @ bent
    spread = (bent - centre) * np.sqrt(sample.weights)[:, None]
    covariance = spread.T @ spread
    return Warp(floor, centre, np.linalg.cholesky(covariance + 1e-10 * np.trace(covariance) * np.eye(len(centre))))


def _fit(warp: Warp, made: _Evaluations) -> Surrogate:
    posterior = made.values + made.log_prior(made.coordinates)
    least = made.values[int(np.nanargmax(posterior))] - _FAR - made.coordinates.shape[1]
    far = ~(made.values > least)
    # how unlikely the data are at a far node does not matter, only that they are
    values = np.where(far, least, made.values)
    gradients = np.where(far[:, None], np.nan, made.gradients)
    inside = np.isfinite(values) & (np.sum(warp.apply(made.coordinates) ** 2, axis=1) < _OUTSIDE**2)
    # nodes count by their posterior, but none of those that a few thousand draws would reach by much less
    importance = np.maximum(np.exp(posterior - np.nanmax(posterior)), _LEAST_IMPORTANCE) * ~far
    used = np.flatnonzero(inside)
    most = max(_MOST_DATA // (made.coordinates.shape[1] + 1), 1)
    if len(used) > most:  # the likeliest tell most
        used = used[np.argsort(-np.where(far, -np.inf, posterior)[used], kind="stable")[:most]]
    return fit_surrogate(warp, made.coordinates[used], values[used], gradients[used], importance[used])


def _integrate(
    surrogate: Surrogate,
    log_prior: BatchLogDensity,
    start: FloatArray,
    effective_target: float,
    reach: float | None = None,
) -> WeightedNodes:
    log_density = _join(surrogate, log_prior, reach)
    mode = find_mode(log_density, start[None])
    return integrate_by_importance(log_density, mode, effective_target)


def _join(surrogate: Surrogate, log_prior: BatchLogDensity, reach: float | None = None) -> BatchLogDensity:
    """Return the log posterior density under the surrogate, falling steeply where that is not believed."""
    reach = _find_reach(surrogate) if reach is None else reach

    def log_density(coordinates: FloatArray) -> FloatArray:
        return np.asarray(surrogate(coordinates) + log_prior(coordinates) - _fall(surrogate, coordinates, reach))

    return log_density


def _find_reach(surrogate: Surrogate, measured: FloatArray | None = None) -> float:
    """Return how far from its centre a surrogate is believed, in sds: some way beyond the furthest node that shaped it,
    or of those at which it was ``measured``."""
    counting = surrogate.importance > 0.0
    if not counting.any():
        raise ComputationError("the surrogate of the likelihood is not finite anywhere")
    nodes = surrogate.nodes[counting]
    if measured is not None:
        nodes = np.concatenate([nodes, surrogate.warp.apply(measured)])
    return float(np.sqrt(np.max(np.sum(nodes**2, axis=1)))) + _BEYOND


def _fall(surrogate: Surrogate, coordinates: FloatArray, reach: float) -> FloatArray:
    """Return what is taken from the log density beyond the reach."""
    radius = np.sqrt(np.sum(surrogate.warp.apply(coordinates) ** 2, axis=1))
    return np.asarray(_STEEP * np.maximum(radius - reach, 0.0) ** 2)


def _cut_off(surrogate: Surrogate, sample: WeightedNodes, reach: float) -> float:
    """Return the root mean square of the fall beyond the reach over the posterior, an error like its own."""
    return float(np.sqrt(sample.weights @ _fall(surrogate, sample.nodes, reach) ** 2))


def _measure(made: _Evaluations, surrogate: Surrogate, fresh: FloatArray, n_asked: int) -> float:
    """Return the root mean square of what the surrogate misses at fresh nodes; infinite where the likelihood itself is,
    and where most nodes are one and the same: a spurious peak holds the posterior.

    It is not taken about its mean: earlier nodes, which the surrogate passes through, fix the constant, and a surrogate
    that is off by the same amount at all fresh nodes is off.
    """
    residuals = made.add(fresh)[0] - surrogate(fresh)
    if not np.isfinite(residuals).all() or len(fresh) < _LEAST_DISTINCT * n_asked:
        return np.inf
    return float(np.sqrt(np.mean(residuals**2)))


def _measure_most(made: _Evaluations, surrogate: Surrogate, fresh: FloatArray) -> float:
    """Return the most that the surrogate misses at fresh nodes."""
    residuals = made.add(fresh)[0] - surrogate(fresh)
    return float(np.max(np.abs(residuals))) if np.isfinite(residuals).all() else np.inf

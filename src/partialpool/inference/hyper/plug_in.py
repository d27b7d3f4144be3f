"""Empirical Bayes of latent models: maximum marginal likelihood (ML-II), its uncertainty ignored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from partialpool.errors import ComputationError, DataError, IdentificationError
from partialpool.inference.conjugate.estimate import Kind, by_moments
from partialpool.inference.conjugate.marginal import ConjugateMarginal
from partialpool.inference.conjugate.maximum_likelihood import by_maximum_likelihood
from partialpool.inference.contract import LatentMarginal
from partialpool.inference.edges import describe_edges
from partialpool.inference.hyper.certificate import Engine
from partialpool.inference.hyper.hyper_posterior import HyperPosterior
from partialpool.models.space.hyper_gradient import pull_back
from partialpool.models.space.hyperspace import HyperSpace
from partialpool.numerics.arrays import FloatArray

_REASON = "population parameters estimated by maximum likelihood, their uncertainty ignored: intervals are too narrow"
_AT_EDGE = "; {edges}: an estimate, not a finding"
# How far a coordinate, a log scale or a coefficient in units of its spread, may go from where the data put it.
_FAR = 14.0
# A log likelihood no lower than this below the maximum is as high.
_NO_LOSS = 1e-6
# How far out, in estimates and in spreads of the response at least, a likelihood that has a maximum has fallen, where
# sds and coefficients grow together: by log 16 = 2.8 if one group bounds its own value. By how much one that only rises
# may seem to fall there, from the quadrature's error.
_OUTWARD, _WIDE, _LITTLE = 16.0, 100.0, 0.02
# The concentration that stands for complete pooling.
_POOLED = 1e12


def estimate_latent(marginal: LatentMarginal, estimator: str) -> tuple[LatentMarginal, HyperPosterior]:
    """Return the marginal and the estimate as a posterior with one node.

    Raises ``DataError`` for an estimator that is not for this model, ``ComputationError`` where the search fails.
    """
    space = marginal.model.space
    if isinstance(marginal, ConjugateMarginal) and not space.given:
        return marginal, _estimate_pair(marginal, estimator)
    if estimator != "ml":
        where = "both shapes of a conjugate pair" if space.given else "conjugate pairs"
        raise DataError(f"estimator='{estimator}' is for {where}: use 'ml' here")
    with np.errstate(all="ignore"):
        marginal = marginal.refine(space.constrain(space.starts())[0])
        location = maximise(space, marginal)
        finer = marginal.refine(space.constrain(location[None])[0])
        if finer.work > marginal.work:
            marginal, location = finer, maximise(space, finer, location)
        location = _put_at_edges(space, marginal, location)
        value = float(marginal.log_likelihood(space.constrain(location[None])[0])[0])
        _check_bounded(space, marginal, location, value)
    edges = _describe_edges(space, location)
    reason = _REASON + (_AT_EDGE.format(edges=edges) if edges else "")
    evidence = {"log likelihood": value, **marginal.evidence}
    engine = Engine("empirical Bayes", reason, evidence, "plug-in", float("inf"), marginal.route)
    return marginal, HyperPosterior(space, location[None], np.ones(1), value, None, engine)


def _estimate_pair(marginal: ConjugateMarginal, estimator: str) -> HyperPosterior:
    """Return the two shapes by moments or by maximum likelihood; complete pooling is a concentration of 1e12."""
    kind: Kind = "beta" if marginal.model.population.name == "beta" else "gamma"
    found = (by_moments if estimator == "moments" else by_maximum_likelihood)(kind, marginal.pairs)
    size = min(found.concentration, _POOLED)
    centre = np.log(found.mean) - (np.log1p(-found.mean) if kind == "beta" else 0.0)
    location = np.array([[centre, np.log(size)]])
    space = marginal.model.space
    value = float(marginal.log_likelihood(space.constrain(location)[0])[0])
    how = "moments" if estimator == "moments" else "maximum likelihood"
    reason = f"population parameters estimated by {how}, their uncertainty ignored: intervals are too narrow"
    if found.pooled:
        reason += "; the groups are estimated to be alike (complete pooling): an estimate, not a finding"
    evidence = {"log likelihood": value, **marginal.evidence}
    engine = Engine("empirical Bayes", reason, evidence, "plug-in", float("inf"), marginal.route)
    return HyperPosterior(space, location, np.ones(1), value, None, engine)


def maximise(space: HyperSpace, marginal: LatentMarginal, start: FloatArray | None = None) -> FloatArray:
    """Return the coordinates (dimension,) of the maximum of the likelihood, the best of searches from several
    starts."""
    from scipy.optimize import Bounds, minimize

    if not space.dimension:
        return np.empty(0)

    def objective(x: FloatArray) -> tuple[float, FloatArray]:
        points = space.constrain(x[None])[0]
        value, gradient = marginal.value_and_gradient(points)
        slope = pull_back(space, x[None], points, gradient)[0]
        if not np.isfinite(value[0]):
            return 1e12, np.zeros_like(x)
        return -float(value[0]), -np.where(np.isfinite(slope), slope, 0.0)

    starts = space.starts()
    centre = starts[2]
    bounds = Bounds(centre - _FAR, centre + _FAR)
    options: Any = {"ftol": 1e-14, "gtol": 1e-7, "maxls": 40}
    chosen = [start] if start is not None else [starts[1], starts[3]]
    found = [minimize(objective, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options) for x in chosen]
    best = min(found, key=lambda search: float(search.fun))
    if not np.isfinite(best.fun) or best.fun >= 1e12:
        raise ComputationError("the likelihood has no finite value at any start: check the response's scale")
    return np.asarray(best.x, dtype=np.float64)


def _put_at_edges(space: HyperSpace, marginal: LatentMarginal, location: FloatArray) -> FloatArray:
    """Put log sds at their lower bound and Fisher z of correlations at theirs where the likelihood is as high there:
    towards an edge it is so flat that searches stop short of it."""

    def value_at(x: FloatArray) -> float:
        return float(marginal.log_likelihood(space.constrain(x[None])[0])[0])

    centre, start = space.starts()[2], location
    n_sds = len(space.effect_sds)
    for k, place in enumerate(space.free):
        if place >= n_sds + space.n_correlations:
            break
        moved = location.copy()
        moved[k] = centre[k] - _FAR if place < n_sds else np.copysign(_FAR, location[k])
        if value_at(moved) >= value_at(location) - _NO_LOSS:
            location = moved
    return location if location is start else maximise(space, marginal, location)


def _check_bounded(space: HyperSpace, marginal: LatentMarginal, location: FloatArray, value: float) -> None:
    """Raise ``IdentificationError`` where the likelihood does not fall as sds and coefficients grow together: where the
    rows of every group agree so well, given its effects, that effects without end explain them."""
    points = space.constrain(location[None])[0]
    sds = np.sqrt(np.sum(points.effect_root[..., 0] ** 2, axis=1))
    free = {
        hyper.name: hyper.guess / sd
        for hyper, sd in zip(space.effect_sds, sds, strict=False)
        if sd > 0.0 and hyper.given is None
    }
    at_zero = describe_edges(space, points)
    growing = [name for name in free if f"{name} is" not in at_zero]
    if not growing or space.given:  # what is given does not grow along
        return
    times = max(_OUTWARD, *(_WIDE * free[name] for name in growing))
    outward = replace(points, effect_root=times * points.effect_root, coefficients=times * points.coefficients)
    if float(marginal.log_likelihood(outward)[0]) >= value - _LITTLE:
        raise IdentificationError(
            f"the likelihood rises without end as {', '.join(growing)} grows: within groups the rows agree completely, "
            "so that effects without end explain them, and there is no maximum to estimate by; leave out "
            "method='empirical_bayes': the default priors of a full posterior bound it"
        )


def _describe_edges(space: HyperSpace, location: FloatArray) -> str:
    """Name what is at an edge: sds at 0, correlations at +-1, and other coordinates that ended at a bound."""
    beside = len(space.effect_sds) + space.n_correlations
    far = np.abs(location - space.starts()[2]) > _FAR - 1e-3
    names = [hyper.name if hyper else f"coordinate {k}" for k, hyper in enumerate(space.scalars)]
    ended = [names[place] for place, at in zip(space.free, far, strict=True) if at and place >= beside]
    said = [f"{name} is estimated at the end of what was searched" for name in ended]
    edges = describe_edges(space, space.constrain(location[None])[0])
    return ", ".join([edges, *said] if edges else said)

"""Empirical Bayes of latent models: maximum marginal likelihood (ML-II), its uncertainty ignored."""

from __future__ import annotations

from typing import Any

import numpy as np

from partialpool.errors import ComputationError, DataError
from partialpool.inference.conjugate.estimate import Kind, by_moments
from partialpool.inference.conjugate.maximum_likelihood import by_maximum_likelihood
from partialpool.inference.engine import Engine
from partialpool.inference.hyper_posterior import HyperPosterior
from partialpool.inference.latent.conjugate_marginal import ConjugateMarginal
from partialpool.inference.latent.contract import LatentMarginal
from partialpool.models.hyper_gradient import pull_back
from partialpool.models.hyperspace import HyperSpace
from partialpool.numerics.arrays import FloatArray

_REASON = "population parameters estimated by maximum likelihood, their uncertainty ignored: intervals are too narrow"
_AT_EDGE = "; {names} at the edge of what is possible: an estimate, not a finding"
# How far a coordinate, a log scale or a coefficient in units of its spread, may go from where the data put it.
_FAR = 14.0
# The concentration that stands for complete pooling.
_POOLED = 1e12


def estimate_latent(marginal: LatentMarginal, estimator: str) -> tuple[LatentMarginal, HyperPosterior]:
    """Return the marginal and the estimate as a posterior with one node.

    Raises ``DataError`` for an estimator that is not for this model, ``ComputationError`` where the search fails.
    """
    if isinstance(marginal, ConjugateMarginal):
        return marginal, _estimate_pair(marginal, estimator)
    if estimator != "ml":
        raise DataError(f"estimator='{estimator}' is for conjugate pairs: use 'ml' here")
    space = marginal.model.space
    with np.errstate(all="ignore"):
        marginal = marginal.refine(space.constrain(space.starts())[0])
        location = maximise(space, marginal)
        finer = marginal.refine(space.constrain(location[None])[0])
        if finer.work > marginal.work:
            marginal, location = finer, maximise(space, finer, location)
        value = float(marginal.log_likelihood(space.constrain(location[None])[0])[0])
    edge = [name for name, far in zip(_names(space), _is_far(space, location), strict=True) if far]
    reason = _REASON + (_AT_EDGE.format(names=", ".join(edge)) if edge else "")
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


def _names(space: HyperSpace) -> list[str]:
    names = [name for name in space.names if name not in ("mean", "concentration")] if space.pair else list(space.names)
    return names if len(names) == space.dimension else [f"coordinate {k}" for k in range(space.dimension)]


def _is_far(space: HyperSpace, location: FloatArray) -> list[bool]:
    """Say which coordinates ended at a bound, or where a log sd is so low that it is 0."""
    centre = space.starts()[2]
    far = np.abs(location - centre) > _FAR - 1e-3
    for k in range(len(space.effect_sds)):
        far[k] |= location[k] < centre[k] - 7.0
    return [bool(one) for one in far]

"""A cheap log density corrected towards a dear one near it, and how far off it still is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.sampling.node_subset import TAIL_SHARE, spread_nodes, tail_nodes
from partialpool.numerics.sampling.pareto import normalise_log_weights

# Nodes that a plane is fitted to, for each of its coefficients, and fresh ones that it is measured at.
_FITTED = 3
_FRESH = (12, 2)
# Fits by a plane, and by a quadratic after them, to so many nodes for each of its coefficients and, later, twice that.
_PLANES, _QUADRATICS = 2, 2


@dataclass(frozen=True)
class Correction:
    """``weights`` (node,) that sum to one, and the log of what the integral is multiplied by; ``error``, in posterior
    sds, as measured at nodes that did not shape the correction; ``n_evaluations`` of the difference."""

    weights: FloatArray
    log_factor: float
    error: float
    n_evaluations: int


def correct(
    nodes: FloatArray, weights: FloatArray, difference: Callable[[FloatArray], FloatArray], accuracy: float
) -> Correction:
    """Weigh ``nodes`` (node, dimension) of a cheap density anew by a dear one whose ``difference`` (node,) in log is
    evaluated at a few of them.

    The difference is taken to be linear in the coordinates over the posterior. What that misses is measured at fresh
    nodes, in the tails too, and bounds the error of means as that of a surrogate does (see ``surrogate_integral``);
    where it exceeds ``accuracy`` the fresh nodes join in another fit, and after two of them in quadratic ones, to as
    many nodes as their coefficients need.
    """
    dimension = nodes.shape[1]
    n_fresh = max(_FRESH[0], _FRESH[1] * dimension + 2)
    tried = spread_nodes(nodes, weights, _FITTED * (dimension + 1), 0)
    values = difference(tried)
    corrected, log_factor, error = weights, 0.0, np.inf
    for round_number in range(1, _PLANES + _QUADRATICS + 1):
        if not np.isfinite(values).all():
            return Correction(corrected, log_factor, np.inf, len(values))
        degree = 1 if round_number <= _PLANES else 2
        if degree == 2:
            n_wanted = _FITTED * (round_number - _PLANES) * len(_terms(nodes[:1], degree).T)
            more = spread_nodes(nodes, corrected, max(n_wanted - len(values), 1), -round_number)
            tried, values = np.concatenate([tried, more]), np.concatenate([values, difference(more)])
        fitted = _fit(tried, values, degree)
        corrected, log_factor = normalise_log_weights(np.log(np.maximum(weights, 1e-300)) + fitted(nodes))
        fresh = spread_nodes(nodes, corrected, n_fresh, round_number)
        tails = tail_nodes(nodes, corrected)
        found = difference(np.concatenate([fresh, tails]))
        missed = found - fitted(np.concatenate([fresh, tails]))
        in_bulk, in_tails = np.sqrt(np.mean(missed[: len(fresh)] ** 2)), np.max(np.abs(missed[len(fresh) :]))
        error = float(max(in_bulk, TAIL_SHARE * in_tails))
        tried, values = np.concatenate([tried, fresh, tails]), np.concatenate([values, found])
        if error <= accuracy:
            break
    return Correction(corrected, log_factor, error, len(values))


def _fit(nodes: FloatArray, values: FloatArray, degree: int) -> Callable[[FloatArray], FloatArray]:
    """Return the polynomial of a degree, 1 or 2, that is nearest to the values at the nodes; a quadratic, which soon
    goes astray beyond them, is kept within the values."""
    centre, spread = nodes.mean(axis=0), np.maximum(nodes.std(axis=0), 1e-12)

    def rows(at: FloatArray) -> FloatArray:
        return _terms((at - centre) / spread, degree)

    coefficients = np.linalg.lstsq(rows(nodes), values, rcond=None)[0]
    bounds = (-np.inf, np.inf) if degree == 1 else (values.min(), values.max())
    return lambda at: np.clip(rows(at) @ coefficients, *bounds)


def _terms(z: FloatArray, degree: int) -> FloatArray:
    """Return the monomials (node, term) up to a degree, 1 or 2."""
    dimension = z.shape[1]
    products = [z[:, [k]] * z[:, k:] for k in range(dimension)] if degree == 2 else []
    return np.concatenate([np.ones((len(z), 1)), z, *products], axis=1)

"""Functions of the hyperparameters, summarised over the nodes of their posterior: exact mixtures, not draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from partialpool.inference.hyper.hyper_posterior import refined_points, weighted_quantiles
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

#: Values (quantity, node) at points.
Derive = Callable[[HyperPoints], FloatArray]


class DerivedSummary(NamedTuple):
    """``mean`` and ``sd`` (quantity,), ``quantiles`` (quantity, probability)."""

    mean: FloatArray
    sd: FloatArray
    quantiles: FloatArray


def summarise_derived(
    posterior: Fitted, derive: Derive, finite_moments: Sequence[int], probabilities: FloatArray
) -> DerivedSummary:
    """Summarise functions of the hyperparameters; ``finite_moments`` counts those that each has, up to 2: an infinite
    mean or sd says so.

    Means and sds are sums over the nodes; quantiles are those of the weighted values, on a grid of its interpolation.
    Plug-in estimates have no spread: NaN.
    """
    hyper = posterior.hyper
    values = derive(hyper.value_points)
    mean = values @ hyper.value_weights
    if posterior.plug_in:
        return DerivedSummary(mean, np.full(len(mean), np.nan), np.full((len(mean), len(probabilities)), np.nan))
    sd = np.sqrt((values - mean[:, None]) ** 2 @ hyper.value_weights)
    finite = np.asarray(finite_moments)
    points, weights = refined_points(hyper)
    spread = derive(points)
    quantiles = np.array([weighted_quantiles(line, weights, probabilities) for line in spread])
    return DerivedSummary(
        np.where(finite >= 1, mean, np.nan),
        np.where(finite >= 2, sd, np.nan),
        quantiles.reshape(len(mean), len(probabilities)),
    )

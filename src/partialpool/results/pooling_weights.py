"""How much of each group's partially pooled estimate is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from partialpool.inference.gaussian.pooling_weights import average_pooling_weights
from partialpool.inference.hyper.mixture import choose_nodes
from partialpool.numerics.arrays import FloatArray

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

# The fewest nodes over which pooling weights are averaged, and the node-group products for which more are kept: of
# 10,240 nodes, 512 moved a weight of 0.93 by 0.01.
_FEWEST_NODES = 512
_PRODUCTS = 2**20


def average_weights(posterior: Fitted, factor: int) -> FloatArray:
    """Return the posterior mean of the pooling weight of each effect and group of a factor, (effect, group)."""
    group = posterior.model.groups[factor]
    if posterior.model.pooling == "none":
        return np.ones((len(group.names), group.n_levels))
    subset = choose_nodes(posterior.hyper, max(_FEWEST_NODES, _PRODUCTS // (group.n_levels * len(group.names))))
    points = posterior.hyper.points.select(subset.nodes)
    return average_pooling_weights(posterior.gaussian, points, subset.weights, factor)

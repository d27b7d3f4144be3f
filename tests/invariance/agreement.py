"""What two fits have in common and how far apart they are, in posterior sds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import partialpool as pp

FloatArray = NDArray[np.float64]

# Grids are the same sums in another order: rounding alone separates them.
GRID = 1e-8
# Adaptive importance sampling is deterministic too, but whether its map is refitted once more is decided by numbers
# that rounding moves: another map, another lattice, and the difference is then its integration error.
LATTICE = 0.02


class Summaries(NamedTuple):
    """Population parameters (parameter,) and groups (line,): means and sds, and the log marginal likelihood."""

    mean: FloatArray
    sd: FloatArray
    log_marginal_likelihood: float


def read_summaries(fit: pp.Posterior, labels: Mapping[Any, Any] | None = None) -> Summaries:
    """Return the population's parameters, then the groups' own values sorted by label.

    ``labels`` gives the label to sort each group by, where the fit's own are not those of the other fit.
    """
    population, groups = fit.summary(), fit.groups().reset_index()
    keys = groups.iloc[:, 0].map(labels) if labels is not None else groups.iloc[:, 0]
    order = np.argsort(keys.to_numpy(), kind="stable")
    means = [table["mean"].to_numpy() for table in (population, groups.iloc[order])]
    sds = [table["sd"].to_numpy() for table in (population, groups.iloc[order])]
    return Summaries(np.concatenate(means), np.concatenate(sds), fit.log_marginal_likelihood)


def largest_difference(
    one: Summaries, other: Summaries, scale: float | FloatArray = 1.0, shift: float | FloatArray = 0.0
) -> float:
    """Return the largest difference of means or sds in sds; ``other`` should be scale * one + shift."""
    mean = np.abs(other.mean - (scale * one.mean + shift))
    sd = np.abs(other.sd - np.abs(scale) * one.sd)
    return float(np.max(np.maximum(mean, sd) / other.sd))

"""Means, sds and quantiles of linear predictors from the mixture over hyperparameter nodes (Rao-Blackwell).

Every quantity is normal given a node, so its posterior is a mixture of normals over the nodes: means and sds are
sums, quantiles one-dimensional equations. Where nodes times quantities are many, fewer nodes carry them, chosen
so that what is lost is bounded by evidence already measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from partialpool.inference.gaussian.conditional import ConditionalMoments
from partialpool.inference.hyper.hyper_posterior import HyperPosterior
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.grid import Grid
from partialpool.numerics.mixtures.normal_mixture import mixture_moments, mixture_quantiles
from partialpool.numerics.progress import track
from partialpool.numerics.sampling.node_subset import NodeSubset, thin_lattice

# Node-quantity products held at a time: 1 MB an array, which stays in a core's cache.
_CHUNK = 2**17
# Node-quantity products for which every node is kept, and the fewest nodes that a lattice and a grid are thinned to:
# fewer where groups are many, because those leave the hyperparameters little room.
_ALL_NODES = 2**20
_FEWEST_ON_LATTICE = (512, 2560)
_LATTICE_WORK = 2**24
_FEWEST_ON_GRID = 64
# Nodes that carry the shape of a quantile. With 256 nodes, three hyperparameters and five groups a 97.5 % quantile was
# 0.14 sds off (with 2048: 0.015); where there are many groups, shapes are nearly normal and fewer nodes do.
_SHAPE_NODES = (256, 2304)
_SHAPE_WORK = 2**18
# On fewer nodes of a lattice than this, quantiles take their location and scale from the nodes of the moments, unless
# the sds differ by more than this: a few far nodes then make the sd, and it says nothing of the quantiles (four groups
# under flat priors: 2.2 sds off).
_RELOCATED_NODES = 1024
_LARGEST_RELOCATION = 0.02
# Posterior sd of a log scale below which it counts as known where nodes must be saved.
_NARROW = 0.003


class MixtureSummary(NamedTuple):
    """``mean`` and ``sd`` (kind, item), ``quantiles`` (kind, item, probability)."""

    mean: FloatArray
    sd: FloatArray
    quantiles: FloatArray


class EffectsSummary(NamedTuple):
    """Every effect of every group of a factor, ``summary`` (kind * effect, group), and its effective pooling
    ``weights`` (effect, group): one less the ratio of the group's variance given the hyperparameters to the
    population's, averaged over nodes. For a normal likelihood and population that is n tau^2 / (n tau^2 + sigma^2); a
    conjugate pair has the weight of the group's own proportion or rate."""

    summary: MixtureSummary
    weights: FloatArray


#: Moments (node, kind * item) of a slice of items at the nodes that it was made for.
ItemMoments = Callable[[slice], ConditionalMoments]
#: What is prepared once for a set of nodes, whatever the number of items.
Prepare = Callable[[IntArray], ItemMoments]


def summarise_mixture(
    posterior: HyperPosterior, prepare: Prepare, n_kinds: int, n_items: int, probabilities: FloatArray
) -> MixtureSummary:
    """Summarise ``n_kinds`` quantities of each of ``n_items`` items, all normal given a node.

    ``prepare`` takes node positions and returns the function that gives their moments for a slice of items, items
    running within kinds.
    """
    n_quantities = n_kinds * n_items
    fewest = _FEWEST_ON_GRID
    if posterior.grid is None:
        fewest = int(np.clip(_LATTICE_WORK // max(n_quantities, 1), *_FEWEST_ON_LATTICE))
    for_moments = choose_nodes(posterior, max(fewest, _ALL_NODES // max(n_quantities, 1)))
    shape_nodes = int(np.clip(_SHAPE_WORK // max(n_quantities, 1), *_SHAPE_NODES))
    for_shape = choose_nodes(posterior, min(shape_nodes, len(for_moments.nodes)))
    same = len(for_shape.nodes) == len(for_moments.nodes)
    moments_of = prepare(for_moments.nodes)
    shape_of = moments_of if same else prepare(for_shape.nodes)
    mean, sd = np.empty((n_kinds, n_items)), np.empty((n_kinds, n_items))
    quantiles = np.empty((n_kinds, n_items, len(probabilities)))
    length = max(1, _CHUNK // (len(for_moments.nodes) * n_kinds))
    for start in track(range(0, n_items, length), "summarising groups"):
        part = slice(start, min(start + length, n_items))
        given = moments_of(part)
        centre, spread = mixture_moments(for_moments.weights, *given)
        mean[:, part], sd[:, part] = centre.reshape(n_kinds, -1), spread.reshape(n_kinds, -1)
        if not len(probabilities):
            continue
        shape = given if same else shape_of(part)
        raw = mixture_quantiles(for_shape.weights, shape.mean, np.sqrt(shape.variance), probabilities)
        if posterior.grid is None and len(for_shape.nodes) < min(_RELOCATED_NODES, len(for_moments.nodes)):
            raw = _relocate(raw, for_shape.weights, shape, centre, spread)
        quantiles[:, part] = raw.reshape(n_kinds, -1, len(probabilities))
    return MixtureSummary(mean, sd, quantiles)


def choose_nodes(posterior: HyperPosterior, at_most: int) -> NodeSubset:
    """Return nodes that carry all but 1e-6 of the weight, thinned when they are worth more than ``at_most``.

    A grid is first collapsed along axes so narrow that their spread does not show, then thinned to every second node
    along each axis, whose error is the certificate's change on doubling.
    """
    weights = posterior.weights
    if posterior.grid is None:
        return thin_lattice(weights, at_most)
    every = _heavy(NodeSubset(np.arange(len(weights), dtype=np.intp), weights))
    if len(every.nodes) <= at_most:
        return every
    collapsed = _heavy(_collapse_narrow_axes(posterior.grid, weights))
    if len(collapsed.nodes) <= at_most:
        return collapsed
    steps = np.unravel_index(collapsed.nodes, posterior.grid.log_density.shape)
    even = np.all([step % 2 == step[0] % 2 for step in steps], axis=0)
    return _heavy(NodeSubset(collapsed.nodes[even], collapsed.weights[even]))


def _collapse_narrow_axes(grid: Grid, weights: FloatArray) -> NodeSubset:
    """Put the weight of each line along a narrow axis on the line's node nearest to the axis's mean.

    Coordinates are logs, so what is left out of a group's variance is of the order of the square of the axis's sd.
    """
    cells = weights.reshape(grid.log_density.shape)
    index = np.arange(weights.size, dtype=np.intp).reshape(cells.shape)
    for k, axis in enumerate(grid.axes):
        marginal = cells.sum(axis=tuple(j for j in range(cells.ndim) if j != k))
        if len(marginal) != len(axis):
            continue
        mean = float(marginal @ axis)
        if np.sqrt(marginal @ (axis - mean) ** 2) < _NARROW:
            middle = int(np.argmin(np.abs(axis - mean)))
            cells = cells.sum(axis=k, keepdims=True)
            index = np.take(index, [middle], axis=k)
    return NodeSubset(index.ravel(), cells.ravel())


def _heavy(subset: NodeSubset) -> NodeSubset:
    """Drop the lightest nodes that together weigh less than 1e-6 of all."""
    order = np.argsort(subset.weights)
    light = np.cumsum(subset.weights[order]) < 1e-6 * subset.weights.sum()
    kept = np.sort(order[~light])
    return NodeSubset(subset.nodes[kept], subset.weights[kept] / subset.weights[kept].sum())


def _relocate(
    raw: FloatArray, weights: FloatArray, shape: ConditionalMoments, mean: FloatArray, sd: FloatArray
) -> FloatArray:
    """Give quantiles found on the shape nodes the mean and sd found on all, where the sds are nearly the same."""
    shape_mean, shape_sd = mixture_moments(weights, *shape)
    ratio = np.where(shape_sd > 0.0, sd / np.where(shape_sd > 0.0, shape_sd, 1.0), 1.0)
    moved = mean[:, None] + (raw - shape_mean[:, None]) * ratio[:, None]
    return np.where(np.abs(ratio - 1.0)[:, None] < _LARGEST_RELOCATION, moved, raw)

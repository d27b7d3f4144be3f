"""The posterior of the hyperparameters as weighted nodes: its values, draws and quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from partialpool.inference.hyper.certificate import Engine
from partialpool.models.space.hyperspace import HyperPoints, HyperSpace
from partialpool.numerics.arrays import BatchLogDensity, FloatArray, IntArray
from partialpool.numerics.grid import Grid, draw_from_grid, grid_quantiles, refine

# Share of the posterior below which a node carries nothing: no moment that is finite notices.
_WEIGHTLESS = 1e-24
# Cells of a refined grid that together weigh less than this are left out of quantiles.
_WEIGHTLESS_CELL = 1e-12


class HyperMarginal(Protocol):
    """What integrating hyperparameters asks of a marginal likelihood: its log in batches of points, the array elements
    that one evaluation touches, and the seconds that it takes."""

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y | hyperparameters) (node,)."""
        ...

    @property
    def work(self) -> float:
        """Array elements that one evaluation touches."""
        ...

    @property
    def seconds(self) -> float:
        """Seconds that one evaluation takes."""
        ...


class FineNodes(NamedTuple):
    """Nodes of a surrogate: ``coordinates`` (node, dimension) and ``weights`` (node,) that sum to one."""

    coordinates: FloatArray
    weights: FloatArray


@dataclass(frozen=True)
class HyperPosterior:
    """p(hyperparameters | y) as nodes and weights that sum to one.

    ``coordinates`` (node, dimension) are unbounded, the nodes at which coefficients and effects are conditioned;
    ``grid`` is kept where the nodes form one, and carries continuous draws and quantiles. Where a factorisation is dear
    those nodes are few, and ``fine`` nodes of a surrogate carry all that depends on hyperparameters alone; with several
    factors even at those few what is conditional is interpolated between ``evaluated`` nodes (node, dimension).
    ``log_marginal_likelihood`` is log p(y), up to the constants of improper priors.
    """

    space: HyperSpace
    coordinates: FloatArray
    weights: FloatArray
    log_marginal_likelihood: float
    grid: Grid | None
    engine: Engine
    fine: FineNodes | None = None
    evaluated: FloatArray | None = None

    @property
    def is_periodic(self) -> bool:
        """Whether the nodes are a lattice whose weights vanish at its edges, as are every second of them."""
        return self.fine is not None and bool(np.all(self.fine.weights == self.fine.weights[0]))

    def thin(self, n_nodes: int) -> tuple[HyperPoints, FloatArray]:
        """Return ``n_nodes`` of a periodic lattice, a power of two up to the number of all, and their weights."""
        places = np.arange(0, len(self.weights), len(self.weights) // n_nodes, dtype=np.intp)
        return self.points.select(places), self.weights[places] / self.weights[places].sum()

    @cached_property
    def points(self) -> HyperPoints:
        """The nodes on their natural scale."""
        return self.space.constrain(self.coordinates)[0]

    @cached_property
    def value_points(self) -> HyperPoints:
        """The nodes of ``values`` on their natural scale."""
        return self.points if self.fine is None else self.space.constrain(self.fine.coordinates)[0]

    @cached_property
    def refined(self) -> tuple[FloatArray, FloatArray]:
        """The reported hyperparameters (cell, parameter) at the cells of the refined grid, and their weights."""
        if self.grid is None:
            return self.values, self.value_weights
        points, weights = refined_points(self)
        return self.space.natural_values(points), weights

    @property
    def value_weights(self) -> FloatArray:
        """The weights of ``values``, (node,)."""
        return self.weights if self.fine is None else self.fine.weights

    @cached_property
    def values(self) -> FloatArray:
        """The reported hyperparameters (node, parameter) at the fine nodes where there are such, else at the nodes."""
        return self.space.natural_values(self.value_points)


def draw_hyperparameters(
    posterior: HyperPosterior, n_draws: int, rng: np.random.Generator
) -> tuple[FloatArray, HyperPoints]:
    """Return independent draws of the hyperparameters, continuous on a grid, else nodes resampled by weight: their
    coordinates (draw, dimension) and natural values."""
    if posterior.grid is not None:
        drawn = draw_from_grid(posterior.grid, n_draws, rng)
        return drawn, posterior.space.constrain(drawn)[0]
    index = resample_nodes(posterior.value_weights, n_draws, rng)
    coordinates = posterior.coordinates if posterior.fine is None else posterior.fine.coordinates
    return coordinates[index], posterior.value_points.select(index)


def resample_nodes(weights: FloatArray, n_draws: int, rng: np.random.Generator) -> IntArray:
    """Return node indices drawn in proportion to their weights by systematic resampling, in random order.

    Source: Douc, Cappe and Moulines (2005), ISPA, section 2.4.
    """
    positions = (np.arange(n_draws) + rng.random()) / n_draws
    # the last cumulative weight may round to below 1
    index = np.searchsorted(np.cumsum(weights), positions).clip(max=len(weights) - 1)
    return np.asarray(rng.permutation(index), dtype=np.intp)


def refined_points(posterior: HyperPosterior) -> tuple[HyperPoints, FloatArray]:
    """Return the points and weights that quantiles are taken from: close together on a grid, whose nodes are far
    apart."""
    if posterior.grid is None:
        return posterior.value_points, posterior.value_weights
    axes, cells = refine(posterior.grid)
    weights = cells.ravel()
    kept = np.flatnonzero(weights > _WEIGHTLESS_CELL / len(weights))
    index = np.unravel_index(kept, cells.shape)
    coordinates = np.stack([axis[i] for axis, i in zip(axes, index, strict=True)], axis=1)
    return posterior.space.constrain(coordinates)[0], weights[kept] / weights[kept].sum()


def hyper_quantiles(posterior: HyperPosterior, parameter: int, probabilities: FloatArray) -> FloatArray:
    """Return posterior quantiles (probability,) of one reported hyperparameter."""
    grid, space = posterior.grid, posterior.space
    given = space.given.get(space.names[parameter])
    if given is not None:
        return np.full(len(probabilities), given)
    scalars = space.scalars
    scalar = scalars[parameter] if parameter < len(scalars) else None
    if grid is not None and scalar is not None:
        own = space.axis_of(parameter)
        if own is not None:
            return np.asarray(scalar.constrain(grid_quantiles(grid, own, probabilities))[0])
    pair = space.pair
    if grid is not None and pair is not None:
        first = len(space.names) - len(pair.names)
        axis = pair.axis_of(parameter - first) if parameter >= first else None
        own = None if axis is None else space.axis_of(len(scalars) - 2 + axis)
        if axis is not None and own is not None:
            return pair.report_along(axis, grid_quantiles(grid, own, probabilities))
    if grid is not None:
        values, weights = posterior.refined
        return weighted_quantiles(values[:, parameter], weights, probabilities)
    return weighted_quantiles(posterior.values[:, parameter], posterior.value_weights, probabilities)


def weighted_quantiles(values: FloatArray, weights: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Return quantiles of weighted points, linear between the midpoints of their weights."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.asarray(np.interp(probabilities, cumulative, values[order]))


def log_posterior(space: HyperSpace, marginal: HyperMarginal) -> BatchLogDensity:
    """Return the log posterior density per unit of coordinate, up to p(y)."""

    def log_density(coordinates: FloatArray) -> FloatArray:
        points, log_prior = space.constrain(coordinates)
        return marginal.log_likelihood(points) + log_prior

    return log_density


def gather_weightless(nodes: FloatArray, weights: FloatArray) -> FloatArray:
    """Put nodes (node, dimension) that carry nothing on the heaviest one.

    Far out the conditional moments may not exist in floating numbers, and NaN times a weight of 0 is NaN. Positions
    keep their meaning, which thinning a lattice relies on.
    """
    weightless = weights < _WEIGHTLESS
    if not weightless.any():
        return nodes
    return np.where(weightless[:, None], nodes[int(np.argmax(weights))], nodes)

"""The posterior of the hyperparameters: weighted nodes, by closed form, grid or importance sampling.

| dimension | route |
| --- | --- |
| 0 | closed form: nothing to integrate |
| 1, 2 | adaptive trapezoid grid |
| 3 and more, or with a bounded coefficient | importance sampling on a lattice pushed through a fitted map |

A coefficient with a bounded prior is as narrow as its group's sd is small, which a rectangular grid does not follow;
and effects about a coefficient on the lines of a grid have a comb for a distribution. (Student-t coefficients are
integrated out: ``models.model``.)
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from partialpool.errors import AccuracyWarning, ComputationError
from partialpool.inference.engine import Engine
from partialpool.inference.gaussian_marginal import GaussianMarginal
from partialpool.inference.textbook_grid import NaturalGrid, integrate_on_natural_grid
from partialpool.models.hyperspace import HyperPoints, HyperSpace
from partialpool.numerics.arrays import BatchLogDensity, FloatArray, IntArray
from partialpool.numerics.grid import Grid, draw_from_grid, grid_quantiles, integrate_on_grid
from partialpool.numerics.importance import WeightedNodes, integrate_by_importance
from partialpool.numerics.mode import find_mode

# What the nodes are worth in independent draws: twice as many where evaluations are cheap, because an sd far out
# in its tail is then still right to 1 %.
_EFFECTIVE_TARGET = (4000.0, 8000.0)
_CHEAP_WORK = 9e5
# Above 0.7 Pareto-k says that importance weights do not give a reliable answer, below 0.5 that their variance is finite
# (Vehtari et al. 2024, section 3); between them another chart is tried before settling.
_MAX_PARETO_K = 0.7
_GOOD_PARETO_K = 0.5
_LEAST_EFFECTIVE = 400.0
# Share of the posterior below which a node carries nothing: no moment that is finite notices.
_WEIGHTLESS = 1e-24
# Half the difference of the two half lattices' means, in sds, that goes without a warning.
_MAX_HALF_DIFFERENCE = 0.02


class FineNodes(NamedTuple):
    """Nodes of a surrogate: ``coordinates`` (node, dimension) and ``weights`` (node,) that sum to one."""

    coordinates: FloatArray
    weights: FloatArray


@dataclass(frozen=True)
class HyperPosterior:
    """p(hyperparameters | y) as nodes and weights that sum to one.

    ``coordinates`` (node, dimension) are unbounded, the nodes at which coefficients and effects are conditioned;
    ``grid`` is kept where the nodes form one, and carries continuous draws and quantiles. Where a factorisation is dear
    those nodes are few, and ``fine`` nodes of a surrogate carry all that depends on hyperparameters alone.
    ``log_marginal_likelihood`` is log p(y), up to the constants of improper priors.
    """

    space: HyperSpace
    coordinates: FloatArray
    weights: FloatArray
    log_marginal_likelihood: float
    grid: Grid | None
    engine: Engine
    fine: FineNodes | None = None

    @cached_property
    def points(self) -> HyperPoints:
        """The nodes on their natural scale."""
        return self.space.constrain(self.coordinates)[0]

    @cached_property
    def value_points(self) -> HyperPoints:
        """The nodes of ``values`` on their natural scale."""
        return self.points if self.fine is None else self.space.constrain(self.fine.coordinates)[0]

    @property
    def value_weights(self) -> FloatArray:
        """The weights of ``values``, (node,)."""
        return self.weights if self.fine is None else self.fine.weights

    @cached_property
    def values(self) -> FloatArray:
        """The reported hyperparameters (node, parameter) at the fine nodes where there are such, else at the nodes."""
        return self.space.natural_values(self.value_points)


def integrate_hyperparameters(
    space: HyperSpace, marginal: GaussianMarginal, moments: tuple[int, ...], method: str = "auto"
) -> HyperPosterior:
    """Integrate the hyperparameters; ``moments`` counts the finite posterior moments of each.

    ``method`` is 'auto', 'importance' or 'grid' (the textbook grid), as in ``choose``.

    Raises ``ComputationError`` when the integration does not reach its accuracy.
    """
    if space.dimension == 0:
        return _closed_form(space, marginal)
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        if method == "grid":
            return _from_textbook(space, integrate_on_natural_grid(space, _log_posterior(space, marginal)))
        if space.dimension <= 2 and method == "auto" and not space.coefficients:
            return _by_grid(space, marginal, moments)
        return _by_importance(space, marginal)


def _by_grid(space: HyperSpace, marginal: GaussianMarginal, moments: tuple[int, ...]) -> HyperPosterior:
    log_density = _log_posterior(space, marginal)
    mode = find_mode(log_density, space.starts())
    grid = integrate_on_grid(log_density, mode, _growth(space, moments))
    return _from_grid(space, grid, mode.n_evaluations)


def _log_posterior(space: HyperSpace, marginal: GaussianMarginal) -> BatchLogDensity:
    """Return the log posterior density per unit of coordinate, up to p(y)."""

    def log_density(coordinates: FloatArray) -> FloatArray:
        points, log_prior = space.constrain(coordinates)
        return marginal.log_likelihood(points) + log_prior

    return log_density


def _by_importance(space: HyperSpace, marginal: GaussianMarginal) -> HyperPosterior:
    """Sample in the chart that the priors are stated in; where its weights are not reliable, in the other, then in both
    with larger pilots. Raises ``ComputationError`` when none is reliable."""
    attempts: list[HyperPosterior] = []
    failure = None
    target = _effective_target(marginal)
    for pilots in (1, 4):
        for chart in space.charts:
            try:
                attempts.append(_sample_in_chart(space.in_chart(chart), marginal, target, pilots))
            except ComputationError as error:
                failure = error
                continue
            evidence = attempts[-1].engine.evidence
            if evidence["Pareto-k"] <= _GOOD_PARETO_K and evidence["effective draws"] >= target:
                return attempts[-1]
    if not attempts and failure is not None:
        raise failure
    best = min(attempts, key=lambda attempt: attempt.engine.evidence["Pareto-k"])
    _check_reliable(best)
    _warn_if_short(best, target)
    return best


def _sample_in_chart(space: HyperSpace, marginal: GaussianMarginal, target: float, pilots: int) -> HyperPosterior:
    log_density = _log_posterior(space, marginal)
    mode = find_mode(log_density, space.starts())
    sample = integrate_by_importance(log_density, mode, target, pilots=pilots)
    return _from_importance(space, sample, mode.n_evaluations)


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


def hyper_quantiles(posterior: HyperPosterior, parameter: int, probabilities: FloatArray) -> FloatArray:
    """Return posterior quantiles (probability,) of one reported hyperparameter."""
    grid, space = posterior.grid, posterior.space
    if grid is not None and space.scalars[parameter] is not None:
        coordinates = grid_quantiles(grid, parameter, probabilities)
        return np.asarray(space.scalars[parameter].constrain(coordinates)[0])  # type: ignore[union-attr]
    return weighted_quantiles(posterior.values[:, parameter], posterior.value_weights, probabilities)


def weighted_quantiles(values: FloatArray, weights: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Return quantiles of weighted points, linear between the midpoints of their weights."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.asarray(np.interp(probabilities, cumulative, values[order]))


def _effective_target(marginal: GaussianMarginal) -> float:
    """Return the effective size to reach, from the array elements that one evaluation touches."""
    work = 20.0 + marginal.cross.n_classes * marginal.cross.n_effects**2
    return float(np.clip(_CHEAP_WORK / work, *_EFFECTIVE_TARGET))


def _growth(space: HyperSpace, moments: tuple[int, ...]) -> FloatArray:
    """How fast the highest finite moment grows along each coordinate: only log scales reach far."""
    growth = np.zeros(space.dimension)
    for k, hyper in enumerate(space.scalars):
        if hyper is not None and hyper.role != "coefficient" and np.isinf(hyper.support[1]):
            growth[k] = moments[k]
    return growth


def _closed_form(space: HyperSpace, marginal: GaussianMarginal) -> HyperPosterior:
    coordinates = np.empty((1, 0))
    log_likelihood = float(marginal.log_likelihood(space.constrain(coordinates)[0])[0])
    engine = Engine("closed form", "no unknown hyperparameter", {}, "exact", float("inf"))
    return HyperPosterior(space, coordinates, np.ones(1), log_likelihood, None, engine)


def _from_grid(space: HyperSpace, grid: Grid, n_before: int) -> HyperPosterior:
    evidence = {
        "nodes": float(grid.log_density.size),
        "change on halving the spacing": grid.change_on_doubling,
        "evaluations": float(n_before + grid.n_evaluations),
    }
    plural = "s" if space.dimension > 1 else ""
    reason = f"{space.dimension} hyperparameter{plural}, effects integrated out in closed form"
    engine = Engine("adaptive grid", reason, evidence, "converged", float("inf"))
    return HyperPosterior(
        space, _gather_weightless(grid.nodes, grid.weights), grid.weights, grid.log_integral, grid, engine
    )


def _from_textbook(space: HyperSpace, grid: NaturalGrid) -> HyperPosterior:
    evidence = {"nodes": float(len(grid.weights)), "upper end": grid.upper}
    reason = "asked for: equally spaced values of the sd; draws take sd, coefficients and effects in turn"
    engine = Engine("textbook grid", reason, evidence, "converged", float("inf"))
    return HyperPosterior(space, grid.coordinates, grid.weights, grid.log_integral, None, engine)


def _check_reliable(posterior: HyperPosterior) -> None:
    evidence = posterior.engine.evidence
    # asked this way round, evidence that is NaN is refused as well
    if not (evidence["Pareto-k"] <= _MAX_PARETO_K and evidence["effective draws"] >= _LEAST_EFFECTIVE):
        raise ComputationError(
            f"importance sampling over the {posterior.space.dimension} hyperparameters is not reliable (Pareto-k "
            f"{evidence['Pareto-k']:.2f}, effective draws {evidence['effective draws']:.0f} of {evidence['nodes']:.0f} "
            "nodes): give more informative priors for the scales, or a simpler group term ((x || g) instead of (x | g))"
        )


def _warn_if_short(posterior: HyperPosterior, target: float) -> None:
    """Warn where the integration is reliable but not as accurate as it is meant to be."""
    evidence = posterior.engine.evidence
    difference = evidence["half-lattice difference (sd)"]
    if evidence["effective draws"] < target or difference > _MAX_HALF_DIFFERENCE:
        warnings.warn(
            f"the hyperparameters were integrated with {evidence['effective draws']:.0f} effective draws ({target:.0f} "
            f"are meant), Pareto-k {evidence['Pareto-k']:.2f}: means may be off by about {max(difference, 0.01):.2f} "
            "posterior sds, no more; more informative priors for the scales would sharpen them",
            AccuracyWarning,
            stacklevel=6,
        )


def _from_importance(space: HyperSpace, sample: WeightedNodes, n_before: int) -> HyperPosterior:
    evidence = {
        "nodes": float(len(sample.weights)),
        "effective draws": sample.effective_size,
        "Pareto-k": sample.pareto_k,
        "half-lattice difference (sd)": _half_difference(sample),
        "evaluations": float(n_before + sample.n_evaluations),
    }
    reason = f"{space.dimension} hyperparameters, effects integrated out in closed form"
    engine = Engine("importance sampling on a lattice", reason, evidence, "converged", sample.effective_size)
    nodes = _gather_weightless(sample.nodes, sample.weights)
    return HyperPosterior(space, nodes, sample.weights, sample.log_integral, None, engine)


def _gather_weightless(nodes: FloatArray, weights: FloatArray) -> FloatArray:
    """Put nodes (node, dimension) that carry nothing on the heaviest one.

    Far out the conditional moments may not exist in floating numbers, and NaN times a weight of 0 is NaN. Positions
    keep their meaning, which thinning a lattice relies on.
    """
    weightless = weights < _WEIGHTLESS
    if not weightless.any():
        return nodes
    return np.where(weightless[:, None], nodes[int(np.argmax(weights))], nodes)


def _half_difference(sample: WeightedNodes) -> float:
    """Half the largest difference, in posterior sds, between the means that the two half lattices give."""
    halves = [slice(0, None, 2), slice(1, None, 2)]
    means = [np.average(sample.nodes[half], axis=0, weights=sample.weights[half]) for half in halves]
    centre = sample.weights @ sample.nodes
    sd = np.sqrt(sample.weights @ (sample.nodes - centre) ** 2)
    return float(np.max(np.abs(means[0] - means[1]) / sd) / 2.0)

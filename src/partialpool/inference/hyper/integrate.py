"""Integrating the hyperparameters: closed form, grid, importance sampling or a surrogate.

| dimension | route |
| --- | --- |
| 0 | closed form: nothing to integrate |
| 1, 2 | adaptive trapezoid grid |
| 3 and more, or with a bounded coefficient | importance sampling on a lattice pushed through a fitted map |
| 1, 2, where a grid would have too many nodes: a ridge, regions far apart | the same |
| any, where that is not reliable | the same from a mixture: the table of ``by_importance`` |
| any, where the evaluations that this takes would last seconds | the same on a surrogate of the likelihood |
| several factors, where importance weights are not reliable | a surrogate as well |

A coefficient with a bounded prior is as narrow as its group's sd is small, which a rectangular grid does not follow;
and effects about a coefficient on the lines of a grid have a comb for a distribution. (Student-t coefficients are
integrated out: ``models.model``.)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from partialpool.errors import AccuracyWarning, ComputationError, warn_user
from partialpool.inference.gaussian.marginal import GaussianMarginal
from partialpool.inference.hyper.by_importance import integrate_exactly, take_grid_first
from partialpool.inference.hyper.by_surrogate import integrate_by_way_of_surrogate
from partialpool.inference.hyper.certificate import Engine
from partialpool.inference.hyper.hyper_posterior import FineNodes, HyperPosterior, gather_weightless, log_posterior
from partialpool.inference.hyper.textbook_grid import NaturalGrid, integrate_on_natural_grid
from partialpool.models.space.hyperspace import HyperSpace
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.grid import Grid, integrate_on_grid
from partialpool.numerics.mode import find_mode
from partialpool.numerics.sampling.node_subset import thin_lattice

#: The error of posterior means that is aimed at, in posterior sds: that of 4,000 independent draws.
DEFAULT_ACCURACY = 4000.0**-0.5
# Evaluations that a grid takes, and a lattice for each effective draw, adaptation included.
_GRID_EVALUATIONS = 1000.0
_LATTICE_EVALUATIONS = 2.6
# Seconds of evaluations from which a surrogate is built instead.
_PATIENCE = 0.7
# The same where a factor has fewer levels than this: the far tail of its sd, which makes mean and sd, is seldom seen by
# the nodes that measure a surrogate (3 levels: an sd 18 % off).
_FEW_LEVELS = 10
_PATIENCE_WITH_FEW = 60.0
# Seconds that exact evaluations may take where a surrogate fails, and the independent draws they must be worth.
_LONGEST = 600.0
_FEWEST_DRAWS = 500.0
# Nodes at which coefficients and effects are conditioned: 2,048 of 8,192 moved no mean by more than 0.003 sds.
_MOST_CARRIERS = 2048


def integrate_hyperparameters(
    space: HyperSpace,
    marginal: GaussianMarginal,
    moments: tuple[int, ...],
    method: str = "auto",
    accuracy: float = DEFAULT_ACCURACY,
) -> HyperPosterior:
    """Integrate the hyperparameters; ``moments`` counts the finite posterior moments of each.

    ``method`` is 'auto', 'importance', 'surrogate' or 'grid' (the textbook grid), as in ``choose``. ``accuracy`` is the
    error of posterior means that is aimed at, in posterior sds.

    Raises ``ComputationError`` when the integration does not reach its accuracy.
    """
    if space.dimension == 0:
        return _closed_form(space, marginal)
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        if method == "grid":
            return _from_textbook(space, integrate_on_natural_grid(space, log_posterior(space, marginal)))
        on_grid = space.dimension <= 2 and not space.samples_coefficients
        n_evaluations = _GRID_EVALUATIONS if on_grid else _LATTICE_EVALUATIONS * accuracy**-2.0
        few = min(marginal.statistics.n_groups, default=0) < _FEW_LEVELS
        dear = method == "auto" and n_evaluations * marginal.seconds > (_PATIENCE_WITH_FEW if few else _PATIENCE)
        if method == "surrogate" or (dear and space.fixed_effect_root is None):
            found = integrate_by_way_of_surrogate(space, marginal, accuracy)
            if isinstance(found, HyperPosterior):
                return found
            exact = integrate_exactly(space, marginal, _affordable(accuracy, marginal), found)
            return _condition_on_few(_give_up_surrogate(exact))
        if on_grid and method == "auto":
            by_grid = take_grid_first(lambda: _by_grid(space, marginal, moments), space, marginal, accuracy)
            return _condition_on_few(by_grid)
        try:
            return _condition_on_few(integrate_exactly(space, marginal, accuracy))
        except ComputationError as failure:
            if method == "importance" or marginal.statistics.remaining is None:
                raise
            return _replace_importance(space, marginal, accuracy, failure)


def _condition_on_few(posterior: HyperPosterior) -> HyperPosterior:
    """Let some thousands of many nodes carry coefficients and effects: their mixtures of normals are smooth."""
    if posterior.grid is not None or len(posterior.weights) <= _MOST_CARRIERS:
        return posterior
    few = thin_lattice(posterior.weights, _MOST_CARRIERS)
    fine = FineNodes(posterior.coordinates, posterior.weights)
    return replace(posterior, coordinates=posterior.coordinates[few.nodes], weights=few.weights, fine=fine)


def _affordable(accuracy: float, marginal: GaussianMarginal) -> float:
    """Return the accuracy, or one that takes some minutes of evaluations where the one asked for takes longer."""
    draws = max(_LONGEST / (_LATTICE_EVALUATIONS * marginal.seconds), _FEWEST_DRAWS)
    reached = max(accuracy, float(draws**-0.5))
    if reached > accuracy:
        warn_user(
            f"evaluations of the likelihood are too dear for an accuracy of {accuracy:.2g} posterior sds, and a "
            f"surrogate of it is not accurate here: posterior means are computed to about {reached:.2g} "
            "posterior sds instead",
            AccuracyWarning,
        )
    return reached


def _replace_importance(
    space: HyperSpace, marginal: GaussianMarginal, accuracy: float, failure: ComputationError
) -> HyperPosterior:
    """Integrate on a surrogate where importance weights are not reliable, or raise that ``failure``.

    Six of a thousand nested designs simulated from their priors have a corner where several sds are small together,
    which the lattice's map does not reach; a surrogate is accurate there (0.02 sds against quadrature). Effects are
    conditioned at each node: the evaluations so far show that there is time for it.
    """
    found = integrate_by_way_of_surrogate(space, marginal, accuracy)
    if not isinstance(found, HyperPosterior):
        raise failure
    marginal.tables.clear()
    engine = found.engine
    reason = (
        f"{space.dimension} hyperparameters, effects integrated out in closed form; importance weights were not "
        "reliable, so the likelihood is interpolated between a few nodes, the error measured at nodes that did not "
        "shape it"
    )
    return replace(found, engine=replace(engine, reason=reason), evaluated=None)


def _give_up_surrogate(posterior: HyperPosterior) -> HyperPosterior:
    """Say in the certificate that a surrogate was tried."""
    engine = posterior.engine
    reason = f"{engine.reason}; a surrogate of the likelihood did not become accurate, so all nodes are evaluated"
    return replace(posterior, engine=replace(engine, reason=reason))


def _by_grid(space: HyperSpace, marginal: GaussianMarginal, moments: tuple[int, ...]) -> HyperPosterior:
    log_density = log_posterior(space, marginal)
    mode = find_mode(log_density, space.starts())
    grid = integrate_on_grid(log_density, mode, _growth(space, moments))
    return _from_grid(space, grid, mode.n_evaluations)


def _growth(space: HyperSpace, moments: tuple[int, ...]) -> FloatArray:
    """How fast the highest finite moment grows along each coordinate: only log scales reach far."""
    growth = np.zeros(len(space.scalars))
    for k, hyper in enumerate(space.scalars):
        if hyper is not None and hyper.role != "coefficient" and np.isinf(hyper.support[1]):
            growth[k] = moments[k]
    return growth[space.free]


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
        space, gather_weightless(grid.nodes, grid.weights), grid.weights, grid.log_integral, grid, engine
    )


def _from_textbook(space: HyperSpace, grid: NaturalGrid) -> HyperPosterior:
    evidence = {"nodes": float(len(grid.weights)), "upper end": grid.upper}
    reason = "asked for: equally spaced values of the sd; draws take sd, coefficients and effects in turn"
    engine = Engine("textbook grid", reason, evidence, "converged", float("inf"))
    return HyperPosterior(space, grid.coordinates, grid.weights, grid.log_integral, None, engine)

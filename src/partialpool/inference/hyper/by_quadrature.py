"""Integrating the hyperparameters of a latent model.

| evaluations that the accuracy takes | dimension | route |
| --- | --- | --- |
| last less, one peak, a population's sd among two | 1, 2 | an interpolated grid of some hundred nodes |
| last less | any | importance sampling on a lattice; a conjugate pair's two shapes: an adaptive grid |
| last longer, by a coarser quadrature too | any | a surrogate of the likelihood, its error measured |
| the surrogate does not become accurate, or is not wanted | 1, 2 | an adaptive grid |
| an adaptive grid would have too many nodes | 1, 2 | importance sampling at every node |
| last half a second, no surrogate | 3 and more | importance sampling by a coarser quadrature, corrected |
| that is not cheaper or not accurate, or is not wanted | 3 and more | importance sampling at every node |

Importance sampling has routes of its own for what one map does not fit: the table of ``by_importance``. A grid suits
groups' own values badly where their sd may be near zero: about a coefficient on the lines of a grid they have a comb
for a distribution. So it is taken where groups are many, or where there are no coefficients.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from partialpool.errors import AccuracyWarning, ComputationError, warn_user
from partialpool.inference.conjugate.marginal import ConjugateMarginal
from partialpool.inference.contract import LatentMarginal
from partialpool.inference.hyper.by_cheaper import (
    condition_on_few,
    correct_posterior,
    guess_variances,
    integrate_by_coarser,
    integrate_by_way_of_surrogate,
)
from partialpool.inference.hyper.by_importance import integrate_exactly, take_grid_first
from partialpool.inference.hyper.by_small_grid import EVALUATIONS, ROUTE, integrate_on_small_grid, suits
from partialpool.inference.hyper.certificate import Engine
from partialpool.inference.hyper.hyper_posterior import HyperPosterior, gather_weightless, log_posterior
from partialpool.models.space.hyper_gradient import pull_back
from partialpool.models.space.hyperspace import HyperPoints, HyperSpace
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.climb import Climb, PointDensity, climb
from partialpool.numerics.grid import integrate_on_grid
from partialpool.numerics.mode import find_mode
from partialpool.numerics.sampling.importance import count_evaluations
from partialpool.numerics.sampling.node_subset import thin_lattice

# Seconds of exact evaluations from which a surrogate is built instead, where groups are many, and where they are few:
# the likelihood is then too far from quadratic for a surrogate to become accurate soon. And those that exact
# evaluations may take where it fails.
_PATIENCE, _PATIENCE_WITH_FEW = 1.0, 5.0
_LONGEST = 600.0
# Seconds of exact evaluations from which a coarser quadrature that is corrected is taken instead.
_WORTH_CORRECTING = 0.5
_FEWEST_DRAWS = 500.0
# Evaluations that a grid takes, and importance sampling for each effective draw.
_GRID_EVALUATIONS, _LATTICE_EVALUATIONS = 700.0, 2.6
# Coefficients are among what is sampled here, and their sds are wanted to half a per cent: where these seconds allow
# it, up to so many times the effective draws that the accuracy asks for.
_CHEAP_SECONDS, _MOST_EXTRA = 0.5, 5.0
# Groups from which a grid of two hyperparameters serves the groups' own values.
_MANY_GROUPS = 400
# Posterior sds aside of the mode at which the quadrature's order is first chosen.
_ASIDE = 1.5
# Change of the log density over the posterior that moves nothing by a hundredth of its sd.
_UNSEEN = 0.005
# Nodes of the posterior at which the quadrature's order is tried again, and how often it is raised.
_CHECKED_NODES, _MOST_RAISES = 8, 3


def integrate_latent(marginal: LatentMarginal, method: str, accuracy: float) -> tuple[LatentMarginal, HyperPosterior]:
    """Integrate the hyperparameters, with the quadrature over groups as fine as the posterior's bulk needs.

    Raises ``ComputationError`` when the integration, or the quadrature, does not reach its accuracy.
    """
    space = marginal.model.space
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        mode = _climb(space, marginal)
        marginal = marginal.refine(_near_mode(space, marginal, mode))
        for _ in range(_MOST_RAISES):
            posterior = _integrate(space, marginal, method, accuracy, mode)
            finer = marginal.refine(_spread_nodes(posterior))
            if finer.work <= marginal.work:
                break
            corrected = _correct(posterior, marginal, finer, accuracy)
            if corrected is not None:
                posterior = corrected
                break
            marginal = finer
    evidence = {**posterior.engine.evidence, **finer.evidence}
    engine = replace(posterior.engine, evidence=evidence, elimination=finer.route)
    return finer, replace(posterior, engine=engine)


def _correct(
    posterior: HyperPosterior, coarse: LatentMarginal, finer: LatentMarginal, accuracy: float
) -> HyperPosterior | None:
    """Return the posterior under a finer quadrature from that under a coarser one: both differ by little and smoothly,
    so that a few evaluations of the finer are enough. None where they are not, or where nodes carry no weights."""
    if posterior.grid is not None or not posterior.space.dimension:
        return None
    if posterior.engine.route == ROUTE:
        return _keep_if_near(posterior, coarse, finer)
    reason = f"{posterior.engine.reason}; its quadrature refined by a correction, the error measured at other nodes"
    fine = posterior.fine
    if fine is None:
        return correct_posterior(posterior, coarse, finer, accuracy, reason, True)
    every = replace(posterior, coordinates=fine.coordinates, weights=fine.weights, fine=None)
    found = correct_posterior(every, coarse, finer, accuracy, reason, True)
    return None if found is None else condition_on_few(found, finer)


def _keep_if_near(posterior: HyperPosterior, coarse: LatentMarginal, finer: LatentMarginal) -> HyperPosterior | None:
    """Return the posterior with the evidence of a finer quadrature where that moves its log density by less than what
    shows; None where it does not, so that all is evaluated again."""
    points = _spread_nodes(posterior)
    moved = finer.log_likelihood(points) - coarse.log_likelihood(points)
    if not np.ptp(moved) < _UNSEEN:
        return None
    return replace(posterior, log_marginal_likelihood=posterior.log_marginal_likelihood + float(np.mean(moved)))


def _climb(space: HyperSpace, marginal: LatentMarginal) -> Climb | None:
    """Return the mode under a coarse quadrature, None where it is not found or nothing is unknown."""
    if not space.dimension:
        return None
    try:
        start = _likeliest_start(space, marginal)
        return climb(_point_density(space, marginal), start, np.diag(guess_variances(space, marginal)))
    except (ComputationError, np.linalg.LinAlgError):
        return None


def _likeliest_start(space: HyperSpace, marginal: LatentMarginal) -> FloatArray:
    starts = space.starts()
    values = marginal.log_likelihood(space.constrain(starts)[0])
    return np.asarray(starts[int(np.argmax(np.where(np.isnan(values), -np.inf, values)))])


def _near_mode(space: HyperSpace, marginal: LatentMarginal, mode: Climb | None) -> HyperPoints:
    """Return the mode and points on both sides of it along each coordinate, or the likeliest starting point: how fine
    the quadrature must be elsewhere shows at the posterior's nodes."""
    if mode is None:
        return space.constrain(_likeliest_start(space, marginal)[None])[0]
    steps = _ASIDE * np.diag(np.sqrt(np.clip(np.diag(mode.covariance), 0.0, 1.0)))
    return space.constrain(np.concatenate([mode.location[None], mode.location + steps, mode.location - steps]))[0]


def _point_density(space: HyperSpace, marginal: LatentMarginal) -> PointDensity:
    """Return the log posterior and its gradient at one point."""
    steps = 1e-5 * np.concatenate([np.eye(space.dimension), -np.eye(space.dimension)])

    def density(location: FloatArray) -> tuple[float, FloatArray]:
        points, log_prior = space.constrain(location[None])
        value, gradient = marginal.value_and_gradient(points)
        slope = pull_back(space, location[None], points, gradient)[0]
        up, down = space.constrain(location + steps)[1].reshape(2, -1)
        return float(value[0] + log_prior[0]), slope + (up - down) / 2e-5

    return density


def _spread_nodes(posterior: HyperPosterior) -> HyperPoints:
    """Return some nodes that stand for the whole posterior, the outer ones too."""
    subset = thin_lattice(posterior.weights, _CHECKED_NODES) if posterior.grid is None else None
    if subset is None:
        order = np.argsort(posterior.weights)[::-1]
        carrying = order[: int(np.searchsorted(np.cumsum(posterior.weights[order]), 0.99)) + 1]
        nodes = carrying[np.linspace(0, len(carrying) - 1, _CHECKED_NODES).astype(np.intp)]
    else:
        nodes = subset.nodes[:: max(1, len(subset.nodes) // _CHECKED_NODES)]
    return posterior.points.select(np.unique(nodes))


def _integrate(
    space: HyperSpace, marginal: LatentMarginal, method: str, accuracy: float, mode: Climb | None
) -> HyperPosterior:
    if space.dimension == 0:
        return _closed_form(space, marginal)
    if mode is None or method != "auto" or not suits(marginal) or EVALUATIONS * marginal.seconds > _PATIENCE:
        return _integrate_otherwise(space, marginal, method, accuracy)
    try:
        return integrate_on_small_grid(marginal, mode, _growth(space, marginal.model.moments))
    except ComputationError as failure:
        found = _integrate_otherwise(space, marginal, method, accuracy)
        left = [f"an {ROUTE} was left: {failure}", found.engine.left]
        return replace(found, engine=replace(found.engine, left="; ".join(part for part in left if part)))


def _integrate_otherwise(space: HyperSpace, marginal: LatentMarginal, method: str, accuracy: float) -> HyperPosterior:
    plain = space.dimension <= 2 and not space.samples_coefficients
    many_groups = min(_n_groups(marginal), default=0) >= _MANY_GROUPS
    many = space.dimension <= 2 and many_groups
    on_lattice = count_evaluations(space.dimension, accuracy**-2.0)
    n_evaluations = _GRID_EVALUATIONS if plain or many else on_lattice
    patience = _PATIENCE if many_groups else _PATIENCE_WITH_FEW
    seconds = n_evaluations * marginal.seconds if method == "auto" else 0.0
    coarse = marginal.coarser
    on_coarse = seconds if plain or many or coarse is None else n_evaluations * coarse.seconds
    guide = None
    if space.fixed_effect_root is None and (method == "surrogate" or on_coarse > patience):
        found = integrate_by_way_of_surrogate(space, marginal, accuracy)
        if isinstance(found, HyperPosterior):
            return found
        guide = found
    if method in ("auto", "surrogate") and (plain or many):
        return take_grid_first(lambda: _by_grid(space, marginal), space, marginal, accuracy)
    corrected = integrate_by_coarser(space, marginal, accuracy, guide, True) if seconds > _WORTH_CORRECTING else None
    if corrected is not None:
        return corrected
    found = integrate_exactly(space, marginal, _affordable(accuracy, marginal), guide)
    reason = f"{space.dimension} hyperparameter{'s' if space.dimension > 1 else ''}, coefficients among them"
    return replace(found, engine=replace(found.engine, reason=reason))


def _n_groups(marginal: LatentMarginal) -> list[int]:
    return [group.n_levels for group in marginal.model.groups]


def _closed_form(space: HyperSpace, marginal: LatentMarginal) -> HyperPosterior:
    coordinates = np.empty((1, 0))
    log_likelihood = float(marginal.log_likelihood(space.constrain(coordinates)[0])[0])
    exact = isinstance(marginal, ConjugateMarginal)
    route = "closed form" if exact else "quadrature"
    engine = Engine(route, "no unknown hyperparameter", {}, "exact" if exact else "converged", float("inf"))
    return HyperPosterior(space, coordinates, np.ones(1), log_likelihood, None, engine)


def _by_grid(space: HyperSpace, marginal: LatentMarginal) -> HyperPosterior:
    log_density = log_posterior(space, marginal)
    mode = find_mode(log_density, space.starts())
    grid = integrate_on_grid(log_density, mode, _growth(space, marginal.model.moments))
    evidence = {
        "nodes": float(grid.log_density.size),
        "change on halving the spacing": grid.change_on_doubling,
        "evaluations": float(mode.n_evaluations + grid.n_evaluations),
    }
    plural = "s" if space.dimension > 1 else ""
    engine = Engine("adaptive grid", f"{space.dimension} hyperparameter{plural}", evidence, "converged", float("inf"))
    nodes = gather_weightless(grid.nodes, grid.weights)
    return HyperPosterior(space, nodes, grid.weights, grid.log_integral, grid, engine)


def _growth(space: HyperSpace, moments: tuple[int, ...]) -> FloatArray:
    """How fast the highest finite moment grows along each coordinate: only log scales reach far."""
    growth = np.zeros(len(space.scalars))
    for k, hyper in enumerate(space.scalars):
        if hyper is not None and hyper.role != "coefficient" and np.isinf(hyper.support[1]):
            growth[k] = moments[k]
    if space.pair is not None:  # both shapes grow with the second coordinate
        growing = zip(space.pair.names, moments[-len(space.pair.names) :], strict=True)
        both = space.pair.by_logs and space.pair.on == "shapes"
        growth[-2 if both else -1 :] = max(finite for name, finite in growing if name != "mean")
    return growth[space.free]


def _affordable(accuracy: float, marginal: LatentMarginal) -> float:
    """Return the accuracy, a finer one where evaluations are cheap, or one that takes some minutes of evaluations where
    the one asked for takes longer."""
    cheap = _CHEAP_SECONDS / (_LATTICE_EVALUATIONS * marginal.seconds)
    if cheap > accuracy**-2.0:
        return float(min(cheap, _MOST_EXTRA * accuracy**-2.0) ** -0.5)
    draws = max(_LONGEST / (_LATTICE_EVALUATIONS * marginal.seconds), _FEWEST_DRAWS)
    reached = max(accuracy, float(draws**-0.5))
    if reached > accuracy:
        warn_user(
            f"evaluations of the likelihood are too dear for an accuracy of {accuracy:.2g} posterior sds: posterior "
            f"means are computed to about {reached:.2g} posterior sds instead",
            AccuracyWarning,
        )
    return reached

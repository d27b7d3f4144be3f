"""The hyperparameters' posterior by way of a surrogate of the log likelihood, where evaluations are dear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import ComputationError
from partialpool.inference.block_conditional import BlockConditional
from partialpool.inference.block_factor import BlockFactor
from partialpool.inference.engine import Engine
from partialpool.inference.gaussian_marginal import GaussianMarginal
from partialpool.inference.hyper_posterior import FineNodes, HyperPosterior
from partialpool.inference.likelihood_gradient import value_and_gradient
from partialpool.inference.several_factors import (
    LevelMoments,
    find_level_moments,
    hold_level_moments,
    join_level_moments,
)
from partialpool.models.hyper_gradient import pull_back
from partialpool.models.hyperspace import HyperPoints, HyperSpace
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.progress import Counter
from partialpool.numerics.surrogate_integral import SurrogateIntegral, integrate_by_surrogate

# Evaluations after which a surrogate that is not accurate enough is given up, and for each dimension.
_MOST_EVALUATIONS = (90, 15)
# Roughly how much is known of a population sd from each of its groups, of a coefficient's location from all rows.
_PRECISION_A_GROUP = 0.7


def integrate_by_way_of_surrogate(
    space: HyperSpace, marginal: GaussianMarginal, accuracy: float
) -> HyperPosterior | None:
    """Integrate on a surrogate in the chart that the priors are stated in; None where it does not become accurate."""
    space = space.in_chart(space.charts[0])
    dimension = space.dimension
    counter = Counter("evaluating the likelihood")

    kept: dict[bytes, LevelMoments] = {}

    def keep(points: HyperPoints, blocks: BlockFactor, effects: BlockConditional) -> None:
        moments = find_level_moments(marginal.statistics, points, blocks, effects)
        for node in range(points.n_nodes):
            kept[_key(points, node)] = [(mean[..., [node]], variance[..., [node]]) for mean, variance in moments]

    def log_likelihood(coordinates: FloatArray) -> tuple[FloatArray, FloatArray]:
        points, _ = space.constrain(coordinates)
        kept.clear()  # the last nodes evaluated are the ones that carry the effects
        values, gradient = value_and_gradient(marginal, points, keep if len(coordinates) > 1 else None)
        counter.advance(len(coordinates))
        return values, pull_back(space, coordinates, points, gradient)

    try:
        with counter:
            found = integrate_by_surrogate(
                log_likelihood,
                lambda coordinates: space.constrain(coordinates)[1],
                space.starts()[2],
                np.diag(_guess_variances(space, marginal)),
                _find_log_scales(space),
                accuracy,
                effective_target=accuracy**-2.0,
                max_evaluations=_MOST_EVALUATIONS[0] + _MOST_EVALUATIONS[1] * dimension,
            )
    except (ComputationError, np.linalg.LinAlgError):
        return None
    if not found.converged:
        return None
    posterior = _to_posterior(space, found)
    keys = [_key(posterior.points, node) for node in range(len(posterior.weights))]
    if all(key in kept for key in keys):
        hold_level_moments(marginal, posterior.points, join_level_moments([kept[key] for key in keys]))
    return posterior


def _key(points: HyperPoints, node: int) -> bytes:
    return bytes(points.effect_root[..., node].tobytes() + points.residual_sd[node].tobytes())


def _find_log_scales(space: HyperSpace) -> NDArray[np.bool_]:
    """Say which coordinates are logs of population sds, along which the likelihood is flat towards zero."""
    flags = np.zeros(space.dimension, dtype=bool)
    for k, hyper in enumerate(space.effect_sds):
        flags[k] = np.isinf(hyper.support[1])
    return flags


def _guess_variances(space: HyperSpace, marginal: GaussianMarginal) -> FloatArray:
    """Return rough posterior variances of the coordinates, for the first steps of the climb."""
    variances = np.ones(space.dimension)
    statistics = marginal.statistics
    of_effect = np.repeat(statistics.n_groups, [part.stop - part.start for part in statistics.effect_slices])
    variances[: len(of_effect)] = 1.0 / (1.0 + _PRECISION_A_GROUP * of_effect[: len(space.effect_sds)])
    column = len(space.effect_sds)
    for block in space.blocks:
        n_groups = float(of_effect[block.positions[0]])
        variances[column : column + len(block.names)] = 1.0 / (1.0 + _PRECISION_A_GROUP * n_groups)
        column += len(block.names)
    if space.residual_sd is not None:
        variances[column] = 1.0 / (1.0 + statistics.n_rows)
    return variances


def _to_posterior(space: HyperSpace, found: SurrogateIntegral) -> HyperPosterior:
    evidence = {
        "surrogate error (sd)": found.error,
        "evaluations": float(found.n_evaluations),
        "nodes that carry effects": float(len(found.weights)),
        "effective draws": found.effective_size,
        "Pareto-k": found.pareto_k,
    }
    plural = "s" if space.dimension > 1 else ""
    reason = (
        f"{space.dimension} hyperparameter{plural}, effects integrated out in closed form; evaluations are dear, so the "
        "likelihood is interpolated between a few, the error measured at nodes that did not shape it"
    )
    engine = Engine("surrogate of the likelihood", reason, evidence, "converged", found.effective_size)
    fine = FineNodes(found.fine_nodes, found.fine_weights)
    return HyperPosterior(space, found.nodes, found.weights, found.log_integral, None, engine, fine)

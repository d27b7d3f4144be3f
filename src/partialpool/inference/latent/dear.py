"""Integrating hyperparameters where evaluations of a latent model's likelihood are dear: on a surrogate of it, or by a
coarser quadrature that is corrected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from partialpool.errors import ComputationError
from partialpool.inference.by_importance import integrate_exactly
from partialpool.inference.engine import Engine
from partialpool.inference.hyper_posterior import FineNodes, HyperPosterior
from partialpool.inference.latent.contract import LatentMarginal
from partialpool.inference.surrogate_likelihood import certify_surrogate, find_guide, integrate_on_surrogate
from partialpool.models.hyperspace import HyperSpace
from partialpool.numerics.arrays import BatchLogDensity, FloatArray
from partialpool.numerics.correction import correct
from partialpool.numerics.node_subset import thin_lattice
from partialpool.numerics.pareto import effective_sample_size
from partialpool.numerics.surrogate_integral import SurrogateIntegral

# Nodes at which effects are conditioned: as many as take this many seconds, within these bounds.
_CARRYING, _CARRIERS = 0.3, (48, 512)
# A correction that leaves less than this share of the effective draws is not taken.
_LEAST_KEPT = 0.8


def integrate_by_way_of_surrogate(
    space: HyperSpace, marginal: LatentMarginal, accuracy: float
) -> HyperPosterior | BatchLogDensity | None:
    """Integrate on a surrogate of the likelihood. Where it does not become accurate its log density is returned, as a
    guide to where the posterior is; None where there is not even that."""
    space = space.in_chart(space.charts[0])
    found = integrate_on_surrogate(space, marginal.value_and_gradient, guess_variances(space, marginal), accuracy)
    if found is None or not found.converged:
        return find_guide(found)
    return _from_surrogate(space, marginal, found)


def integrate_by_coarser(
    space: HyperSpace, marginal: LatentMarginal, accuracy: float, guide: BatchLogDensity | None
) -> HyperPosterior | None:
    """Integrate under a quadrature of fewer points, corrected towards the full one at a few nodes.

    None where there is none that is much cheaper, or its correction does not become accurate. ``guide`` is a log
    density near the posterior's in the chart that the priors are stated in.
    """
    coarse = marginal.coarser
    if coarse is None:
        return None
    try:
        cheap = integrate_exactly(space, coarse, accuracy, guide)
    except ComputationError:
        return None

    reason = (
        f"{space.dimension} hyperparameters, coefficients among them; a coarser quadrature at all nodes, corrected at "
        "a few, the error measured at others"
    )
    found = correct_posterior(cheap, coarse, marginal, accuracy, reason)
    if found is None:
        return None
    sample = (found.coordinates, found.weights, found.log_marginal_likelihood)
    return _condition_on_few(found.space, marginal, *sample, found.engine)


def correct_posterior(
    cheap: HyperPosterior, coarse: LatentMarginal, marginal: LatentMarginal, accuracy: float, reason: str
) -> HyperPosterior | None:
    """Correct a posterior of weighted nodes under a ``coarse`` quadrature towards another one at a few nodes; None
    where that does not become accurate."""

    def difference(coordinates: FloatArray) -> FloatArray:
        points = cheap.space.constrain(coordinates)[0]
        return marginal.log_likelihood(points) - coarse.log_likelihood(points)

    found = correct(cheap.coordinates, cheap.weights, difference, accuracy)
    effective_size = effective_sample_size(found.weights)
    if not (found.error <= accuracy and effective_size >= _LEAST_KEPT * cheap.engine.effective_draws):
        return None
    evidence = {
        **cheap.engine.evidence,
        "effective draws": effective_size,
        "coarse evaluations": cheap.engine.evidence["evaluations"],
        "evaluations": float(found.n_evaluations),
        "correction's error (sd)": found.error,
    }
    engine = replace(cheap.engine, reason=reason, evidence=evidence, effective_draws=effective_size)
    log_integral = cheap.log_marginal_likelihood + found.log_factor
    return replace(cheap, weights=found.weights, log_marginal_likelihood=log_integral, engine=engine)


def _from_surrogate(space: HyperSpace, marginal: LatentMarginal, found: SurrogateIntegral) -> HyperPosterior:
    sample = (found.fine_nodes, found.fine_weights, found.log_integral)
    return _condition_on_few(space, marginal, *sample, certify_surrogate(space, found))


def _condition_on_few(
    space: HyperSpace,
    marginal: LatentMarginal,
    nodes: FloatArray,
    weights: FloatArray,
    log_integral: float,
    engine: Engine,
) -> HyperPosterior:
    """Return the posterior of ``nodes`` (node, dimension), a few of which effects are conditioned on."""
    few = thin_lattice(weights, int(np.clip(_CARRYING / marginal.seconds, *_CARRIERS)))
    return HyperPosterior(space, nodes[few.nodes], few.weights, log_integral, None, engine, FineNodes(nodes, weights))


def guess_variances(space: HyperSpace, marginal: LatentMarginal) -> FloatArray:
    """Return rough posterior variances of the coordinates, for the first steps of the climb."""
    variances = np.ones(len(space.scalars))
    per_effect = [group.n_levels for group in marginal.model.groups for _ in group.names]
    for k in range(len(space.effect_sds)):
        variances[k] = 1.0 / (1.0 + 0.2 * per_effect[k])
    column = len(space.effect_sds)
    for block in space.blocks:
        after = column + len(block.names)
        variances[column:after] = 1.0 / (1.0 + 0.2 * per_effect[block.positions[0]])
        column = after
    n_rows = len(marginal.model.response.values)
    fewest = min([n_rows, *per_effect])
    variances[column : column + len(space.coefficients)] = 1.0 / (1.0 + 0.5 * fewest)
    variances[column + len(space.coefficients) :] = 1.0 / (1.0 + 0.1 * fewest)
    return variances[space.free]

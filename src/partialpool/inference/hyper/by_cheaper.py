"""Integrating hyperparameters where evaluations of a latent model's likelihood are dear: on a surrogate of it, or by a
coarser quadrature that is corrected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from partialpool.errors import ComputationError
from partialpool.inference.contract import LatentMarginal
from partialpool.inference.hyper.by_importance import integrate_exactly
from partialpool.inference.hyper.hyper_posterior import FineNodes, HyperPosterior
from partialpool.inference.hyper.surrogate_likelihood import certify_surrogate, find_guide, integrate_on_surrogate
from partialpool.models.space.hyperspace import HyperSpace
from partialpool.numerics.arrays import BatchLogDensity, FloatArray
from partialpool.numerics.sampling.node_subset import thin_lattice
from partialpool.numerics.sampling.pareto import effective_sample_size, normalise_log_weights, pareto_k
from partialpool.numerics.surrogates.correction import correct
from partialpool.numerics.surrogates.surrogate_integral import SurrogateIntegral

# Nodes at which effects are conditioned: as many as take this many seconds, within these bounds.
_CARRYING, _CARRIERS = 0.3, (48, 512)
# Seconds that one evaluation at every node takes from which effects are conditioned at a few: tables choose among all
# where that is quick, and of 512 nodes of 6,144 the means of effects were off by up to 0.03 sds.
_PATIENCE = 20.0
# A correction that leaves less than this share of the effective draws is not taken.
_LEAST_KEPT = 0.8
# Weights of the full quadrature at the nodes of a coarse one are taken within these, as those of any lattice.
_GOOD_PARETO_K, _MAX_HALF_DIFFERENCE = 0.5, 0.02


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
    space: HyperSpace,
    marginal: LatentMarginal,
    accuracy: float,
    guide: BatchLogDensity | None,
    every_node: bool = False,
) -> HyperPosterior | None:
    """Integrate under a quadrature of fewer points, corrected towards the full one at a few nodes, or where that does
    not become accurate at ``every_node`` if that is wanted.

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
    found = correct_posterior(cheap, coarse, marginal, accuracy, reason, every_node)
    if found is None or len(found.weights) * marginal.seconds <= _PATIENCE:
        return found
    return condition_on_few(found, marginal)


def correct_posterior(
    cheap: HyperPosterior,
    coarse: LatentMarginal,
    marginal: LatentMarginal,
    accuracy: float,
    reason: str,
    every_node: bool = False,
) -> HyperPosterior | None:
    """Correct a posterior of weighted nodes under a ``coarse`` quadrature towards another one at a few nodes; where
    that does not become accurate at ``every_node`` if that is wanted, else None."""

    def difference(coordinates: FloatArray) -> FloatArray:
        points = cheap.space.constrain(coordinates)[0]
        return marginal.log_likelihood(points) - coarse.log_likelihood(points)

    found = correct(cheap.coordinates, cheap.weights, difference, accuracy)
    if not found.error <= accuracy:
        return _weigh_every_node(cheap, difference, found.n_evaluations, reason) if every_node else None
    evidence = {"evaluations": float(found.n_evaluations), "correction's error (sd)": found.error}
    return _take_weights(cheap, found.weights, found.log_factor, reason, evidence)


def _weigh_every_node(
    cheap: HyperPosterior, difference: BatchLogDensity, n_before: int, reason: str
) -> HyperPosterior | None:
    """Return the posterior with the exact weights of the full quadrature at all of its nodes: a coarse rule that is no
    smooth step away still says where the posterior is. None where the weights are then too uneven."""
    logs = np.log(np.maximum(cheap.weights, 1e-300)) + difference(cheap.coordinates)
    if not np.isfinite(logs.max()) or np.isnan(logs).any():
        return None
    weights, log_factor = normalise_log_weights(logs)
    tail, n_nodes = pareto_k(weights), len(weights)
    halves = [np.average(cheap.coordinates[k::2], axis=0, weights=weights[k::2]) for k in (0, 1)]
    sd = np.sqrt(weights @ (cheap.coordinates - weights @ cheap.coordinates) ** 2)
    apart = float(np.max(np.abs(halves[0] - halves[1]) / sd) / 2.0)
    if not (tail <= _GOOD_PARETO_K and apart <= _MAX_HALF_DIFFERENCE):
        return None
    evidence = {
        "evaluations": float(n_before + n_nodes),
        "Pareto-k": tail,
        "half-lattice difference (sd)": apart,
    }
    return _take_weights(cheap, weights, log_factor, reason, evidence)


def _take_weights(
    cheap: HyperPosterior, weights: FloatArray, log_factor: float, reason: str, evidence: dict[str, float]
) -> HyperPosterior | None:
    """Return the posterior with other weights and their evidence, None where they leave too few effective draws."""
    effective_size = effective_sample_size(weights)
    if not effective_size >= _LEAST_KEPT * cheap.engine.effective_draws:
        return None
    before = cheap.engine.evidence
    coarse = before["evaluations"] + before.get("coarse evaluations", 0.0)
    evidence = {**before, "effective draws": effective_size, "coarse evaluations": coarse, **evidence}
    engine = replace(cheap.engine, reason=reason, evidence=evidence, effective_draws=effective_size)
    log_integral = cheap.log_marginal_likelihood + log_factor
    return replace(cheap, weights=weights, log_marginal_likelihood=log_integral, engine=engine)


def _from_surrogate(space: HyperSpace, marginal: LatentMarginal, found: SurrogateIntegral) -> HyperPosterior:
    engine = certify_surrogate(space, found)
    every = HyperPosterior(space, found.fine_nodes, found.fine_weights, found.log_integral, None, engine)
    return condition_on_few(every, marginal)


def condition_on_few(posterior: HyperPosterior, marginal: LatentMarginal) -> HyperPosterior:
    """Return the posterior with its nodes as the fine ones, a few of which effects are conditioned on."""
    nodes, weights = posterior.coordinates, posterior.weights
    few = thin_lattice(weights, int(np.clip(_CARRYING / marginal.seconds, *_CARRIERS)))
    return replace(posterior, coordinates=nodes[few.nodes], weights=few.weights, fine=FineNodes(nodes, weights))


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

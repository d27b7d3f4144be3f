"""Importance sampling on lattice points from a transport map that adapts to the density."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from partialpool.numerics.arrays import BatchLogDensity, FloatArray
from partialpool.numerics.mode import Mode
from partialpool.numerics.sampling.lattice import lattice_points
from partialpool.numerics.sampling.pareto import effective_sample_size, normalise_log_weights, pareto_k
from partialpool.numerics.sampling.transport import Transport, fit_to_curvature, fit_to_points

_PILOT = 1024
_MAX_ROUNDS = 16
_POOLED_ROUNDS = 2
_MAX_NODES = 2**17
# Rounds of adaptation that an ordinary posterior takes, and nodes for each effective draw.
_USUAL_ROUNDS, _NODES_A_DRAW = 4.0, 1.3
# Effective draws that a node of an adapted proposal is usually worth.
_USUAL_EFFICIENCY = 0.75
# Efficiency from which a proposal that was adapted to a guide needs no adaptation to the density itself.
_ENOUGH_GUIDED = 0.4
# Below this the variance of importance weights is finite (Vehtari et al. 2024, section 3).
_GOOD_PARETO_K = 0.5
# What a map is worth of which some weights stand out.
_STANDING_OUT = 0.8
# The final lattices are shifted away from the pilots': a map is not judged on the points that it was fitted to.
_FRESH = 0.381966


@dataclass(frozen=True)
class WeightedNodes:
    """Nodes (node, dimension), their log density, its log ratios to the proposal's, weights that sum to one, and the
    evidence; ``unreached`` is the share of the density that walks found where no node was."""

    nodes: FloatArray
    log_density: FloatArray
    log_ratios: FloatArray
    weights: FloatArray
    log_integral: float
    effective_size: float
    pareto_k: float
    n_evaluations: int
    unreached: float = 0.0


def integrate_by_importance(
    log_density: BatchLogDensity,
    mode: Mode,
    effective_target: float,
    pilots: int = 1,
    guide: BatchLogDensity | None = None,
    rough: Callable[[WeightedNodes], bool] | None = None,
    first: float = 0.0,
) -> WeightedNodes:
    """Adapt the proposal on small lattices, then evaluate one lattice large enough for the target.

    With a ``guide``, a cheap density near the dear one, the proposal adapts to that first (``mode`` is then the
    guide's), and to ``log_density`` only where the weights of the lattice say that this is not enough; weights are
    exact whatever the guide.

    Its effective sample size is at least ``effective_target`` unless 131,072 nodes do not reach that, which the
    caller reads from the result. ``pilots`` (a power of two) multiplies the nodes that each round of adaptation
    sees. The first lattice is worth ``first`` draws where that is more than half of the target; it is doubled while it
    is ``rough``, and a small shifted one tops up what a power of two of nodes falls short of.

    Source: Cappe, Douc, Guillin, Marin and Robert (2008), Statistics and Computing 18:447-459 (adaptive importance
    sampling); L'Ecuyer and Lemieux (2000), Management Science 46:1214-1235 (lattice rules).
    """
    spent = 0
    if guide is None:
        transport = fit_to_curvature(log_density, mode)
    else:
        transport, _, _ = _adapt(guide, fit_to_curvature(guide, mode), pilots)
        sample = _weigh(log_density, transport, _lattice_size(_USUAL_EFFICIENCY, effective_target), shift=_FRESH)
        if sample.effective_size >= _ENOUGH_GUIDED * len(sample.nodes) and sample.pareto_k < _GOOD_PARETO_K:
            sample = _smooth(log_density, transport, sample, rough)
            sample = _reach(log_density, transport, sample, effective_target)
            return replace(sample, n_evaluations=len(sample.nodes))
        spent = len(sample.nodes)
    transport, efficiency, n_evaluations = _adapt(log_density, transport, pilots)
    sample = _weigh(log_density, transport, _lattice_size(efficiency, max(effective_target, 2.0 * first)), shift=_FRESH)
    sample = _smooth(log_density, transport, sample, rough)
    sample = _reach(log_density, transport, sample, effective_target)
    return replace(sample, n_evaluations=spent + n_evaluations + len(sample.nodes))


def _lattice_size(efficiency: float, effective_target: float) -> int:
    """Return a power of two of nodes that reaches the target, or half of it and more."""
    n_nodes = _PILOT
    while 2 * n_nodes * efficiency < effective_target and n_nodes < _MAX_NODES:
        n_nodes *= 2
    return n_nodes


def _smooth(
    log_density: BatchLogDensity,
    transport: Transport,
    sample: WeightedNodes,
    rough: Callable[[WeightedNodes], bool] | None,
) -> WeightedNodes:
    """Double a lattice while it is ``rough``: its points are every second one of the larger."""
    while rough is not None and len(sample.nodes) < _MAX_NODES and rough(sample):
        between = _weigh(log_density, transport, 2 * len(sample.nodes), _FRESH, slice(1, None, 2))
        nodes, log_density_at, log_ratios = (
            np.stack([known, new], axis=1).reshape(-1, *known.shape[1:])
            for known, new in (
                (sample.nodes, between.nodes),
                (sample.log_density, between.log_density),
                (sample.log_ratios, between.log_ratios),
            )
        )
        sample = _weigh_ratios(nodes, log_density_at, log_ratios)
    return sample


def _reach(
    log_density: BatchLogDensity, transport: Transport, sample: WeightedNodes, effective_target: float
) -> WeightedNodes:
    """Top a sample up until it has the effective size that is wanted."""
    while sample.effective_size < effective_target and len(sample.nodes) < _MAX_NODES:
        sample = _top_up(log_density, transport, sample, effective_target)
    return sample


def count_evaluations(dimension: int, effective_target: float) -> float:
    """Return about how many evaluations integration without a guide takes."""
    return _USUAL_ROUNDS * _pilot_nodes(dimension) + _NODES_A_DRAW * effective_target


def _pilot_nodes(dimension: int) -> int:
    """Return the nodes of a round of adaptation: a map has about d^2 / 2 coefficients a coordinate to fit from the
    points that count."""
    return _PILOT << min(max(dimension - 3, 0) // 2, 3)


def _top_up(
    log_density: BatchLogDensity, transport: Transport, sample: WeightedNodes, effective_target: float
) -> WeightedNodes:
    """Add a lattice of another shift, of the power of two of nodes that the effective size still lacks."""
    n_nodes = len(sample.nodes)
    lacking = (effective_target / sample.effective_size - 1.0) * n_nodes
    n_more = 2 ** int(np.clip(np.ceil(np.log2(max(1.05 * lacking, 1.0))), 8, 16))
    more = _weigh(log_density, transport, n_more, shift=_FRESH + 0.618034 * n_nodes / _PILOT)
    return join_samples(sample, more)


def join_samples(sample: WeightedNodes, more: WeightedNodes) -> WeightedNodes:
    """Weigh two samples from one proposal together."""
    log_density = np.concatenate([sample.log_density, more.log_density])
    log_ratios = np.concatenate([sample.log_ratios, more.log_ratios])
    return _weigh_ratios(np.concatenate([sample.nodes, more.nodes]), log_density, log_ratios)


def _adapt(log_density: BatchLogDensity, transport: Transport, pilots: int) -> tuple[Transport, float, int]:
    """Refit the map to weighted points until the weights are even; return the best map seen.

    Every round weighs a lattice of its own shift, so that a map is judged on fresh points, and is fitted to the last
    rounds' points together. While the weights are so uneven that few points would decide the fit, they are
    tempered: raised to the power at which a quarter of the points count. Even weights of which a few stand out are not
    even: with a shelf in the tail, 90 % of the nodes were effective and Pareto-k was 1.1.
    """
    dimension = len(transport.centre)
    n_evaluations = 20 * dimension
    n_pilot = pilots * _pilot_nodes(dimension)
    best, best_efficiency, stalled = transport, 0.0, 0
    rounds: list[tuple[FloatArray, FloatArray]] = []
    for k in range(_MAX_ROUNDS):
        sample = _weigh(log_density, transport, n_pilot, shift=0.618034 * k)
        n_evaluations += n_pilot
        efficiency = sample.effective_size / n_pilot
        if not sample.pareto_k < _GOOD_PARETO_K:
            efficiency *= _STANDING_OUT
        stalled = 0 if efficiency > 1.05 * best_efficiency else stalled + 1
        if efficiency > best_efficiency:
            best, best_efficiency = transport, efficiency
        if best_efficiency > 0.9 or stalled > (1 if best_efficiency > 0.5 else 4):
            break
        rounds.append((sample.nodes, sample.effective_size * temper(sample.weights)))
        transport = fit_to_points(*_pool(rounds[-_POOLED_ROUNDS:]))
    return best, best_efficiency, n_evaluations


def _pool(rounds: list[tuple[FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    """Join the points of several rounds; their weights sum to each round's effective size, here to one."""
    weights = np.concatenate([weights for _, weights in rounds])
    return np.concatenate([nodes for nodes, _ in rounds]), weights / weights.sum()


def temper(weights: FloatArray) -> FloatArray:
    """Return the weights to the largest power up to one at which a quarter of the points count."""
    log_weights = np.log(np.maximum(weights, 1e-300))
    low, high = 0.0, 1.0
    if effective_sample_size(weights) >= 0.25 * len(weights):
        return weights
    for _ in range(30):
        power = 0.5 * (low + high)
        tempered, _ = normalise_log_weights(power * log_weights)
        if effective_sample_size(tempered) < 0.25 * len(weights):
            high = power
        else:
            low = power
    tempered, _ = normalise_log_weights(low * log_weights)
    return tempered


def _weigh(
    log_density: BatchLogDensity,
    transport: Transport,
    n_nodes: int,
    shift: float = 0.0,
    kept: slice = slice(None),
) -> WeightedNodes:
    """Evaluate the density on the points that are ``kept`` of a pushed lattice, and weigh the nodes."""
    from scipy.special import ndtri

    normal = ndtri(lattice_points(n_nodes, len(transport.centre), shift)[kept])
    nodes, log_proposal = transport.push(normal)
    return gather(nodes, log_density(nodes), log_proposal)


def gather(nodes: FloatArray, log_density: FloatArray, log_proposal: FloatArray) -> WeightedNodes:
    """Turn log densities and those of the proposal into weights with their diagnostics."""
    log_ratios = log_density - log_proposal
    return _weigh_ratios(nodes, log_density, np.where(np.isnan(log_ratios), -np.inf, log_ratios))


def _weigh_ratios(nodes: FloatArray, log_density: FloatArray, log_ratios: FloatArray) -> WeightedNodes:
    weights, log_total = normalise_log_weights(log_ratios)
    return WeightedNodes(
        nodes,
        log_density,
        log_ratios,
        weights,
        log_total - float(np.log(len(nodes))),
        effective_sample_size(weights),
        pareto_k(weights),
        len(nodes),
    )

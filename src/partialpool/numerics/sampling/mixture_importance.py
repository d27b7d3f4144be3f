"""Importance sampling from a mixture of t densities, for densities that no single map fits.

A posterior of several regions, or one whose core stands on a low wide shelf (an sd that the data put at a value, but
do not keep from zero), has a few points of large weight wherever a map does not reach, or is missed with even
weights. Walkers go from every mode to wherever the density goes; a mixture fitted to where they went, and wider,
proposes lattices; the weighed nodes walk on, and where they come to where nodes are too few, the mixture
is fitted anew to where the last two rounds went. Maps refitted to what they had reached instead lost 2 % of a
posterior in seven dimensions, with a Pareto-k of 0.26 and 80 % of the nodes effective.

Source: ter Braak (2006), Statistics and Computing 16:239-249 (walkers); Cappe, Douc, Guillin, Marin and Robert
(2008), Statistics and Computing 18:447-459 (adapted mixtures); Owen and Zhou (2000), J. American Statistical
Association 95:135-143 (the balance heuristic).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from partialpool.errors import ComputationError
from partialpool.numerics.arrays import BatchLogDensity, FloatArray
from partialpool.numerics.sampling.importance import WeightedNodes, gather, join_samples
from partialpool.numerics.sampling.lattice import lattice_points
from partialpool.numerics.sampling.t_mixture import TMixture, fit_t_mixture
from partialpool.numerics.sampling.transport import Transport
from partialpool.numerics.sampling.walks import walk

# Walkers and the nodes of a round grow with the draws that are wanted: exploring costs some six times these.
_WALKERS, _DRAWS_A_WALKER, _PILOT = (128, 1024), 16.0, (1024, 8192)
_STEPS, _STEPS_AGAIN = 80, 24
_PARTS, _MOST_ROUNDS, _MAX_NODES = 4, 6, 2**17
# Fits of the mixture anew to all nodes where these show a tail, and nodes that such a fit is to.
_REFITS, _REFITTED = 2, 2**14
# Points that weigh more than this times the mean are not reached. Walkers among these that exceed their nodes' weight
# by less than so many sds are taken for chance.
_OUTSTANDING, _CHANCE_SDS = 4.0, 3.0
_GOOD_PARETO_K = 0.4
# Between these tails are as heavy as one another (Vehtari et al. 2024, section 3).
_PARETO_KS = np.array([0.5, 0.7])
# Shifts of the lattices: of each round, and of the last.
_GOLDEN, _FRESH = 0.618034, 0.381966


class _Round(NamedTuple):
    mixture: TMixture
    sample: WeightedNodes


def integrate_by_mixture(
    log_density: BatchLogDensity,
    maps: Sequence[Transport],
    effective_target: float,
    rough: Callable[[WeightedNodes], bool] | None = None,
) -> WeightedNodes:
    """Walk from ``maps``, adapt a mixture, then evaluate as many nodes as the target takes.

    The effective size is at least ``effective_target``, and nodes are added while they are ``rough``, unless 131,072
    nodes do not reach that, which the caller reads from the result; ``unreached`` is the share of the density that
    walks from the nodes found where too few nodes were.
    """
    n_walkers = int(np.clip(2 ** round(np.log2(effective_target / _DRAWS_A_WALKER)), *_WALKERS))
    n_pilot = int(np.clip(effective_target, *_PILOT))
    found = walk(log_density, _spread(maps, n_walkers), _STEPS, seed=0)
    places, n_evaluations = found.places, found.n_evaluations
    rounds: list[_Round] = []
    for k in range(_MOST_ROUNDS):
        mixture = fit_t_mixture(places, _PARTS + k, seed=k)
        sample = _weigh(log_density, mixture, n_pilot, _GOLDEN * k)
        sample, walked, n_walked = _walk_on(log_density, mixture, sample, n_walkers, seed=1 + k)
        n_evaluations += len(sample.nodes) + n_walked
        rounds.append(_Round(mixture, sample))
        if sample.pareto_k < _GOOD_PARETO_K and not sample.unreached:
            break
        places = np.concatenate([places[-len(walked) :], walked])
    best = min(rounds, key=lambda each: (each.sample.unreached, each.sample.pareto_k))
    attempts: list[WeightedNodes] = []
    mixture, efficiency = best.mixture, best.sample.effective_size / n_pilot
    for k in range(_REFITS + 1):
        sample = _reach(log_density, mixture, efficiency, effective_target, rough or (lambda _: False))
        sample, _, n_walked = _walk_on(log_density, mixture, sample, n_walkers, seed=1 + _MOST_ROUNDS + k)
        n_evaluations += len(sample.nodes) + n_walked
        attempts.append(sample)
        if sample.pareto_k < _GOOD_PARETO_K and not sample.unreached:
            break
        mixture, efficiency = _refit(sample), sample.effective_size / len(sample.nodes)
    sample = min(attempts, key=_rank)
    return replace(sample, n_evaluations=n_evaluations)


def _rank(sample: WeightedNodes) -> tuple[float, int, float]:
    """Order samples: those that reach everything, of light tails, of many draws."""
    heaviness = int(np.searchsorted(_PARETO_KS, sample.pareto_k))
    return sample.unreached, heaviness, -sample.effective_size


def _refit(sample: WeightedNodes) -> TMixture:
    """Return the mixture of the most parts, fitted to nodes resampled by their weights."""
    at = (np.arange(_REFITTED) + 0.5) / _REFITTED
    chosen = np.searchsorted(np.cumsum(sample.weights), at).clip(0, len(sample.weights) - 1)
    return fit_t_mixture(sample.nodes[chosen], _PARTS + _MOST_ROUNDS, seed=_MOST_ROUNDS)


def _spread(maps: Sequence[Transport], n_walkers: int) -> FloatArray:
    """Push the walkers' share of a lattice through every map."""
    from scipy.special import ndtri

    dimension = len(maps[0].centre)
    size = max(2 ** int(np.log2(n_walkers / len(maps))), 2)
    return np.concatenate(
        [transport.push(ndtri(lattice_points(size, dimension, _GOLDEN * m)))[0] for m, transport in enumerate(maps)]
    )


def _weigh(log_density: BatchLogDensity, mixture: TMixture, n_nodes: int, shift: float) -> WeightedNodes:
    nodes, made = mixture.propose(n_nodes, shift)
    values = log_density(nodes)
    values = np.where(np.isfinite(values), values, -np.inf)
    if not np.isfinite(values).any():
        raise ComputationError("a mixture fitted to where walkers went has no node in the support of the posterior")
    return gather(nodes, values, made.log_density(nodes))


def _walk_on(
    log_density: BatchLogDensity, mixture: TMixture, sample: WeightedNodes, n_walkers: int, seed: int
) -> tuple[WeightedNodes, FloatArray, int]:
    """Let the weighed nodes walk; return the sample with how much of the density it does not reach, the places that
    walkers went to, and the evaluations."""
    at = (np.arange(n_walkers) + 0.5) / n_walkers
    chosen = np.searchsorted(np.cumsum(sample.weights), at).clip(0, len(sample.weights) - 1)
    found = walk(log_density, sample.nodes[chosen], _STEPS_AGAIN, seed)
    bound = np.log(_OUTSTANDING)
    out = int((found.log_density - mixture.log_density(found.ends) > sample.log_integral + bound).sum())
    expected = n_walkers * float(sample.weights[sample.log_ratios > sample.log_integral + bound].sum())
    by_chance = expected + _CHANCE_SDS * np.sqrt(max(expected, 1.0))
    unreached = (out - expected) / n_walkers if out > by_chance else 0.0
    return replace(sample, unreached=unreached), found.places, found.n_evaluations


def _reach(
    log_density: BatchLogDensity,
    mixture: TMixture,
    efficiency: float,
    effective_target: float,
    rough: Callable[[WeightedNodes], bool],
) -> WeightedNodes:
    """Evaluate nodes until they have the effective size that is wanted, and are not rough."""
    wanted = min(effective_target / max(0.9 * efficiency, 1e-3), float(_MAX_NODES))
    sample = _weigh(log_density, mixture, int(max(wanted, _PILOT[0])), _FRESH)
    while len(sample.nodes) < _MAX_NODES and (sample.effective_size < effective_target or rough(sample)):
        more = _weigh(log_density, mixture, len(sample.nodes), _FRESH + _GOLDEN * len(sample.nodes) / _PILOT[1])
        sample = join_samples(sample, more)
    return sample

"""Importance sampling from a mixture of transport maps, for densities that no single map fits.

A posterior of several regions, or one whose core stands on a low wide shelf (an sd that the data put at a value, but
do not keep from zero), has a few points of large weight wherever the map does not reach. A map of their own is fitted
to these, then all maps to the points that each is responsible for, until none stands out and lines through the middle
of the density find nothing beyond the nodes. A point is weighed by the density of the whole mixture, so that weights
are exact whatever the maps.

Source: Cappe, Douc, Guillin, Marin and Robert (2008), Statistics and Computing 18:447-459 (mixtures adapted by
population Monte Carlo); Owen and Zhou (2000), J. American Statistical Association 95:135-143 (the balance heuristic).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from partialpool.numerics.arrays import BatchLogDensity, FloatArray
from partialpool.numerics.coverage import Lines, follow_lines
from partialpool.numerics.importance import WeightedNodes, gather, join_samples, temper
from partialpool.numerics.lattice import lattice_points
from partialpool.numerics.pareto import effective_sample_size
from partialpool.numerics.transport import Transport, affine_map, fit_to_points

# Nodes of a round of adaptation, and for each coordinate; of a map, at least.
_PILOT, _PILOT_A_DIMENSION, _LEAST_NODES = 2048, 512, 256
_MAX_ROUNDS, _MOST_MAPS = 14, 8
# A mixture is good enough from this Pareto-k and this efficiency, both seen on a pilot.
_GOOD_PARETO_K, _GOOD_EFFICIENCY = 0.35, 0.5
# Points that weigh more than this times the mean are not reached; fewer than this share of all is no loss.
_OUTSTANDING, _NEGLIGIBLE = 3.0, 1e-4
# Share of the nodes that a new map is given at least, and of a line beyond the nodes above which maps are added there.
_SHARE_OF_NEW, _MOST_MISSED = 0.1, 0.002
_MAX_NODES = 2**17
# Pareto-k of the last nodes that is enough (Vehtari et al. 2024, section 3), the mass that may stand out among them,
# and how often they are evaluated anew: with Pareto-k 0.49 alone 0.6 % of a posterior was lost, a quantile 0.1 sds off.
_ENOUGH_PARETO_K, _ENOUGH_IN, _MOST_TRIES = 0.5, 2e-3, 4
# Shifts of the lattices: of each map along the torus, of each round, and of the last lattices.
_GOLDEN, _OF_MAP, _FRESH = 0.618034, 0.414214, 0.381966


@dataclass(frozen=True)
class MapMixture:
    """Transport ``maps`` with the ``shares`` (map,) of the nodes that each is given."""

    maps: tuple[Transport, ...]
    shares: FloatArray

    def sample(self, log_density: BatchLogDensity, n_nodes: int, shift: float) -> WeightedNodes:
        """Push a lattice through every map, as many nodes as its share rounded to a power of two; weigh by all maps."""
        from scipy.special import ndtri

        dimension = len(self.maps[0].centre)
        sizes = [2 ** round(np.log2(max(share * n_nodes, _LEAST_NODES))) for share in self.shares]
        nodes = np.concatenate(
            [
                transport.push(ndtri(lattice_points(size, dimension, shift + _OF_MAP * m)))[0]
                for m, (transport, size) in enumerate(zip(self.maps, sizes, strict=True))
            ]
        )
        parts = self.log_densities(nodes, np.array(sizes) / sum(sizes))
        return gather(nodes, log_density(nodes), np.logaddexp.reduce(parts, axis=0))

    def log_densities(self, nodes: FloatArray, shares: FloatArray) -> FloatArray:
        """Return the log of each map's share of the mixture's density (map, node)."""
        parts = [transport.log_density(nodes) for transport in self.maps]
        return np.asarray(np.log(shares)[:, None] + np.nan_to_num(np.array(parts), nan=-np.inf))


def integrate_by_mixture(
    log_density: BatchLogDensity, maps: Sequence[Transport], effective_target: float
) -> WeightedNodes:
    """Adapt a mixture that starts as ``maps``, then evaluate as many nodes as the target takes.

    The effective size is at least ``effective_target`` unless 131,072 nodes do not reach that, which the caller reads
    from the result. Where weights stand out among that many nodes the mixture is adapted to these and tried again.
    """
    mixture, efficiency, n_evaluations = _adapt(log_density, MapMixture(tuple(maps), np.full(len(maps), 1 / len(maps))))
    best: WeightedNodes | None = None
    for _ in range(_MOST_TRIES):
        sample = _reach(log_density, mixture, efficiency, effective_target)
        n_evaluations += len(sample.nodes)
        if best is None or _standing_out(sample).sum() < _standing_out(best).sum():
            best = sample
        if sample.pareto_k < _ENOUGH_PARETO_K and _standing_out(sample).sum() < _ENOUGH_IN:
            break
        mixture, efficiency = _refit(mixture, sample), sample.effective_size / len(sample.nodes)
    return replace(best or sample, n_evaluations=n_evaluations)


def _standing_out(sample: WeightedNodes) -> FloatArray:
    """Return how much of each weight (node,) lies above three times the mean: mass that the mixture does not reach."""
    return np.maximum(sample.weights - _OUTSTANDING / len(sample.weights), 0.0)


def _reach(
    log_density: BatchLogDensity, mixture: MapMixture, efficiency: float, effective_target: float
) -> WeightedNodes:
    """Evaluate nodes until they have the effective size that is wanted."""
    wanted = min(effective_target / max(0.9 * efficiency, 1e-3), float(_MAX_NODES))
    sample = mixture.sample(log_density, int(max(wanted, _PILOT)), _FRESH)
    while sample.effective_size < effective_target and len(sample.nodes) < _MAX_NODES:
        more = mixture.sample(log_density, len(sample.nodes), _FRESH + _GOLDEN * len(sample.nodes) / _PILOT)
        sample = join_samples(sample, more)
    return sample


def _adapt(log_density: BatchLogDensity, mixture: MapMixture) -> tuple[MapMixture, float, int]:
    """Refit and add maps until no weight stands out; return the best mixture seen, its efficiency and the evaluations.

    The best is that of the least Pareto-k among those that are nearly as efficient as any.
    """
    dimension = len(mixture.maps[0].centre)
    n_pilot = _PILOT + _PILOT_A_DIMENSION * dimension
    seen: list[tuple[MapMixture, float, float]] = []
    n_evaluations = 0
    for k in range(_MAX_ROUNDS):
        sample = mixture.sample(log_density, n_pilot, _GOLDEN * k)
        n_evaluations += len(sample.nodes)
        efficiency = sample.effective_size / len(sample.nodes)
        seen.append((mixture, efficiency, sample.pareto_k))
        if sample.pareto_k < _GOOD_PARETO_K and efficiency > _GOOD_EFFICIENCY:
            lines = follow_lines(log_density, sample)
            n_evaluations += lines.n_evaluations
            if lines.missed < _MOST_MISSED or len(mixture.maps) >= _MOST_MAPS:
                break
            seen.clear()  # whatever their weights, they are of a part of the density
            mixture = _refit(_join(mixture, lines), sample)
            continue
        mixture = _refit(mixture, sample)
    enough = 0.7 * max(efficiency for _, efficiency, _ in seen)
    best = min((each for each in seen if each[1] >= enough), key=lambda each: each[2])
    return best[0], best[1], n_evaluations


def _join(mixture: MapMixture, lines: Lines) -> MapMixture:
    """Add maps where lines found the density to go on beyond the nodes."""
    maps = tuple(affine_map(mean, covariance) for mean, covariance in lines.beyond)
    shares = np.concatenate([mixture.shares, np.full(len(maps), _SHARE_OF_NEW)])
    return MapMixture(mixture.maps + maps, shares / shares.sum())


def _refit(mixture: MapMixture, sample: WeightedNodes) -> MapMixture:
    """Fit every map to the points it is responsible for, and one more to those that stand out."""
    parts = mixture.log_densities(sample.nodes, mixture.shares)
    responsible = np.exp(parts - np.logaddexp.reduce(parts, axis=0))
    standing_out = _standing_out(sample)
    lost = float(standing_out.sum())
    adds = lost > _NEGLIGIBLE and len(mixture.maps) < _MOST_MAPS
    tempered = temper(sample.weights)
    maps, shares = [], []
    for transport, own in zip(mixture.maps, responsible, strict=True):
        found = _fit(sample.nodes, tempered * own)
        maps.append(transport if found is None else found)
        shares.append(float(sample.weights @ own))
    if adds:
        found = _fit(sample.nodes, tempered * (standing_out > 0.0))
        if found is not None:
            maps.append(found)
            shares.append(max(lost, _SHARE_OF_NEW))
    return MapMixture(tuple(maps), np.maximum(np.array(shares) / sum(shares), 0.05))


def _fit(nodes: FloatArray, weights: FloatArray) -> Transport | None:
    """Fit a map to weighted points; None where too few of them count."""
    total = float(weights.sum())
    if not total > 0.0:
        return None
    weights = weights / total
    if effective_sample_size(weights) < 2.0 * nodes.shape[1] + 2.0:
        return None
    try:
        return fit_to_points(nodes, weights, turned=True)
    except np.linalg.LinAlgError:
        return None

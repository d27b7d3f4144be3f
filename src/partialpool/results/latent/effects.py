"""Groups' effects summarised over the nodes: on the linear predictor's scale and on the response's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from partialpool.errors import ComputationError
from partialpool.inference.conjugate.marginal import ConjugateMarginal
from partialpool.inference.contract import ConditionalTables, LatentMarginal
from partialpool.inference.hyper.hyper_posterior import HyperPosterior, resample_nodes
from partialpool.inference.hyper.mixture import EffectsSummary, MixtureSummary, choose_nodes
from partialpool.inference.quadrature.own_sigma import OwnSigmaMarginal
from partialpool.inference.quadrature.support_marginal import FittedMarginal
from partialpool.models.own_sigma import count_sigma_moments
from partialpool.models.propriety.response_tails import count_group_moments
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.mixtures.table_mixture import table_moments, table_quantiles
from partialpool.numerics.progress import track
from partialpool.numerics.sampling.node_subset import NodeSubset

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

# Numbers of tables (class, node, point) that all nodes may take, and the fewest and most nodes taken.
_WORK = 2**24
_NODES = (24, 8192)
# Seconds that tables may take, and that they may where nodes would be fewer than enough otherwise.
_SECONDS, _MOST_SECONDS, _ENOUGH = 0.5, 4.0, 1024.0
_POINTS = 41
# Nodes that carry the shape of a quantile, and the difference of sds up to which location and scale come from all
# nodes.
_SHAPE_NODES, _LARGEST_RELOCATION = 1024, 0.04
# Those that tables of groups have where no others are asked for.
_QUANTILES = (0.05, 0.5, 0.95)
# Numbers of a block's tables (class, node, point), which with their temporaries take 100 MB.
_BLOCK = 2**20
# Sizes of a lattice of hyperparameters, and how much its halves may differ from it, in sds of the worst class.
# Quantiles are meant to be right to 0.03; few nodes agree by chance (64 for twelve hospitals: halves within 0.02, the
# worst quantile 0.025 off; 128 for eight groups that hardly differ: the same). The last is what no number is given
# beyond. Few classes are not worth an attempt on few nodes.
_LATTICES = {16: 0.003, 64: 0.01, 256: 0.02, 512: 0.02, 1024: 0.1}
_FEW_CLASSES, _ENOUGH_FOR_FEW = 30, 256


class Nodes(NamedTuple):
    """Points and weights (node,) that stand for the hyperparameters' posterior."""

    points: HyperPoints
    weights: FloatArray


def gather_nodes(hyper: HyperPosterior, seconds: float, n_items: int) -> Nodes:
    """Return as many nodes as tables of so many items, which take ``seconds`` a node, leave time and memory for."""
    by_time = max(_SECONDS / seconds, min(_ENOUGH, _MOST_SECONDS / seconds))
    at_most = int(np.clip(min(by_time, _WORK / (_POINTS * max(n_items, 1))), *_NODES))
    subset = choose_nodes(hyper, at_most)
    if len(subset.nodes) > 2 * at_most:
        # equal weights by systematic resampling: nodes of a grid lie in order
        index = np.sort(resample_nodes(subset.weights, 2 * at_most, np.random.default_rng(0)))
        chosen, times = np.unique(index, return_counts=True)
        subset = NodeSubset(subset.nodes[chosen], times / times.sum())
    return Nodes(hyper.points.select(subset.nodes), subset.weights)


class Held(NamedTuple):
    """Nodes, and the marginal likelihood with what all tables at them share."""

    nodes: Nodes
    marginal: LatentMarginal


def hold_nodes(posterior: Fitted, factors: Iterable[int]) -> Sequence[Held | None]:
    """Return for each factor the nodes of its tables; factors that have the same share what is held of them. None where
    a table measures how many it needs."""
    if posterior.hyper.is_periodic:
        return [None for _ in factors]
    made: list[Held] = []
    for factor in factors:
        marginal = posterior.latent
        nodes = gather_nodes(posterior.hyper, marginal.table_seconds(factor), int(marginal.class_of(factor).max()) + 1)
        same = next((held for held in made if _are_same(held.nodes, nodes)), None)
        made.append(Held(nodes, marginal.hold(nodes.points)) if same is None else same)
    return made


def _are_same(one: Nodes, other: Nodes) -> bool:
    roots = one.points.effect_root, other.points.effect_root
    return np.array_equal(one.weights, other.weights) and np.array_equal(*roots)


def summarise_latent_effects(
    posterior: Fitted, factor: int, kinds: Sequence[str], probabilities: FloatArray
) -> MixtureSummary:
    """Summarise every effect of every group of a factor, (kind * effect, group)."""
    return summarise_with_weights(posterior, factor, kinds, probabilities).summary


def summarise_with_weights(
    posterior: Fitted,
    factor: int,
    kinds: Sequence[str],
    probabilities: FloatArray,
    held: Held | None = None,
) -> EffectsSummary:
    """Summarise every effect of every group of a factor, with its pooling weight: each class once. ``held`` are the
    factor's nodes where they have been chosen with those of others."""
    if isinstance(posterior.latent, ConjugateMarginal):
        return _summarise_pairs(posterior, posterior.latent, kinds, probabilities)
    held = hold_nodes(posterior, [factor])[0] if held is None else held
    if held is not None:
        return _summarise_at(posterior, factor, kinds, probabilities, held)
    return _summarise_until_still(posterior, factor, kinds, probabilities)


def _summarise_until_still(
    posterior: Fitted, factor: int, kinds: Sequence[str], probabilities: FloatArray
) -> EffectsSummary:
    """Summarise over as many nodes of a lattice as the accuracy asks for: twice as many until its two halves
    differ by little in every class's mean, sd and quantiles."""
    hyper = posterior.hyper
    # whatever quantiles are asked for, so that tables and pictures of the same groups have the same nodes
    levels = np.union1d(probabilities, _QUANTILES)
    few = int(posterior.latent.class_of(factor).max()) < _FEW_CLASSES
    for n_nodes, tolerance in _LATTICES.items():
        if few and n_nodes < _ENOUGH_FOR_FEW:
            continue
        points, weights = hyper.thin(n_nodes)
        held = Held(Nodes(points, weights), posterior.latent.hold(points))
        with suppress(_Coarse):
            found = _summarise_at(posterior, factor, kinds, levels, held, tolerance)
            quantiles = found.summary.quantiles[..., np.searchsorted(levels, probabilities)]
            return found._replace(summary=found.summary._replace(quantiles=quantiles))
    raise ComputationError(
        f"the tables of groups do not become accurate on {max(_LATTICES)} nodes of the hyperparameters: give more "
        "informative priors, above all for the population's sd"
    )


class _Coarse(Exception):
    """The halves of a lattice differ."""


def _summarise_at(
    posterior: Fitted,
    factor: int,
    kinds: Sequence[str],
    probabilities: FloatArray,
    held: Held,
    tolerance: float = np.inf,
) -> EffectsSummary:
    """Summarise over some nodes; raises ``_Coarse`` where their halves differ by more than the tolerance."""
    nodes, marginal = held
    class_of = marginal.class_of(factor)
    n_effects, n_classes = len(posterior.latent_model.groups[factor].names), int(class_of.max()) + 1
    shape = (len(kinds), n_effects, n_classes)
    mean, sd = np.empty(shape), np.empty(shape)
    quantiles = np.empty((*shape, len(probabilities)))
    weights = np.empty((n_effects, n_classes))
    own = posterior.own_values(nodes.points, factor)
    whole = isinstance(marginal, FittedMarginal)
    spread = marginal.prior_spreads(nodes.points, factor)
    step = max(1, _BLOCK // (len(nodes.weights) * _POINTS))
    for effect in range(n_effects):
        for start in track(range(0, n_classes, step), "summarising groups"):
            part = slice(start, min(start + step, n_classes))
            classes = np.arange(part.start, part.stop, dtype=np.intp)
            tables = marginal.tables(nodes.points, factor, effect, classes)
            if tolerance < np.inf:
                _check_numbers(tables)
            weights[effect, part] = _weigh(tables, nodes.weights, spread[effect], whole)
            for k, kind in enumerate(kinds):
                if kind == "sigma" and isinstance(marginal, OwnSigmaMarginal):
                    shifted = marginal.sigma_tables(nodes.points, classes)
                else:
                    shifted = tables if kind == "u" else tables.shift(own[effect])
                found = summarise_tables(posterior, shifted, nodes.weights, probabilities, kind)
                if (
                    tolerance < np.inf
                    and _differ(posterior, shifted, found, nodes.weights, probabilities, kind) > tolerance
                ):
                    raise _Coarse
                mean[k, effect, part], sd[k, effect, part], quantiles[k, effect, part] = found
    rows = len(kinds) * n_effects
    existing = np.repeat([_count_moments(posterior, factor, kind) for kind in kinds], n_effects, axis=0)
    on_response = np.repeat([kind not in ("u", "theta") for kind in kinds], n_effects)[:, None]
    summary = MixtureSummary(
        np.where(on_response & (existing < 1), np.nan, mean.reshape(rows, n_classes)[:, class_of]),
        np.where(on_response & (existing < 2), np.nan, sd.reshape(rows, n_classes)[:, class_of]),
        quantiles.reshape(rows, n_classes, -1)[:, class_of],
    )
    return EffectsSummary(summary, weights[:, class_of])


def _check_numbers(tables: ConditionalTables) -> None:
    if not (np.isfinite(tables.density).all() and np.isfinite(tables.centre).all()):
        raise ComputationError(
            "the conditional density of some group's own value is no number at some node of the hyperparameters: "
            "give more informative priors"
        )


def _differ(
    posterior: Fitted,
    tables: ConditionalTables,
    found: tuple[FloatArray, FloatArray, FloatArray],
    weights: FloatArray,
    probabilities: FloatArray,
    kind: str,
) -> float:
    """Return the largest difference, in sds, of what the two halves of a lattice of nodes give from what the whole
    gives; infinite where that is finite and a half's is none."""
    whole = np.concatenate([found[0][:, None], found[1][:, None], found[2]], axis=1)
    scale = found[1]
    if len(probabilities) > 1:  # an sd that does not exist is no unit
        scale = np.where(np.isfinite(scale), scale, np.ptp(found[2], axis=1))
    n_nodes, worst = len(weights), 0.0
    for first in (0, 1):
        own = np.arange(tables.centre.shape[1], dtype=np.intp).reshape(n_nodes, -1)[first::2].ravel()
        share = weights[first::2] / weights[first::2].sum()
        half = summarise_tables(posterior, tables.at_nodes(own), share, probabilities, kind)
        parts = np.concatenate([half[0][:, None], half[1][:, None], half[2]], axis=1)
        apart = np.abs(parts - whole) / np.where(scale > 0.0, scale, np.inf)[:, None]
        worst = np.fmax(worst, np.max(np.where(np.isfinite(whole), np.where(np.isnan(apart), np.inf, apart), 0.0)))
    return float(worst)


def _count_moments(posterior: Fitted, factor: int, kind: str) -> IntArray:
    """Count the moments (group,) of groups' own values, or sigmas."""
    return count_sigma_moments(posterior.latent_model) if kind == "sigma" else count_own_moments(posterior, factor)


def summarise_by_default(posterior: Fitted) -> tuple[EffectsSummary, ...]:
    """Summarise every factor's deviations and, on the response's scale where there is one, its groups' own values."""
    factors = range(len(posterior.latent_model.groups))
    kinds = [("u", _default_kind(posterior, factor)) for factor in factors]
    held, levels = hold_nodes(posterior, factors), np.array(_QUANTILES)
    return tuple(summarise_with_weights(posterior, k, kinds[k], levels, held[k]) for k in factors)


def summarise_latent_values(posterior: Fitted, factor: int, kind: str, probabilities: FloatArray) -> EffectsSummary:
    """Summarise groups' own values. With several factors raw estimates ask for the effects of all, so that what tables
    have by default is computed once, with these."""
    by_default = kind == _default_kind(posterior, factor) and set(probabilities.tolist()) <= set(_QUANTILES)
    if len(posterior.latent_model.groups) == 1 or not by_default:
        return summarise_with_weights(posterior, factor, (kind,), probabilities)
    found, n_effects = posterior.effect_summaries[factor], len(posterior.latent_model.groups[factor].names)
    places = [_QUANTILES.index(level) for level in probabilities.tolist()]
    own = MixtureSummary(*(part[n_effects:] for part in found.summary))
    return EffectsSummary(own._replace(quantiles=own.quantiles[..., places]), found.weights)


def _default_kind(posterior: Fitted, factor: int) -> str:
    """Return what a table has of groups where no scale is asked for."""
    alone = posterior.latent_model.groups[factor].names == ("Intercept",)
    return posterior.latent_model.family.response_name if alone else "theta"


def count_own_moments(posterior: Fitted, factor: int) -> IntArray:
    """Count the moments (group,) that exist of groups' own values on the response's scale; of estimates, all."""
    if posterior.plug_in:
        return np.full(posterior.latent_model.groups[factor].n_levels, 2)
    return count_group_moments(posterior.latent_model, factor)


def _summarise_pairs(
    posterior: Fitted, marginal: ConjugateMarginal, kinds: Sequence[str], probabilities: FloatArray
) -> EffectsSummary:
    """Summarise conjugate groups, whose own values are mixtures of betas or gammas over the nodes."""
    class_of = marginal.class_of(0)
    nodes = gather_nodes(posterior.hyper, marginal.table_seconds(0), len(marginal.pairs.values))
    found = marginal.summarise(nodes.points, nodes.weights, probabilities)
    linear = (found.linear_mean, found.linear_sd, found.linear_quantiles)
    own = (found.mean, found.sd, found.quantiles)
    chosen = [linear if kind == "theta" else own for kind in kinds]
    summary = MixtureSummary(*(np.stack(part)[:, class_of] for part in zip(*chosen, strict=True)))
    return EffectsSummary(summary, found.pooling[None, class_of])


def _weigh(tables: ConditionalTables, weights: FloatArray, spread: FloatArray, whole: bool) -> FloatArray:
    """Return the effective pooling weights (item,) from conditional densities and the population's variance (node,);
    ``whole`` where the parts of a node are those of a population, whose variance all of them make up."""
    if whole:
        _, sd = table_moments(tables.shares(weights), tables.density, tables.values)
        population = float(spread[0])  # 0 where the data's best population is one point
        return np.asarray(1.0 - np.minimum(sd**2 / population, 1.0)) if population > 0.0 else np.zeros(len(sd))
    variance = _vary_within_nodes(tables, len(weights))
    ratio = np.where(spread > 0.0, variance / np.maximum(spread, 1e-300), 1.0)
    return np.asarray(np.sum(weights * (1.0 - np.minimum(ratio, 1.0)), axis=1))


def _vary_within_nodes(tables: ConditionalTables, n_nodes: int) -> FloatArray:
    """Return the variances (item, node) given the hyperparameters: those within a node's parts and that between
    them."""
    values = tables.values
    given = np.sum(tables.density * values, axis=-1)
    within = np.sum(tables.density * (values - given[..., None]) ** 2, axis=-1)
    if tables.node_weights is None:
        return np.asarray(within)
    given, within, share = (part.reshape(len(part), n_nodes, -1) for part in (given, within, tables.node_weights))
    centre = np.sum(share * given, axis=-1, keepdims=True)
    return np.asarray(np.sum(share * (within + (given - centre) ** 2), axis=-1))


def summarise_tables(
    posterior: Fitted,
    tables: ConditionalTables,
    weights: FloatArray,
    probabilities: FloatArray,
    kind: str,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean, sd (item,) and quantiles (item, probability) of tabulated numbers, those of ``kind`` 'u' and 'theta'
    as they are, 'sigma' from its log, others on the response's scale."""
    shares = tables.shares(weights)
    on_response = kind not in ("u", "theta")
    to_response = np.exp if kind == "sigma" else posterior.to_response
    values = to_response(tables.values) if on_response else tables.values
    mean, sd = table_moments(shares, tables.density, values)
    quantiles = np.empty((len(mean), 0))
    if len(probabilities):
        ordered = probabilities
        if on_response and kind != "sigma" and not posterior.rises:
            ordered = 1.0 - probabilities
        quantiles = _quantiles(tables, shares, ordered, shares.shape[1] // len(weights))
        quantiles = to_response(quantiles) if on_response else quantiles
    return mean, sd, quantiles


def _quantiles(tables: ConditionalTables, shares: FloatArray, probabilities: FloatArray, n_parts: int) -> FloatArray:
    """Return quantiles (item, probability) from fewer nodes, their location and scale from all.

    Nodes have ``n_parts`` parts each, next to each other: all of them are kept of a node that is.
    """
    n_nodes = shares.shape[1] // n_parts
    stride = -(-n_nodes // _SHAPE_NODES) if len(tables.z) > 1 else 1
    some = np.arange(n_nodes * n_parts, dtype=np.intp).reshape(n_nodes, n_parts)[::stride].ravel()
    weights = shares[:, some] / shares[:, some].sum(axis=1, keepdims=True)
    bend = None if tables.stretch is None else tables.stretch[:, some]
    density = tables.density[:, some]
    parts = (tables.centre[:, some], tables.scale[:, some], density)
    quantiles = table_quantiles(weights, tables.z, *parts, probabilities, bend)
    if stride == 1:
        return quantiles
    mean, sd = table_moments(shares, tables.density, tables.values)
    shape_mean, shape_sd = table_moments(weights, density, tables.values[:, some])
    ratio = np.where(shape_sd > 0.0, sd / np.where(shape_sd > 0.0, shape_sd, 1.0), 1.0)[:, None]
    moved = mean[:, None] + (quantiles - shape_mean[:, None]) * ratio
    return np.where(np.abs(ratio - 1.0) < _LARGEST_RELOCATION, moved, quantiles)

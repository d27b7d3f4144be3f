"""The hyperparameters' posterior by importance sampling on a lattice, the likelihood evaluated at every node.

| in turn, until one is reliable | nodes |
| --- | --- |
| where a guide is known | a lattice through a map adapted to the guide |
| in the chart that the priors are stated in, then in the other where there is one | a lattice through a map |
| the same, from every mode that is found | a mixture of t densities: regions, a core on a shelf, a thin ridge |
| the same | a lattice through a map, four times the pilot |

Reliable is what has a Pareto-k of at most 0.5 and the effective draws that are wanted, whose half lattices agree (in
quantiles as well where evaluations are cheap), and which covers the density: followed along lines it must not go on
where the nodes end. After the first more draws are wanted where they are cheap. The last resort is the best attempt
with a Pareto-k of at most 0.7 of those that cover the density. The certificate says why the routes before were left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from partialpool.errors import AccuracyWarning, ComputationError, warn_user
from partialpool.inference.engine import Engine
from partialpool.inference.hyper_posterior import (
    HyperMarginal,
    HyperPosterior,
    gather_weightless,
    log_posterior,
)
from partialpool.inference.node_faults import QuantileError, find_missed_region, measure_quantiles
from partialpool.models.hyperspace import Chart, HyperSpace
from partialpool.numerics.arrays import BatchLogDensity
from partialpool.numerics.coverage import follow_lines
from partialpool.numerics.importance import WeightedNodes, integrate_by_importance
from partialpool.numerics.mixture_importance import integrate_by_mixture
from partialpool.numerics.mode import Mode, distinct_modes, find_mode, find_modes
from partialpool.numerics.shelves import Edge, Shelf, find_shelves
from partialpool.numerics.transport import fit_to_curvature

# Where evaluations are cheap the nodes are worth up to twice the independent draws that the accuracy asks for, because
# an sd far out in its tail is then still right to 1 %.
_MOST_EXTRA = 2.0
_CHEAP_WORK = 9e5
# The same where a first route was left: tails are long there, and mixtures lack the evenness of one lattice. Of slopes
# in 16 groups of three rows under HalfCauchy priors 118,000 effective draws leave a 95 % quantile 0.02 sds uncertain.
_HARD_WORK, _HARD_EXTRA = 9e6, 4.0
# Seconds that evaluations take which are always worth it where quantiles are rough.
_MORE_SECONDS = 0.7
# Where evaluations are dearer than this the climb begins at the best start alone: five take a tenth of a lattice's.
_MODES_WORK = 1e8
# Above 0.7 Pareto-k says that importance weights do not give a reliable answer, below 0.5 that their variance is finite
# (Vehtari et al. 2024, section 3); between them another route is tried before settling.
_MAX_PARETO_K = 0.7
_GOOD_PARETO_K = 0.5
# A map of whose nodes less are effective does not fit: with Pareto-k 0.29 and 25,000 effective draws of 65,536 nodes
# a 95 % quantile was 0.1 sds off.
_LEAST_EFFICIENCY = 0.5
_LEAST_EFFECTIVE = 400.0
# Share of a line through the middle of the density beyond the reach of the nodes: a normal that is covered has 0.0002,
# a core whose shelf of 3 % is not seen 0.03, a normal whose nodes are half as wide 0.06, ridges sampled in part 0.9 and
# more. Above the first another route is tried, above the second none is taken.
_GOOD_MISSED, _MOST_MISSED = 0.001, 0.02
# The former as a share of the error that is asked for, where that is large.
_MISSED_OF_ERROR = 0.05
# Half the difference of the two half lattices' means, in sds, that goes without a warning.
_MAX_HALF_DIFFERENCE = 0.02
# Standard error of a quantile, in sds, that goes without a warning.
_MAX_ROUGH = 0.1
# The same of quantiles: the tail of an sd under a HalfCauchy prior that few rows bound was 0.2 sds off at its 95 %
# quantile with 17,600 effective draws, which the means do not show.
# A lattice is doubled, where evaluations are cheap, while it is not even; it is left where it stays rougher than this
# by a factor. Few draws asked for differ by chance: by so many sds over the root of their number.
_EVEN, _BY_CHANCE = 0.0225, 1.5
_ROUGHER = 2.0
# Standard error of a normal's 95 % quantile, in sds, times the root of the number of draws.
_SORTED = 2.1
# An attempt with this much less in log mass than another misses a region: of 4,000 effective draws the log mass is
# uncertain by 0.01. Of slopes in five groups a map with Pareto-k 0.47 had 0.2 less: a 95 % quantile was 2.7 sds off.
_LESS_MASS = 0.05
# Weight of the lowest nodes of a log sd that are not counted as reach.
_CARRIED = 1e-4
# Sds below a mode from which a shelf begins.
_FLANK = 3.0
_QUANTILES = "quantiles' error (sd)"
_MIXED = "importance sampling from a mixture"
_HALVES = (slice(0, None, 2), slice(1, None, 2))


class _Route(NamedTuple):
    """A row of the table: a name for the certificate, the space in one of its charts, its modes, and what proposes
    nodes."""

    name: str
    space: HyperSpace
    modes: tuple[Mode, ...] = ()
    mixed: bool = False
    pilots: int = 1
    guide: BatchLogDensity | None = None


def integrate_exactly(
    space: HyperSpace, marginal: HyperMarginal, accuracy: float, guide: BatchLogDensity | None = None
) -> HyperPosterior:
    """Take the routes of the table above in turn until one is reliable.

    ``guide`` is a cheap density near the posterior's in the first chart. Raises ``ComputationError`` where no route is
    reliable.
    """
    attempts: list[HyperPosterior] = []
    failure, left = None, ""
    target = _effective_target(marginal, accuracy)
    more = _raise_target(marginal, target)
    draws = (target, more), (more, 2.0 * more if more > target else more)  # at first, and once a route was left
    several = _MODES_WORK / (20.0 + marginal.work) > target
    modes = _find_all_modes(space, marginal, every_chart=more > target) if several and guide is None else {}
    for route in _list_routes(space, guide, modes):
        try:
            attempt = _sample(route, marginal, *draws[bool(left)])
        except ComputationError as error:
            failure, left = error, left or f"{route.name} was left: {error}"
            continue
        reason = _find_fault(attempt, target) or find_missed_region(attempt, space, modes) or _lacks(attempt, attempts)
        if not reason and more > target and attempt.engine.evidence[_QUANTILES] > _ROUGHER * _allowed_error(target):
            reason = f"quantiles with an error of {attempt.engine.evidence[_QUANTILES]:.2f} sds"
        if reason:
            left = left or f"{route.name} was left: {reason}"
            attempts.append(attempt)
            continue
        return _note(attempt, left)
    if not attempts and failure is not None:
        raise failure
    best = _choose(attempts)
    _check_reliable(best)
    _warn_if_short(best, target)
    return _note(best, left)


def take_grid_first(
    by_grid: Callable[[], HyperPosterior], space: HyperSpace, marginal: HyperMarginal, accuracy: float
) -> HyperPosterior:
    """Integrate ``by_grid``, or where that fails as ``integrate_exactly`` does; the grid's failure is raised if that
    fails too."""
    try:
        return by_grid()
    except ComputationError as failure:
        try:
            found = integrate_exactly(space, marginal, accuracy)
        except ComputationError:
            raise failure from None
        return _note(found, f"an adaptive grid was left: {failure}")


def _find_all_modes(space: HyperSpace, marginal: HyperMarginal, every_chart: bool) -> dict[Chart, tuple[Mode, ...]]:
    """Climb from every start, in the first chart, and in the centred one where that is another: regions that only a
    steep ridge leads to in natural coordinates are round there; then in each from the other's modes. A chart without a
    mode is left out."""
    found: dict[Chart, tuple[Mode, ...]] = {}
    charts = space.charts if every_chart and space.charts[0] == "natural" else space.charts[:1]
    for chart in charts:
        charted = space.in_chart(chart)
        with suppress(ComputationError):
            found[chart] = find_modes(log_posterior(charted, marginal), charted.starts())
    return {chart: _join_modes(space, marginal, chart, found) for chart in charts if any(found.values())}


def _join_modes(
    space: HyperSpace, marginal: HyperMarginal, chart: Chart, found: Mapping[Chart, tuple[Mode, ...]]
) -> tuple[Mode, ...]:
    """Return the modes of a chart with those that climbs from the other's lead to."""
    charted = space.in_chart(chart)
    moved = [
        space.in_chart(other).move_into(charted, mode.location[None])
        for other, modes in found.items()
        for mode in modes
        if other != chart
    ]
    starts = np.array([start[0] for start in moved if np.isfinite(start).all()]).reshape(-1, charted.dimension)
    known = found.get(chart, ())
    with suppress(ComputationError):
        known = (*known, *(find_modes(log_posterior(charted, marginal), starts) if len(starts) else ()))
    return distinct_modes(known)


def _list_routes(
    space: HyperSpace, guide: BatchLogDensity | None, modes: Mapping[Chart, tuple[Mode, ...]]
) -> Iterator[_Route]:
    charts = [(chart, space.in_chart(chart)) for chart in space.charts]
    if guide is not None:
        yield _Route("a map adapted to a surrogate", charts[0][1], guide=guide)
    for chart, charted in charts:
        name = "one map" if len(charts) == 1 else f"one map in {chart} coordinates"
        yield _Route(name, charted, modes.get(chart, ()))
    for chart, charted in charts:
        yield _Route(f"a mixture in {chart} coordinates", charted, modes.get(chart, ()), mixed=True)
    for chart, charted in charts:
        yield _Route(f"one map in {chart} coordinates, larger pilots", charted, modes.get(chart, ()), pilots=4)


def _sample(route: _Route, marginal: HyperMarginal, target: float, most: float) -> HyperPosterior:
    """Take a route until its nodes are worth ``target`` draws, or up to ``most`` where that evens quantiles out."""
    log_density = log_posterior(route.space, marginal)

    error = QuantileError(np.inf, "")

    def rough(sample: WeightedNodes) -> bool:
        nonlocal error
        error = measure_quantiles(route.space, sample.nodes, sample.weights)
        affordable = most > target and sample.effective_size <= 0.6 * most
        return affordable and error.error > _allowed_error(target)

    modes = route.modes
    if not modes and route.guide is None:
        starts = route.space.starts()
        modes = find_modes(log_density, starts) if route.mixed else (find_mode(log_density, starts),)
    if route.mixed:
        n_before = sum(mode.n_evaluations for mode in modes)
        maps = [fit_to_curvature(log_density, mode) for mode in modes]
        shelves, n_shelves = _shelves_below(route.space, log_density, _heaviest(modes))
        maps += [shelf.to_map() for shelf in shelves]
        n_before += n_shelves
        sample = integrate_by_mixture(log_density, maps, target, rough)
    else:
        mode = _heaviest(modes) if route.guide is None else find_mode(route.guide, route.space.starts())
        n_before = sum(each.n_evaluations for each in modes)
        first = (_SORTED / _allowed_error(target)) ** 2 if most > target else target
        sample = integrate_by_importance(
            log_density, mode, target, pilots=route.pilots, guide=route.guide, rough=rough, first=first
        )
    if not error.name:
        error = measure_quantiles(route.space, sample.nodes, sample.weights)
    lines = follow_lines(log_density, sample)
    shelves, n_shelves = find_shelves(log_density, _list_edges(route.space, sample))
    on_shelves = sum(float(np.exp(min(shelf.log_mass - sample.log_integral, 0.0))) for shelf in shelves)
    unseen = max(lines.missed, sample.unreached, on_shelves)
    return _from_importance(route, sample, unseen, error.error, n_before + lines.n_evaluations + n_shelves)


def _allowed_error(target: float) -> float:
    """Return the standard error of quantiles, in sds, that the wanted draws are meant to have."""
    return max(_EVEN, _BY_CHANCE / float(np.sqrt(target)))


def _shelves_below(space: HyperSpace, log_density: BatchLogDensity, mode: Mode) -> tuple[list[Shelf], int]:
    """Return the shelves below a mode, from three of its sds on, and the points evaluated."""
    sds = np.sqrt(np.diag(np.linalg.inv(mode.precision)))
    axes = _scale_axes(space)
    edges = [Edge(axis, float(mode.location[axis] - _FLANK * sds[axis]), mode.location) for axis in axes]
    return find_shelves(log_density, edges)


def _scale_axes(space: HyperSpace) -> list[int]:
    """Return the coordinates of the effects' log sds."""
    return [axis for k in range(len(space.effect_sds)) if (axis := space.axis_of(k)) is not None]


def _list_edges(space: HyperSpace, sample: WeightedNodes) -> list[Edge]:
    """Return the edge of every effect's log sd: how far down the nodes go that carry all but a ten-thousandth."""
    edges, middle = [], sample.weights @ sample.nodes
    for axis in _scale_axes(space):
        order = np.argsort(sample.nodes[:, axis])
        place = int(np.searchsorted(np.cumsum(sample.weights[order]), _CARRIED))
        edges.append(Edge(axis, float(sample.nodes[order[place], axis]), middle))
    return edges


def _find_fault(posterior: HyperPosterior, target: float) -> str:
    """Say why an attempt is not the answer yet; nothing where it is."""
    evidence = posterior.engine.evidence
    # asked this way round, evidence that is NaN is a fault as well
    if not evidence["unseen share"] <= max(_GOOD_MISSED, _MISSED_OF_ERROR / float(np.sqrt(target))):
        return f"the nodes cover only a part of the density (unseen share {evidence['unseen share']:.2g})"
    if not evidence["Pareto-k"] <= _GOOD_PARETO_K:
        return f"Pareto-k {evidence['Pareto-k']:.2f}"
    if not _is_efficient(posterior):
        return f"{evidence['effective draws']:.0f} effective draws in {evidence['nodes']:.0f} nodes"
    if not evidence["effective draws"] >= target:
        return f"{evidence['effective draws']:.0f} effective draws of {target:.0f}"
    if not evidence["half-lattice difference (sd)"] <= _MAX_HALF_DIFFERENCE:
        return f"half lattices that differ by {evidence['half-lattice difference (sd)']:.2f} sds"
    return ""


def _heaviest(modes: Sequence[Mode]) -> Mode:
    """Return the mode that stands for the most mass: in a corner a higher one may stand for none."""
    return max(modes, key=lambda mode: mode.log_mass)


def _lacks(attempt: HyperPosterior, before: Sequence[HyperPosterior]) -> str:
    """Say that an attempt before found more mass, where one did whose weights can be trusted."""
    most = max((each.log_marginal_likelihood for each in before if _is_reliable(each)), default=-np.inf)
    lacking = most - attempt.log_marginal_likelihood
    return f"{100.0 * -np.expm1(-lacking):.0f} % less mass than another" if lacking > _LESS_MASS else ""


def _choose(attempts: Sequence[HyperPosterior]) -> HyperPosterior:
    """Return the best of attempts none of which was accepted: one that misses mass that another found is not."""
    reliable = [each.log_marginal_likelihood for each in attempts if _is_reliable(each)]
    most = max(reliable, default=-np.inf)
    whole = [each for each in attempts if each.log_marginal_likelihood > most - _LESS_MASS]
    return min(whole or attempts, key=_rank)


def _rank(posterior: HyperPosterior) -> tuple[bool, bool, bool, bool, float]:
    """Order attempts: reliable, whole, of a map that fits, of light tails, of many draws."""
    evidence = posterior.engine.evidence
    return (
        not _is_reliable(posterior),
        not evidence["unseen share"] <= _GOOD_MISSED,
        not _is_efficient(posterior),
        not evidence["Pareto-k"] <= _GOOD_PARETO_K,
        -evidence["effective draws"],
    )


def _is_efficient(posterior: HyperPosterior) -> bool:
    """Whether a map fits; a mixture is wide on purpose."""
    evidence = posterior.engine.evidence
    return posterior.engine.route == _MIXED or evidence["effective draws"] >= _LEAST_EFFICIENCY * evidence["nodes"]


def _is_reliable(posterior: HyperPosterior) -> bool:
    evidence = posterior.engine.evidence
    covers = evidence["unseen share"] <= _MOST_MISSED
    return covers and evidence["Pareto-k"] <= _MAX_PARETO_K and evidence["effective draws"] >= _LEAST_EFFECTIVE


def _note(posterior: HyperPosterior, left: str) -> HyperPosterior:
    return replace(posterior, engine=replace(posterior.engine, left=left))


def _effective_target(marginal: HyperMarginal, accuracy: float) -> float:
    """Return the effective size to reach, from the accuracy and the array elements that one evaluation touches."""
    enough = accuracy**-2.0
    return float(np.clip(_CHEAP_WORK / (20.0 + marginal.work), enough, _MOST_EXTRA * enough))


def _raise_target(marginal: HyperMarginal, target: float) -> float:
    """Return the effective size to reach at most: more than the target where evaluations are cheap, or take little
    time."""
    affordable = max(_HARD_WORK / (20.0 + marginal.work), _MORE_SECONDS / marginal.seconds)
    return target * float(np.clip(affordable / target, 1.0, _HARD_EXTRA))


def _check_reliable(posterior: HyperPosterior) -> None:
    if _is_reliable(posterior):
        return
    evidence = posterior.engine.evidence
    blocks = posterior.space.blocks
    simpler = ", or a simpler group term ((x || g) instead of (x | g))" if blocks else ""
    raise ComputationError(
        f"importance sampling over the {posterior.space.dimension} hyperparameters is not reliable (Pareto-k "
        f"{evidence['Pareto-k']:.2f}, effective draws {evidence['effective draws']:.0f} of {evidence['nodes']:.0f} "
        f"nodes, unseen share {evidence['unseen share']:.2f}): give more informative priors for the scales{simpler}"
    )


def _warn_if_short(posterior: HyperPosterior, target: float) -> None:
    """Warn where the integration is reliable but not as accurate as it is meant to be."""
    evidence = posterior.engine.evidence
    difference, rough = evidence["half-lattice difference (sd)"], evidence[_QUANTILES]
    if evidence["effective draws"] < target or difference > _MAX_HALF_DIFFERENCE or rough > _MAX_ROUGH:
        warn_user(
            f"the hyperparameters were integrated with {evidence['effective draws']:.0f} effective draws ({target:.0f} "
            f"are meant), Pareto-k {evidence['Pareto-k']:.2f}: means may be off by about {max(difference, 0.01):.2f} "
            f"posterior sds and 5 and 95 % quantiles by about {max(rough, 0.01):.2f}; more informative priors for the "
            "scales would sharpen them",
            AccuracyWarning,
        )


def _from_importance(
    route: _Route, sample: WeightedNodes, missed: float, quantile_error: float, n_beside: int
) -> HyperPosterior:
    evidence = {
        "nodes": float(len(sample.weights)),
        "effective draws": sample.effective_size,
        "Pareto-k": sample.pareto_k,
        "half-lattice difference (sd)": _half_difference(sample),
        _QUANTILES: quantile_error,
        "unseen share": missed,
        "evaluations": float(n_beside + sample.n_evaluations),
    }
    space = route.space
    reason = f"{space.dimension} hyperparameters, effects integrated out in closed form"
    name = _MIXED if route.mixed else "importance sampling on a lattice"
    engine = Engine(name, reason, evidence, "converged", sample.effective_size)
    nodes = gather_weightless(sample.nodes, sample.weights)
    return HyperPosterior(space, nodes, sample.weights, sample.log_integral, None, engine)


def _half_difference(sample: WeightedNodes) -> float:
    """Half the largest difference, in posterior sds, between the means that the two half lattices give."""
    if not all(sample.weights[half].sum() > 0.0 for half in _HALVES):
        return np.inf
    means = [np.average(sample.nodes[half], axis=0, weights=sample.weights[half]) for half in _HALVES]
    centre = sample.weights @ sample.nodes
    sd = np.sqrt(sample.weights @ (sample.nodes - centre) ** 2)
    return float(np.max(np.abs(means[0] - means[1]) / sd) / 2.0)

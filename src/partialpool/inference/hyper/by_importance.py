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

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from partialpool.errors import ComputationError
from partialpool.inference.hyper.attempts import (
    MIXED,
    QUANTILES_ERROR,
    Attempt,
    allowed_error,
    choose,
    find_fault,
    find_lacking_mass,
    warn_if_short,
)
from partialpool.inference.hyper.certificate import Engine
from partialpool.inference.hyper.hyper_posterior import (
    HyperMarginal,
    HyperPosterior,
    gather_weightless,
    log_posterior,
)
from partialpool.inference.hyper.node_faults import find_missed_region, measure_quantiles
from partialpool.models.space.hyperspace import Chart, HyperPoints, HyperSpace
from partialpool.numerics.arrays import BatchLogDensity, FloatArray
from partialpool.numerics.mode import Mode, distinct_modes, find_mode, find_modes
from partialpool.numerics.sampling.coverage import follow_lines
from partialpool.numerics.sampling.importance import WeightedNodes, integrate_by_importance
from partialpool.numerics.sampling.mixture_importance import integrate_by_mixture
from partialpool.numerics.sampling.shelves import Edge, Shelf, find_shelves
from partialpool.numerics.sampling.transport import fit_to_curvature

# Where evaluations are cheap the nodes are worth up to twice the independent draws that the accuracy asks for, because
# an sd far out in its tail is then still right to 1 %.
_MOST_EXTRA = 2.0
_CHEAP_WORK = 9e5
# The same where a first route was left: tails are long there, and mixtures lack the evenness of one lattice. Of slopes
# in 16 groups of three rows under HalfCauchy priors 118,000 effective draws leave a 95 % quantile 0.02 sds uncertain.
_HARD_WORK, _HARD_EXTRA = 9e6, 4.0
# Seconds that evaluations take which are always worth it where quantiles are rough.
_MORE_SECONDS = 0.35
# Nodes are doubled while they are worth less than this share of the draws that are affordable.
_DOUBLED = 0.6
# Where evaluations are dearer than this the climb begins at the best start alone: five take a tenth of a lattice's.
_MODES_WORK = 1e8
# Standard error of a normal's 95 % quantile, in sds, times the root of the number of draws.
_SORTED = 2.1
# Weight of the lowest nodes of a log sd that are not counted as reach.
_CARRIED = 1e-4
# Sds below a mode from which a shelf begins.
_FLANK = 3.0
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
    attempts: list[Attempt] = []
    failure, left = None, ""
    counted = _Counted(marginal)
    target = _effective_target(marginal, accuracy)
    more = target * float(np.clip(_HARD_WORK / (20.0 + marginal.work) / target, 1.0, _HARD_EXTRA))
    quick = target * float(np.clip(_MORE_SECONDS / marginal.seconds / target, 1.0, _HARD_EXTRA))
    # at first, and once a route was left
    draws = (target, max(more, quick)), (more, 2.0 * more if more > target else quick)
    several = _MODES_WORK / (20.0 + marginal.work) > target
    modes = _find_all_modes(space, counted, every_start=several) if guide is None else {}
    for route in _list_routes(space, guide, modes):
        try:
            posterior = _sample(route, counted, *draws[bool(left)])
        except ComputationError as error:
            failure, left = error, left or f"{route.name} was left: {_cause(error)}"
            continue
        missed = find_missed_region(posterior, space, modes)
        fault = missed or find_fault(posterior, target, more > target) or find_lacking_mass(posterior, attempts)
        if not fault:
            return _note(posterior, left, counted)
        left = left or f"{route.name} was left: {fault}"
        attempts.append(Attempt(posterior, fault, bool(missed)))
    if not attempts and failure is not None:
        raise failure
    best = choose(attempts)
    warn_if_short(best.posterior, target)
    return _note(best.posterior, f"{left}; no route is without fault, of this one: {best.fault}", counted)


class _Counted:
    """A marginal likelihood that counts its evaluations."""

    def __init__(self, marginal: HyperMarginal) -> None:
        self._marginal = marginal
        self.n_evaluations = 0

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y | hyperparameters) (node,)."""
        self.n_evaluations += points.n_nodes
        return self._marginal.log_likelihood(points)

    @property
    def work(self) -> float:
        """Array elements that one evaluation touches."""
        return self._marginal.work

    @property
    def seconds(self) -> float:
        """Seconds that one evaluation takes."""
        return self._marginal.seconds


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
        return _note(found, f"an adaptive grid was left: {_cause(failure)}")


def _find_all_modes(space: HyperSpace, marginal: HyperMarginal, every_start: bool) -> dict[Chart, tuple[Mode, ...]]:
    """Climb from every start, or the best, in the first chart, and in the centred one where that is another: regions
    that only a steep ridge leads to in natural coordinates are round there; then in each from the other's modes. A
    chart without a mode is left out."""
    found: dict[Chart, tuple[Mode, ...]] = {}
    charts = space.charts if space.charts[0] == "natural" else space.charts[:1]
    for chart in charts:
        charted = space.in_chart(chart)
        log_density, starts = log_posterior(charted, marginal), charted.starts()
        with suppress(ComputationError):
            found[chart] = find_modes(log_density, starts) if every_start else (find_mode(log_density, starts),)
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
    space, log_density = route.space, log_posterior(route.space, marginal)

    def rough(sample: WeightedNodes) -> bool:
        if most <= target or sample.effective_size > _DOUBLED * most:
            return False
        return measure_quantiles(space, sample.nodes, sample.weights).error > allowed_error(target)

    if route.mixed:
        modes = route.modes or find_modes(log_density, space.starts())
        maps = [fit_to_curvature(log_density, mode) for mode in modes]
        maps += [shelf.to_map() for shelf in _shelves_below(space, log_density, _heaviest(modes))]
        sample = integrate_by_mixture(log_density, maps, target, rough)
    else:
        climbed = log_density if route.guide is None else route.guide
        mode = _heaviest(route.modes) if route.modes else find_mode(climbed, space.starts())
        even = (_SORTED / allowed_error(target)) ** 2
        first = even if even <= _DOUBLED * most else 0.0
        sample = integrate_by_importance(
            log_density, mode, target, pilots=route.pilots, guide=route.guide, rough=rough, first=first
        )
    error = measure_quantiles(space, sample.nodes, sample.weights)
    shelves = find_shelves(log_density, _list_edges(space, sample))
    on_shelves = [np.exp(min(shelf.log_mass - sample.log_integral, 0.0)) for shelf in shelves]
    # a maximum that is NaN where one is
    unseen = np.max([follow_lines(log_density, sample).missed, sample.unreached, *on_shelves])
    return _from_importance(route, sample, float(unseen), error.error)


def _shelves_below(space: HyperSpace, log_density: BatchLogDensity, mode: Mode) -> list[Shelf]:
    """Return the shelves below a mode, from three of its sds on."""
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


def _heaviest(modes: Sequence[Mode]) -> Mode:
    """Return the mode that stands for the most mass: in a corner a higher one may stand for none."""
    return max(modes, key=lambda mode: mode.log_mass)


def _cause(error: ComputationError) -> str:
    """Return what an error says but its remedy, which is none of a fit that another route made."""
    return re.split(r"[:;] (?:rescale|give) ", str(error))[0]


def _note(posterior: HyperPosterior, left: str, counted: _Counted | None = None) -> HyperPosterior:
    """Put into the certificate why routes were left, and all evaluations."""
    engine = replace(posterior.engine, left=left)
    if counted is not None:
        engine = replace(engine, evidence={**engine.evidence, "evaluations": float(counted.n_evaluations)})
    return replace(posterior, engine=engine)


def _effective_target(marginal: HyperMarginal, accuracy: float) -> float:
    """Return the effective size to reach, from the accuracy and the array elements that one evaluation touches."""
    enough = accuracy**-2.0
    return float(np.clip(_CHEAP_WORK / (20.0 + marginal.work), enough, _MOST_EXTRA * enough))


def _from_importance(route: _Route, sample: WeightedNodes, unseen: float, quantile_error: float) -> HyperPosterior:
    evidence = {
        "nodes": float(len(sample.weights)),
        "effective draws": sample.effective_size,
        "Pareto-k": sample.pareto_k,
        "half-lattice difference (sd)": _half_difference(sample),
        QUANTILES_ERROR: quantile_error,
        "unseen share": unseen,
    }
    space = route.space
    reason = f"{space.dimension} hyperparameters, effects integrated out in closed form"
    name = MIXED if route.mixed else "importance sampling on a lattice"
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

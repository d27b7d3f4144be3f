"""Objects that are in the data because they were selected: the marginal likelihood of what was observed, divided by the
probability that each object is selected.

The likelihood of an object is p(y | population) / P(selected | population), both integrated over its own parameter
(Loredo 2004, AIP Conference Proceedings 735:195, section 5). The data that were selected are the data: given the
population the object's parameter is what it is without selection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from partialpool.inference.contract import ConditionalTables, LatentMarginal
from partialpool.inference.quadrature.population_window import PopulationWindow
from partialpool.inference.quadrature.refinement import refine_until_still
from partialpool.inference.quadrature.selection_integral import (
    Cut,
    Objects,
    chance_of_objects,
    chance_of_single_rows,
    derive_chance,
    integrate_chance,
)
from partialpool.inputs.roles.selection import RowSelection, Rule, find_first_rows
from partialpool.models.families.base import ResponseColumns
from partialpool.models.families.selection import is_linear, place_limits
from partialpool.models.latent_model import LatentModel
from partialpool.models.space.hyper_gradient import HyperGradient
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.reductions.grouped_rows import GroupedRows, group_rows

# Array elements of a block, and points of a piece of the rule, from coarse to fine.
_BLOCK = 2**17
_ORDERS = (4, 5, 7, 10, 16)
# Evaluations of the chance that placing a window costs, the pieces of a window and about a limit, and the seconds that
# one evaluation takes.
_PLACING, _PIECES, _PIECES_A_LIMIT, _SECONDS = 80, 20, 21, 8e-8


class _Slope(NamedTuple):
    """A block's log probabilities (class, node) and derivatives: by eta (row, node), by dispersions (node,) each, by
    the log of the population's sd (node,) and by its other parameters (node,) each."""

    value: FloatArray
    by_eta: FloatArray
    by_dispersion: tuple[FloatArray, ...]
    by_log_sd: FloatArray
    by_shapes: tuple[FloatArray, ...]


@dataclass(frozen=True)
class SelectedMarginal(LatentMarginal):
    """The marginal likelihood of selected objects: ``observed`` that of their data, ``deciding`` the rows whose values
    decide, by object, and ``rule`` how several decide. ``change`` is what refining the probability moved it by."""

    model: LatentModel
    observed: LatentMarginal
    deciding: GroupedRows
    rule: Rule
    order: int = 5
    change: float = float("nan")

    @property
    def in_closed_form(self) -> bool:
        """Whether the probability is one: where nothing is integrated over, or normal noise and population add up."""
        if not self.model.groups:
            return True
        linear = self.model.population.name == "normal" and is_linear(self.model.family)
        return linear and self.deciding.has_single_rows and self.deciding.counts is None

    @property
    def _elements(self) -> float:
        """Evaluations of the chance for each row and node."""
        if self.in_closed_form:
            return 1.0
        limits = (self.deciding.response.lower_limit, self.deciding.response.upper_limit)
        n_limits = sum(limit is not None and bool(np.isfinite(limit).any()) for limit in limits)
        pieces = _PIECES + _PIECES_A_LIMIT * n_limits * int(self.deciding.lengths.max())
        return float(_PLACING + self.order * pieces)

    @property
    def work(self) -> float:
        """That of the data and that of the probability."""
        return self.observed.work + self.deciding.n_rows * self._elements

    @property
    def seconds(self) -> float:
        """Counted, not timed."""
        return self.observed.seconds + _SECONDS * self.deciding.n_rows * self._elements

    @property
    def route(self) -> str:
        """How effects leave, and the probability."""
        how = "in closed form" if self.in_closed_form else f"by pieces of {self.order} Gauss-Legendre points"
        return f"{self.observed.route}; divided by each object's probability of being selected, {how}"

    @property
    def evidence(self) -> dict[str, float]:
        """What refining moved."""
        own = {} if self.in_closed_form else {"change on refining the selection": self.change}
        return {**self.observed.evidence, **own}

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y | hyperparameters, selected) for each node."""
        total = self.observed.log_likelihood(points)
        with np.errstate(all="ignore"):
            for part, nodes, chosen, objects in self._blocks(points):
                total[nodes] -= self.deciding.class_weights[part] @ self._log_probability(objects, chosen)
        return np.where(np.isfinite(total), total, -np.inf)

    def group_log_likelihood(self, points: HyperPoints, factor: int, above: FloatArray | None = None) -> FloatArray:
        """Return the log likelihood of each group, given that it was selected."""
        selected = np.empty((self.deciding.n_classes, points.n_nodes))
        with np.errstate(all="ignore"):
            for part, nodes, chosen, objects in self._blocks(points):
                selected[part, nodes] = self._log_probability(objects, chosen)
        values = self.observed.group_log_likelihood(points, factor, above) - selected[self.deciding.class_of]
        return np.where(np.isfinite(values), values, -np.inf)

    def value_and_gradient(self, points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        """Return the log likelihood and its gradient."""
        total, gradient = self.observed.value_and_gradient(points)
        n_dispersions = self.model.n_dispersions
        with np.errstate(all="ignore"):
            for part, nodes, chosen, objects in self._blocks(points):
                weights = self.deciding.class_weights[part]
                found = self._slope(objects, chosen, weights)
                total[nodes] -= weights @ found.value
                if len(gradient.coefficients):
                    gradient.coefficients[:, nodes] -= objects.rows.population.T @ found.by_eta
                if self.model.groups and self.model.population.centred:
                    gradient.root[0, 0, nodes] -= found.by_log_sd
                if gradient.extras is not None:
                    for k, slope in enumerate(found.by_dispersion):
                        gradient.extras[k, nodes] -= slope
                    for k, slope in enumerate(found.by_shapes):
                        gradient.extras[n_dispersions + k, nodes] -= slope
        return np.where(np.isfinite(total), total, -np.inf), gradient

    def refine(self, points: HyperPoints) -> SelectedMarginal:
        """Refine both integrals until the log likelihood at ``points`` moves by less than the tolerance."""
        refined = replace(self, observed=self.observed.refine(points))
        if self.in_closed_form:
            return refined
        found, change = refine_until_still([replace(refined, order=order) for order in _ORDERS], points)
        return replace(found, change=change)

    @property
    def coarser(self) -> SelectedMarginal | None:
        """With a cheaper quadrature of the data, where the probability does not cost more than they do."""
        coarser = self.observed.coarser
        if coarser is None or not self.in_closed_form:
            return None
        return replace(self, observed=coarser)

    def table_seconds(self, factor: int) -> float:
        """As without selection."""
        return self.observed.table_seconds(factor)

    def class_of(self, factor: int) -> IntArray:
        """Return each group's class of data."""
        return self.observed.class_of(factor)

    def population_variances(self, points: HyperPoints, factor: int) -> FloatArray:
        """Return the population's variance: that of all objects, selected or not."""
        return self.observed.population_variances(points, factor)

    def prior_spreads(self, points: HyperPoints, factor: int) -> FloatArray:
        """As without selection."""
        return self.observed.prior_spreads(points, factor)

    def group_rows(self, factor: int) -> FloatArray:
        """Return how many raw rows each group has."""
        return self.observed.group_rows(factor)

    def tables(self, points: HyperPoints, factor: int, effect: int, classes: IntArray) -> ConditionalTables:
        """Return the conditional densities, which given the population are those without selection."""
        return self.observed.tables(points, factor, effect, classes)

    def draw_effects(
        self, points: HyperPoints, levels: list[IntArray], rng: np.random.Generator
    ) -> tuple[FloatArray, ...]:
        """Draw groups' parameters, which given the population are distributed as without selection."""
        return self.observed.draw_effects(points, levels, rng)

    def _log_probability(self, objects: Objects, points: HyperPoints) -> FloatArray:
        """Return log P(selected) of some objects, (class, node)."""
        if not self.model.groups:
            return chance_of_objects(objects)
        if self.in_closed_form:
            return chance_of_single_rows(objects, points.effect_root[0, 0])
        return self._integrate(objects, points).log_total

    def _integrate(self, objects: Objects, points: HyperPoints) -> Cut:
        shapes = PopulationWindow.shapes_of(self.model, points)
        return integrate_chance(objects, self.model.population, shapes, self.order)

    def _slope(self, objects: Objects, points: HyperPoints, weights: FloatArray) -> _Slope:
        """Return the derivatives of the sum of ``weights`` (class,) times the log probabilities."""
        rows = objects.rows
        if self.in_closed_form:
            spread = points.effect_root[0, 0] if self.model.groups else 0.0
            found = derive_chance(objects, None, spread)
            own = rows.spread(weights)[:, None]
            by_dispersion = [(own * slope).sum(axis=0) for slope in found.by_log_dispersion]
            by_log_sd = np.sum(own * found.by_log_spread, axis=0)
            return _Slope(found.value, own * found.by_eta, _by_value(by_dispersion, objects), by_log_sd, ())
        cut = self._integrate(objects, points)
        found = derive_chance(objects, cut.t)
        share = np.exp(cut.log_terms - cut.log_total[..., None]) * weights[:, None, None]
        own = rows.spread(share)
        by_dispersion = [_expect(own, slope).sum(axis=0) for slope in found.by_log_dispersion]
        shapes = PopulationWindow.shapes_of(self.model, points)
        by_parameter = self.model.population.derivatives(cut.t, tuple(value[:, None] for value in shapes)).by_parameter
        by_shapes = [_expect(share, slope).sum(axis=0) for slope in by_parameter]
        by_log_sd = by_shapes.pop(0) * shapes[0] if self.model.population.centred else np.zeros(points.n_nodes)
        by_values = _by_value(by_dispersion, objects)
        return _Slope(cut.log_total, _expect(own, found.by_eta), by_values, by_log_sd, tuple(by_shapes))

    def _blocks(self, points: HyperPoints) -> Iterator[tuple[slice, slice, HyperPoints, Objects]]:
        """Yield runs of objects and of nodes."""
        rows, model = self.deciding, self.model
        elements = int(self._elements)
        runs = rows.blocks(max(1, _BLOCK // elements))
        longest = max(int(rows.lengths[run].sum()) for run in runs)
        n_nodes = max(1, _BLOCK // (elements * longest))
        for start in range(0, points.n_nodes, n_nodes):
            nodes = slice(start, min(start + n_nodes, points.n_nodes))
            chosen = points.select(np.arange(nodes.start, nodes.stop, dtype=np.intp))
            dispersion = () if chosen.extras is None else tuple(chosen.extras[: model.n_dispersions])
            for run in runs:
                part = rows if len(runs) == 1 else rows.select(run)
                base = part.population @ chosen.coefficients
                if part.offset is not None:
                    base = base + part.offset[:, None]
                yield run, nodes, chosen, Objects(model.family, self.rule, part, base, dispersion)


def select_objects(model: LatentModel, observed: LatentMarginal, selection: RowSelection) -> SelectedMarginal:
    """Return the marginal likelihood of objects that were selected, from that of their data."""
    design, family, measured = model.design, model.family, model.design.measurements
    group = design.groups[0]
    n_rows = len(measured.response)
    rows = find_first_rows(group.codes) if selection.rule == "first" else np.arange(n_rows, dtype=np.intp)
    deciding = group_rows(
        family,
        read_limits(model, selection).select(rows),
        None if selection.rule == "first" or measured.counts is None else measured.counts[rows],
        design.population.values[rows][:, list(model.coefficient_prior.sampled)],
        np.empty((len(rows), 0)),
        None if measured.offset is None else measured.offset[rows],
        group.codes[rows],
        group.n_levels,
    )
    # of one row each, any decides as all do
    single = deciding.has_single_rows and deciding.counts is None
    return SelectedMarginal(model, observed, deciding, "all" if single or selection.rule is None else selection.rule)


def read_limits(model: LatentModel, selection: RowSelection) -> ResponseColumns:
    """Return what each row had to pass (row,), on the scale on which noise is normal, with what is known of it."""
    ones = np.ones(len(selection.lower))
    known = [noise for noise in (model.response.standard_errors, selection.width) if noise is not None]
    return ResponseColumns(
        ones,
        ones,
        standard_errors=np.sqrt(np.sum(np.square(known), axis=0)) if known else None,
        lower_limit=place_limits(model.family, selection.lower),
        upper_limit=place_limits(model.family, selection.upper),
    )


def _expect(share: FloatArray, slope: FloatArray) -> FloatArray:
    """Return the sums over points of shares times slopes, leaving out what has no share."""
    return np.asarray(np.where(share > 0.0, slope * share, 0.0).sum(axis=-1))


def _by_value(by_log: list[FloatArray], objects: Objects) -> tuple[FloatArray, ...]:
    """Return derivatives by dispersions from those by their logs."""
    return tuple(slope / value for slope, value in zip(by_log, objects.dispersion, strict=True))

"""Adaptive Gauss-Hermite quadrature, group by group, for up to three normal effects of one factor.

The order of the rule is raised until the log likelihood stops moving near the posterior's bulk (``refine``). The
gradient is Fisher's identity at the same points: the expectation, given the data, of the gradient of the complete log
density.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from partialpool.errors import ComputationError
from partialpool.inference.contract import ConditionalTables, LatentMarginal
from partialpool.inference.quadrature.located import (
    Evaluated,
    Located,
    evaluate,
    locate_modes,
    log_sum,
    measure_distance_from_modes,
)
from partialpool.inference.quadrature.refinement import refine_until_still
from partialpool.inference.quadrature.table_draws import draw_from_rule
from partialpool.models.latent_model import LatentModel
from partialpool.models.space.hyper_gradient import HyperGradient
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.hermite import Rule, hermite_rule, uniform_rule
from partialpool.numerics.progress import track
from partialpool.reductions.grouped_rows import GroupedRows

# Array elements (row, node, point) of a block: what stays in a core's cache.
_BLOCK = 2**17
# Nodes whose modes are found together, at most.
_MOST_LOCATED = 256
# Seconds that one point of one row takes.
_SECONDS = 3e-8
# Orders of the rule that are tried, by number of effects.
_ORDERS = {
    0: (1,),
    1: (5, 7, 11, 15, 21, 31, 45, 63, 91, 127),
    2: (4, 5, 7, 11, 15, 21, 31, 45),
    3: (3, 4, 5, 7, 11, 15, 21),
}
# The most points along each effect of a coarse rule, and how many times cheaper it must be.
_COARSE, _MUCH_CHEAPER = 5, 2.0
# The grid of conditional densities, in Laplace sds: its reach is doubled where the ends carry more than this.
_REACH, _SPACING, _END = 8.0, 0.4, 1e-7
_MOST_REACH = 64.0
# How far, in conditional sds, a rule may be from the mode that it should be centred at.
_MISSED = 0.3


@dataclass(frozen=True)
class AdaptiveHermite(LatentMarginal):
    """The marginal likelihood by a rule of ``order`` points along each effect; ``change`` is what the last raising of
    the order moved the log likelihood by."""

    model: LatentModel
    rows: GroupedRows
    order: int = 11
    change: float = float("nan")

    @property
    def n_effects(self) -> int:
        """How many effects vary."""
        return int(self.rows.effects.shape[1])

    @property
    def work(self) -> float:
        """Rows times points of the rule."""
        return float(self.rows.n_rows * self.order**self.n_effects)

    @property
    def seconds(self) -> float:
        """About how long one evaluation takes on one core, in a batch: counted and not timed, so that the same model
        takes the same route everywhere. Finding the modes costs as much as a dozen points."""
        points = self.order**self.n_effects + 12.0 * self.n_effects
        return float(_SECONDS * self.model.family.cost * self.rows.n_rows * points)

    def table_seconds(self, factor: int) -> float:
        """Points along an effect and across the others."""
        points = 2.0 * _REACH / _SPACING * min(self.order, 31) ** (self.n_effects - 1)
        return float(_SECONDS * self.model.family.cost * self.rows.n_rows * points)

    @property
    def coarser(self) -> AdaptiveHermite | None:
        """The marginal with fewer points along each effect, where that saves much."""
        orders = [order for order in _ORDERS[self.n_effects] if order <= _COARSE]
        coarse = [replace(self, order=order) for order in orders]
        cheap = [marginal for marginal in coarse if marginal.seconds * _MUCH_CHEAPER <= self.seconds]
        return cheap[-1] if cheap else None

    @property
    def route(self) -> str:
        """The rule, in words."""
        if not self.n_effects:
            return "no effects"
        return f"effects integrated out by adaptive Gauss-Hermite quadrature of {self.order} points each"

    @property
    def evidence(self) -> dict[str, float]:
        """The change of the log likelihood when the order was last raised."""
        return {"change on raising the order": self.change} if self.n_effects else {}

    @cached_property
    def _rule(self) -> Rule:
        return hermite_rule(self.order, self.n_effects) if self.n_effects else Rule(np.empty((0, 1)), np.zeros(1))

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y | hyperparameters) for each node."""
        total = np.full(points.n_nodes, self.rows.log_constant)
        with np.errstate(all="ignore"):  # a node outside the floating range gets density zero
            for part, nodes, logs in self._class_values(points):
                total[nodes] += self.rows.class_weights[part] @ logs
        return np.where(np.isnan(total), -np.inf, total)

    def group_log_likelihood(self, points: HyperPoints, factor: int, above: FloatArray | None = None) -> FloatArray:
        """Return the log likelihood of each group, by the same rule."""
        values = np.empty((self.rows.n_classes, points.n_nodes))
        with np.errstate(all="ignore"):
            for part, nodes, logs in self._class_values(points):
                values[part, nodes] = np.where(np.isnan(logs), -np.inf, logs)
        return values[self.rows.class_of]

    def _class_values(self, points: HyperPoints) -> Iterator[tuple[slice, slice, FloatArray]]:
        """Yield runs of classes and of nodes with the classes' log likelihoods (class, node)."""
        for part, nodes, located in self._blocks(points):
            yield part, nodes, log_sum(evaluate(located, self._rule).log_terms)

    def class_moments(self, points: HyperPoints) -> tuple[FloatArray, FloatArray]:
        """Return each class's log marginal likelihood (class, node), and the moments (4, class, node) of orders 1 to 4,
        given the class, of a single effect over its sd."""
        logs = np.empty((self.rows.n_classes, points.n_nodes))
        moments = np.empty((4, *logs.shape))
        with np.errstate(all="ignore"):
            for part, nodes, located in self._blocks(points):
                found = evaluate(located, self._rule)
                own = log_sum(found.log_terms)
                share = np.exp(found.log_terms - own[..., None])
                logs[part, nodes] = own
                for order in range(4):
                    share = share * found.v[0]
                    moments[order, part, nodes] = share.sum(axis=-1)
        return logs, moments

    def value_and_gradient(self, points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        """Return the log likelihood and its gradient, by Fisher's identity."""
        total = np.full(points.n_nodes, self.rows.log_constant)
        gradient = _no_gradient(self, points)
        with np.errstate(all="ignore"):
            for part, nodes, located in self._blocks(points):
                found = evaluate(located, self._rule)
                logs = log_sum(found.log_terms)
                weights = self.rows.class_weights[part]
                total[nodes] += weights @ logs
                share = np.exp(found.log_terms - logs[..., None]) * weights[:, None, None]
                _add_gradient(self, gradient, nodes, located, found, share)
        return total, gradient

    def refine(self, points: HyperPoints) -> AdaptiveHermite:
        """Raise the order until the log likelihood at ``points`` moves by less than the tolerance.

        Raises ``ComputationError`` where the highest order still moves it much, or groups' modes are not found.
        """
        if not self.n_effects:
            return self
        with np.errstate(all="ignore"):
            missed = max(measure_distance_from_modes(located) for _, _, located in self._blocks(points))
        if missed > _MISSED:
            raise ComputationError(
                f"the modes of some groups' effects are not found: {missed:.2g} of their conditional sds are left to "
                "go; rescale covariates and responses that are very large, or give more informative priors"
            )
        found, change = refine_until_still([replace(self, order=order) for order in _ORDERS[self.n_effects]], points)
        return replace(found, change=change)

    def class_of(self, factor: int) -> IntArray:
        """Return each group's class."""
        return self.rows.class_of

    def group_rows(self, factor: int) -> FloatArray:
        """Return how many raw rows each group has."""
        return self.rows.group_rows

    def population_variances(self, points: HyperPoints, factor: int) -> FloatArray:
        """Return the squares of the effects' sds."""
        return np.asarray(np.sum(points.effect_root**2, axis=1))

    def tables(self, points: HyperPoints, factor: int, effect: int, classes: IntArray) -> ConditionalTables:
        """Return the conditional densities of one effect's deviation: along it by the trapezoid rule, across the others
        by Gauss-Hermite."""
        with np.errstate(all="ignore"):
            return self._tables_along(self.rows.take_classes(classes), points, np.eye(self.n_effects)[effect])

    def _tables_along(self, rows: GroupedRows, points: HyperPoints, direction: FloatArray) -> ConditionalTables:
        turned, length = turn_root(points.effect_root, direction)
        located = locate_modes(self.model.family, rows, points, turned)
        reach = _REACH
        while True:
            rule = uniform_rule(reach, _SPACING, min(self.order, 31), self.n_effects)
            logs = _evaluate_in_blocks(located, rule)
            n_across = rule.points.shape[1] // (n_points := round(2 * reach / _SPACING) + 1)
            along = log_sum(logs.reshape(*logs.shape[:2], n_points, n_across))
            density = np.exp(along - along.max(axis=-1, keepdims=True))
            density /= density.sum(axis=-1, keepdims=True)
            if np.max(density[..., [0, -1]]) < _END or reach >= _MOST_REACH:
                break
            reach *= 2.0
        z = np.asarray(_SPACING * np.arange(-(n_points // 2), n_points // 2 + 1), dtype=np.float64)
        return ConditionalTables(z, located.mode[0] * length, located.root[0, 0] * length, density)

    def draw_effects(
        self, points: HyperPoints, levels: list[IntArray], rng: np.random.Generator
    ) -> tuple[FloatArray, ...]:
        """Draw deviations from each group's conditional distribution, one hyperparameter point a draw."""
        return (draw_from_rule(self.model.family, self.rows, points, self.rows.class_of[levels[0]], rng),)

    def _blocks(self, points: HyperPoints) -> Iterator[tuple[slice, slice, Located]]:
        """Yield runs of classes and of nodes with their modes, which are found for many nodes together."""
        n_points = self._rule.points.shape[1]
        runs = self.rows.blocks(max(1, _BLOCK // n_points))
        longest = max(int(self.rows.lengths[run].sum()) for run in runs)
        at_once = max(1, _BLOCK // (n_points * longest))
        located_at_once = max(at_once, min(_BLOCK // longest, _MOST_LOCATED))
        for start in track(range(0, points.n_nodes, located_at_once), "evaluating the likelihood"):
            stop = min(start + located_at_once, points.n_nodes)
            chosen = points.select(np.arange(start, stop, dtype=np.intp))
            for run in runs:
                rows = self.rows if len(runs) == 1 else self.rows.select(run)
                located = locate_modes(self.model.family, rows, chosen)
                for first in range(0, stop - start, at_once):
                    part = slice(first, min(first + at_once, stop - start))
                    yield run, slice(start + part.start, start + part.stop), located.at_nodes(part)


def _evaluate_in_blocks(located: Located, rule: Rule) -> FloatArray:
    """Return the log terms (class, node, point), some points of the rule at a time."""
    n_points = rule.points.shape[1]
    size = max(1, 16 * _BLOCK // max(located.base.size, 1))
    parts = []
    for start in range(0, n_points, size):
        part = Rule(rule.points[:, start : start + size], rule.log_weights[start : start + size])
        parts.append(evaluate(located, part).log_terms)
    return np.concatenate(parts, axis=-1)


def turn_root(root: FloatArray, direction: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the root (effect, effect, node) turned so that the sum ``direction`` (effect,) of effects moves with the
    first axis alone, and by how much (node,)."""
    along = np.einsum("e,ekn->kn", direction, root)
    length = np.sqrt(np.sum(along * along, axis=0))
    if len(root) == 1:
        return root, along[0]
    unit = np.where(length > 0.0, along / np.where(length > 0.0, length, 1.0), 0.0)
    unit[0] = np.where(length > 0.0, unit[0], 1.0)
    # the reflection that takes the first axis to the unit vector
    normal = -unit
    normal[0] += 1.0
    size = np.sum(normal * normal, axis=0)
    scaled = normal * np.where(size > 1e-30, 2.0 / np.where(size > 1e-30, size, 1.0), 0.0)
    projected = np.einsum("ekn,kn->en", root, normal)
    return root - projected[:, None] * scaled[None], length


def _no_gradient(marginal: AdaptiveHermite, points: HyperPoints) -> HyperGradient:
    n = points.n_nodes
    extras = None if points.extras is None else np.zeros(points.extras.shape)
    root = np.zeros((marginal.n_effects, marginal.n_effects, n))
    return HyperGradient(root, np.zeros(n), np.zeros(points.coefficients.shape), None, extras)


def _add_gradient(
    marginal: AdaptiveHermite,
    gradient: HyperGradient,
    nodes: slice,
    located: Located,
    found: Evaluated,
    share: FloatArray,
) -> None:
    """Add a block's gradient; ``share`` (class, node, point) is each point's probability times the class's weight."""
    rows = located.rows
    dispersion = tuple(value[:, None] for value in located.dispersion)
    derivatives = located.family.derivatives(found.eta, rows.response.expand(2), dispersion)
    expected = rows.spread(share)
    if rows.counts is not None:
        expected = expected * rows.counts[:, None, None]
    first = np.sum(np.where(expected > 0.0, derivatives.first * expected, 0.0), axis=-1)
    if len(gradient.coefficients):
        gradient.coefficients[:, nodes] += rows.population.T @ first
    if gradient.extras is not None:
        for k, slope in enumerate(derivatives.by_dispersion):
            gradient.extras[k, nodes] += np.where(expected > 0.0, slope * expected, 0.0).sum(axis=(0, 2))
    # integrating by parts, the expectation of the gradient by v times v' is that of v v' less the identity
    total = rows.class_weights.sum()
    for k in range(marginal.n_effects):
        for j in range(k + 1):
            moment = np.sum(share * found.v[k] * found.v[j], axis=(0, 2)) - (k == j) * total
            gradient.root[k, j, nodes] += moment
            if j < k:
                gradient.root[j, k, nodes] += moment

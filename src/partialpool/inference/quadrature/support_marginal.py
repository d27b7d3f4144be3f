"""Groups given an estimated population: sums over its points, or over its normal components."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from partialpool.inference.contract import ConditionalTables, LatentMarginal
from partialpool.inference.quadrature.located import log_sum
from partialpool.models.families.base import Family
from partialpool.models.latent_model import LatentModel
from partialpool.models.populations.fitted import FittedPopulation
from partialpool.models.populations.support import SupportPopulation
from partialpool.models.space.hyper_gradient import HyperGradient
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.reductions.grouped_rows import GroupedRows

_BLOCK = 2**21


def tabulate_likelihood(family: Family, rows: GroupedRows, points: FloatArray) -> FloatArray:
    """Return the log likelihood of each class (class, point) where its linear predictor is each of ``points``."""
    parts = []
    with np.errstate(all="ignore"):
        for run in rows.blocks(max(1, _BLOCK // len(points))):
            part = rows.select(run)
            eta = points if part.offset is None else part.offset[:, None] + points
            values = family.log_density(np.broadcast_to(eta, (part.n_rows, len(points))), part.response.expand(1), ())
            if part.counts is not None:
                values = values * part.counts[:, None]
            parts.append(part.sum(values))
    return np.concatenate(parts)


@dataclass(frozen=True)
class FittedMarginal(LatentMarginal):
    """The likelihood of each class in each of the parts that a ``population`` consists of."""

    model: LatentModel
    rows: GroupedRows
    population: FittedPopulation

    @abstractmethod
    def log_parts(self, classes: IntArray) -> FloatArray:
        """Return the log likelihood of some classes in each part, its weight included, (class, part)."""

    def part_probabilities(self, classes: IntArray) -> FloatArray:
        """Return the probability of each part given some classes, (class, part)."""
        logs = self.log_parts(classes)
        return np.asarray(np.exp(logs - log_sum(logs)[:, None]))

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y) under the estimated population, for each node."""
        logs = log_sum(self.log_parts(np.arange(self.rows.n_classes)))
        return np.full(points.n_nodes, self.rows.log_constant + float(self.rows.class_weights @ logs))

    def group_log_likelihood(self, points: HyperPoints, factor: int, above: FloatArray | None = None) -> FloatArray:
        """Return the log likelihood of each group, the same at every node."""
        logs = log_sum(self.log_parts(np.arange(self.rows.n_classes)))[self.rows.class_of]
        return np.repeat(logs[:, None], points.n_nodes, axis=1)

    def value_and_gradient(self, points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        """There is nothing to differentiate by."""
        zero = np.zeros(points.n_nodes)
        extras = None if points.extras is None else np.zeros(points.extras.shape)
        gradient = HyperGradient(np.zeros((0, 0, len(zero))), zero, np.zeros(points.coefficients.shape), None, extras)
        return self.log_likelihood(points), gradient

    @property
    def seconds(self) -> float:
        """Counted, not timed."""
        return 1e-8 * self.work

    def table_seconds(self, factor: int) -> float:
        """As long as an evaluation."""
        return self.seconds

    def class_of(self, factor: int) -> IntArray:
        """Return each group's class."""
        return self.rows.class_of

    def group_rows(self, factor: int) -> FloatArray:
        """Return how many raw rows each group has."""
        return self.rows.group_rows

    def population_variances(self, points: HyperPoints, factor: int) -> FloatArray:
        """Return the estimated population's variance."""
        return np.full((1, points.n_nodes), float(self.population.mean_sd_response(())[1]) ** 2)

    def draw_effects(
        self, points: HyperPoints, levels: list[IntArray], rng: np.random.Generator
    ) -> tuple[FloatArray, ...]:
        """Draw groups' parts by their probabilities, and their parameters from those."""
        codes = levels[0]
        result = np.empty((1, points.n_nodes, len(codes)))
        if not len(codes):
            return (result,)
        classes, of_class = np.unique(self.rows.class_of[codes], return_inverse=True)
        cumulative = np.cumsum(self.part_probabilities(classes), axis=1)
        for place, own in enumerate(of_class):
            level = cumulative[own] / cumulative[own, -1]
            parts = np.searchsorted(level, rng.random(points.n_nodes), side="right")
            result[0, :, place] = self.draw_in_parts(parts, codes[place], rng)
        return (result,)

    @abstractmethod
    def draw_in_parts(self, parts: IntArray, code: int, rng: np.random.Generator) -> FloatArray:
        """Draw a group's parameter (draw,) given the part (draw,) that it is from."""


@dataclass(frozen=True)
class SupportMarginal(FittedMarginal):
    """The likelihood of each class at each point of the population's support, ``log_likelihoods`` (class, point)."""

    population: SupportPopulation
    log_likelihoods: FloatArray

    def log_parts(self, classes: IntArray) -> FloatArray:
        """The parts are points."""
        return np.asarray(self.log_likelihoods[classes] + np.log(self.population.weights))

    @property
    def work(self) -> float:
        """Classes times points."""
        return float(self.log_likelihoods.size)

    @property
    def route(self) -> str:
        """The sum, in words."""
        return f"group parameters summed over the {len(self.population.points)} points of an estimated population"

    def tables(self, points: HyperPoints, factor: int, effect: int, classes: IntArray) -> ConditionalTables:
        """Return each class's probabilities on the points, the same at every node."""
        support = np.tile(self.population.points, points.n_nodes)
        centre = np.broadcast_to(support, (len(classes), len(support)))
        shares = np.tile(self.part_probabilities(classes), points.n_nodes)
        return ConditionalTables(np.zeros(1), centre, np.zeros(centre.shape), np.ones((*centre.shape, 1)), None, shares)

    def draw_in_parts(self, parts: IntArray, code: int, rng: np.random.Generator) -> FloatArray:
        """The points."""
        return np.asarray(self.population.points[parts])

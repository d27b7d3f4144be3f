"""Groups given a population that is weights on points: sums instead of integrals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partialpool.inference.latent.contract import ConditionalTables, LatentMarginal
from partialpool.inference.latent.grouped_rows import GroupedRows
from partialpool.inference.latent.located import log_sum
from partialpool.inference.latent.table_draws import draw_on_grid
from partialpool.models.families.base import Family
from partialpool.models.hyper_gradient import HyperGradient
from partialpool.models.hyperspace import HyperPoints
from partialpool.models.latent_model import LatentModel
from partialpool.models.populations.support import SupportPopulation
from partialpool.numerics.arrays import FloatArray, IntArray

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
class SupportMarginal(LatentMarginal):
    """The likelihood of each class at each point of the population's support, ``log_likelihoods`` (class, point)."""

    model: LatentModel
    rows: GroupedRows
    population: SupportPopulation
    log_likelihoods: FloatArray

    def _log_terms(self, classes: IntArray) -> FloatArray:
        with np.errstate(divide="ignore"):
            return self.log_likelihoods[classes] + np.log(self.population.weights)

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y) under the estimated population, for each node."""
        logs = log_sum(self._log_terms(np.arange(self.rows.n_classes)))
        return np.full(points.n_nodes, self.rows.log_constant + float(self.rows.class_weights @ logs))

    def group_log_likelihood(self, points: HyperPoints, factor: int, above: FloatArray | None = None) -> FloatArray:
        """Return the log likelihood of each group, the same at every node."""
        logs = log_sum(self._log_terms(np.arange(self.rows.n_classes)))[self.rows.class_of]
        return np.repeat(logs[:, None], points.n_nodes, axis=1)

    def value_and_gradient(self, points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        """There is nothing to differentiate by."""
        zero = np.zeros(points.n_nodes)
        extras = None if points.extras is None else np.zeros(points.extras.shape)
        gradient = HyperGradient(np.zeros((0, 0, len(zero))), zero, np.zeros(points.coefficients.shape), None, extras)
        return self.log_likelihood(points), gradient

    @property
    def work(self) -> float:
        """Classes times points."""
        return float(self.log_likelihoods.size)

    @property
    def seconds(self) -> float:
        """Counted, not timed."""
        return 1e-8 * self.work

    @property
    def route(self) -> str:
        """The sum, in words."""
        return f"group parameters summed over {len(self.population.points)} points of an estimated population"

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

    def tables(self, points: HyperPoints, factor: int, effect: int, classes: IntArray) -> ConditionalTables:
        """Return each class's probabilities on the points, the same at every node."""
        logs = self._log_terms(classes)
        density = np.exp(logs - log_sum(logs)[:, None])
        support = self.population.points
        shape = (len(classes), points.n_nodes)
        spacing = np.full(shape, support[1] - support[0])
        middle = len(support) // 2
        z = np.arange(len(support), dtype=np.float64) - middle
        full = np.broadcast_to(density[:, None], (*shape, len(support)))
        return ConditionalTables(z, np.full(shape, support[middle]), spacing, full)

    def draw_effects(
        self, points: HyperPoints, levels: list[IntArray], rng: np.random.Generator
    ) -> tuple[FloatArray, ...]:
        """Draw groups' parameters from their probabilities on the points."""
        classes = self.rows.class_of[levels[0]]
        result = np.empty((1, points.n_nodes, len(classes)))
        support = self.population.points
        for place, own in enumerate(classes):
            logs = np.broadcast_to(self._log_terms(np.array([own])), (points.n_nodes, len(support)))
            result[0, :, place] = draw_on_grid(support, logs, rng)
        return (result,)

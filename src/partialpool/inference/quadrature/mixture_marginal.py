"""Groups given an estimated mixture of normals: under each component they leave as under a normal population."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partialpool.inference.contract import ConditionalTables
from partialpool.inference.quadrature.adaptive_hermite import AdaptiveHermite
from partialpool.inference.quadrature.population_window import PopulationWindow
from partialpool.inference.quadrature.support_marginal import FittedMarginal
from partialpool.models.populations.normal_mixture import NormalMixturePopulation
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray


def place_normals(means: FloatArray, sds: FloatArray) -> HyperPoints:
    """Return normal populations of these ``means`` and ``sds`` (normal,) as points, one a node."""
    return HyperPoints(sds[None, None], np.ones(len(means)), means[None])


@dataclass(frozen=True)
class MixtureMarginal(FittedMarginal):
    """``normals`` is the marginal under a normal population, whose nodes are the mixture's components."""

    population: NormalMixturePopulation
    normals: AdaptiveHermite | PopulationWindow

    @cached_property
    def _components(self) -> HyperPoints:
        return place_normals(self.population.means, self.population.sds)

    @cached_property
    def _log_parts(self) -> FloatArray:
        return self.normals.class_moments(self._components)[0] + np.log(self.population.weights)

    def log_parts(self, classes: IntArray) -> FloatArray:
        """The parts are components."""
        return self._log_parts[classes]

    @property
    def work(self) -> float:
        """That of the components."""
        return self.normals.work * len(self.population.means)

    @property
    def route(self) -> str:
        """The components, in words."""
        return f"under each of {len(self.population.means)} normal components {self.normals.route}"

    def tables(self, points: HyperPoints, factor: int, effect: int, classes: IntArray) -> ConditionalTables:
        """Return each class's densities under the components, which are parts of every node."""
        own = self.normals.tables(self._components, 0, 0, classes).shift(self.population.means)
        n = points.n_nodes
        return ConditionalTables(
            own.z,
            np.tile(own.centre, n),
            np.tile(own.scale, n),
            np.tile(own.density, (1, n, 1)),
            None if own.stretch is None else np.tile(own.stretch, n),
            np.tile(self.part_probabilities(classes), n),
        )

    def draw_in_parts(self, parts: IntArray, code: int, rng: np.random.Generator) -> FloatArray:
        """From the components."""
        levels = [np.array([code], dtype=np.intp)]
        (drawn,) = self.normals.draw_effects(self._components.select(parts), levels, rng)
        return np.asarray(self.population.means[parts] + drawn[0, :, 0])

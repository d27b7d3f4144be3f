"""What every way of integrating groups gives, so that nothing downstream knows which one ran."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from partialpool.models.latent_model import LatentModel
from partialpool.models.space.hyper_gradient import HyperGradient
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray


class ConditionalTables(NamedTuple):
    """Densities of one number of each item given each node.

    The number is ``centre`` + ``scale`` sinh(``stretch`` z) / stretch, each (item, node), z running over ``z`` (point,)
    at equal spacing; ``stretch`` None stands for 0, which is linear. ``density`` (item, node, point) is by z and sums
    to one over points. Where an item's density given a node is itself a mixture the node axis holds its parts, those of
    one node next to each other, and ``node_weights`` (item, node) what each is worth within its node; None stands for
    one part a node.
    """

    z: FloatArray
    centre: FloatArray
    scale: FloatArray
    density: FloatArray
    stretch: FloatArray | None = None
    node_weights: FloatArray | None = None

    def shares(self, weights: FloatArray) -> FloatArray:
        """Return the weights (item, node) of the parts from those of the nodes."""
        if self.node_weights is None:
            return np.broadcast_to(weights, self.centre.shape)
        return np.asarray(self.node_weights * np.repeat(weights, self.centre.shape[1] // len(weights)))

    def shift(self, by: FloatArray) -> ConditionalTables:
        """Return the tables of the numbers plus what depends on the node, ``by`` (node,) or (item, node)."""
        return self._replace(centre=self.centre + np.repeat(by, self.centre.shape[1] // by.shape[-1], axis=-1))

    def at_nodes(self, nodes: IntArray) -> ConditionalTables:
        """Return the tables at some places of the node axis."""
        return self._replace(
            centre=self.centre[:, nodes],
            scale=self.scale[:, nodes],
            density=self.density[:, nodes],
            stretch=None if self.stretch is None else self.stretch[:, nodes],
            node_weights=None if self.node_weights is None else self.node_weights[:, nodes],
        )

    @property
    def values(self) -> FloatArray:
        """The numbers at the points, (item, node, point)."""
        if self.stretch is None:
            return self.centre[..., None] + self.scale[..., None] * self.z
        bend = self.stretch[..., None]
        safe = np.where(bend > 0.0, bend, 1.0)
        bent = np.where(bend > 0.0, np.sinh(bend * self.z) / safe, self.z)
        return np.asarray(self.centre[..., None] + self.scale[..., None] * bent)


class LatentMarginal(ABC):
    """p(y | hyperparameters) of a latent model in batches of points, and groups' parameters given them."""

    model: LatentModel

    @abstractmethod
    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y | hyperparameters) (node,), effects integrated out."""

    @abstractmethod
    def group_log_likelihood(self, points: HyperPoints, factor: int, above: FloatArray | None = None) -> FloatArray:
        """Return log p(y of a group | hyperparameters) for each group of a factor (group, node), up to the rows' terms
        that hold no unknown (``Family.log_constant``): the effects of the factor, and of those nested within it, are
        integrated out; ``above`` (group, node) are the summed effects of the factors that it is nested within."""

    @abstractmethod
    def value_and_gradient(self, points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        """Return the log likelihood (node,) and its gradient by natural hyperparameters."""

    @property
    @abstractmethod
    def work(self) -> float:
        """Array elements that one evaluation of the likelihood touches, roughly."""

    @property
    @abstractmethod
    def seconds(self) -> float:
        """About how many seconds one evaluation of the likelihood takes, counted."""

    @property
    @abstractmethod
    def route(self) -> str:
        """How effects leave, in words for the certificate."""

    def refine(self, points: HyperPoints) -> LatentMarginal:
        """Return the marginal with its quadrature fine enough at some points near the posterior's bulk."""
        return self

    @property
    def fallback(self) -> LatentMarginal | None:
        """The marginal that refinement settles on where this one is not accurate, None where there is no other."""
        return None

    @property
    def coarser(self) -> LatentMarginal | None:
        """The marginal with a quadrature several times cheaper, where there is one."""
        return None

    @property
    def evidence(self) -> dict[str, float]:
        """What was measured of the quadrature's accuracy, by name."""
        return {}

    @abstractmethod
    def table_seconds(self, factor: int) -> float:
        """Return about how long the conditional densities of all classes of a factor take at one node."""

    @abstractmethod
    def class_of(self, factor: int) -> IntArray:
        """Return which class each group of a factor is of, (group,): groups of one class have equal posteriors."""

    @abstractmethod
    def population_variances(self, points: HyperPoints, factor: int) -> FloatArray:
        """Return the population variance of each effect of a factor on the linear predictor's scale, (effect, node)."""

    def prior_spreads(self, points: HyperPoints, factor: int) -> FloatArray:
        """Return the variances (effect, node) that pooling weights compare with: the population's, where it has none
        that of its core."""
        return self.population_variances(points, factor)

    @abstractmethod
    def group_rows(self, factor: int) -> FloatArray:
        """Return how many raw rows each group of a factor has, (group,)."""

    def hold(self, points: HyperPoints) -> LatentMarginal:
        """Return the marginal with what all tables at these very points share, computed once where memory allows."""
        return self

    @abstractmethod
    def tables(self, points: HyperPoints, factor: int, effect: int, classes: IntArray) -> ConditionalTables:
        """Return the conditional densities of the deviation of an effect (or, where the population replaces the
        intercept, of the group's own value) in some classes of a factor."""

    @abstractmethod
    def draw_effects(
        self, points: HyperPoints, levels: list[IntArray], rng: np.random.Generator
    ) -> tuple[FloatArray, ...]:
        """Draw the deviations of some levels of each factor jointly, each (effect, draw, level), one hyperparameter
        point a draw."""

    def draw_groups(
        self, points: HyperPoints, levels: list[IntArray], rng: np.random.Generator
    ) -> tuple[tuple[FloatArray, ...], FloatArray | None]:
        """Draw deviations as ``draw_effects`` does, and jointly the groups' own sigmas (draw, level), None where groups
        have none."""
        return self.draw_effects(points, levels, rng), None

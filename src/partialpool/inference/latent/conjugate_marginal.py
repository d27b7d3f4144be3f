"""Conjugate pairs: binomial groups with a beta population, Poisson groups with a gamma population, in closed form."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from partialpool.inference.conjugate import beta_binomial, gamma_poisson
from partialpool.inference.conjugate.pairs import Pairs
from partialpool.inference.latent.population_window import PopulationWindow
from partialpool.models.hyper_gradient import HyperGradient
from partialpool.models.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray

_PAIRS = {("binomial", "beta"), ("bernoulli", "beta"), ("poisson", "gamma")}
# Seconds of an evaluation, and of each step of the rising factorials and each pair within it.
_SECONDS, _SECONDS_A_STEP = 5e-6, 1.5e-8


def is_conjugate(family: str, population: str) -> bool:
    """Say whether groups of this likelihood and population leave in closed form."""
    return (family, population) in _PAIRS


@dataclass(frozen=True)
class ConjugateMarginal(PopulationWindow):
    """The marginal likelihood of distinct (value, size) pairs in closed form; groups' densities are tabulated on grids
    over their windows."""

    half: int = 40
    change: float = field(default=0.0)

    @cached_property
    def pairs(self) -> Pairs:
        """The distinct pairs: the classes."""
        response = self.rows.response
        return Pairs(response.values, response.sizes, self.rows.class_weights, self.rows.class_of)

    @cached_property
    def _constant(self) -> float:
        """What the rows have beside the pairs: groups of several rows order their successes."""
        of_pairs = self.model.family.log_constant(self.rows.response)
        return self.rows.log_constant - float(self.pairs.weights @ of_pairs)

    @property
    def work(self) -> float:
        """Steps or pairs, whichever are summed."""
        steps = float(self.pairs.values.max() + 2.0 * self.pairs.sizes.max())
        return min(steps, 8.0 * len(self.pairs.values))

    @property
    def seconds(self) -> float:
        """Counted, not timed."""
        return _SECONDS + _SECONDS_A_STEP * self.work

    def table_seconds(self, factor: int) -> float:
        """Points of each pair's grid and what placing it costs."""
        return 1.5e-8 * self.rows.n_rows * (2 * self.half + 1 + 80)

    @property
    def route(self) -> str:
        """The closed form, in words."""
        family, population = self.model.family.name, self.model.population.name
        return f"group parameters integrated out in closed form ({population} population of {family} groups)"

    @property
    def evidence(self) -> dict[str, float]:
        """There is no quadrature in the likelihood."""
        return {"distinct pairs": float(len(self.pairs.values))}

    def refine(self, points: HyperPoints) -> ConjugateMarginal:
        """Nothing needs refining."""
        return self

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y | alpha, beta) for each node."""
        alpha, beta = self.shapes(points)
        module = beta_binomial if self.model.population.name == "beta" else gamma_poisson
        with np.errstate(all="ignore"):
            value = module.log_marginal(alpha, beta, self.pairs) + self._constant
        return np.where(np.isnan(value), -np.inf, value)

    def value_and_gradient(self, points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        """Return the log likelihood and its derivatives by alpha and beta."""
        alpha, beta = self.shapes(points)
        module = beta_binomial if self.model.population.name == "beta" else gamma_poisson
        with np.errstate(all="ignore"):
            found = module.log_marginal_gradient(alpha, beta, self.pairs)
        gradient = self.no_gradient(points)._replace(extras=np.stack([found.by_alpha, found.by_beta]))
        return found.value + self._constant, gradient

    def pooling_weights(self, points: HyperPoints) -> FloatArray:
        """Return the weight (class, node) of each class's own proportion or rate: size / (size + concentration)."""
        alpha, beta = self.shapes(points)
        worth = alpha + beta if self.model.population.name == "beta" else beta
        sizes = self.pairs.sizes[:, None]
        return sizes / (sizes + worth)

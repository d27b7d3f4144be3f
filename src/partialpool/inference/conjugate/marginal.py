"""Conjugate pairs: binomial groups with a beta population, Poisson groups with a gamma population, in closed form."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from partialpool.inference.conjugate import beta_binomial, gamma_poisson
from partialpool.inference.conjugate.conditional import Conditional, summarise_proportions, summarise_rates
from partialpool.inference.conjugate.draws import draw_proportions, draw_rates
from partialpool.inference.conjugate.pairs import Pairs
from partialpool.inference.conjugate.predictive_quantiles import counts_quantiles, successes_quantiles
from partialpool.inference.laws.beta_gamma import BetaLaw, GammaLaw
from partialpool.inference.quadrature.population_window import PopulationWindow
from partialpool.models.space.hyper_gradient import HyperGradient
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray

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
        return self.rows.log_constant - float(self.pairs.weights @ self._pair_constants)

    @cached_property
    def _pair_constants(self) -> FloatArray:
        """The terms (pair,) of a pair's log probability that hold no unknown."""
        return self.model.family.log_constant(self.rows.response)

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
        """The inversion of the mixtures' cumulatives."""
        return 6e-7 * self.rows.n_rows

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
        module = beta_binomial if self.is_beta else gamma_poisson
        with np.errstate(all="ignore"):
            value = module.log_marginal(alpha, beta, self.pairs) + self._constant
        return np.where(np.isnan(value), -np.inf, value)

    def class_log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return the log likelihood of a group of each pair (pair, node), in closed form."""
        alpha, beta = self.shapes(points)
        module = beta_binomial if self.is_beta else gamma_poisson
        with np.errstate(all="ignore"):
            return np.asarray(module.log_probabilities(alpha, beta, self.pairs) - self._pair_constants[:, None])

    def value_and_gradient(self, points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        """Return the log likelihood and its derivatives by alpha and beta."""
        alpha, beta = self.shapes(points)
        module = beta_binomial if self.is_beta else gamma_poisson
        with np.errstate(all="ignore"):
            found = module.log_marginal_gradient(alpha, beta, self.pairs)
        gradient = self.no_gradient(points)._replace(extras=np.stack([found.by_alpha, found.by_beta]))
        return found.value + self._constant, gradient

    @property
    def is_beta(self) -> bool:
        """Whether groups are proportions with a beta population, and not rates with a gamma one."""
        return self.model.population.name == "beta"

    def summarise(self, points: HyperPoints, weights: FloatArray, probabilities: FloatArray) -> Conditional:
        """Return moments, quantiles and pooling weights of every pair on both scales, from mixtures of betas or gammas
        over nodes with their ``weights``."""
        alpha, beta = self.shapes(points)
        summarise = summarise_proportions if self.is_beta else summarise_rates
        return summarise(alpha, beta, weights, self.pairs, probabilities)

    def law(self, points: HyperPoints) -> BetaLaw | GammaLaw:
        """Return the distributions (node, pair) of groups' parameters given each node."""
        alpha, beta = (shape[:, None] for shape in self.shapes(points))
        values, sizes = self.pairs.values, self.pairs.sizes
        return (
            BetaLaw(alpha + values, beta + sizes - values) if self.is_beta else GammaLaw(alpha + values, beta + sizes)
        )

    def draw_effects(
        self, points: HyperPoints, levels: list[IntArray], rng: np.random.Generator
    ) -> tuple[FloatArray, ...]:
        """Draw groups' logits or log rates, one hyperparameter point a draw."""
        alpha, beta = self.shapes(points)
        classes = self.rows.class_of[levels[0]]
        values, sizes = self.pairs.values[classes], self.pairs.sizes[classes]
        if self.is_beta:
            p = draw_proportions(alpha, beta, values, sizes, rng)
            return ((np.log(p) - np.log1p(-p))[None],)
        return (np.log(draw_rates(alpha, beta, values, sizes, rng))[None],)

    def predict_counts(
        self, points: HyperPoints, weights: FloatArray, groups: IntArray, sizes: FloatArray, probabilities: FloatArray
    ) -> FloatArray:
        """Return predictive quantiles (row, probability) of counts of ``sizes`` trials or exposures (row,), in known
        ``groups`` (row,), -1 for a new one."""
        alpha, beta = (shape[:, None] for shape in self.shapes(points))
        known = groups >= 0
        classes = np.where(known, self.rows.class_of[groups], 0)
        values = np.where(known, self.pairs.values[classes], 0.0)
        seen = np.where(known, self.pairs.sizes[classes], 0.0)
        if self.is_beta:
            return successes_quantiles(sizes, alpha + values, beta + seen - values, weights, probabilities)
        return counts_quantiles(sizes, alpha + values, beta + seen, weights, probabilities)

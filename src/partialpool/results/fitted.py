"""What a fit leaves, frozen: the rows, the model, its marginal likelihood and the hyperparameters' posterior.

Tables, studies and pictures are functions of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from partialpool.errors import DataError, PriorError
from partialpool.inference.contract import LatentMarginal
from partialpool.inference.gaussian.conditional import JointDraws, draw_jointly
from partialpool.inference.gaussian.marginal import CoefficientConditional, GaussianMarginal
from partialpool.inference.hyper.certificate import Engine
from partialpool.inference.hyper.hyper_posterior import HyperPosterior, draw_hyperparameters
from partialpool.inputs.columns.places import suggest_nearest
from partialpool.inputs.observations import Observations
from partialpool.models.families.base import ResponseName
from partialpool.models.latent_model import LatentModel
from partialpool.models.model import Model
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from partialpool.inference.hyper.mixture import EffectsSummary

#: The scale that a table's numbers are on: the linear predictor's or the response's.
Scale = Literal["response", "linear"]
# Sets of nodes whose points are held: a summary goes back and forth between two.
_HELD = 3


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model: the posterior of everything, and how it was obtained."""

    observations: Observations
    model: Model
    marginal: GaussianMarginal | LatentMarginal
    hyper: HyperPosterior
    method: str
    seed: int

    @property
    def engine(self) -> Engine:
        """The certificate: route, reason, evidence, status."""
        return self.hyper.engine

    @property
    def plug_in(self) -> bool:
        """Whether population parameters are estimates put in place of a posterior (empirical Bayes)."""
        return self.engine.status == "plug-in"

    @property
    def formula(self) -> str:
        """The formula as it was written."""
        return self.model.design.formula.text

    @property
    def priors(self) -> Mapping[str, str]:
        """The priors in use, as text, by parameter name."""
        return {name: str(prior) for name, prior in self.model.priors.items()}

    @property
    def log_marginal_likelihood(self) -> float:
        """log p(y). Raises ``PriorError`` under improper priors, which leave it without a meaning."""
        improper = [name for name, prior in self.model.priors.items() if not prior.proper]
        if improper or self.plug_in:
            reason = (
                "empirical Bayes uses no priors" if self.plug_in else f"the prior of {', '.join(improper)} is improper"
            )
            raise PriorError(
                f"log_marginal_likelihood: {reason}, so p(y) is defined only up to an unknown constant: give every "
                "parameter a proper prior"
            )
        return self.hyper.log_marginal_likelihood

    @property
    def leaves_in_closed_form(self) -> bool:
        """Whether effects are normal given the hyperparameters and leave by algebra."""
        return isinstance(self.marginal, GaussianMarginal)

    @property
    def gaussian(self) -> GaussianMarginal:
        """The marginal likelihood of a normal model."""
        assert isinstance(self.marginal, GaussianMarginal)
        return self.marginal

    @property
    def latent(self) -> LatentMarginal:
        """The marginal likelihood of a model whose effects leave by quadrature or conjugacy."""
        assert isinstance(self.marginal, LatentMarginal)
        return self.marginal

    @property
    def latent_model(self) -> LatentModel:
        """The model of such a marginal likelihood."""
        assert isinstance(self.model, LatentModel)
        return self.model

    @property
    def response_name(self) -> ResponseName | None:
        """What a group is called on the response's scale; None where that is the linear predictor's."""
        return self.model.family.response_name if isinstance(self.model, LatentModel) else None

    def to_response(self, values: FloatArray) -> FloatArray:
        """Return values of the linear predictor as probabilities, rates or means."""
        if not isinstance(self.model, LatentModel):
            return values
        with np.errstate(over="ignore", under="ignore"):
            return self.model.family.response_scale(values)

    @property
    def rises(self) -> bool:
        """Whether the response's scale rises with the linear predictor."""
        ends = self.to_response(np.array([0.4, 0.6]))
        return bool(ends[1] > ends[0])

    def draw_jointly(self, n: int, levels: Sequence[IntArray], rng: np.random.Generator) -> JointDraws:
        """Draw hyperparameters, coefficients and the effects of some levels of each factor, ``n`` times."""
        if isinstance(self.marginal, GaussianMarginal):
            return draw_jointly(self.marginal, self.hyper, n, levels, rng, coefficients_known=self.plug_in)
        _, points = draw_hyperparameters(self.hyper, n, rng)
        coefficients = self.order_coefficients(points)
        effects, sigmas = self.marginal.draw_groups(points, list(levels), rng) if levels else ((), None)
        return JointDraws(points, coefficients, coefficients, effects, sigmas)

    @cached_property
    def conditional(self) -> CoefficientConditional:
        """The coefficients given each node, computed once: every table needs them."""
        return self.gaussian.coefficients_given(self.hyper.points)

    def condition_at(self, nodes: IntArray) -> tuple[HyperPoints, CoefficientConditional]:
        """Return some nodes' points and the coefficients given them.

        Equal nodes give the same objects as before: where factorising is dear, effects' conditional moments are held by
        the object that they were computed at.
        """
        key = nodes.tobytes()
        found = self._held.pop(key, None) or (self.hyper.points.select(nodes), self.conditional.select(nodes))
        self._held[key] = found  # the latest last
        while len(self._held) > _HELD:
            del self._held[next(iter(self._held))]
        return found

    @cached_property
    def _held(self) -> dict[bytes, tuple[HyperPoints, CoefficientConditional]]:
        return {}

    @cached_property
    def effect_summaries(self) -> tuple[EffectsSummary, ...]:
        """Every factor's deviations, and its groups' own values as tables have them by default."""
        from partialpool.results.latent.effects import summarise_by_default

        return summarise_by_default(self)

    @property
    def effect_means(self) -> tuple[FloatArray, ...]:
        """The posterior means of every factor's deviations, each (effect, group)."""
        sizes = [len(group.names) for group in self.model.groups]
        return tuple(found.summary.mean[:n] for found, n in zip(self.effect_summaries, sizes, strict=True))

    def own_values(self, points: HyperPoints, factor: int) -> FloatArray:
        """Return what is added to a factor's deviations to give the groups' own values, (effect, node)."""
        return np.asarray(self.theta_columns(factor).T @ self.order_coefficients(points))

    def order_coefficients(self, points: HyperPoints) -> FloatArray:
        """Return the coefficients (coefficient, node) in the formula's order; zeros where a population replaces
        them."""
        ordered = np.empty((len(self.model.design.population.names), points.n_nodes))
        ordered[list(self.model.coefficient_prior.sampled)] = points.coefficients
        return ordered

    def population_variances(self, points: HyperPoints, factor: int) -> FloatArray:
        """Return the population variance of each effect of a factor, on the linear predictor's scale, (effect,
        node)."""
        return self.latent.population_variances(points, factor)

    def theta_columns(self, factor: int) -> FloatArray:
        """Return which population coefficient each effect of a factor deviates from, (coefficient, effect)."""
        names, effects = self.model.design.population.names, self.model.groups[factor].names
        return np.array([[float(name == effect) for effect in effects] for name in names]).reshape(-1, len(effects))

    def check_factor(self, factor: str | None) -> int:
        """Return the position of a grouping factor of the fit (None: the only one); raise ``DataError`` if it has
        none of that name, or several where none is named."""
        names = [group.name for group in self.model.groups]
        if not names:
            raise DataError(
                "this fit has no groups of its own (complete pooling): fit with pooling='partial', or use summary()"
            )
        if factor is None and len(names) > 1:
            known = ", ".join(f"'{name}'" for name in names)
            raise DataError(f"this fit has {len(names)} grouping factors ({known}): name the one that is meant")
        if factor is None or factor in names:
            return names.index(factor) if factor is not None else 0
        only = f": the factor is '{names[0]}'" if len(names) == 1 else suggest_nearest(str(factor), names)
        raise DataError(f"'{factor}' is not a grouping factor of this fit{only}")

    def check_scale(self, scale: str) -> None:
        """Raise ``DataError`` where ``scale`` is not 'response' or 'linear'."""
        if scale not in ("response", "linear"):
            raise DataError(f"scale={scale!r} is not a choice: choose 'response' or 'linear'")

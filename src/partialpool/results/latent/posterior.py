"""The frozen result of a fit whose effects leave by quadrature or conjugacy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from partialpool.errors import DataError
from partialpool.inference.contract import LatentMarginal
from partialpool.inference.gaussian.conditional import JointDraws
from partialpool.inference.hyper.hyper_posterior import draw_hyperparameters
from partialpool.models.latent_model import LatentModel
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.posterior import Posterior

if TYPE_CHECKING:
    import pandas as pd

    from partialpool.results.latent.effects import EffectsSummary

_QUANTILES = (0.05, 0.5, 0.95)
#: The scale that a table's numbers are on: the linear predictor's or the response's.
Scale = Literal["response", "linear"]


@dataclass(frozen=True, eq=False, repr=False)
class LatentPosterior(Posterior):
    """A fitted model with any likelihood family and population.

    Group quantities are ``theta[g=level]`` on the linear predictor's scale and ``p[...]``, ``rate[...]`` or
    ``mean[...]`` on the response's; tables say which with ``scale``.
    """

    model: LatentModel
    marginal: LatentMarginal  # type: ignore[assignment]  # what reads the Gaussian marginal is overridden below

    @property
    def latent(self) -> LatentMarginal:
        """The marginal likelihood."""
        return self.marginal

    @cached_property
    def effect_summaries(self) -> tuple[EffectsSummary, ...]:
        """Every factor's deviations, and its groups' own values as tables have them by default."""
        from partialpool.results.latent.groups import summarise_by_default

        return summarise_by_default(self)

    @property
    def effect_means(self) -> tuple[FloatArray, ...]:
        """The posterior means of every factor's deviations, each (effect, group)."""
        sizes = [len(group.names) for group in self.model.groups]
        return tuple(found.summary.mean[:n] for found, n in zip(self.effect_summaries, sizes, strict=True))

    @property
    def rises(self) -> bool:
        """Whether the response's scale rises with the linear predictor."""
        ends = self.to_response(np.array([0.4, 0.6]))
        return bool(ends[1] > ends[0])

    def to_response(self, values: FloatArray) -> FloatArray:
        """Return values of the linear predictor as probabilities, rates or means."""
        with np.errstate(over="ignore", under="ignore"):
            return self.model.family.response_scale(values)

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
        return self.marginal.population_variances(points, factor)

    def groups(
        self,
        factor: str | None = None,
        *,
        quantiles: Sequence[float] | None = None,
        scale: Scale = "response",
    ) -> pd.DataFrame:
        """Return one line a group: n, size, raw estimate and its sd, posterior mean, sd and interval, weight.

        ``scale`` 'response' gives probabilities, rates or means, 'linear' the linear predictor; both are of the group's
        own value where all columns of the formula are zero. With slopes there are several lines a group, on the linear
        scale. ``size`` is the sum of trials or exposure. ``weight`` is the pooling weight of a conjugate pair, else one
        less the ratio of the group's conditional variance to the population's. A mean or sd that does not exist under
        the priors is NaN, printed as '-' with its reason below; the median then stands beside the 5 % and 95 % points,
        which are the default ``quantiles``.
        """
        from partialpool.results.latent.groups import tabulate_latent_groups

        return tabulate_latent_groups(self, factor, quantiles=quantiles, scale=scale).to_frame()

    def pooling(self, factor: str | None = None, *, scale: Scale = "response") -> pd.DataFrame:
        """Return, for each group, no pooling, complete pooling and partial pooling side by side, with the weight."""
        from partialpool.results.latent.groups import compare_latent_pooling

        return compare_latent_pooling(self, factor, scale=scale).to_frame()

    def variances(self, *, quantiles: Sequence[float] = _QUANTILES) -> pd.DataFrame:
        """Return the variance of each factor's effects on the linear predictor's scale; where the link has a latent
        variable (logit, probit, cloglog) its variance is the residual, and proportions are of the sum."""
        from partialpool.results.latent.variances import tabulate_latent_variances

        return tabulate_latent_variances(self, quantiles=quantiles).to_frame()

    def contrast(
        self,
        factor: str | None,
        levels: Any,
        minus: Any = None,
        *,
        quantiles: Sequence[float] = _QUANTILES,
        scale: Scale = "linear",
    ) -> pd.DataFrame:
        """Return a contrast between groups of one factor, as ``Posterior.contrast`` does: of conjugate pairs from the
        groups' distributions, else from 4,000 to 20,000 joint draws, which know the mean to 0.016 to 0.007 of its sd.

        On the 'response' scale it is a contrast of probabilities, rates or means.
        """
        from partialpool.results.latent.differences import tabulate_latent_contrast

        return tabulate_latent_contrast(self, factor, levels, minus, quantiles=quantiles, scale=scale).to_frame()

    def differences(
        self,
        factor: str | None = None,
        *,
        to: Any = None,
        quantiles: Sequence[float] = _QUANTILES,
        scale: Scale = "linear",
    ) -> pd.DataFrame:
        """Return the differences between all pairs of groups, or of each group from ``to``, computed as ``contrast``
        is."""
        from partialpool.results.latent.differences import tabulate_latent_differences

        return tabulate_latent_differences(self, factor, to=to, quantiles=quantiles, scale=scale).to_frame()

    def predict(
        self,
        new_data: Any,
        *,
        quantiles: Sequence[float] = _QUANTILES,
        standard_error: Any = None,
        offset: Any = None,
        trials: Any = None,
        exposure: Any = None,
        scale: Scale = "response",
    ) -> pd.DataFrame:
        """Predict for new rows: several lines a row, each labelled by its ``quantity``.

        'group mean' is the row's probability, rate or mean in its known group; 'new group mean' that of a group drawn
        from the population; 'population average' is the mean over that population, and 'at the average' the value
        where the effects are zero: they differ under every link but the identity. 'new observation' and 'new group, new
        observation' are responses (counts of ``trials`` or in ``exposure``, whole numbers), by draws; where the fit had
        trials or exposures and the new rows have none there are no such lines. ``scale`` 'linear' gives linear
        predictors, without observations.

        Means and sds over groups not seen are those of closed forms given the hyperparameters (a rule over the
        population where there is none), summed over the nodes; quantiles are by draws, the same for equal rows. A mean
        or sd that does not exist, or whose sum a few nodes carry, is NaN, printed as '-' with its reason.
        """
        from partialpool.results.latent.predictions import predict_latent_rows

        return predict_latent_rows(
            self,
            new_data,
            quantiles=quantiles,
            standard_error=standard_error,
            offset=offset,
            trials=trials,
            exposure=exposure,
            scale=scale,
        ).to_frame()

    def draw_jointly(self, n: int, levels: Sequence[IntArray], rng: np.random.Generator) -> JointDraws:
        """Draw hyperparameters and the effects of some levels of each factor, ``n`` times."""
        _, points = draw_hyperparameters(self.hyper, n, rng)
        coefficients = self.order_coefficients(points)
        effects, sigmas = self.latent.draw_groups(points, list(levels), rng) if levels else ((), None)
        return JointDraws(points, coefficients, coefficients, effects, sigmas)

    def check_scale(self, scale: str) -> None:
        """Raise ``DataError`` where ``scale`` is not 'response' or 'linear'."""
        if scale not in ("response", "linear"):
            raise DataError(f"scale={scale!r} is not a choice: choose 'response' or 'linear'")

"""Linear predictors of any groups, known and new, summarised over the mixture of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from partialpool.inference.group_posterior import ConditionalMoments, predictor_given_nodes
from partialpool.inference.mixture_summary import ItemMoments, MixtureSummary, summarise_mixture
from partialpool.numerics.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from partialpool.results.posterior import Posterior


class Predictors(NamedTuple):
    """Quantities population'beta + effects'u, and an observation's noise where ``noise`` (quantity,), its variance over
    sigma^2, is given.

    ``population`` (coefficient, quantity); ``effects`` (effect of all factors, quantity); ``levels``, for each factor
    (quantity,) codes of the groups, -1 for a new one, None where all are new.
    """

    population: FloatArray
    effects: FloatArray
    levels: Sequence[IntArray | None]
    noise: FloatArray | None = None


def summarise_predictors(posterior: Posterior, wanted: Predictors, probabilities: FloatArray) -> MixtureSummary:
    """Return mean, sd and quantiles of every quantity, one kind: (1, quantity)."""

    def prepare(nodes: IntArray) -> ItemMoments:
        points, conditional = posterior.condition_at(nodes)

        def moments(part: slice) -> ConditionalMoments:
            given = predictor_given_nodes(
                posterior.marginal,
                points,
                conditional,
                wanted.population[:, part],
                wanted.effects[:, part],
                [None if codes is None else codes[part] for codes in wanted.levels],
                coefficients_known=posterior.plug_in,
            )
            if wanted.noise is None:
                return given
            return given._replace(variance=given.variance + points.residual_sd[:, None] ** 2 * wanted.noise[part])

        return moments

    return summarise_mixture(posterior.hyper, prepare, 1, wanted.population.shape[1], probabilities)

"""Linear predictors of any groups, known and new, summarised over the mixture of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from partialpool.inference.gaussian.conditional import ConditionalMoments, predictor_given_nodes
from partialpool.inference.hyper.mixture import ItemMoments, MixtureSummary, summarise_mixture
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.runs import hold_runs

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

#: The expected value, or an observation about it.
Kind = Literal["mean", "observation"]


class Predictors(NamedTuple):
    """Quantities population'beta + effects'u, and the noise of observations about them.

    ``population`` (coefficient, quantity); ``effects`` (effect of all factors, quantity); ``levels``, for each factor
    (quantity,) codes of the groups, -1 for a new one, None where all are new; ``noise`` (quantity,), an observation's
    variance over sigma^2, None where it is not known.
    """

    population: FloatArray
    effects: FloatArray
    levels: Sequence[IntArray | None]
    noise: FloatArray | None = None


def summarise_predictors(
    posterior: Fitted, wanted: Predictors, probabilities: FloatArray, kinds: Sequence[Kind] = ("mean",)
) -> MixtureSummary:
    """Return mean, sd and quantiles of every quantity, (kind, quantity)."""
    n = wanted.population.shape[1]

    def prepare(nodes: IntArray) -> ItemMoments:
        points, conditional = posterior.condition_at(nodes)

        def expected(part: slice) -> ConditionalMoments:
            return predictor_given_nodes(
                posterior.gaussian,
                points,
                conditional,
                wanted.population[:, part],
                wanted.effects[:, part],
                [None if codes is None else codes[part] for codes in wanted.levels],
                coefficients_known=posterior.plug_in,
            )

        held = hold_runs(posterior, expected, len(nodes), n)

        def moments(part: slice) -> ConditionalMoments:
            given = held(part)
            variances = []
            for kind in kinds:
                noise = 0.0 if wanted.noise is None or kind == "mean" else wanted.noise[part]
                variances.append(given.variance + points.residual_sd[:, None] ** 2 * noise)
            return ConditionalMoments(np.tile(given.mean, len(kinds)), np.concatenate(variances, axis=1))

        return moments

    return summarise_mixture(posterior.hyper, prepare, len(kinds), n, probabilities)

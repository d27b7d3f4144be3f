"""Every group's deviation and own value, summarised over the mixture of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from partialpool.inference.gaussian.conditional import ConditionalMoments, effects_given_nodes
from partialpool.inference.hyper.mixture import EffectsSummary, ItemMoments, MixtureSummary, summarise_mixture
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.infinite_moments import deviations_are_infinite
from partialpool.results.pooling_weights import average_weights

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted


def summarise_effects(
    posterior: Fitted, factor: int, kinds: Sequence[str], probabilities: FloatArray
) -> MixtureSummary:
    """Summarise every effect of every group of a factor, (kind * effect, group): deviations ('u') and the groups' own
    values ('theta')."""
    if not posterior.leaves_in_closed_form:
        from partialpool.results.latent.effects import summarise_latent_effects

        return summarise_latent_effects(posterior, factor, kinds, probabilities)
    group = posterior.model.groups[factor]
    columns = posterior.theta_columns(factor)
    populations = [columns if kind == "theta" else np.zeros_like(columns) for kind in kinds]

    def prepare(nodes: IntArray) -> ItemMoments:
        points, conditional = posterior.condition_at(nodes)

        def moments(part: slice) -> ConditionalMoments:
            return effects_given_nodes(
                posterior.gaussian,
                points,
                conditional,
                populations,
                part,
                coefficients_known=posterior.plug_in,
                factor=factor,
            )

        return moments

    n_kinds = len(kinds) * len(group.names)
    summary = summarise_mixture(posterior.hyper, prepare, n_kinds, group.n_levels, probabilities)
    for row, (kind, name) in enumerate(product(kinds, group.names)):
        if kind == "u" and deviations_are_infinite(posterior, factor, name):
            summary.sd[row] = np.nan
    return summary


def summarise_own_values(posterior: Fitted, factor: int, kind: str, probabilities: FloatArray) -> EffectsSummary:
    """Summarise the groups' own values, ``kind`` 'theta' or 'p', 'rate', 'mean', with their pooling weights."""
    if not posterior.leaves_in_closed_form:
        from partialpool.results.latent.effects import summarise_latent_values

        return summarise_latent_values(posterior, factor, kind, probabilities)
    summary = summarise_effects(posterior, factor, (kind,), probabilities)
    return EffectsSummary(summary, average_weights(posterior, factor))

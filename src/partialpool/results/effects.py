"""Every group's deviation and own value, summarised over the mixture of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, cast

import numpy as np

from partialpool.inference.gaussian.conditional import ConditionalMoments, effects_given_nodes
from partialpool.inference.hyper.mixture import ItemMoments, MixtureSummary, summarise_mixture
from partialpool.models.latent_model import LatentModel
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.infinite_moments import deviations_are_infinite

if TYPE_CHECKING:
    from partialpool.results.latent.posterior import LatentPosterior
    from partialpool.results.posterior import Posterior


def summarise_effects(
    posterior: Posterior, factor: int, kinds: Sequence[str], probabilities: FloatArray
) -> MixtureSummary:
    """Summarise every effect of every group of a factor, (kind * effect, group): deviations ('u') and the groups' own
    values ('theta')."""
    if isinstance(posterior.model, LatentModel):
        from partialpool.results.latent.effects import summarise_latent_effects

        latent = cast("LatentPosterior", posterior)
        return summarise_latent_effects(latent, factor, kinds, probabilities)
    group = posterior.model.groups[factor]
    columns = posterior.theta_columns(factor)
    populations = [columns if kind == "theta" else np.zeros_like(columns) for kind in kinds]

    def prepare(nodes: IntArray) -> ItemMoments:
        points, conditional = posterior.condition_at(nodes)

        def moments(part: slice) -> ConditionalMoments:
            return effects_given_nodes(
                posterior.marginal,
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

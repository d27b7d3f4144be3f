"""Contrasts of groups whose effects leave by quadrature or conjugacy: of conjugate pairs from the groups'
distributions, else from seeded joint draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from partialpool.inference.conjugate.contrasts import summarise_contrasts
from partialpool.inference.conjugate.marginal import ConjugateMarginal
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.contrast_terms import Contrasts, ContrastSummary
from partialpool.results.draws import draw_posterior
from partialpool.results.latent.effects import count_own_moments, gather_nodes
from partialpool.results.selection import no_level

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

# Joint draws of a contrast: they estimate its mean to 0.016 of its sds at least, to 0.007 where that is quick.
_N_DRAWS = (4_000, 20_000)
_SECONDS = 2.0
# Seconds that the distribution of one group of a conjugate pair takes at a node.
_SECONDS_AN_ITEM = 2.5e-4


def summarise_latent_contrasts(
    posterior: Fitted, contrasts: Contrasts, probabilities: FloatArray, scale: str
) -> ContrastSummary:
    """Summarise every coefficient of every contrast, coefficients within contrasts; NaN for moments that do not
    exist."""
    if isinstance(posterior.latent, ConjugateMarginal):
        return _from_distributions(posterior, posterior.latent, contrasts, probabilities, scale)
    codes, place_of = np.unique(contrasts.codes, return_inverse=True)
    drawn = _draw(posterior, contrasts.factor, codes.astype(np.intp), scale)
    places = place_of.reshape(contrasts.codes.shape)
    n_effects, n_contrasts = len(drawn), contrasts.weights.shape[1]
    shape = (n_contrasts, n_effects)
    mean, sd, above = np.empty(shape), np.empty(shape), np.empty(shape)
    quantiles = np.empty((n_contrasts, n_effects, len(probabilities)))
    for k in range(n_contrasts):
        values = np.einsum("l,enl->en", contrasts.weights[:, k], drawn[:, :, places[:, k]])
        with np.errstate(over="ignore"):  # where a moment that does not exist is left out
            mean[k], sd[k] = values.mean(axis=1), values.std(axis=1)
        quantiles[k] = np.quantile(values, probabilities, axis=1).T
        above[k] = np.mean(values > 0.0, axis=1)
    if scale == "response":
        existing = count_own_moments(posterior, contrasts.factor)[contrasts.codes].min(axis=0, initial=2)[:, None]
        mean, sd = np.where(existing >= 1, mean, np.nan), np.where(existing >= 2, sd, np.nan)
    return ContrastSummary(mean.ravel(), sd.ravel(), quantiles.reshape(-1, len(probabilities)), above.ravel())


def _from_distributions(
    posterior: Fitted, marginal: ConjugateMarginal, contrasts: Contrasts, probabilities: FloatArray, scale: str
) -> ContrastSummary:
    """Summarise contrasts of a conjugate pair's groups."""
    items = marginal.class_of(0)[contrasts.codes]
    nodes = gather_nodes(posterior.hyper, _SECONDS_AN_ITEM * len(np.unique(items)), contrasts.codes.shape[1])
    law = marginal.law(nodes.points)
    found = summarise_contrasts(
        law, nodes.weights, items, contrasts.weights, probabilities, response=scale == "response"
    )
    return ContrastSummary(found.mean, found.sd, found.quantiles, found.above)


def _draw(posterior: Fitted, factor: int, codes: IntArray, scale: str) -> FloatArray:
    """Return joint draws of groups' own values, (effect, draw, level)."""
    levels = list(no_level(posterior))
    levels[factor] = np.asarray(codes, dtype=np.intp)
    affordable = _SECONDS / posterior.latent.table_seconds(factor)
    drawn = draw_posterior(posterior, int(np.clip(affordable, *_N_DRAWS)), levels=levels)
    own = np.einsum("ck,cn->kn", posterior.theta_columns(factor), drawn.centres)
    values = drawn.effects[factor] + own[..., None]
    return posterior.to_response(values) if scale == "response" else values

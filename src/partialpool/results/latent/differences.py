"""Contrasts of groups of a latent model: of conjugate pairs from the groups' distributions, else from seeded joint
draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.errors import DataError
from partialpool.inference.conjugate.contrasts import summarise_contrasts
from partialpool.inference.conjugate.marginal import ConjugateMarginal
from partialpool.models.propriety.response_tails import explain_missing
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.draws import draw_posterior
from partialpool.results.latent.effects import count_own_moments, gather_nodes
from partialpool.results.levels import find_level, quote_label
from partialpool.results.notes import note_support
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.selection import no_level
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.results.latent.posterior import LatentPosterior

# Joint draws of a contrast: they estimate its mean to 0.016 of its sds at least, to 0.007 where that is quick.
_N_DRAWS = (4_000, 20_000)
_SECONDS = 2.0
# Seconds that the distribution of one group of a conjugate pair takes at a node.
_SECONDS_AN_ITEM = 2.5e-4
# Pairs of groups that one table may have.
_MOST_PAIRS = 20_000


def tabulate_latent_contrast(
    posterior: LatentPosterior, factor: str | None, levels: Any, minus: Any, *, quantiles: Sequence[float], scale: str
) -> Table:
    """Return mean, sd, quantiles and P(>0) of a contrast of groups' own values."""
    place = posterior.check_factor(factor)
    group = posterior.model.groups[place]
    if isinstance(levels, dict) and minus is not None:
        raise DataError("contrast: give weights of all levels, or one level and minus=, not both")
    terms = list(levels.items()) if isinstance(levels, dict) else [(levels, 1.0)]
    terms += [] if minus is None else [(minus, -1.0)]
    named = [(find_level(group, level), float(weight)) for level, weight in terms]
    # a level that is named twice is one level
    codes, place_of = np.unique([code for code, _ in named], return_inverse=True)
    weights = np.bincount(place_of, weights=[weight for _, weight in named])
    name = " ".join(
        f"{'-' if w < 0 else '+'} {'' if abs(w) == 1 else f'{abs(w):g} '}{quote_label(group.labels[c])}"
        for c, w in named
    ).removeprefix("+ ")
    if isinstance(posterior.latent, ConjugateMarginal):
        used = weights != 0.0
        return _from_distributions(posterior, [name], codes[used][:, None], weights[used][:, None], quantiles, scale)
    values = np.einsum("l,enl->en", weights, _draw(posterior, place, codes.astype(np.intp), scale))
    table = _tabulate(posterior, [name], values[:, None], group.names, quantiles)
    return _without_missing(posterior, table, place, codes[weights != 0.0][:, None], scale)


def tabulate_latent_differences(
    posterior: LatentPosterior, factor: str | None, *, to: Any, quantiles: Sequence[float], scale: str
) -> Table:
    """Return the differences between all pairs of groups, or of each group from ``to``."""
    place = posterior.check_factor(factor)
    group = posterior.model.groups[place]
    n = group.n_levels
    if to is None:
        first, second = np.triu_indices(n, 1)
    else:
        base = find_level(group, to)
        first = np.delete(np.arange(n), base)
        second = np.full(n - 1, base)
    if len(first) > _MOST_PAIRS:
        raise DataError(f"differences: {len(first):,} pairs: name a level with to=, or use contrast() for some")
    labels = [quote_label(label) for label in group.labels]
    names = [f"{labels[a]} - {labels[b]}" for a, b in zip(first, second, strict=True)]
    if isinstance(posterior.latent, ConjugateMarginal):
        signs = np.repeat([[1.0], [-1.0]], len(first), axis=1)
        return _from_distributions(posterior, names, np.stack([first, second]), signs, quantiles, scale)
    drawn = _draw(posterior, place, np.arange(n, dtype=np.intp), scale)
    values = np.stack([drawn[:, :, a] - drawn[:, :, b] for a, b in zip(first, second, strict=True)], axis=1)
    table = _tabulate(posterior, names, values, group.names, quantiles)
    return _without_missing(posterior, table, place, np.stack([first, second]), scale)


def _without_missing(posterior: LatentPosterior, table: Table, factor: int, codes: IntArray, scale: str) -> Table:
    """Return contrasts of the groups ``codes`` (term, contrast) without the means and sds that do not exist."""
    if scale == "linear":
        return table
    existing = count_own_moments(posterior, factor)[codes].min(axis=0, initial=2)
    if existing.min(initial=2) == 2:
        return table
    columns = dict(table.columns)
    columns["mean"] = np.where(existing >= 1, columns["mean"], np.nan)
    columns["sd"] = np.where(existing >= 2, columns["sd"], np.nan)
    return replace(table, columns=columns, notes=(f"-: {explain_missing(posterior.model)}",))


def _from_distributions(
    posterior: LatentPosterior,
    names: Sequence[str],
    codes: IntArray,
    weights: FloatArray,
    quantiles: Sequence[float],
    scale: str,
) -> Table:
    """Summarise contrasts of a conjugate pair's groups, ``codes`` and ``weights`` (term, contrast)."""
    posterior.check_scale(scale)
    marginal = posterior.latent
    assert isinstance(marginal, ConjugateMarginal)
    items, response = marginal.class_of(0)[codes], scale == "response"
    nodes = gather_nodes(posterior.hyper, _SECONDS_AN_ITEM * len(np.unique(items)), codes.shape[1])
    law = marginal.law(nodes.points)
    found = summarise_contrasts(law, nodes.weights, items, weights, check_quantiles(quantiles), response=response)
    columns = {"mean": found.mean, "sd": found.sd}
    for k, head in enumerate(quantile_columns(quantiles)):
        columns[head] = found.quantiles[:, k]
    columns["P(>0)"] = found.above
    return Table(("contrast",), (list(names),), columns)


def _draw(posterior: LatentPosterior, factor: int, codes: IntArray, scale: str) -> FloatArray:
    """Return joint draws of groups' own values, (effect, draw, level)."""
    posterior.check_scale(scale)
    group = posterior.model.groups[factor]
    if scale == "response" and group.names != ("Intercept",):
        raise DataError("scale='response' is for an intercept alone that varies by group: use scale='linear'")
    levels = list(no_level(posterior))
    levels[factor] = np.asarray(codes, dtype=np.intp)
    affordable = _SECONDS / posterior.latent.table_seconds(factor)
    drawn = draw_posterior(posterior, int(np.clip(affordable, *_N_DRAWS)), levels=levels)
    own = np.einsum("ck,cn->kn", posterior.theta_columns(factor), drawn.centres)
    values = drawn.effects[factor] + own[..., None]
    return posterior.to_response(values) if scale == "response" else values


def _tabulate(
    posterior: LatentPosterior,
    names: Sequence[str],
    values: FloatArray,
    effects: Sequence[str],
    quantiles: Sequence[float],
) -> Table:
    """Summarise draws (effect, contrast, draw), contrasts within effects."""
    probabilities = check_quantiles(quantiles)
    with np.errstate(over="ignore"):  # where a moment that does not exist is left out
        columns = {"mean": values.mean(axis=-1).T.ravel(), "sd": values.std(axis=-1).T.ravel()}
    found = np.quantile(values, probabilities, axis=-1)
    for k, head in enumerate(quantile_columns(quantiles)):
        columns[head] = found[k].T.ravel()
    columns["P(>0)"] = np.mean(values > 0.0, axis=-1).T.ravel()
    notes = note_support(posterior)
    if tuple(effects) == ("Intercept",):
        return Table(("contrast",), (list(names),), columns, notes)
    labels = [name for name in names for _ in effects]
    return Table(("contrast", "coefficient"), (labels, list(effects) * len(names)), columns, notes)

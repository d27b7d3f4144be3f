"""Contrasts between groups of one factor, with the probability that they are positive.

Intervals of two groups that overlap are no test of their difference: the groups' errors are correlated, and the sd of a
difference is less than the sum of the sds. Given a node a contrast is normal, so its posterior is a mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.errors import DataError
from partialpool.inference.gaussian.conditional import ConditionalMoments, contrast_given_nodes
from partialpool.inference.hyper.mixture import (
    ItemMoments,
    Prepare,
    choose_nodes,
    summarise_mixture,
)
from partialpool.models.propriety.response_tails import explain_missing
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.contrast_terms import Contrasts, ContrastSummary, read_weights, write_contrast
from partialpool.results.latent.contrasts import summarise_latent_contrasts
from partialpool.results.levels import find_level
from partialpool.results.notes import note_support
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.runs import hold_runs
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

# All pairs of more groups than 45 are a table that nobody reads.
_MOST_PAIRS = 1000
# A sum of weights below this share of their sizes is 0.
_ROUNDING = 1e-12
# Nodes that carry a probability, and node-quantity products worked on at a time.
_FEWEST_NODES = 2560
_ALL_NODES = 2**20
_BLOCK = 2**17


def tabulate_contrast(
    posterior: Fitted,
    factor: str | None,
    levels: Any,
    minus: Any,
    *,
    quantiles: Sequence[float],
    scale: str = "linear",
) -> Table:
    """Return one contrast of the groups' own values, a line a coefficient."""
    place = posterior.check_factor(factor)
    group = posterior.model.groups[place]
    weights = read_weights(group, levels, minus)
    codes = np.array(list(weights), dtype=np.intp)[:, None]
    contrasts = Contrasts(place, codes, np.array(list(weights.values()))[:, None])
    name = write_contrast([group.labels[code] for code in weights], list(weights.values()))
    return _tabulate(posterior, contrasts, ("contrast",), ([name],), quantiles, scale)


def tabulate_differences(
    posterior: Fitted, factor: str | None, *, to: Any, quantiles: Sequence[float], scale: str = "linear"
) -> Table:
    """Return the differences of all pairs of groups, or of each from the group ``to``.

    Raises ``DataError`` for more than 1,000 pairs.
    """
    place = posterior.check_factor(factor)
    group = posterior.model.groups[place]
    n = group.n_levels
    if to is not None:
        reference = find_level(group, to)
        first = np.delete(np.arange(n, dtype=np.intp), reference)
        second = np.full(n - 1, reference, dtype=np.intp)
    elif n * (n - 1) // 2 > _MOST_PAIRS:
        raise DataError(
            f"differences: {n:,} groups of {group.name} have {n * (n - 1) // 2:,} pairs, more than {_MOST_PAIRS:,}: "
            "give to=, the group that each is compared with, or use contrast() for single ones"
        )
    else:
        first, second = np.array(list(combinations(range(n), 2)), dtype=np.intp).T
    weights = np.repeat([[1.0], [-1.0]], len(first), axis=1)
    keys = group.level_keys[0] if len(group.level_keys) == 1 else np.array(group.labels, dtype=object)
    contrasts = Contrasts(place, np.stack([first, second]), weights)
    return _tabulate(posterior, contrasts, (group.name, "minus"), (keys[first], keys[second]), quantiles, scale)


def _tabulate(
    posterior: Fitted,
    contrasts: Contrasts,
    index_names: tuple[str, ...],
    index: tuple[Any, ...],
    quantiles: Sequence[float],
    scale: str,
) -> Table:
    """Return the contrasts' table, lines of one contrast's coefficients next to each other."""
    names, probabilities = posterior.model.groups[contrasts.factor].names, check_quantiles(quantiles)
    posterior.check_scale(scale)
    if scale == "response" and posterior.response_name is not None and names != ("Intercept",):
        raise DataError("scale='response' is for an intercept alone that varies by group: use scale='linear'")
    if posterior.leaves_in_closed_form:
        found = summarise_contrasts(posterior, contrasts, probabilities)
    else:
        found = summarise_latent_contrasts(posterior, contrasts, probabilities, scale)
    columns: dict[str, Any] = {"mean": found.mean, "sd": found.sd}
    for k, name in enumerate(quantile_columns(quantiles)):
        columns[name] = found.quantiles[:, k]
    columns["P(>0)"] = found.above
    missing = bool(np.isnan(found.mean).any() or np.isnan(found.sd).any())
    reasons = (f"-: {explain_missing(posterior.latent_model)}",) if missing else ()
    notes = (*reasons, *note_support(posterior))
    if names == ("Intercept",):
        return Table(index_names, index, columns, notes)
    repeated = tuple(np.repeat(np.asarray(level, dtype=object), len(names)) for level in index)
    n = contrasts.codes.shape[1]
    return Table((*index_names, "coefficient"), (*repeated, list(names) * n), columns, notes)


def summarise_contrasts(posterior: Fitted, contrasts: Contrasts, probabilities: FloatArray) -> ContrastSummary:
    """Summarise every coefficient of every contrast, coefficients within contrasts."""
    prepare = _prepare(posterior, contrasts)
    n_effects = len(posterior.model.groups[contrasts.factor].names)
    n = contrasts.codes.shape[1] * n_effects
    summary = summarise_mixture(posterior.hyper, prepare, 1, n, probabilities)
    subset = choose_nodes(posterior.hyper, max(_FEWEST_NODES, _ALL_NODES // n))
    moments = prepare(subset.nodes)
    above = np.empty(n)
    length = max(1, _BLOCK // len(subset.nodes))
    for start in range(0, n, length):
        part = slice(start, min(start + length, n))
        above[part] = subset.weights @ _probability_positive(moments(part))
    return ContrastSummary(summary.mean[0], summary.sd[0], summary.quantiles[0], above)


def _probability_positive(given: ConditionalMoments) -> FloatArray:
    """Return P(> 0) of normal quantities (node, quantity); one without spread is positive or not."""
    from scipy.special import ndtr

    sd = np.sqrt(given.variance)
    spread = ndtr(given.mean / np.where(sd > 0.0, sd, 1.0))
    return np.where(sd > 0.0, spread, (given.mean > 0.0).astype(float))


def _prepare(posterior: Fitted, contrasts: Contrasts) -> Prepare:
    """Return what gives the contrasts' moments at chosen nodes: coefficients run within contrasts.

    The moments at equal nodes are computed once: summary and probability mostly ask for the same.
    """
    n_effects = len(posterior.model.groups[contrasts.factor].names)
    total = contrasts.weights.sum(axis=0)
    total[np.abs(total) < _ROUNDING * np.abs(contrasts.weights).sum(axis=0)] = 0.0
    columns = posterior.theta_columns(contrasts.factor)

    def prepare(nodes: IntArray) -> ItemMoments:
        points, conditional = posterior.condition_at(nodes)

        def moments(part: slice) -> ConditionalMoments:
            contrast, effect = np.divmod(np.arange(part.start, part.stop), n_effects)
            unit = np.eye(n_effects)[:, effect]
            terms = [
                (contrasts.factor, codes[contrast], unit * weights[contrast])
                for codes, weights in zip(contrasts.codes, contrasts.weights, strict=True)
            ]
            return contrast_given_nodes(
                posterior.gaussian,
                points,
                conditional,
                columns[:, effect] * total[contrast],
                terms,
                coefficients_known=posterior.plug_in,
            )

        return hold_runs(posterior, moments, len(nodes), contrasts.codes.shape[1] * n_effects)

    known: dict[bytes, ItemMoments] = {}

    def prepare_once(nodes: IntArray) -> ItemMoments:
        key = nodes.tobytes()
        if key not in known:
            known[key] = prepare(nodes)
        return known[key]

    return prepare_once

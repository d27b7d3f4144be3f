"""The table of groups: raw and partially pooled estimates, intervals and pooling weights, on either scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from partialpool.models.own_sigma import has_own_sigma
from partialpool.models.propriety.response_tails import explain_missing
from partialpool.numerics.arrays import FloatArray
from partialpool.results.effects import summarise_own_values
from partialpool.results.latent.effects import count_own_moments, summarise_latent_effects
from partialpool.results.notes import note_groups
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.raw_estimates import estimate_raw
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.inputs.designs.design import GroupDesign
    from partialpool.results.fitted import Fitted


def tabulate_groups(
    posterior: Fitted, factor: str | None, *, quantiles: Sequence[float] | None = None, scale: str = "response"
) -> Table:
    """Return n, size, raw, raw_sd, mean, sd, quantiles and weight of every group (and effect) of a factor; the median
    is among the quantiles, where none are asked for, if some mean or sd does not exist."""
    place = posterior.check_factor(factor)
    group = posterior.model.groups[place]
    kind = choose_kind(posterior, place, scale)
    missing = lacks_moments(posterior, place, kind)
    if quantiles is None:
        quantiles = (0.05, 0.5, 0.95) if missing else (0.05, 0.95)
    probabilities = check_quantiles(quantiles)
    summary, weights = summarise_own_values(posterior, place, kind, probabilities)
    raw = estimate_raw(posterior, place, kind)
    rows = posterior.marginal.group_rows(place)
    columns: dict[str, FloatArray] = {"n": np.tile(rows, len(group.names)).astype(int)}
    if (sizes := _sum_sizes(posterior, group)) is not None:
        columns["size"] = np.tile(sizes, len(group.names))
    columns |= {"raw": raw.mean.ravel(), "raw_sd": raw.sd.ravel()}
    columns |= {"mean": summary.mean.ravel(), "sd": summary.sd.ravel()}
    for k, name in enumerate(quantile_columns(quantiles)):
        columns[name] = summary.quantiles[:, :, k].ravel()
    columns["weight"] = weights.ravel()
    if has_own_sigma(posterior.model):
        own = summarise_latent_effects(posterior, place, ("sigma",), np.empty(0))
        columns["sigma"] = own.mean.ravel()
    return explain(posterior, place, index_by_group(group, columns), missing)


def _sum_sizes(posterior: Fitted, group: GroupDesign) -> FloatArray | None:
    """Return each group's trials or exposure; None where rows have none."""
    measured = posterior.model.design.measurements
    if measured.sizes is None:
        return None
    sizes = measured.sizes if measured.counts is None else measured.sizes * measured.counts
    total = np.bincount(group.codes, weights=sizes, minlength=group.n_levels)
    return np.asarray(total.astype(int) if np.all(total == np.rint(total)) else total)


def choose_kind(posterior: Fitted, factor: int, scale: str) -> str:
    """Return 'theta' on the linear scale and with slopes, else 'p', 'rate' or 'mean'."""
    posterior.check_scale(scale)
    if scale == "linear" or posterior.response_name is None or posterior.model.groups[factor].names != ("Intercept",):
        return "theta"
    return posterior.response_name


def lacks_moments(posterior: Fitted, factor: int, kind: str) -> bool:
    """Say whether the mean or the sd of some group does not exist."""
    return kind != "theta" and bool(np.any(count_own_moments(posterior, factor) < 2))


def explain(posterior: Fitted, factor: int, table: Table, missing: bool) -> Table:
    """Add below a table what is to be said of its groups, and why numbers do not exist where some are ``missing``."""
    notes = (f"-: {explain_missing(posterior.latent_model)}",) if missing else ()
    return replace(table, notes=notes + note_groups(posterior, factor))


def index_by_group(group: GroupDesign, columns: dict[str, FloatArray]) -> Table:
    """Index lines, running over groups within effects, by group, and by effect where there are several (lines then
    run over effects within groups)."""
    keys = group.level_keys[0] if len(group.level_keys) == 1 else np.array(group.labels, dtype=object)
    if group.names == ("Intercept",):
        return Table((group.name,), (keys,), columns)
    n_effects = len(group.names)
    order = np.arange(n_effects * group.n_levels).reshape(n_effects, group.n_levels).T.ravel()
    labels = np.repeat(keys, n_effects)
    effects = list(group.names) * group.n_levels
    return Table(
        (group.name, "coefficient"),
        (labels, effects),
        {name: values[order] for name, values in columns.items()},
    )

"""The table of groups: raw and partially pooled estimates, intervals and pooling weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from partialpool.numerics.arrays import FloatArray
from partialpool.results.effects import summarise_effects
from partialpool.results.notes import note_groups
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.pooling_weights import average_weights
from partialpool.results.raw_estimates import estimate_raw
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.inputs.designs.design import GroupDesign
    from partialpool.results.posterior import Posterior


def tabulate_groups(posterior: Posterior, factor: str | None, *, quantiles: Sequence[float]) -> Table:
    """Return n, raw, raw_sd, mean, sd, quantiles and weight of every group (and effect) of a factor."""
    place = posterior.check_factor(factor)
    probabilities = check_quantiles(quantiles)
    group = posterior.model.groups[place]
    summary = summarise_effects(posterior, place, ("theta",), probabilities)
    raw = estimate_raw(posterior, place)
    columns = {
        "n": np.tile(posterior.marginal.statistics.group_rows[place], len(group.names)).astype(int),
        "raw": raw.mean.ravel(),
        "raw_sd": raw.sd.ravel(),
        "mean": summary.mean.ravel(),
        "sd": summary.sd.ravel(),
    }
    for k, name in enumerate(quantile_columns(quantiles)):
        columns[name] = summary.quantiles[:, :, k].ravel()
    columns["weight"] = average_weights(posterior, place).ravel()
    return replace(index_by_group(group, columns), notes=note_groups(posterior, place))


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

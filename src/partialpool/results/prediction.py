"""Predictions for new rows, each labelled for what it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.errors import DataError
from partialpool.inference.group_posterior import ConditionalMoments, predictor_given_nodes
from partialpool.inference.mixture_summary import ItemMoments, MixtureSummary, summarise_mixture
from partialpool.inputs.new_rows import NewRows, read_new_rows
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.results.posterior import Posterior

GROUP_MEAN = "group mean"
NEW_OBSERVATION = "new observation"
NEW_GROUP_MEAN = "new group mean"
NEW_GROUP_OBSERVATION = "new group, new observation"


def predict_rows(
    posterior: Posterior, new_data: Any, *, quantiles: Sequence[float], standard_error: Any, offset: Any
) -> Table:
    """Return the predictions of ``Posterior.predict`` as a table."""
    probabilities = check_quantiles(quantiles)
    rows = read_new_rows(posterior.model.design, new_data, standard_error=standard_error, offset=offset)
    noise = _noise_variance(posterior, rows)
    codes = _group_codes(posterior, rows)
    known, every = np.flatnonzero(codes >= 0), np.arange(rows.n_rows)
    parts: list[tuple[str, IntArray, MixtureSummary]] = []
    if posterior.model.group is None:
        return predict_coded_rows(posterior, rows, every, quantiles)
    unseen = np.flatnonzero(codes < 0)
    pooled = posterior.model.pooling != "none"
    if not pooled and len(unseen):
        raise DataError(
            f"row {unseen[0] + 1} is of the unseen group '{rows.groups[0].labels[unseen[0]]}': without pooling nothing "
            "is known of a new group; fit with pooling='partial'"
        )
    parts.append((GROUP_MEAN, known, _summarise(posterior, rows, known, None, False, probabilities)))
    if noise is not None:
        parts.append((NEW_OBSERVATION, known, _summarise(posterior, rows, known, noise, False, probabilities)))
    if pooled:
        parts.append((NEW_GROUP_MEAN, unseen, _summarise(posterior, rows, unseen, None, True, probabilities)))
    if pooled and noise is not None:
        new = _summarise(posterior, rows, every, noise, True, probabilities)
        parts.append((NEW_GROUP_OBSERVATION, every, new))
    return _arrange(posterior, rows, codes, parts, quantiles)


def predict_coded_rows(posterior: Posterior, rows: NewRows, which: IntArray, quantiles: Sequence[float]) -> Table:
    """Predict for some rows already coded, by a posterior that has no groups; the index counts within ``which``."""
    offset = None if rows.offset is None else rows.offset[which]
    precision = None if rows.precision is None else rows.precision[which]
    part = NewRows(rows.population[which], (), offset, precision)
    probabilities = check_quantiles(quantiles)
    noise, every = _noise_variance(posterior, part), np.arange(part.n_rows)
    parts = [(GROUP_MEAN, every, _summarise(posterior, part, every, None, False, probabilities))]
    if noise is not None:
        parts.append((NEW_OBSERVATION, every, _summarise(posterior, part, every, noise, False, probabilities)))
    return _arrange(posterior, part, np.full(part.n_rows, -1, dtype=np.intp), parts, quantiles)


def _group_codes(posterior: Posterior, rows: NewRows) -> IntArray:
    if posterior.model.group is None:
        return np.full(rows.n_rows, -1, dtype=np.intp)
    return rows.groups[0].codes


def _noise_variance(posterior: Posterior, rows: NewRows) -> FloatArray | None:
    """Return each row's noise variance over sigma^2; None when it is not known."""
    if rows.precision is not None:
        return 1.0 / rows.precision
    return None if posterior.model.design.measurements.known_scale else np.ones(rows.n_rows)


def _summarise(
    posterior: Posterior,
    rows: NewRows,
    which: IntArray,
    noise: FloatArray | None,
    new_group: bool,
    probabilities: FloatArray,
) -> MixtureSummary:
    """Summarise the expected values of some rows, or observations when ``noise`` is given."""
    has_groups = posterior.model.group is not None
    codes = _group_codes(posterior, rows)

    def prepare(nodes: IntArray) -> ItemMoments:
        points = posterior.hyper.points.select(nodes)
        conditional = posterior.conditional.select(nodes)

        def moments(part: slice) -> ConditionalMoments:
            index = which[part]
            given = predictor_given_nodes(
                posterior.marginal,
                points,
                conditional,
                rows.population[index].T,
                rows.groups[0].values[index].T if has_groups else np.empty((0, len(index))),
                None if new_group else codes[index],
                coefficients_known=posterior.plug_in,
            )
            mean = given.mean if rows.offset is None else given.mean + rows.offset[index]
            variance = given.variance
            if noise is not None:
                variance = variance + points.residual_sd[:, None] ** 2 * noise[index]
            return ConditionalMoments(mean, variance)

        return moments

    return summarise_mixture(posterior.hyper, prepare, 1, len(which), probabilities)


def _arrange(
    posterior: Posterior,
    rows: NewRows,
    codes: IntArray,
    parts: list[tuple[str, IntArray, MixtureSummary]],
    quantiles: Sequence[float],
) -> Table:
    """Put the parts together, lines of one row next to each other."""
    where = np.concatenate([index for _, index, _ in parts])
    order = np.argsort(where, kind="stable")
    quantity = np.concatenate([np.full(len(index), label, dtype=object) for label, index, _ in parts])[order]
    where = where[order]
    columns: dict[str, Any] = {}
    if posterior.model.group is not None:
        labels = rows.groups[0].labels
        columns[posterior.model.group.name] = [labels[i] for i in where]
        columns["group_is"] = ["known" if codes[i] >= 0 else "new" for i in where]
    columns["quantity"] = list(quantity)
    columns["mean"] = np.concatenate([summary.mean[0] for _, _, summary in parts])[order]
    columns["sd"] = np.concatenate([summary.sd[0] for _, _, summary in parts])[order]
    values = np.concatenate([summary.quantiles[0] for _, _, summary in parts])[order]
    for k, name in enumerate(quantile_columns(quantiles)):
        columns[name] = values[:, k]
    return Table(("row",), (where.tolist(),), columns)

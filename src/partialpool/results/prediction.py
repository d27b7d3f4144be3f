"""Predictions for new rows, each labelled for what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.inference.hyper.mixture import MixtureSummary
from partialpool.inputs.designs.new_rows import NewRows, read_new_rows
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.latent.predictions import predict_latent_rows
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.prediction_lines import (
    GROUP_MEAN,
    NEW_GROUP_MEAN,
    NEW_GROUP_OBSERVATION,
    NEW_OBSERVATION,
    name_labels,
)
from partialpool.results.predictors import Kind, Predictors, summarise_predictors
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted


class _CodedRows(NamedTuple):
    """Rows as numbers: ``population`` (row, coefficient), ``effects`` (row, effect of all factors), ``codes``
    (row, factor) of levels with -1 for a new one, and ``noise`` (row,), the noise variance over sigma^2 (None: not
    known)."""

    population: FloatArray
    effects: FloatArray
    codes: IntArray
    noise: FloatArray | None

    def take(self, rows: IntArray) -> _CodedRows:
        """Return some of the rows."""
        noise = None if self.noise is None else self.noise[rows]
        return _CodedRows(self.population[rows], self.effects[rows], self.codes[rows], noise)

    def in_new_groups(self) -> _CodedRows:
        """Return the rows as they would be in groups that are all new."""
        return self._replace(codes=np.full_like(self.codes, -1))


class _Lines(NamedTuple):
    """Lines of one kind: the rows that have one, the codes (row, factor) that they are for, and their summary."""

    quantity: str
    rows: IntArray
    codes: IntArray
    summary: MixtureSummary


def predict_rows(
    posterior: Fitted,
    new_data: Any,
    *,
    quantiles: Sequence[float],
    standard_error: Any = None,
    offset: Any = None,
    trials: Any = None,
    exposure: Any = None,
    scale: str = "response",
) -> Table:
    """Return the predictions for new rows as a table."""
    posterior.check_scale(scale)
    rows = read_new_rows(
        posterior.model.design,
        new_data,
        standard_error=standard_error,
        offset=offset,
        trials=trials,
        exposure=exposure,
    )
    if posterior.model.pooling == "none":
        _refuse_unseen(rows)
    if posterior.leaves_in_closed_form:
        return _predict(posterior, rows, quantiles)
    return predict_latent_rows(posterior, rows, quantiles=quantiles, scale=scale)


def predict_coded_rows(posterior: Fitted, rows: NewRows, which: IntArray, quantiles: Sequence[float]) -> Table:
    """Predict for some rows already coded, by a posterior that has no groups; the index counts within ``which``."""
    offset = None if rows.offset is None else rows.offset[which]
    precision = None if rows.precision is None else rows.precision[which]
    return _predict(posterior, NewRows(rows.population[which], (), offset, precision), quantiles)


def _predict(posterior: Fitted, rows: NewRows, quantiles: Sequence[float]) -> Table:
    """Compute every kind of line that the rows have, equal rows once."""
    probabilities = check_quantiles(quantiles)
    coded = _code_rows(posterior, rows)
    first, place = _find_distinct(coded)
    known = np.all(coded.codes >= 0, axis=1)
    all_known, some_new = np.flatnonzero(known), np.flatnonzero(~known)

    def lines(quantities: Mapping[Kind, str], which: IntArray, new: bool = False) -> list[_Lines]:
        needed, where = np.unique(place[which], return_inverse=True)
        wanted, own = coded.take(first[needed]), coded.take(which)
        if new:
            wanted, own = wanted.in_new_groups(), own.in_new_groups()
        kinds: list[Kind] = [kind for kind in quantities if kind == "mean" or coded.noise is not None]
        if not kinds:
            return []
        summary = summarise_predictors(posterior, _as_predictors(wanted), probabilities, kinds)
        return [_Lines(quantities[kind], which, own.codes, _pick(summary, k, where)) for k, kind in enumerate(kinds)]

    parts = [
        *lines({"mean": GROUP_MEAN, "observation": NEW_OBSERVATION}, all_known),
        *lines({"mean": NEW_GROUP_MEAN, "observation": NEW_GROUP_OBSERVATION}, some_new),
    ]
    if posterior.model.groups and posterior.model.pooling != "none":
        parts += lines({"observation": NEW_GROUP_OBSERVATION}, all_known, new=True)
    return _arrange(posterior, rows, coded.codes, parts, quantiles)


def _refuse_unseen(rows: NewRows) -> None:
    unseen = np.flatnonzero(rows.groups[0].codes < 0)
    if len(unseen):
        raise DataError(
            f"row {unseen[0] + 1} is of the unseen group '{rows.groups[0].labels[unseen[0]]}': without pooling nothing "
            "is known of a new group; fit with pooling='partial'"
        )


def _code_rows(posterior: Fitted, rows: NewRows) -> _CodedRows:
    groups = rows.groups if posterior.model.groups else ()
    effects = [group.values for group in groups]
    noise = None if posterior.model.design.measurements.known_scale else np.ones(rows.n_rows)
    return _CodedRows(
        rows.population,
        np.concatenate([np.empty((rows.n_rows, 0)), *effects], axis=1),
        np.stack([group.codes for group in groups], axis=1) if groups else np.empty((rows.n_rows, 0), dtype=np.intp),
        noise if rows.precision is None else 1.0 / rows.precision,
    )


def _find_distinct(coded: _CodedRows) -> tuple[IntArray, IntArray]:
    """Return the positions of one of each set of equal rows, and for each row which of these it equals."""
    parts = [coded.population, coded.effects, coded.codes.astype(float)]
    if coded.noise is not None:
        parts.append(coded.noise[:, None])
    rows = np.ascontiguousarray(np.concatenate(parts, axis=1))
    if not rows.shape[1]:
        return np.zeros(1, dtype=np.intp), np.zeros(len(rows), dtype=np.intp)
    # as bytes, which are compared at once; rows that differ in the sign of a zero are merely computed twice
    _, first, place = np.unique(rows.view(f"V{8 * rows.shape[1]}").ravel(), return_index=True, return_inverse=True)
    return first.astype(np.intp), place.astype(np.intp)


def _as_predictors(rows: _CodedRows) -> Predictors:
    levels = [None if np.all(codes < 0) else codes for codes in rows.codes.T]
    return Predictors(rows.population.T, rows.effects.T, levels, rows.noise)


def _pick(summary: MixtureSummary, kind: int, place: IntArray) -> MixtureSummary:
    """Return one kind, with every row's numbers those of the distinct one that it equals."""
    kinds = slice(kind, kind + 1)
    return MixtureSummary(summary.mean[kinds, place], summary.sd[kinds, place], summary.quantiles[kinds, place])


def _arrange(
    posterior: Fitted, rows: NewRows, codes: IntArray, parts: Sequence[_Lines], quantiles: Sequence[float]
) -> Table:
    """Put the parts together, lines of one row next to each other."""
    where = np.concatenate([part.rows for part in parts])
    order = np.argsort(where, kind="stable")
    where = where[order]
    columns: dict[str, Any] = {}
    groups, heads = rows.groups if posterior.model.groups else (), quantile_columns(quantiles)
    taken = {"group_is", "new_levels", "quantity", "mean", "sd", *heads}
    for group in groups:
        columns[name_labels(group.name, taken)] = [group.labels[i] for i in where]
    if len(posterior.model.groups) == 1:
        columns["group_is"] = ["known" if codes[i, 0] >= 0 else "new" for i in where]
    elif posterior.model.groups:
        columns["new_levels"] = _name_new_levels(posterior, np.concatenate([part.codes for part in parts])[order])
    quantity = np.concatenate([np.full(len(part.rows), part.quantity, dtype=object) for part in parts])
    columns["quantity"] = list(quantity[order])
    shift = np.zeros(len(where)) if rows.offset is None else rows.offset[where]
    columns["mean"] = np.concatenate([part.summary.mean[0] for part in parts])[order] + shift
    columns["sd"] = np.concatenate([part.summary.sd[0] for part in parts])[order]
    values = np.concatenate([part.summary.quantiles[0] for part in parts])[order]
    for k, head in enumerate(heads):
        columns[head] = values[:, k] + shift
    return Table(("row",), (where.tolist(),), columns)


def _name_new_levels(posterior: Fitted, codes: IntArray) -> list[str]:
    """Name for each line the factors whose level is drawn from the population, from codes (line, factor)."""
    names = [group.name for group in posterior.model.groups]
    patterns, place = np.unique(codes < 0, axis=0, return_inverse=True)
    texts = [", ".join(name for name, new in zip(names, pattern, strict=True) if new) for pattern in patterns]
    return [texts[k] for k in place.ravel()]

"""Observations: the columns a model uses, checked, with missing rows counted out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError
from partialpool.inputs.columns.frames import read_columns
from partialpool.inputs.columns.label_kinds import warn_of_text
from partialpool.inputs.columns.labels import Categorical, code_labels, select_rows
from partialpool.inputs.columns.levels import level_labels
from partialpool.inputs.columns.missing import Mask, merge_masks, report_missing
from partialpool.inputs.columns.numeric import read_numbers
from partialpool.inputs.columns.raw_columns import FloatArray, IntArray, RawColumn
from partialpool.inputs.language.columns_used import ColumnsUsed, list_columns_used
from partialpool.inputs.language.formula import Formula
from partialpool.inputs.roles.censoring import read_codes, split_limits
from partialpool.inputs.roles.family_data import check_family_roles, check_zero_part
from partialpool.inputs.roles.measurements import ROLES, Measurements, build_measurements, check_roles_agree, find_zeros
from partialpool.inputs.roles.responses import compute_response, read_responses
from partialpool.inputs.roles.role import DescribeRow, Role, name_role, read_role_column
from partialpool.inputs.roles.selection import Rule, split_selection
from partialpool.inputs.roles.sizes import find_untried

__all__ = ["Categorical", "FloatArray", "IntArray", "Measurements", "Observations", "read_observations"]

Column = FloatArray | Categorical


@dataclass(frozen=True)
class Observations:
    """Checked columns, all of one length, rows with missing values left out and counted.

    ``columns`` holds the columns that coefficient columns are made of: numeric ones as float64 arrays (row,),
    label columns as ``Categorical``. ``factors`` holds the grouping columns, always as ``Categorical`` (a
    column may be in both). ``rows`` are the positions in the user's data of the rows kept (None: all of
    them); ``rows_dropped`` counts, by column, the rows left out because that column was missing, and under
    "weights = 0" and the like those that weigh nothing. ``roles`` names the column of each argument beside
    the formula that was given (None: it was an array).
    """

    columns: Mapping[str, Column]
    measurements: Measurements
    rows_read: int
    rows: IntArray | None
    rows_dropped: Mapping[str, int]
    factors: Mapping[str, Categorical] = field(default_factory=dict)
    roles: Mapping[str, str | None] = field(default_factory=dict)


def read_observations(
    data: Any,
    formula: Formula,
    *,
    standard_error: Any = None,
    size: Any = None,
    sd: Any = None,
    weights: Any = None,
    counts: Any = None,
    offset: Any = None,
    trials: Any = None,
    exposure: Any = None,
    censored: Any = None,
    truncation: Any = None,
    selection: Any = None,
    selection_rows: Rule | None = None,
    family: str = "gaussian",
    missing: Literal["drop", "raise"] = "drop",
) -> Observations:
    """Read the columns that ``formula`` and the roles name, check them, and drop incomplete rows.

    ``data`` is a dict of arrays, a numpy structured array or a frame that narwhals reads. Each role is a
    column name or an array (row,): ``standard_error`` of published estimates (units of the response);
    ``size`` and ``sd`` of rows that are means; precision ``weights`` (variance sigma^2 / weight); frequency
    ``counts`` (a row that stands for k equal rows); ``offset`` (units of the predictor).

    ``family`` says what the response is, and which further roles there are: ``trials`` of successes and ``exposure``
    of counts, also as one number; ``censored``, codes 'none', 'left', 'right' or 'interval' (0, -1, 1, 2; true where
    right-censored), with intervals a tuple (codes, upper ends); ``truncation``, a tuple (lower, upper) of None,
    numbers, columns or arrays; ``selection``, the same or a ``ProbitSelection``, and ``selection_rows``, which of an
    object's rows decides.

    Rows with a missing value are left out with one ``MissingRowsWarning``, or refused with ``missing="raise"``; a
    weight or count of 0, or no trials, leave the row out. Raises ``DataError`` naming column, row and remedy.

    >>> from partialpool.inputs.language.formula import parse_formula
    >>> data = {"y": [1.0, 2.0, 4.0], "g": ["a", "b", "a"]}
    >>> observations = read_observations(data, parse_formula("y ~ (1 | g)"))
    >>> observations.factors["g"].codes, observations.measurements.response
    (array([0, 1, 0]), array([1., 2., 4.]))
    """
    if missing not in ("drop", "raise"):
        raise DataError(f"missing={missing!r} is not understood: it is 'drop' or 'raise'")
    arguments = (standard_error, size, sd, weights, counts, offset)
    given = {role: value for role, value in zip(ROLES, arguments, strict=True) if value is not None}
    sizes = {"trials": trials, "exposure": exposure}
    given |= {role: value for role, value in sizes.items() if value is not None}
    given |= split_limits(censored, truncation) | split_selection(selection, selection_rows)
    check_family_roles(family, given)
    check_zero_part(family, formula.zero)
    check_roles_agree(given)
    used = list_columns_used(formula)
    raw, n_rows = read_columns(data, _list_wanted(used, given))
    if n_rows == 0:
        raise DataError("the data are empty: there are no rows")
    sources = _Sources(formula, used, raw, _read_roles(given, raw, n_rows), family, selection_rows)
    return _keep_complete_rows(sources, n_rows, missing, given)


@dataclass(frozen=True)
class _Sources:
    """Columns of all rows, by use, before any is left out."""

    formula: Formula
    used: ColumnsUsed
    raw: Mapping[str, RawColumn]
    roles: Mapping[str, Role]
    family: str
    selection_rows: Rule | None = None

    def read(self) -> tuple[dict[str, Column], dict[str, Categorical]]:
        """Return ordinary columns and grouping columns."""
        ordinary = {name: read_ordinary(self.raw[name], name in self.used.labels) for name in self.used.ordinary}
        factors = {}
        for name in self.used.factors:
            seen = ordinary.get(name)
            factors[name] = seen if isinstance(seen, Categorical) else code_labels(self.raw[name])
        return ordinary, factors


def read_ordinary(column: RawColumn, within_c: bool) -> Column:
    """Return numbers as float64 (row,); text, truth values, categories and, inside C(...), moments as labels."""
    if within_c and column.values.dtype.kind == "M":
        return code_labels(column)
    if column.categories is not None or column.values.dtype.kind in "OUb":
        return code_labels(column)
    return read_numbers(column, f"column '{column.name}'")


def find_missing(column: Column) -> Mask | None:
    """Return where (row,) a column is missing, None for nowhere."""
    if isinstance(column, Categorical):
        absent = column.codes < 0
        return absent if absent.any() else None
    if np.isfinite(column).all():
        return None
    absent = np.isnan(column)
    return absent if absent.any() else None


def _list_wanted(used: ColumnsUsed, given: Mapping[str, Any]) -> list[str]:
    named = [value for value in given.values() if isinstance(value, str)]
    return [*used.response, *used.ordinary, *used.factors, *named]


def _read_roles(given: Mapping[str, Any], raw: Mapping[str, RawColumn], n_rows: int) -> dict[str, Role]:
    roles = {}
    for role, value in given.items():
        title = name_role(role, value)
        column = read_role_column(role, value, raw, n_rows, "the data")
        roles[role] = Role(title, value if isinstance(value, str) else role, _read_values(role, column, title))
    return roles


def _read_values(role: str, column: RawColumn, title: str) -> FloatArray:
    if role == "censored":
        return read_codes(column, title)
    return read_numbers(column, title, may_be_infinite=role.startswith(("truncation", "selection")))


def _keep_complete_rows(
    sources: _Sources, n_rows: int, missing: Literal["drop", "raise"], given: Mapping[str, Any]
) -> Observations:
    response, classes = read_responses(sources.formula, sources.used.response, sources.raw, sources.family)
    ordinary, factors = sources.read()
    masks = _find_all_missing({**response, **ordinary, **factors}, sources.roles)
    report_missing(masks, n_rows, missing)
    values = next(iter(response.values())) if len(response) == 1 else None
    dropping = {**masks, **find_zeros(sources.roles), **find_untried(sources.roles, values)}
    excluded = merge_masks(dropping)
    rows = None if excluded is None else np.flatnonzero(~excluded)
    dropped = {name: int(mask.sum()) for name, mask in dropping.items()}
    if rows is not None and not len(rows):
        counts = ", ".join(f"{count} by {name}" for name, count in dropped.items())
        raise DataError(f"no row is left of {n_rows}: left out {counts}; fill in or mend these columns")
    kept_factors = factors if rows is None else {name: select_rows(col, rows) for name, col in factors.items()}
    where = describe_rows(rows, kept_factors)
    title = f"response '{sources.formula.response.strip('`')}'"
    measurements = build_measurements(
        title,
        compute_response(sources.formula, title, {k: _select(v, rows) for k, v in response.items()}, where, given),
        {name: replace(role, values=_select(role.values, rows)) for name, role in sources.roles.items()},
        where,
        sources.family,
        classes,
        sources.selection_rows,
    )
    columns: dict[str, Column] = {}
    for name, column in ordinary.items():
        if isinstance(column, Categorical):
            columns[name] = column if rows is None else select_rows(column, rows)
            raw = sources.raw[name]
            if (raw.categories is None or raw.coded_text) and name not in sources.used.labels:
                warn_of_text(name, column)
        else:
            columns[name] = _select(column, rows)
    roles = {role: value if isinstance(value, str) else None for role, value in given.items()}
    return Observations(columns, measurements, n_rows, rows, dropped, kept_factors, roles)


def _find_all_missing(columns: Mapping[str, Column], roles: Mapping[str, Role]) -> dict[str, Mask]:
    masks = {}
    for name, column in columns.items():
        mask = find_missing(column)
        if mask is not None:
            masks[name] = mask
    for name, role in roles.items():
        # of upper ends only those of intervals are there, and a size of 1 has no sd
        mask = None if name == "censored_upper" else find_missing(role.values)
        if mask is not None and name == "sd" and "size" in roles:
            mask = mask & (roles["size"].values != 1)
        if mask is not None and mask.any():
            masks[role.column] = mask
    return masks


def _select(values: FloatArray, rows: NDArray[np.intp] | None) -> FloatArray:
    return values if rows is None else values[rows]


def describe_rows(rows: IntArray | None, factors: Mapping[str, Categorical]) -> DescribeRow:
    """Return a function that describes a kept row by its number in the user's data and its group."""

    def describe(row: int) -> str:
        number = row if rows is None else int(rows[row])
        for name, factor in factors.items():
            (label,) = level_labels((factor.levels[[factor.codes[row]]],))
            return f"row {number + 1} ({name} '{label}')"
        return f"row {number + 1}"

    return describe

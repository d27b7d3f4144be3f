"""Roles: the arguments beside the formula as values of every row, and how messages call and refuse them."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError
from partialpool.inputs.columns.frames import read_series
from partialpool.inputs.columns.places import count_things
from partialpool.inputs.columns.raw_columns import FloatArray, RawColumn

DescribeRow = Callable[[int], str]
#: Roles that may be one number for all rows.
_MAY_BE_ONE_NUMBER = (
    "standard_error",
    "size",
    "sd",
    "weights",
    "counts",
    "offset",
    "trials",
    "exposure",
    "truncation_lower",
    "truncation_upper",
    "selection_lower",
    "selection_upper",
    "selection_width",
)
_TITLES = {
    "censored_upper": "upper end of censored",
    "truncation_lower": "lower limit of truncation",
    "truncation_upper": "upper limit of truncation",
    "selection_lower": "lower limit of selection",
    "selection_upper": "upper limit of selection",
    "selection_width": "width of selection",
}


@dataclass(frozen=True)
class Role:
    """What an argument beside the formula gives: ``values`` (row,), ``title`` for messages, ``column``."""

    title: str
    column: str
    values: FloatArray


def name_role(role: str, value: Any) -> str:
    """Return how messages call a role: "offset", or "offset 'visits'" when its column has another name."""
    title = _TITLES.get(role, role)
    return f"{title} '{value}'" if isinstance(value, str) and value != role else title


def read_role_column(role: str, value: Any, raw: Mapping[str, RawColumn], n_rows: int, where: str) -> RawColumn:
    """Return the column that an argument names, or holds, one number repeated where that is allowed.

    Raises ``DataError`` unless there is one value per row of ``where``, "the data".
    """
    if isinstance(value, str):
        return raw[value]
    one = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if one and role in _MAY_BE_ONE_NUMBER:
        number = float(value)
        if np.isnan(number):
            raise DataError(f"{name_role(role, value)} is missing: give a number, a column or an array")
        return RawColumn(role, np.full(n_rows, number))
    column = read_series(_TITLES.get(role, role), value)
    if len(column) != n_rows:
        title = _TITLES.get(role, role)
        raise DataError(
            f"{title} has {count_things(len(column), 'value')}, {where} have {count_things(n_rows, 'row')}: give one "
            "value per row"
        )
    return column


def refuse(role: Role, bad: NDArray[np.bool_], where: DescribeRow, remedy: str) -> None:
    """Raise ``DataError`` with the first row (row,) that is bad, and how many more there are."""
    if bad.any():
        row = int(np.argmax(bad))
        more = int(bad.sum()) - 1
        also = f" (and in {count_things(more, 'more row')})" if more else ""
        value = role.values[row]
        said = "missing" if np.isnan(value) else f"{value:g}"
        raise DataError(f"{role.title} is {said} in {where(row)}{also}: {remedy}")

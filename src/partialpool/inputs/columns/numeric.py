"""Numeric columns: float64 values with NaN where they are missing, and nothing infinite."""

from __future__ import annotations

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.columns.places import name_rows
from partialpool.inputs.columns.raw_columns import FloatArray, RawColumn

#: Beyond this, and below its inverse, the squares that are computed with leave the range of doubles.
LARGEST_VALUE = 1e150


def read_numbers(column: RawColumn, title: str, *, may_be_infinite: bool = False) -> FloatArray:
    """Return a column as float64 (row,), without a copy where it is one, NaN where missing.

    Raises ``DataError`` for text, dates and, unless they may be, infinite values; ``title`` names the column there,
    as "response 'y'".
    """
    if column.categories is not None:
        raise DataError(_explain_labels(column, title))
    kind = column.values.dtype.kind
    if kind in "OU":
        raise DataError(_explain_text(column, title))
    if kind in "Mm":
        raise DataError(f"{title} holds dates or times, which are not numbers: use the days since a start day")
    values = column.values.astype(np.float64, copy=False)
    if column.missing is not None:
        values = np.where(column.missing, np.nan, values)
    if not may_be_infinite:
        check_not_infinite(values, title)
    return values


def check_not_infinite(values: FloatArray, title: str) -> None:
    """Raise ``DataError`` naming the rows where a value is infinite."""
    if np.isfinite(values).all():
        return
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise DataError(
            f"{title} is infinite in {name_rows(infinite)}: drop or mend, or make missing, what is not known"
        )


def _explain_labels(column: RawColumn, title: str) -> str:
    categories = column.categories
    if categories is None or categories.dtype.kind not in "OU":
        return f"{title} is not numeric: it is a categorical column; convert its labels to numbers"
    labels = categories[column.values] if len(categories) else np.full(len(column), "")
    return _explain_text(RawColumn(column.name, labels, column.values < 0), title)


def _explain_text(column: RawColumn, title: str) -> str:
    missing = np.zeros(len(column), dtype=np.bool_) if column.missing is None else column.missing
    for row, value in enumerate(column.values):
        if not missing[row] and not _is_number(value):
            shown = repr(str(value))
            return f"{title} is not numeric: it holds {shown} in row {row + 1}; mend it or make it missing"
    return f"{title} is not numeric: it holds numbers as text; convert it to numbers"


def _is_number(text: object) -> bool:
    try:
        float(str(text))
    except ValueError:
        return False
    return True

"""Label kinds: what a column of very many labels may be, for messages."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

import numpy as np

from partialpool.errors import ModelWarning, warn_user
from partialpool.inputs.columns.labels import Categorical
from partialpool.inputs.columns.levels import level_labels
from partialpool.inputs.columns.raw_columns import FloatArray
from partialpool.inputs.language.expressions import quote_column

_MANY = 20
# Values up to which text is taken for labels whatever it says: years, doses, grades.
_FEW = 5
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}")


def explain_many_labels(columns: Mapping[str, FloatArray | Categorical]) -> str:
    """Return what the column with the most labels is and how else it could be used; nothing where it has few."""
    labelled = {name: column for name, column in columns.items() if isinstance(column, Categorical)}
    name = max(labelled, key=lambda name: len(labelled[name].levels), default="")
    if not name or len(labelled[name].levels) < _MANY:
        return ""
    labels = level_labels((labelled[name].levels,))
    what, remedies = "labels", []
    if all(map(_is_number, labels)):
        what, remedies = "numbers as text", ["convert them to numbers"]
    elif all(map(_is_date, labels)):
        what, remedies = "dates as text", ["convert them to days since a start day"]
    if len(labels) < len(labelled[name].codes):
        remedies.append(f"use it as a group, (1 | {name})")
    return (
        f"; column '{name}' has {len(labels):,} different {what} ('{labels[0]}', '{labels[1]}', ...), a coefficient "
        f"for each: {', or '.join(remedies) or 'leave it out'}"
    )


def warn_of_text(name: str, column: Categorical) -> None:
    """Warn where a column of text, read as labels, is numbers or dates of more than a few values; where each row has
    its own they are refused, with the same explanation."""
    if len(column.levels) >= len(column.codes):
        return
    if column.levels.dtype.kind != "U" or column.zone or len(column.levels) <= _FEW:
        return
    levels = column.levels.tolist()
    start = f"df['{name}'] ="
    if all(map(_is_number, levels)):
        what, remedy = "numbers", f"convert them, {start} pd.to_numeric(df['{name}'])"
    elif all(map(_is_iso_date, levels)):
        what = "dates"
        remedy = f"convert them, {start} (pd.to_datetime(df['{name}']) - pd.Timestamp('{levels[0]}')).dt.days"
    else:
        return
    warn_user(
        f"column '{name}' holds {what} as text and is read as labels, with a coefficient for each of its "
        f"{len(levels):,} values: the answer is another one than that of {what}; {remedy}, or write "
        f"C({quote_column(name)}) where labels are meant",
        ModelWarning,
    )


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _is_iso_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text[:10])
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return len(text) >= len("2024-01-01") and text[4] == "-"


def _is_date(text: str) -> bool:
    return _DATE.match(text) is not None

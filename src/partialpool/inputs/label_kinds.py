"""Label kinds: what a column of very many labels may be, for messages."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from partialpool.inputs.labels import Categorical
from partialpool.inputs.levels import level_labels
from partialpool.inputs.raw_columns import FloatArray

_MANY = 20
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}")


def explain_many_labels(columns: Mapping[str, FloatArray | Categorical]) -> str:
    """Return what the column with the most labels is and how else it could be used; nothing where it has few."""
    labelled = {name: column for name, column in columns.items() if isinstance(column, Categorical)}
    name = max(labelled, key=lambda name: len(labelled[name].levels), default="")
    if not name or len(labelled[name].levels) < _MANY:
        return ""
    labels = level_labels((labelled[name].levels,))
    what, remedy = "labels", "use it as a group"
    if all(map(_is_number, labels)):
        what, remedy = "numbers as text", "convert them to numbers, or use it as a group"
    elif all(map(_is_date, labels)):
        what, remedy = "dates as text", "convert them to days since a start day, or use it as a group"
    return (
        f"; column '{name}' has {len(labels):,} different {what} ('{labels[0]}', '{labels[1]}', ...), a coefficient "
        f"for each: {remedy}, (1 | {name})"
    )


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    return _DATE.match(text) is not None

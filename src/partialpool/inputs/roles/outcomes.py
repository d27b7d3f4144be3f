"""Outcomes: a 0/1 response, given as numbers, truth values, or labels of two classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError
from partialpool.inputs.columns.labels import Categorical, code_labels
from partialpool.inputs.columns.levels import level_labels
from partialpool.inputs.columns.numeric import read_numbers
from partialpool.inputs.columns.places import join_words
from partialpool.inputs.columns.raw_columns import FloatArray, RawColumn

Classes = tuple[str, str]


def read_outcome(column: RawColumn, title: str) -> tuple[FloatArray, Classes | None]:
    """Return an outcome as 0 and 1 (row,), NaN where missing, and the labels that mean 0 and 1 (None for numbers).

    Of two labels the second is 1: in the order of a categorical, else sorted. Truth values, and categories that are
    0 and 1 themselves, mean what they say. Numbers other than 0 and 1 are returned as they are, to be refused with
    their row. Raises ``DataError`` for one label, of which it cannot be told what it means, and for more than two.

    >>> read_outcome(RawColumn("y", np.array(["no", "yes", "no"])), "response 'y'")
    (array([0., 1., 0.]), ('no', 'yes'))
    """
    if column.values.dtype.kind == "b" and column.categories is None:
        return read_numbers(column, title), ("False", "True")
    if column.categories is None and column.values.dtype.kind not in "OU":
        return read_numbers(column, title), None
    return _read_labels(column, title)


def _read_labels(column: RawColumn, title: str) -> tuple[FloatArray, Classes | None]:
    labels = code_labels(column)
    if labels.levels.dtype.kind in "bif" and np.isin(labels.levels, (0, 1)).all() and len(labels.levels):
        values = _as_numbers(labels, labels.levels.astype(np.float64))
        return values, ("False", "True") if labels.levels.dtype.kind == "b" else None
    categories = column.categories
    if categories is not None and len(categories) == 2:
        # a class that no row has is known from the categories
        return _as_numbers(Categorical(column.values, categories), np.array([0.0, 1.0])), _name_classes(categories)
    printed = level_labels((labels.levels,))
    if not printed:
        return np.full(len(column), np.nan), None
    if len(printed) != 2:
        raise DataError(_explain_classes(title, printed))
    return _as_numbers(labels, np.array([0.0, 1.0])), (printed[0], printed[1])


def _name_classes(categories: NDArray[Any]) -> Classes:
    zero, one = level_labels((categories,))
    return zero, one


def _as_numbers(labels: Categorical, numbers: FloatArray) -> FloatArray:
    return np.append(numbers, np.nan)[labels.codes]  # the last entry answers -1


def _explain_classes(title: str, printed: tuple[str, ...]) -> str:
    shown = join_words([f"'{label}'" for label in printed])
    if len(printed) == 1:
        return (
            f"{title} holds one class, {shown}: it cannot be told whether it means 0 or 1; give 0/1 numbers, or a "
            "categorical column with both classes"
        )
    return (
        f"{title} holds {len(printed)} classes ({shown}): a 0/1 outcome has two; join classes, or code the one of "
        "interest as 1 and the others as 0"
    )

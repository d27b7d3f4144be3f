"""Responses: the columns left of '~' as numbers, and what is computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.columns.labels import code_labels
from partialpool.inputs.columns.numeric import read_numbers
from partialpool.inputs.columns.raw_columns import FloatArray, RawColumn
from partialpool.inputs.language.expressions import evaluate_expression, read_expression
from partialpool.inputs.language.formula import Formula
from partialpool.inputs.roles.outcomes import Classes, read_outcome
from partialpool.inputs.roles.role import DescribeRow


def read_responses(
    formula: Formula, names: Sequence[str], raw: Mapping[str, RawColumn], family: str
) -> tuple[dict[str, FloatArray], Classes | None]:
    """Return the response's columns by name, each (row,), NaN where missing, and the labels that mean 0 and 1 where a
    0/1 response is labels; raises ``DataError`` for labels elsewhere."""
    if family == "bernoulli" and read_expression(formula.response).kind == "column":
        (name,) = names
        values, classes = read_outcome(raw[name], f"response '{name}'")
        return {name: values}, classes
    return {name: _read_numbers_or_explain(raw[name], f"response '{name}'", family) for name in names}, None


def _read_numbers_or_explain(column: RawColumn, title: str, family: str) -> FloatArray:
    """Return a response that is numbers (row,), NaN where missing; raises ``DataError`` for labels, saying which family
    describes them."""
    try:
        return read_numbers(column, title)
    except DataError as error:
        labels = column.categories is not None or column.values.dtype.kind in "OU"
        if labels and family in ("binomial", "beta_binomial"):
            raise DataError(f"{error}; for a label of every single outcome give family='bernoulli'") from None
        if labels and family == "gaussian" and len(code_labels(column).levels) == 2:
            raise DataError(f"{error}; for an outcome of two classes give family='bernoulli'") from None
        raise


def compute_response(
    formula: Formula,
    title: str,
    columns: Mapping[str, FloatArray],
    where: DescribeRow,
    given: Mapping[str, Any],
) -> FloatArray:
    """Return the response (row,) from the columns it reads; raises ``DataError`` where it is infinite or undefined."""
    expression = read_expression(formula.response)
    if expression.kind == "column":
        return columns[expression.columns[0]]
    if "size" in given:
        raise DataError(
            f"the response {formula.response} is computed from means of raw rows, whose sd= is on another "
            "scale: transform the raw rows before averaging, and name the column"
        )
    values = np.broadcast_to(evaluate_expression(expression, columns), next(iter(columns.values())).shape)
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad))
        taken = ", ".join(f"{name} = {values_[row]:g}" for name, values_ in columns.items())
        raise DataError(f"{title} is {values[row]} in {where(row)}, from {taken}: mend or drop the row")
    return values

"""Plain recipe: numeric columns, elementwise functions, treatment-coded labels and their products, in numpy.

It covers most formulas without importing formulaic and pandas, which together cost more than a fit.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError, IdentificationError
from partialpool.inputs.coding.coding import reduce_factors
from partialpool.inputs.columns.labels import Categorical, code_labels, match_levels
from partialpool.inputs.columns.levels import level_labels
from partialpool.inputs.columns.raw_columns import FloatArray, RawColumn
from partialpool.inputs.language.expressions import evaluate_expression, read_expression
from partialpool.inputs.language.terms import Term

Columns = Mapping[str, FloatArray | Categorical]


@dataclass(frozen=True)
class NumericFactor:
    """A numeric column or a function of numeric columns, with the ``state`` of its scale() and center()."""

    text: str
    state: Mapping[str, tuple[float, float]]

    @property
    def name(self) -> str:
        """The factor's name in coefficient names: a column's own, without backticks."""
        expression = read_expression(self.text)
        return expression.columns[0] if expression.kind == "column" else expression.text

    def code(self, columns: Columns, n_rows: int) -> list[tuple[str, FloatArray]]:
        """Return the one column, with its name."""
        return [(self.name, compute_numeric(self.text, columns, n_rows, dict(self.state)))]


@dataclass(frozen=True)
class LabelFactor:
    """A column of labels, one 0/1 column for each of ``levels``, the first left out when ``reduced``."""

    column: str
    levels: NDArray[Any]
    reduced: bool

    def code(self, columns: Columns, n_rows: int) -> list[tuple[str, FloatArray]]:
        """Return the 0/1 columns, with their names; raises ``DataError`` for an unknown level."""
        codes = match_known(self.column, as_labels(self.column, columns), self.levels)
        labels = level_labels((self.levels,))
        start = 1 if self.reduced else 0
        return [
            (f"{self.column}[{labels[level]}]", (codes == level).astype(np.float64))
            for level in range(start, len(labels))
        ]


Factor = NumericFactor | LabelFactor


@dataclass(frozen=True)
class PlainRecipe:
    """Products of numeric and label factors; ``names`` of the coefficient columns in order."""

    names: tuple[str, ...]
    terms: tuple[tuple[Factor, ...], ...]

    def code(self, columns: Columns, n_rows: int) -> FloatArray:
        """Return the coefficient columns (row, coefficient) of these rows."""
        if self.terms == ((),):
            return np.broadcast_to(np.float64(1.0), (n_rows, 1))
        values = np.empty((n_rows, len(self.names)))
        coded = (column for term in self.terms for _, column in _code_term(term, columns, n_rows))
        with np.errstate(all="ignore"):  # a product that overflows is named by check_finite
            for place, column in enumerate(coded):
                values[:, place] = column
        return values


def build_plain_recipe(terms: Sequence[Term], columns: Columns) -> PlainRecipe | None:
    """Learn a recipe from the rows at hand, or return None when it takes formulaic."""
    expressions = {factor: read_expression(factor) for term in terms for factor in term}
    if any(expression.kind == "formulaic" for expression in expressions.values()):
        return None
    labels = {
        text
        for text, expression in expressions.items()
        if expression.kind == "factor"
        or (expression.kind == "column" and isinstance(columns[expression.columns[0]], Categorical))
    }
    reduced = reduce_factors(
        [
            (
                frozenset(factor for factor in term if factor not in labels),
                tuple(expressions[factor].columns[0] for factor in term if factor in labels),
            )
            for term in terms
        ]
    )
    if reduced is None:
        return None
    factors = tuple(
        tuple(_learn_factor(factor, factor in labels, columns, lost) for factor in term)
        for term, lost in zip(terms, reduced, strict=True)
    )
    n_rows = _count_rows(columns)
    names = tuple(name for term in factors for name in _name_term(term, columns, n_rows))
    return PlainRecipe(names, factors)


def _learn_factor(text: str, is_label: bool, columns: Columns, reduced: Iterable[str]) -> Factor:
    expression = read_expression(text)
    if not is_label:
        state: dict[str, tuple[float, float]] = {}
        if expression.kind != "column":
            compute_numeric(text, columns, _count_rows(columns), state)
        return NumericFactor(text, state)
    name = expression.columns[0]
    levels = as_labels(name, columns).levels
    if len(levels) < 2:
        (label,) = level_labels((levels,))
        raise IdentificationError(
            f"column '{name}' has one level ('{label}') in the rows used: drop it from the formula"
        )
    return LabelFactor(name, levels, name in reduced)


def _count_rows(columns: Columns) -> int:
    for column in columns.values():
        return len(column.codes) if isinstance(column, Categorical) else len(column)
    return 0


def _name_term(term: tuple[Factor, ...], columns: Columns, n_rows: int) -> list[str]:
    if not term:
        return ["Intercept"]
    return [":".join(parts) for parts in _combine([_name_factor(factor) for factor in term])]


def _name_factor(factor: Factor) -> list[str]:
    if isinstance(factor, NumericFactor):
        return [factor.name]
    labels = level_labels((factor.levels,))[1 if factor.reduced else 0 :]
    return [f"{factor.column}[{label}]" for label in labels]


def _combine(parts: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return all combinations, the first part varying fastest, as formulaic orders them."""
    return [tuple(reversed(chosen)) for chosen in itertools.product(*reversed(parts))]


def _code_term(term: tuple[Factor, ...], columns: Columns, n_rows: int) -> list[tuple[str, FloatArray]]:
    if not term:
        return [("Intercept", np.ones(n_rows))]
    return [
        (":".join(name for name, _ in parts), functools.reduce(np.multiply, [column for _, column in parts]))
        for parts in _combine([factor.code(columns, n_rows) for factor in term])
    ]


def compute_numeric(text: str, columns: Columns, n_rows: int, state: dict[str, tuple[float, float]]) -> FloatArray:
    """Compute a numeric column or elementwise function (row,); labels in it raise ``DataError``."""
    expression = read_expression(text)
    numeric: dict[str, FloatArray] = {}
    for name in expression.columns:
        column = columns[name]
        if isinstance(column, Categorical):
            raise DataError(f"{text} needs numbers, but column '{name}' holds labels: convert it to numbers")
        numeric[name] = column
    values = evaluate_expression(expression, numeric, state)
    return np.broadcast_to(values, (n_rows,))


def as_labels(name: str, columns: Columns) -> Categorical:
    """Return a column as labels, also where the data have it as numbers."""
    column = columns[name]
    return column if isinstance(column, Categorical) else code_labels(RawColumn(name, column))


def match_known(name: str, column: Categorical, levels: NDArray[Any]) -> NDArray[np.intp]:
    """Return codes (row,) into ``levels``; raises ``DataError`` naming the first row with another label."""
    if column.levels is levels:
        return column.codes
    codes = match_levels(column, levels)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        (label,) = level_labels((column.levels[[column.codes[row]]],))
        known = level_labels((levels[:10],))
        raise DataError(
            f"column '{name}' has the level '{label}' in row {row + 1}, which the fit did not see: its "
            f"coefficient "
            f"is unknown; known are {', '.join(known)}{', ...' if len(levels) > 10 else ''}; drop or mend "
            f"the row"
        )
    return codes

"""Formulaic recipe: splines, polynomials, contrasts and what else takes formulaic, with their state."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError, FormulaError
from partialpool.inputs.coding.plain_recipe import Columns, as_labels, match_known
from partialpool.inputs.columns.labels import Categorical, code_labels
from partialpool.inputs.columns.raw_columns import FloatArray, RawColumn
from partialpool.inputs.language.columns_used import list_term_columns
from partialpool.inputs.language.expressions import ELEMENTWISE, read_expression
from partialpool.inputs.language.terms import Term, write_terms


@dataclass(frozen=True)
class FormulaicRecipe:
    """A formulaic model spec with its state, and the ``levels`` of every label column it reads."""

    names: tuple[str, ...]
    spec: Any
    columns: tuple[str, ...]
    levels: Mapping[str, NDArray[Any]]

    def code(self, columns: Columns, n_rows: int) -> FloatArray:
        """Return the coefficient columns (row, coefficient) of these rows."""
        for name, levels in self.levels.items():
            match_known(name, as_labels(name, columns), levels)
        try:
            return _evaluate(self.spec, _make_frame(self.columns, columns, self.levels))[1]
        except FormulaError as error:
            raise DataError(str(error)) from error


def build_formulaic_recipe(terms: Sequence[Term], columns: Columns) -> FormulaicRecipe:
    """Learn knots, contrasts and levels from the rows at hand; raises ``FormulaError`` with the cause."""
    import formulaic

    used = tuple(dict.fromkeys(list_term_columns(tuple(terms))))
    levels = {name: column.levels for name in used if isinstance(column := columns[name], Categorical)}
    for name in _coded_as_factor(terms):
        if name not in levels:
            levels[name] = code_labels(RawColumn(name, np.asarray(columns[name]))).levels
    text = write_terms(terms)
    spec = formulaic.ModelSpec(formula=formulaic.Formula(text, _ordering="none"), na_action="raise", output="pandas")
    matrix, _ = _evaluate(spec, _make_frame(used, columns, levels))
    return FormulaicRecipe(_rename(matrix, terms), matrix.model_spec, used, levels)


def _evaluate(spec: Any, frame: Any) -> tuple[Any, FloatArray]:
    from formulaic.errors import FormulaicError

    try:
        with np.errstate(all="ignore"):
            matrix = spec.get_model_matrix(frame, context=ELEMENTWISE)
    except (FormulaicError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise FormulaError(
            f"'{spec.formula}' cannot be computed from these columns: {_first_line(error)}; "
            "check the arguments of its functions"
        ) from error
    return matrix, np.ascontiguousarray(np.asarray(matrix, dtype=np.float64))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _coded_as_factor(terms: Sequence[Term]) -> list[str]:
    """Return the columns inside C(...), which are labels whatever their type."""
    import ast

    found = []
    for term in terms:
        for factor in term:
            expression = read_expression(factor)
            for node in ast.walk(expression.tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "C" and node.args:
                    first = node.args[0]
                    if isinstance(first, ast.Name):
                        found.append(expression.names[first.id])
    return list(dict.fromkeys(found))


def _make_frame(used: Sequence[str], columns: Columns, levels: Mapping[str, NDArray[Any]]) -> Any:
    """Return a pandas frame with every label column as a categorical of the fit's levels."""
    import pandas as pd

    content: dict[str, Any] = {}
    for name in used:
        column = columns[name]
        if isinstance(column, Categorical):
            codes = match_known(name, column, levels[name])
            content[name] = pd.Categorical.from_codes(codes, categories=pd.Index(levels[name].tolist()))
        elif name in levels and levels[name].dtype.kind == "i":
            content[name] = column.astype(np.int64)  # so that names read [2], not [2.0]
        else:
            content[name] = column
    return pd.DataFrame(content)


def _rename(matrix: Any, terms: Sequence[Term]) -> tuple[str, ...]:
    """Return the column names, treatment-coded levels as f[b] for formulaic's f[T.b] and C(f)[T.b]."""
    names = []
    for name in matrix.columns:
        text = str(name)
        for factor in {factor for term in terms for factor in term}:
            expression = read_expression(factor)
            if expression.kind in ("column", "factor"):
                column = expression.columns[0]
                for written in (factor, column):
                    text = text.replace(f"{written}[T.", f"{column}[")
                if expression.kind == "factor":
                    text = text.replace(f"{factor}[", f"{column}[")
        names.append(text)
    return tuple(_count_from_one(names, terms))


def _count_from_one(names: list[str], terms: Sequence[Term]) -> list[str]:
    """Number the columns of every polynomial and spline from 1; formulaic counts raw powers, and splines with an
    intercept, from 0."""
    for factor in {factor for term in terms for factor in term}:
        expression = read_expression(factor)
        if expression.kind != "formulaic" or factor.startswith("C("):
            continue
        column = re.compile(re.escape(factor) + r"\[(\d+)\]")
        if any(found.group(1) == "0" for name in names for found in column.finditer(name)):
            names = [column.sub(_add_one, name) for name in names]
    return names


def _add_one(found: re.Match[str]) -> str:
    return f"{found.group().rpartition('[')[0]}[{int(found.group(1)) + 1}]"

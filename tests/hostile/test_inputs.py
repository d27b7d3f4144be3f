"""Bad data through the public functions: the error's class, what it names, its remedy, and nothing computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import partialpool as pp
import partialpool.results.separate  # imported under the fixture below it would keep the refusal
from partialpool.errors import DataError, FormulaError, IdentificationError

NAN, INFINITE = float("nan"), float("inf")
Y = [1.0, 2.5, 0.5, 3.0, 2.0, 4.5, 1.5, 2.2]
DATA: dict[str, Any] = {
    "y": Y,
    "x": [0.0, 1.0, 2.0, 4.0, 0.5, 3.0, -1.0, 2.5],
    "g": list("aabbccdd"),
    "se": [0.5] * 8,
    "row": list(range(8)),
}
FORMULA = "y ~ x + (1 | g)"


@pytest.fixture(autouse=True)
def _nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the engine was started")

    monkeypatch.setattr("partialpool.inference.choose.run_engine", refuse)


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("Y ~ x + (1 | g)", "no column 'Y' in the data; did you mean 'y'?"),
        ("y ~ xx + (1 | g)", "no column 'xx' in the data; did you mean 'x'?"),
        ("y ~ x + (1 | school)", "no column 'school' in the data; there are 'y', 'x', 'g', 'se', 'row'"),
        ("y ~ x + (z | g)", "no column 'z' in the data"),
        ("y ~ log(z) + (1 | g)", "no column 'z' in the data"),
        ("g ~ x + (1 | row)", "response 'g' is not numeric: it holds 'a' in row 1; mend it"),
    ],
)
def test_columns(formula: str, said: str) -> None:
    _refuse(DataError, said, formula, DATA)


@pytest.mark.parametrize(
    ("formula", "caret"),
    [
        ("y ~ x + (1 | g", "        ^"),
        ("y ~ x + lg(x)", "        ^"),
        ("y x", "   ^"),
        ("y ~ x + 1 | g", "          ^"),
    ],
)
def test_formulas_are_shown_with_the_place(formula: str, caret: str) -> None:
    message = _refuse(FormulaError, formula, formula, DATA)
    assert message.splitlines()[1:] == [f"    {formula}", f"    {caret}"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (list("abcdefgh"), "response 'y' is not numeric: it holds 'a' in row 1"),
        (["1", "2", "3", "4", "5", "n/a", "7", "8"], "it holds 'n/a' in row 6; mend it or make it missing"),
        (["1", "2", "3", "4", "5", "6", "7", "8"], "numbers as text; convert it to numbers"),
        (pd.Categorical(list("aabbccdd")), "response 'y' is not numeric: it holds 'a' in row 1"),
        (pd.Categorical([1, 2] * 4), "it is a categorical column; convert its labels to numbers"),
        (np.arange(8).astype("datetime64[D]"), "holds dates or times, which are not numbers"),
        ([1j] * 8, "column 'y' holds complex numbers"),
        ([*Y[:7], "x"], "mixes numbers (row 1) and text (row 8): make all of it one kind"),
        ([3.0] * 8, "response 'y' is constant (3 in every row)"),
        ([*Y[:2], INFINITE, *Y[3:]], "response 'y' is infinite in row 3: drop or mend"),
        ([*Y[:2], -INFINITE, *Y[3:6], INFINITE, 1.0], "response 'y' is infinite in rows 3 and 7"),
    ],
)
def test_responses(values: Any, said: str) -> None:
    _refuse(DataError, said, FORMULA, {**DATA, "y": values})


def test_a_missing_response_can_be_refused() -> None:
    data = {**DATA, "y": [NAN, *Y[1:]]}
    _refuse(DataError, "'y' is missing in row 1: fill it in, drop the rows", FORMULA, data, missing="raise")


def test_an_infinite_column_is_named() -> None:
    data = {**DATA, "x": [*DATA["x"][:7], INFINITE]}
    _refuse(DataError, "column 'x' is infinite in row 8", FORMULA, data)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "standard_error 'se' is 0 in row 3 (g 'b'): drop the row, or give its standard error"),
        (-1.0, "standard_error 'se' is -1 in row 3 (g 'b'): a standard error is positive"),
        (INFINITE, "standard_error 'se' is infinite in row 3"),
    ],
)
@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame])
def test_standard_errors(value: float | None, said: str, make: Any) -> None:
    data = make({**DATA, "se": [0.5, 0.5, value, *[0.5] * 5]})
    _refuse(DataError, said, FORMULA, data, standard_error="se")


@pytest.mark.parametrize(
    ("columns", "error", "said"),
    [
        ({"g": list(range(8))}, IdentificationError, "grouping column 'g' is different in every row: sigma and sd(g)"),
        ({"x": [2.0] * 8}, IdentificationError, "column 'x' of the population part is constant"),
        ({"x": ["u"] * 8}, IdentificationError, "column 'x' has one level ('u') in the rows used"),
        ({"g": list("aabbccd")}, DataError, "column 'g' has 7 rows, 'y' has 8: make them equally long"),
        ({"y": [], "x": [], "g": []}, DataError, "the data are empty: there are no rows"),
        ({"y": [NAN] * 8}, DataError, "no row is left of 8: left out 8 by y"),
    ],
)
@pytest.mark.filterwarnings("ignore::partialpool.errors.MissingRowsWarning")
def test_groups_and_rows(columns: dict[str, Any], error: type[Exception], said: str) -> None:
    _refuse(error, said, FORMULA, {**DATA, **columns})


def test_duplicated_names() -> None:
    frame = pd.DataFrame(DATA).rename(columns={"se": "x"})
    _refuse(DataError, "2 columns of the data are named 'x': rename all but one", FORMULA, frame)


def _refuse(error: type[Exception], said: str, formula: str, data: Any, **arguments: Any) -> str:
    with pytest.raises(error) as caught:
        pp.fit(formula, data, **arguments)
    assert said in str(caught.value)
    return str(caught.value)

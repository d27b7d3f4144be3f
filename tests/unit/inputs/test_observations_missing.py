"""Missing values, however a table writes them, leave their rows out with one warning that counts them by column."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from partialpool.errors import DataError, MissingRowsWarning
from partialpool.inputs.columns.labels import Categorical
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import Observations, read_observations

NAN = float("nan")


def _read(data: Any, formula: str = "y ~ x + (1 | g)", **roles: Any) -> Observations:
    return read_observations(data, parse_formula(formula), **roles)


COMPLETE = {"y": [1.0, 2.0, 4.0, 3.0], "x": [1.0, 2.0, 3.0, 5.0], "g": ["a", "b", "a", "b"]}


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("y", [1.0, None, 4.0, 3.0]),
        ("y", [1.0, NAN, 4.0, 3.0]),
        ("y", [1, None, 4, 3]),
        ("y", [Decimal("1"), Decimal("NaN"), Decimal("4"), Decimal("3")]),
        ("y", [1.0, pd.NA, 4.0, 3.0]),
        ("y", np.ma.masked_array([1.0, 2.0, 4.0, 3.0], [False, True, False, False])),
        ("y", pd.Series([1, None, 4, 3], dtype="Int64")),
        ("y", pl.Series([1, None, 4, 3])),
        ("y", pa.array([1, None, 4, 3])),
        ("x", pa.array([1.0, None, 3.0, 5.0])),
        ("g", ["a", None, "a", "b"]),
        ("g", ["a", NAN, "a", "b"]),
        ("g", [1.0, NAN, 1.0, 2.0]),
        ("g", [True, None, True, False]),
        ("g", pd.Series(["a", None, "a", "b"])),
        ("g", pd.Categorical(["a", None, "a", "b"])),
        ("g", pl.Series(["a", None, "a", "b"])),
        ("g", pl.Series(["a", None, "a", "b"], dtype=pl.Categorical)),
        ("g", pl.Series(["a", None, "a", "b"], dtype=pl.Enum(["b", "a"]))),
        ("g", pa.array(["a", None, "a", "b"])),
        ("g", pa.array(["a", None, "a", "b"]).dictionary_encode()),
        ("g", np.array(["2024-01-01", "NaT", "2024-01-01", "2024-02-01"], dtype="datetime64[D]")),
        ("g", pd.to_datetime(pd.Series(["2024-01-01", None, "2024-01-01", "2024-02-01"]))),
        ("g", pl.Series(["2024-01-01", None, "2024-01-01", "2024-02-01"]).str.to_date()),
        ("g", np.ma.masked_array(["a", "c", "a", "b"], [False, True, False, False])),
    ],
)
def test_every_way_of_writing_missing(column: str, values: Any) -> None:
    data = {**COMPLETE, column: values}
    with pytest.warns(MissingRowsWarning, match=f"1 of 4 rows is left out.*: 1 in '{column}'. .*other 3 rows") as seen:
        found = _read(data)
    assert len(seen) == 1
    assert found.rows is not None
    assert (found.rows.tolist(), found.rows_read, dict(found.rows_dropped)) == ([0, 2, 3], 4, {column: 1})
    assert found.measurements.response.tolist() == [1.0, 4.0, 3.0]
    group = found.factors["g"]
    assert len(group.levels) == 2
    assert group.codes[0] == group.codes[1] != group.codes[2]
    with pytest.raises(DataError, match=f"'{column}' is missing in row 2: .*missing='drop'"):
        _read(data, missing="raise")


def test_rows_are_counted_by_column_and_together() -> None:
    data = {"y": [1.0, NAN, 4.0, 3.0, 5.0], "x": [NAN, NAN, 3.0, 5.0, 1.0], "g": ["a", "b", None, "b", "a"]}
    with pytest.warns(MissingRowsWarning, match="3 of 5 rows .*: 1 in 'y', 2 in 'x', 1 in 'g'"):
        found = _read(data)
    assert dict(found.rows_dropped) == {"y": 1, "x": 2, "g": 1}


def test_columns_that_the_formula_does_not_use_may_be_missing() -> None:
    assert _read({**COMPLETE, "z": [None] * 4}, missing="raise").rows is None


def test_a_level_of_missing_rows_alone_is_no_level() -> None:
    data = {"y": [1.0, NAN, 4.0, 3.0], "x": [1, 2, 3, 4], "f": ["u", "v", "w", "u"], "g": ["a", "c", "a", "b"]}
    with pytest.warns(MissingRowsWarning):
        found = _read(data, "y ~ x + f + (1 | g)")
    labels = found.columns["f"]
    assert isinstance(labels, Categorical)
    assert (labels.codes.tolist(), labels.levels.tolist()) == ([0, 1, 0], ["u", "w"])
    assert found.factors["g"].levels.tolist() == ["a", "b"]


def test_whole_numbers_with_a_missing_one_stay_whole() -> None:
    with pytest.warns(MissingRowsWarning):
        found = _read({**COMPLETE, "g": [3.0, NAN, 3.0, 10.0]})
    assert found.factors["g"].levels.tolist() == [3, 10]
    assert found.factors["g"].levels.dtype == np.int64


def test_nothing_left_says_which_columns() -> None:
    data = {"y": [1.0, NAN], "x": [NAN, 2.0], "g": ["a", "b"]}
    with pytest.warns(MissingRowsWarning), pytest.raises(DataError, match=r"no row is left of 2: .*1 by y, 1 by x"):
        _read(data)


def test_missing_is_drop_or_raise() -> None:
    with pytest.raises(DataError, match="'drop' or 'raise'"):
        _read(COMPLETE, missing="keep")


def test_later_rows_keep_their_own_numbers_in_messages() -> None:
    data = {"y": [1.0, 2.0, 3.0], "se": [1.0, 1.0, 0.0], "g": [None, "a", "b"]}
    with pytest.warns(MissingRowsWarning), pytest.raises(DataError, match=r"in row 3 \(g 'b'\)"):
        _read(data, "y ~ 1 + (1 | g)", standard_error="se")

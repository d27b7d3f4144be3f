"""Every kind of table gives the same observations, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from partialpool.errors import DataError
from partialpool.inputs.columns.labels import Categorical
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations

FORMULA = parse_formula("y ~ x + n + f + (1 | g)")
CONTENT: dict[str, list[Any]] = {
    "y": [0.1, 0.7, -1.3, 2.9, 1e-3],
    "x": [1, 4, 2, 2, 7],
    "n": [0.5, 1 / 3, 2.0, -1.0, 0.0],
    "f": ["b", "a", "b", "c", "a"],
    "g": [30, 10, 20, 10, 30],
    "unused": [None, None, "x", "y", "z"],
}


def _structured(content: dict[str, list[Any]]) -> Any:
    kinds = [("y", float), ("x", int), ("n", float), ("f", "U3"), ("g", int)]
    return np.array(list(zip(*(content[name] for name, _ in kinds), strict=True)), dtype=kinds)


KINDS: dict[str, Callable[[dict[str, list[Any]]], Any]] = {
    "dict of lists": dict,
    "dict of tuples": lambda content: {name: tuple(values) for name, values in content.items()},
    "dict of arrays": lambda content: {name: np.array(values) for name, values in content.items()},
    "dict of pandas series": lambda content: {name: pd.Series(values) for name, values in content.items()},
    "dict of polars series": lambda content: {name: pl.Series(values) for name, values in content.items()},
    "dict of arrow arrays": lambda content: {name: pa.array(values) for name, values in content.items()},
    "structured array": _structured,
    "pandas": pd.DataFrame,
    "pandas with its index in disorder": lambda content: pd.DataFrame(content, index=[4, 4, 0, -1, 2]),
    "pandas with nullable types": lambda content: pd.DataFrame(content).convert_dtypes(),
    "pandas with arrow types": lambda content: pd.DataFrame(content).convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.DataFrame,
    "lazy polars": lambda content: pl.DataFrame(content).lazy(),
    "arrow": pa.table,
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_read_alike(kind: str) -> None:
    found = read_observations(KINDS[kind](CONTENT), FORMULA)
    assert found.measurements.response.tobytes() == np.array(CONTENT["y"]).tobytes()
    for name in ("x", "n"):
        column = found.columns[name]
        assert isinstance(column, np.ndarray)
        assert column.dtype == np.float64
        assert column.tobytes() == np.array(CONTENT[name], dtype=float).tobytes()
    labels = found.columns["f"]
    assert isinstance(labels, Categorical)
    assert (labels.codes.tolist(), labels.levels.tolist()) == ([1, 0, 1, 2, 0], ["a", "b", "c"])
    group = found.factors["g"]
    assert (group.codes.tolist(), group.levels.tolist()) == ([2, 0, 1, 0, 2], [10, 20, 30])
    assert (found.rows, found.rows_read, dict(found.rows_dropped)) == (None, 5, {})


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_columns_suggest_the_nearest(kind: str) -> None:
    with pytest.raises(DataError, match=r"no column 'Y2' in the data; did you mean 'y'\?"):
        read_observations(KINDS[kind](CONTENT), parse_formula("Y2 ~ x + (1 | g)"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "there are no columns"),
        ({"y": [], "g": []}, "there are no rows"),
        (pd.DataFrame({"y": [], "g": []}), "there are no rows"),
        (pl.DataFrame({"y": [], "g": []}), "there are no rows"),
        (pa.table({"y": pa.array([], pa.float64()), "g": pa.array([], pa.int64())}), "there are no rows"),
        (pd.DataFrame([[1.0, 2.0, "a"]], columns=["y", "y", "g"]), "2 columns of the data are named 'y'"),
        (
            pa.Table.from_arrays([pa.array([1.0])] * 3, names=["y", "g", "g"]),
            "2 columns of the data are named 'g'",
        ),
        ({"y": [1.0, 2.0, 3.0], "g": ["a", "b"]}, "'g' has 2 rows, 'y' has 3"),
        (None, "the data are None"),
        ("data.csv", "read the file into a data frame first"),
        (3, "data of type int are not understood"),
        ([[1.0, 2.0]], "data of type list are not understood"),
        (np.zeros((3, 2)), "array without column names"),
        ({"y": 3.0, "g": ["a"]}, "column 'y' is a single float"),
        ({"y": [1.0, 2.0], "g": "ab"}, "column 'g' is a single str"),
        ({"y": [[1.0, 2.0], [3.0, 4.0]], "g": ["a", "b"]}, "2 dimensions (2, 2)"),
        ({"y": [[1.0], [3.0, 4.0]], "g": ["a", "b"]}, "sequences of different lengths"),
        ({"y": {1.0, 2.0}, "g": ["a", "b"]}, "column 'y' is a set"),
        ({"y": [1.0, 2.0], "g": [1j, 2j]}, "complex"),
        ({"y": [1.0, 2.0], "g": ["a", 1]}, "mixes text (row 1) and whole numbers (row 2)"),
        ({"y": [1.0, 2.0], "g": [object(), object()]}, "holds values of type object"),
        (pl.DataFrame({"y": [1.0, 2.0], "g": [[1], [2]]}), "column 'g' holds values of type List"),
    ],
)
def test_tables_that_cannot_be_read(data: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_observations(data, parse_formula("y ~ 1 + (1 | g)"))
    assert said in str(caught.value)

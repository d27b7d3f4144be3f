"""0/1 outcomes: what numbers, truth values, text and categories mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from partialpool.errors import DataError, MissingRowsWarning
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import Observations, read_observations

NAN = float("nan")
G = ["a", "a", "b", "b"]


def _read(outcome: Any, family: str = "bernoulli", **roles: Any) -> Observations:
    return read_observations({"y": outcome, "g": G}, parse_formula("y ~ 1 + (1 | g)"), family=family, **roles)


@pytest.mark.parametrize(
    ("outcome", "values", "classes"),
    [
        ([0, 1, 1, 0], [0, 1, 1, 0], None),
        ([0.0, 1.0, 1.0, 1.0], [0, 1, 1, 1], None),
        ([1, 1, 1, 1], [1, 1, 1, 1], None),
        ([0, 0, 0, 0], [0, 0, 0, 0], None),
        ([True, False, False, True], [1, 0, 0, 1], ("False", "True")),
        ([True, True, True, True], [1, 1, 1, 1], ("False", "True")),
        (["no", "yes", "yes", "no"], [0, 1, 1, 0], ("no", "yes")),
        (["won", "lost", "won", "won"], [1, 0, 1, 1], ("lost", "won")),
        (["0", "1", "1", "0"], [0, 1, 1, 0], ("0", "1")),
        (pd.Categorical(["no", "yes", "yes", "no"], ["yes", "no"]), [1, 0, 0, 1], ("yes", "no")),
        (pd.Categorical(["yes"] * 4, ["no", "yes"]), [1, 1, 1, 1], ("no", "yes")),
        (pd.Categorical(["no"] * 4, ["no", "yes"]), [0, 0, 0, 0], ("no", "yes")),
        (pd.Categorical(["lo", "hi", "hi", "lo"], ["lo", "mid", "hi"]), [0, 1, 1, 0], ("lo", "hi")),
        (pd.Categorical([0, 1, 1, 0], [1, 0]), [0, 1, 1, 0], None),
        (pd.Categorical([True, False, True, True], [True, False]), [1, 0, 1, 1], ("False", "True")),
        (pd.Categorical([1, 2, 2, 1]), [0, 1, 1, 0], ("1", "2")),
        (pl.Series(["no", "yes", "yes", "no"], dtype=pl.Enum(["yes", "no"])), [1, 0, 0, 1], ("yes", "no")),
        (pl.Series(["no", "yes", "yes", "no"], dtype=pl.Categorical), [0, 1, 1, 0], ("no", "yes")),
        (pa.chunked_array([["no", "yes", "yes", "no"]]), [0, 1, 1, 0], ("no", "yes")),
    ],
)
def test_what_means_0_and_1(outcome: Any, values: list[int], classes: tuple[str, str] | None) -> None:
    found = _read(outcome).measurements
    assert found.response.tolist() == values
    assert found.classes == classes
    assert (found.family, found.kind, found.known_scale, found.sizes) == ("bernoulli", "rows", False, None)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table, dict])
def test_text_in_every_frame(frame: Any) -> None:
    data = frame({"y": ["yes", "no", "no", "yes"], "g": G})
    found = read_observations(data, parse_formula("y ~ 1 + (1 | g)"), family="bernoulli")
    assert found.measurements.response.tolist() == [1, 0, 0, 1]
    assert found.measurements.classes == ("no", "yes")


@pytest.mark.parametrize(
    ("outcome", "classes"),
    [
        ([0, NAN, 1, 0], None),
        (["no", None, "yes", "no"], ("no", "yes")),
        ([False, None, True, False], ("False", "True")),
        (pd.Categorical(["no", None, "yes", "no"]), ("no", "yes")),
        (pl.Series([False, None, True, False]), ("False", "True")),
    ],
)
def test_a_missing_outcome_drops_its_row(outcome: Any, classes: Any) -> None:
    with pytest.warns(MissingRowsWarning, match="1 of 4 rows is left out because of missing values: 1 in 'y'"):
        found = _read(outcome)
    assert found.measurements.response.tolist() == [0, 1, 0]
    assert found.measurements.classes == classes
    assert found.rows is not None
    assert found.rows.tolist() == [0, 2, 3]


def test_a_class_whose_rows_are_dropped_is_still_known() -> None:
    found = _read(["no", "yes", "yes", "yes"], counts=[0, 1, 1, 1]).measurements
    assert (found.response.tolist(), found.classes) == ([1, 1, 1], ("no", "yes"))


def test_a_computed_outcome_is_checked_after_it_is_computed() -> None:
    data = {"y": [1.0, np.e, np.e, 1.0], "g": G}
    formula = parse_formula("log(y) ~ 1 + (1 | g)")
    assert read_observations(data, formula, family="bernoulli").measurements.response.tolist() == [0, 1, 1, 0]
    with pytest.raises(DataError, match=r"response 'log\(y\)' is 0.693147 in row 1 \(g 'a'\): an outcome is 0 or 1"):
        read_observations({"y": [2.0, 1.0, 1.0, 1.0], "g": G}, formula, family="bernoulli")

"""Censored and truncated rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from partialpool.errors import MissingRowsWarning
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import Observations, read_observations

NAN, INFINITE = float("nan"), float("inf")
DATA: dict[str, Any] = {
    "y": [1.0, 2.5, 0.5, 3.0],
    "g": list("aabb"),
    "code": ["none", "right", "left", "interval"],
    "end": [NAN, NAN, NAN, 4.0],
    "lo": [0.0, 1.0, 0.25, 2.0],
    "hi": [5.0, 6.0, INFINITE, 4.0],
}
FAMILIES = ["gaussian", "lognormal", "exponential"]


def _read(data: Any = DATA, **roles: Any) -> Observations:
    return read_observations(data, parse_formula("y ~ 1 + (1 | g)"), **roles)


def _listed(values: Any) -> list[float] | None:
    return None if values is None else values.tolist()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("codes", "found"),
    [
        (["none", "right", "left", "none"], [0, 1, -1, 0]),
        (["None", " RIGHT", "Left ", "NONE"], [0, 1, -1, 0]),
        ([0, 1, -1, 0], [0, 1, -1, 0]),
        ([0.0, 1.0, -1.0, 0.0], [0, 1, -1, 0]),
        ([False, True, True, False], [0, 1, 1, 0]),
        (pd.Categorical(["none", "right", "left", "none"]), [0, 1, -1, 0]),
        (pd.Categorical([0, 1, -1, 0], [1, 0, -1]), [0, 1, -1, 0]),
        (pd.Categorical([False, True, True, False], [True, False]), [0, 1, 1, 0]),
        (pl.Series(["none", "right", "left", "none"]), [0, 1, -1, 0]),
        (pa.chunked_array([["none", "right", "left", "none"]]), [0, 1, -1, 0]),
        (np.array([0, 1, -1, 0], dtype=np.int8), [0, 1, -1, 0]),
        (["none"] * 4, None),
        ([False] * 4, None),
    ],
)
def test_codes(family: str, codes: Any, found: list[int] | None) -> None:
    read = _read(censored=codes, family=family)
    assert _listed(read.measurements.censoring) == found
    assert read.measurements.upper is None
    assert read.roles["censored"] is None
    if found is not None:
        assert read.measurements.censoring is not None
        assert read.measurements.censoring.dtype == np.intp


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("given", [("code", "end"), (DATA["code"], DATA["end"]), ("code", [9.0, 0.0, NAN, 4.0])])
def test_intervals(family: str, given: tuple[Any, Any]) -> None:
    found = _read(censored=given, family=family)
    assert _listed(found.measurements.censoring) == [0, 1, -1, 2]
    assert _listed(found.measurements.upper) == [1.0, 2.5, 0.5, 4.0]
    columns = [value if isinstance(value, str) else None for value in given]
    assert [found.roles["censored"], found.roles["censored_upper"]] == columns


def test_upper_ends_are_not_kept_where_no_row_is_an_interval() -> None:
    found = _read(censored=([0, 1, -1, 0], "end"))
    assert found.measurements.upper is None


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("truncation", "lower", "upper"),
    [
        ((0.25, None), [0.25] * 4, [INFINITE] * 4),
        ([0.25, 9], [0.25] * 4, [9] * 4),
        (("lo", "hi"), DATA["lo"], DATA["hi"]),
        ((DATA["lo"], np.array(DATA["hi"])), DATA["lo"], DATA["hi"]),
        ((0.5, 3.0), [0.5] * 4, [3.0] * 4),
        ((-INFINITE, INFINITE), None, None),
        ((None, INFINITE), None, None),
    ],
)
def test_truncation(family: str, truncation: Any, lower: list[float] | None, upper: list[float] | None) -> None:
    found = _read(truncation=truncation, family=family)
    assert _listed(found.measurements.lower_limit) == lower
    assert _listed(found.measurements.upper_limit) == upper
    ends = zip(("truncation_lower", "truncation_upper"), truncation, strict=True)
    given = {role: value if isinstance(value, str) else None for role, value in ends if value is not None}
    assert dict(found.roles) == given


@pytest.mark.parametrize(
    ("family", "truncation", "lower"),
    [
        ("gaussian", (None, 5.0), [-INFINITE] * 4),
        ("gaussian", (-2.0, 5.0), [-2.0] * 4),
        ("lognormal", (-2.0, 5.0), [0.0] * 4),
        ("exponential", (None, 5.0), [0.0] * 4),
        ("lognormal", (-2.0, None), None),
        ("exponential", (0.0, None), None),
    ],
)
def test_a_lower_limit_that_every_value_exceeds_limits_nothing(family: str, truncation: Any, lower: Any) -> None:
    found = _read(truncation=truncation, family=family).measurements
    assert _listed(found.lower_limit) == lower
    assert (found.upper_limit is None) == (lower is None)


@pytest.mark.parametrize(
    ("roles", "dropped"),
    [
        ({"censored": ["none", None, "left", "none"]}, "censored"),
        ({"censored": [0, NAN, -1, 0]}, "censored"),
        ({"truncation": ([0.0, NAN, 0.0, 0.0], 9)}, "truncation_lower"),
    ],
)
def test_rows_with_missing_codes_or_limits_are_left_out(roles: dict[str, Any], dropped: str) -> None:
    with pytest.warns(MissingRowsWarning, match=f"1 of 4 .* 1 in '{dropped}'"):
        found = _read(**roles)
    assert found.measurements.response.tolist() == [1.0, 0.5, 3.0]


def test_a_missing_response_drops_a_censored_row_too() -> None:
    with pytest.warns(MissingRowsWarning, match="1 in 'y'"):
        found = _read({**DATA, "y": [1.0, NAN, 0.5, 3.0]}, censored=("code", "end"), truncation=("lo", "hi"))
    measured = found.measurements
    assert (_listed(measured.censoring), _listed(measured.upper)) == ([0, -1, 2], [1.0, 0.5, 4.0])
    assert (_listed(measured.lower_limit), _listed(measured.upper_limit)) == ([0.0, 0.25, 2.0], [5.0, INFINITE, 4.0])


def test_intervals_differ_where_their_lower_ends_do_not() -> None:
    found = _read({**DATA, "y": [1.0] * 4}, censored=(["interval"] * 4, [2.0, 3.0, 2.0, 2.0]))
    assert _listed(found.measurements.upper) == [2.0, 3.0, 2.0, 2.0]


def test_estimates_may_be_censored() -> None:
    found = _read(censored=[0, 1, 0, 0], standard_error=[0.5] * 4).measurements
    assert found.known_scale
    assert _listed(found.censoring) == [0, 1, 0, 0]


def test_a_gaussian_response_is_read_as_ever() -> None:
    found = _read().measurements
    rest = [found.sizes, found.censoring, found.upper, found.lower_limit, found.upper_limit, found.classes]
    assert rest == [None] * 6
    assert (found.family, found.has_residual_sd) == ("gaussian", True)

"""Bad data: every message names the column, the row or the place, and the remedy."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

from partialpool.errors import DataError, FormulaError, IdentificationError, PartialpoolError
from partialpool.inputs.design import build_design
from partialpool.inputs.formula import parse_formula
from partialpool.inputs.observations import read_observations

GOOD: dict[str, Any] = {
    "y": [1.0, 2.0, 4.0, 3.0, 5.0, 7.0],
    "x": [0.0, 1.0, 0.5, 1.5, 2.0, 0.2],
    "z": [1.0, 3.0, 2.0, 5.0, 4.0, 9.0],
    "school": ["A", "A", "B", "B", "C", "C"],
    "room": ["a", "b", "a", "b", "a", "b"],
    "se": [1.0, 2.0, 1.5, 1.0, 2.0, 3.0],
    "n": [5, 6, 1, 8, 9, 4],
    "s": [1.0, 2.0, np.nan, 1.0, 2.0, 3.0],
}


def design_of(data: Any, text: str = "y ~ x + (1 | school)", **roles: Any) -> Any:
    formula = parse_formula(text)
    return build_design(formula, read_observations(data, formula, **roles))


def changed(**columns: Any) -> dict[str, Any]:
    return {**GOOD, **columns}


def with_value(name: str, row: int, value: Any) -> dict[str, Any]:
    values = list(GOOD[name])
    values[row - 1] = value
    return changed(**{name: values})


def assert_refused(error: type[PartialpoolError], words: list[str], data: Any, text: str, **roles: Any) -> None:
    with pytest.raises(error) as caught:
        design_of(data, text, **roles)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_the_good_data_are_good() -> None:
    assert design_of(GOOD).population.names == ("Intercept", "x")
    assert design_of(GOOD, standard_error="se").measurements.known_scale
    assert design_of(GOOD, size="n", sd="s").measurements.kind == "summaries"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (changed(y=["a"] * 6), ["'y'", "not numeric", "'a' in row 1", "mend"]),
        (changed(y=["1", "2", "n/a", "4", "5", "6"]), ["'y'", "'n/a' in row 3", "mend"]),
        (changed(y=["1", "2", "3", "4", "5", "6"]), ["'y'", "numbers as text", "convert"]),
        (changed(y=[2.0] * 6), ["'y'", "constant", "2 in every row", "standard_error="]),
        (with_value("y", 3, np.inf), ["'y'", "infinite", "row 3", "drop"]),
        (with_value("y", 2, -np.inf), ["'y'", "infinite", "row 2", "drop"]),
        (with_value("x", 5, np.inf), ["'x'", "infinite", "row 5", "drop"]),
        (changed(y=np.array([1, 2, 3, 4, 5, 6]) * 1j), ["'y'", "complex", "real part"]),
        (changed(y=np.ones((6, 2))), ["'y'", "2 dimensions (6, 2)", "one value per row"]),
        (changed(y=[[1.0], [1.0, 2.0]] * 3), ["'y'", "different lengths", "one value per row"]),
        (changed(y=[datetime.date(2020, 1, day) for day in range(1, 7)]), ["'y'", "dates", "days since"]),
        (changed(x=np.arange(6).astype("datetime64[D]")), ["'x'", "dates", "days since"]),
        (changed(school=np.arange(6).astype("timedelta64[D]")), ["'school'", "durations", "text"]),
        (changed(y=3.0), ["'y'", "single", "value per row"]),
        (changed(y="y"), ["'y'", "single str", "value per row"]),
        (changed(y={1.0, 2.0}), ["'y'", "set", "value per row"]),
        (changed(x=[1.0, 2.0]), ["'x' has 2 rows", "'y' has 6", "equally long"]),
        (changed(school=["A", 1, "B", "B", "C", "C"]), ["'school'", "text (row 1)", "whole numbers (row 2)"]),
        (changed(school=[["A"], *"ABBCC"]), ["'school'", "one"]),
        (changed(x=[object()] * 6), ["'x'", "type object", "numbers or text"]),
        (changed(x=[None] * 6), ["no row is left of 6", "6 by x", "fill"]),
        ({}, ["empty", "no columns"]),
        ({name: [] for name in GOOD}, ["empty", "no rows"]),
        (None, ["None", "data frame"]),
        ("data.csv", ["data.csv", "read the file"]),
        (42, ["type int", "data frame", "dict of arrays"]),
        ([1, 2, 3], ["type list", "data frame", "dict of arrays"]),
        (np.ones((6, 2)), ["without column names", "dict of columns"]),
    ],
)
@pytest.mark.filterwarnings("ignore::partialpool.errors.MissingRowsWarning")
def test_bad_columns(data: Any, words: list[str]) -> None:
    assert_refused(DataError, words, data, "y ~ x + (1 | school)")


@pytest.mark.parametrize(
    ("text", "roles", "words"),
    [
        ("y ~ x + (1 | scool)", {}, ["no column 'scool'", "did you mean 'school'?"]),
        ("Y ~ x + (1 | school)", {}, ["no column 'Y'", "did you mean 'y'?"]),
        ("y ~ wholly_else + (1 | school)", {}, ["no column 'wholly_else'", "there are 'y', 'x'"]),
        ("y ~ x + (1 | school)", {"standard_error": "std_err"}, ["no column 'std_err'"]),
        ("log(yy) ~ x + (1 | school)", {}, ["no column 'yy'"]),
    ],
)
def test_unknown_columns(text: str, roles: dict[str, Any], words: list[str]) -> None:
    assert_refused(DataError, words, GOOD, text, **roles)


@pytest.mark.parametrize(
    ("data", "roles", "words"),
    [
        (with_value("se", 3, 0.0), {"standard_error": "se"}, ["'se' is 0", "row 3 (school 'B')", "drop the row"]),
        (with_value("se", 3, -1.0), {"standard_error": "se"}, ["is -1", "row 3 (school 'B')", "positive"]),
        (with_value("se", 6, None), {"standard_error": "se"}, ["is missing", "row 6 (school 'C')", "drop the row"]),
        (with_value("se", 1, np.nan), {"standard_error": "se"}, ["is missing", "row 1 (school 'A')", "drop the row"]),
        (with_value("se", 1, np.inf), {"standard_error": "se"}, ["'se'", "infinite", "row 1"]),
        (with_value("se", 2, 1e-200), {"standard_error": "se"}, ["'se'", "row 2", "change the units"]),
        (changed(se=[0.0] * 6), {"standard_error": "se"}, ["row 1 (school 'A')", "5 more rows"]),
        (GOOD, {"standard_error": [1.0, 2.0]}, ["standard_error has 2 values", "6 rows", "one value per row"]),
        (GOOD, {"standard_error": 1.0}, ["'standard_error'", "single float", "value per row"]),
        (GOOD, {"standard_error": "school"}, ["standard_error 'school'", "not numeric", "row 1"]),
        (GOOD, {"standard_error": "se", "weights": "z"}, ["standard_error and weights", "drop one"]),
        (GOOD, {"standard_error": "se", "sd": "s"}, ["standard_error and sd", "drop one"]),
        (GOOD, {"standard_error": "se", "size": "n"}, ["standard_error and size", "drop one"]),
        (GOOD, {"size": "n"}, ["size is given without sd", "add sd="]),
        (GOOD, {"sd": "s"}, ["sd is given without size", "add size="]),
        (GOOD, {"size": "n", "sd": "s", "counts": "n"}, ["size and counts"]),
        (with_value("n", 2, 2.5), {"size": "n", "sd": "s"}, ["'n' is 2.5", "row 2 (school 'A')", "whole number"]),
        (with_value("n", 2, 0), {"size": "n", "sd": "s"}, ["'n' is 0", "row 2 (school 'A')", "drop the row"]),
        (with_value("s", 2, -1), {"size": "n", "sd": "s"}, ["'s' is -1", "row 2 (school 'A')", "not negative"]),
        (with_value("s", 2, None), {"size": "n", "sd": "s"}, ["'s' is missing", "row 2 (school 'A')", "size of 1"]),
        (with_value("z", 2, -1.0), {"weights": "z"}, ["weights 'z' is -1", "row 2 (school 'A')", "positive"]),
        (with_value("z", 2, np.inf), {"weights": "z"}, ["weights 'z'", "infinite", "row 2"]),
        (with_value("z", 2, -1.0), {"counts": "z"}, ["counts 'z' is -1", "row 2", "positive"]),
        (with_value("z", 2, 1.5), {"counts": "z"}, ["counts 'z' is 1.5", "row 2", "whole number", "weights="]),
        (changed(z=[0.0] * 6), {"weights": "z"}, ["no row is left of 6", "z = 0"]),
        (with_value("z", 4, np.inf), {"offset": "z"}, ["offset 'z'", "infinite", "row 4"]),
        (GOOD, {"missing": "ignore"}, ["missing='ignore'", "'drop' or 'raise'"]),
        (with_value("x", 4, None), {"missing": "raise"}, ["'x' is missing", "row 4", "missing='drop'"]),
        (with_value("school", 4, None), {"missing": "raise"}, ["'school' is missing", "row 4", "fill it in"]),
    ],
)
def test_bad_roles(data: Any, roles: dict[str, Any], words: list[str]) -> None:
    assert_refused(DataError, words, data, "y ~ x + (1 | school)", **roles)


@pytest.mark.parametrize(
    ("data", "text", "words"),
    [
        (with_value("y", 3, -4.0), "log(y) ~ x + (1 | school)", ["'log(y)' is nan", "row 3 (school 'B')", "y = -4"]),
        (with_value("y", 3, 0.0), "log(y) ~ x + (1 | school)", ["'log(y)' is -inf", "row 3", "y = 0", "drop"]),
        (GOOD, "y ~ log(x) + (1 | school)", ["log(x) is -inf", "row 1 (school 'A')", "mend or drop"]),
        (GOOD, "y ~ 1 + (log(x) | school)", ["log(x) is -inf", "row 1 (school 'A')", "mend or drop"]),
        (GOOD, "y ~ log(school) + (1 | school)", ["log(school)", "needs numbers", "'school'", "convert"]),
        (GOOD, "log(school) ~ x + (1 | room)", ["'school'", "not numeric", "row 1"]),
    ],
)
def test_functions_out_of_their_range(data: Any, text: str, words: list[str]) -> None:
    assert_refused(DataError, words, data, text)


@pytest.mark.parametrize(
    ("data", "text", "words"),
    [
        (changed(school=["A"] * 6), "y ~ x + (1 | school)", ["'school' has one group ('A')", "sd(school)", "drop"]),
        (
            changed(school=list("ABCDEF")),
            "y ~ x + (1 | school)",
            ["'school'", "sigma and sd(school)", "standard_error="],
        ),
        (changed(school=list("ABCDEF")), "y ~ (x | school)", ["'school'", "sigma and sd(school)"]),
        (GOOD, "y ~ x + (1 | school:room)", ["'school:room'", "sigma and sd(school:room)"]),
        (changed(z=[2 * x + 1 for x in GOOD["x"]]), "y ~ x + z + (1 | school)", ["'z'", "'x'", "drop one"]),
        (changed(z=[2 * x for x in GOOD["x"]]), "y ~ 0 + x + z + (1 | school)", ["'z'", "'x'", "drop one"]),
        (changed(z=[7.0] * 6), "y ~ x + z + (1 | school)", ["'z'", "constant", "intercept", "drop 'z'"]),
        (changed(z=[0.0] * 6), "y ~ x + z + (1 | school)", ["'z'", "0 in every row", "drop it"]),
        (changed(z=[7.0] * 6), "y ~ x + (z | room)", ["'z'", "(1 + z | room)", "constant"]),
        (changed(room=["a"] * 6), "y ~ room + (1 | school)", ["'room' has one level ('a')", "drop it"]),
        (GOOD, "y ~ school + I((x - x) + z) + z + (1 | room)", ["'z'", "'I(x - x + z)'", "collinear"]),
    ],
)
def test_what_the_data_cannot_tell_apart(data: Any, text: str, words: list[str]) -> None:
    assert_refused(IdentificationError, words, data, text)


def test_three_collinear_columns_are_named() -> None:
    rng = np.random.default_rng(1)
    data = {name: rng.normal(size=40) for name in ("y", "x1", "x2", "other")}
    data |= {"x3": data["x1"] + data["x2"], "g": np.arange(40) % 5}
    assert_refused(
        IdentificationError, ["'x3'", "'x1' and 'x2'", "drop one"], data, "y ~ x1 + other + x2 + x3 + (1 | g)"
    )
    with pytest.raises(IdentificationError) as caught:
        design_of(data, "y ~ x1 + other + x2 + x3 + (1 | g)")
    assert "other'" not in str(caught.value)


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1.0, 1e12, 1e150])
@pytest.mark.parametrize("offset", [0.0, 1e12])
@pytest.mark.parametrize("text", ["y ~ x + z + (1 | g)", "y ~ 0 + f + x + z + (1 | g)"])
def test_offset_and_scale_are_no_collinearity(scale: float, offset: float, text: str) -> None:
    rng = np.random.default_rng(2)
    data = {
        "y": rng.normal(size=60),
        "x": (offset + rng.normal(size=60)) * scale,
        "z": offset + rng.normal(size=60),
        "g": np.arange(60) % 6,
        "f": np.array(list("abc"))[np.arange(60) % 3],
    }
    assert "x" in design_of(data, text).population.names


@pytest.mark.parametrize("n_rows", [200, 100_000])
def test_collinearity_is_found_in_many_rows_too(n_rows: int) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=n_rows)
    data = {"y": rng.normal(size=n_rows), "x": x, "z": 3 - 2 * x, "g": np.arange(n_rows) % 5}
    assert_refused(IdentificationError, ["'z'", "'x'"], data, "y ~ x + z + (1 | g)")
    data["z"] = np.where(np.arange(n_rows) == 17, 1.0, 0.0)  # differs in one row alone: identified
    assert design_of(data, "y ~ x + z + (1 | g)").population.names == ("Intercept", "x", "z")


def test_one_row_and_too_few_rows() -> None:
    assert_refused(DataError, ["'y'", "one row", "standard_error="], {"y": [1.0], "g": ["a"]}, "y ~ (1 | g)")
    data = {"y": [1.0, 2.0, 4.0], "x": [1.0, 2.0, 4.0], "z": [0.0, 1.0, 0.0], "g": ["a", "a", "b"]}
    assert_refused(IdentificationError, ["3 rows", "3 coefficients"], data, "y ~ x + z + (1 | g)")


def test_coefficient_twice_over_one_factor() -> None:
    words = ["'school[B]'", "room", "twice"]
    assert_refused(FormulaError, words, GOOD, "y ~ 1 + (school || room) + (0 + C(school) | room)")


def test_a_formula_cannot_run_code() -> None:
    for text in (
        "__import__('os').getcwd()",
        "x.__class__",
        "(lambda: 1)()",
        "np.load('x')",
        "[c for c in x]",
        "eval('x')",
    ):
        with pytest.raises(FormulaError):
            parse_formula(f"y ~ I({text})")


def test_duplicated_column_names_in_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1.0, 2.0, "a"], [2.0, 3.0, "b"]], columns=["y", "x", "x"])
    assert_refused(DataError, ["2 columns", "'x'", "rename"], frame, "y ~ x")


def test_constant_response_with_known_standard_errors_is_legal() -> None:
    assert design_of(changed(y=[2.0] * 6), standard_error="se").measurements.known_scale


def test_distinct_groups_are_legal_where_the_noise_is_known() -> None:
    distinct = changed(school=list("ABCDEF"))
    for roles in ({"standard_error": "se"}, {"size": "n", "sd": "s"}, {"weights": "z"}, {"counts": "n"}):
        assert design_of(distinct, **roles).groups[0].n_levels == 6
    singles = changed(school=list("ABCDEF"), n=[1] * 6)
    assert_refused(IdentificationError, ["'school'"], singles, "y ~ (1 | school)", size="n", sd="s")

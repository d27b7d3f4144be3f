"""New rows are coded as the fit's rows were: the state of transforms, levels, and the fit's own columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from partialpool.errors import DataError
from partialpool.inputs.designs.design import Design, build_design
from partialpool.inputs.designs.new_rows import read_new_rows
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations

N = 24
RNG = np.random.default_rng(5)
DATA: dict[str, Any] = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "z": RNG.uniform(1.0, 2.0, size=N),
    "f": np.tile(["a", "b", "c"], 8),
    "k": np.tile([10, 20, 30, 40], 6),
    "g": np.repeat(list("pqrs"), 6),
    "h": np.tile([1, 2], 12),
    "se": np.full(N, 0.5),
}


def _design(formula: str, **roles: Any) -> Design:
    parsed = parse_formula(formula)
    return build_design(parsed, read_observations(DATA, parsed, **roles))


TERMS = [
    "x",
    "0 + f",
    "x*f",
    "C(k)*x",
    "scale(x) + center(z)",
    "scale(log(z)):f",
    "np.log(z) + I(x**2)",
    "bs(x, df=5)",
    "cr(x, df=4, constraints='center')",
    "poly(x, 2):f",
    "C(f, contr.sum) + x",
    "C(k, contr.poly)",
]


@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("rows", [[0], [7, 2], [23, 0, 0, 11], list(range(N))])
def test_the_same_rows_give_the_same_columns(terms: str, rows: list[int]) -> None:
    design = _design(f"y ~ {terms} + ({terms} | g)")
    found = read_new_rows(design, {name: np.asarray(values)[rows] for name, values in DATA.items()})
    np.testing.assert_allclose(found.population, design.population.values[rows], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.groups[0].values, design.groups[0].values[rows], rtol=1e-12, atol=1e-14)
    assert found.groups[0].codes.tolist() == design.groups[0].codes[rows].tolist()
    assert found.n_rows == len(rows)


def test_scale_keeps_the_fits_mean_and_sd() -> None:
    found = read_new_rows(_design("y ~ scale(x) + (1 | g)"), {"x": [DATA["x"].mean(), 100.0]})
    expected = (100.0 - DATA["x"].mean()) / DATA["x"].std(ddof=1)
    np.testing.assert_allclose(found.population[:, 1], [0.0, expected], atol=1e-14)


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, lambda data: pl.DataFrame(data).lazy()])
def test_groups_known_new_and_unnamed(make: Any) -> None:
    design = _design("y ~ 1 + (1 | g)")
    (group,) = read_new_rows(design, make({"g": ["q", "other", None, "p"]})).groups
    assert group.codes.tolist() == [1, -1, -1, 0]
    assert group.labels == ("q", "other", "(new)", "p")
    (group,) = read_new_rows(design, make({"x": [1.0, 2.0]})).groups
    assert (group.codes.tolist(), group.labels) == ([-1, -1], ("(new)", "(new)"))


def test_several_columns_are_matched_together() -> None:
    design = _design("y ~ 1 + (1 | g:h)")
    rows = {"g": ["s", "p", "p", None, "t"], "h": [1, 3, 2, 1, 2]}
    (group,) = read_new_rows(design, rows).groups
    known = list(design.groups[0].labels)
    assert group.codes.tolist() == [known.index("s:1"), -1, known.index("p:2"), -1, -1]
    assert group.labels == ("s:1", "p:3", "p:2", "(new):1", "t:2")


def test_labels_of_new_rows_are_quoted_as_the_fits_are() -> None:
    parsed = parse_formula("y ~ 1 + (1 | g:h)")
    data = {"y": [1.0, 2.0, 4.0, 3.0, 7.0], "g": ["a:b", "a", "a", "c", "c"], "h": ["c", "b:c", "c", "b:c", "b:c"]}
    design = build_design(parsed, read_observations(data, parsed))
    (group,) = read_new_rows(design, {"g": ["a", "a:b", "a:b", None], "h": ["b:c", "c", "b:c", "c"]}).groups
    assert group.labels == ('a:"b:c"', '"a:b":c', '"a:b":"b:c"', "(new):c")
    labels = design.groups[0].labels
    assert group.codes.tolist() == [labels.index('a:"b:c"'), labels.index('"a:b":c'), -1, -1]


def test_whole_numbers_match_however_stored() -> None:
    design = _design("y ~ 1 + (1 | k)")
    for values in ([20, 50], [20.0, 50.0], np.array([20, 50], dtype=np.uint8), pl.Series([20, 50])):
        (group,) = read_new_rows(design, {"k": values}).groups
        assert (group.codes.tolist(), group.labels) == ([1, -1], ("20", "50"))


def test_roles_named_at_fit_time_are_read_again() -> None:
    design = _design("y ~ 1 + (1 | g)", standard_error="se", offset="x")
    found = read_new_rows(design, {"se": [0.5, 2.0], "x": [1.0, 3.0]})
    assert found.offset is not None
    assert found.precision is not None
    assert (found.offset.tolist(), found.precision.tolist()) == ([1.0, 3.0], [4.0, 0.25])
    found = read_new_rows(design, {"x": [1.0]}, offset=[7.0], standard_error=[1.0])
    assert found.offset is not None
    assert found.offset.tolist() == [7.0]
    assert read_new_rows(design, {"x": [1.0]}).precision is None


@pytest.mark.parametrize(
    ("terms", "new", "said"),
    [
        ("x", {"g": ["p"]}, "no column 'x' in the data"),
        ("x", {"X": [1.0]}, "did you mean 'X'?"),
        ("x", {"x": [1.0, None]}, "'x' is missing in row 2 of the new data: fill it in or drop the row"),
        ("x", {"x": ["a"]}, "column 'x' of the new data is not numeric: it holds 'a' in row 1"),
        ("x", {"x": [float("inf")]}, "'x' of the new data is infinite in row 1"),
        ("log(z)", {"z": [1.0, -1.0]}, "log(z) is nan in row 2 of the new data"),
        ("f", {"f": ["a", "d"]}, "column 'f' has the level 'd' in row 2, which the fit did not see"),
        ("f", {"f": ["a", None]}, "'f' is missing in row 2"),
        ("f", {"f": [1, 2]}, "column 'f' of the new data holds numbers, in the fit it held text"),
        ("C(k)", {"k": [50]}, "column 'k' has the level '50' in row 1"),
        ("C(f, contr.sum)", {"f": ["d"]}, "known are a, b, c; drop or mend"),
        ("x", {"x": [1.0], "g": [3]}, "column 'g' of the new data holds numbers, in the fit it held text"),
        ("x", {"x": [], "g": []}, "the new data are empty"),
        ("1", {}, "data are empty: there are no columns"),
        ("1", None, "the data are None"),
    ],
)
def test_new_rows_that_cannot_be(terms: str, new: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_new_rows(_design(f"y ~ {terms} + (1 | g)"), new)
    assert said in str(caught.value)


@pytest.mark.parametrize(("fitted", "said"), [("x", "no column 'x', the fit's offset"), (DATA["x"], "give offset=")])
def test_an_offset_is_asked_for(fitted: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_new_rows(_design("y ~ 1 + (1 | g)", offset=fitted), {"g": ["p"]})

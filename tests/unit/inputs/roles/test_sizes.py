"""Trials and exposures beside the formula, in the fit's rows and in new rows."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from partialpool.errors import DataError, MissingRowsWarning
from partialpool.inputs.designs.design import Design, build_design
from partialpool.inputs.designs.new_rows import read_new_rows
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import Observations, read_observations

NAN = float("nan")
DATA: dict[str, Any] = {"y": [1, 0, 4, 2], "g": list("aabb"), "n": [2, 3, 4, 5], "days": [0.5, 2.0, 1.0, 7.0]}
FORMULA = parse_formula("y ~ 1 + (1 | g)")


def _read(family: str, data: Any = DATA, **roles: Any) -> Observations:
    return read_observations(data, FORMULA, family=family, **roles)


def _design(family: str, **roles: Any) -> Design:
    return build_design(FORMULA, _read(family, **roles))


def _listed(values: Any) -> list[float] | None:
    return None if values is None else values.tolist()


@pytest.mark.parametrize(
    ("family", "roles", "sizes"),
    [
        ("binomial", {"trials": "n"}, [2, 3, 4, 5]),
        ("beta_binomial", {"trials": [4, 3, 4, 5]}, [4, 3, 4, 5]),
        ("binomial", {"trials": pl.Series([4, 3, 4, 5])}, [4, 3, 4, 5]),
        ("binomial", {"trials": 6}, [6, 6, 6, 6]),
        ("binomial", {"trials": 6.0}, [6, 6, 6, 6]),
        ("poisson", {"exposure": "days"}, [0.5, 2, 1, 7]),
        ("negative_binomial", {"exposure": DATA["days"]}, [0.5, 2, 1, 7]),
        ("poisson", {"exposure": 2.5}, [2.5] * 4),
        ("poisson", {}, None),
        ("negative_binomial", {}, None),
        ("gaussian", {}, None),
        ("exponential", {}, None),
    ],
)
def test_sizes(family: str, roles: dict[str, Any], sizes: list[float] | None) -> None:
    found = _read(family, **roles)
    assert _listed(found.measurements.sizes) == sizes
    assert found.measurements.response.tolist() == DATA["y"]
    assert found.measurements.family == family
    assert dict(found.roles) == {role: value if isinstance(value, str) else None for role, value in roles.items()}


def test_counts_repeat_rows_of_every_family() -> None:
    for family, roles in (("binomial", {"trials": "n"}), ("poisson", {}), ("exponential", {})):
        found = _read(family, counts=[2, 1, 0, 1], **roles)
        assert _listed(found.measurements.counts) == [2, 1, 1]
        assert found.measurements.response.tolist() == [1, 0, 2]


def test_rows_without_trials_are_left_out() -> None:
    found = _read("binomial", trials=[2, 0, 4, 5])
    assert found.rows is not None
    assert found.rows.tolist() == [0, 2, 3]
    assert dict(found.rows_dropped) == {"trials = 0": 1}
    assert _listed(found.measurements.sizes) == [2, 4, 5]
    with pytest.raises(DataError, match=r"response 'y' is 1 of 0 trials in row 1 \(g 'a'\)"):
        _read("binomial", trials=[0, 3, 4, 5])


@pytest.mark.parametrize(("family", "role"), [("binomial", "trials"), ("poisson", "exposure")])
@pytest.mark.parametrize("named", [True, False])
def test_a_row_whose_size_is_missing_is_left_out(family: str, role: str, named: bool) -> None:
    data = {**DATA, role: [2, NAN, 4, 5]}
    with pytest.warns(MissingRowsWarning, match=f"1 in '{role}'"):
        found = _read(family, data, **{role: role if named else data[role]})
    assert _listed(found.measurements.sizes) == [2, 4, 5]
    with pytest.raises(DataError, match=f"'{role}' is missing in row 2"):
        _read(family, data, **{role: role}, missing="raise")


@pytest.mark.parametrize(
    ("family", "fitted", "given", "sizes"),
    [
        ("binomial", {"trials": "n"}, {}, [9, 0]),
        ("binomial", {"trials": "n"}, {"trials": "m"}, [7, 8]),
        ("binomial", {"trials": "n"}, {"trials": [1, 2]}, [1, 2]),
        ("binomial", {"trials": "n"}, {"trials": 5}, [5, 5]),
        ("binomial", {"trials": 6}, {}, None),
        ("binomial", {"trials": 6}, {"trials": "n"}, [9, 0]),
        ("beta_binomial", {"trials": "n"}, {}, [9, 0]),
        ("poisson", {"exposure": "days"}, {}, None),
        ("poisson", {"exposure": "days"}, {"exposure": 0.5}, [0.5, 0.5]),
        ("poisson", {}, {"exposure": "m"}, [7, 8]),
        ("negative_binomial", {}, {}, None),
    ],
)
def test_sizes_of_new_rows(family: str, fitted: Any, given: Any, sizes: list[float] | None) -> None:
    new = {"g": ["a", "c"], "n": [9, 0], "m": [7, 8]}
    assert _listed(read_new_rows(_design(family, **fitted), new, **given).sizes) == sizes


def test_the_fits_exposure_is_read_again() -> None:
    design = _design("poisson", exposure="days")
    assert _listed(read_new_rows(design, {"g": ["a"], "days": [4.0]}).sizes) == [4.0]


@pytest.mark.parametrize(
    ("family", "fitted", "new", "given", "said"),
    [
        ("binomial", {"trials": "n"}, {"n": [-1]}, {}, "trials 'n' is -1 in row 1 of the new data: a number of trials"),
        ("binomial", {"trials": "n"}, {"n": [1.5]}, {}, "trials 'n' is 1.5 in row 1 of the new data"),
        ("binomial", {"trials": "n"}, {"n": [NAN]}, {}, "'trials' is missing in row 1 of the new data"),
        ("binomial", {"trials": "n"}, {}, {"trials": [1, 2]}, "trials has 2 values, the new data have 1 row"),
        ("binomial", {"trials": "n"}, {}, {"trials": "m"}, "there is no column 'm' in the data"),
        ("poisson", {}, {}, {"exposure": 0}, "exposure is 0 in row 1 of the new data: an exposure is positive"),
        ("poisson", {}, {}, {"trials": 3}, "trials is given with family='poisson': it belongs to binomial and"),
        ("bernoulli", {}, {}, {"trials": 3}, "a bernoulli row is one trial"),
        ("gaussian", {}, {}, {"exposure": 3}, "exposure is given with family='gaussian'"),
    ],
)
def test_new_sizes_that_cannot_be(family: str, fitted: Any, new: Any, given: Any, said: str) -> None:
    data = {**DATA, "y": [0, 1, 1, 0]}
    design = build_design(FORMULA, _read(family, data, **fitted))
    with pytest.raises(DataError) as caught:
        read_new_rows(design, {"g": ["a"], **new}, **given)
    assert said in str(caught.value)

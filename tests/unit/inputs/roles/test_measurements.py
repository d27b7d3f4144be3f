"""What stands beside the formula: standard errors, sizes and sds, weights, counts, offsets."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from partialpool.errors import DataError
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import Observations, read_observations
from partialpool.inputs.unknowns import check_identified

NAN = float("nan")
INFINITE = float("inf")
DATA: dict[str, Any] = {"y": [1.0, 2.0, 4.0], "g": ["a", "b", "a"], "k": [2, 0, 3], "v": [0.5, 2.0, 0.25]}


def _read(data: dict[str, Any] = DATA, **roles: Any) -> Observations:
    return read_observations(data, parse_formula("y ~ 1 + (1 | g)"), **roles)


def _check(observations: Observations, *given: str) -> None:
    check_identified(build_design(parse_formula("y ~ 1 + (1 | g)"), observations), given)


def _listed(values: Any) -> list[float] | None:
    return None if values is None else values.tolist()


@pytest.mark.parametrize(
    ("roles", "kind", "precision", "counts", "within", "offset"),
    [
        ({}, "rows", None, None, None, None),
        ({"standard_error": "v"}, "estimates", [4.0, 0.25, 16.0], None, None, None),
        ({"standard_error": [0.5, 2.0, 0.25]}, "estimates", [4.0, 0.25, 16.0], None, None, None),
        ({"standard_error": pl.Series([0.5, 2.0, 0.25])}, "estimates", [4.0, 0.25, 16.0], None, None, None),
        ({"standard_error": 0.5}, "estimates", [4.0, 4.0, 4.0], None, None, None),
        ({"weights": "v"}, "rows", [0.5, 2.0, 0.25], None, None, None),
        ({"counts": [2, 1, 3]}, "rows", None, [2.0, 1.0, 3.0], None, None),
        ({"counts": [1, 1, 1]}, "rows", None, None, None, None),
        ({"offset": "v"}, "rows", None, None, None, [0.5, 2.0, 0.25]),
        ({"offset": 2}, "rows", None, None, None, [2.0, 2.0, 2.0]),
        ({"size": 3, "sd": 2.0}, "summaries", None, [3.0, 3.0, 3.0], [8.0, 8.0, 8.0], None),
        ({"size": [3, 1, 2], "sd": [2.0, NAN, 0.0]}, "summaries", None, [3.0, 1.0, 2.0], [8.0, 0.0, 0.0], None),
        ({"counts": [2, 1, 3], "weights": "v"}, "rows", [0.5, 2.0, 0.25], [2.0, 1.0, 3.0], None, None),
        ({"standard_error": "v", "counts": [2, 1, 3]}, "estimates", [4.0, 0.25, 16.0], [2.0, 1.0, 3.0], None, None),
    ],
)
def test_roles(
    roles: dict[str, Any],
    kind: str,
    precision: list[float] | None,
    counts: list[float] | None,
    within: list[float] | None,
    offset: list[float] | None,
) -> None:
    found = _read(**roles)
    measured = found.measurements
    assert measured.kind == kind
    assert measured.known_scale == (kind == "estimates")
    assert _listed(measured.precision) == precision
    assert _listed(measured.counts) == counts
    assert _listed(measured.within_squares) == within
    assert _listed(measured.offset) == offset
    assert dict(found.roles) == {role: value if isinstance(value, str) else None for role, value in roles.items()}


@pytest.mark.parametrize("role", ["weights", "counts"])
@pytest.mark.parametrize("given", ["k", [2, 0, 3]])
def test_rows_that_weigh_nothing_are_left_out_without_a_warning(role: str, given: Any) -> None:
    found = _read(**{role: given})
    assert found.rows is not None
    assert found.rows.tolist() == [0, 2]
    assert dict(found.rows_dropped) == {f"{given if isinstance(given, str) else role} = 0": 1}
    assert found.factors["g"].levels.tolist() == ["a"]


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({"standard_error": [1.0, 0.0, 0.0]}, "standard_error is 0 in row 2 (g 'b') (and in 1 more row): drop"),
        ({"standard_error": [1.0, -2.0, 1.0]}, "standard_error is -2 in row 2 (g 'b'): a standard error is positive"),
        ({"standard_error": [1.0, INFINITE, 1.0]}, "standard_error is infinite in row 2: drop or mend"),
        ({"standard_error": [1.0, 1e-200, 1.0]}, "in row 2 (g 'b'): change the units"),
        ({"standard_error": ["1", "2", "3"]}, "standard_error is not numeric: it holds numbers as text"),
        ({"standard_error": [1.0, 2.0]}, "standard_error has 2 values, the data have 3 rows"),
        ({"standard_error": 0.0}, "standard_error is 0 in row 1 (g 'a') (and in 2 more rows)"),
        ({"standard_error": NAN}, "standard_error is missing: give a number, a column or an array"),
        ({"standard_error": "se"}, "no column 'se' in the data"),
        ({"standard_error": "k"}, "standard_error 'k' is 0 in row 2"),
        ({"standard_error": "v", "weights": "v"}, "standard_error and weights are both given"),
        ({"standard_error": "v", "sd": "v"}, "standard_error and sd are both given"),
        ({"standard_error": "v", "size": "k"}, "standard_error and size are both given"),
        ({"sd": "v"}, "sd is given without size"),
        ({"size": "k", "sd": "v", "counts": "k"}, "size and counts are both given"),
        ({"size": [1, 0, 2], "sd": "v"}, "size is 0 in row 2 (g 'b'): a size counts raw rows"),
        ({"size": [1, 2.5, 2], "sd": "v"}, "size is 2.5 in row 2 (g 'b'): a size is a whole number"),
        ({"size": [3, 4, 2], "sd": [1.0, -1.0, 1.0]}, "sd is -1 in row 2"),
        ({"weights": [1.0, -1.0, 1.0]}, "weights is -1 in row 2 (g 'b'): a weight is positive"),
        ({"weights": [1.0, INFINITE, 1.0]}, "weights is infinite in row 2"),
        ({"counts": [1, 1.5, 1]}, "counts is 1.5 in row 2 (g 'b'): a count is a whole number; for precisions"),
        ({"counts": [1, -1, 1]}, "counts is -1 in row 2"),
        ({"weights": [0, 0, 0]}, "no row is left of 3: left out 3 by weights = 0"),
        ({"offset": [0.0, -INFINITE, 0.0]}, "offset is infinite in row 2"),
        ({"offset": ["a", "b", "c"]}, "offset is not numeric: it holds 'a' in row 1"),
    ],
)
def test_roles_that_cannot_be(roles: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        _read(**roles)
    assert said in str(caught.value)


def test_a_constant_response_is_allowed_where_the_spread_is_known() -> None:
    constant = {**DATA, "y": [2.0, 2.0, 2.0]}
    with pytest.raises(DataError, match=r"response 'y' is constant \(2 in every row\)"):
        _check(_read(constant))
    _check(_read(constant), "sigma")
    assert _read(constant, standard_error="v").measurements.known_scale
    assert _read(constant, size=[3, 3, 3], sd="v").measurements.within_squares is not None
    with pytest.raises(DataError, match="constant"):
        _check(_read(constant, size=[3, 3, 3], sd=[0.0, 0.0, 0.0]))


def test_numbers_are_not_changed_on_the_way() -> None:
    values = np.array([1.1, 2.2, 3.3])
    assert _read({**DATA, "y": values}).measurements.response is values

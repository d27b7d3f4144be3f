"""Observations stored as plain arrays come back as they were, and describe themselves as before."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from partialpool.errors import DataError
from partialpool.inputs.columns.labels import Categorical
from partialpool.inputs.describe import describe_formula
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.designs.new_rows import read_new_rows
from partialpool.inputs.designs.rebuild import observations_from_arrays, observations_to_arrays
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import Observations, read_observations

DATA: dict[str, Any] = {
    "y": [1.0, 2.0, 4.0, 3.0, 5.0, 2.5, 0.5, 1.5],
    "x": [0.0, 1.0, 2.0, 4.0, 0.5, 3.0, -1.0, 2.5],
    "f": ["ä", "b", "c", "ä", "b", "c", "ä", "b"],
    "odd / name": [0.0, 3.0, 1.0, 2.0, 2.0, 1.0, 4.0, 0.0],
    "g": [3, 3, 1, 1, 1, 2, 2, 3],
    "t": [True, False, False, True, True, False, True, True],
    "w": [1, 0, 2, 1, 1, 3, 1, 1],
    "v": [0.5, 2.0, 0.25, 1.0, 1.0, 1.0, 1.0, 3.0],
}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("y ~ x + (1 | g)", {}),
    ("y ~ x*f + (x || g)", {"weights": "w"}),
    ("y ~ f + (0 + x | t)", {"counts": "w", "offset": "v"}),
    ("y ~ `odd / name` + (1 | f)", {"standard_error": "v"}),
    ("log(y) ~ scale(x) + (1 | g:t)", {}),
    ("y ~ 1 + (1 | g)", {"size": [3] * 8, "sd": "v", "offset": DATA["x"]}),
    ("y ~ poly(x, 2) + C(f, contr.sum) + (1 | g)", {}),
]


def _through_json(observations: Observations) -> Observations:
    arrays, metadata = observations_to_arrays(observations)
    assert all(values.dtype.kind in "Uifb" and values.flags.c_contiguous for values in arrays.values())
    return observations_from_arrays(arrays, json.loads(json.dumps(metadata)))


@pytest.mark.parametrize(("formula", "roles"), CASES)
def test_everything_comes_back(formula: str, roles: dict[str, Any]) -> None:
    parsed = parse_formula(formula)
    before = read_observations(DATA, parsed, **roles)
    after = _through_json(before)
    assert (after.rows_read, dict(after.rows_dropped), dict(after.roles)) == (
        before.rows_read,
        dict(before.rows_dropped),
        dict(before.roles),
    )
    for one, other in ((before.columns, after.columns), (before.factors, after.factors)):
        assert list(one) == list(other)
        for name in one:
            _same_column(one[name], other[name])
    for field in ("response", "precision", "counts", "within_squares", "offset"):
        _same_array(getattr(before.measurements, field), getattr(after.measurements, field))
    _same_array(before.rows, after.rows)
    first, second = build_design(parsed, before), build_design(parsed, after)
    assert str(describe_formula(first)) == str(describe_formula(second))
    _same_array(first.population.values, second.population.values)
    new = {name: values[4:7] for name, values in DATA.items()}
    given = {"offset": [1.0, 2.0, 3.0]} if "offset" in roles else {}
    rows, again = (read_new_rows(design, new, **given) for design in (first, second))
    _same_array(rows.population, again.population)
    _same_array(rows.groups[0].codes, again.groups[0].codes)
    assert rows.groups[0].labels == again.groups[0].labels


def _same_column(one: Any, other: Any) -> None:
    if isinstance(one, Categorical):
        assert isinstance(other, Categorical)
        _same_array(one.codes, other.codes)
        _same_array(one.levels, other.levels)
    else:
        _same_array(one, other)


def _same_array(one: Any, other: Any) -> None:
    assert (one is None) == (other is None)
    if one is not None:
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other, strict=True)


@pytest.mark.parametrize("text", ["bytes", "object"])
def test_text_as_files_give_it_back(text: str) -> None:
    parsed = parse_formula("y ~ f + (1 | f)")
    arrays, metadata = observations_to_arrays(read_observations(DATA, parsed))
    levels = arrays["factor_0_levels"]
    encoded = np.array([label.encode() for label in levels.tolist()])
    arrays["factor_0_levels"] = encoded if text == "bytes" else levels.astype(object)
    assert observations_from_arrays(arrays, metadata).factors["f"].levels.tolist() == ["b", "c", "ä"]


def test_incomplete_or_foreign_storage_is_refused() -> None:
    arrays, metadata = observations_to_arrays(read_observations(DATA, parse_formula("y ~ x + (1 | g)")))
    for key in arrays:
        with pytest.raises(DataError, match="the file is incomplete, save the fit again"):
            observations_from_arrays({name: values for name, values in arrays.items() if name != key}, metadata)
    for key in metadata:
        with pytest.raises(DataError, match=r"incomplete|have version None"):
            observations_from_arrays(arrays, {name: value for name, value in metadata.items() if name != key})
    with pytest.raises(DataError, match="version 99, this release reads 1"):
        observations_from_arrays(arrays, {**metadata, "version": 99})

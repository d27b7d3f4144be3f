"""Stored observations give the same design, and the fit's own rows read as new rows give the same columns."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from partialpool.errors import DataError
from partialpool.inputs.designs.design import Design, build_design
from partialpool.inputs.designs.new_rows import read_new_rows
from partialpool.inputs.designs.rebuild import observations_from_arrays, observations_to_arrays
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import Observations, read_observations

_RNG = np.random.default_rng(0)
_N = 200
DATA: dict[str, Any] = {
    "y": _RNG.normal(size=_N),
    "x": _RNG.normal(size=_N) + 4,
    "z": _RNG.normal(size=_N),
    "g": _RNG.integers(0, 6, _N) * 1.0,
    "p": _RNG.integers(1, 4, _N),
    "f": np.array(["a", "b", "c"])[_RNG.integers(0, 3, _N)],
    "b": _RNG.integers(0, 2, _N) > 0,
    "off": _RNG.normal(size=_N),
    "se": np.full(_N, 1.1),
}
SOME = {name: values[10:13] for name, values in DATA.items()}
FORMULAS = [
    "y ~ scale(x) + f*b + C(p) + (scale(x) || g)",
    "y ~ bs(x, df=5) + poly(z, 2) + C(p) + b + C(f, contr.sum) + (scale(x) + f | g) + (1 | g:p)",
    "y ~ scale(z) + cr(x, df=4, constraints='center') + f:b + (1 | g)",
    "y ~ f:C(p) + (0 + f || g)",
    "y ~ 1 + (1 | g/f/p)",
    "y ~ p + (1 | p)",
]


def fitted(text: str) -> tuple[Observations, Design]:
    formula = parse_formula(text)
    observations = read_observations(DATA, formula, standard_error="se", offset="off")
    return observations, build_design(formula, observations)


@pytest.mark.parametrize("text", FORMULAS)
def test_own_rows_read_as_new_rows(text: str) -> None:
    design = fitted(text)[1]
    new = read_new_rows(design, SOME)
    np.testing.assert_allclose(new.population, design.population.values[10:13], rtol=1e-13, atol=1e-13)
    for rows, group in zip(new.groups, design.groups, strict=True):
        np.testing.assert_array_equal(rows.codes, group.codes[10:13])
        np.testing.assert_allclose(rows.values, group.values[10:13], rtol=1e-13, atol=1e-13)
        assert rows.labels == tuple(group.labels[code] for code in rows.codes)
    np.testing.assert_allclose(new.precision, 1 / 1.21)
    np.testing.assert_array_equal(new.offset, SOME["off"])


@pytest.mark.parametrize("text", FORMULAS)
def test_stored_observations_rebuild_the_design(text: str) -> None:
    observations, design = fitted(text)
    arrays, metadata = observations_to_arrays(observations)
    assert {array.dtype.kind for array in arrays.values()} <= set("Uifb")
    again = build_design(parse_formula(text), observations_from_arrays(arrays, json.loads(json.dumps(metadata))))
    assert again.population.names == design.population.names
    np.testing.assert_array_equal(again.population.values, design.population.values)
    for one, other in zip(again.groups, design.groups, strict=True):
        assert (one.labels, one.names, one.blocks) == (other.labels, other.names, other.blocks)
        np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(read_new_rows(again, SOME).population, read_new_rows(design, SOME).population)


def test_incomplete_or_newer_stores_are_refused() -> None:
    arrays, metadata = observations_to_arrays(fitted(FORMULAS[0])[0])
    with pytest.raises(DataError, match="version 99"):
        observations_from_arrays(arrays, {**metadata, "version": 99})
    del arrays["factor_0_codes"]
    with pytest.raises(DataError, match=r"lack 'factor_0_codes'.*incomplete"):
        observations_from_arrays(arrays, metadata)


def test_new_groups_are_labelled() -> None:
    design = fitted("y ~ x + (1 | g) + (1 | g:f)")[1]
    new = read_new_rows(design, {"x": [1, 2, 3], "g": [0, 7, None], "f": ["a", "b", "c"], "off": [0, 0, 0]})
    assert new.groups[0].codes.tolist() == [0, -1, -1]
    assert new.groups[0].labels == ("0", "7", "(new)")
    assert new.groups[1].labels == ("0:a", "7:b", "(new):c")
    assert new.precision is None
    absent = read_new_rows(design, {"x": [1.0, 2.0], "off": [0, 0]})
    assert absent.groups[1].codes.tolist() == [-1, -1]
    assert absent.groups[1].labels == ("(new):(new)", "(new):(new)")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"f": ["a", "q", "b"]}, "column 'f' has the level 'q' in row 2.*known are a, b, c"),
        ({"p": [1, 9, 2]}, "column 'p' has the level '9' in row 2.*known are 1, 2, 3"),
        ({"x": [1e6, 1, 1]}, "extend beyond"),
        ({"x": [1, None, 1]}, "'x' is missing in row 2 of the new data"),
        ({"x": ["u", "v", "w"]}, "'x' of the new data is not numeric: it holds 'u' in row 1"),
        ({"g": ["u", "v", "w"]}, "'g' of the new data holds text, in the fit it held numbers"),
        ({"b": [2, 3, 4]}, "'b' of the new data holds numbers, in the fit it held truth values"),
        ({"off": [1, None, 2]}, "'offset' is missing in row 2"),
        ({"se": [1, 0, 2]}, "standard_error 'se' is 0 in row 2 of the new data"),
        ({name: [] for name in SOME}, "the new data are empty"),
    ],
)
def test_bad_new_rows(change: dict[str, Any], words: str) -> None:
    design = fitted(FORMULAS[1])[1]
    with pytest.raises(DataError, match=words):
        read_new_rows(design, {**SOME, **change})


def test_columns_that_new_rows_need() -> None:
    design = fitted(FORMULAS[0])[1]
    for name, words in {"x": "no column 'x'", "off": "no column 'off', the fit's offset"}.items():
        with pytest.raises(DataError, match=words):
            read_new_rows(design, {key: values for key, values in SOME.items() if key != name})
    assert read_new_rows(design, {k: v for k, v in SOME.items() if k not in ("y", "se")}).n_rows == 3


def test_an_offset_given_as_an_array_is_asked_for_again() -> None:
    formula = parse_formula("y ~ 1 + (1 | g)")
    design = build_design(formula, read_observations(DATA, formula, offset=DATA["off"]))
    with pytest.raises(DataError, match="give offset="):
        read_new_rows(design, SOME)
    assert read_new_rows(design, SOME, offset=[1.0, 2.0, 3.0]).offset is not None


def test_a_dict_of_arrays_is_read_without_heavy_imports() -> None:
    code = """
import sys
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.inputs.designs.design import build_design
formula = parse_formula("y ~ log(x)*f + C(k) + (f || g)")
data = {"y": [1., 2, 4, 3] * 9, "x": range(1, 37), "g": ["u", "v"] * 18,
    "f": ["a", "b", "c"] * 12, "k": [1, 1, 1, 2, 2, 2] * 6}
build_design(formula, read_observations(data, formula))
print([name for name in ("pandas", "narwhals", "formulaic", "scipy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr

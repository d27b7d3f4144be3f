"""Columns with odd names, labels too large to be told apart, products that overflow, offsets that vary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from partialpool.errors import DataError
from partialpool.inputs.designs.design import Design, build_design
from partialpool.inputs.designs.new_rows import read_new_rows
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.inputs.unknowns import check_identified

RNG = np.random.default_rng(2)
A, B = RNG.normal(size=12), RNG.normal(size=12)
DATA: dict[Any, Any] = {"y": RNG.normal(size=12), "a b": A, "g": np.repeat(list("pqr"), 4)}


def _design(formula: str, data: Any, **roles: Any) -> Design:
    parsed = parse_formula(formula)
    return build_design(parsed, read_observations(data, parsed, **roles))


@pytest.mark.parametrize("name", ["_column_0_", "_column_1_", "_column_0__", "log", "class", "True", "a:b", "x\ty"])
def test_no_name_stands_for_another_column(name: str) -> None:
    quoted = name if name.startswith("_") else f"`{name}`"
    design = _design(f"y ~ I(`a b` + 2 * {quoted}) + `{name}` + (1 | g)", {**DATA, name: B})
    np.testing.assert_allclose(design.population.values[:, 1], A + 2 * B)
    np.testing.assert_allclose(design.population.values[:, 2], B)
    assert design.population.names[2] == name


@pytest.mark.parametrize("make", [dict, pd.DataFrame])
def test_names_may_be_numbers(make: Any) -> None:
    design = _design("`0` ~ `1` + (1 | `2`)", make({0: A, 1: B, 2: DATA["g"]}))
    assert design.population.names == ("Intercept", "1")
    found = read_new_rows(design, make({1: [0.5], 2: ["q"]}))
    assert (found.population.tolist(), found.groups[0].codes.tolist()) == ([[1.0, 0.5]], [1])


@pytest.mark.parametrize(
    "labels",
    [
        np.array([2**63 + 1, 2**63 + 2] * 6, dtype=np.uint64),
        [2**70, 2**70 + 1] * 6,
        [2.0**53, 2.0**53 + 2] * 6,
        [-(2.0**60), 1.0] * 6,
    ],
)
def test_labels_that_are_not_told_apart_exactly(labels: Any) -> None:
    with pytest.raises(DataError, match=r"column 'g' holds labels as large as .*: convert it to text"):
        _design("y ~ 1 + (1 | g)", {**DATA, "g": labels})


def test_large_whole_numbers_are_told_apart() -> None:
    labels = _design("y ~ 1 + (1 | g)", {**DATA, "g": [2**62, 2**62 + 1] * 6}).groups[0].labels
    assert labels == (str(2**62), str(2**62 + 1))


def test_a_product_that_overflows_is_named() -> None:
    with pytest.raises(DataError, match=r"x:z is -?inf in row 1 \(g 'p'\)"):
        _design("y ~ x:z + (1 | g)", {**DATA, "x": A * 1e200, "z": B * 1e200})


def test_the_spread_of_a_response_is_judged_beside_its_offset() -> None:
    constant = {**DATA, "y": np.zeros(12)}
    assert _design("y ~ 1 + (1 | g)", constant, offset=A).measurements.offset is not None
    with pytest.raises(DataError, match="response 'y' is constant beside its offset"):
        check_identified(_design("y ~ 1 + (1 | g)", DATA, offset="y"))

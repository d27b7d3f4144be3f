"""Flat priors that the data cannot make up for, in every kind of pooling."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import PriorError
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.models.propriety.identification import find_competing_columns, rank_with_groups

FOUR: dict[str, Any] = {
    "y": [1.0, 4.0, 2.0, 6.0],
    "se": [0.9] * 4,
    "g": list("abcd"),
    "x1": [0.0, 1.0, 2.0, 4.0],
    "x2": [1.0, 0.0, 3.0, 1.0],
}
FLAT = {"coefficients": "Flat()", "sd": "Flat()"}
RNG = np.random.default_rng(4)
CODES = np.repeat(np.arange(4), 5)
ROWS: dict[str, Any] = {
    "y": RNG.normal(size=20) + CODES,
    "x": RNG.normal(size=20),
    "year": 2000.0 + np.tile(np.arange(5.0), 4),
    "w": np.array([0.3, 1.0, -2.0, 4.0])[CODES],
    "f": np.tile(["u", "v", "u", "v", "v"], 4),
    "g": np.array(list("abcd"))[CODES],
}
ROWS["xw"] = ROWS["x"] * ROWS["w"]
ROWS["xc"] = ROWS["x"] + ROWS["w"] ** 2


def refuse(formula: str, data: dict[str, Any], said: str, **arguments: Any) -> None:
    with pytest.raises(PriorError, match=re.escape(said)):
        pp.fit(formula, data, **arguments)


def test_meta_regression_uses_up_groups() -> None:
    said = "under Flat() with 4 groups the posterior is improper: as sd(g) grows the likelihood falls only like sd^-1"
    refuse("y ~ x1 + x2 + (1 | g)", FOUR, said, standard_error="se", priors=FLAT)
    pp.fit("y ~ x1 + (1 | g)", FOUR, standard_error="se", priors=FLAT)
    pp.fit("y ~ x1 + x2 + (1 | g)", FOUR, standard_error="se", priors={**FLAT, "x2": "Normal(0, 5)"})


def test_complete_pooling() -> None:
    flat = {"Intercept": "Flat()", "sigma": "Flat()"}
    said = "sigma: under Flat() with 1 residual degree of freedom the posterior is improper"
    refuse("y ~ 1", {"y": [1, 2]}, said, priors=flat)
    pp.fit("y ~ 1", {"y": [1, 2, 4]}, priors=flat)
    pp.fit("y ~ 1", {"y": [1, 2]}, priors={"Intercept": "Normal(0, 5)", "sigma": "Flat()"})
    pp.fit("y ~ 1", {"y": [1, 2]}, priors={"Intercept": "Flat()"})


def test_no_pooling() -> None:
    flat = {"Intercept": "Flat()", "sigma": "Flat()"}
    data = {"y": [1.0, 2.0, 4.0], "g": list("aab")}
    said = "sigma: under Flat() with 1 residual degree of freedom the posterior is improper"
    refuse("y ~ 1 + (1 | g)", data, said, priors=flat, pooling="none")
    more = {"y": [1.0, 2.0, 4.0, 7.0], "g": list("aabb")}
    pp.fit("y ~ 1 + (1 | g)", more, priors=flat, pooling="none")
    common = {**more, "x": [0.0, 1.0, 0.0, 2.0]}
    refuse("y ~ x + (1 | g)", common, said, priors={**flat, "x": "Flat()"}, pooling="none")
    pp.fit("y ~ x + (1 | g)", common, priors=flat, pooling="none")


@pytest.mark.parametrize(
    ("formula", "effect", "expected"),
    [
        ("y ~ 1 + (1 | g)", 0, {"Intercept"}),
        ("y ~ x + (1 | g)", 0, {"Intercept"}),  # x varies within groups
        ("y ~ year + (1 | g)", 0, {"Intercept"}),
        ("y ~ w + (1 | g)", 0, {"Intercept", "w"}),
        ("y ~ x + xc + (1 | g)", 0, {"Intercept", "x", "xc"}),  # their difference is constant within groups
        ("y ~ x + (1 + x | g)", 1, {"x"}),
        ("y ~ x + w + xw + (1 + x | g)", 1, {"x", "xw"}),
        ("y ~ 1 + (1 + x | g)", 1, set()),
        ("y ~ f + (0 + f | g)", 0, {"Intercept", "f[v]"}),
    ],
)
def test_what_competes(formula: str, effect: int, expected: set[str]) -> None:
    parsed = parse_formula(formula)
    design = build_design(parsed, read_observations(ROWS, parsed))
    rank, part = find_competing_columns(design.population.values, design.groups[0], effect)
    assert {name for name, on in zip(design.population.names, part, strict=True) if on} == expected
    dimension = {"y ~ x + xc + (1 | g)": 2, "y ~ f + (0 + f | g)": 1}
    assert rank == dimension.get(formula, len(expected))


def test_rank_with_groups_agrees_with_dense_columns() -> None:
    parsed = parse_formula("y ~ x + w + year + xw + (1 + year + x | g)")
    design = build_design(parsed, read_observations(ROWS, parsed))
    group, columns = design.groups[0], design.population.values
    own = [np.where(group.codes == j, group.values[:, k], 0.0) for j in range(4) for k in (0, 1)]
    dense = np.column_stack([columns, *own])
    expected = np.linalg.matrix_rank(dense / np.linalg.norm(dense, axis=0), tol=1e-8)
    assert rank_with_groups(columns, group, [0, 1]) == expected

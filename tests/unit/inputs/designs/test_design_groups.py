"""Group terms: levels, coefficients that vary, which of them are correlated, and what cannot be identified."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from partialpool.errors import IdentificationError
from partialpool.inputs.describe import name_parameters
from partialpool.inputs.designs.design import Design, build_design
from partialpool.inputs.language.formula import Formula, parse_formula
from partialpool.inputs.observations import Observations, read_observations
from partialpool.inputs.unknowns import check_identified

DATA: dict[str, Any] = {
    "y": [1.0, 2.0, 4.0, 3.0, 5.0, 2.5, 0.5, 1.5],
    "x": [0.0, 1.0, 2.0, 4.0, 0.5, 3.0, -1.0, 2.5],
    "f": ["a", "b", "c", "a", "b", "c", "a", "b"],
    "g": ["q", "q", "p", "p", "p", "r", "r", "q"],
    "h": [2, 1, 1, 2, 2, 1, 1, 1],
}


def build_checked(formula: Formula, observations: Observations) -> Design:
    design = build_design(formula, observations)
    check_identified(design)
    return design


def _design(formula: str, data: dict[str, Any] = DATA, **roles: Any) -> Design:
    parsed = parse_formula(formula)
    return build_checked(parsed, read_observations(data, parsed, **roles))


@pytest.mark.parametrize(
    ("terms", "blocks"),
    [
        ("(1 | g)", [["Intercept"]]),
        ("(x | g)", [["Intercept", "x"]]),
        ("(0 + x | g)", [["x"]]),
        ("(x || g)", [["Intercept"], ["x"]]),
        ("(1 | g) + (0 + x | g)", [["Intercept"], ["x"]]),
        ("(0 + x | g) + (1 | g)", [["x"], ["Intercept"]]),
        ("(f | g)", [["Intercept", "f[b]", "f[c]"]]),
        ("(f || g)", [["Intercept"], ["f[b]"], ["f[c]"]]),
        ("(0 + f || g)", [["f[a]"], ["f[b]"], ["f[c]"]]),
        ("(x*f || g)", [["Intercept"], ["x"], ["f[b]"], ["f[c]"], ["x:f[b]"], ["x:f[c]"]]),
        ("(f || g) + (0 + x | g)", [["Intercept"], ["f[b]"], ["f[c]"], ["x"]]),
        ("(x + C(h) | g)", [["Intercept", "x", "h[2]"]]),
    ],
)
def test_blocks(terms: str, blocks: list[list[str]]) -> None:
    (group,) = _design(f"y ~ 1 + {terms}").groups
    assert [[group.names[place] for place in block] for block in group.blocks] == blocks
    assert group.labels == ("p", "q", "r")
    assert group.codes.tolist() == [1, 1, 0, 0, 0, 2, 2, 1]
    assert group.values.shape == (8, len(group.names))


def test_values_vary_as_the_population_columns_do() -> None:
    design = _design("y ~ x + C(h) + (x + C(h) || g)")
    np.testing.assert_array_equal(design.groups[0].values, design.population.values)


def test_a_factor_may_be_a_column_too() -> None:
    design = _design("y ~ C(h) + x + (0 + x | h)")
    assert design.population.names == ("Intercept", "h[2]", "x")
    assert design.groups[0].labels == ("1", "2")


@pytest.mark.parametrize(
    ("terms", "factors"),
    [
        ("(1 | g:h)", {"g:h": ["p:1", "p:2", "q:1", "q:2", "r:1"]}),
        ("(1 | g/h)", {"g": ["p", "q", "r"], "g:h": ["p:1", "p:2", "q:1", "q:2", "r:1"]}),
        ("(1 | g) + (1 | h)", {"g": ["p", "q", "r"], "h": ["1", "2"]}),
        ("(1 | g:h) + (0 + x | h:g)", {"g:h": ["p:1", "p:2", "q:1", "q:2", "r:1"]}),
    ],
)
def test_several_columns_or_factors(terms: str, factors: dict[str, list[str]]) -> None:
    design = _design(f"y ~ 1 + {terms}")
    assert {group.name: list(group.labels) for group in design.groups} == factors
    for group in design.groups:
        rows = zip(*(DATA[name] for name in group.columns), strict=True)
        assert [group.labels[code] for code in group.codes] == [":".join(map(str, row)) for row in rows]


@pytest.mark.parametrize(
    ("terms", "parameters"),
    [
        ("(1 | g)", ("sd(g)",)),
        ("(0 + x | g)", ("sd(g, x)",)),
        ("(x | g)", ("sd(g, Intercept)", "sd(g, x)", "cor(g, Intercept, x)")),
        ("(x || g)", ("sd(g, Intercept)", "sd(g, x)")),
        ("(1 | g:h)", ("sd(g:h)",)),
    ],
)
def test_parameter_names(terms: str, parameters: tuple[str, ...]) -> None:
    assert name_parameters(_design(f"y ~ 1 + {terms}").groups[0]) == parameters


EIGHT = list(range(8))


@pytest.mark.parametrize(
    ("formula", "columns", "roles", "said"),
    [
        ("y ~ 1 + (1 | g)", {"g": EIGHT}, {}, "'g' is different in every row: sigma and sd(g) cannot be told apart"),
        ("y ~ 1 + (x | g)", {"g": EIGHT}, {}, "give standard_error= if the noise is known, size= and sd="),
        ("y ~ 1 + (1 | g)", {"g": EIGHT}, {"weights": [2.0] * 8}, "'g' is different in every row"),
        ("y ~ f*x + (1 | h)", {"y": DATA["y"][:6], "h": [1, 1, 1, 2, 2, 2]}, {}, "6 rows cannot tell 6 coefficients"),
    ],
)
def test_what_cannot_be_told_apart(formula: str, columns: dict[str, Any], roles: dict[str, Any], said: str) -> None:
    data = {**DATA, **columns}
    shortened = {name: values[: len(data["y"])] for name, values in data.items()}
    with pytest.raises(IdentificationError) as caught:
        _design(formula, shortened, **roles)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "roles",
    [
        {"standard_error": [1.0] * 8},
        {"size": [3] * 8, "sd": [1.0] * 8},
        {"counts": [2] * 8},
        {"weights": [1.0, 2.0] * 4},
        {},
    ],
)
def test_one_row_a_group_where_something_tells_them_apart(roles: dict[str, Any]) -> None:
    data = {**DATA, "g": EIGHT if roles else [0, 0, 1, 2, 3, 4, 5, 6]}
    assert _design("y ~ 1 + (1 | g)", data, **roles).groups[0].n_levels >= 7

"""Coefficient columns: their names and values, against what the formula says in words."""

from __future__ import annotations

from typing import Any

import formulaic
import numpy as np
import pandas as pd
import pytest

from partialpool.errors import DataError, FormulaError, IdentificationError
from partialpool.inputs.designs.design import Design, build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations

N = 24
RNG = np.random.default_rng(3)
DATA: dict[str, Any] = {
    "y": RNG.normal(size=N),
    "x": np.append([0.5, -2.5], RNG.normal(size=N - 2)),
    "z": RNG.uniform(1.0, 2.0, size=N),
    "f": np.tile(["a", "b", "c"], 8),
    "h": np.repeat(["u", "v"], 12),
    "t": np.tile([False, True], 12),
    "k": np.tile([10, 20, 30, 40], 6),
    "my x": RNG.normal(size=N),
    "g": np.repeat(list("pqrs"), 6),
}


def _design(formula: str, data: dict[str, Any] = DATA, **roles: Any) -> Design:
    parsed = parse_formula(formula)
    return build_design(parsed, read_observations(data, parsed, **roles))


@pytest.mark.parametrize(
    ("right_side", "names"),
    [
        ("1", ["Intercept"]),
        ("0 + x", ["x"]),
        ("x", ["Intercept", "x"]),
        ("`my x`", ["Intercept", "my x"]),
        ("k", ["Intercept", "k"]),
        ("C(k)", ["Intercept", "k[20]", "k[30]", "k[40]"]),
        ("0 + C(k)", ["k[10]", "k[20]", "k[30]", "k[40]"]),
        ("f", ["Intercept", "f[b]", "f[c]"]),
        ("0 + f", ["f[a]", "f[b]", "f[c]"]),
        ("t", ["Intercept", "t[True]"]),
        ("f + h", ["Intercept", "f[b]", "f[c]", "h[v]"]),
        ("0 + f + h", ["f[a]", "f[b]", "f[c]", "h[v]"]),
        ("x:z", ["Intercept", "x:z"]),
        ("x*f", ["Intercept", "x", "f[b]", "f[c]", "x:f[b]", "x:f[c]"]),
        ("x:f", ["Intercept", "x:f[a]", "x:f[b]", "x:f[c]"]),
        ("f*h", ["Intercept", "f[b]", "f[c]", "h[v]", "f[b]:h[v]", "f[c]:h[v]"]),
        ("0 + f:h", ["f[a]:h[u]", "f[b]:h[u]", "f[c]:h[u]", "f[a]:h[v]", "f[b]:h[v]", "f[c]:h[v]"]),
        ("h/x", ["Intercept", "h[v]", "h[u]:x", "h[v]:x"]),
        ("log(z)", ["Intercept", "log(z)"]),
        ("I(x**2)", ["Intercept", "I(x ** 2)"]),
        ("scale(x):f", ["Intercept", "scale(x):f[a]", "scale(x):f[b]", "scale(x):f[c]"]),
    ],
)
def test_names(right_side: str, names: list[str]) -> None:
    population = _design(f"y ~ {right_side} + (1 | g)").population
    assert list(population.names) == names
    assert population.values.shape == (N, len(names))
    assert np.linalg.matrix_rank(population.values) == len(names)


@pytest.mark.parametrize(
    "right_side",
    ["x", "f", "0 + f", "x*f", "f*h", "0 + f:h", "f:h", "x:f + f", "h/x", "t*x", "x*z*h", "C(k):x", "log(z):h"],
)
def test_values_are_formulaics(right_side: str) -> None:
    found = _design(f"y ~ {right_side} + (1 | g)").population.values
    other = np.asarray(formulaic.model_matrix(right_side, pd.DataFrame(DATA)))
    np.testing.assert_allclose(found, other, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("log(z)", np.log(DATA["z"])),
        ("np.sin(x)", np.sin(DATA["x"])),
        ("I(x**2 - z/2)", DATA["x"] ** 2 - DATA["z"] / 2),
        ("I(x > 0)", (DATA["x"] > 0).astype(float)),
        ("exp(-abs(x))", np.exp(-np.abs(DATA["x"]))),
        ("center(x)", DATA["x"] - DATA["x"].mean()),
        ("scale(x)", (DATA["x"] - DATA["x"].mean()) / DATA["x"].std(ddof=1)),
        ("standardize(x)", (DATA["x"] - DATA["x"].mean()) / DATA["x"].std(ddof=1)),
        ("log(z) * sqrt(z)", None),
    ],
)
def test_functions_are_numpys(column: str, expected: Any) -> None:
    values = _design(f"y ~ {column} + (1 | g)").population.values
    if expected is None:  # '*' joins terms here, so that this is three columns
        expected = np.log(DATA["z"]) * np.sqrt(DATA["z"])
        assert values.shape[1] == 4
    np.testing.assert_allclose(values[:, -1], expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    "terms",
    [
        "bs(x, df=5)",
        "cr(x, df=4, constraints='center')",
        "poly(x, 2)",
        "C(f, contr.sum)",
        "C(f, contr.helmert)",
        "C(k, contr.treatment(base=20))",
        "C(k, Treatment(reference=20))",
    ],
)
def test_splines_polynomials_and_contrasts(terms: str) -> None:
    population = _design(f"y ~ {terms} + (1 | g)").population
    assert population.names[0] == "Intercept"
    assert np.linalg.matrix_rank(population.values) == population.values.shape[1] == len(population.names)


@pytest.mark.parametrize(
    ("formula", "error", "said"),
    [
        ("y ~ f + I(0*x) + (1 | g)", IdentificationError, "'I(0 * x)' of the population part is 0 in every row"),
        ("y ~ I(0*x + 3) + (1 | g)", IdentificationError, "is constant, as the intercept is"),
        ("y ~ log(x) + (1 | g)", DataError, "log(x) is nan in row 2 (g 'p')"),
        ("y ~ x + (log(x) | g)", DataError, "log(x) is nan in row 2 (g 'p')"),
        ("y ~ I(1/(k - 10)) + (1 | g)", DataError, "I(1 / (k - 10)) is inf in row 1 (g 'p')"),
        ("y ~ log(f) + (1 | g)", DataError, "log(f) needs numbers, but column 'f' holds labels"),
        ("log(x) ~ 1 + (1 | g)", DataError, "in row 2 (g 'p'), from x = -2.5"),
        ("y ~ bs(x, knots='q') + (1 | g)", FormulaError, "check the arguments of its functions"),
        ("y ~ x + (0 + f || g) + (0 + C(f) | g)", FormulaError, "the coefficient 'f[a]' varies over g twice"),
    ],
)
def test_columns_that_cannot_be(formula: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        _design(formula)
    assert said in str(caught.value)


def test_a_label_column_of_one_level_is_named() -> None:
    with pytest.raises(IdentificationError, match=r"column 'f' has one level \('a'\)"):
        _design("y ~ f + (1 | g)", {**DATA, "f": ["a"] * N})

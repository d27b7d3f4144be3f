"""The plain recipe and formulaic give the same columns under the same names, wherever both can."""

from __future__ import annotations

import numpy as np
import pytest

from partialpool.inputs.coding.formulaic_recipe import build_formulaic_recipe
from partialpool.inputs.coding.plain_recipe import build_plain_recipe
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.language.terms import expand_terms
from partialpool.inputs.observations import Observations, read_observations

N_ROWS = 200


def observe(right_side: str) -> Observations:
    rng = np.random.default_rng(0)
    data = {
        "y": rng.normal(size=N_ROWS),
        "x": rng.normal(size=N_ROWS) + 8,
        "z": rng.normal(size=N_ROWS),
        "my x": rng.normal(size=N_ROWS),
        "p": rng.integers(1, 4, N_ROWS),
        "f": np.array(["a:b", "[T.q]", "c"])[rng.integers(0, 3, N_ROWS)],
        "h": np.array(["u", "v"])[rng.integers(0, 2, N_ROWS)],
        "b": rng.integers(0, 2, N_ROWS) > 0,
    }
    return read_observations(data, parse_formula(f"y ~ {right_side}"))


@pytest.mark.parametrize(
    "right_side",
    [
        *("x*z", "x:z", "`my x`*f", "log(abs(`my x`))", "log(x) + I(z**2)", "I(x > 8)", "sqrt(x)*f", "np.log(x)"),
        *("scale(x)", "center(x):f", "scale(x):h", "scale(log(x))"),
        *("f", "0 + f", "f + h", "0 + f + h", "f*h", "0 + f*h", "f*h*x", "f*h*b", "(f + h + b)^2", "b", "0 + b"),
        *("f/x", "x + f:x", "f:x", "x:f", "0 + f:x", "f:x:h", "f + f:h", "f + h + f:h:x", "0 + x + f"),
        *("C(p)*x", "p + C(p)", "0 + C(p)"),
    ],
)
def test_plain_is_formulaic(right_side: str) -> None:
    terms, columns = expand_terms(right_side), observe(right_side).columns
    plain = build_plain_recipe(terms, columns)
    formulaic = build_formulaic_recipe(terms, columns)
    assert plain is not None
    assert plain.names == formulaic.names
    np.testing.assert_allclose(plain.code(columns, N_ROWS), formulaic.code(columns, N_ROWS), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("right_side", ["f:h", "bs(x, df=4)", "poly(x, 2)", "C(p, contr.sum)", "scale(x, ddof=0)"])
def test_the_rest_takes_formulaic(right_side: str) -> None:
    assert build_plain_recipe(expand_terms(right_side), observe(right_side).columns) is None

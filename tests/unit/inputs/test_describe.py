"""How a formula was understood, as printed and as values."""

from __future__ import annotations

from typing import Any

import pytest

import partialpool as pp
from partialpool.errors import DataError, FormulaError, MissingRowsWarning

DATA: dict[str, Any] = {
    "y": [1.0, 2.0, 4.0, 3.0, 5.0, 2.5],
    "x": [0.0, 1.0, 2.0, 4.0, 0.5, 3.0],
    "f": ["a", "b", "c", "a", "b", "c"],
    "g": [1, 2, 3, 4, 5, 5],
    "h": ["u", "u", "v", "v", "v", "v"],
    "se": [0.5, 0.5, 1.0, 1.0, 2.0, 2.0],
    "n": [3, 0, 2, 2, 2, 2],
}


@pytest.mark.parametrize(
    ("formula", "roles", "lines"),
    [
        (
            "y ~ x + f + (x || h)",
            {},
            """
            formula       y ~ x + f + (x || h)
            response      y, raw rows with unknown sigma
            rows          6 used of 6
            coefficients  Intercept, x, f[b], f[c]
            column        f: labels, 3 levels
            factor        h: 2 levels (u, v), 2 to 4 rows a level
              varying     Intercept; x
              parameters  sd(h, Intercept), sd(h, x)
            """,
        ),
        (
            "y ~ 0 +\n (1 | g)",
            {"standard_error": "se"},
            """
            formula       y ~ 0 + (1 | g)
            response      y, estimates with known standard errors 'se'
            rows          6 used of 6
            coefficients  none
            factor        g: 5 levels (1, 2, 3, ...), 1 to 2 rows a level
              varying     Intercept
              parameters  sd(g)
            """,
        ),
        (
            "log(y) ~ 1 + (1 | h/g) + (1 | f)",
            {"weights": [1.0] * 6, "offset": "x"},
            """
            formula       log(y) ~ 1 + (1 | h/g) + (1 | f)
            response      log(y), raw rows with unknown sigma, weights, offset 'x'
            rows          6 used of 6
            coefficients  Intercept
            factor        h: 2 levels (u, v), 2 to 4 rows a level
              varying     Intercept
              parameters  sd(h)
            factor        h:g: 5 levels (u:1, u:2, v:3, ...), 1 to 2 rows a level, nested in h
              varying     Intercept
              parameters  sd(h:g)
            factor        f: 3 levels (a, b, c), 2 rows a level
              varying     Intercept
              parameters  sd(f)
            """,
        ),
        (
            "y ~ 1 + (1 | h)",
            {"counts": "n"},
            """
            formula       y ~ 1 + (1 | h)
            response      y, raw rows with unknown sigma, counts 'n'
            rows          5 used of 6; left out: 1 for n = 0
            coefficients  Intercept
            factor        h: 2 levels (u, v), 1 to 4 rows a level
              varying     Intercept
              parameters  sd(h)
            """,
        ),
        (
            "y ~ x",
            {"size": [2] * 6, "sd": "se"},
            """
            formula       y ~ x
            response      y, means of raw rows (n, mean, sd) with unknown sigma
            rows          6 used of 6
            coefficients  Intercept, x
            """,
        ),
    ],
)
def test_printed(formula: str, roles: dict[str, Any], lines: str) -> None:
    expected = [line.removeprefix(" " * 12) for line in lines.strip("\n").splitlines()[:-1]]
    assert str(pp.describe(formula, DATA, **roles)).splitlines() == expected


def test_values() -> None:
    with pytest.warns(MissingRowsWarning):
        found = pp.describe("y ~ f + (x | h)", {**DATA, "x": [None, *DATA["x"][1:]]})
    assert (found.response, found.coefficients) == ("y", ("Intercept", "f[b]", "f[c]"))
    assert (found.rows_read, found.rows_used, dict(found.rows_dropped)) == (6, 5, {"x": 1})
    assert dict(found.levels) == {"f": 3}
    (factor,) = found.factors
    assert (factor.name, factor.n_levels, factor.rows_per_level) == ("h", 2, (1, 2.5, 4))
    assert factor.blocks == (("Intercept", "x"),)
    assert factor.parameters == ("sd(h, Intercept)", "sd(h, x)", "cor(h, Intercept, x)")


def test_errors_are_those_of_a_fit() -> None:
    with pytest.raises(FormulaError, match="'~' is missing"):
        pp.describe("y", DATA)
    with pytest.raises(DataError, match="no column 'Y'"):
        pp.describe("Y ~ x", DATA)
    with pytest.raises(DataError, match="'x' is missing in rows 1, 2, 3 and 3 more"):
        pp.describe("y ~ x", {**DATA, "x": [None] * 6}, missing="raise")

"""The grammar of formulas: what each piece of lme4's language expands to."""

from __future__ import annotations

import pytest

from partialpool.inputs.language.formula import parse_formula


@pytest.mark.parametrize(
    ("right_side", "population"),
    [
        ("1", "1"),
        ("0", "0"),
        ("-1", "0"),
        ("x", "1 + x"),
        ("1 + x", "1 + x"),
        ("0 + x", "0 + x"),
        ("x + 0", "0 + x"),
        ("x - 1", "0 + x"),
        ("-1 + x", "0 + x"),
        ("-1 + x + 1", "1 + x"),
        ("+x", "1 + x"),
        ("x + x", "1 + x"),
        ("a:b", "1 + a:b"),
        ("a:b + b:a", "1 + a:b"),
        ("a:a", "1 + a"),
        ("a*b", "1 + a + b + a:b"),
        ("a*b - a:b", "1 + a + b"),
        ("a*b - b:a", "1 + a + b"),
        ("a*b*c", "1 + a + b + c + a:b + a:c + b:c + a:b:c"),
        ("a:b + c", "1 + c + a:b"),
        ("a/b", "1 + a + a:b"),
        ("a/b/c", "1 + a + a:b + a:b:c"),
        ("a/(b + c)", "1 + a + a:b + a:c"),
        ("(a + b)/c", "1 + a + b + a:b:c"),
        ("(a + b):c", "1 + a:c + b:c"),
        ("(a + b)^2", "1 + a + b + a:b"),
        ("(a + b + c)^2", "1 + a + b + c + a:b + a:c + b:c"),
        ("(a + b)**2", "1 + a + b + a:b"),
        ("a^1", "1 + a"),
        ("(a + b) - a", "1 + b"),
        ("a + (b)", "1 + a + b"),
        ("C(a)", "1 + C(a)"),
        ("log( x )", "1 + log(x)"),
        ("I( x**2 )", "1 + I(x ** 2)"),
        ("np.sin(x)", "1 + np.sin(x)"),
        ("scale(x) + center(z)", "1 + scale(x) + center(z)"),
        ("bs(x, df=4)", "1 + bs(x, df=4)"),
        ("poly(x, 2):g", "1 + poly(x, 2):g"),
        ("C(a, contr.sum)", "1 + C(a, contr.sum)"),
        ("`my x`", "1 + `my x`"),
        ("`x`", "1 + x"),
        ("log(`my x`)", "1 + log(`my x`)"),
        ("`a:b`", "1 + `a:b`"),
        ("größe", "1 + größe"),
    ],
)
def test_population_expands(right_side: str, population: str) -> None:
    parsed = parse_formula(f"y ~ {right_side}")
    assert parsed.population == population
    assert parsed.group_terms == ()


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("(1 | g)", [("1", "g", True)]),
        ("(x | g)", [("1 + x", "g", True)]),
        ("(1 + x | g)", [("1 + x", "g", True)]),
        ("(0 + x | g)", [("0 + x", "g", True)]),
        ("(x - 1 | g)", [("0 + x", "g", True)]),
        ("(-1 + x | g)", [("0 + x", "g", True)]),
        ("(x || g)", [("1 + x", "g", False)]),
        ("(1 || g)", [("1", "g", False)]),
        ("(x*z || g)", [("1 + x + z + x:z", "g", False)]),
        ("(1 | a:b)", [("1", "a:b", True)]),
        ("(1 | a/b)", [("1", "a", True), ("1", "a:b", True)]),
        ("(x | a/b/c)", [("1 + x", "a", True), ("1 + x", "a:b", True), ("1 + x", "a:b:c", True)]),
        ("(1 | a:b/c)", [("1", "a:b", True), ("1", "a:b:c", True)]),
        ("(1 | g) + (0 + x | g)", [("1", "g", True), ("0 + x", "g", True)]),
        ("(1 | g) + (1 | h)", [("1", "g", True), ("1", "h", True)]),
        ("(1 | a:b) + (0 + x | b:a)", [("1", "a:b", True), ("0 + x", "a:b", True)]),
        ("(log(x) | g)", [("1 + log(x)", "g", True)]),
        ("(C(f) || g)", [("1 + C(f)", "g", False)]),
        ("((x + z) | g)", [("1 + x + z", "g", True)]),
        ("(1 | `my g`)", [("1", "my g", True)]),
        ("(1|g)", [("1", "g", True)]),
    ],
)
@pytest.mark.parametrize("frame", ["{}", "1 + {}", "{} + 1"])
def test_group_terms_expand(term: str, expected: list[tuple[str, str, bool]], frame: str) -> None:
    parsed = parse_formula(f"y ~ {frame.format(term)}")
    found = [(part.columns, part.factor_name, part.correlated) for part in parsed.group_terms]
    assert found == expected
    assert parsed.population == "1"


@pytest.mark.parametrize(
    ("formula", "population"),
    [
        ("y ~ (1 | g) + x", "1 + x"),
        ("y ~ x + (1 | g) + z", "1 + x + z"),
        ("y ~ x + (1 | g) - 1", "0 + x"),
        ("y ~ 0 + (1 | g)", "0"),
        ("y ~ (a + b)*c + (1 | g)", "1 + a + b + c + a:c + b:c"),
        ("y ~\n  x +\n  (1 | g)", "1 + x"),
    ],
)
def test_group_terms_leave_the_population_alone(formula: str, population: str) -> None:
    parsed = parse_formula(formula)
    assert parsed.population == population
    assert [term.factor for term in parsed.group_terms] == [("g",)]
    assert parsed.text == formula


@pytest.mark.parametrize(
    ("written", "response"),
    [
        ("y", "y"),
        ("`my y`", "`my y`"),
        ("log(y)", "log(y)"),
        ("y/n", "y / n"),
        ("I(y - b)", "I(y - b)"),
        ("log( `my y` )", "log(`my y`)"),
    ],
)
def test_response_is_a_column_or_arithmetic(written: str, response: str) -> None:
    assert parse_formula(f"{written} ~ 1 + (1 | g)").response == response

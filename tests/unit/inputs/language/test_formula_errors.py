"""Formulas that cannot be understood: what is said, and the character that the caret stands under."""

from __future__ import annotations

from typing import Any

import pytest

from partialpool.errors import FormulaError
from partialpool.inputs.language.formula import parse_formula


def _refuse(formula: Any) -> str:
    with pytest.raises(FormulaError) as caught:
        parse_formula(formula)
    return str(caught.value)


# the second text repeats the formula's spacing and has a caret where the error's must be
@pytest.mark.parametrize(
    ("formula", "caret", "said"),
    [
        ("y", " ^", "'~' is missing"),
        ("y x", "   ^", "'~' is missing"),
        ("~ x", "^", "no response left of '~'"),
        ("y ~", "   ^", "nothing right of '~'"),
        ("y ~ x ~ z", "      ^", "a second '~'"),
        ("y ~ x +", "       ^", "a term is missing"),
        ("y ~ x + + z", "        ^", "a term is missing before it"),
        ("y ~ :x", "    ^", "':' joins nothing"),
        ("y ~ x:", "      ^", "a term is missing"),
        ("y ~ x z", "      ^", "join terms with '+'"),
        ("y ~ x +\n zz z", "            ^", "join terms with '+'"),
        ("y ~ 2", "    ^", "the number 2 is not a term"),
        ("y ~ 0.5", "    ^", "the number 0.5 is not a term"),
        ("y ~ x*2", "      ^", "arithmetic goes inside I(...)"),
        ("y ~ x^2", "      ^", "x squared is written I(x**2)"),
        ("y ~ (a+b)^x", "          ^", "a whole number from 1 to 9"),
        ("y ~ (a+b)^12", "          ^", "a whole number from 1 to 9"),
        ("y ~ x - z", "        ^", "'z' is taken away but was not there"),
        ("y ~ x + (0 + z)", "         ^", "write 0 + ... at the start"),
        ("y ~ (x", "    ^", "add ')'"),
        ("y ~ x)", "     ^", "this ')' closes nothing"),
        ("y ~ ()", "    ^", "these parentheses are empty"),
        ("y ~ a.b", "    ^", "in backticks: `a.b`"),
        ("y ~ .", "    ^", "name the columns"),
        ("y ~ x, z", "     ^", "join terms with '+'"),
        ("y ~ {x}", "    ^", "write arithmetic as I(...)"),
        ("y ~ 'x'", "    ^", "goes in backticks"),
        ("y ~ x & z", "      ^", "unknown operator '&'"),
        ("y ~ `x", "    ^", "add another `"),
        ("y ~ ``", "    ^", "hold no column name"),
        ("y ~ log(x", "       ^", "add ')'"),
        ("y ~ I((x)", "     ^", "add ')'"),
        ("y ~ log(x]", "         ^", "']' does not close '('"),
        ("y ~ x + lg(x)", "        ^", "did you mean 'log'?"),
        ("y ~ log(lg(x))", "        ^", "did you mean 'log'?"),
        ("y ~ log(3)", "    ^", "this reads no column"),
        ("y ~ offset(z)", "    ^", "offset='column'"),
        ("y ~ np.zeros(x)", "    ^", "elementwise"),
        ("y ~ os.system(x)", "    ^", "unknown function 'os.system'"),
        ("y ~ log(x)(3)", "          ^", "an operator is missing"),
        ("y ~ I(x @ z)", "    ^", "this operator is not understood"),
        ("y ~ I(lambda: x)", "    ^", "not understood in a formula"),
        ("lg(y) ~ x", "^", "did you mean 'log'?"),
        ("y z ~ x", "^", "goes in backticks: `y z`"),
        ("3 ~ x", "^", "reads no column"),
        ("C(y) ~ x", "^", "a response is a column or arithmetic"),
        ("poly(y, 2) ~ x", "^", "a response is a column or arithmetic"),
        ("y ~ x + y", "        ^", "the response y stands right of '~' too"),
        ("y ~ (1 | y)", "         ^", "the response y stands right of '~' too"),
        ("(1 | g) ~ x", "   ^", "a group term stands right of '~'"),
        ("y ~ x + 1 | g", "          ^", "needs parentheses of its own"),
        ("y ~ (1 | )", "        ^", "name the grouping column"),
        ("y ~ ( | g)", "      ^", "write (1 | g)"),
        ("y ~ (0 | g)", "     ^", "no coefficient varies"),
        ("y ~ (1 | g", "    ^", "add ')'"),
        ("y ~ (1 | g + h)", "           ^", "write a term for each"),
        ("y ~ (1 | g * h)", "           ^", "(... | a:b)"),
        ("y ~ (1 | g | h)", "           ^", "a second '|'"),
        ("y ~ (1 | (g:h))", "         ^", "write a/b, a:b"),
        ("y ~ (1 | C(g))", "         ^", "make the column in the data first"),
        ("y ~ (1 | 2)", "         ^", "not the number 2"),
        ("y ~ (1 | g/)", "          ^", "no factor after '/'"),
        ("y ~ (1 | g h)", "           ^", "a:b or a/b"),
        ("y ~ (1 | g:g)", "         ^", "name it once"),
        ("y ~ x * (1 | g)", "      ^", "by '+' alone"),
        ("y ~ x - (1 | g)", "      ^", "by '+' alone"),
        ("y ~ (1 | g) (1 | h)", "            ^", "by '+' alone"),
        ("y ~ (1 | g) +", "            ^", "a term is missing"),
        ("y ~ x + (1 | g) + (1 | g)", "                  ^", "the intercept varies over g twice"),
        ("y ~ (0 + x | g) + (0 + x || g)", "                  ^", "'x' varies over g twice"),
        ("y ~ (1 | a:b) + (x | b:a)", "                ^", "the intercept varies over a:b twice"),
    ],
)
def test_error_marks_the_place(formula: str, caret: str, said: str) -> None:
    message, shown, marked = _refuse(formula).split("\n")
    assert said in message
    assert shown == "    " + formula.replace("\n", " ")
    assert marked == "    " + caret


@pytest.mark.parametrize("formula", ["", "  ", "\n"])
def test_an_empty_formula_shows_an_example(formula: str) -> None:
    assert "y ~ 1 + (1 | g)" in _refuse(formula)


@pytest.mark.parametrize("formula", [None, 3, ["y ~ x"], b"y ~ x"])
def test_a_formula_is_text(formula: object) -> None:
    assert "a formula is text" in _refuse(formula)


@pytest.mark.parametrize(
    "code",
    ["__import__('os').system('true')", "x.__class__", "I(().__class__)", "eval(x)", "open(x)", "contr.__doc__(x)"],
)
def test_no_python_is_run(code: str) -> None:
    with pytest.raises(FormulaError):
        parse_formula(f"y ~ {code}")

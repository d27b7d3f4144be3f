"""Selections that cannot be used: the error says what, where and the remedy, before anything is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import DataError, FormulaError, NotYetError, PriorError

DATA: dict[str, Any] = {
    "v": [2.0, 2.5, 3.0, 2.2, 4.0, 3.1],
    "g": list("abcdef"),
    "two": list("aabbcc"),
    "other": list("xyxyxy"),
    "se": [0.4] * 6,
    "x": [0.1, 0.5, 0.2, 0.9, 0.4, 0.3],
    "c": [1, 2, 1, 1, 1, 1],
    "w": [0.5, 0.5, 0.0, 0.5, 0.5, 0.5],
    "cut": [1.0, 1.0, 3.5, 1.0, 1.0, 1.0],
}
ONE = {"standard_error": "se"}


def _refuse(said: str, formula: str = "v ~ 1 + (1 | g)", kind: type[Exception] = DataError, **told: Any) -> None:
    with pytest.raises(kind) as caught:
        pp.fit(formula, told.pop("data", DATA), **told)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (1.0, "selection is not a pair: give (lower, upper)"),
        ((1, 2, 3), "selection is not a pair"),
        ((None, None), "selection=(None, None) has no limit"),
        ((5, 1), "selection is (5, 1) in row 1 (g 'a'): the lower limit must be below the upper"),
        (
            (2.1, None),
            "response 'v' is 2 in row 1 (g 'a'), outside its limits of selection (2.1, inf): it did not pass",
        ),
        ((None, 3.5), "response 'v' is 4 in row 5 (g 'e'), outside its limits of selection (-inf, 3.5)"),
        (("cut", None), "response 'v' is 3 in row 3 (g 'c'), outside its limits of selection (3.5, inf)"),
        ((float("nan"), None), "lower limit of selection is missing: give a number"),
        (("nowhere", None), "there is no column 'nowhere'"),
        ((None, [9.0, 9.0]), "upper limit of selection has 2 values, the data have 6 rows"),
        (pp.ProbitSelection(1.0, "w"), "width of selection 'w' is 0 in row 3 (g 'c')"),
        (pp.ProbitSelection(1.0, -1.0), "width of selection is -1 in row 1"),
        (pp.ProbitSelection("x", "se", "below"), None),
    ],
)
def test_limits(selection: Any, said: str | None) -> None:
    if said is None:
        assert pp.describe("v ~ 1 + (1 | g)", DATA, selection=selection, **ONE)
    else:
        _refuse(said, selection=selection, **ONE)


def test_a_curve_has_a_limit_and_a_side() -> None:
    with pytest.raises(DataError, match="side='up' is not a choice: choose 'above' or 'below'"):
        pp.ProbitSelection(1.0, 0.5, "up")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="limit is None"):
        pp.ProbitSelection(None, 0.5)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"censored": [0] * 6, **ONE}, "selection and censored are both given"),
        ({"truncation": (0, None), **ONE}, "selection and truncation are both given: rows truncated given their group"),
        ({"size": "c", "sd": "se"}, "selection and size are both given: a mean of raw rows does not say which"),
        ({"weights": "se"}, "selection and weights are both given"),
        ({"family": "student_t", **ONE}, "selection is given with family='student_t': it belongs to gaussian and"),
        ({"family": "exponential"}, "selection is given with family='exponential'"),
        ({"selection_rows": "last", **ONE}, "selection_rows='last' is not a choice: choose 'any', 'all' or 'first'"),
        ({"pooling": "none", **ONE}, "selection= with pooling='none': no population is there"),
        ({"counts": "c", **ONE}, "some levels of g have several rows: say which of them decides"),
    ],
)
def test_what_does_not_go_together(told: dict[str, Any], said: str) -> None:
    _refuse(said, selection=(1.0, None), **told)


def test_a_rule_alone() -> None:
    _refuse("selection_rows='any' says which rows decide of a selection: give selection=", selection_rows="any", **ONE)


@pytest.mark.parametrize(
    ("formula", "kind", "said"),
    [
        ("v ~ x", FormulaError, "selection= is of objects, and the formula has no group term"),
        ("v ~ 1 + (1 | g) + (1 | other)", NotYetError, "one grouping factor whose intercept alone varies"),
        ("v ~ x + (x | two)", NotYetError, "one grouping factor whose intercept alone varies"),
        ("v ~ 1 + (1 | two)", DataError, "some levels of two have several rows: say which of them decides"),
    ],
)
def test_formulas(formula: str, kind: type[Exception], said: str) -> None:
    _refuse(said, formula, kind, selection=(1.0, None), **ONE)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("all", "response 'v' is 2 in row 1 (two 'a'), outside its limits of selection (2.1, inf): it did not pass"),
        ("first", "response 'v' is 2 in row 1 (two 'a'), outside its limits of selection (2.1, inf): its first row"),
        ("any", "response 'v' is 2.2 in row 4 (two 'b'), outside its limits of selection (3.05, inf): no row of it"),
    ],
)
def test_objects_that_did_not_pass(rule: str, said: str) -> None:
    data = DATA | {"v": [2.0, 3.2, 2.9, 2.2, 4.0, 3.1]} if rule == "any" else DATA
    limit = 3.05 if rule == "any" else 2.1
    with pytest.raises(DataError) as caught:
        pp.fit("v ~ 1 + (1 | two)", data, selection=(limit, None), selection_rows=rule, **ONE)
    assert said in str(caught.value) or (rule == "any" and "row 3 (two 'b')" in str(caught.value))


def test_a_first_row_that_is_gone() -> None:
    data = DATA | {"v": [np.nan, 2.5, 3.0, 2.2, 4.0, 3.1]}
    with pytest.warns(pp.errors.MissingRowsWarning):
        _refuse(
            "rows were left out (v), so that an object's first row may be gone",
            "v ~ 1 + (1 | two)",
            data=data,
            selection=(1.0, None),
            selection_rows="first",
            **ONE,
        )


@pytest.mark.parametrize("population", ["nonparametric", "mixture(2)"])
def test_estimated_populations(population: str) -> None:
    said = "population is not computed: choose a population with parameters"
    _refuse(said, kind=NotYetError, population=population, selection=(1.0, None), **ONE)


@pytest.mark.parametrize("prior", [{"Intercept": "Flat()"}, {"sd(g)": "Flat()"}])
def test_improper_priors(prior: dict[str, str]) -> None:
    _refuse("is improper, and objects that were selected", kind=PriorError, priors=prior, selection=(1.0, None), **ONE)


def test_a_positive_response_passes_zero() -> None:
    said = "response 'v' is positive, and nothing is selected below it"
    _refuse(said, "v ~ 1 + (1 | two)", family="lognormal", selection=(None, 0.0), selection_rows="any")

"""Bad data for families other than the gaussian: the error names column, row and remedy, and nothing is warned of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from partialpool.errors import DataError, IdentificationError
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.inputs.unknowns import check_identified

NAN, INFINITE = float("nan"), float("inf")
DATA: dict[str, Any] = {
    "y": [1, 0, 3, 2, 1, 0],
    "g": list("aabbcc"),
    "x": [0.5, 1.0, -1.0, 2.0, 0.0, 3.0],
    "n": [4, 5, 3, 2, 6, 1],
    "v": [1.0, 2.0, 0.5, 3.0, 2.5, 1.5],
    "text": ["low", "high", "low", "low", "high", "high"],
    "obs": list(range(6)),
}
FORMULA = "y ~ x + (1 | g)"


def _refuse(
    said: str | tuple[str, ...],
    formula: str = FORMULA,
    kind: type[Exception] = DataError,
    data: dict[str, Any] | None = None,
    **roles: Any,
) -> str:
    parsed = parse_formula(formula)
    with pytest.raises(kind) as caught:
        check_identified(build_design(parsed, read_observations({**DATA, **(data or {})}, parsed, **roles)))
    for part in (said,) if isinstance(said, str) else said:
        assert part in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("family", ["binomal", "Gaussian", "", "logit", None, 3, ["poisson"], {"binomial": 1}])
def test_unknown_families(family: Any) -> None:
    said = _refuse(f"family={family!r} is unknown", family=family)
    assert ("did you mean 'binomial'?" in said) == (family == "binomal")
    assert ("did you mean 'gaussian'?" in said) == (family == "Gaussian")


@pytest.mark.parametrize(
    ("family", "roles", "said"),
    [
        ("binomial", {}, "needs the number of trials of every row: give trials= (a column, or one number), or family="),
        ("beta_binomial", {}, "family='beta_binomial' needs the number of trials"),
        (
            "beta",
            {"trials": "n"},
            "For successes of trials whose probabilities vary between groups by a beta distribution give "
            "family='binomial' with population='beta'",
        ),
        ("bernoulli", {"trials": "n"}, "a bernoulli row is one trial; drop trials=, or give family='binomial'"),
        (
            "poisson",
            {"trials": "n"},
            "trials is given with family='poisson': it belongs to binomial and beta_binomial; ",
        ),
        ("poisson", {"trials": "n"}, "give exposure= instead"),
        ("gaussian", {"trials": "n"}, "drop it, or give family='binomial'"),
        ("exponential", {"trials": 3}, "trials is given with family='exponential'"),
        (
            "binomial",
            {"trials": "n", "exposure": "v"},
            "exposure is given with family='binomial': it belongs to poisson ",
        ),
        ("gaussian", {"exposure": 2.0}, "drop it, or give family='poisson'"),
        ("exponential", {"exposure": "v"}, "a time that had not ended yet is censored="),
        ("bernoulli", {"exposure": "v"}, "exposure is given with family='bernoulli'"),
        ("poisson", {"weights": "v"}, "weights is given with family='poisson': precision weights divide the variance"),
        ("student_t", {"weights": "v"}, "give counts= for repeated rows"),
        ("lognormal", {"weights": "v"}, "give counts= for repeated rows"),
        (
            "binomial",
            {"trials": "n", "size": "n", "sd": "v"},
            "size is given with family='binomial': means of raw rows",
        ),
        ("student_t", {"size": "n"}, "size is given with family='student_t'"),
        ("poisson", {"sd": "v"}, "sd is given with family='poisson'"),
        ("poisson", {"standard_error": "v"}, "known noise belongs to gaussian and student_t; drop it, or give"),
        ("lognormal", {"standard_error": "v"}, "standard_error is given with family='lognormal'"),
        ("binomial", {"trials": "n", "standard_error": "v"}, "standard_error is given with family='binomial'"),
        ("poisson", {"censored": "n"}, "it belongs to gaussian, lognormal and exponential; drop it, or give one of"),
        ("student_t", {"censored": "n"}, "censored is given with family='student_t'"),
        ("student_t", {"truncation": (0, None)}, "truncation is given with family='student_t'"),
        ("bernoulli", {"truncation": (None, "n")}, "truncation is given with family='bernoulli'"),
        ("gaussian", {"censored": "n", "weights": "v"}, "censored and weights are both given"),
        ("gaussian", {"censored": "n", "size": "n", "sd": "v"}, "censored and size are both given: a mean of raw rows"),
        ("gaussian", {"truncation": (0, 9), "size": "n", "sd": "v"}, "truncation and size are both given"),
    ],
)
def test_arguments_that_do_not_suit_the_family(family: str, roles: dict[str, Any], said: str) -> None:
    _refuse(said, family=family, **roles)


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ([4, 5, 2, 2, 6, 1], "response 'y' is 3 of 2 trials in row 3 (g 'b'): there are at most as many successes as"),
        (1, "response 'y' is 3 of 1 trials in row 3 (g 'b') (and in 1 more row)"),
        (0, "response 'y' is 1 of 0 trials in row 1 (g 'a') (and in 3 more rows)"),
        ([4, 5.5, 3, 2, 6, 1], "trials is 5.5 in row 2 (g 'a'): a number of trials is a whole number"),
        (2.5, "trials is 2.5 in row 1 (g 'a') (and in 5 more rows): a number of trials is a whole number"),
        (-3, "trials is -3 in row 1"),
        ([4, 5, 3, -2, 6, 1], "trials is -2 in row 4 (g 'b'): a number of trials is not negative"),
        ([4, INFINITE, 3, 2, 6, 1], "trials is infinite in row 2"),
        (INFINITE, "trials is infinite in rows 1, 2, 3 and 3 more"),
        (1e300, "trials is 1e+300 in row 1"),
        (NAN, "trials is missing: give a number, a column or an array"),
        (True, "column 'trials' is a single bool"),
        (["4", "5", "3", "2", "6", "1"], "trials is not numeric: it holds numbers as text"),
        ([4, 5, 3], "trials has 3 values, the data have 6 rows: give one value per row"),
        (np.array(4), "column 'trials' is a single value"),
        ({"n": 4}, "column 'trials' is a dict"),
        ("m", "there is no column 'm' in the data"),
        ("text", "trials 'text' is not numeric: it holds 'low' in row 1"),
    ],
)
def test_trials(trials: Any, said: str) -> None:
    for family in ("binomial", "beta_binomial"):
        _refuse(said, family=family, trials=trials)


@pytest.mark.parametrize(
    ("exposure", "said"),
    [
        (
            [1.0, 0.0, 1.0, 2.0, 1.0, 0.0],
            "exposure is 0 in row 2 (g 'a') (and in 1 more row): an exposure is positive",
        ),
        ("x", "exposure 'x' is -1 in row 3 (g 'b')"),
        (0, "exposure is 0 in row 1"),
        (-INFINITE, "exposure is infinite"),
        (NAN, "exposure is missing"),
        ([1.0, 2.0], "exposure has 2 values"),
        ("days", "there is no column 'days' in the data"),
    ],
)
def test_exposures(exposure: Any, said: str) -> None:
    for family in ("poisson", "negative_binomial"):
        _refuse(said, family=family, exposure=exposure)


def _numbers(first: Any) -> list[Any]:
    return [1, 0, first, 1, 1, 0]


@pytest.mark.parametrize(
    ("family", "response", "said"),
    [
        ("bernoulli", _numbers(2), "response 'y' is 2 in row 3 (g 'b'): an outcome is 0 or 1; recode it, or give"),
        ("bernoulli", _numbers(0.5), "response 'y' is 0.5 in row 3"),
        ("bernoulli", [1, 2, 1, 2, 2, 2], "response 'y' is 2 in row 2 (g 'a') (and in 3 more rows)"),
        ("bernoulli", _numbers(INFINITE), "response 'y' is infinite in row 3"),
        ("bernoulli", ["yes"] * 6, "response 'y' holds one class, 'yes': it cannot be told whether it means 0 or 1"),
        ("bernoulli", ["yes"] * 5 + [None], "holds one class, 'yes'"),
        ("bernoulli", list("aabbcd"), "response 'y' holds 4 classes ('a', 'b', 'c' and 'd'): a 0/1 outcome has two"),
        ("bernoulli", list("abcdef"), "join classes, or code the one of interest as 1 and the others as 0"),
        ("bernoulli", ["yes", "no", "Yes", "no", "yes", "no"], "3 classes ('Yes', 'no' and 'yes')"),
        ("bernoulli", pd.Categorical(list("aabbcd")), "4 classes"),
        ("bernoulli", pd.Categorical([1, 2, 3, 1, 2, 3]), "3 classes ('1', '2' and '3')"),
        ("bernoulli", pl.Series(["x"] * 6), "holds one class, 'x'"),
        ("bernoulli", pd.to_datetime(["2020-01-01"] * 6), "holds dates or times"),
        ("bernoulli", ["yes", 1, "no", "yes", "no", "no"], "mixes text (row 1) and whole numbers (row 2)"),
        ("binomial", DATA["text"], "it holds 'low' in row 1; mend it or make it missing; for a label of every single"),
        ("beta_binomial", pd.Categorical(DATA["text"]), "outcome give family='bernoulli'"),
        ("binomial", _numbers(-1), "response 'y' is -1 in row 3 (g 'b'): a count is not negative"),
        ("binomial", _numbers(0.5), "in row 3 (g 'b'): successes are counted; for proportions, multiply them by the"),
        ("binomial", [1, 0, 3, 1.5, 1, 0], "response 'y' is 1.5 in row 4 (g 'b'): successes are counted"),
        ("poisson", DATA["text"], "response 'y' is not numeric: it holds 'low' in row 1; mend it or make it missing"),
        ("poisson", _numbers(-2), "response 'y' is -2 in row 3 (g 'b'): a count is not negative"),
        ("poisson", _numbers(0.5), "response 'y' is 0.5 in row 3 (g 'b'): counts are whole numbers; for a rate give"),
        ("poisson", _numbers(1e300), "counts so large are not told apart"),
        ("negative_binomial", _numbers(1.5), "response 'y' is 1.5 in row 3"),
        ("negative_binomial", _numbers(-INFINITE), "response 'y' is infinite in row 3"),
        (
            "beta",
            [0.5, 0.2, 1.0, 0.1, 0.0, 0.3],
            "response 'y' is 1 in row 3 (g 'b') (and in 1 more row): with family='",
        ),
        ("beta", [0.5, 0.2, 1.0, 0.1, 0.0, 0.3], "the counts with family='binomial' and trials=; if they are rounded"),
        (
            "beta",
            [50, 20, 1.0, 10, 99, 30.0],
            "response 'y' is 50 in row 1 (g 'a') (and in 4 more rows): with family='",
        ),
        ("beta", [50, 20, 1.0, 10, 99, 30.0], "divide percentages by 100"),
        (
            "beta",
            [0.5, -0.2, 0.7, 0.1, 0.9, 0.3],
            "response 'y' is -0.2 in row 2 (g 'a'): with family='beta' values are",
        ),
        ("zero_inflated_poisson", _numbers(1.5), "response 'y' is 1.5 in row 3 (g 'b'): counts are whole numbers"),
        ("zero_inflated_negative_binomial", _numbers(-1), "response 'y' is -1 in row 3 (g 'b'): a count is not"),
        ("lognormal", [1.0, 2.0, 0.0, 1.0, 0.0, 3.0], "response 'y' is 0 in row 3 (g 'b') (and in 1 more row): with "),
        ("lognormal", [1.0, 2.0, -1.0, 1.0, 2.0, 3.0], "with family='lognormal' values are positive; mend or drop"),
        ("exponential", [1.0, 2.0, -1.0, 1.0, 2.0, 3.0], "with family='exponential' values are not negative"),
        ("student_t", [2.0] * 6, "response 'y' is constant (2 in every row)"),
        ("lognormal", [2.0] * 6, "response 'y' is constant (2 in every row): there is no spread to learn from; check"),
        ("exponential", DATA["text"], "response 'y' is not numeric"),
    ],
)
def test_responses(family: str, response: Any, said: str) -> None:
    roles = {"trials": 4} if family in ("binomial", "beta_binomial") else {}
    message = _refuse(said, data={"y": response}, family=family, **roles)
    assert ("bernoulli" in message) == ("outcome give" in message)


def test_no_outcome_at_all() -> None:
    with pytest.warns(UserWarning, match="6 of 6 rows are left out"):
        _refuse("no row is left of 6: left out 6 by y", data={"y": [None] * 6}, family="bernoulli")


def test_remedies_fit_the_family() -> None:
    assert "standard_error" not in _refuse("constant", data={"y": [2.0] * 6}, family="lognormal")
    assert "standard_error" in _refuse("constant", data={"y": [2.0] * 6}, family="student_t")
    logs = np.exp(DATA["x"])
    _refuse("is constant beside its offset", data={"y": logs}, family="lognormal", offset="x")


@pytest.mark.parametrize(
    ("family", "response"),
    [
        ("bernoulli", [1] * 6),
        ("bernoulli", [0] * 6),
        ("binomial", [4] * 6),
        ("poisson", [0] * 6),
        ("poisson", [2] * 6),
        ("exponential", [2.0] * 6),
        ("exponential", [0.0] * 6),
    ],
)
def test_constant_responses_that_say_something(family: str, response: list[float]) -> None:
    roles = {"trials": 4} if family == "binomial" else {}
    parsed = parse_formula(FORMULA)
    found = build_design(parsed, read_observations({**DATA, "y": response}, parsed, family=family, **roles))
    assert found.measurements.response.tolist() == response


ACCEPTED = "it is 'none', 'left', 'right' or 'interval', or 0, -1, 1 or 2, or true where right-censored"


@pytest.mark.parametrize(
    ("censored", "said"),
    [
        (["none", "none", "rigth", "none", "none", "none"], f"censored is 'rigth' in row 3: {ACCEPTED}"),
        (["none", "none", "", "none", "none", "none"], f"censored is '' in row 3: {ACCEPTED}"),
        ([0, 0, 0, 3, 0, 3], f"censored is 3 in row 4 (and in 1 more row): {ACCEPTED}"),
        ([0, 0, 0, 0.5, 0, 0], "censored is 0.5 in row 4"),
        ([0, 0, 0, INFINITE, 0, 0], "censored is infinite in row 4"),
        (pd.Categorical([0, 0, 0, 7, 0, 0]), "censored is 7 in row 4"),
        (pd.Categorical(["left", "none", "above", "none", "none", "none"]), "censored is 'above' in row 3"),
        ("text", f"censored 'text' is 'high' in row 2: {ACCEPTED}"),
        ("n", "censored 'n' is 4 in row 1"),
        ("nowhere", "there is no column 'nowhere' in the data"),
        (True, "column 'censored' is a single bool"),
        (1, "column 'censored' is a single int"),
        ([0, 1], "censored has 2 values, the data have 6 rows"),
        (pd.to_datetime(["2020-01-01"] * 6), "holds dates or times"),
        (["right"] * 6, "response 'v' is right-censored in every row: nothing bounds the values from above"),
        ([-1] * 6, "response 'v' is left-censored in every row: nothing bounds the values from below"),
        (["none", "interval", *["none"] * 4], "is 'interval' in row 2 (g 'a'), whose upper end is not given: give "),
        ([0, 2, 0, 0, 0, 2], "give censored=(codes, upper ends), two columns or arrays"),
        (("n", "v", "x"), "censored is a tuple, but not of two: give (codes, upper ends)"),
        ((0, 0, 0, 0, 0, 0), "codes alone as a column, a list or an array"),
        ((None, "v"), "censored is a tuple, but not of two"),
        (([0, 2, 0, 0, 0, 0], [9.0, NAN, 9.0, 9.0, 9.0, 9.0]), "upper end of censored is missing in row 2 (g 'a'): an"),
        (([0, 2, 0, 0, 0, 0], [9.0] * 5), "upper end of censored has 5 values"),
        (([0, 2, 0, 0, 0, 0], "x"), "upper end of censored 'x' is 1 in row 2 (g 'a'): it is not above the response"),
        (([0, 2, 0, 0, 0, 0], [2.0] * 6), "upper end of censored is 2 in row 2 (g 'a'): it is not above the response"),
        (([0, 2, 0, 0, 0, 0], [INFINITE] * 6), "upper end of censored is infinite in rows 1, 2, 3 and 3 more"),
        (([0, 2, 0, 0, 0, 0], "text"), "upper end of censored 'text' is not numeric"),
    ],
)
@pytest.mark.parametrize("family", ["gaussian", "lognormal", "exponential"])
def test_censoring(family: str, censored: Any, said: str) -> None:
    _refuse(said, "v ~ x + (1 | g)", family=family, censored=censored)


@pytest.mark.parametrize(
    ("truncation", "said"),
    [
        (0, "truncation is not a pair: give (lower, upper), each None, a number, a column or an array, as (0, None)"),
        ("n", "truncation is not a pair"),
        ((0, 1, 2), "truncation is not a pair"),
        ((0,), "truncation is not a pair"),
        ((None, None), "truncation=(None, None) has no limit"),
        ((9, 0), "truncation is (9, 0) in row 1 (g 'a'): the lower limit must be below the upper"),
        ((1, 1), "truncation is (1, 1) in row 1 (g 'a')"),
        ((INFINITE, None), "truncation is (inf, inf) in row 1"),
        ((None, -INFINITE), "truncation is (-inf, -inf) in row 1"),
        (("v", [2.0, 3.0, 1.0, 2.0, 3.0, 2.0]), "truncation is (3, 2) in row 4 (g 'b')"),
        ((0.75, None), "response 'v' is 0.5 in row 3 (g 'b'), below its limit of truncation 0.75"),
        ((None, 2.25), "response 'v' is 3 in row 4 (g 'b'), above its limit of truncation 2.25: such a row could not"),
        (("n", None), "response 'v' is 1 in row 1 (g 'a'), below its limit of truncation 4"),
        ((NAN, None), "lower limit of truncation is missing: give a number, a column or an array"),
        ((None, "text"), "upper limit of truncation 'text' is not numeric"),
        ((None, [9.0, 9.0]), "upper limit of truncation has 2 values, the data have 6 rows"),
        ((True, None), "column 'lower limit of truncation' is a single bool"),
        (("nowhere", None), "there is no column 'nowhere' in the data"),
    ],
)
@pytest.mark.parametrize("family", ["gaussian", "lognormal", "exponential"])
def test_truncation(family: str, truncation: Any, said: str) -> None:
    _refuse(said, "v ~ x + (1 | g)", family=family, truncation=truncation)


@pytest.mark.parametrize(
    ("family", "roles", "said"),
    [
        ("gaussian", {"censored": [-1, 0, 0, 0, 0, 0], "truncation": (None, 9)}, None),
        ("gaussian", {"censored": [0, 0, -1, 0, 0, 0], "truncation": (0.5, None)}, "response 'v' is 0.5 in row 3"),
        ("gaussian", {"censored": [0, 0, 0, 1, 0, 0], "truncation": (None, 3)}, "response 'v' is 3 in row 4 (g 'b'): "),
        (
            "gaussian",
            {"censored": [0, 0, 0, 1, 0, 0], "truncation": (None, 3)},
            "with code 'right' it is censored where ",
        ),
        ("gaussian", {"censored": [0, 0, 1, 0, 0, 0], "truncation": (None, 3)}, None),
        (
            "gaussian",
            {"censored": ([2, 0, 0, 0, 0, 0], [4] * 6), "truncation": (0, 3)},
            "censored is 4 in row 1 (g 'a')",
        ),
        ("gaussian", {"censored": ([2, 0, 0, 0, 0, 0], [3] * 6), "truncation": (0, 3)}, None),
    ],
)
def test_censoring_within_truncation(family: str, roles: dict[str, Any], said: str | None) -> None:
    formula = "v ~ x + (1 | g)"
    if said is not None:
        _refuse(said, formula, family=family, **roles)
        return
    parsed = parse_formula(formula)
    found = read_observations(DATA, parsed, family=family, **roles).measurements
    assert found.censoring is not None
    assert found.upper_limit is not None


def test_a_time_below_0_is_no_time() -> None:
    times = {"v": [0.0, 2.0, 0.5, 3.0, 2.5, 1.5]}
    roles = {"family": "exponential", "censored": ["left", *["none"] * 5]}
    _refuse("response 'v' is 0 in row 1 (g 'a'): with code 'left'", "v ~ x + (1 | g)", data=times, **roles)


def test_row_numbers_are_those_of_the_users_data() -> None:
    data = {"y": [NAN, 1, 0, 5, 1, 0]}
    with pytest.warns(UserWarning, match="1 of 6 rows"):
        _refuse("response 'y' is 5 of 4 trials in row 4 (g 'b')", data=data, family="binomial", trials=4)
    _refuse(
        "response 'y' is 5 in row 4 (g 'b')", data={"y": [1, 1, 0, 5, 1, 0]}, family="bernoulli", counts=[0] + [1] * 5
    )


@pytest.mark.parametrize("family", ["bernoulli", "binomial"])
def test_a_factor_with_a_level_for_every_single_trial(family: str) -> None:
    roles = {"trials": 1} if family == "binomial" else {}
    _refuse(
        ("grouping column 'obs' is different in every row", "drop the term, or group rows that share a level"),
        "y ~ x + (1 | g) + (1 | obs)",
        IdentificationError,
        {"y": [1, 0, 1, 1, 0, 1]},
        family=family,
        **roles,
    )

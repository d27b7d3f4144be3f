"""What is known from other packages, or typed a little wrong: the message says how it is written here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.errors import DataError, FormulaError, IdentificationError, ModelWarning, PartialpoolError, PriorError

SCHOOLS = pp.datasets.eight_schools()
RATS = pp.datasets.rat_tumours()
SLEEP = pd.DataFrame(pp.datasets.sleepstudy())
FORMULA = "effect ~ 1 + (1 | school)"


def _refuse(kind: type[PartialpoolError], formula: Any, data: Any, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        pp.fit(formula, data, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ("effect | se(se)", "give standard_error='se' beside the formula"),
        ("tumours | trials(rats)", "give trials='rats' beside the formula"),
        ("y | se(`my se`) + weights(w)", "give standard_error='my se' and counts='w' beside the formula"),
        ("y | rate(visits)", "exposure='visits'"),
        ("y | cens(c, y2)", "censored='c'"),
        ("y | trunc(lb = 0)", "truncation=(lower, upper)"),
        ("y | g", "a group term stands right of '~'"),
    ],
)
def test_additions_to_a_response_are_arguments(response: str, said: str) -> None:
    assert said in _refuse(FormulaError, f"{response} ~ 1 + (1 | school)", SCHOOLS)


@pytest.mark.parametrize(
    ("terms", "said", "marked"),
    [
        ("I(Days^2)", "I(Days**2)", "^2)"),
        ("log(`the days`^2 + 1)", "log(`the days`**2 + 1)", "^2 + 1)"),
        ("Days - 1997", "I(Days - 1997), or center(Days)", "1997 "),
        ("Days + 3", "I(Days + 3)", "3 "),
        ("`the days` - 5", "I(`the days` - 5), or center(`the days`)", "5 "),
        ("log(Days) - 5", "I(log(Days) - 5)", "5 "),
        ("5 + Days", "arithmetic goes inside I(...)", "5 + Days"),
    ],
)
def test_arithmetic_goes_inside(terms: str, said: str, marked: str) -> None:
    message = _refuse(FormulaError, f"Reaction ~ {terms} + (1 | Subject)", SLEEP)
    assert said in message
    _, formula, caret = message.splitlines()
    assert formula[caret.index("^") :].startswith(marked)


def test_a_power_that_is_suggested_is_understood() -> None:
    names = pp.describe("Reaction ~ I(Days**2) + I(Days - 3) + (1 | Subject)", SLEEP).coefficients
    assert names == ("Intercept", "I(Days ** 2)", "I(Days - 3)")


@pytest.mark.parametrize(
    ("key", "prior", "said"),
    [
        ("sd(school)", "student_t(3, 0, 2.5)", "did you mean HalfStudentT(3, 2.5)?"),
        ("sd(school)", "normal(0, 2)", "did you mean HalfNormal(2)?"),
        ("sd", "cauchy(0, 5)", "did you mean HalfCauchy(5)?"),
        ("Intercept", "normal(0, 2)", "did you mean Normal?"),
        ("Intercept", "halfnormal(2)", "did you mean Normal(0, 2)?"),
        ("sd(school)", "normal(2)", "did you mean Normal?"),
        ("sd(school)", 5, "5 is not a prior: give Fixed(5) if that is its value"),
        ("sd(school)", True, "True is not a prior: give an object"),
    ],
)
def test_a_prior_that_is_suggested_suits(key: str, prior: Any, said: str) -> None:
    assert said in _refuse(PriorError, FORMULA, SCHOOLS, standard_error="se", priors={key: prior})


def test_values_of_a_population_are_priors() -> None:
    rats = {"family": "binomial", "trials": "rats"}
    formula = "tumours ~ 1 + (1 | experiment)"
    message = _refuse(DataError, formula, RATS, population="beta(5, 95)", **rats)
    assert "priors={'alpha': 'Fixed(5)', 'beta': 'Fixed(95)'}" in message
    fit = pp.fit(formula, RATS, population="beta", priors={"alpha": "Fixed(5)", "beta": "Fixed(95)"}, **rats)
    # the first experiment had 0 of 20: beta(5, 95 + 20)
    assert fit.groups()["mean"].iloc[0] == pytest.approx(5.0 / 120.0)
    assert "priors={'mean': 'Fixed(2)'}" in _refuse(
        DataError, formula, RATS, population="exponential(2)", family="poisson"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n": 1e3}, "n is 1000.0: give 1000"),
        ({"n": 2.5}, "give a positive whole number"),
        ({"n": "9"}, "give a positive whole number"),
        ({"n": True}, "give a positive whole number"),
        ({"n": 0}, "give a positive whole number"),
        ({"n": 10, "seed": -1}, "seed=-1: give a whole number that is not negative"),
        ({"n": 10, "seed": 1.5}, "seed=1.5: give a whole number"),
    ],
)
@pytest.mark.parametrize("verb", ["draws", "draw_batches", "to_arviz"])
def test_draws_are_a_whole_number_from_a_seed(arguments: dict[str, Any], said: str, verb: str) -> None:
    fit = pp.fit(FORMULA, SCHOOLS, standard_error="se")
    if verb == "to_arviz" and "seed" not in arguments:
        said = "give a whole number of draws"
    with pytest.raises(DataError) as caught:
        list(getattr(fit, verb)(**arguments))
    assert said in str(caught.value)


def test_seeds_of_separate_fits() -> None:
    fit = pp.fit("Reaction ~ 1 + (1 | Subject)", SLEEP, pooling="none", sigma="by group")
    with pytest.raises(DataError, match="seed=-1: give a whole number"):
        fit.draws(4, seed=-1)


@pytest.mark.parametrize("value", [1.0, 7.3, 0.0])
@pytest.mark.parametrize("formula", ["{0} + Days + (1 | Subject)", "Days + (1 + {0} | Subject)"])
def test_constant_covariates_are_refused_whatever_they_are(value: float, formula: str) -> None:
    data = SLEEP.assign(k=value)
    message = _refuse(IdentificationError, f"Reaction ~ {formula.format('k')}", data)
    assert "column 'k'" in message
    assert ("is constant, as the intercept is" if value else "is 0 in every row") in message


@pytest.mark.parametrize("value", [1.0, 7.3])
def test_a_constant_beside_labels_without_an_intercept(value: float) -> None:
    data = SLEEP.assign(k=value, f=np.where(SLEEP["Days"] > 4, "late", "early"))
    assert "column 'k'" in _refuse(IdentificationError, "Reaction ~ 0 + k + f + (1 | Subject)", data)
    assert pp.describe("Reaction ~ 0 + k + (1 | Subject)", data).coefficients == ("k",)


def test_numbers_and_dates_as_text_are_said_once() -> None:
    as_text = [str(day) for day in SLEEP["Days"]]
    dates = [f"2024-01-{day + 1:02d}" for day in SLEEP["Days"]]
    formula = "Reaction ~ Days + (1 | Subject)"
    for days in (as_text, np.array(as_text), pd.Series(as_text)):
        data = {"Reaction": SLEEP["Reaction"], "Subject": SLEEP["Subject"], "Days": days}
        with pytest.warns(ModelWarning) as caught:
            pp.describe(formula, data)
        assert len(caught) == 1
        assert "'Days' holds numbers as text" in str(caught[0].message)
        assert "df['Days'] = pd.to_numeric(df['Days'])" in str(caught[0].message)
        pp.describe("Reaction ~ C(Days) + (1 | Subject)", data)  # said to be labels
    with pytest.warns(ModelWarning, match="dates as text") as caught:
        pp.describe(formula, SLEEP.assign(Days=dates))
    remedy = str(caught[0].message)
    df = SLEEP.assign(Days=dates)
    expression = remedy.split("df['Days'] = ")[1].split(", or write")[0]
    np.testing.assert_array_equal(eval(expression, {"pd": pd, "df": df}), SLEEP["Days"])


def test_labels_that_are_not_numbers_are_said_nothing_of() -> None:
    formula = "Reaction ~ Days + (1 | Subject)"
    text = SLEEP["Days"].astype(str)
    for days in (text + "th", text.astype("category"), (SLEEP["Days"] // 3).astype(str)):
        pp.describe(formula, SLEEP.assign(Days=days))


def test_means_need_no_sd_where_sigma_is_given() -> None:
    """mu 8, tau 1, sigma 2; n = 5 with mean 10: precision 1 + 5/4, mean (8 + 10 * 5/4) / (9/4)."""
    formula, data = "m ~ 1 + (1 | s)", {"m": [10.0], "n": [5], "s": ["a"]}
    priors = {"Intercept": pp.Fixed(8), "sd(s)": pp.Fixed(1), "sigma": pp.Fixed(2)}
    fit = pp.fit(formula, data, size="n", priors=priors)
    line = fit.groups().loc["a"]
    assert [line["mean"], line["sd"]] == pytest.approx([82.0 / 9.0, 2.0 / 3.0])
    assert [line["n"], line["raw"], line["raw_sd"], line["weight"]] == pytest.approx([5, 10, 2 / 5**0.5, 5 / 9])
    # the mean is normal about 8 with variance 1 + 4/5
    assert fit.log_marginal_likelihood == pytest.approx(-0.5 * np.log(2 * np.pi * 1.8) - 4.0 / 3.6)
    assert "1 row standing for 5, 1 group of s" in repr(fit)
    raw = {"m": [9.0, 11.0, 8.0, 12.0, 10.0], "s": ["a"] * 5}
    of_rows = pp.fit(formula, raw, priors=priors).groups()
    np.testing.assert_allclose(fit.groups().to_numpy(), of_rows.to_numpy())
    assert "priors={'sigma': 'Fixed(...)'}" in _refuse(DataError, formula, data, size="n")


def test_means_without_sds_are_stored(tmp_path: Any) -> None:
    data = {"m": [10.0, 7.0, 9.0], "n": [5, 2, 9], "s": ["a", "b", "c"]}
    fit = pp.fit("m ~ 1 + (1 | s)", data, size="n", priors={"sigma": "Fixed(2)"})
    as_estimates = pp.fit("m ~ 1 + (1 | s)", data | {"se": 2.0 / np.sqrt(data["n"])}, standard_error="se")
    same = fit.priors["sd(s)"] == as_estimates.priors["sd(s)"]
    assert same
    np.testing.assert_allclose(fit.groups()["mean"], as_estimates.groups()["mean"], rtol=1e-6)
    fit.save(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(pp.load(tmp_path / "fit.nc").groups(), fit.groups())


def test_errors_have_a_remedy() -> None:
    negative = dict(SCHOOLS) | {"se": -np.asarray(SCHOOLS["se"])}
    assert "a standard error is positive: drop the row, or mend it" in _refuse(
        DataError, FORMULA, negative, standard_error="se"
    )
    zeros = {"y": [0] * 6, "g": list("aabbcc")}
    counts = {"family": "poisson"}
    message = _refuse(IdentificationError, "y ~ 1 + (1 | g)", zeros, method="empirical_bayes", **counts)
    assert "leave out method='empirical_bayes'" in message
    pp.fit("y ~ 1 + (1 | g)", zeros, **counts)  # the remedy
    message = _refuse(IdentificationError, "y ~ 1 + (1 | g)", zeros, population="nonparametric", **counts)
    assert "choose a population that has priors, such as 'normal'" in message


def test_levels_are_named_as_the_data_have_them() -> None:
    fit = pp.fit("Reaction ~ Days + (1 | Subject)", SLEEP)
    with pytest.raises(DataError, match=r"^999 is not a level of Subject; there are 308, 309, "):
        fit.contrast("Subject", 999, 308)
    with pytest.raises(DataError, match=r"^'X' is not a level of school; there are 'A', 'B', "):
        pp.fit(FORMULA, SCHOOLS, standard_error="se").contrast("school", "X", "A")


def test_one_thing_is_in_the_singular() -> None:
    fixed = {"Intercept": pp.Fixed(8), "sd(school)": pp.Fixed(5)}
    fit = pp.fit(FORMULA, {"effect": [3.0], "se": [1.0], "school": ["a"]}, standard_error="se", priors=fixed)
    assert "1 row, 1 group of school" in repr(fit)
    assert "(1 group, one design)" in repr(fit)
    wrong = {"effect": [3.0, 1.0], "se": [-1.0, -1.0], "school": ["a", "b"]}
    assert "(and in 1 more row)" in _refuse(DataError, FORMULA, wrong, standard_error="se")

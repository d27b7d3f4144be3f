"""Mistakes of a first hour: each message says what is wrong and a remedy that can be followed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import partialpool as pp
from partialpool.errors import DataError, FormulaError, IdentificationError, PartialpoolError, PriorError

RNG = np.random.default_rng(1)
G = np.repeat(list("abcdefgh"), 5)
FRAME = pd.DataFrame(
    {
        "y": RNG.normal(size=40) + RNG.normal(size=8).repeat(5),
        "x": RNG.normal(size=40),
        "k": RNG.poisson(3, size=40),
        "g": G,
        "Store Name": G,
        "store-name": G,
        "Total Sales": RNG.gamma(2, size=40),
        "school": G,
    }
)


def _refuse(kind: type[PartialpoolError], formula: Any, data: Any = FRAME, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        pp.fit(formula, data, **options)
    return str(caught.value)


# --- formulas ---


@pytest.mark.parametrize(
    ("formula", "written"),
    [
        ("y ~ 1 + (1 | Store Name)", "`Store Name`"),
        ("y ~ 1 + (1 | school/Store Name)", "`Store Name`"),
        ("y ~ 1 + (1 | Store Name:school)", "`Store Name`"),
        ("y ~ Store Name + x", "`Store Name`"),
        ("y ~ (Store Name | g)", "`Store Name`"),
        ("Total Sales ~ x", "`Total Sales`"),
        ("log(Total Sales) ~ x", "`Total Sales`"),
        ("y ~ log(Total Sales) + x", "`Total Sales`"),
        ("y ~ 1 + (1 | store-name)", "`store-name`"),
        ("y ~ x + sales in 2020", "`sales in 2020`"),
    ],
)
def test_names_that_are_no_identifiers_go_in_backticks(formula: str, written: str) -> None:
    assert written in _refuse(FormulaError, formula)


@pytest.mark.parametrize("formula", ["y ~ 1 + (1 | `Store Name`)", "`Total Sales` ~ x + (1 | `store-name`)"])
def test_the_remedy_works(formula: str) -> None:
    assert pp.fit(formula, FRAME, method="empirical_bayes").groups().index.tolist() == list("abcdefgh")


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y ~ center(x, by=school) + (1 | school)", "center() has no argument 'by'"),
        ("y ~ scale(x, school) + (1 | school)", "scale() is of one column, and 'school' is a second one"),
        ("y ~ center(x, `Store Name`) + (1 | school)", "'Store Name' is a second one"),
        ("y ~ poly(x, deg=2)", "poly() has no argument 'deg': it has degree=, raw="),
        ("y ~ bs(x, df=4, by=school)", "bs() has no argument 'by'"),
        ("y ~ factor(k) + (1 | g)", "C(x)"),
        ("y ~ as.factor(k) + (1 | g)", "C(x)"),
        ("y ~ s(x) + (1 | g)", "bs(x, df=4)"),
        ("cbind(k, n) ~ x + (1 | g)", "trials="),
        ("y ~ x + 1 | g", "a group term needs parentheses of its own"),
    ],
)
def test_functions_and_syntax_from_elsewhere(formula: str, said: str) -> None:
    message = _refuse(FormulaError, formula)
    assert said in message
    assert "df['x'] - df.groupby('g')['x'].transform('mean')" in message or "by" not in said


def test_the_data_given_first() -> None:
    message = _refuse(FormulaError, FRAME, "y ~ x + (1 | g)")
    assert "a formula is text, not a DataFrame: write it first and the data after it" in message
    assert len(message) < 200


# --- labels by the thousand ---


def test_dates_as_text_are_named_once_and_not_each_by_its_coefficient() -> None:
    days = pd.date_range("2018-01-01", periods=2430).astype(str)
    message = _refuse(IdentificationError, "y ~ 0 + when", {"y": RNG.normal(size=2430), "when": days})
    assert "column 'when' has 2,430 different dates as text ('2018-01-01', '2018-01-02', ...)" in message
    assert "convert them to days since a start day" in message
    assert "(1 | when)" not in message  # where no date repeats that is refused as well
    assert len(message) < 500


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ([f"{k}.5" for k in range(40)], "40 different numbers as text ('0.5', '1.5', ...)"),
        ([f"{k % 28 + 1:02d}.{k // 28 + 1:02d}.2024" for k in range(40)], "40 different dates as text"),
        ([f"person {k}" for k in range(40)], "40 different labels"),
    ],
)
def test_text_that_is_different_in_every_row(values: list[str], what: str) -> None:
    assert what in _refuse(IdentificationError, "y ~ t + (1 | g)", FRAME.assign(t=values))


def test_prints_and_messages_list_many_coefficients_in_part() -> None:
    t = np.tile([f"level {k:03d}" for k in range(90)], 3)
    data = {"y": RNG.normal(size=270), "t": t, "g": RNG.integers(0, 9, size=270)}
    described = str(pp.describe("y ~ t + (1 | g)", data))
    assert "and 82 more" in described
    assert len(described) < 1000
    fit = pp.fit("y ~ t", data, standard_error=np.ones(270))
    assert "... 50 more ..." in repr(fit)
    assert len(repr(fit).splitlines()) < 120
    message = _refuse(PriorError, "y ~ t + (1 | g)", data, priors={"tau": "HalfNormal(1)"})
    assert "more; the classes are" in message
    assert len(message) < 500


# --- sizes that no square can hold ---


@pytest.mark.parametrize("size", [1e160, 1e200, 1e300])
@pytest.mark.parametrize(
    "options", [{}, {"method": "empirical_bayes"}, {"family": "student_t"}, {"standard_error": 1.0}]
)
def test_a_response_of_1e200(size: float, options: dict[str, Any]) -> None:
    data = FRAME.assign(y=FRAME["y"].where(FRAME.index != 4, size))
    if "standard_error" in options:
        options = {"standard_error": np.ones(40)}
    message = _refuse(DataError, "y ~ x + (1 | g)", data, **options)
    assert f"response 'y' is {size:g} in row 5 (g 'a'): its square is out of range; change its units" in message


@pytest.mark.parametrize("size", [1e200, 1e-200])
@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ 1 + (0 + x | g)"])
def test_a_covariate_of_1e200(formula: str, size: float) -> None:
    message = _refuse(DataError, formula, FRAME.assign(x=size * np.r_[2.0, np.linspace(-1, 1, 39)]))
    assert f"x is {2 * size:g} in row 1 (g 'a'), the largest of its values" in message


@pytest.mark.parametrize("family", ["lognormal", "gamma", "exponential"])
def test_positive_values_of_1e200_are_no_trouble(family: str) -> None:
    small = pp.fit("y ~ 1", {"y": FRAME["Total Sales"]}, family=family).summary()
    large = pp.fit("y ~ 1", {"y": FRAME["Total Sales"] * 1e200}, family=family).summary()
    assert large.loc["Intercept", "mean"] - 200 * np.log(10) == pytest.approx(small.loc["Intercept", "mean"], abs=1e-6)
    assert large.loc["Intercept", "sd"] == pytest.approx(small.loc["Intercept", "sd"], rel=1e-6)


# --- families ---


FAMILIES = (
    "gaussian", "student_t", "lognormal", "gamma", "exponential", "beta", "bernoulli", "binomial", "beta_binomial",
    "poisson", "negative_binomial", "zero_inflated_poisson", "zero_inflated_negative_binomial",
)  # fmt: skip


@pytest.mark.parametrize("family", ["weibull", "multinomial", "quasipoisson", "inverse_gamma", "ordinal"])
def test_an_unknown_family_lists_those_that_exist_and_suggests_none(family: str) -> None:
    message = _refuse(DataError, "y ~ x + (1 | g)", family=family)
    assert message == f"family='{family}' is unknown: the families are {', '.join(FAMILIES)}"


def test_a_family_misspelt_is_told_so() -> None:
    assert "did you mean 'poisson'?" in _refuse(DataError, "k ~ x + (1 | g)", family="possion")


def test_a_link_of_another_family_is_not_taken_for_a_misspelling() -> None:
    assert "did you mean" not in _refuse(DataError, "k ~ x + (1 | g)", family="poisson", link="logit")


def test_a_response_of_two_classes_is_an_outcome() -> None:
    data = FRAME.assign(passed=np.where(FRAME["x"] > 0, "yes", "no"))
    message = _refuse(DataError, "passed ~ 1 + (1 | g)", data)
    assert "is not numeric" in message
    assert "family='bernoulli'" in message
    assert "bernoulli" not in _refuse(DataError, "school ~ 1 + (1 | g)")


# --- frames ---


@pytest.mark.parametrize("index", ["g", ["g", "school"], "x"])
def test_a_column_in_the_index(index: Any) -> None:
    message = _refuse(DataError, "y ~ x + (1 | g)", FRAME.set_index(index))
    assert "is in the index; give data.reset_index()" in message


def test_a_group_in_the_index_of_new_rows_is_not_a_new_group() -> None:
    fit = pp.fit("y ~ x + (1 | g)", FRAME, method="empirical_bayes")
    with pytest.raises(DataError, match="'g' is in the index"):
        fit.predict(FRAME.set_index("g"))
    assert fit.predict(FRAME[["x"]])["quantity"].iloc[0] == "new group mean"


def test_a_role_in_the_index() -> None:
    message = _refuse(DataError, "y ~ x + (1 | g)", FRAME.assign(w=1.0).set_index("w"), weights="w")
    assert "'w' is in the index" in message


@pytest.mark.parametrize("quantiles", [0.5, (5, 95), "0.5", [[0.1, 0.9]], (0, 1)])
def test_quantiles_are_probabilities(quantiles: Any) -> None:
    fit = pp.fit("y ~ x + (1 | g)", FRAME, method="empirical_bayes")
    for table in (fit.groups, fit.summary, fit.variances):
        with pytest.raises(DataError, match="give probabilities strictly between 0 and 1, such as"):
            table(quantiles=quantiles)


def test_complex_numbers_of_pandas() -> None:
    assert "holds complex numbers" in _refuse(DataError, "y ~ x", FRAME.assign(x=FRAME["x"] + 1j))


@pytest.mark.parametrize("make", [lambda frame: frame.convert_dtypes(), pl.from_pandas])
def test_nullable_columns_and_other_frames_give_the_same_fit(make: Any) -> None:
    frame = FRAME[["y", "x", "g"]]
    options: dict[str, Any] = {"method": "empirical_bayes"}
    pd.testing.assert_frame_equal(
        pp.fit("y ~ x + (1 | g)", make(frame), **options).groups(), pp.fit("y ~ x + (1 | g)", frame, **options).groups()
    )


def test_categories_without_rows_are_no_groups() -> None:
    data = FRAME.assign(g=pd.Categorical(G, list("zabcdefgh")))
    assert pp.fit("y ~ x + (1 | g)", data, method="empirical_bayes").groups().index.tolist() == list("abcdefgh")


# --- raw polynomials ---


def test_columns_of_polynomials_are_numbered_by_their_power() -> None:
    raw = "y ~ poly(x, 2, raw=True) + (1 | g)"
    names = ["Intercept", "poly(x, 2, raw=True)[1]", "poly(x, 2, raw=True)[2]"]
    assert list(pp.describe(raw, FRAME).coefficients) == names
    assert list(pp.describe("y ~ poly(x, 2)", FRAME).coefficients) == ["Intercept", "poly(x, 2)[1]", "poly(x, 2)[2]"]
    spline = pp.describe("y ~ 0 + bs(x, df=4, include_intercept=True)", FRAME).coefficients
    assert [name[-3:] for name in spline] == ["[1]", "[2]", "[3]", "[4]"]
    products = pp.describe("y ~ 0 + poly(x, 2, raw=True):k", FRAME).coefficients
    assert list(products) == ["poly(x, 2, raw=True)[1]:k", "poly(x, 2, raw=True)[2]:k"]


def test_a_prior_on_the_first_power_is_on_the_first_power() -> None:
    written = {"Intercept": "Normal(0, 5)", "sd(g)": "HalfNormal(1)", "sigma": "HalfNormal(1)"}
    raw = pp.fit(
        "y ~ poly(x, 2, raw=True) + (1 | g)",
        FRAME,
        priors={**written, "poly(x, 2, raw=True)[1]": "Normal(3, 0.1)", "poly(x, 2, raw=True)[2]": "Normal(-1, 0.2)"},
    ).summary()
    plain = pp.fit(
        "y ~ x + I(x**2) + (1 | g)", FRAME, priors={**written, "x": "Normal(3, 0.1)", "I(x ** 2)": "Normal(-1, 0.2)"}
    ).summary()
    np.testing.assert_allclose(raw.to_numpy(), plain.to_numpy(), rtol=1e-6, atol=1e-8)


def test_labels_in_contrasts_keep_their_numbers() -> None:
    data = FRAME.assign(k=np.tile([0, 1], 20))
    assert list(pp.describe("y ~ 0 + C(k, contr.sum)", data).coefficients) == [
        "C(k, contr.sum)[0]",
        "C(k, contr.sum)[1]",
    ]

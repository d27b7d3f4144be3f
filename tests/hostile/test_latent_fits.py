"""Fits of any likelihood and population refuse what they cannot answer, with the column, the reason and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

import partialpool as pp
from partialpool.errors import (
    DataError,
    FormulaError,
    IdentificationError,
    NotYetError,
    PartialpoolError,
    PriorError,
    PriorWarning,
)

G = list("aabbccddee")
X = [0, 0, 0, 1, 1, 1, 1, 1, 1, 0]
Y = [1, 2, 0, 3, 2, 1, 4, 5, 2, 0]
ZERO_OR_ALL = [0, 0, 5, 5, 0, 0, 5, 5, 0, 0]
DATA: dict[str, Any] = {"y": Y, "n": [5] * 10, "g": G, "x": X}
BINOMIAL: dict[str, Any] = {"family": "binomial", "trials": "n"}
BETA: dict[str, Any] = {**BINOMIAL, "population": "beta"}


@pytest.mark.parametrize(
    ("error", "data", "arguments", "said"),
    [
        (DataError, {"y": [9] * 10}, BINOMIAL, "response 'y' is 9 of 5 trials in row 1 (g 'a')"),
        (DataError, {"y": [0.5] * 10}, {"family": "poisson"}, "counts are whole numbers"),
        (DataError, {"e": [-1] * 10}, {"family": "poisson", "exposure": "e"}, "exposure 'e' is -1 in row 1 (g 'a')"),
        (DataError, {}, {"family": "gamma"}, "response 'y' is 0 in row 3 (g 'b')"),
        (DataError, {"y": [-1.0] * 10}, {"family": "lognormal"}, "with family='lognormal' values are positive"),
        (DataError, {"y": list("abcabcabca")}, {"family": "bernoulli"}, "holds 3 classes ('a', 'b' and 'c')"),
        (DataError, {}, {"family": "binomal", "trials": "n"}, "did you mean 'binomial'?"),
        (DataError, {}, {**BINOMIAL, "link": "loggit"}, "did you mean 'logit'?"),
        (DataError, {}, {**BINOMIAL, "population": "bета"}, "The populations are normal"),
        (DataError, {}, {**BINOMIAL, "population": {"h": "beta"}}, "'h' is not a grouping factor"),
        (DataError, {}, {"family": "poisson", "population": "beta"}, "a beta population is of probabilities"),
        (DataError, {}, {**BINOMIAL, "population": "gamma"}, "a gamma population is of positive numbers"),
        (DataError, {}, {**BINOMIAL, "population": "lognormal"}, "a lognormal population is of positive numbers"),
        (DataError, {}, {**BETA, "link": "probit"}, "link='probit' does not reach just these"),
        (DataError, {}, {"family": "poisson", "method": "grid"}, "method='grid' is the textbook algorithm"),
        (DataError, {}, {**BINOMIAL, "method": "empirical_bayes", "estimator": "reml"}, "use 'ml'"),
        (DataError, {}, {**BINOMIAL, "method": "empirical_bayes", "estimator": "moments"}, "is for conjugate pairs"),
        (
            IdentificationError,
            {"y": [5 * x for x in X]},
            {**BINOMIAL, "formula": "y ~ x + (1 | g)", "priors": {"coefficients": "Flat()"}},
            "x separates successes from failures, completely or at one end, and the prior there is flat",
        ),
        (
            IdentificationError,
            {"y": [0] * 10},
            {"family": "poisson", "priors": {"Intercept": "Flat()"}},
            "every count is 0, which leaves Intercept without a bound, and the prior there is flat",
        ),
        (
            IdentificationError,
            {"y": [0, 1] * 5, "g": list(range(10))},
            {"family": "bernoulli"},
            "cannot be told from the chance of a single trial",
        ),
        (PriorError, {"y": ZERO_OR_ALL}, {**BINOMIAL, "priors": {"sd(g)": "Flat()"}}, "0 groups of g bound their own"),
        (PriorError, {}, {**BETA, "priors": {"(alpha, beta)": "AlphaBetaPower(-1)"}}, "give a power below -2"),
        (
            PriorError,
            {"y": ZERO_OR_ALL},
            {**BETA, "priors": {"(alpha, beta)": "AlphaBetaPower(-2.5)"}},
            "where no group has both successes and failures",
        ),
        (PriorError, {}, {**BETA, "priors": {"alpha": "Exponential(1)"}}, "alpha has one and beta has not"),
        (PriorError, {}, {**BETA, "priors": {"Intercept": "Normal(0, 1)"}}, "'Intercept' is no parameter here"),
        (
            PriorError,
            {},
            {**BETA, "priors": {"mean": "Beta(1, 1)", "alpha": "Exponential(1)", "beta": "Exponential(1)"}},
            "not on several of these",
        ),
        (PriorError, {}, {**BETA, "priors": {"concentration": "Flat()"}}, "is improper, and propriety is not known"),
        (FormulaError, {}, {**BETA, "formula": "y ~ x + (1 | g)"}, "a beta population replaces the intercept"),
        (FormulaError, {}, {**BETA, "formula": "y ~ x"}, "the formula has no group term"),
        (FormulaError, {}, {**BINOMIAL, "population": "student_t", "formula": "y ~ 1 + (1 + x | g)"}, "one number a"),
        (FormulaError, {}, {**BETA, "pooling": "complete"}, "pooling='complete' has no groups"),
        (NotYetError, {}, {**BINOMIAL, "formula": "y ~ 1 + (1 | g) + (1 | x)"}, "x and g are crossed"),
        (NotYetError, {}, {"population": "mixture(2)"}, "gaussian has an unknown sigma: give standard_error="),
    ],
)
def test_refusals_say_why_and_what_to_do(
    error: type[PartialpoolError], data: dict[str, Any], arguments: dict[str, Any], said: str
) -> None:
    formula = arguments.get("formula", "y ~ 1 + (1 | g)")
    rest = {name: value for name, value in arguments.items() if name != "formula"}
    with pytest.raises(error) as caught:
        pp.fit(formula, {**DATA, **data}, **rest)
    assert said in str(caught.value)


def test_separation_under_the_default_priors_is_answered() -> None:
    fit = pp.fit("y ~ x + (1 | g)", {**DATA, "y": [5 * x for x in X]}, **BINOMIAL)
    assert fit.summary().loc["x", "mean"] > 2.0


def test_text_outcomes_say_which_is_1() -> None:
    fit = pp.fit("y ~ 1 + (1 | g)", {**DATA, "y": ["no", "yes"] * 5}, family="bernoulli")
    assert "1 is 'yes', 0 is 'no'" in repr(fit)


def test_priors_that_an_estimate_ignores_are_named() -> None:
    with pytest.warns(PriorWarning, match=r"those given \(sd\(g\)\) are ignored"):
        pp.fit("y ~ 1 + (1 | g)", DATA, **BINOMIAL, method="empirical_bayes", priors={"sd(g)": "HalfNormal(1)"})


def test_an_unseen_group_without_pooling_is_refused() -> None:
    fit = pp.fit("y ~ 1 + (1 | g)", DATA, **BINOMIAL, pooling="none")
    with pytest.raises(DataError, match="row 1 is of the unseen group 'z'"):
        fit.predict({"g": ["z"], "n": [5]})


@pytest.mark.parametrize("call", ["groups", "pooling", "differences"])
def test_scales_are_checked(call: str) -> None:
    fit = pp.fit("y ~ 1 + (1 | g)", DATA, **BINOMIAL)
    with pytest.raises(DataError, match="choose 'response' or 'linear'"):
        getattr(fit, call)(scale="logit")


@pytest.mark.parametrize(
    "options", [{"family": "lognormal"}, {"family": "student_t(nu=4)"}, {"population": "student_t"}]
)
def test_groups_whose_rows_are_alike(options: dict[str, str]) -> None:
    """A lognormal fit of them took two minutes, and then asked for more informative priors."""
    data = {"y": [0.1, 1, 2, 0.2, 5, 3] * 2, "g": list(range(6)) * 2}
    with pytest.raises(IdentificationError, match=r"the same in every row of each group of g .*sigma would be 0"):
        pp.fit("y ~ 1 + (1 | g)", data, **options)

"""Models and arguments that cannot be, and data that look impossible but are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.errors import DataError, IdentificationError, NotYetError, PriorError, UnequalNoiseWarning

RNG = np.random.default_rng(1)
EFFECTS = np.repeat(RNG.normal(size=6), 5)
X = RNG.normal(size=30)
DATA: dict[str, Any] = {
    "y": 1.0 + 0.5 * X + EFFECTS + 0.3 * RNG.normal(size=30),
    "x": X,
    "g": np.repeat(list("abcdef"), 5),
    "h": np.tile(["u", "v", "w"], 10),
    "se": np.full(30, 0.5),
}
FORMULA = "y ~ x + (1 | g)"
TWO = {**DATA, "g": np.repeat(["a", "b"], 15)}  # of sds 0.33 and 1.35, which is told of
KNOWN = {"standard_error": "se"}


@pytest.mark.parametrize(
    ("priors", "parts"),
    [
        (
            {"sd(G)": "HalfNormal(1)"},
            ["'sd(G)' matches no parameter; did you mean sd(g)?", "Intercept, x, sd(g), sigma"],
        ),
        ({"X": "Normal(0, 1)"}, ["did you mean x?"]),
        ({"sd(g)": "HalfNormal(-1)"}, ["'sd(g)'", "sigma is -1: give a positive, finite number"]),
        ({"sd(g)": "HalfCauchy(0)"}, ["'sd(g)'", "scale is 0: give a positive"]),
        ({"sd(g)": "HalfCauchy(nan)"}, ["'sd(g)'"]),
        ({"sd(g)": "HalfCauch(1)"}, ["there is no prior HalfCauch; did you mean HalfCauchy?"]),
        ({"sd(g)": "Normal(0, 1)"}, ["does not suit a standard deviation: give HalfNormal(1)"]),
        ({"x": "HalfNormal(1)"}, ["prior for x", "does not suit a coefficient: give Normal(0, 1)"]),
        ({"sd(g)": 3}, ["3 is not a prior: give Fixed(3) if that is its value"]),
        (["HalfNormal(1)"], ["give a mapping such as"]),
    ],
)
def test_priors(priors: Any, parts: list[str]) -> None:
    _refuse(PriorError, parts, FORMULA, DATA, priors=priors)


def test_two_groups_under_a_flat_sd() -> None:
    parts = ["sd(g): under Flat() with 2 groups the posterior is improper", "needs 3 groups or more", "HalfNormal"]
    with pytest.warns(UnequalNoiseWarning):
        _refuse(PriorError, parts, FORMULA, TWO, priors={"sd(g)": "Flat()"})
    _refuse(PriorError, parts, "y ~ 1 + (1 | g)", TWO, priors={"sd(g)": pp.Flat()}, **KNOWN)
    with pytest.warns(UnequalNoiseWarning):
        assert pp.fit(FORMULA, TWO).engine.status == "converged"


@pytest.mark.parametrize(
    ("error", "parts", "arguments"),
    [
        (
            PriorError,
            ["'sigma' is given a prior", "standard_error", "drop one"],
            {"priors": {"sigma": "HalfNormal(1)"}},
        ),
        (DataError, ["standard_error and weights are both given", "drop one"], {"weights": "se"}),
        (DataError, ["standard_error and sd are both given"], {"size": [2] * 30, "sd": "se"}),
    ],
)
def test_standard_error_and_sigma(error: type[Exception], parts: list[str], arguments: dict[str, Any]) -> None:
    _refuse(error, parts, FORMULA, DATA, **KNOWN, **arguments)


@pytest.mark.parametrize(
    ("error", "arguments", "said"),
    [
        (DataError, {"pooling": "some"}, "pooling='some' is not a choice: choose from 'partial', 'complete', 'none'"),
        (DataError, {"pooling": None}, "choose from 'partial', 'complete', 'none'"),
        (DataError, {"method": "grd"}, "did you mean 'grid'?"),
        (DataError, {"method": ["auto"]}, "choose from 'auto'"),
        (DataError, {"method": "empirical_bayes", "estimator": "remm"}, "did you mean 'reml'?"),
        (DataError, {"estimator": "reml"}, "belongs to method='empirical_bayes': add it, or drop the estimator"),
        (DataError, {"method": "empirical_bayes", "pooling": "none"}, "pooling='none' has not"),
        (DataError, {"method": "grid"}, "this model has 2 hyperparameters: use method='auto'"),
        (DataError, {"sigma": "group"}, "did you mean 'by group'?"),
        (DataError, {"sigma": "by group", "pooling": "none", "method": "grid"}, "leave method='auto'"),
        (NotYetError, {"sigma": "by group"}, "pooling='none' only"),
        (DataError, {"missing": "keep"}, "it is 'drop' or 'raise'"),
    ],
)
def test_words(error: type[Exception], arguments: dict[str, Any], said: str) -> None:
    _refuse(error, [said], FORMULA, DATA, **arguments)


@pytest.mark.parametrize("terms", ["(1 | g) + (1 | h)", "(1 | g/h)", "(x | g) + (1 | g:h)"])
def test_several_factors_are_fitted(terms: str) -> None:
    fit = pp.fit(f"y ~ x + {terms}", {**DATA, "h": np.arange(len(DATA["y"])) % 3})
    assert fit.engine.status == "converged"
    assert np.isfinite(fit.summary(effects=True)).all(axis=None)


def test_a_response_that_is_constant_within_every_group() -> None:
    parts = ["same in every row of each group of g", "give standard_error="]
    _refuse(IdentificationError, parts, "y ~ 1 + (1 | g)", {**DATA, "y": EFFECTS})
    assert pp.fit("y ~ 1 + (1 | g)", {**DATA, "y": EFFECTS}, **KNOWN).engine.status == "converged"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"y": np.append(RNG.normal(size=3000), [3.0, 4.0, 5.0]), "g": ["a"] * 3000 + ["b", "c", "d"]}, "abcd"),
        ({"y": DATA["y"], "g": np.append(np.arange(25), [0, 1, 2, 3, 4])}, range(25)),
        ({"y": np.tile([-1.0, 1.0, 2.0, -2.0], 5), "g": np.repeat(np.arange(5), 4)}, range(5)),
        ({"y": DATA["y"], "g": pd.Categorical(DATA["g"], categories=list("zfedcba"))}, "fedcba"),
    ],
    ids=["extreme imbalance", "groups of one row", "sd of zero", "levels that no row has"],
)
def test_odd_data_are_fitted(data: dict[str, Any], expected: Any) -> None:
    fit = pp.fit("y ~ 1 + (1 | g)", data)
    groups = fit.groups()
    assert list(groups.index) == list(expected)
    assert np.isfinite(groups.select_dtypes("number").drop(columns=["raw", "raw_sd"], errors="ignore")).all(axis=None)
    assert np.isfinite(fit.summary()).all(axis=None)
    assert fit.engine.status == "converged"


def _refuse(error: type[Exception], parts: list[str], formula: str, data: Any, **arguments: Any) -> None:
    with pytest.raises(error) as caught:
        pp.fit(formula, data, **arguments)
    for part in parts:
        assert part in str(caught.value)

"""Predictions: unseen levels are labelled new, bad rows are refused, and columns of 1e12 do no harm."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import DataError

RNG = np.random.default_rng(1)
X = np.round(RNG.normal(size=30) * 1024) / 1024
DATA: dict[str, Any] = {
    "y": 1.0 + 0.5 * X + np.repeat(RNG.normal(size=6), 5) + 0.3 * RNG.normal(size=30),
    "x": X,
    "f": np.tile(["u", "v", "w"], 10),
    "g": np.repeat(list("abcdef"), 5),
    "se": np.full(30, 0.5),
}
PRIORS = {"coefficients": "Flat()", "sd": "HalfNormal(2)", "sigma": "HalfNormal(2)"}


@functools.cache
def _fit(formula: str = "y ~ x + (1 | g)", known: bool = False) -> Any:
    return pp.fit(formula, DATA, standard_error="se" if known else None)


def test_unseen_groups_are_labelled_new() -> None:
    found = _fit().predict({"x": [0.0, 0.0, 0.0], "g": ["a", "other", None]})
    labels = list(zip(found.index, found["g"], found["group_is"], found["quantity"], strict=True))
    assert labels == [
        (0, "a", "known", "group mean"),
        (0, "a", "known", "new observation"),
        (0, "a", "known", "new group, new observation"),
        (1, "other", "new", "new group mean"),
        (1, "other", "new", "new group, new observation"),
        (2, "(new)", "new", "new group mean"),
        (2, "(new)", "new", "new group, new observation"),
    ]
    known, new = found["sd"].iloc[0], found["sd"].iloc[3]
    assert known < new


def test_without_the_noise_there_are_means_alone() -> None:
    found = _fit(known=True).predict({"x": [0.0, 0.0], "g": ["a", "other"]})
    assert list(found["quantity"]) == ["group mean", "new group mean"]
    found = _fit(known=True).predict({"x": [0.0], "g": ["a"]}, standard_error=[1.0])
    assert list(found["quantity"]) == ["group mean", "new observation", "new group, new observation"]


@pytest.mark.parametrize(
    ("formula", "new", "arguments", "said"),
    [
        ("y ~ x + (1 | g)", {"g": ["a"]}, {}, "no column 'x' in the data"),
        ("y ~ x + (1 | g)", {"x": [1.0, None], "g": ["a", "b"]}, {}, "'x' is missing in row 2 of the new data"),
        ("y ~ x + (1 | g)", {"x": ["a"], "g": ["a"]}, {}, "is not numeric: it holds 'a' in row 1"),
        ("y ~ x + (1 | g)", {"x": [1.0], "g": [1]}, {}, "'g' of the new data holds numbers, in the fit it held text"),
        ("y ~ f + (1 | g)", {"f": ["u", "z"], "g": ["a", "a"]}, {}, "level 'z' in row 2, which the fit did not see"),
        ("y ~ x + (1 | g)", {"x": [], "g": []}, {}, "the new data are empty"),
        ("y ~ x + (1 | g)", {}, {}, "data are empty"),
        ("y ~ x + (1 | g)", None, {}, "the data are None"),
        ("y ~ x + (1 | g)", {"x": [1.0]}, {"quantiles": (1.5,)}, "strictly between 0 and 1"),
        ("y ~ x + (1 | g)", {"x": [1.0]}, {"standard_error": [0.0]}, "standard_error is 0 in row 1 of the new data"),
        ("y ~ x + (1 | g)", {"x": [1.0]}, {"standard_error": "s"}, "no column 's'"),
        ("y ~ x + (1 | g)", {"x": [1.0]}, {"offset": [1.0, 2.0]}, "offset has 2 values, the new data have 1 row"),
    ],
)
def test_rows_that_cannot_be(formula: str, new: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        _fit(formula).predict(new, **arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize(("offset", "scale"), [(1e12, 1.0), (-1e12, 1.0), (0.0, 1e12), (0.0, 1e-12)])
def test_a_column_far_off_or_very_large_is_still_right(offset: float, scale: float) -> None:
    far = X * scale + offset
    near = (far - offset) / scale  # the numbers that the column really holds
    new = {"x": [0.25, 1.0], "g": ["a", "other"]}
    expected = pp.fit("y ~ x + (1 | g)", {**DATA, "x": near}, priors=PRIORS)
    found = pp.fit("y ~ x + (1 | g)", {**DATA, "x": far}, priors=PRIORS)
    rows = ["sd(g)", "sigma"]
    np.testing.assert_allclose(found.summary().loc[rows], expected.summary().loc[rows], rtol=1e-6)
    slope = found.summary().loc["x", ["mean", "sd"]].to_numpy(float) * scale
    np.testing.assert_allclose(slope, expected.summary().loc["x", ["mean", "sd"]].to_numpy(float), rtol=1e-6)
    there = found.predict({**new, "x": [value * scale + offset for value in new["x"]]})
    np.testing.assert_allclose(
        there[["mean", "sd"]].to_numpy(float), expected.predict(new)[["mean", "sd"]].to_numpy(float), rtol=1e-3
    )


def test_factors_named_like_the_numbers_keep_their_labels() -> None:
    data = {**DATA, "mean": DATA["g"], "q5": np.tile([1, 2, 3, 4, 5], 6)}
    fit = pp.fit("y ~ x + (1 | mean) + (1 | q5)", data, priors=PRIORS)
    table = fit.predict({"x": [0.0, 0.0], "mean": ["a", "other"], "q5": [3, 3]})
    assert list(table["mean (level)"]) == ["a"] * 3 + ["other"] * 2
    assert list(table["q5 (level)"]) == ["3"] * 5
    assert table["mean"].dtype == table["q5"].dtype == float
    assert set(table["new_levels"]) == {"", "mean", "mean, q5"}
    apart = pp.fit("y ~ 1 + (1 | mean)", data, pooling="none", sigma="by group", priors={"sigma": "HalfNormal(2)"})
    assert list(apart.predict({"mean": ["a"]})["mean (level)"]) == ["a", "a"]


@pytest.mark.parametrize("quantiles", [(0.05, 0.95), ()])
def test_a_mix_of_known_new_and_missing_levels(quantiles: tuple[float, ...]) -> None:
    fit = _fit("y ~ x + (1 | g) + (1 | f)")
    new = {"x": [0.0] * 4, "g": ["a", "a", None, "zz"], "f": ["u", None, "v", "zz"]}
    table = fit.predict(new, quantiles=quantiles)
    assert table.groupby(level="row")["new_levels"].unique().map(list).to_list() == [
        ["", "g, f"],
        ["f"],
        ["g"],
        ["g, f"],
    ]
    assert list(table.loc[1, "f"]) == ["(new)"] * 2
    without = fit.predict({"x": [0.0]}, quantiles=quantiles)  # no column of groups at all: all new
    np.testing.assert_allclose(without[["mean", "sd"]], table.loc[3, ["mean", "sd"]].astype(float), rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda fit: fit.groups("h"), "the factor is 'g'"),
        (lambda fit: fit.draws(0), "give a positive whole number of draws"),
        (lambda fit: fit.draws(10, parameters=["sd(h)"]), "did you mean 'sd(g)'?"),
        (lambda fit: fit.summary(quantiles=(0.0,)), "strictly between 0 and 1"),
    ],
)
def test_questions_that_have_no_answer(call: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        call(_fit())
    assert said in str(caught.value)

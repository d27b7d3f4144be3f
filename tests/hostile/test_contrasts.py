"""Contrasts that cannot be: unknown factors and levels, weights that are none, too many pairs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import DataError

RNG = np.random.default_rng(1)
PLACES = ["Oslo", "Rio", "New York", "Oslo:West", "3", "é"]
DATA: dict[str, Any] = {
    "y": np.repeat(RNG.normal(size=6), 5) + 0.3 * RNG.normal(size=30),
    "x": RNG.normal(size=30),
    "town": np.repeat(PLACES, 5),
    "part": np.tile(["North", "North", "West:North", "c", "c"], 6),
    "year": np.repeat([1999, 2000, 2001, 2002, 2003, 2004], 5),
}
PRIORS = {"coefficients": "Normal(0, 3)", "sd": "HalfNormal(2)", "sigma": "HalfNormal(2)"}


@functools.cache
def _fit(formula: str = "y ~ 1 + (1 | town)") -> Any:
    return pp.fit(formula, DATA, priors=PRIORS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("towns", "Oslo", "Rio"), "'towns' is not a grouping factor of this fit: the factor is 'town'"),
        (("town", "oslo", "Rio"), "'oslo' is not a level of town; did you mean 'Oslo'?"),
        (("town", "Oslo", "Rioo"), "'Rioo' is not a level of town; did you mean 'Rio'?"),
        (("town", "Oslo", 3.5), "'3.5' is not a level of town"),
        (("town", "Oslo"), "one level of town is given: give two"),
        (("town", None, None), "one level of town is given: give two"),
        (("town", "Oslo", "Oslo"), "'Oslo' is given twice"),
        (("town", {}), "no level has a weight other than 0"),
        (("town", {"Oslo": 0, "Rio": 0.0}), "no level has a weight other than 0"),
        (("town", {"Oslo": np.nan, "Rio": 1}), "the weight of 'Oslo' is nan: give a finite number"),
        (("town", {"Oslo": np.inf, "Rio": 1}), "the weight of 'Oslo' is inf"),
        (("town", {"Oslo": "much", "Rio": 1}), "the weight of 'Oslo' is 'much'"),
        (("town", {"Oslo": None, "Rio": 1}), "the weight of 'Oslo' is None"),
        (("town", {"3": 1.0, 3: -1.0}), "'3' is given twice"),
        (("town", {"Oslo": 1.0}, "Rio"), "a dict of weights and a second level are given"),
        (("town", ["Oslo", "Rio"], "3"), "is not a level of town"),
        (("town", ("Oslo", "West"), "3"), "is not a level of town"),
    ],
)
def test_contrasts_that_cannot_be(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(DataError) as caught:
        _fit().contrast(*arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("Oslo:West:North", "'Oslo:West:North' is not a level of town:part; did you mean"),
        (("Oslo",), "('Oslo',) has 1 values, town:part is made of 2 columns (town, part)"),
        (("Oslo", "north"), "'Oslo:north' is not a level of town:part; did you mean 'Oslo:North'?"),
    ],
)
def test_levels_of_a_factor_of_two_columns(level: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        _fit("y ~ 1 + (1 | town) + (1 | town:part)").contrast("town:part", level, "Rio:c")
    assert said in str(caught.value)


def test_levels_with_colons_are_told_apart() -> None:
    """By a tuple, and by labels in which what holds a colon is quoted."""
    fit = _fit("y ~ 1 + (1 | town) + (1 | town:part)")
    by_label = fit.contrast("town:part", 'Oslo:"West:North"', '"Oslo:West":North')
    one = fit.contrast("town:part", ("Oslo", "West:North"), ("Oslo:West", "North"))
    two = fit.contrast("town:part", ("Oslo:West", "North"), ("Oslo", "West:North"))
    assert by_label.equals(one)
    assert one["mean"].item() == pytest.approx(-two["mean"].item(), rel=1e-9)
    assert one["sd"].item() > 0.0


def test_names_that_need_quotes_are_quoted() -> None:
    assert list(_fit().contrast("town", "New York", "Rio").index) == ["'New York' - Rio"]
    assert list(_fit().contrast("town", {"é": 2, "3": -1, "Oslo:West": -1}).index) == ["2*é - 3 - Oslo:West"]


def test_numbers_are_levels_as_they_are() -> None:
    fit = _fit("y ~ 1 + (1 | year)")
    expected = fit.contrast("year", 1999, 2004)
    for year in ("1999", 1999.0, np.int32(1999), np.float32(1999)):
        assert fit.contrast("year", year, 2004).equals(expected)
    with pytest.raises(DataError, match=r"^True is not a level of year"):
        fit.contrast("year", True, 2004)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"to": "Ohslo"}, "did you mean 'Oslo'"),
        ({"factor": "x"}, "'x' is not a grouping factor"),
        ({"quantiles": (0.5, 1.0)}, "strictly between 0 and 1"),
    ],
)
def test_differences_that_cannot_be(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        _fit().differences(**arguments)
    assert said in str(caught.value)


def test_all_pairs_of_many_groups_are_refused_with_the_remedy() -> None:
    data = {"y": RNG.normal(size=100), "g": np.arange(100) // 2, "s": np.full(100, 0.3)}
    fit = pp.fit("y ~ 1 + (1 | g)", data, standard_error="s", priors={"Intercept": "Normal(0, 1)"})
    with pytest.raises(DataError, match=r"50 groups of g have 1,225 pairs, more than 1,000: give to="):
        fit.differences("g")
    assert len(fit.differences("g", to=0)) == 49


def test_complete_pooling_has_no_groups_to_compare() -> None:
    fit = pp.fit("y ~ 1 + (1 | town)", DATA, pooling="complete")
    for call in (lambda: fit.contrast("town", "Oslo", "Rio"), lambda: fit.differences("town")):
        with pytest.raises(DataError, match="no groups of its own"):
            call()

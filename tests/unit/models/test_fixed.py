"""Values that are given, and half priors written with their location."""

from __future__ import annotations

import math

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import PriorError
from partialpool.models.priors import ParameterSlot, find_given, parse_prior


def test_all_mass_is_at_the_value() -> None:
    prior = parse_prior("Fixed(2)")
    assert prior == pp.Fixed(2)
    assert isinstance(prior, pp.Fixed)
    assert (str(prior), repr(prior), prior.proper) == ("Fixed(2)", "Fixed(value=2.0)", True)
    np.testing.assert_array_equal(prior.log_density([1.0, 2.0, 3.0]), [-math.inf, 0.0, -math.inf])
    np.testing.assert_array_equal(prior.quantile([0.01, 0.5, 1.0]), 2.0)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("HalfCauchy(2)", "HalfCauchy(0, 2)"),
        ("HalfNormal(2.5)", "HalfNormal(0, 2.5)"),
        ("HalfStudentT(3, 2)", "HalfStudentT(3, 0, 2)"),
    ],
)
def test_half_priors_with_their_location(short: str, long: str) -> None:
    assert parse_prior(long) == parse_prior(short)
    assert str(parse_prior(long)) == short
    assert parse_prior(repr(parse_prior(long))) == parse_prior(short)


def test_half_priors_as_objects() -> None:
    assert pp.HalfCauchy(0, 2) == pp.HalfCauchy(2) == pp.HalfCauchy(scale=2)
    assert pp.HalfNormal(0.0, 2) == pp.HalfNormal(sigma=2)
    assert pp.HalfStudentT(3, 0, 2) == pp.HalfStudentT(nu=3, sigma=2)


@pytest.mark.parametrize("text", ["HalfCauchy(1, 2)", "HalfNormal(-1, 2)", "HalfStudentT(3, 1, 2)"])
def test_another_location_is_refused(text: str) -> None:
    with pytest.raises(PriorError, match="it is half of a density about 0, the smallest sd there is"):
        parse_prior(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("HalfCauchy(0)", "scale is 0"),
        ("HalfCauchy(0, 0)", "scale is 0"),
        ("HalfCauchy(0, 2, 3)", "arguments given by position: 3, taken: 1: write HalfCauchy(scale)"),
        ("HalfNormal(0, after_zero=2)", "there is no argument after_zero: write HalfNormal(sigma)"),
        ("Fixed()", "value not given: write Fixed(value)"),
        ("Fixed(inf)", "value is inf: give a finite number"),
    ],
)
def test_what_is_no_prior(text: str, said: str) -> None:
    with pytest.raises(PriorError) as caught:
        parse_prior(text)
    assert said in str(caught.value)


def test_which_parameters_are_given() -> None:
    slots = [
        ParameterSlot("x", "coefficient", "coefficients", pp.Flat()),
        ParameterSlot("sd(g)", "scale", "sd", pp.Flat()),
        ParameterSlot("sd(h, x)", "scale", "sd", pp.Flat()),
    ]
    assert find_given(None, slots) == frozenset()
    assert find_given({"sd": "Fixed(1)"}, slots) == {"sd(g)", "sd(h, x)"}
    assert find_given({"sd": "Fixed(1)", "sd( g )": "HalfNormal(1)"}, slots) == {"sd(h, x)"}
    # what will be refused later, or is of other parameters, is passed over
    assert find_given({"x": pp.Fixed(0), "cor": "Fixed(0)", "sd(g)": "nonsense"}, slots) == {"x"}

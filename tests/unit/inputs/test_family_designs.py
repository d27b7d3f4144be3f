"""Families in designs: what their noise identifies, how they are described, and that they are stored."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import IdentificationError
from partialpool.inputs.describe import describe_formula
from partialpool.inputs.describe_noise import describe_classes
from partialpool.inputs.designs.design import Design, build_design
from partialpool.inputs.designs.rebuild import observations_from_arrays, observations_to_arrays
from partialpool.inputs.language.formula import Formula, parse_formula
from partialpool.inputs.observations import Observations, read_observations
from partialpool.inputs.roles.family_data import FAMILIES
from partialpool.inputs.roles.measurements import Measurements
from partialpool.inputs.unknowns import check_identified

INFINITE = float("inf")
DATA: dict[str, Any] = {
    "y": [1, 0, 1, 1, 0, 1, 0, 1],
    "v": [1.0, 2.5, 0.5, 3.0, 2.0, 4.5, 1.5, 2.25],
    "x": [0.0, 1.0, 2.0, 4.0, 0.5, 3.0, -1.0, 2.5],
    "g": list("aabbccdd"),
    "obs": list(range(8)),
    "n": [1, 2, 3, 4, 5, 6, 7, 8],
    "one": [1] * 8,
    "days": [0.5] * 7 + [1.0],
    "label": ["yes", "no", "yes", "yes", "no", "yes", "no", "yes"],
    "se": [0.5] * 8,
    "code": ["none", "right", "none", "right", "left", "interval", "none", "none"],
    "end": [5.0] * 8,
    "lo": [0.0] * 7 + [0.25],
}


def build_checked(formula: Formula, observations: Observations) -> Design:
    design = build_design(formula, observations)
    check_identified(design)
    return design


def _design(formula: str, **roles: Any) -> Design:
    parsed = parse_formula(formula)
    return build_checked(parsed, read_observations(DATA, parsed, **roles))


def _refuse(formula: str, *said: str, **roles: Any) -> None:
    with pytest.raises(IdentificationError) as caught:
        _design(formula, **roles)
    for part in said:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("family", "roles"),
    [
        ("binomial", {"trials": "n"}),
        ("beta_binomial", {"trials": "n"}),
        ("poisson", {}),
        ("poisson", {"exposure": "days"}),
        ("negative_binomial", {}),
        ("exponential", {}),
        ("student_t", {"standard_error": "se"}),
        ("gaussian", {"standard_error": "se"}),
        ("bernoulli", {"counts": [2] * 8}),
        ("binomial", {"trials": "one", "counts": [2] * 8}),
        ("binomial", {"trials": [1] * 7 + [2]}),
    ],
)
def test_a_level_for_every_row_where_no_sigma_stands_beside_it(family: str, roles: dict[str, Any]) -> None:
    for formula in ("y ~ x + (1 | obs)", "y ~ 1 + (1 | g) + (1 | obs)", "y ~ 1 + (1 | g) + (1 + x || obs)"):
        design = _design(formula, family=family, **roles)
        assert design.groups[-1].n_levels == 8
        assert not design.measurements.has_residual_sd


@pytest.mark.parametrize(
    ("family", "response", "remedies", "absent"),
    [
        (
            "gaussian",
            "v",
            "give standard_error= if the noise is known, size= and sd= if the rows are means, or",
            "trial",
        ),
        ("student_t", "v", "give standard_error= if the noise is known, or drop the term", "size="),
        ("lognormal", "v", "cannot be told apart; drop the term", "standard_error"),
    ],
)
def test_a_level_for_every_row_beside_sigma(family: str, response: str, remedies: str, absent: str) -> None:
    formula = f"{response} ~ x + (1 | g) + (1 | obs)"
    _refuse(formula, "'obs' is different in every row: sigma and sd(obs) cannot be told apart", remedies, family=family)
    with pytest.raises(IdentificationError) as caught:
        _design(formula, family=family)
    assert absent not in str(caught.value)


@pytest.mark.parametrize(
    ("family", "roles"), [("bernoulli", {}), ("binomial", {"trials": 1}), ("binomial", {"trials": "one"})]
)
def test_a_level_for_every_single_trial(family: str, roles: dict[str, Any]) -> None:
    said = "'obs' is different in every row: sd(obs) cannot be told from the chance of a single trial; drop the term"
    _refuse("y ~ x + (1 | obs)", said, "(family='binomial' with trials=)", family=family, **roles)
    _refuse("y ~ x + (1 | g) + (1 | obs)", "sd(obs)", family=family, **roles)
    # effects that scatter some rows more than others do tell
    assert _design("y ~ 1 + (0 + x | obs)", family=family, **roles).groups[0].n_levels == 8


def test_factors_that_add_up_to_the_scatter_of_single_trials() -> None:
    latin = {
        "y": [0, 1, 1, 1, 0, 0, 0, 1, 1],
        "row": list("aaabbbccc"),
        "column": list("defdefdef"),
        "one": list("ghihigigh"),
        "two": list("jklljkklj"),
    }
    formula = parse_formula("y ~ 1 + (1 | row) + (1 | column) + (1 | one) + (1 | two)")
    for family in ("gaussian", "bernoulli"):
        name = "sigma" if family == "gaussian" else "the chance of single trials"
        with pytest.raises(IdentificationError, match=f"sd.two. and {name} cannot be told apart"):
            build_checked(formula, read_observations(latin, formula, family=family))
    assert len(build_checked(formula, read_observations(latin, formula, family="poisson")).groups) == 4


@pytest.mark.parametrize(
    ("family", "roles", "name"),
    [
        ("gaussian", {}, "sigma"),
        ("student_t", {}, "sigma"),
        ("lognormal", {}, "sigma"),
        ("negative_binomial", {}, "shape"),
        ("beta_binomial", {"trials": 2}, "concentration"),
        ("bernoulli", {}, None),
        ("binomial", {"trials": 2}, None),
        ("poisson", {}, None),
        ("exponential", {}, None),
        ("student_t", {"standard_error": [1.0, 1.0]}, None),
    ],
)
def test_as_many_coefficients_as_rows(family: str, roles: dict[str, Any], name: str | None) -> None:
    data = {"y": [0, 1] if family != "lognormal" else [1, 2], "x": [0.0, 1.0], "g": ["a", "b"]}
    formula = parse_formula("y ~ x")
    observations = read_observations(data, formula, family=family, **roles)
    assert observations.measurements.dispersion == name
    if name is None:
        assert len(build_checked(formula, observations).population.names) == 2
    else:
        with pytest.raises(IdentificationError, match=f"2 rows cannot tell 2 coefficients and {name} apart"):
            build_checked(formula, observations)


def test_concentration_of_single_trials() -> None:
    _refuse(
        "y ~ x + (1 | g)",
        "every row has one trial: concentration",
        "family='bernoulli'",
        family="beta_binomial",
        trials=1,
    )
    assert _design("y ~ x + (1 | g)", family="beta_binomial", trials="n").measurements.dispersion == "concentration"


@pytest.mark.parametrize("family", ["bernoulli", "binomial", "poisson", "exponential"])
def test_what_no_family_identifies(family: str) -> None:
    roles = {"trials": "n"} if family == "binomial" else {}
    _refuse("y ~ x + (1 | g) + (1 | g:one)", "divide the rows alike", family=family, **roles)
    _refuse("y ~ g + (1 | g)", "already give every level", family=family, **roles)


DESCRIBED: list[tuple[str, dict[str, Any], str]] = [
    ("v", {}, "raw rows with unknown sigma"),
    ("y", {"family": "binomial", "trials": "n"}, "successes of trials 'n'"),
    ("y", {"family": "binomial", "trials": 20}, "successes of 20 trials"),
    ("y", {"family": "binomial", "trials": 1}, "successes of 1 trial"),
    ("y", {"family": "binomial", "trials": DATA["n"]}, "successes of trials"),
    ("y", {"family": "beta_binomial", "trials": "n"}, "successes of trials 'n' with unknown concentration"),
    ("y", {"family": "poisson"}, "counts"),
    ("y", {"family": "poisson", "exposure": "days"}, "counts with exposure 'days'"),
    ("y", {"family": "poisson", "exposure": DATA["days"]}, "counts with exposure"),
    ("y", {"family": "poisson", "exposure": 2.5, "offset": "x"}, "counts with exposure 2.5, offset 'x'"),
    ("y", {"family": "negative_binomial"}, "counts with unknown shape"),
    ("y", {"family": "negative_binomial", "exposure": "days"}, "counts with exposure 'days' and unknown shape"),
    ("y", {"family": "bernoulli"}, "0/1 outcomes"),
    ("y", {"family": "bernoulli", "counts": "n"}, "0/1 outcomes, counts 'n'"),
    ("label", {"family": "bernoulli"}, "0/1 outcomes: 1 is 'yes', 0 is 'no'"),
    ("v", {"family": "student_t"}, "raw rows with unknown sigma, Student t noise"),
    (
        "v",
        {"family": "student_t", "standard_error": "se"},
        "estimates with known standard errors 'se', Student t noise",
    ),
    ("v", {"family": "lognormal"}, "lognormal values with unknown sigma of their logarithms"),
    ("v", {"family": "exponential"}, "exponential values"),
    ("v", {"censored": [0, 1, 1, 0, 0, 0, 0, 0]}, "raw rows with unknown sigma, right-censored in 2 rows"),
    (
        "v",
        {"family": "exponential", "censored": ("code", "end")},
        "exponential values, left-censored in 1 row, right-censored in 2 rows, interval-censored in 1 row",
    ),
    ("v", {"truncation": (0, None)}, "raw rows with unknown sigma, rows truncated to (0, inf)"),
    ("v", {"truncation": (None, 4.5)}, "raw rows with unknown sigma, rows truncated to (-inf, 4.5)"),
    ("v", {"truncation": ("lo", "end")}, "raw rows with unknown sigma, rows truncated to ('lo', 5)"),
    (
        "v",
        {"selection": ("lo", None), "selection_rows": "any"},
        "raw rows with unknown sigma, objects selected in ('lo', inf) (any row decides)",
    ),
    (
        "v",
        {"selection": pp.ProbitSelection(3, 0.5, "below"), "selection_rows": "first"},
        "raw rows with unknown sigma, objects selected below 3 by a probit curve of width 0.5 (the first row decides)",
    ),
    ("v", {"truncation": (DATA["lo"], 9)}, "raw rows with unknown sigma, rows truncated to (a limit of each row, 9)"),
]


@pytest.mark.parametrize(("response", "roles", "said"), DESCRIBED)
def test_descriptions(response: str, roles: dict[str, Any], said: str) -> None:
    words = " ".join(str(describe_formula(_design(f"{response} ~ x + (1 | g)", **roles))).split())
    assert f" response {response}, {said} rows " in words


def test_classes_in_words() -> None:
    assert describe_classes(_design("label ~ x + (1 | g)", family="bernoulli").measurements) == "1 is 'yes', 0 is 'no'"
    assert describe_classes(_design("y ~ x + (1 | g)", family="bernoulli").measurements) == ""


@pytest.mark.parametrize(("response", "roles", "said"), DESCRIBED)
def test_stored_and_read_back(response: str, roles: dict[str, Any], said: str) -> None:
    formula = parse_formula(f"{response} ~ x + (1 | g)")
    before = read_observations(DATA, formula, **roles)
    arrays, metadata = observations_to_arrays(before)
    assert all(values.dtype.kind in "Uifb" and values.flags.c_contiguous for values in arrays.values())
    after = observations_from_arrays(arrays, json.loads(json.dumps(metadata)))
    for name in Measurements.__dataclass_fields__:
        one, other = getattr(before.measurements, name), getattr(after.measurements, name)
        assert type(one) is type(other)
        assert np.array_equal(one, other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)
    assert describe_formula(build_checked(formula, after)).noise == said
    # what earlier releases can read they are let read
    plain = before.measurements.family == "gaussian" and not roles
    assert metadata["version"] == (3 if "selection" in roles else 1 if plain else 2)
    for name in ("lower", "upper", "width") if before.measurements.selection is not None else ():
        one, other = (getattr(data.measurements.selection, name) for data in (before, after))
        np.testing.assert_array_equal(one, other)


def test_the_table_of_families() -> None:
    sigma = {name for name, kind in FAMILIES.items() if kind.dispersion == "sigma"}
    assert sigma == {"gaussian", "student_t", "lognormal"}
    assert {name for name, kind in FAMILIES.items() if kind.limits} == {"gaussian", "lognormal", "exponential"}
    assert {name for name, kind in FAMILIES.items() if kind.known_noise} == {"gaussian", "student_t"}

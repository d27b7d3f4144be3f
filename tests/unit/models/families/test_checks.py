"""Responses that a family cannot have are refused with the row, the value and the remedy."""

import numpy as np
import pytest

from partialpool.errors import DataError
from partialpool.models.families import read_family

from .cases import CASES, columns


def where(row):
    return f"row {row + 1}"


@pytest.mark.parametrize("name", [name for name in CASES if name != "exponential limited"])
def test_good_responses_pass(name):
    case = CASES[name]
    if "known" in name and case.response.standard_errors is None:
        return
    case.family.check("response 'y'", case.response, where)


NAN = np.nan
REFUSED = [
    ("poisson", columns([1, -2]), "response 'y' is -2 in row 2: a count is not negative"),
    ("poisson", columns([1, 2.5]), "response 'y' is 2.5 in row 2: counts are whole numbers"),
    ("poisson", columns([1, NAN]), "response 'y' is missing in row 2"),
    ("poisson", columns([1, 1e17]), "not told apart"),
    ("negative_binomial", columns([1, 2], [1, 0]), "exposure of response 'y' is 0 in row 2: an exposure is positive"),
    ("poisson", columns([1, 2], [-1, 1]), "exposure of response 'y' is -1 in row 1"),
    ("poisson", columns([1, 2], censoring=[0, 1]), "censored with family='poisson': it belongs to gaussian"),
    ("student_t", columns([1, 2], lower_limit=[0.0, 0.0]), "truncation with family='student_t'"),
    ("binomial", columns([3, 4], [5, 3]), "is 4 of 3 trials in row 2: there are at most as many successes as trials"),
    ("binomial", columns([3, 1.5], [5, 3]), "is 1.5 in row 2: successes are counted"),
    ("binomial", columns([0.25, 0.5], [5, 3]), "for proportions, multiply them by the trials"),
    (
        "beta_binomial",
        columns([0, 1], [5, 2.5]),
        "trials of response 'y' is 2.5 in row 2: a number of trials is a whole",
    ),
    ("beta_binomial", columns([0, 0], [5, 0]), "trials of response 'y' is 0 in row 2: a number of trials is positive"),
    ("bernoulli", columns([0, 1, 2]), "is 2 in row 3: an outcome is 0 or 1.*more than two classes"),
    ("bernoulli", columns([1, 2]), "is 2 in row 2: an outcome is 0 or 1; recode it"),
    ("gamma", columns([1, 0, 2]), "is 0 in row 2: a gamma value is positive, and a hurdle for zeros is not computed"),
    ("lognormal", columns([1, 0]), r"left-censored at the detection limit \(censored=\)"),
    ("lognormal", columns([-1, 1]), "is -1 in row 1: a lognormal value is positive; mend or drop"),
    ("exponential", columns([1, -1]), "is -1 in row 2: with family='exponential' values are times, not negative"),
    ("exponential", columns([0, 1], censoring=[-1, 0]), "with code 'left' nothing is below 0"),
    ("gaussian", columns([1, np.inf]), "is inf in row 2: a measurement is finite"),
    ("gaussian(known_noise=True)", columns([1, 2]), "needs standard_error="),
    (
        "gaussian(known_noise=True)",
        columns([1, 2], standard_errors=[1.0, 0.0]),
        "standard_error of response 'y' is 0 in",
    ),
    ("student_t(known_noise=True)", columns([1, 2], standard_errors=[1.0, NAN]), "is missing in row 2"),
    ("gaussian", columns([1, 2], censoring=[0, 3]), "censored of response 'y' is 3 in row 2"),
    ("gaussian", columns([1, 2], censoring=[0, 2]), "censored to an interval in row 2, whose upper end is not given"),
    ("gaussian", columns([1, 2], censoring=[0, 2], upper=[1.0, 1.5]), "upper end of response 'y' is 1.5 in row 2"),
    ("gaussian", columns([1, 2], lower_limit=[0.0, 3.0]), "is 2 in row 2, below its limit of truncation 3"),
    ("gaussian", columns([1, 5], upper_limit=[3.0, 3.0]), "is 5 in row 2, above its limit of truncation 3"),
    (
        "gaussian",
        columns([1, 2], lower_limit=[0.0, 3.0], upper_limit=[9.0, 3.0]),
        r"is \(3, 3\) in row 2: the lower limit must be below the upper",
    ),
    (
        "gaussian",
        columns([1, 2], censoring=[0, 1], upper_limit=[9.0, 2.0]),
        "is 2 in row 2: censored beyond its limit of truncation nothing is left",
    ),
    (
        "exponential",
        columns([1, 2], censoring=[0, 2], upper=[1.0, 4.0], upper_limit=[9.0, 3.0]),
        "upper end of response 'y' is 4 in row 2: it is above the upper limit",
    ),
]


@pytest.mark.parametrize(("family", "response", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_bad_responses_are_refused(family, response, message):
    with pytest.raises(DataError, match=message):
        read_family(family).check("response 'y'", response, where)


def test_how_many_more_rows_are_bad():
    with pytest.raises(DataError, match=r"row 2 \(and in 2 more rows\)"):
        read_family("poisson").check("response 'y'", columns([1, -1, -1, -2]), where)


def test_gaussian_with_log_link_takes_any_sign():
    read_family("gaussian", "log").check("response 'y'", columns([-1, 0, 2]), where)

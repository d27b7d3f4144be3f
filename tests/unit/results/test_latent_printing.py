"""What a latent fit prints: family, link, population, which label is 1, and the scale of its table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp

RNG = np.random.default_rng(8)
G = np.arange(16) % 4
DATA: dict[str, Any] = {
    "g": np.array(list("abcd"))[G],
    "area": np.array(list("nnss"))[G],
    "x": RNG.normal(size=16),
    "visits": RNG.integers(5, 30, 16),
    "km": RNG.uniform(1.0, 4.0, 16),
    "bought": np.where(RNG.random(16) < 0.5, "yes", "no"),
    "hours": RNG.lognormal(0.0, 0.5, 16),
}
DATA |= {"sold": RNG.binomial(DATA["visits"], 0.3), "hits": RNG.poisson(3.0, 16), "flag": RNG.integers(0, 2, 16)}
EB = {"method": "empirical_bayes"}
BINOMIAL = {"family": "binomial", "trials": "visits"}


def printed(formula: str, **arguments: Any) -> str:
    return " ".join(repr(pp.fit(formula, DATA, **arguments)).split())


@pytest.mark.parametrize(
    ("formula", "arguments", "expected"),
    [
        (
            "sold ~ 1 + (1 | g)",
            BINOMIAL | EB,
            "binomial with logit link, successes of trials 'visits'; partially pooled, normal population",
        ),
        ("sold ~ 1 + (1 | g)", BINOMIAL | {"population": "beta"}, "partially pooled, beta population 16 rows"),
        ("sold ~ 1 + (1 | g)", BINOMIAL | {"population": "mixture(2)"}, "mixture (components = 2) population"),
        ("sold ~ 1 + (1 | g)", BINOMIAL | {"pooling": "none"}, "not pooled: every group on its own 16 rows"),
        ("sold ~ x + (1 | g)", BINOMIAL | {"pooling": "complete"}, "completely pooled: groups are ignored 16 rows"),
        ("bought ~ 1 + (1 | g)", {"family": "bernoulli"} | EB, "0/1 outcomes: 1 is 'yes', 0 is 'no'"),
        (
            "hits ~ 1 + (1 | g)",
            {"family": "negative_binomial", "exposure": "km"} | EB,
            "negative-binomial with log link, counts with exposure 'km' and unknown shape",
        ),
        ("hours ~ 1 + (1 | g)", {"family": "student_t(nu=4)"} | EB, "student-t (nu = 4) with identity link"),
        ("hours ~ 1 + (1 | g)", {"population": "student_t(nu=5)"} | EB, "student-t (nu = 5) population"),
    ],
)
def test_the_heading_names_the_model(formula: str, arguments: dict[str, Any], expected: str) -> None:
    assert expected in printed(formula, **arguments)


@pytest.mark.parametrize(
    ("formula", "arguments", "expected"),
    [
        (
            "sold ~ 1 + (1 | g)",
            BINOMIAL | EB,
            "scale: coefficients and sds are on that of logit p; groups() gives p (sold / visits)",
        ),
        (
            "sold ~ 1 + (1 | g)",
            BINOMIAL | {"population": "beta"},
            "scale: the population's parameters are those of p (sold / visits)",
        ),
        ("sold ~ 1 + (1 | g)", {"family": "binomial", "trials": 30} | EB, "groups() gives p (sold / 30)"),
        (
            "hits ~ x + (x | g)",
            {"family": "poisson", "exposure": "km"} | EB,
            "scale: coefficients and sds are on that of log rate (hits / km)",
        ),
        ("hits ~ 1 + (1 | g)", {"family": "poisson", "exposure": DATA["km"]} | EB, "gives rate (hits / exposure)"),
        ("hits ~ 1 + (1 | g)", {"family": "poisson"} | EB, "on that of log rate; groups() gives rate (hits)"),
        ("hours ~ 1 + (1 | g)", {"family": "gamma"} | EB, "on that of log mean; groups() gives mean (hours)"),
        ("hours ~ 1 + (1 | g)", {"family": "lognormal"} | EB, "on that of log median; groups() gives median (hours)"),
        (
            "flag ~ 1 + (1 | g)",
            {"family": "bernoulli", "link": "probit"} | EB,
            "of probit p; groups() gives p (flag = 1)",
        ),
        ("sold ~ 1 + (1 | g)", BINOMIAL | {"pooling": "none"}, "scale: coefficients are on that of logit p; groups()"),
        ("sold ~ x", BINOMIAL, "scale: coefficients are on that of logit p (sold / visits)"),
    ],
)
def test_the_table_says_its_scale(formula: str, arguments: dict[str, Any], expected: str) -> None:
    assert expected in printed(formula, **arguments)


@pytest.mark.parametrize("arguments", [{}, {"family": "student_t(nu=4)"} | EB, {"truncation": (0, None)} | EB])
def test_one_scale_needs_no_name(arguments: dict[str, Any]) -> None:
    assert "scale:" not in printed("hours ~ 1 + (1 | g)", **arguments)


def test_no_line_is_longer_than_the_page() -> None:
    for arguments in (BINOMIAL | EB, {"family": "beta_binomial", "trials": "visits"} | EB):
        assert max(map(len, repr(pp.fit("sold ~ 1 + (1 | area / g)", DATA, **arguments)).splitlines())) <= 100

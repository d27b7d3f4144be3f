"""Populations as text."""

import pytest

from partialpool.errors import DataError
from partialpool.models.populations.base import Population
from partialpool.models.populations.beta import BetaPopulation
from partialpool.models.populations.estimated import EstimatedPopulation, Nonparametric, NormalMixture
from partialpool.models.populations.gamma import ExponentialPopulation, GammaPopulation
from partialpool.models.populations.lognormal import LognormalPopulation
from partialpool.models.populations.normal import NormalPopulation
from partialpool.models.populations.parse import POPULATIONS, read_population
from partialpool.models.populations.skew_normal import SkewNormalPopulation
from partialpool.models.populations.student_t import StudentTPopulation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("normal", NormalPopulation()),
        (" normal ", NormalPopulation()),
        ("normal()", NormalPopulation()),
        ("student_t", StudentTPopulation()),
        ("student_t(nu=4)", StudentTPopulation(4.0)),
        ("student_t(4)", StudentTPopulation(4.0)),
        ("lognormal", LognormalPopulation()),
        ("exponential", ExponentialPopulation()),
        ("gamma", GammaPopulation()),
        ("beta", BetaPopulation()),
        ("skew_normal", SkewNormalPopulation()),
        ("mixture(2)", NormalMixture(2)),
        ("mixture(components=3)", NormalMixture(3)),
        ("nonparametric", Nonparametric()),
        ("npml", Nonparametric()),
    ],
)
def test_text_is_read(text, expected):
    got = read_population(text)
    assert got == expected
    assert type(got) is type(expected)
    assert read_population(expected) is expected


def test_what_is_known_of_each_population():
    known = {name: kind for name, kind in POPULATIONS.items() if issubclass(kind, Population)}
    assert {name for name, kind in known.items() if kind.centred} == {"normal", "student_t", "skew_normal"}
    assert {name for name, kind in known.items() if kind.support == "probability"} == {"beta"}
    assert {name for name, kind in known.items() if kind.support == "positive"} == {"lognormal", "exponential", "gamma"}
    assert StudentTPopulation().parameters == ("sd", "nu")
    assert StudentTPopulation(4).parameters == ("sd",)
    assert LognormalPopulation().parameters == ("mean", "sd")
    assert BetaPopulation().parameters == GammaPopulation().parameters == ("alpha", "beta")
    assert all(issubclass(kind, Population | EstimatedPopulation) for kind in POPULATIONS.values())
    assert "3" in NormalMixture(3).describe()
    assert "nonparametric" in Nonparametric().describe()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Normal", "did you mean 'normal'"),
        ("studentt", "did you mean 'student_t'"),
        ("cauchy", "The populations are normal, student_t or student_t"),
        ("mixture", r"write mixture\(components=2\)"),
        ("mixture(1)", "from 2 to"),
        ("mixture(2.0)", "from 2 to"),
        ("mixture(True)", r"write mixture"),
        ("mixture(2, components=2)", "write mixture"),
        ("student_t(df=4)", r"write student_t or student_t\(nu=4\)"),
        ("student_t(4, 5)", "write student_t"),
        ("student_t(-4)", "degrees of freedom"),
        ("student_t('4')", "write student_t"),
        ("student_t(**{})", "write student_t"),
        ("normal(1)", "write normal"),
        ("", "is not a population"),
        ("a.b", "is not a population"),
        ("__import__('os').system('false')", "is not a population"),
        ("(" * 300, "is not a population"),
        ("x" * 300 + "+1", r"\.\.\."),
        (3, "population=3 is not a population"),
        (None, "is not a population"),
        (NormalPopulation, "population=NormalPopulation is not a population"),
    ],
)
def test_wrong_text_is_refused(text, said):
    with pytest.raises(DataError, match=said):
        read_population(text)

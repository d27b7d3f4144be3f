"""Family names and texts."""

import pytest

from partialpool.errors import DataError
from partialpool.models.families import (
    FAMILIES,
    BetaBinomial,
    BetaFamily,
    Binomial,
    Gaussian,
    NegativeBinomial,
    StudentTFamily,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
    read_family,
)


@pytest.mark.parametrize("name", FAMILIES)
def test_names(name):
    assert read_family(name).name == name
    assert read_family(f"  {name.upper()} ") == read_family(name)
    assert str(read_family(name)) == name


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("t", StudentTFamily()),
        ("Normal", Gaussian()),
        ("nb", NegativeBinomial()),
        ("negbinomial(shape=2)", NegativeBinomial(shape=2.0)),
        ("student_t(nu=4)", StudentTFamily(nu=4.0)),
        ("student_t(4)", StudentTFamily(nu=4.0)),
        ("student_t (nu = 4, link='log')", StudentTFamily("log", nu=4.0)),
        ("beta_binomial(1e3)", BetaBinomial(concentration=1000.0)),
        ("beta(precision=20)", BetaFamily(precision=20.0)),
        ("zip(zero=0.25)", ZeroInflatedPoisson(zero=0.25)),
        ("zinb(shape=2)", ZeroInflatedNegativeBinomial(shape=2.0)),
        ("binomial()", Binomial()),
        ("gaussian(known_noise=True)", Gaussian(known_noise=True)),
    ],
)
def test_texts(text, family):
    assert read_family(text) == family


def test_link_beside_the_family():
    assert read_family("binomial", "Probit") == Binomial("probit")
    assert read_family(Binomial(), "cloglog") == Binomial("cloglog")
    assert read_family(Binomial("probit")) == Binomial("probit")
    assert read_family("student_t(3)", "log") == StudentTFamily("log", nu=3.0)


def test_fixed_parameters_are_no_dispersions():
    assert StudentTFamily().dispersions == ("sigma", "nu")
    assert StudentTFamily(nu=4.0).dispersions == ("sigma",)
    assert StudentTFamily(known_noise=True).dispersions == ("nu",)
    assert StudentTFamily(known_noise=True, nu=4.0).dispersions == ()
    assert NegativeBinomial().dispersions == ("shape",)
    assert NegativeBinomial(shape=3.0).dispersions == ()
    assert BetaBinomial(concentration=3.0).dispersions == ()
    assert BetaFamily().dispersions == ("precision",)
    assert BetaFamily(precision=3.0).dispersions == ()
    assert Gaussian().dispersions == ("sigma",)
    assert Gaussian(known_noise=True).dispersions == ()


@pytest.mark.parametrize(
    ("family", "link", "message"),
    [
        ("poison", None, "family='poison' is unknown; did you mean 'poisson'?: the families are gaussian, student_t"),
        ("zzz", None, "family='zzz' is unknown: the families are"),
        ("binomial", "probbit", "link='probbit' with family='binomial'; did you mean 'probit'?: its links are logit"),
        ("gamma", "logit", "its links are log, inverse, identity"),
        ("binomial", 3, "link=3 with family='binomial': give one of logit, probit, cloglog"),
        ("student_t(nu=0)", None, "nu=0.0 with family='student_t': give a positive number"),
        ("student_t(nu=-1)", None, "nu=-1.0 with"),
        ("student_t(nu=four)", None, "nu is four: give a number"),
        ("student_t(nu=True)", None, "nu is True: give a number"),
        ("student_t(df=4)", None, r"there is no argument df: write student_t\(nu, link=...\)"),
        ("student_t(4, nu=4)", None, "nu is given twice"),
        ("student_t(4, 5)", None, "by position: 2, taken: 1"),
        ("poisson(3)", None, r"by position: 1, taken: 0: write poisson\(link=...\)"),
        ("student_t(nu=4", None, "cannot be read: write a name and its arguments"),
        ("student_t(nu=4)(5)", None, "cannot be read"),
        ("binomial(link=probit)", None, "link is probit: give one of logit, probit, cloglog, quoted"),
        ("binomial(known_noise=True)", None, "there is no argument known_noise"),
        ("poisson(**{})", None, r"there is no argument \*\*"),
        ("__import__('os')", None, "is unknown"),
        ("", None, "family='' is unknown"),
        (7, None, "family=7 is no family"),
        (None, None, "family=None is no family"),
        (Binomial, None, "is no family"),
    ],
)
def test_refusals(family, link, message):
    with pytest.raises(DataError, match=message.replace("?", r"\?")):
        read_family(family, link)

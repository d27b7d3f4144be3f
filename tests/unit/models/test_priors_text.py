"""Priors as objects and as text: arguments refused with a reason, text that parses back."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partialpool.errors import PriorError
from partialpool.models.priors import (
    LKJ,
    Cauchy,
    Exponential,
    Flat,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    Normal,
    PCPrior,
    Prior,
    StudentT,
    Uniform,
    VariancePower,
    parse_prior,
    prior_caution,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
inside = st.floats(min_value=0, max_value=1, exclude_min=True, exclude_max=True)


@st.composite
def uniforms(draw: st.DrawFn) -> Uniform:
    lower, upper = sorted((draw(finite | st.just(-math.inf)), draw(finite | st.just(math.inf))))
    return Uniform(lower, upper if upper > lower else math.inf)


priors = st.one_of(
    st.builds(Normal, finite, positive),
    st.builds(StudentT, positive, finite, positive),
    st.builds(Cauchy, finite, positive),
    st.builds(HalfNormal, positive),
    st.builds(HalfCauchy, positive),
    st.builds(HalfStudentT, positive, positive),
    st.builds(Exponential, positive),
    st.builds(Gamma, positive, positive),
    st.builds(InverseGamma, positive, positive, on=st.sampled_from(["sd", "variance"])),
    st.builds(PCPrior, positive, inside),
    st.builds(VariancePower, finite),
    st.builds(LKJ, positive),
    st.just(Flat()),
    uniforms(),
)


@given(priors)
def test_repr_parses_back_exactly(prior: Prior) -> None:
    assert parse_prior(repr(prior)) == prior


@given(priors)
def test_str_parses_back_to_four_digits(prior: Prior) -> None:
    back = parse_prior(str(prior))
    assert type(back) is type(prior)
    for argument in dataclasses.fields(prior):
        value, read = getattr(prior, argument.name), getattr(back, argument.name)
        assert read == value or math.isclose(read, value, rel_tol=6e-4, abs_tol=1e-323)


@pytest.mark.parametrize(
    ("prior", "text"),
    [
        (HalfCauchy(5), "HalfCauchy(5)"),
        (Normal(0, 2.5), "Normal(0, 2.5)"),
        (Normal(-0.0, 1 / 3), "Normal(0, 0.3333)"),
        (HalfNormal(123456), "HalfNormal(123456)"),
        (HalfNormal(1234.5678), "HalfNormal(1235)"),
        (HalfNormal(1e12), "HalfNormal(1e+12)"),
        (InverseGamma(0.01, 0.01, on="variance"), "InverseGamma(0.01, 0.01, on='variance')"),
        (Uniform(0, None), "Uniform(0, inf)"),
        (Flat(), "Flat()"),
        (VariancePower(-0.5), "VariancePower(-0.5)"),
        # where four digits would leave the legal range, all of them are printed
        (Uniform(1.00001, 1.00002), "Uniform(1.00001, 1.00002)"),
        (PCPrior(1, 0.999999), "PCPrior(1.0, 0.999999)"),
    ],
    ids=str,
)
def test_printed_text(prior: Prior, text: str) -> None:
    assert str(prior) == text


@pytest.mark.parametrize(
    ("text", "prior"),
    [
        ("HalfCauchy(5)", HalfCauchy(5)),
        (" Normal( mu = 0,sigma=2 ) ", Normal(0, 2)),
        ("Normal(-1e3, sigma=+2)", Normal(-1000, 2)),
        ("InverseGamma(.01, .01, on='variance')", InverseGamma(0.01, 0.01, on="variance")),
        ('InverseGamma(scale=1, on="sd", shape=2)', InverseGamma(2, 1, on="sd")),
        ("Flat", Flat()),
        ("Flat()", Flat()),
        ("Uniform(0, inf)", Uniform(0, None)),
        ("Uniform(-inf, inf)", Uniform(-math.inf, None)),
        ("Uniform(0, None)", Uniform(0, math.inf)),
        ("LKJ(2)", LKJ(2)),
        ("PCPrior(1, probability=.05)", PCPrior(1, 0.05)),
    ],
)
def test_text_forms(text: str, prior: Prior) -> None:
    assert parse_prior(text) == prior


def test_objects_pass_and_numbers_become_floats() -> None:
    prior = Normal(np.float32(0.5), np.int64(2))
    assert parse_prior(prior) is prior
    assert prior == Normal(0.5, 2.0)
    assert type(prior.mu) is float
    assert type(prior.sigma) is float
    assert HalfNormal(np.array(3.0)) == HalfNormal(3)
    assert hash(HalfNormal(3)) == hash(HalfNormal(3.0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        prior.mu = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "HalfCauhcy(5)",
            "HalfCauhcy(5): there is no prior HalfCauhcy; did you mean HalfCauchy? The priors are Normal",
        ),
        ("halfnormal(5)", "did you mean HalfNormal?"),
        ("Zzz(1)", "Zzz(1): there is no prior Zzz. The priors are Normal, StudentT, Cauchy, HalfNormal"),
        ("pp.HalfNormal(5)", "there is no prior pp.HalfNormal; did you mean HalfNormal?"),
        ("HalfCauchy", "HalfCauchy: scale not given: write HalfCauchy(scale)"),
        ("Normal(0)", "Normal(0): sigma not given: write Normal(mu, sigma)"),
        ("Normal()", "mu and sigma not given"),
        (
            "Normal(0, 1, 2)",
            "Normal(0, 1, 2): arguments given by position: 3, taken: 2: write Normal(mu, sigma)",
        ),
        ("Flat(1)", "arguments given by position: 1, taken: 0: write Flat()"),
        ("Normal(0, sd=1)", "there is no argument sd: write Normal(mu, sigma)"),
        ("Normal(0, mu=1)", "mu is given twice: write Normal(mu, sigma)"),
        ("Normal(0, **{'sigma': 1})", "there is no argument **: write Normal(mu, sigma)"),
        ("Normal(*[0, 1])", "mu is *[0, 1]: give a number"),
        ("Normal('0', 1)", "mu is '0': give a number"),
        ("Normal(0, x)", "Normal(0, x): sigma is x: give a number"),
        ("Normal(0, True)", "sigma is True: give a number"),
        ("Normal(0, 1j)", "sigma is 1j: give a number"),
        ("Normal(0, None)", "sigma is None: give a number"),
        ("Uniform(0, -None)", "upper is -None: give a number"),
        ("InverseGamma(1, 1, on=-'sd')", "on is -'sd': give 'sd' or 'variance', in quotes"),
        ("Normal(0, 1 + 1)", "sigma is 1 + 1: give a number"),
        ("Normal(0, ~1)", "sigma is ~1: give a number"),
        ("HalfNormal(__import__('os').getcwd())", "sigma is __import__('os').getcwd(): give a number"),
        (
            "InverseGamma(1, 1)",
            "InverseGamma: on is not given: say on='variance' if it is a prior on the variance",
        ),
        ("InverseGamma(1, 1, on=sd)", "on is sd: give 'sd' or 'variance', in quotes"),
        ("InverseGamma(1, 1, on='var')", "InverseGamma: on is 'var': say on='sd' or on='variance'"),
        ("InverseGamma(1, 1, 'sd')", "by position: 3, taken: 2: write InverseGamma(shape, scale, on="),
        ("HalfNormal(-1)", "HalfNormal: sigma is -1: give a positive, finite number"),
        ("5", "'5' is not a prior: write a name and its arguments, such as HalfNormal(1)"),
        ("", "'' is not a prior"),
        ("Normal(0, 1", "'Normal(0, 1' is not a prior: write"),
        ("N(0, 1)", "there is no prior N; did you mean Normal?"),
        ("HalfT(3, 0, 1)", "there is no prior HalfT; did you mean HalfStudentT?"),
        ("half-normal(1)", "'half-normal(1)' is not a prior; did you mean HalfNormal?"),
        ("Inverse-Gamma(1, 1)", "'Inverse-Gamma(1, 1)' is not a prior; did you mean InverseGamma?"),
        ("InvGamma(1, 1)", "did you mean InverseGamma?"),
        ("Normal(0, 1or 2)", "sigma is 1 or 2: give a number"),
        ("Normal(0, 1); print(1)", "is not a prior"),
        ("a\0b", "is not a prior"),
        ("(" * 5000, "...' is not a prior"),
        ("HalfNormal(1" + "0" * 400 + ")", "sigma is inf: give a finite number, or Flat()"),
        ("HalfNormal(1" + "0" * 9000 + ")", "is not a prior"),
    ],
)
def test_wrong_text_is_refused_with_the_remedy(text: str, message: str) -> None:
    with pytest.raises(PriorError, match=re.escape(message)):
        parse_prior(text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "5 is not a prior: give Fixed(5) if that is its value"),
        (None, "None is not a prior"),
        (HalfNormal, "HalfNormal is given without its arguments: write HalfNormal(sigma)"),
    ],
)
def test_what_is_neither_prior_nor_text_is_refused(given: object, message: str) -> None:
    with pytest.raises(PriorError, match=re.escape(message)):
        parse_prior(given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Normal(math.nan, 1), "Normal: mu is nan: give a number"),
        (lambda: Normal(math.inf, 1), "Normal: mu is inf: give a finite number"),
        (lambda: Normal(0, 0), "Normal: sigma is 0: give a positive, finite number"),
        (lambda: Normal(0, math.inf), "Normal: sigma is inf: give a finite number, or Flat()"),
        (lambda: Normal("0", 1), "Normal: mu is '0': give a number"),
        (lambda: Normal(0, True), "Normal: sigma is True: give a number"),
        (lambda: Normal(0, 1j), "Normal: sigma is 1j: give a number"),
        (lambda: Normal(np.zeros(2), 1), "Normal: mu is array([0., 0.]): give a number"),
        (lambda: StudentT(0, 0, 1), "StudentT: nu is 0: give a positive, finite number"),
        (lambda: StudentT(math.inf, 0, 1), "StudentT: nu is inf: give a finite number, or Normal(mu, sigma)"),
        (lambda: Cauchy(0, -2.5), "Cauchy: scale is -2.5: give a positive, finite number"),
        (lambda: HalfNormal(-1), "HalfNormal: sigma is -1: give a positive"),
        (lambda: HalfCauchy(math.nan), "HalfCauchy: scale is nan: give a number"),
        (lambda: HalfStudentT(-1, 1), "HalfStudentT: nu is -1: give a positive"),
        (
            lambda: HalfStudentT(math.inf, 1),
            "HalfStudentT: nu is inf: give a finite number, or HalfNormal(sigma)",
        ),
        (lambda: Exponential(0), "Exponential: rate is 0: give a positive"),
        (lambda: Gamma(2, math.inf), "Gamma: rate is inf: give a positive, finite number"),
        (lambda: InverseGamma(0, 1, on="sd"), "InverseGamma: shape is 0: give a positive"),
        (lambda: InverseGamma(1, 1), "InverseGamma: on is not given: say on='variance'"),
        (lambda: InverseGamma(1, 1, on="both"), "InverseGamma: on is 'both': say on='sd' or on='variance'"),
        (lambda: Uniform(2, 2), "Uniform: upper is 2: give a number above lower, which is 2"),
        (lambda: Uniform(3, -1), "Uniform: upper is -1: give a number above lower, which is 3"),
        (lambda: Uniform(math.inf, None), "Uniform: lower is inf: give a finite number, or -inf"),
        (lambda: Uniform(0, math.nan), "Uniform: upper is nan: give a number"),
        (lambda: VariancePower(math.inf), "VariancePower: power is inf: give a finite number"),
        (lambda: PCPrior(0, 0.1), "PCPrior: upper is 0: give a positive"),
        (lambda: PCPrior(1, 1), "PCPrior: probability is 1: give a number between 0 and 1, such as 0.05"),
        (lambda: PCPrior(1, 0), "PCPrior: probability is 0: give a number between 0 and 1"),
        (lambda: LKJ(0), "LKJ: eta is 0: give a positive"),
    ],
)
def test_wrong_arguments_name_prior_argument_value_and_remedy(make: Callable[[], Prior], message: str) -> None:
    with pytest.raises(PriorError, match=re.escape(message)):
        make()


def test_inverse_gamma_small_small_is_cautioned_with_its_peak() -> None:
    prior = InverseGamma(0.01, 0.01, on="variance")
    caution = prior_caution(prior)
    assert caution is not None
    assert caution.startswith("InverseGamma(0.01, 0.01, on='variance') is informative near zero")
    assert "the answer changes with the scale 0.01" in caution
    for cautioned in (prior, InverseGamma(0.001, 0.1, on="sd")):
        grid = np.geomspace(1e-5, 10, 200_001)
        peak = grid[np.argmax(cautioned.log_density(grid))]
        assert f"sd = {peak:.2g}," in str(prior_caution(cautioned))
    assert prior_caution(InverseGamma(3, 0.01, on="variance")) is None
    assert prior_caution(InverseGamma(0.01, 3, on="variance")) is None
    assert prior_caution(HalfCauchy(0.01)) is None


def test_importing_priors_loads_no_scipy() -> None:
    code = "import partialpool.models.priors, sys; print([m for m in sys.modules if m.startswith('scipy')])"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"

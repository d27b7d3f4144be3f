"""Which parameter gets which prior, and what is said when a key or a prior does not fit."""

from __future__ import annotations

import re

import pytest

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
    Normal,
    ParameterSlot,
    Prior,
    StudentT,
    Uniform,
    VariancePower,
    resolve_priors,
)

SCHOOLS = (
    ParameterSlot("Intercept", "coefficient", "coefficients", Normal(0, 20)),
    ParameterSlot("sd(school)", "scale", "sd", HalfNormal(10)),
)
SLOPES = (
    ParameterSlot("Intercept", "coefficient", "coefficients", Normal(0, 10)),
    ParameterSlot("x", "coefficient", "coefficients", Normal(0, 5)),
    ParameterSlot("sd(g, Intercept)", "scale", "sd", HalfNormal(1)),
    ParameterSlot("sd(g, x)", "scale", "sd", HalfNormal(2)),
    ParameterSlot("sd(h)", "scale", "sd", HalfNormal(3)),
    ParameterSlot("cor(g, Intercept, x)", "correlation", "cor", LKJ(2), ("cor(g)", "cor(g, x, Intercept)")),
    ParameterSlot("sigma", "scale", "sigma", HalfNormal(4)),
)


def test_defaults_in_order_when_nothing_is_given() -> None:
    for nothing in (None, {}):
        resolved = resolve_priors(nothing, SLOPES)
        assert list(resolved) == [slot.name for slot in SLOPES]
        assert all(resolved[slot.name] == slot.default for slot in SLOPES)


def test_names_texts_and_spaces() -> None:
    resolved = resolve_priors({"sd(g,x)": "HalfCauchy(5)", " sd( h ) ": Exponential(1), "Intercept": "Flat"}, SLOPES)
    assert resolved["sd(g, x)"] == HalfCauchy(5)
    assert resolved["sd(h)"] == Exponential(1)
    assert resolved["Intercept"] == Flat()
    assert resolved["sd(g, Intercept)"] == HalfNormal(1)


@pytest.mark.parametrize("key", ["cor(g)", "cor(g, x, Intercept)", "cor(g,Intercept,x)", "cor"])
def test_correlations_answer_to_aliases_and_class(key: str) -> None:
    assert resolve_priors({key: "LKJ(4)"}, SLOPES)["cor(g, Intercept, x)"] == LKJ(4)


def test_narrow_keys_beat_wide_ones_in_any_order() -> None:
    given: dict[str, Prior | str] = {
        "sd(g, x)": HalfCauchy(1),
        "sd": HalfCauchy(3),
        "sd(g)": HalfCauchy(2),
        "coefficients": Flat(),
        "x": Normal(0, 1),
        "sigma": HalfStudentT(3, 1),
    }
    for ordered in (given, dict(reversed(given.items()))):
        resolved = resolve_priors(ordered, SLOPES)
        assert resolved["sd(g, x)"] == HalfCauchy(1)
        assert resolved["sd(g, Intercept)"] == HalfCauchy(2)
        assert resolved["sd(h)"] == HalfCauchy(3)
        assert resolved["Intercept"] == Flat()
        assert resolved["x"] == Normal(0, 1)
        assert resolved["sigma"] == HalfStudentT(3, 1)


def test_factor_class_reaches_nested_factors_and_composed_names() -> None:
    slots = [
        ParameterSlot("sd(a:b, Intercept)", "scale", "sd", HalfNormal(1)),
        ParameterSlot("sd(a:b, poly(x, 2)[1])", "scale", "sd", HalfNormal(1)),
        ParameterSlot("cor(a:b, Intercept, z)", "correlation", "cor", LKJ(1)),
        ParameterSlot("cor(a:b, u, v)", "correlation", "cor", LKJ(1)),
    ]
    resolved = resolve_priors({"sd(a:b)": "HalfNormal(7)", "cor(a:b)": "LKJ(3)"}, slots)
    assert list(resolved.values()) == [HalfNormal(7), HalfNormal(7), LKJ(3), LKJ(3)]


def test_a_column_named_like_a_class_is_reached_by_its_name() -> None:
    slots = [*SCHOOLS, ParameterSlot("sd", "coefficient", "coefficients", Normal(0, 1))]
    resolved = resolve_priors({"sd": Normal(3, 1)}, slots)
    assert resolved["sd"] == Normal(3, 1)
    assert resolved["sd(school)"] == HalfNormal(10)


def test_priors_that_suit_both_kinds() -> None:
    resolved = resolve_priors({"Intercept": Uniform(-5, 5), "sd(school)": Uniform(0, 5)}, SCHOOLS)
    assert resolved == {"Intercept": Uniform(-5, 5), "sd(school)": Uniform(0, 5)}
    assert resolve_priors({"sd": VariancePower(-0.5)}, SCHOOLS)["sd(school)"] == VariancePower(-0.5)


@pytest.mark.parametrize(
    ("given", "slots", "message"),
    [
        (
            {"sd(scool)": "HalfNormal(1)"},
            SCHOOLS,
            "priors: 'sd(scool)' matches no parameter; did you mean sd(school)? The parameters are "
            "Intercept, sd(school); the classes are coefficients, sd",
        ),
        ({"sd(g,y)": "HalfNormal(1)"}, SLOPES, "; did you mean sd(g, x)?"),
        ({"intercept": "Flat"}, SLOPES, "; did you mean Intercept?"),
        ({"nonsense": "Flat"}, SCHOOLS, "priors: 'nonsense' matches no parameter. The parameters are"),
        ({"cor": "LKJ(1)"}, SCHOOLS, "'cor' matches no parameter"),
        ({"sigma": "HalfNormal(1)"}, SCHOOLS, "'sigma' matches no parameter"),
        ({3: "Flat"}, SCHOOLS, "priors: the key 3 is not a parameter's name"),
        ({"sd": 3}, SCHOOLS, "prior for 'sd': 3 is not a prior"),
        ({"sd": "HalfNormal(-1)"}, SCHOOLS, "prior for 'sd': HalfNormal: sigma is -1: give a positive"),
        ("HalfNormal(1)", SCHOOLS, "priors is 'HalfNormal(1)': give a mapping such as {'sd(school)':"),
        (
            {"sd(g, x)": Flat(), "sd(g,x)": Flat()},
            SLOPES,
            "priors: 'sd(g, x)' and 'sd(g,x)' are the same, sd(g, x): give one of them",
        ),
        (
            {"cor(g)": LKJ(1), "cor(g, x, Intercept)": LKJ(1)},
            SLOPES,
            "'cor(g)' and 'cor(g, x, Intercept)' are the same, cor(g, Intercept, x)",
        ),
        ({" sd": Flat(), "sd": Flat()}, SCHOOLS, "priors: ' sd' and 'sd' are the same, sd(school)"),
    ],
)
def test_wrong_keys_are_refused(given: object, slots: tuple[ParameterSlot, ...], message: str) -> None:
    with pytest.raises(PriorError, match=re.escape(message)):
        resolve_priors(given, slots)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "prior", "message"),
    [
        (
            "sd(h)",
            Normal(0, 2),
            "prior for sd(h): Normal(0, 2) does not suit a standard deviation: give HalfNormal(2)",
        ),
        ("sd(h)", Cauchy(0, 2), "give HalfCauchy(2)"),
        ("sd(h)", StudentT(3, 0, 2), "give HalfStudentT(3, 2)"),
        ("sigma", Normal(0, 2), "prior for sigma: Normal(0, 2) does not suit a standard deviation"),
        ("sd(h)", LKJ(2), "LKJ(2) does not suit a standard deviation: give HalfNormal, HalfCauchy"),
        ("sd", LKJ(2), "prior for sd(g, Intercept) (key 'sd'): LKJ(2) does not suit a standard deviation"),
        ("x", HalfNormal(2), "prior for x: HalfNormal(2) does not suit a coefficient: give Normal(0, 2)"),
        ("x", HalfCauchy(2), "give Cauchy(0, 2)"),
        ("x", HalfStudentT(3, 2), "give StudentT(3, 0, 2)"),
        ("x", Gamma(2, 1), "does not suit a coefficient: give Normal, StudentT, Cauchy, Uniform, Flat or Fixed"),
        ("x", VariancePower(-1), "VariancePower(-1) does not suit a coefficient"),
        ("x", LKJ(1), "LKJ(1) does not suit a coefficient"),
        ("cor(g)", Uniform(-1, 1), "Uniform(-1, 1) does not suit a correlation matrix: give LKJ"),
        (
            "sd(h)",
            Uniform(-1, 5),
            "prior for sd(h): Uniform(-1, 5) reaches below 0, a standard deviation does not: give Uniform(0, 5)",
        ),
        ("sd(h)", Uniform(-3, -1), "give Uniform(0, upper)"),
        ("sigma", Uniform(float("-inf"), None), "give Uniform(0, inf)"),
    ],
)
def test_unsuitable_priors_are_refused_with_what_suits(key: str, prior: Prior, message: str) -> None:
    with pytest.raises(PriorError, match=re.escape(message)):
        resolve_priors({key: prior}, SLOPES)


def test_ambiguous_names_are_refused() -> None:
    twice = [*SCHOOLS, SCHOOLS[0]]
    with pytest.raises(PriorError, match="two parameters are called Intercept: rename the data column"):
        resolve_priors(None, twice)
    spaced = [
        ParameterSlot("a b", "coefficient", "coefficients", Flat()),
        ParameterSlot("ab", "coefficient", "coefficients", Flat()),
    ]
    assert resolve_priors({"ab": Normal(0, 1)}, spaced) == {"a b": Flat(), "ab": Normal(0, 1)}
    with pytest.raises(PriorError, match="priors: 'a  b' could be a b and ab: write the full name"):
        resolve_priors({"a  b": Normal(0, 1)}, spaced)


@pytest.mark.parametrize(
    ("key", "said"),
    [("tau", "'tau' matches no parameter; tau is sd(school) here. The"), ("mu", "mu is Intercept here. The")],
)
def test_letters_of_texts_are_named(key: str, said: str) -> None:
    with pytest.raises(PriorError, match=re.escape(said)):
        resolve_priors({key: "HalfNormal(1)"}, SCHOOLS)

"""Values that a parameter cannot have, and where a given one is not taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import DataError, IdentificationError, PriorError, PriorWarning

RNG = np.random.default_rng(1)
DATA: dict[str, Any] = {
    "y": RNG.normal(size=24),
    "k": RNG.binomial(6, 0.3, 24),
    "x": RNG.normal(size=24),
    "z": RNG.normal(size=24),
    "g": np.repeat(np.arange(6), 4),
}


@pytest.mark.parametrize(
    ("formula", "priors", "said"),
    [
        ("y ~ x + (1 | g)", {"sigma": "Fixed(0)"}, "prior for sigma: Fixed(0) is no value of it: a standard deviation"),
        ("y ~ x + (1 | g)", {"sd(g)": "Fixed(-1)"}, "a standard deviation is 0 or more"),
        ("y ~ x + (x | g)", {"cor": "Fixed(1)"}, "a correlation lies between -1 and 1"),
        (
            "y ~ x + (x + z | g)",
            {"cor": "Fixed(-.6)"},
            "no 3 effects have all correlations -0.6: give a value above -0.5",
        ),
        ("y ~ x + (1 | g)", {"x": "Fixed"}, "Fixed: value not given: write Fixed(value)"),
    ],
)
def test_values_that_cannot_be(formula: str, priors: dict[str, str], said: str) -> None:
    with pytest.raises(PriorError) as caught:
        pp.fit(formula, DATA, priors=priors)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("priors", "said"),
    [
        ({"mean": "Fixed(1.2)", "concentration": "Fixed(4)"}, "prior for mean: Fixed(1.2) is no value of it: it lies"),
        ({"alpha": "Fixed(0)", "beta": "Fixed(4)"}, "prior for alpha: Fixed(0) is no value of it: it is above 0"),
        ({"alpha": "Fixed(2)", "mean": "Fixed(.5)"}, "give them on alpha and beta, on mean and concentration"),
        ({"(alpha, beta)": "Fixed(2)"}, "does not suit a pair of shapes"),
    ],
)
def test_values_of_a_pair_that_cannot_be(priors: dict[str, str], said: str) -> None:
    with pytest.raises(PriorError) as caught:
        pp.fit("k ~ 1 + (1 | g)", DATA, family="binomial", trials=6, population="beta", priors=priors)
    assert said in str(caught.value)


def test_empirical_bayes_takes_sigma_alone() -> None:
    with pytest.raises(
        PriorError, match=r"prior for sd\(g\): Fixed\(1\) is a given value, and method='empirical_bayes'"
    ):
        pp.fit("y ~ x + (1 | g)", DATA, priors={"sd(g)": "Fixed(1)"}, method="empirical_bayes")
    one = {"y": [1.0, 2.0, 4.0], "g": ["a"] * 3}
    with pytest.raises(IdentificationError, match=r"has one group \('a'\): sd\(g\) cannot be estimated from one group"):
        pp.fit("y ~ 1 + (1 | g)", one, method="empirical_bayes")


def test_one_group_under_a_default_prior_is_warned_of() -> None:
    with pytest.warns(
        PriorWarning, match=r"has one group \('a'\).* rests on the default prior of Intercept and sd\(g\), made"
    ):
        pp.fit("y ~ 1 + (1 | g)", {"y": [1.0, 2.0, 4.0], "g": ["a"] * 3})
    with pytest.raises(PriorError, match=r"sd\(g\): under Flat\(\) with 1 group the posterior is improper"):
        pp.fit(
            "y ~ 1 + (1 | g)",
            {"y": [1.0, 2.0, 4.0], "g": ["a"] * 3},
            priors={"sd(g)": "Flat()", "Intercept": "Normal(0, 5)"},
        )


def test_what_a_given_value_lets_the_rows_tell() -> None:
    """A level in every row, a constant response, one row: each is refused beside an unknown sigma alone."""
    each = {"y": [1.0, 2.0, 4.0], "g": ["a", "b", "c"]}
    with pytest.raises(IdentificationError, match="different in every row: sigma and sd"):
        pp.fit("y ~ 1 + (1 | g)", each)
    alone = pp.fit("y ~ 1 + (1 | g)", each, priors={"sigma": "Fixed(2)"}).summary()
    known = pp.fit("y ~ 1 + (1 | g)", each, standard_error=2.0).summary()
    np.testing.assert_allclose(alone.drop("sigma"), known, rtol=1e-6)
    with pytest.raises(DataError, match="one row: sigma cannot be learned from it"):
        pp.fit("y ~ 1", {"y": [1.0]})
    line = pp.fit("y ~ 1", {"y": [1.0]}, priors={"sigma": "Fixed(2)", "Intercept": "Normal(0, 2)"}).summary().iloc[0]
    np.testing.assert_allclose(line[["mean", "sd"]].to_numpy(dtype=float), [0.5, 2.0**0.5])


def test_without_pooling_a_given_coefficient_is_every_groups() -> None:
    fit = pp.fit("y ~ x + (x | g)", DATA, pooling="none", priors={"x": "Fixed(.5)", "Intercept": "Normal(0, 1)"})
    slopes = fit.groups().xs("x", level="coefficient")
    np.testing.assert_allclose(slopes["mean"], 0.5)
    np.testing.assert_allclose(slopes["sd"], 0.0, atol=1e-12)
    lifted = {**DATA, "y": DATA["y"] - 0.5 * DATA["x"]}
    other = pp.fit(
        "y ~ 1 + (1 | g)",
        lifted,
        pooling="none",
        priors={"Intercept": "Normal(0, 1)", "sigma": str(fit.priors["sigma"])},
    )
    np.testing.assert_allclose(
        fit.groups().xs("Intercept", level="coefficient")["mean"].to_numpy(),
        other.groups()["mean"].to_numpy(),
        atol=2e-3,
    )

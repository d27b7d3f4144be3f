"""What sigma='pooled by group' refuses, and the remedy that it names."""

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import (
    DataError,
    FormulaError,
    IdentificationError,
    NotYetError,
    PriorError,
    PriorWarning,
    UnequalNoiseWarning,
)

RNG = np.random.default_rng(1)
ROWS = {
    "g": np.repeat(["a", "b", "c", "d"], 4),
    "h": np.tile(["p", "q"], 8),
    "x": RNG.standard_normal(16),
    "y": RNG.standard_normal(16),
    "se": np.ones(16),
    "c": ["none"] * 15 + ["right"],
}


def _fit(formula="y ~ 1 + (1 | g)", data=ROWS, **options):
    return pp.fit(formula, data, sigma="pooled by group", **options)


@pytest.mark.parametrize(
    ("formula", "error", "said"),
    [
        ("y ~ x", FormulaError, r"needs a group term, such as \(1 \| g\)"),
        ("y ~ x + (x | g)", NotYetError, r"write \(1 \| g\), the columns \(x\) without the bar"),
        ("y ~ 1 + (1 | g) + (1 | h)", NotYetError, "one grouping factor, and here are g and h: keep the factor"),
        ("y ~ 1 + (1 | g/h)", NotYetError, "one grouping factor, and here are g and g:h"),
    ],
)
def test_other_effects_are_refused_by_name(formula, error, said):
    with pytest.raises(error, match=said):
        _fit(formula)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"family": "student_t"}, NotYetError, "drop family='student_t', or leave sigma='common'"),
        ({"link": "log"}, NotYetError, "drop link='log'"),
        ({"population": "student_t"}, NotYetError, "drop population='student_t'"),
        ({"censored": "c"}, NotYetError, "drop censored="),
        ({"truncation": (-9, None)}, NotYetError, "drop truncation="),
        ({"standard_error": "se"}, DataError, "the noise is known: drop one of them"),
        ({"method": "empirical_bayes"}, NotYetError, "leave method='auto'"),
        ({"method": "grid"}, NotYetError, "leave method='auto'"),
        ({"pooling": "none"}, DataError, "write sigma='by group'"),
        ({"pooling": "complete"}, DataError, "write sigma='common'"),
        (
            {"priors": {"sigma": "HalfNormal(1)"}},
            PriorError,
            r"give priors of 'mean\(log sigma\)' and 'sd\(log sigma\)'",
        ),
        ({"priors": {"sd(log sigma)": "Flat()"}}, PriorError, r"prior for sd\(log sigma\).*give a proper one"),
        ({"priors": {"mean(log sigma)": "Flat()"}}, PriorError, r"prior for mean\(log sigma\).*give a proper one"),
        ({"priors": {"sd(log sigma)": "Fixed(-1)"}}, PriorError, "a standard deviation is 0 or more"),
    ],
)
def test_other_models_are_refused_with_a_remedy(options, error, said):
    with pytest.raises(error, match=said):
        _fit(**options)


def test_single_rows_do_not_tell_sigmas():
    with pytest.raises(IdentificationError, match=r"sigma and sd\(g\) cannot be told apart; give standard_error="):
        _fit(data={"y": ROWS["y"], "g": np.arange(16)})
    ones = {"y": ROWS["y"], "g": np.arange(16), "n": np.ones(16, int), "s": np.zeros(16)}
    with pytest.raises(IdentificationError, match="is different in every row"):
        _fit(data=ones, size="n", sd="s")
    with pytest.raises(IdentificationError, match="give several rows a group, or leave sigma='common'"):
        _fit(data={"y": ROWS["y"], "g": np.arange(16)}, priors={"sd(g)": "Fixed(1)"})


def test_one_group_of_several_rows_rests_on_the_prior():
    data = {"y": ROWS["y"][:8], "g": ["a"] * 4 + ["b", "c", "d", "e"]}
    with pytest.warns(PriorWarning, match=r"one group of g \('a'\).*rests on the default prior of sd\(log sigma\)"):
        _fit(data=data, accuracy=0.1)
    _fit(data=data, priors={"sd(log sigma)": "Fixed(0.5)"}, accuracy=0.1)


def test_rows_without_scatter_are_refused():
    with pytest.raises(IdentificationError, match="the response is the same in every row of each group of g"):
        _fit(data={"y": np.repeat([1.0, 2.0, 3.0, 4.0], 4), "g": ROWS["g"]})


def test_a_group_of_equal_rows_needs_a_bounded_spread_of_sigmas():
    data = {**ROWS, "y": np.where(ROWS["g"] == "b", 1.0, ROWS["y"])}
    with pytest.raises(IdentificationError, match=r"group 'b' of g has the same response .*'Uniform\(0, 1\)'"):
        _fit(data=data)
    fit = _fit(data=data, priors={"sd(log sigma)": "Uniform(0, 1)"}, accuracy=0.1)
    sigmas = fit.groups()["sigma"]
    assert sigmas["b"] < 0.5 * sigmas.drop("b").min()
    # two equal rows have a likelihood like 1 / sigma, whose mean exists under the default prior
    pair = {"y": np.append(ROWS["y"], [1.0, 1.0]), "g": np.append(ROWS["g"], ["e", "e"])}
    assert np.isfinite(_fit(data=pair, accuracy=0.1).groups()["sigma"]).all()


def test_warnings_of_unequal_noise_name_it():
    sds = np.repeat([0.2, 4.0], 15)
    rows = {"y": np.random.default_rng(2).standard_normal(600) * np.repeat(sds, 20), "g": np.repeat(np.arange(30), 20)}
    with pytest.warns(UnequalNoiseWarning, match="Write sigma='pooled by group'"):
        pp.fit("y ~ 1 + (1 | g)", rows)
    means = {"y": np.arange(30.0), "g": np.arange(30), "n": np.full(30, 20), "s": sds}
    with pytest.warns(UnequalNoiseWarning, match="sigma='pooled by group' learns a sigma of each"):
        pp.fit("y ~ 1 + (1 | g)", means, size="n", sd="s")


def test_partial_pooling_with_unpooled_sigmas_names_it():
    with pytest.raises(NotYetError, match="write sigma='pooled by group'"):
        pp.fit("y ~ 1 + (1 | g)", ROWS, sigma="by group")

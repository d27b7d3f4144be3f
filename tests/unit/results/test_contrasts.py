"""Contrasts and differences of groups: against dense algebra, draws, and each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.results.contrast_terms import write_contrast

from .dense_fit import DenseFit, solve_densely
from .several import PRIORS, fit_several, make_data


@pytest.fixture(scope="module", params=["crossed slopes", "three", "standard errors"])
def dense(request: pytest.FixtureRequest) -> DenseFit:
    return solve_densely(fit_several(request.param))


def test_any_weights_agree_with_dense_algebra(dense: DenseFit) -> None:
    """Weights that sum to 0, so that the population cancels, and weights that do not."""
    for factor, group in enumerate(dense.fit.fitted.model.groups):
        for weights in ([1.0, -0.5, -0.5], [1.0, 0.5, -0.2]):
            table = dense.fit.contrast(group.name, dict(zip(group.labels[:3], weights, strict=True)))
            assert len(table) == len(group.names)
            for effect in range(len(group.names)):
                vector = sum(w * dense.theta(factor, effect, level) for level, w in enumerate(weights))
                mean, sd, above = dense.mixture(np.asarray(vector))
                line = table.iloc[effect]
                assert abs(line["mean"] - mean) < 1e-6 * sd
                assert line["sd"] == pytest.approx(sd, rel=1e-6)
                assert line["P(>0)"] == pytest.approx(above, abs=1e-6)


def test_differences_are_the_contrasts_of_all_pairs() -> None:
    fit = fit_several("crossed slopes")
    table = fit.differences("sample")
    assert list(table.index.names) == ["sample", "minus"]
    labels = fit.fitted.model.groups[1].labels
    assert list(table.index) == [(a, b) for i, a in enumerate(labels) for b in labels[i + 1 :]]
    for first, second in table.index:
        np.testing.assert_allclose(table.loc[(first, second)], fit.contrast("sample", first, second).iloc[0], rtol=1e-9)
    plates = fit.differences("plate", to=2)
    assert list(plates.index.names) == ["plate", "minus", "coefficient"]
    assert list(plates.index)[:3] == [(1, 2, "Intercept"), (1, 2, "x"), (3, 2, "Intercept")]
    assert len(plates) == 2 * 5
    other = fit.contrast("plate", 5, 2)
    np.testing.assert_allclose(plates.loc[(5, 2)], other.loc["5 - 2"], rtol=1e-9)


def test_a_difference_turned_round_is_its_negative() -> None:
    fit = fit_several("nested")
    one = fit.contrast("batch", "A", "C", quantiles=(0.1, 0.9)).iloc[0]
    two = fit.contrast("batch", "C", "A", quantiles=(0.1, 0.9)).iloc[0]
    assert two["mean"] == pytest.approx(-one["mean"], rel=1e-12)
    assert two["sd"] == pytest.approx(one["sd"], rel=1e-12)
    assert two["q10"] == pytest.approx(-one["q90"], abs=1e-5 * one["sd"])
    assert one["P(>0)"] + two["P(>0)"] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("method", ["auto", "importance"])
def test_schools_agree_with_draws(method: str) -> None:
    """The probability, the quantiles and the sd, which is below that of independent groups."""
    fit = pp.fit("effect ~ 1 + (1 | school)", pp.datasets.eight_schools(), standard_error="se", method=method)  # type: ignore[arg-type]
    line = fit.contrast("school", "A", "C", quantiles=(0.05, 0.5, 0.95)).iloc[0]
    n = 40_000
    draws = fit.draws(n, seed=2)
    difference = draws["theta[school=A]"] - draws["theta[school=C]"]
    assert abs(np.mean(difference > 0) - line["P(>0)"]) < 5 * np.sqrt(0.25 / n)
    assert abs(difference.mean() - line["mean"]) < 5 * line["sd"] / np.sqrt(n)
    assert abs(difference.std() / line["sd"] - 1) < 0.03
    below = [np.mean(difference < line[name]) for name in ("q5", "q50", "q95")]
    np.testing.assert_allclose(below, [0.05, 0.5, 0.95], atol=0.012)


def test_overlapping_intervals_are_no_test() -> None:
    """Two groups whose 90 % intervals overlap while the difference is positive with more than 97 % probability."""
    data = {"y": [0.0, 2.6, 1.2], "se": [1.0, 1.0, 1.0], "g": ["a", "b", "c"]}
    priors = {"Intercept": "Normal(0, 10)", "sd(g)": "Uniform(5, 6)"}
    fit = pp.fit("y ~ 1 + (1 | g)", data, standard_error="se", priors=priors)
    groups = fit.groups()
    assert groups.loc["b", "q5"] < groups.loc["a", "q95"]
    difference = fit.contrast("g", "b", "a")
    assert difference["P(>0)"].item() > 0.95


def test_without_a_population_groups_are_independent() -> None:
    """No pooling under flat priors: the difference of two means, with the variances' sum."""
    data = {"y": [1.0, 3.0, 2.0], "se": [0.5, 1.0, 2.0], "g": ["a", "b", "c"]}
    flat = {"Intercept": "Flat"}
    fit = pp.fit("y ~ 1 + (1 | g)", data, standard_error="se", pooling="none", priors=flat)
    line = fit.contrast("g", "b", "a").iloc[0]
    assert line["mean"] == pytest.approx(2.0, rel=1e-8)
    assert line["sd"] == pytest.approx(np.sqrt(1.25), rel=1e-8)


def test_groups_that_an_estimate_makes_equal_differ_by_nothing() -> None:
    """Restricted maximum likelihood of the schools is an sd of 0: no group is above another."""
    schools = pp.datasets.eight_schools()
    fit = pp.fit("effect ~ 1 + (1 | school)", schools, standard_error="se", method="empirical_bayes")
    line = fit.contrast("school", "A", "C").iloc[0]
    assert (line["mean"], line["sd"], line["P(>0)"]) == (0.0, 0.0, 0.0)


def test_many_groups_against_one() -> None:
    """More groups than pairs are made of: each against one, in the order of the data's levels."""
    rng = np.random.default_rng(3)
    data: dict[str, Any] = {"y": rng.normal(size=500), "s": np.full(500, 0.5), "g": np.arange(500)}
    fit = pp.fit("y ~ 1 + (1 | g)", data, standard_error="s", priors={"Intercept": PRIORS["coefficients"]})
    table = fit.differences("g", to=7)
    assert len(table) == 499
    line = fit.contrast("g", 321, 7).iloc[0]
    np.testing.assert_allclose(table.loc[(321, 7), ["mean", "sd"]], line[["mean", "sd"]], rtol=1e-4)
    np.testing.assert_allclose(table.loc[(321, 7), "P(>0)"], line["P(>0)"], atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "weights", "text"),
    [
        (["A", "B"], [1.0, -1.0], "A - B"),
        (["A", "B", "C"], [-1.0, 0.25, 2.0], "-A + 0.25*B + 2*C"),
        (["308", "309"], [1.0, -1.0], "308 - 309"),
        (["s t", "a-b", "it's", ""], [1.0, -1.0, 1 / 3, 1.0], r"'s t' - 'a-b' + 0.333333*'it\'s' + ''"),
    ],
)
def test_a_contrast_is_written_as_it_was_meant(labels: list[str], weights: list[float], text: str) -> None:
    assert write_contrast(labels, weights) == text


def test_levels_by_label_value_and_tuple() -> None:
    fit = fit_several("nested")
    by_label = fit.contrast("batch:cask", "A:a", "B:c")
    by_tuple = fit.contrast("batch:cask", ("A", "a"), ("B", "c"))
    assert by_label.equals(by_tuple)
    half = {"y": make_data()["y"], "g": make_data()["plate"] / 2}
    halves = pp.fit("y ~ 1 + (1 | g)", half, priors=PRIORS)
    assert halves.contrast("g", 0.5, 1.0).equals(halves.contrast("g", "0.5", "1"))
    assert halves.contrast("g", 0.5, np.int64(1)).equals(halves.contrast("g", np.float64(0.5), 1))

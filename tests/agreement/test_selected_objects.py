"""Selected objects: marginal likelihoods and posteriors against brute force, in all populations and rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import partialpool as pp
from partialpool.errors import ModelWarning
from partialpool.inference.contract import LatentMarginal
from partialpool.inference.run_quadrature import build_latent_marginal
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.models.latent_arguments import choose_likelihood
from partialpool.models.latent_model import build_latent_model
from partialpool.models.space.hyper_gradient import pull_back

from .selected_brute import CASES, SelectedCase

FloatArray = np.ndarray
PRIORS = {"Intercept": "Normal(0, 10)", "sd(g)": "HalfNormal(2)"}


def _build(case: SelectedCase) -> tuple[LatentMarginal, FloatArray]:
    """Return a case's marginal likelihood, fine enough at some coordinates (node, dimension), and these."""
    told = dict(case.options)
    family, link, population = told.pop("family", "gaussian"), told.pop("link", None), told.pop("population", None)
    formula = parse_formula(case.formula)
    observations = read_observations(case.data, formula, family=family, **told, **case.selection)
    design = build_design(formula, observations)
    chosen, people = choose_likelihood(design, family, link, population, lambda row: f"row {row}")
    model = build_latent_model(design, chosen, people, None, "partial")
    start = model.space.starts()[3]
    coordinates = start + 0.4 * np.random.default_rng(4).standard_normal((3, len(start)))
    return build_latent_marginal(model).refine(model.space.constrain(coordinates)[0]), coordinates


@pytest.mark.parametrize("name", list(CASES))
def test_marginal_likelihood(name: str) -> None:
    marginal, coordinates = _build(CASES[name])
    space = marginal.model.space
    points = space.constrain(coordinates)[0]
    named = [dict(zip(space.names, values, strict=True)) for values in space.natural_values(points).tolist()]
    expected = [CASES[name].log_likelihood(values) for values in named]
    # a table of likelihoods may be as far off as a refinement may move it
    np.testing.assert_allclose(marginal.log_likelihood(points), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", list(CASES))
def test_gradient(name: str) -> None:
    marginal, coordinates = _build(CASES[name])
    space, step = marginal.model.space, 1e-5
    points = space.constrain(coordinates)[0]
    value, gradient = marginal.value_and_gradient(points)
    np.testing.assert_allclose(value, marginal.log_likelihood(points), rtol=1e-12)
    found = pull_back(space, coordinates, points, gradient)
    for k, direction in enumerate(step * np.eye(space.dimension)):
        up, down = (marginal.log_likelihood(space.constrain(coordinates + s * direction)[0]) for s in (1.0, -1.0))
        np.testing.assert_allclose(found[:, k], (up - down) / (2 * step), rtol=1e-3, atol=2e-3)


def _survey() -> FloatArray:
    """306 of 500 objects, those measured above 1.8."""
    rng = np.random.default_rng(3)
    theta = 2 + 0.7 * rng.normal(size=500)
    measured = theta + 0.4 * rng.normal(size=500)
    return measured[measured > 1.8]


def _weigh(v: FloatArray, mu: FloatArray, tau: FloatArray, *, objects: bool) -> FloatArray:
    """Return the posterior (mu, tau) of equal standard errors .4 on a grid."""
    total = np.sqrt(0.16 + tau**2)
    mean, n = v.mean(), len(v)
    log_density = -n * np.log(total) - 0.5 * (((v - mean) ** 2).sum() + n * (mean - mu) ** 2) / total**2
    if objects:
        log_density = log_density - n * stats.norm.logsf(1.8, mu, total)
    log_density = log_density + stats.norm.logpdf(mu, 0, 10) + stats.norm.logpdf(tau, 0, 2)
    weights = np.exp(log_density - log_density.max())
    return weights / weights.sum()


def _moments(values: FloatArray, weights: FloatArray) -> tuple[float, float]:
    mean = float(np.sum(values * weights))
    return mean, float(np.sqrt(np.sum((values - mean) ** 2 * weights)))


@pytest.fixture(scope="module")
def survey() -> tuple[dict[str, Any], pp.Posterior]:
    v = _survey()
    data = {"v": v, "g": np.arange(len(v)), "se": np.full(len(v), 0.4)}
    return data, pp.fit(
        "v ~ 1 + (1 | g)", data, standard_error="se", priors=PRIORS, selection=(1.8, None), accuracy=0.03
    )


def test_a_survey_on_a_dense_grid(survey: tuple[dict[str, Any], pp.Posterior]) -> None:
    data, fit = survey
    mu, tau = np.linspace(-2.0, 3.5, 1101)[:, None], np.linspace(0.0, 2.5, 801)[None]
    weights = _weigh(data["v"], mu, tau, objects=True)
    expected = [_moments(mu, weights), _moments(tau, weights)]
    np.testing.assert_allclose(expected, [(2.005, 0.190), (0.696, 0.101)], rtol=0, atol=6e-4)
    found = fit.summary()
    for name, (mean, sd) in zip(("Intercept", "sd(g)"), expected, strict=True):
        assert abs(found["mean"][name] - mean) < 0.03 * sd
        assert abs(found["sd"][name] / sd - 1.0) < 0.03
    assert "objects selected in (1.8, inf)" in " ".join(str(fit).split())


def test_objects_are_pooled_as_without_selection(survey: tuple[dict[str, Any], pp.Posterior]) -> None:
    """Given the population a selected object's own value is normal about the weighted mean of it and the population."""
    data, fit = survey
    mu, tau = np.linspace(0.0, 3.0, 301)[:, None], np.linspace(0.2, 1.6, 281)[None]
    weights = _weigh(data["v"], mu, tau, objects=True)
    shrinkage = tau**2 / (tau**2 + 0.16)
    groups = fit.groups()
    for place in (0, 17, 300):
        conditional = mu + shrinkage * (data["v"][place] - mu)
        mean, spread = _moments(conditional, weights)
        sd = np.sqrt(spread**2 + np.sum(weights * shrinkage * 0.16))
        assert abs(groups["mean"].iloc[place] - mean) < 0.01
        assert abs(groups["sd"].iloc[place] / sd - 1.0) < 0.02
        assert groups["raw"].iloc[place] == pytest.approx(data["v"][place], abs=1e-6)


def test_truncated_rows_are_another_model_and_say_so(survey: tuple[dict[str, Any], pp.Posterior]) -> None:
    """A row's density given its object's own value, divided by its chance there, then integrated over the object."""
    data, _ = survey
    with pytest.warns(ModelWarning, match="each has one row.*the answer changes: give selection="):
        fit = pp.fit("v ~ 1 + (1 | g)", data, standard_error="se", priors=PRIORS, truncation=(1.8, None), accuracy=0.1)
    assert "rows truncated to (1.8, inf)" in " ".join(str(fit).split())
    found = fit.summary()
    # sums over 2,001 values of the object at 121 x 101 points
    assert found["mean"]["Intercept"] == pytest.approx(2.396, abs=0.006)
    assert found["sd"]["Intercept"] == pytest.approx(0.043, abs=0.004)
    assert found["mean"]["sd(g)"] == pytest.approx(0.534, abs=0.006)
    assert found["sd"]["sd(g)"] == pytest.approx(0.045, abs=0.003)


SEVERAL = {"y": [2.1, 1.6, 2.9, 3.3, 1.9, 2.2, 4.0, 1.7, 2.4], "g": list("aabbccdde"), "se": [0.5] * 9}


def test_one_row_an_object_needs_no_rule_and_all_rules_agree() -> None:
    rows = {name: column[::2] for name, column in SEVERAL.items()}
    told: dict[str, Any] = {"standard_error": "se", "selection": (1.5, None), "method": "empirical_bayes"}
    expected = pp.fit("y ~ 1 + (1 | g)", rows, **told).summary()
    for rule in ("any", "all", "first"):
        found = pp.fit("y ~ 1 + (1 | g)", rows, selection_rows=rule, **told).summary()
        np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-5)


def test_limits_that_everything_passes_change_nothing() -> None:
    told: dict[str, Any] = {"standard_error": "se", "priors": PRIORS}
    expected = pp.fit("y ~ 1 + (1 | g)", SEVERAL, **told).summary()
    told |= {"selection": (-500.0, None), "selection_rows": "first"}
    np.testing.assert_allclose(pp.fit("y ~ 1 + (1 | g)", SEVERAL, **told).summary(), expected, rtol=0.01)


def test_a_narrow_curve_is_a_sharp_limit() -> None:
    told: dict[str, Any] = {"standard_error": "se", "method": "empirical_bayes", "selection_rows": "all"}
    sharp = pp.fit("y ~ 1 + (1 | g)", SEVERAL, selection=(None, 4.5), **told).summary()
    curve = pp.ProbitSelection(limit=4.5, width=1e-4, side="below")
    pd.testing.assert_frame_equal(
        pp.fit("y ~ 1 + (1 | g)", SEVERAL, selection=curve, **told).summary(), sharp, rtol=1e-4
    )


def test_complete_pooling_is_truncation_of_rows() -> None:
    """Without differences between objects the chance of passing is that of the common mean."""
    told: dict[str, Any] = {"standard_error": "se", "priors": {"Intercept": "Normal(0, 10)"}, "pooling": "complete"}
    rows = pp.fit("y ~ 1 + (1 | g)", SEVERAL, truncation=(1.5, None), **told)
    found = pp.fit("y ~ 1 + (1 | g)", SEVERAL, selection=(1.5, None), selection_rows="all", **told)
    pd.testing.assert_frame_equal(found.summary(), rows.summary(), rtol=1e-4)
    told = {"standard_error": "se", "priors": PRIORS, "accuracy": 0.1}
    partial = pp.fit("y ~ 1 + (1 | g)", SEVERAL, selection=(1.5, None), selection_rows="all", **told)
    assert partial.pooling()["complete"].iloc[0] == pytest.approx(rows.summary()["mean"]["Intercept"], abs=0.005)


def test_replicates_are_of_selected_objects() -> None:
    told: dict[str, Any] = {"standard_error": "se", "selection": (1.5, None), "method": "empirical_bayes"}
    y = {}
    for rule in ("any", "all", "first"):
        tree = pp.fit("y ~ 1 + (1 | g)", SEVERAL, selection_rows=rule, **told).to_arviz(400)
        y[rule] = tree["posterior_predictive"]["y"].values.reshape(400, 9)
        assert tree["constant_data"]["selection_lower"].values.tolist() == [1.5] * 9
    assert np.all(y["all"] > 1.5)
    assert np.all(y["first"][:, [0, 2, 4, 6, 8]] > 1.5)
    assert np.any(y["first"][:, 1] < 1.5)
    pairs = y["any"][:, :8].reshape(400, 4, 2)
    assert np.all(pairs.max(axis=2) > 1.5)
    assert np.any(pairs.min(axis=2) < 1.5)


@pytest.mark.parametrize("rule", ["any", "all", "first"])
def test_log_densities_of_rows_are_given_that_their_objects_passed(rule: str) -> None:
    curve = pp.ProbitSelection(limit=1.5, width=0.5)
    told: dict[str, Any] = {"standard_error": "se", "accuracy": 0.1, "selection_rows": rule}
    fit = pp.fit("y ~ 1 + (1 | g)", SEVERAL, selection=curve, **told)
    tree = fit.to_arviz(40)
    theta = tree["posterior"]["theta"].values.reshape(40, 5)[:, [0, 0, 1, 1, 2, 2, 3, 3, 4]]
    own = tree["log_likelihood"]["y"].values.reshape(40, 9)
    passed = stats.norm.cdf((theta - 1.5) / np.hypot(0.5, 0.5))
    plain = stats.norm.logpdf(np.array(SEVERAL["y"]), theta, 0.5)
    by_object = np.add.reduceat(own - plain, [0, 2, 4, 6, 8], axis=1)
    chance = {
        "any": 1.0 - np.multiply.reduceat(1.0 - passed, [0, 2, 4, 6, 8], axis=1),
        "all": np.multiply.reduceat(passed, [0, 2, 4, 6, 8], axis=1),
        "first": passed[:, [0, 2, 4, 6, 8]],
    }[rule]
    np.testing.assert_allclose(by_object, -np.log(chance), rtol=1e-9, atol=1e-12)


def test_new_objects_are_selected_or_not(survey: tuple[dict[str, Any], pp.Posterior]) -> None:
    _, fit = survey
    lines = fit.predict({"g": [999], "se": [0.4]}, standard_error="se").set_index("quantity")
    grown = np.hypot(0.7, 0.4)
    # the population's, not the selected ones': 37 % of new measurements lie below the limit
    assert lines["mean"]["new group, new observation"] == pytest.approx(2.0, abs=0.05)
    assert lines["sd"]["new group, new observation"] == pytest.approx(grown, abs=0.06)


def test_likelihoods_of_whole_objects(survey: tuple[dict[str, Any], pp.Posterior]) -> None:
    data, fit = survey
    tree = fit.to_arviz(40, log_likelihood="group")
    own = tree["log_likelihood"]["v"].values.reshape(40, -1)
    mu, tau = (tree["posterior"][name].values.reshape(40, 1) for name in ("Intercept", "sd(g)"))
    total = np.hypot(tau, 0.4)
    expected = stats.norm.logpdf(data["v"], mu, total) - stats.norm.logsf(1.8, mu, total)
    np.testing.assert_allclose(own, expected, rtol=1e-6, atol=1e-9)

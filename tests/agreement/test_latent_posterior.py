"""Posteriors of counts, proportions, robust likelihoods and other populations against brute force."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

import partialpool as pp
from partialpool.inference.contract import LatentMarginal
from partialpool.inference.quadrature.adaptive_hermite import AdaptiveHermite
from partialpool.inference.quadrature.population_window import PopulationWindow
from partialpool.models.space.hyper_gradient import pull_back
from partialpool.posterior import Posterior

from .latent_brute import Brute, BruteCase, integrate
from .latent_cases import CASES

_QUANTILES = (0.05, 0.5, 0.95)
_COLUMNS = ("q5", "q50", "q95")


class _Both(NamedTuple):
    case: BruteCase
    fit: Posterior
    brute: Brute


@pytest.fixture(scope="module", params=CASES)
def both(request: pytest.FixtureRequest) -> _Both:
    case = CASES[request.param]
    fit = pp.fit(case.formula, {k: list(v) for k, v in case.data.items()}, priors=case.priors, **case.options)
    assert isinstance(fit, Posterior)
    return _Both(case, fit, integrate(case))


def test_hyperparameters(both: _Both) -> None:
    table = both.fit.summary(quantiles=_QUANTILES)
    assert set(table.index) == {*both.case.axes, *both.case.derived}
    for name in table.index:
        mean, sd = both.brute.mean_sd(name)
        assert abs(table.loc[name, "mean"] - mean) < 0.02 * sd, name
        assert table.loc[name, "sd"] == pytest.approx(sd, rel=0.02), name
        if name in both.case.axes:
            for column, probability in zip(_COLUMNS, _QUANTILES, strict=True):
                assert both.brute.cdf(name, table.loc[name, column]) == pytest.approx(probability, abs=0.01), name


@pytest.mark.parametrize("scale", ["linear", "response"])
def test_groups(both: _Both, scale: str) -> None:
    table = both.fit.groups(scale=scale, quantiles=_QUANTILES)
    assert len(table) == max(both.case.codes) + 1
    for group in range(len(table)):
        line = table.iloc[group]
        mean, sd = both.brute.group_mean_sd(group, scale)
        assert abs(line["mean"] - mean) < 0.02 * sd, group
        assert line["sd"] == pytest.approx(sd, rel=0.02), group
        for column, probability in zip(_COLUMNS, _QUANTILES, strict=True):
            assert both.brute.group_cdf(group, scale, line[column]) == pytest.approx(probability, abs=0.01), group


def test_log_marginal_likelihood(both: _Both) -> None:
    assert both.fit.log_marginal_likelihood == pytest.approx(both.brute.log_marginal_likelihood, abs=0.01)


def refine_much(marginal: LatentMarginal) -> LatentMarginal:
    """Return the marginal with a rule much finer than its own."""
    if isinstance(marginal, AdaptiveHermite):
        return replace(marginal, order=91)
    assert isinstance(marginal, PopulationWindow)
    return (
        marginal
        if type(marginal).__name__ == "ConjugateMarginal"
        else PopulationWindow(marginal.model, marginal.rows, half=300)
    )


def _points(fit: Posterior) -> np.ndarray:
    start = fit.fitted.model.space.starts()[2:4]
    return np.concatenate([start, start + 0.4 * np.random.default_rng(3).standard_normal(start.shape)])


def test_log_likelihood_at_points(both: _Both) -> None:
    space = both.fit.fitted.model.space
    points = space.constrain(_points(both.fit))[0]
    hyper = dict(zip(space.names, space.natural_values(points).T, strict=True))
    with np.errstate(all="ignore"):
        exact = both.case.log_likelihood(hyper)
    np.testing.assert_allclose(both.fit.fitted.latent.log_likelihood(points), exact, rtol=0, atol=1e-3)
    np.testing.assert_allclose(refine_much(both.fit.fitted.latent).log_likelihood(points), exact, rtol=0, atol=1e-6)


def test_gradient(both: _Both) -> None:
    space, coordinates = both.fit.fitted.model.space, _points(both.fit)
    fine = refine_much(both.fit.fitted.latent)
    points = space.constrain(coordinates)[0]
    value, gradient = fine.value_and_gradient(points)
    np.testing.assert_allclose(value, fine.log_likelihood(points), rtol=1e-10)
    found = pull_back(space, coordinates, points, gradient)
    step = 1e-4
    for k in range(space.dimension):
        ends = [
            fine.log_likelihood(space.constrain(coordinates + sign * step * np.eye(space.dimension)[k])[0])
            for sign in (1, -1)
        ]
        np.testing.assert_allclose(found[:, k], (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-5)


def test_draws(both: _Both) -> None:
    draws, n = both.fit.draws(4000, seed=1), 4000
    for group, label in enumerate(dict.fromkeys(both.case.data["g"])):
        values = draws[f"theta[g={label}]"]
        mean, sd = both.brute.group_mean_sd(group, "linear")
        assert abs(np.mean(values) - mean) < 4.5 * sd / np.sqrt(n), label
    for name in both.case.axes:
        mean, sd = both.brute.mean_sd(name)
        assert abs(np.mean(draws[name]) - mean) < 4.5 * sd / np.sqrt(n), name

"""Response and covariate in other units, or moved: the posterior moves with them, and nothing else changes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.models.priors import Prior

from .agreement import GRID, largest_difference, read_summaries
from .problems import DEFAULTS, ESTIMATES, INTERCEPTS, PROBLEMS, SLOPES, WITH_DEFAULTS, Problem

with_defaults = pytest.mark.parametrize("problem", WITH_DEFAULTS, ids=lambda problem: problem.name)


def rescale_prior(prior: Prior, scale: float, shift: float = 0.0) -> Prior:
    """Return the prior of scale * parameter + shift."""
    match prior:
        case pp.Normal(mu, sigma):
            return pp.Normal(scale * mu + shift, abs(scale) * sigma)
        case pp.HalfNormal(sigma):
            return pp.HalfNormal(abs(scale) * sigma)
        case pp.Exponential(rate):
            return pp.Exponential(rate / abs(scale))
        case pp.LKJ():
            return prior
    raise TypeError(type(prior))


def change_response(problem: Problem, scale: float, shift: float = 0.0) -> pp.Posterior:
    """Fit scale * y + shift under the priors that follow."""
    data: dict[str, Any] = problem.data | {"y": scale * problem.data["y"] + shift}
    if "se" in data:
        data["se"] = abs(scale) * data["se"]
    priors = problem.priors and {
        name: rescale_prior(prior, scale, shift if name == "Intercept" else 0.0)
        for name, prior in problem.priors.items()
    }
    return problem.fit(data, priors=priors)


def moves(problem: Problem, names: list[str], scale: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much each line of the summaries should be multiplied, and what be added."""
    scales = [1.0 if name.startswith("cor(") else scale for name in names]
    return np.array(scales), np.array([shift if name == "Intercept" else 0.0 for name in names])


def line_names(fit: pp.Posterior) -> list[str]:
    """Return the parameter that each line of ``read_summaries`` is or deviates from."""
    lines = fit.groups().reset_index().sort_values(fit.groups().index.names[0], kind="stable")
    effects = lines.iloc[:, 1] if fit.groups().index.nlevels > 1 else ["Intercept"] * len(lines)
    return [*fit.summary().index, *effects]


@with_defaults
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 40.0), (1e6, 0.0), (1e-6, 0.0), (-1e3, -7e4)])
def test_response_in_other_units(problem: Problem, scale: float, shift: float) -> None:
    own, its = problem.own, change_response(problem, scale, shift)
    scales, shifts = moves(problem, line_names(own), scale, shift)
    sds = np.array([name.startswith(("sd(", "sigma")) for name in line_names(own)])
    scales[sds] = np.abs(scales[sds])
    one, other = problem.summaries, read_summaries(its)
    assert largest_difference(one, other, scales, shifts) < problem.tolerance
    n = len(problem.data["y"])
    assert abs(other.log_marginal_likelihood + n * np.log(abs(scale)) - one.log_marginal_likelihood) < problem.tolerance


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_response_far_from_zero(problem: Problem) -> None:
    shift = 2.0**27
    # whole multiples of 2^-20, so that the sum with the shift is exact
    problem = dataclasses.replace(problem, data=problem.data | {"y": np.round(problem.data["y"] * 2**20) / 2**20})
    its = change_response(problem, 1.0, shift)
    _, shifts = moves(problem, line_names(its), 1.0, shift)
    one, other = problem.summaries, read_summaries(its)
    assert np.max(np.abs(other.sd - one.sd) / one.sd) < problem.tolerance
    # a mean near 2^27 is printed to 2^-26, and is a sum of a few such numbers
    unit = np.where(shifts > 0.0, 6.0 * 2.0**-26, 0.0)
    assert np.all(np.abs(other.mean - one.mean - shifts) < problem.tolerance * one.sd + unit)


@pytest.mark.parametrize("default", [False, True], ids=["", "default priors"])
@pytest.mark.parametrize("scale", [1e6, -1e-6, 1e12])
@pytest.mark.parametrize("problem", [INTERCEPTS, SLOPES], ids=lambda problem: problem.name)
def test_covariate_in_other_units(problem: Problem, scale: float, default: bool) -> None:
    if default:
        problem = DEFAULTS[problem.name]
    priors = problem.priors and {
        name: rescale_prior(prior, 1.0 / scale) if name in ("x", "sd(g, x)") else prior
        for name, prior in problem.priors.items()
    }
    own, its = problem.own, problem.fit(problem.data | {"x": scale * problem.data["x"]}, priors=priors)
    names = line_names(own)
    scales = np.array([1.0 / scale if name == "x" else 1.0 for name in names])
    scales[[name == "sd(g, x)" for name in names]] = 1.0 / abs(scale)
    scales[[name.startswith("cor(") for name in names]] = np.sign(scale)
    one, other = problem.summaries, read_summaries(its)
    assert largest_difference(one, other, scales) < problem.tolerance
    assert abs(other.log_marginal_likelihood - one.log_marginal_likelihood) < problem.tolerance


@pytest.mark.parametrize("offset", [1e6, 1e12])
def test_covariate_far_from_zero(offset: float) -> None:
    """The intercept is at x = 0, far away: what the rows know are the slope and the predictions."""
    # whole numbers, so that moving them by 1e12 loses nothing
    data = INTERCEPTS.data | {"x": np.round(10.0 * INTERCEPTS.data["x"])}
    priors = {"Intercept": pp.Flat(), "x": pp.Normal(0, 5), "sd(g)": pp.HalfNormal(2), "sigma": pp.Exponential(0.5)}
    problem = dataclasses.replace(INTERCEPTS, data=data, priors=priors)
    own, its = problem.fit(), problem.fit(data | {"x": data["x"] + offset})
    for table in (own.summary(), its.summary()):
        assert list(table.index) == ["Intercept", "x", "sd(g)", "sigma"]
    one, other = (fit.summary().loc[["x", "sd(g)", "sigma"], ["mean", "sd"]].to_numpy() for fit in (own, its))
    assert np.max(np.abs(one - other) / other[:, 1:]) < GRID
    new = {"g": np.array(list("ABZ")), "x": np.array([3.0, -4.0, 12.0])}
    near, far = own.predict(new), its.predict(new | {"x": new["x"] + offset})
    assert list(near["quantity"]) == list(far["quantity"])
    # slope * offset is added and taken off again: its last digit bounds what a prediction can be
    last_digit = np.spacing(offset) * abs(own.summary().loc["x", "mean"])
    assert np.all(np.abs(near["mean"] - far["mean"]) < GRID * near["sd"] + last_digit)
    assert np.max(np.abs(near["sd"] - far["sd"]) / near["sd"]) < max(GRID, 2.0 * np.spacing(offset) / np.std(data["x"]))


def test_slopes_vary_as_much_by_calendar_year() -> None:
    """Default priors of correlated slopes should not depend on where the covariate has its zero."""
    rng = np.random.default_rng(3)
    g, t = np.repeat(np.arange(20), 8), np.tile(np.arange(8.0), 20)
    slopes = 0.5 + rng.normal(0.0, 0.2, 20)
    y = 10.0 + rng.normal(0.0, 2.0, 20)[g] + slopes[g] * (t - 3.5) + rng.normal(0.0, 1.5, 160)
    centred, by_year = (
        pp.fit("y ~ t + (1 + t | g)", {"y": y, "t": t + start, "g": g}).summary().loc["sd(g, t)"]
        for start in (-3.5, 2015.0)
    )
    assert abs(centred["mean"] - by_year["mean"]) < 0.1 * centred["sd"]


@pytest.mark.parametrize("default", [False, True], ids=["", "default priors"])
def test_estimates_in_units_too_large_to_square(default: bool) -> None:
    own = ESTIMATES.fit(priors=None if default else ESTIMATES.priors)
    for scale in (2.0**400, 2.0**-400):
        problem = ESTIMATES.with_default_priors() if default else ESTIMATES
        its = change_response(problem, scale)
        assert largest_difference(read_summaries(own), read_summaries(its), scale) < GRID

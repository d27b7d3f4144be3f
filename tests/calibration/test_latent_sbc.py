"""Fits of counts, proportions and populations that are not normal are calibrated, and broken ones are not."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.inference.quadrature import population_window
from partialpool.models.space.hyperspace import ScalarHyperparameter
from partialpool.models.space.shape_pair import ShapePair

from .latent_study import LatentStudy
from .sbc import calibrate

_TEN = np.arange(10)
_TRIALS = np.array([4.0, 7, 10, 12, 15, 18, 20, 25, 30, 40])
_NOISE = np.array([0.4, 0.6, 0.8, 1.0, 1.2, 0.5, 0.7, 0.9, 1.1, 1.3])
_X = np.random.default_rng(30).normal(0.0, 1.0, 80)

LATENT_STUDIES = [
    LatentStudy(
        "binomial, logit-normal",
        "binomial",
        {"Intercept": pp.Normal(-1, 1), "sd(g)": pp.HalfNormal(1)},
        {"g": _TEN},
        columns={"trials": _TRIALS},
    ),
    LatentStudy(
        "binomial, beta population",
        "binomial",
        {"mean": pp.Beta(2, 4), "concentration": pp.LogNormal(1.6, 0.8)},
        {"g": _TEN},
        population="beta",
        columns={"trials": _TRIALS},
    ),
    LatentStudy(
        "Poisson, gamma population",
        "poisson",
        {"alpha": pp.LogNormal(0.7, 0.6), "beta": pp.LogNormal(0.3, 0.7)},
        {"g": _TEN},
        population="gamma",
        columns={"exposure": _TRIALS / 10.0},
    ),
    LatentStudy(
        "Poisson, effects of rows",
        "poisson",
        {"Intercept": pp.Normal(1, 1), "sd(s)": pp.HalfNormal(0.7), "sd(obs)": pp.HalfNormal(0.7)},
        {"s": np.repeat(np.arange(5), 2), "obs": np.arange(10)},
        accuracy=0.06,
    ),
    LatentStudy(
        "Student-t(4) population",
        "gaussian",
        {"Intercept": pp.Normal(0, 3), "sd(g)": pp.HalfNormal(1.5)},
        {"g": _TEN},
        population="student_t(nu=4)",
        columns={"standard_error": _NOISE},
    ),
    LatentStudy(
        "Student-t population, unknown nu",
        "gaussian",
        {"Intercept": pp.Normal(0, 3), "sd(g)": pp.HalfNormal(1.5), "nu(g)": pp.Gamma(2, 0.2)},
        {"g": _TEN},
        population="student_t",
        columns={"standard_error": _NOISE},
    ),
    LatentStudy(
        "lognormal population",
        "gaussian",
        {"Intercept": pp.Normal(1, 0.7), "sd(g)": pp.HalfNormal(0.7)},
        {"g": _TEN},
        population="lognormal",
        columns={"standard_error": _NOISE},
    ),
    LatentStudy(
        "truncated Gaussian",
        "gaussian",
        {"Intercept": pp.Normal(1, 1), "sd(g)": pp.HalfNormal(0.7), "sigma": pp.Gamma(4, 4)},
        {"g": np.repeat(np.arange(8), [3, 4, 5, 6, 3, 4, 5, 6])},
        lower=0.5,
        accuracy=0.06,
    ),
    LatentStudy(
        "selected objects",
        "gaussian",
        {"Intercept": pp.Normal(1, 1), "sd(g)": pp.HalfNormal(1)},
        {"g": _TEN},
        columns={"standard_error": _NOISE},
        lower=0.5,
        selected=True,
        accuracy=0.06,
    ),
    LatentStudy(
        "selected objects, lognormal population",
        "gaussian",
        {"Intercept": pp.Normal(0.5, 0.5), "sd(g)": pp.HalfNormal(0.7)},
        {"g": _TEN},
        population="lognormal",
        columns={"standard_error": np.repeat([0.5, 0.9], 5)},
        lower=1.0,
        selected=True,
        accuracy=0.06,
    ),
    LatentStudy(
        "negative binomial",
        "negative_binomial",
        {
            "Intercept": pp.Normal(1, 1),
            "x": pp.Normal(0, 0.5),
            "sd(g)": pp.HalfNormal(0.7),
            "shape": pp.LogNormal(1, 0.7),
        },
        {"g": np.repeat(np.arange(8), 5)},
        x=_X[:40],
        accuracy=0.06,
    ),
    LatentStudy(
        "beta",
        "beta",
        {
            "Intercept": pp.Normal(0, 1),
            "x": pp.Normal(0, 0.5),
            "sd(g)": pp.HalfNormal(0.7),
            "precision": pp.LogNormal(2, 0.7),
        },
        {"g": np.repeat(np.arange(8), 5)},
        x=_X[:40],
        accuracy=0.06,
    ),
    LatentStudy(
        "zero-inflated Poisson",
        "zero_inflated_poisson",
        {"Intercept": pp.Normal(1, 0.7), "x": pp.Normal(0, 0.5), "sd(g)": pp.HalfNormal(0.7), "zero": pp.Beta(2, 3)},
        {"g": np.repeat(np.arange(8), 5)},
        x=_X[:40],
        accuracy=0.06,
    ),
    LatentStudy(
        "zero-inflated negative binomial",
        "zero_inflated_negative_binomial",
        {
            "Intercept": pp.Normal(1, 0.7),
            "sd(g)": pp.HalfNormal(0.7),
            "shape": pp.LogNormal(1, 0.5),
            "zero": pp.Beta(2, 3),
        },
        {"g": np.repeat(np.arange(8), 5)},
        accuracy=0.06,
    ),
    LatentStudy(
        "Bernoulli, correlated slopes",
        "bernoulli",
        {
            "Intercept": pp.Normal(0, 1),
            "x": pp.Normal(0, 1),
            "sd(g, Intercept)": pp.HalfNormal(1),
            "sd(g, x)": pp.HalfNormal(0.7),
            "cor(g, Intercept, x)": pp.LKJ(2),
        },
        {"g": np.repeat(np.arange(8), 8)},
        x=_X[:64],
        varies=True,
        accuracy=0.06,
    ),
    LatentStudy(
        "skew-normal population",
        "gaussian",
        {"Intercept": pp.Normal(0, 3), "sd(g)": pp.HalfNormal(1.5), "skew(g)": pp.Normal(0, 4)},
        {"g": _TEN},
        population="skew_normal",
        columns={"standard_error": _NOISE},
    ),
]
BY_NAME = {study.name: study for study in LATENT_STUDIES}


@pytest.mark.calibration
@pytest.mark.parametrize("study", LATENT_STUDIES, ids=lambda study: study.name)
def test_latent_fits_are_calibrated(study: LatentStudy) -> None:
    start = time.process_time()
    result = calibrate(study, 1000, seed=1)
    print("\n" + "\n".join(result.lines()))
    seconds = time.process_time() - start
    print(f"| {study.name} | {result.n_fitted} fitted, {result.n_refused} refused | {seconds:.0f} s | |", flush=True)
    assert result.passes
    # a right model of simulated rows is never a reason to refuse
    assert result.n_refused == 0


@pytest.mark.parametrize("name", ["binomial, beta population", "Poisson, gamma population"])
def test_conjugate_pairs_in_short(name: str) -> None:
    result = calibrate(BY_NAME[name], 150, seed=2)
    assert result.passes
    assert result.n_refused == 0


def test_missing_jacobian_of_two_shapes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = ShapePair.constrain

    def constrain(self: ShapePair, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shapes, log_prior = exact(self, coordinates)
        return shapes, log_prior - np.log(shapes).sum(axis=0)  # priors on both shapes: |d shapes / d coordinates|

    monkeypatch.setattr(ShapePair, "constrain", constrain)
    assert not calibrate(BY_NAME["Poisson, gamma population"], 150, seed=2).passes


_MANY = LatentStudy(
    "30 groups",
    "gaussian",
    {"Intercept": pp.Normal(0, 2), "sd(g)": pp.Gamma(3, 3)},
    {"g": np.arange(30)},
    population="student_t(nu=4)",
    columns={"standard_error": np.linspace(0.6, 1.4, 30)},
)


@pytest.mark.calibration
def test_effects_spread_too_far_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = population_window.draw_on_grid

    def spread(*arguments: Any) -> np.ndarray:
        return 1.15 * exact(*arguments)

    assert calibrate(_MANY, 300, seed=3).passes
    monkeypatch.setattr(population_window, "draw_on_grid", spread)
    assert not calibrate(_MANY, 300, seed=3).passes


@pytest.mark.calibration
def test_missing_jacobian_of_a_scale_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = ScalarHyperparameter.constrain

    def constrain(self: ScalarHyperparameter, coordinate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        natural, log_slope = exact(self, coordinate)
        return natural, np.zeros_like(log_slope)

    monkeypatch.setattr(ScalarHyperparameter, "constrain", constrain)
    broken = calibrate(BY_NAME["Student-t(4) population"], 300, seed=4)
    assert not broken.passes
    assert broken.p_values["sd(g)"] < 1e-4  # the parameter whose Jacobian is missing

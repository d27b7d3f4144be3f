"""Every route of the exact engine is calibrated, and the criterion notices engines that are not."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.inference import one_factor
from partialpool.models.hyperspace import ScalarHyperparameter

from .sbc import calibrate
from .study import Study

_SCHOOLS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
_UNEVEN = np.repeat(np.arange(7), [1, 1, 2, 3, 5, 9, 14])
_ROWS = np.repeat(np.arange(10), [3, 4, 5, 6, 7, 3, 4, 5, 6, 7])
_FAR_FROM_ZERO = np.random.default_rng(20).normal(5.0, 2.0, len(_ROWS))

STUDIES = [
    Study(
        "known standard errors",
        {"Intercept": pp.Normal(0, 10), "sd(g)": pp.HalfNormal(10)},
        np.arange(8),
        standard_error=_SCHOOLS,
    ),
    Study(
        "known standard errors, 3 groups",
        {"Intercept": pp.StudentT(4, 0, 10), "sd(g)": pp.HalfCauchy(5)},
        np.arange(3),
        standard_error=_SCHOOLS[:3],
    ),
    Study(
        "known standard errors, tau near 0",
        {"Intercept": pp.Normal(0, 10), "sd(g)": pp.Gamma(0.5, 0.2)},
        np.arange(8),
        standard_error=_SCHOOLS,
    ),
    Study(
        "unknown sigma, unbalanced",
        {"Intercept": pp.Normal(0, 5), "sd(g)": pp.HalfNormal(1), "sigma": pp.Exponential(0.5)},
        _UNEVEN,
    ),
    Study(
        "unknown sigma, 3 groups",
        {"Intercept": pp.Normal(0, 5), "sd(g)": pp.HalfStudentT(3, 1), "sigma": pp.HalfNormal(2)},
        np.repeat(np.arange(3), [2, 3, 6]),
    ),
    Study(
        "correlated slopes, x about 5",
        {
            "Intercept": pp.Normal(0, 5),
            "x": pp.Normal(0, 1),
            "sd(g, Intercept)": pp.HalfNormal(1),
            "sd(g, x)": pp.HalfNormal(0.5),
            "cor(g, Intercept, x)": pp.LKJ(2),
            "sigma": pp.HalfNormal(2),
        },
        _ROWS,
        x=_FAR_FROM_ZERO,
    ),
]


@pytest.mark.calibration
def test_every_route_is_calibrated() -> None:
    results = []
    print("\n| model | parameter | chi-square (15 df) | p |\n| --- | --- | ---: | ---: |")
    for study in STUDIES:
        start = time.process_time()
        result = calibrate(study, 1000, seed=1)
        results.append(result)
        print("\n".join(result.lines()), flush=True)
        seconds = time.process_time() - start
        print(
            f"| {study.name} | {result.n_fitted} fitted, {result.n_refused} refused | {seconds:.0f} s | |", flush=True
        )
    assert all(result.passes for result in results)
    # a right model of simulated rows is never a reason to refuse
    assert all(result.n_refused == 0 for result in results)


def test_known_standard_errors_in_short() -> None:
    result = calibrate(STUDIES[0], 100, seed=2)
    assert result.passes
    assert result.n_refused == 0


_MANY = Study(
    "30 groups",
    {"Intercept": pp.Normal(0, 2), "sd(g)": pp.Gamma(3, 3)},
    np.arange(30),
    standard_error=np.linspace(0.6, 1.4, 30),
)


def test_effects_spread_too_far_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = one_factor._draw_effects

    class Still:
        """Random numbers that are all zero, which leave the conditional means."""

        def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
            return np.zeros(shape)

    def spread(*arguments: Any) -> None:
        *given, rng, out = arguments
        centre = np.empty_like(out)
        exact(*given, Still(), centre)  # type: ignore[arg-type]
        exact(*given, rng, out)
        out += 0.15 * (out - centre)

    assert calibrate(_MANY, 200, seed=3).passes
    monkeypatch.setattr(one_factor, "_draw_effects", spread)
    broken = calibrate(_MANY, 200, seed=3)
    assert not broken.passes
    assert broken.n_refused == 0


def test_missing_jacobian_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = ScalarHyperparameter.constrain

    def constrain(self: ScalarHyperparameter, coordinate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        natural, log_slope = exact(self, coordinate)
        return natural, np.zeros_like(log_slope)

    study = dataclasses.replace(_MANY, groups=np.arange(5), standard_error=np.linspace(0.6, 1.4, 5))
    assert calibrate(study, 200, seed=4).passes
    monkeypatch.setattr(ScalarHyperparameter, "constrain", constrain)
    broken = calibrate(study, 200, seed=4)
    assert not broken.passes
    assert broken.n_refused == 0
    assert broken.p_values["sd(g)"] < 1e-6  # the parameter whose Jacobian is missing

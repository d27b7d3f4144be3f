"""Every route of the exact engine is calibrated, and the criterion notices engines that are not."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.inference.gaussian import one_factor
from partialpool.models.space.hyperspace import ScalarHyperparameter

from .factor_study import FactorStudy
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


def _label(name: str, codes: Any) -> Any:
    return np.array([f"{name}{code:02}" for code in codes])


_A = np.repeat(np.arange(6), [9, 6, 4, 8, 5, 7])
_B = (np.arange(len(_A)) // 2) % np.array([4, 3, 2, 3, 2, 3])[_A]
_S, _T = np.divmod(np.arange(40), 5)
_S, _T = (
    _S[np.arange(40) % 7 > 0],
    (_T + _S % 2)[np.arange(40) % 7 > 0],
)  # 34 rows of 8 by 6 levels, not all of which meet
_ITEM = np.arange(240) % 12
_SUBJECT = (np.arange(240) + np.arange(240) // 60) % 60
_CROSSED_PRIORS = {
    "Intercept": pp.Normal(0, 5),
    "sd(s)": pp.HalfNormal(1),
    "sd(t)": pp.HalfNormal(1),
}
FACTOR_STUDIES = [
    FactorStudy(
        "nested",
        "(1 | a/b)",
        (("a", ("Intercept",)), ("a:b", ("Intercept",))),
        {
            "Intercept": pp.Normal(0, 5),
            "sd(a)": pp.HalfNormal(1),
            "sd(a:b)": pp.HalfStudentT(4, 1),
            "sigma": pp.Exponential(1),
        },
        {"a": _label("a", _A), "b": _label("b", _B)},
    ),
    FactorStudy(
        "crossed, known standard errors",
        "(1 | s) + (1 | t)",
        (("s", ("Intercept",)), ("t", ("Intercept",))),
        _CROSSED_PRIORS,
        {"s": _label("s", _S), "t": _label("t", _T)},
        standard_error=np.linspace(0.5, 1.5, len(_S)),
    ),
    FactorStudy(
        "crossed with slopes",
        "(1 + x | s) + (1 | t)",
        (("s", ("Intercept", "x")), ("t", ("Intercept",))),
        {
            "Intercept": pp.Normal(0, 5),
            "x": pp.Normal(0, 1),
            "sd(s, Intercept)": pp.HalfNormal(1),
            "sd(s, x)": pp.HalfNormal(0.5),
            "cor(s, Intercept, x)": pp.LKJ(2),
            "sd(t)": pp.HalfNormal(1),
            "sigma": pp.HalfNormal(2),
        },
        {"s": _label("s", np.tile(_S, 2)), "t": _label("t", np.tile(_T, 2))},
        x=np.random.default_rng(21).normal(2.0, 1.0, 2 * len(_S)),
    ),
    FactorStudy(
        "crossed, on a surrogate",
        "(1 | s) + (1 | t)",
        (("s", ("Intercept",)), ("t", ("Intercept",))),
        {**_CROSSED_PRIORS, "sigma": pp.HalfNormal(2)},
        {"s": _label("s", _SUBJECT), "t": _label("t", _ITEM)},
        method="surrogate",
    ),
]


@pytest.mark.calibration
def test_every_route_is_calibrated() -> None:
    results = []
    print("\n| model | parameter | chi-square (15 df) | p |\n| --- | --- | ---: | ---: |")
    for study in (*STUDIES, *FACTOR_STUDIES):
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

"""Proportions and a Student-t population against reference posteriors kept at ../shared/reference; skipped where they
are absent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp

from .test_reference_posteriors import _load, _prior_text, _read_columns

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_COLUMNS = ("q5", "q25", "q50", "q75", "q95")


@pytest.fixture(scope="module")
def seeds() -> tuple[dict[str, Any], pp.Posterior]:
    case = _load("seeds")
    fit = pp.fit(
        "germinated ~ seed * extract + (1 | plate)",
        _read_columns("seeds", case["columns"]),
        family="binomial",
        trials="total",
        priors={name: _prior_text(prior) for name, prior in case["priors"].items()},
    )
    assert isinstance(fit, pp.Posterior)
    return case, fit


@pytest.fixture(scope="module")
def rats() -> tuple[dict[str, Any], pp.Posterior]:
    case = _load("rat_tumours")
    fit = pp.fit(
        "tumours ~ 1 + (1 | experiment)",
        _read_columns("rat_tumours", case["columns"]),
        family="binomial",
        trials="rats",
        population="beta",
        priors={"(alpha, beta)": "AlphaBetaPower(-2.5)"},
    )
    assert isinstance(fit, pp.Posterior)
    return case, fit


def test_seeds(seeds: tuple[dict[str, Any], pp.Posterior]) -> None:
    """Means within 0.02 sds and three Monte Carlo errors; sds within 2 % and three of theirs."""
    case, fit = seeds
    table = fit.summary(effects=True, quantiles=_QUANTILES)
    for name, exact in case["reference"].items():
        ours = table.loc[name.replace(".0]", "]")]
        assert abs(ours["mean"] - exact["mean"]) < 0.02 * exact["sd"] + 3 * exact["mcse_mean"], name
        assert abs(ours["sd"] / exact["sd"] - 1) < 0.02 + 3 / np.sqrt(2 * exact["ess_bulk"]), name
        for column in _COLUMNS:
            assert abs(ours[column] - exact[column]) < 0.05 * exact["sd"] + 6 * exact["mcse_mean"], (name, column)


def test_rat_tumours(rats: tuple[dict[str, Any], pp.Posterior]) -> None:
    """The reference is quadrature: means within 0.02 sds, sds within 2 %, quantiles within 0.05 sds."""
    case, fit = rats
    table = fit.summary(effects=True, quantiles=_QUANTILES)
    compared = 0
    for name, exact in case["reference"].items():
        own = "mean" if name == "population_mean" else name
        if name.startswith("log("):
            continue
        compared += 1
        ours = table.loc[own]
        assert abs(ours["mean"] - exact["mean"]) < 0.02 * exact["sd"], name
        assert abs(ours["sd"] / exact["sd"] - 1) < 0.02, name
        for column in _COLUMNS:
            assert abs(ours[column] - exact[column]) < 0.05 * exact["sd"], (name, column)
    assert compared == 72
    for name, quantiles in case["quantiles_only"].items():
        spread = case["reference"][f"log({name})"]["sd"]
        for column in _COLUMNS:
            assert abs(np.log(table.loc[name, column] / quantiles[column])) < 0.02 * spread, (name, column)
        assert np.isnan(table.loc[name, "mean"])


def test_logs_of_rat_tumours_shapes(rats: tuple[dict[str, Any], pp.Posterior]) -> None:
    """The logs have moments, the shapes none; from draws."""
    case, fit = rats
    draws, n = fit.draws(4000, seed=1), 4000
    alpha, beta = draws["alpha"], draws["beta"]
    logs = {
        "log(alpha)": np.log(alpha),
        "log(beta)": np.log(beta),
        "log(alpha+beta)": np.log(alpha + beta),
        "log(alpha/beta)": np.log(alpha / beta),
    }
    for name, values in logs.items():
        exact = case["reference"][name]
        assert abs(values.mean() - exact["mean"]) < 4.5 * exact["sd"] / np.sqrt(n), name
        assert abs(values.std() / exact["sd"] - 1) < 0.06, name


def test_eight_schools_with_a_student_population() -> None:
    """Numbers by quadrature over (Intercept, sd) and each school's effect, which need no file."""
    fit = pp.fit(
        "effect ~ 1 + (1 | school)",
        pp.datasets.eight_schools(),
        standard_error="se",
        population="student_t(nu=4)",
        priors={"Intercept": "Normal(0, 5)", "sd(school)": "HalfCauchy(5)"},
    )
    table = fit.summary(effects=True)
    exact = {"Intercept": (4.354086, 3.337766), "theta[school=A]": (6.59551, 6.31794), "sd(school)": (3.2063, None)}
    for name, (mean, sd) in exact.items():
        spread = sd or table.loc[name, "sd"]
        assert abs(table.loc[name, "mean"] - mean) < 0.02 * spread, name
        assert sd is None or table.loc[name, "sd"] == pytest.approx(sd, rel=0.02), name

"""Same call, same shape: every public table of every family, population and structure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

_RNG = np.random.default_rng(5)
_G, _H = np.repeat(np.arange(6), 6), np.tile(np.arange(4), 9)
_X = _RNG.normal(size=36)
_SIGNAL = 0.6 * _RNG.normal(size=6)[_G] + 0.3 * _X
ROWS = {
    "y": _SIGNAL + _RNG.normal(size=36),
    "positive": np.exp(_SIGNAL + 0.5 * _RNG.normal(size=36)),
    "count": _RNG.poisson(np.exp(1.0 + _SIGNAL)),
    "hits": _RNG.binomial(9, 1.0 / (1.0 + np.exp(-_SIGNAL))),
    "n": np.full(36, 9),
    "x": _X,
    "g": np.array(list("abcdef"))[_G],
    "h": _H,
    "se": np.full(36, 0.7),
}
# two known parameters, so that few nodes are needed
_GIVEN = {"priors": {"sd": "Fixed(0.5)"}}
_SLOPES = {"priors": {"sd(g)": "Fixed(0.5)", "cor(g)": "Fixed(0)"}}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gaussian": ("y ~ x + (1 | g)", {}),
    "standard errors": ("y ~ 1 + (1 | g)", {"standard_error": "se"}),
    "slopes": ("y ~ x + (x | g)", {}),
    "crossed": ("y ~ x + (1 | g) + (1 | h)", {}),
    "binomial": ("hits ~ x + (1 | g)", {"family": "binomial", "trials": "n"} | _GIVEN),
    "beta population": ("hits ~ 1 + (1 | g)", {"family": "binomial", "trials": "n", "population": "beta"}),
    "poisson": ("count ~ x + (1 | g)", {"family": "poisson"} | _GIVEN),
    "gamma population": ("count ~ 1 + (1 | g)", {"family": "poisson", "population": "gamma"}),
    "student": ("y ~ 1 + (1 | g)", {"family": "student_t(nu=4)"} | _GIVEN),
    "gamma": ("positive ~ 1 + (1 | g)", {"family": "gamma"} | _GIVEN),
    "lognormal": ("positive ~ 1 + (1 | g)", {"family": "lognormal"} | _GIVEN),
    "nested": ("count ~ 1 + (1 | g/h)", {"family": "poisson", "priors": {"sd": "Fixed(0.5)", "Intercept": "Fixed(1)"}}),
    "mixture": ("y ~ 1 + (1 | g)", {"standard_error": "se", "population": "mixture(2)"}),
    "maximum likelihood": ("count ~ 1 + (1 | g)", {"family": "poisson", "method": "empirical_bayes"}),
}
NUMBERS = ["mean", "sd", "q5", "q50", "q95"]


@pytest.fixture(scope="module", params=list(CASES))
def fit(request: pytest.FixtureRequest) -> pp.Posterior:
    formula, arguments = CASES[request.param]
    coarse = {} if arguments.get("method") == "empirical_bayes" or "mixture" in str(arguments) else {"accuracy": 0.1}
    return pp.fit(formula, ROWS, **arguments, **coarse)


def _index(fit: pp.Posterior, *names: str) -> list[str]:
    coefficient = ["coefficient"] if "(x | g)" in fit.formula else []
    return [*names, *coefficient]


def _names(table: pd.DataFrame) -> list[str]:
    return list(table.index.names)


def test_groups_and_pooling(fit: pp.Posterior) -> None:
    for scale in ("response", "linear"):
        table = fit.groups("g", scale=scale)
        columns = [name for name in table.columns if name not in ("size", "q50")]
        assert columns == ["n", "raw", "raw_sd", "mean", "sd", "q5", "q95", "weight"]
        assert _names(table) == _index(fit, "g")
        assert table.index.get_level_values("g").unique().tolist() == list("abcdef")
        beside = fit.pooling("g", scale=scale)
        assert _names(beside) == _index(fit, "g")
        columns = [name for name in beside.columns if name != "partial_q50"]
        expected = ["none", "none_sd", "complete", "complete_sd", "partial", "partial_sd", "weight"]
        assert columns == expected


def test_contrasts_and_differences(fit: pp.Posterior) -> None:
    for scale in ("linear", "response") if "(x | g)" not in fit.formula else ("linear",):
        one = fit.contrast("g", "a", "b", scale=scale)
        assert _names(one) == _index(fit, "contrast")
        assert one.index.get_level_values(0)[0] == "a - b"
        assert list(one.columns) == [*NUMBERS, "P(>0)"]
        every = fit.differences("g", scale=scale)
        assert _names(every) == _index(fit, "g", "minus")
        assert list(every.columns) == [*NUMBERS, "P(>0)"]
        np.testing.assert_allclose(
            every.loc[("a", "b")].to_numpy(dtype=float).ravel(), one.to_numpy().ravel(), atol=0.1
        )
        assert len(fit.differences("g", to="a", scale=scale)) == len(every) // 3
    with pytest.raises(pp.errors.DataError, match="one level of g is given"):
        fit.contrast("g", "a")
    with pytest.raises(pp.errors.DataError, match="scale='log' is not a choice"):
        fit.differences("g", scale="log")


def test_summary_and_variances(fit: pp.Posterior) -> None:
    table = fit.summary(effects=True)
    assert list(table.columns) == NUMBERS
    assert any(name.startswith("theta[g=a") for name in table.index)
    shown = fit.variances()
    assert list(shown.columns)[:5] == NUMBERS
    assert _names(shown)[0] == "component"


def test_predictions(fit: pp.Posterior) -> None:
    rows = {"x": [0.1, 0.2], "g": ["a", "unseen"], "h": [0, 1]}
    for scale in ("response", "linear"):
        table = fit.predict(rows, scale=scale)
        assert list(table.columns)[-5:] == NUMBERS
        assert _names(table) == ["row"]
        assert {"group mean", "new group mean"} <= set(table["quantity"])

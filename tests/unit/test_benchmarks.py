"""What the benchmarks that compare call agreement."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

FOLDER = Path(__file__).parents[2] / "benchmarks"
QUANTILES = [-1.6, 0.0, 1.6]


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("refusals")


@pytest.fixture
def sampler(refusals: Any) -> Any:
    return importlib.import_module("compare_sampler")


def fit_of(quantiles: list[float]) -> Any:
    table = pd.DataFrame([[0.0, 1.0, *QUANTILES], [0.0, 1.0, *quantiles]], index=["tau", "sigma"])
    return SimpleNamespace(summary=lambda quantiles: table, engine="")


@pytest.mark.parametrize("found", [QUANTILES, [-1.6, np.nan, 1.6], [-1.6, 0.0, np.inf], [-1.6, 0.1, 1.6]])
def test_what_is_no_number_is_off_from_the_second_engine(
    refusals: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: list[float]
) -> None:
    counts: Counter[str] = Counter()
    right = dict.fromkeys(("tau", "sigma"), np.array([1.0, *QUANTILES]))
    monkeypatch.setattr(refusals, "_second_quantiles", lambda *_, **__: right)
    refusals._compare(SimpleNamespace(seed=1), fit_of(found), counts)
    assert counts[f"second engine: {'agrees' if found == QUANTILES else 'OFF'}"] == 1
    assert ("OFF by" in capsys.readouterr().out) == (found != QUANTILES)


@pytest.mark.parametrize(("found", "verdict"), [(QUANTILES, "agrees"), ([np.nan, 0.0, 1.6], "OFF")])
def test_what_is_no_number_is_off_from_the_sampler(
    sampler: Any, monkeypatch: pytest.MonkeyPatch, found: list[float], verdict: str
) -> None:
    normal = np.random.default_rng(1).normal(size=(2000, 128, 1))
    chains = SimpleNamespace(names=("sigma",), draws=normal)
    found = list(np.array(found) + np.quantile(normal, [0.05, 0.5, 0.95]) - QUANTILES)
    model = SimpleNamespace(seed=1, formula="", data={}, options={})
    monkeypatch.setattr(sampler, "sample_model", lambda *_: chains)
    monkeypatch.setattr(sampler, "read_model", lambda *_: None)
    monkeypatch.setattr(sampler.pp, "fit", lambda *_: fit_of(found))
    assert sampler._compare(model) == verdict


def test_a_model_that_is_not_fitted_does_not_end_the_run(
    sampler: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise pp.errors.ComputationError("no")

    monkeypatch.setattr(sampler.pp, "fit", refuse)
    sampler.compare_with_sampler([SimpleNamespace(seed=k, formula="", data={}, options={}) for k in range(2)])
    assert "sampler: not fitted: 2" in capsys.readouterr().out


@pytest.mark.parametrize(("only", "n_gaussian"), [(None, 3), ("gaussian", 4), ("other", 0)])
def test_only_is_of_the_sampler_too(sampler: Any, only: str | None, n_gaussian: int) -> None:
    chosen = sampler.choose_models(range(60), 4, only)
    assert ["family" in model.options for model in chosen].count(False) == n_gaussian
    assert len(chosen) == 4

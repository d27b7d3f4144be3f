"""Saved fits of any likelihood and population: what is loaded answers as what was saved, to the last bit."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.errors import OutputError
from partialpool.models.populations.parse import read_population
from partialpool.results.files.stored_arrays import pack_arrays, unpack_arrays
from partialpool.results.files.stored_fit import restore_fit, store_fit
from partialpool.results.scale_names import write_population


def make_rows() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    n_groups, n_each = 6, 2
    g = np.repeat(np.arange(n_groups), n_each)
    x = rng.normal(size=len(g))
    eta = -0.5 + rng.normal(0.0, 0.7, n_groups)[g] + 0.4 * x
    trials = rng.integers(3, 30, len(g))
    exposure = rng.uniform(0.5, 3.0, len(g))
    values = np.exp(eta + 0.3 * rng.normal(size=len(g)))
    return {
        "successes": rng.binomial(trials, 1.0 / (1.0 + np.exp(-eta))),
        "trials": trials,
        "accidents": rng.poisson(exposure * np.exp(eta)),
        "km": exposure,
        "bought": np.where(rng.random(len(g)) < 0.4, "yes", "no"),
        "y": values,
        "visits": rng.poisson(2.0 * np.exp(eta)) * (np.arange(len(g)) % 3 > 0),
        "share": values / (1.0 + values),
        "z": eta + 0.3 * rng.standard_t(4, len(g)),
        "se": rng.uniform(0.2, 0.5, len(g)),
        "x": x,
        "site": np.array([f"site {k}" for k in range(n_groups)])[g],
        "region": np.array(["n", "s", "e"])[g // 2],
        "status": np.where(values > 1.5, "right", "none"),
        "time": np.minimum(values, 1.5),
        "k": rng.integers(1, 3, len(g)),
    }


BINOMIAL = {"family": "binomial", "trials": "trials"}
POISSON = {"family": "poisson", "exposure": "km"}
ONE_NODE = {"method": "empirical_bayes"}  # where tables of thousands take long
ESTIMATED = ("mixture(2)", "mixture(3)", "nonparametric")
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "binomial": ("successes ~ x + (1 | site)", BINOMIAL | {"seed": 5}),
    "probit slopes": ("successes ~ x + (x | site)", BINOMIAL | {"link": "probit"} | ONE_NODE),
    "bernoulli labels": ("bought ~ 1 + (1 | site)", {"family": "bernoulli"}),
    "one number of trials": ("successes ~ 1 + (1 | site)", {"family": "binomial", "trials": 40}),
    "beta population": ("successes ~ 1 + (1 | site)", BINOMIAL | {"population": "beta"}),
    "beta, both shapes": (
        "successes ~ 1 + (1 | site)",
        BINOMIAL | {"population": {"site": "beta"}, "priors": {"(alpha, beta)": "AlphaBetaPower(-2.5)"}},
    ),
    "gamma population": ("accidents ~ 1 + (1 | site)", POISSON | {"population": "gamma"}),
    "lognormal population": ("accidents ~ 1 + (1 | site)", POISSON | {"population": "lognormal"}),
    "student population": ("successes ~ x + (1 | site)", BINOMIAL | {"population": "student_t(nu=4)"}),
    "skewed population": ("z ~ 1 + (1 | site)", {"family": "gaussian", "population": "skew_normal"}),
    "poisson, counts": ("accidents ~ x + (1 | site)", POISSON | {"counts": "k", "offset": "x"}),
    "negative binomial": ("accidents ~ 1 + (1 | site)", {"family": "negative_binomial", "exposure": 1.0}),
    "beta-binomial": ("successes ~ 1 + (1 | site)", {"family": "beta_binomial", "trials": "trials"} | ONE_NODE),
    "nested": ("accidents ~ 1 + (1 | region/site)", POISSON | ONE_NODE),
    "robust": ("z ~ x + (1 | site)", {"family": "student_t(nu=4)"} | ONE_NODE),
    "robust, known noise": ("z ~ 1 + (1 | site)", {"family": "student_t", "standard_error": "se"} | ONE_NODE),
    "gamma": ("y ~ 1 + (1 | site)", {"family": "gamma"} | ONE_NODE),
    "beta": ("share ~ x + (1 | site)", {"family": "beta", "link": "probit"} | ONE_NODE),
    "zero-inflated": ("visits ~ x + (1 | site)", {"family": "zero_inflated_poisson", "exposure": "km"} | ONE_NODE),
    "zero-inflated, covariates": (
        "visits ~ x + (1 | site)",
        {"family": "zero_inflated_poisson", "zero": "~ x"} | ONE_NODE,
    ),
    "zero-inflated, given": (
        "visits ~ 1 + (1 | region/site)",
        {"family": "zero_inflated_negative_binomial(shape=3, zero=0.2)"} | ONE_NODE,
    ),
    "censored": ("time ~ 1 + (1 | site)", {"family": "lognormal", "censored": "status"}),
    "truncated": ("y ~ 1 + (1 | site)", {"family": "gaussian", "truncation": (0.0, None)} | ONE_NODE),
    "selected": ("y ~ 1 + (1 | site)", {"selection": (0.0, None), "selection_rows": "all"} | ONE_NODE),
    "selected by a curve": (
        "z ~ x + (1 | site)",
        {"selection": pp.ProbitSelection(5.0, 2.0, "below"), "selection_rows": "any", "population": "student_t(nu=4)"}
        | ONE_NODE,
    ),
    "mixture": ("successes ~ 1 + (1 | site)", BINOMIAL | {"population": "mixture(2)"}),
    "nonparametric": ("accidents ~ 1 + (1 | site)", POISSON | {"population": "nonparametric"}),
    "mixture of measurements": ("z ~ 1 + (1 | site)", {"population": "mixture(3)", "standard_error": "se"}),
    "surrogate": ("successes ~ 1 + (1 | site)", BINOMIAL | {"method": "surrogate"}),
    "no pooling": ("successes ~ 1 + (1 | site)", BINOMIAL | {"pooling": "none"}),
    "complete": ("successes ~ x + (1 | site)", BINOMIAL | {"pooling": "complete"}),
    "maximum likelihood": ("successes ~ 1 + (1 | site)", BINOMIAL | {"method": "empirical_bayes"}),
}


def fit_case(name: str) -> Any:
    """Fit with few nodes: how many there are does not matter to what is stored."""
    formula, arguments = CASES[name]
    estimated = arguments.get("method") == "empirical_bayes" or arguments.get("population") in ESTIMATED
    return pp.fit(formula, make_rows(), **({} if estimated else {"accuracy": 0.1}), **arguments)


def same(one: pd.DataFrame, two: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def new_rows(fit: Any, data: dict[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame({name: list(values[:5]) for name, values in data.items()})
    if fit.fitted.model.pooling != "none":
        frame.loc[4, "site"] = "never seen"
    return frame


@pytest.fixture(params=list(CASES))
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Any]:
    fit = fit_case(request.param)
    return fit, pp.load(fit.save(tmp_path / "fit.nc"))


def test_everything_is_the_same(saved: tuple[Any, Any]) -> None:
    fit, loaded = saved
    assert type(loaded) is type(fit)
    same(fit.summary(effects=True, quantiles=(0.01, 0.5)), loaded.summary(effects=True, quantiles=(0.01, 0.5)))
    for group in fit.fitted.model.groups:
        same(fit.groups(group.name), loaded.groups(group.name))
    rows = new_rows(fit, make_rows())
    same(fit.predict(rows), loaded.predict(rows))
    same(fit.predict(rows, scale="linear"), loaded.predict(rows, scale="linear"))
    for one, two in ((fit.draws(60), loaded.draws(60)), (fit.draws(20, seed=3), loaded.draws(20, seed=3))):
        assert list(one) == list(two)
        for name, values in one.items():
            np.testing.assert_array_equal(values, two[name])
    assert repr(fit) == repr(loaded)
    assert fit.engine == loaded.engine
    assert fit.fitted.model.family == loaded.fitted.model.family
    assert write_population(fit.fitted.model) == write_population(loaded.fitted.model)
    assert fit.fitted.model.priors == loaded.fitted.model.priors
    assert fit.fitted.hyper.log_marginal_likelihood == loaded.fitted.hyper.log_marginal_likelihood
    assert fit.fitted.observations.measurements.classes == loaded.fitted.observations.measurements.classes
    points = fit.fitted.hyper.points.select(np.array([0]))
    np.testing.assert_array_equal(fit.fitted.latent.log_likelihood(points), loaded.fitted.latent.log_likelihood(points))


@pytest.mark.parametrize("case", ["binomial", "beta population", "student population", "nested"])
def test_without_groups_where_they_are_many(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's draws are then of the population alone; what is loaded is whole."""
    from partialpool.results.files import storage

    monkeypatch.setattr(storage, "_MOST_EFFECT_DRAWS", 10)
    formula, arguments = CASES[case]
    fit = pp.fit(formula, make_rows(), **arguments)
    path = fit.save(tmp_path / "fit.nc")
    same(fit.summary(effects=True), pp.load(path).summary(effects=True))
    import xarray as xr

    with xr.open_dataset(path, group="posterior", engine="h5netcdf") as draws:
        assert not {"theta", "u", "p", "theta[region]"} & set(draws.data_vars)


@pytest.mark.skipif(importlib.util.find_spec("zarr") is None, reason="zarr is not installed")
@pytest.mark.parametrize("case", ["bernoulli labels", "beta population", "mixture"])
def test_zarr(case: str, tmp_path: Path) -> None:
    formula, arguments = CASES[case]
    fit = pp.fit(formula, make_rows(), **arguments)
    loaded = pp.load(fit.save(tmp_path / "fit.zarr"))
    same(fit.summary(effects=True), loaded.summary(effects=True))
    assert repr(fit) == repr(loaded)


def test_another_process_answers_the_same(tmp_path: Path) -> None:
    formula, arguments = CASES["beta population"]
    fit = pp.fit(formula, make_rows(), **arguments)
    path = fit.save(tmp_path / "fit.nc")
    code = "import sys, partialpool as pp; print(pp.load(sys.argv[1]).groups().values.tobytes().hex())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == fit.groups().values.tobytes().hex()


def test_a_loaded_fit_can_be_saved_again(tmp_path: Path) -> None:
    formula, arguments = CASES["beta population"]
    fit = pp.fit(formula, make_rows(), **arguments)
    again = pp.load(pp.load(fit.save(tmp_path / "one.nc")).save(tmp_path / "two.nc"))
    same(fit.summary(effects=True), again.summary(effects=True))


@pytest.mark.parametrize(
    ("arguments", "version"), [({"family": "binomial", "trials": "trials"}, 3), ({"family": "gaussian"}, 1)]
)
def test_only_new_likelihoods_take_the_new_format(arguments: dict[str, Any], version: int, tmp_path: Path) -> None:
    import xarray as xr

    path = pp.fit("successes ~ 1 + (1 | site)", make_rows(), **arguments).save(tmp_path / "fit.nc")
    with xr.open_dataset(path, group="partialpool", engine="h5netcdf", decode_cf=False) as dataset:
        assert dataset.attrs["format_version"] == version


def test_another_engine_than_the_stored_one_is_refused() -> None:
    formula, arguments = CASES["binomial"]
    arrays, metadata = store_fit(pp.fit(formula, make_rows(), **arguments).fitted)
    metadata = json.loads(json.dumps(metadata))
    metadata["marginal"]["engine"] = "SomethingElse"
    with pytest.raises(ValueError, match="SomethingElse"):
        restore_fit(*unpack_arrays(pack_arrays(arrays, metadata)))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    from partialpool.results.files import storage

    formula, arguments = CASES["binomial"]
    fit = pp.fit(formula, make_rows(), **arguments)
    arrays, metadata = store_fit(fit.fitted)
    del metadata["family"]
    packed = pack_arrays(arrays, metadata).assign_attrs({"format_version": storage.FORMAT_VERSION})
    path = tmp_path / "fit.nc"
    packed.to_netcdf(path, group="partialpool", engine="h5netcdf")
    with pytest.raises(OutputError, match="it lacks 'family'"):
        pp.load(path)


@pytest.mark.parametrize(
    "text", ["beta", "student_t(nu=4.5)", "student_t", "normal", "mixture(components=2)", "nonparametric"]
)
def test_populations_are_written_as_they_are_read(text: str) -> None:
    arguments = BINOMIAL | {"population": text, "link": "logit"} | (ONE_NODE if text[0] in "sn" else {})
    fit = pp.fit("successes ~ 1 + (1 | site)", make_rows(), **arguments)
    assert write_population(fit.fitted.model) == text
    assert read_population(text).name == fit.fitted.model.population.name


@pytest.mark.parametrize("engine", ["likelihood_grid", "nested_grid"])
def test_a_fit_that_fell_back_to_a_finer_engine_loads(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refinement may give a table up for what it is checked against; the file says which one it was."""
    monkeypatch.setattr(f"partialpool.inference.quadrature.{engine}.TOLERANCE", 0.0)
    case = "nested" if engine == "nested_grid" else "student population"
    formula, arguments = CASES.get(case, ("accidents ~ 1 + (1 | site)", POISSON | {"population": "student_t"}))
    fit = pp.fit(formula, make_rows(), **arguments)
    assert type(fit.fitted.latent).__name__ in ("PopulationWindow", "NestedHermite")
    loaded = pp.load(fit.save(tmp_path / "fit.nc"))
    same(fit.groups(fit.fitted.model.groups[0].name), loaded.groups(fit.fitted.model.groups[0].name))

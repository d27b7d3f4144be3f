"""Saved fits: what is loaded answers as what was saved, to the last bit."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.errors import DataError
from partialpool.inference.hyper.hyper_posterior import FineNodes
from partialpool.results.files import storage
from partialpool.results.files.stored_arrays import DamagedError, encode_number, pack_arrays, unpack_arrays

needs_zarr = pytest.mark.skipif(
    importlib.util.find_spec("zarr") is None, reason="zarr is not installed: pip install 'partialpool[zarr]'"
)

SCHOOLS = {
    "school": list("ABCDEFGH"),
    "effect": [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0],
    "se": [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0],
}


def make_rows() -> dict[str, Any]:
    rng = np.random.default_rng(12)
    n_groups, n_each = 14, 9
    g = np.repeat(np.arange(n_groups), n_each)
    x, z = rng.normal(5.0, 2.0, len(g)), rng.uniform(0.5, 3.0, len(g))
    a, b = rng.normal(0.0, 1.5, n_groups), rng.normal(0.0, 0.5, n_groups)
    y = 2.0 + a[g] + (0.7 + b[g]) * (x - 5.0) + np.log(z) + rng.normal(size=len(g))
    names = np.array([f"site {k:02d}" for k in range(n_groups)])
    return {
        "y": y,
        "x": x,
        "z": z,
        "site": names[g],
        "number": g * 3 - 7,
        "half": g / 2,
        "f": np.array(["mid", "low", "high"])[rng.integers(0, 3, len(g))],
        "yes": rng.integers(0, 2, len(g)).astype(bool),
        "season": rng.integers(1, 4, len(g)),
        "w": rng.uniform(0.5, 2.0, len(g)),
        "k": rng.integers(1, 4, len(g)),
    }


def make_ordered() -> pd.DataFrame:
    """A factor and a covariate whose categories are in the user's order, with one unused."""
    frame = pd.DataFrame(make_rows())
    order = [f"site {k:02d}" for k in reversed(range(20))]
    return frame.assign(
        site=pd.Categorical(frame["site"], categories=order),
        f=pd.Categorical(frame["f"], categories=["never", "high", "low", "mid"], ordered=True),
    )


def make_summaries() -> dict[str, Any]:
    return {
        "g": ["a", "b", "c", "d", "e"],
        "mean": [12.0, 15.5, 9.0, 14.0, 13.2],
        "n": [4, 10, 1, 7, 30],
        "s": [2.0, 3.1, np.nan, 2.2, 2.7],
    }


def make_strange_labels() -> dict[str, Any]:
    data = make_rows()
    labels = np.array(["a/b", "c]d", "g=e", "ä ß 漢", "", " ", "tab\t", "'q\"", "a∕b", "..", ".", "x:y", "NaN", "None"])
    return data | {"place": labels[np.unique(data["site"], return_inverse=True)[1]]}


CASES: dict[str, tuple[Callable[[], Any], str, dict[str, Any]]] = {
    "schools": (lambda: SCHOOLS, "effect ~ 1 + (1 | school)", {"standard_error": "se", "seed": 5}),
    "schools, flat": (
        lambda: SCHOOLS,
        "effect ~ 1 + (1 | school)",
        {"standard_error": "se", "priors": {"Intercept": "Flat", "sd": "Uniform(0, 40.1)"}},
    ),
    "standard errors as an array": (
        lambda: SCHOOLS,
        "effect ~ 1 + (1 | school)",
        {"standard_error": np.array(SCHOOLS["se"])},
    ),
    "grid": (lambda: SCHOOLS, "effect ~ 1 + (1 | school)", {"standard_error": "se", "method": "grid"}),
    "importance": (lambda: SCHOOLS, "effect ~ 1 + (1 | school)", {"standard_error": "se", "method": "importance"}),
    "reml at zero": (
        lambda: SCHOOLS,
        "effect ~ 1 + (1 | school)",
        {"standard_error": "se", "method": "empirical_bayes"},
    ),
    "moments": (
        lambda: SCHOOLS,
        "effect ~ 1 + (1 | school)",
        {"standard_error": "se", "method": "empirical_bayes", "estimator": "moments"},
    ),
    "ml of slopes": (make_rows, "y ~ x + (x | site)", {"method": "empirical_bayes", "estimator": "ml"}),
    "no pooling": (lambda: SCHOOLS, "effect ~ 1 + (1 | school)", {"standard_error": "se", "pooling": "none"}),
    "no pooling of slopes": (make_rows, "y ~ x + (x | site)", {"pooling": "none"}),
    "complete": (make_rows, "y ~ x + (x | site)", {"pooling": "complete"}),
    "complete, known": (lambda: SCHOOLS, "effect ~ 1 + (1 | school)", {"standard_error": "se", "pooling": "complete"}),
    "intercepts": (make_rows, "y ~ x + (1 | number)", {}),
    "slopes": (make_rows, "y ~ x + (1 + x | site)", {"seed": 77}),
    "independent slopes": (make_rows, "y ~ x + (x || site)", {}),
    "slope alone": (make_rows, "y ~ x + (0 + x | site)", {}),
    "transforms": (
        make_rows,
        "log(y**2 + 1) ~ scale(z) + center(k) + bs(x, df=4) + C(season) + I(w / 2) + (1 | site)",
        {},
    ),
    "factors": (make_rows, "y ~ f * x + yes + C(season) + (1 | number)", {}),
    "combined factor": (make_rows, "y ~ x + (1 | f:season)", {}),
    "fractions as labels": (make_rows, "y ~ x + (1 | half)", {}),
    "truth values as groups": (make_rows, "y ~ x + (1 | yes)", {"priors": {"sd": "HalfNormal(1)"}}),
    "categories": (make_ordered, "y ~ f + x + (1 | site)", {}),
    "weights, counts, offset": (make_rows, "y ~ x + (1 | site)", {"weights": "w", "counts": "k", "offset": "z"}),
    "summaries": (make_summaries, "mean ~ 1 + (1 | g)", {"size": "n", "sd": "s"}),
    "sampled coefficient": (
        make_rows,
        "y ~ x + (1 | site)",
        {"priors": {"x": "StudentT(3, 0.1, 1.7)", "sd": "Gamma(2, 0.3)", "sigma": "Exponential(0.1)"}},
    ),
    "strange labels": (make_strange_labels, "y ~ x + (1 | place)", {}),
    "nested factors": (make_rows, "y ~ x + (1 | f/season)", {"seed": 3}),
    "crossed factors with slopes": (make_rows, "y ~ x + (x | site) + (0 + z || f)", {}),
    "several factors, roles": (
        make_rows,
        "y ~ x + (1 | number) + (1 | season)",
        {"weights": "w", "counts": "k", "offset": "z"},
    ),
    "several factors, complete": (make_rows, "y ~ x + (1 | number) + (1 | season)", {"pooling": "complete"}),
    "several factors, reml": (make_rows, "y ~ x + (1 | number) + (1 | f)", {"method": "empirical_bayes"}),
    "far from zero": (lambda: make_rows() | {"x": make_rows()["x"] * 1e6 + 1e12}, "y ~ x + (1 | site)", {}),
}


def fit_case(name: str) -> Any:
    """Fit with few nodes: how many there are does not matter to what is stored."""
    make, formula, arguments = CASES[name]
    rough = {} if arguments.get("method") in ("grid", "empirical_bayes") else {"accuracy": 0.1}
    return pp.fit(formula, make(), **rough, **arguments)


def same(one: pd.DataFrame, two: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def new_rows(data: Any, factor: tuple[str, ...]) -> Any:
    """Rows of known groups and two of unseen ones."""
    frame = pd.DataFrame({name: list(values[:6]) for name, values in dict(data).items()})
    for name in factor:
        column = frame[name].tolist()
        # older pandas keeps numpy's own text type
        kind = str if isinstance(column[0], str) else type(column[0])
        unseen = {str: "never seen", int: 10_000, float: 10_000.5, bool: column[0]}[kind]
        frame[name] = [*column[:-2], unseen, unseen]
    return frame


@pytest.fixture(params=list(CASES))
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[pp.Posterior, pp.Posterior, Any]:
    fit = fit_case(request.param)
    path = tmp_path / "fit.nc"
    assert fit.save(path) == path
    return fit, pp.load(path), CASES[request.param][0]()


def test_everything_is_the_same(saved: tuple[Any, Any, Any]) -> None:
    fit, loaded, data = saved
    same(fit.summary(effects=True, quantiles=(0.01, 0.5)), loaded.summary(effects=True, quantiles=(0.01, 0.5)))
    for group in fit.fitted.model.groups:
        same(fit.groups(group.name), loaded.groups(group.name))
    unseen = fit.fitted.model.pooling != "none"  # without pooling they are refused
    rows = new_rows(
        data, tuple({name for group in fit.fitted.model.groups for name in group.columns}) if unseen else ()
    )
    same(fit.predict(rows), loaded.predict(rows))
    for one, two in ((fit.draws(200), loaded.draws(200)), (fit.draws(50, seed=3), loaded.draws(50, seed=3))):
        assert list(one) == list(two)
        for name, values in one.items():
            np.testing.assert_array_equal(values, two[name])
    assert repr(fit) == repr(loaded)
    assert fit.priors == loaded.priors
    assert {name: repr(prior) for name, prior in fit.fitted.model.priors.items()} == {
        name: repr(prior) for name, prior in loaded.fitted.model.priors.items()
    }
    assert fit.engine == loaded.engine
    assert fit.fitted.hyper.log_marginal_likelihood == loaded.fitted.hyper.log_marginal_likelihood
    assert (fit.fitted.method, fit.fitted.seed, fit.formula, fit.fitted.plug_in) == (
        loaded.fitted.method, loaded.fitted.seed, loaded.formula, loaded.fitted.plug_in,
    )  # fmt: skip
    assert fit.fitted.observations.rows_dropped == loaded.fitted.observations.rows_dropped


@pytest.mark.parametrize("formula", ["y ~ 1 + (1 | site)", "y ~ x + (1 + x | site)", "y ~ x + (1 + x | number)"])
@pytest.mark.parametrize("container", ["nc", pytest.param("zarr", marks=needs_zarr)])
def test_groups_on_their_own(formula: str, container: str, tmp_path: Path) -> None:
    data = {name: values[:45] for name, values in make_rows().items()}  # of five groups
    fit = pp.fit(formula, data, pooling="none", sigma="by group", priors={"sigma": "HalfCauchy(1.3)"}, seed=9)
    path = fit.save(tmp_path / f"fit.{container}")
    loaded = pp.load(path)
    same(fit.summary(), loaded.summary())
    same(fit.groups(), loaded.groups())
    rows = {name: values[:9] for name, values in data.items()}
    same(fit.predict(rows), loaded.predict(rows))
    for name, values in fit.draws(60).items():
        np.testing.assert_array_equal(values, loaded.draws(60, parameters=[name])[name])
    assert repr(fit) == repr(loaded)
    assert fit.engine == loaded.engine


def test_another_process_answers_the_same(tmp_path: Path) -> None:
    fit = fit_case("transforms")
    fit.save(tmp_path / "fit.nc")
    code = (
        "import sys, partialpool as pp; fit = pp.load(sys.argv[1]); "
        "print(fit.summary(effects=True).values.tobytes().hex()); print(fit.draws(20)['sigma'].tobytes().hex())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "fit.nc")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert printed[0] == fit.summary(effects=True).values.tobytes().hex()
    assert printed[1] == fit.draws(20)["sigma"].tobytes().hex()


def test_derived_tables_are_the_same(tmp_path: Path) -> None:
    fit = pp.fit("y ~ x + (x | site) + (1 | f)", make_rows(), accuracy=0.1)
    loaded = pp.load(fit.save(tmp_path / "fit.nc"))
    same(fit.variances(), loaded.variances())
    same(fit.covariance("site"), loaded.covariance("site"))
    same(fit.differences("f"), loaded.differences("f"))
    same(fit.contrast("site", "site 03", "site 05"), loaded.contrast("site", "site 03", "site 05"))
    same(fit.pooling("f"), loaded.pooling("f"))


def test_fine_nodes_are_kept(tmp_path: Path) -> None:
    """A few carriers of the effects and many nodes of the hyperparameters, as dear models have them."""
    fit = pp.fit("y ~ x + (1 | site) + (1 | f)", make_rows(), priors={"sd(f)": "HalfNormal(1)"})
    hyper = fit.fitted.hyper
    carriers, weights = hyper.coordinates[:32], hyper.weights[:32] / hyper.weights[:32].sum()
    fine = FineNodes(hyper.coordinates[::2], hyper.weights[::2] / hyper.weights[::2].sum())
    few = pp.Posterior(replace(fit.fitted, hyper=replace(hyper, coordinates=carriers, weights=weights, fine=fine)))
    loaded = pp.load(few.save(tmp_path / "fit.nc"))
    assert loaded.fitted.hyper.fine is not None
    np.testing.assert_array_equal(loaded.fitted.hyper.fine.coordinates, fine.coordinates)
    np.testing.assert_array_equal(loaded.fitted.hyper.fine.weights, fine.weights)
    same(few.summary(effects=True), loaded.summary(effects=True))
    same(few.variances(), loaded.variances())
    for name, values in few.draws(50).items():
        np.testing.assert_array_equal(values, loaded.draws(50)[name])
    assert abs(few.summary().loc["sd(site)", "mean"] - fit.summary().loc["sd(site)", "mean"]) < 0.02


@pytest.mark.parametrize(("terms", "version"), [("(1 | site)", 1), ("(1 | site) + (1 | f)", 2)])
def test_a_fit_that_earlier_releases_can_read_says_so(terms: str, version: int, tmp_path: Path) -> None:
    import xarray as xr

    path = pp.fit(f"y ~ x + {terms}", make_rows(), priors={"sd": "HalfNormal(1)"}).save(tmp_path / "fit.nc")
    with xr.open_dataset(path, group="partialpool", engine="h5netcdf", decode_cf=False) as dataset:
        assert dataset.attrs["format_version"] == version


def test_pooling_table_is_the_same(tmp_path: Path) -> None:
    fit = pp.fit("effect ~ 1 + (1 | school)", SCHOOLS, standard_error="se")
    fit.save(tmp_path / "fit.nc")
    same(fit.pooling(), pp.load(tmp_path / "fit.nc").pooling())


def test_a_loaded_fit_can_be_saved_again(tmp_path: Path) -> None:
    fit = pp.fit("y ~ x + (1 + x | site)", make_rows(), accuracy=0.1)
    fit.save(tmp_path / "one.nc")
    pp.load(tmp_path / "one.nc").save(tmp_path / "two.nc")
    same(fit.summary(effects=True), pp.load(tmp_path / "two.nc").summary(effects=True))


def test_rows_left_out_stay_out_without_a_second_warning(tmp_path: Path) -> None:
    data = make_rows()
    data["x"][5] = np.nan
    with pytest.warns(pp.errors.PartialpoolWarning):
        fit = pp.fit("y ~ x + (1 | site)", data, priors={"sd": "InverseGamma(.001, .001, on='variance')"})
    fit.save(tmp_path / "fit.nc")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = pp.load(tmp_path / "fit.nc")
    assert loaded.fitted.observations.rows_dropped == {"x": 1}
    np.testing.assert_array_equal(loaded.fitted.observations.rows, fit.fitted.observations.rows)
    same(fit.summary(), loaded.summary())


def test_strided_input_is_the_same(tmp_path: Path) -> None:
    table = np.random.default_rng(8).normal(size=(400, 3))
    data = {"y": table[:, 0], "x": table[:, 1], "g": np.arange(400) % 9}
    fit = pp.fit("y ~ scale(x) + (1 | g)", data)
    fit.save(tmp_path / "fit.nc")
    same(fit.summary(effects=True), pp.load(tmp_path / "fit.nc").summary(effects=True))


def test_the_data_may_change_after_the_fit_was_saved(tmp_path: Path) -> None:
    data = make_rows()
    fit = pp.fit("y ~ x + (1 | site)", data)
    fit.save(tmp_path / "fit.nc")
    table = fit.summary(effects=True)
    data["y"][:] = 0.0
    same(table, pp.load(tmp_path / "fit.nc").summary(effects=True))


@needs_zarr
@pytest.mark.parametrize("case", ["schools", "slopes", "transforms", "strange labels", "summaries", "reml at zero"])
def test_zarr(case: str, tmp_path: Path) -> None:
    fit = fit_case(case)
    path = tmp_path / "fit.zarr"
    fit.save(path)
    fit.save(path)  # a store is replaced
    loaded = pp.load(path)
    same(fit.summary(effects=True), loaded.summary(effects=True))
    assert repr(fit) == repr(loaded)
    assert [entry.name for entry in tmp_path.iterdir()] == ["fit.zarr"]


@pytest.mark.parametrize("ending", [".nc", ".netcdf", ".h5", ".NC"])
def test_endings(ending: str, tmp_path: Path) -> None:
    fit = pp.fit("effect ~ 1 + (1 | school)", SCHOOLS, standard_error="se")
    path = tmp_path / f"fit{ending}"
    fit.save(str(path))
    assert pp.load(str(path)).formula == fit.formula


# --- what others read ---


@pytest.mark.parametrize("container", ["nc", pytest.param("zarr", marks=needs_zarr)])
def test_the_posterior_group_is_readable_alone(container: str, tmp_path: Path) -> None:
    import xarray as xr

    fit = pp.fit("y ~ I(x / 2) + (1 + I(x / 2) | place)", make_strange_labels(), accuracy=0.1)
    path = tmp_path / f"fit.{container}"
    fit.save(path)
    with xr.open_datatree(path, engine="zarr" if container == "zarr" else "h5netcdf") as tree:
        posterior = tree["posterior"]
        assert posterior["theta"].dims == ("chain", "draw", "place", "coefficient")
        assert set(posterior["place"].values.tolist()) == set(make_strange_labels()["place"].tolist())
        real = {str(variable.attrs.get("parameter")): variable for variable in posterior.data_vars.values()}
        draws = fit.draws()
        for name in ("Intercept", "I(x / 2)", "sd(place, I(x / 2))", "cor(place, Intercept, I(x / 2))", "sigma"):
            np.testing.assert_array_equal(real[name].values.ravel(), draws[name])
        assert posterior.attrs["inference_library"] == "partialpool"


def test_many_groups_leave_their_draws_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import xarray as xr

    monkeypatch.setattr(storage, "_MOST_EFFECT_DRAWS", 1000)
    fit = pp.fit("effect ~ 1 + (1 | school)", SCHOOLS, standard_error="se")
    fit.save(tmp_path / "fit.nc")
    with xr.open_dataset(tmp_path / "fit.nc", group="posterior", engine="h5netcdf") as posterior:
        assert set(posterior.data_vars) == {"Intercept", "sd(school)"}
        np.testing.assert_array_equal(posterior["Intercept"].values.ravel(), fit.draws()["Intercept"])
    same(fit.summary(effects=True), pp.load(tmp_path / "fit.nc").summary(effects=True))


@pytest.mark.skipif(
    importlib.util.find_spec("arviz_stats") is None,
    reason="arviz-stats is not installed: pip install 'partialpool[arviz]'",
)
def test_arviz_opens_the_file(tmp_path: Path) -> None:
    import arviz_stats
    import xarray as xr

    fit = pp.fit("y ~ x + (1 + x | site)", make_rows())
    fit.save(tmp_path / "fit.nc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as tree:
            table = arviz_stats.summary(tree, round_to="none")
    ours = fit.summary(effects=True)
    assert abs(float(table.loc["sigma", "mean"]) - ours.loc["sigma", "mean"]) < 4.5 * ours.loc["sigma", "sd"] / 63.0
    assert np.all(table["r_hat"].astype(float) < 1.006)


def test_no_pickle_in_the_file(tmp_path: Path) -> None:
    fit = pp.fit("y ~ bs(x, df=4) + (1 | site)", make_rows())
    fit.save(tmp_path / "fit.nc")
    content = (tmp_path / "fit.nc").read_bytes()
    assert b"formulaic" not in content
    assert b"cnumpy" not in content


# --- arrays ---


def round_trip(arrays: dict[str, Any]) -> dict[str, Any]:
    return unpack_arrays(pack_arrays(arrays, {"kind": "test"}))[0]


@pytest.mark.parametrize(
    "values",
    [
        np.array(["a", "", "ä漢", "a\0b", "\ud800", " ", "x/y"]),
        np.array(["", ""]),
        np.array([0, 5, 255]),
        np.array([-1, 70_000]),
        np.array([-(2**62), 2**62]),
        np.array([True, False]),
        np.array([0.1, -0.0, np.inf, -np.inf, 5e-324]),
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0)[::3],
    ],
)
def test_arrays_come_back(values: np.ndarray) -> None:
    back = round_trip({"values": values})["values"]
    assert back.dtype == values.dtype
    assert back.tolist() == values.tolist()
    if back.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(back), np.signbit(values))


def test_a_changed_number_is_noticed() -> None:
    dataset = pack_arrays({"values": np.arange(5.0)}, {})
    dataset["values"].values[3] = 3.5
    with pytest.raises(DamagedError, match="checksum"):
        unpack_arrays(dataset)


def test_json_holds_infinities() -> None:
    for value in (1.5, np.inf, -np.inf, np.float64(2.0)):
        text = json.dumps(encode_number(value), allow_nan=False)
        assert float(json.loads(text)) == value
    assert np.isnan(float(json.loads(json.dumps(encode_number(np.nan), allow_nan=False))))


def test_unseen_levels_of_a_covariate_are_refused_alike(tmp_path: Path) -> None:
    data = make_rows()
    fit = pp.fit("y ~ f + (1 | site)", data)
    fit.save(tmp_path / "fit.nc")
    rows = {"f": ["unknown"], "site": ["site 01"]}
    with pytest.raises(DataError) as one:
        fit.predict(rows)
    with pytest.raises(DataError) as two:
        pp.load(tmp_path / "fit.nc").predict(rows)
    assert str(one.value) == str(two.value)

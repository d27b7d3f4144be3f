"""Latent fits leave through files, pictures and the command line whatever labels, outcomes and arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import partialpool as pp
from partialpool.cli.verbs import main
from partialpool.errors import OutputError
from partialpool.results.files import storage

BINOMIAL: dict[str, Any] = {"family": "binomial", "trials": "n"}
STRANGE = ["a/b", "c]d", "g=e", "$x$", "ä ß 漢", " ", "p[g=1]", "None", "x:y", "nul\0l"]


def make_data(successes: Any = None) -> dict[str, Any]:
    rng = np.random.default_rng(4)
    n = rng.integers(3, 12, 10)
    return {"y": rng.binomial(n, 0.4) if successes is None else successes, "n": n, "g": np.array(STRANGE)}


def test_strange_labels_leave_and_come_back(tmp_path: Path) -> None:
    fit = pp.fit("y ~ 1 + (1 | g)", make_data(), **BINOMIAL, accuracy=0.1)
    loaded = pp.load(fit.save(tmp_path / "fit.nc"))
    pd.testing.assert_frame_equal(fit.groups(), loaded.groups(), check_exact=True)
    assert loaded.groups().index.tolist() == fit.groups().index.tolist()
    for kind in ("shrinkage", "forest"):
        path = tmp_path / f"{kind}.png"
        getattr(fit.plot, kind)(path)
        assert path.stat().st_size > 10_000
    assert fit.to_arviz(8)["posterior"]["p"].shape == (4, 2, 10)


@pytest.mark.parametrize("successes", ["none", "all", "some of both"])
@pytest.mark.parametrize("population", ["normal", "beta"])
def test_groups_that_always_or_never_succeed(successes: str, population: str, tmp_path: Path) -> None:
    n = make_data()["n"]
    counts = {"none": 0 * n, "all": n, "some of both": np.where(np.arange(10) < 5, 0, n)}[successes]
    fit = pp.fit("y ~ 1 + (1 | g)", make_data(counts), **BINOMIAL, population=population, accuracy=0.1)
    fit.plot.shrinkage(tmp_path / "a.png")
    fit.plot.forest(tmp_path / "b.svg")
    table = fit.groups()
    assert set(table["raw"]) <= {0.0, 1.0}
    assert table["mean"].between(0.0, 1.0, inclusive="neither").all()
    tree = fit.to_arviz(40)
    assert np.isfinite(tree["log_likelihood"]["y"]).all()
    pd.testing.assert_frame_equal(pp.load(fit.save(tmp_path / "fit.nc")).groups(), table, check_exact=True)


def test_a_column_with_the_name_of_a_quantity(tmp_path: Path) -> None:
    """A factor called p, a covariate called rate: no name of the draws is taken twice."""
    rng = np.random.default_rng(1)
    data = {"u": rng.poisson(3.0, 12), "p": np.arange(12) % 4, "rate": rng.normal(size=12)}
    fit = pp.fit("u ~ rate + (1 | p)", data, family="poisson", method="empirical_bayes")
    tree = fit.to_arviz(8)
    names = {values.attrs.get("parameter", str(name)) for name, values in tree["posterior"].data_vars.items()}
    assert {"Intercept", "rate", "sd(p)", "u", "theta"} <= names
    assert tree["posterior"]["rate"].sizes == {"chain": 4, "draw": 2, "p": 4}
    loaded = pp.load(fit.save(tmp_path / "fit.nc"))
    pd.testing.assert_frame_equal(loaded.summary(effects=True), fit.summary(effects=True), check_exact=True)


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.95])
def test_a_file_cut_short_is_refused(keep: float, tmp_path: Path) -> None:
    path = pp.fit("y ~ 1 + (1 | g)", make_data(), **BINOMIAL, accuracy=0.1).save(tmp_path / "fit.nc")
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(OutputError):
        pp.load(path)


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pp.fit("y ~ 1 + (1 | g)", make_data(), **BINOMIAL, accuracy=0.1).save(tmp_path / "fit.nc")
    monkeypatch.setattr(storage, "FORMAT_VERSION", 2)
    with pytest.raises(OutputError, match="reads up to 2: upgrade"):
        pp.load(path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--family", "binomial", "--trials", "-3"], "trials"),
        (["--family", "binomial", "--trials", "2.5"], "whole number"),
        (["--family", "binomial", "--trials", "n", "--exposure", "n"], "exposure is given with family='binomial'"),
        (["--family", "__import__('os')", "--trials", "n"], "unknown"),
        (["--family", "binomial", "--trials", "n", "--population", "student_t(nu=__import__('os'))"], "population"),
        (["--family", "binomial", "--trials", "n", "--population", "beta", "--link", "probit"], "link"),
        (["--family", "binomial", "--trials", "n", "--censored", "n"], "censored is given with family='binomial'"),
        (["--family", "lognormal", "--truncation-lower", "5", "--truncation-upper", "2"], "truncation"),
        (["--family", "bernoulli"], "response 'y'"),
    ],
)
def test_the_command_line_refuses_with_a_reason(
    options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = {name: values[:9] for name, values in make_data().items()}
    pd.DataFrame(data).to_csv("data.csv", index=False)
    arguments = ["fit", "data.csv", "y ~ 1 + (1 | g)", *options, "--out", "fit.nc"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    assert said in " ".join(result.stderr.split())
    assert "defect" not in result.stderr
    assert not Path("fit.nc").exists()


def test_json_has_null_where_a_raw_estimate_has_no_sd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"y": [0, 0, 3, 2], "n": [5, 4, 6, 3], "g": list("abcd")}).to_csv("data.csv", index=False)
    arguments = ["fit", "data.csv", "y ~ 1 + (1 | g)", "--family", "binomial", "--trials", "n", "--json"]
    report = json.loads(CliRunner().invoke(main, arguments, catch_exceptions=False).stdout)
    assert [group["raw"] for group in report["groups"][:2]] == [0.0, 0.0]
    assert [group["raw_sd"] for group in report["groups"][:2]] == [None, None]

"""The command line: what it prints and writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import partialpool as pp
from partialpool.cli.verbs import main

SCHOOLS = ["effect ~ 1 + (1 | school)", "--standard-error", "se"]


@pytest.fixture
def schools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A directory of its own that holds schools.csv."""
    monkeypatch.chdir(tmp_path)
    pd.DataFrame(pp.datasets.eight_schools()).to_csv("schools.csv", index=False)
    return "schools.csv"


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def test_fit_prints_the_fit_and_the_groups(schools: str) -> None:
    result = _run("fit", schools, *SCHOOLS)
    assert result.exit_code == 0
    assert result.stderr == ""
    fit = pp.fit(SCHOOLS[0], pp.datasets.eight_schools(), standard_error="se")
    assert repr(fit) in result.stdout
    table = result.stdout[result.stdout.index("school  n") :].splitlines()
    assert table[0].split() == ["school", "n", "raw", "raw_sd", "mean", "sd", "q5", "q95", "weight"]
    for line, (school, expected) in zip(table[1:9], fit.groups().iterrows(), strict=True):
        label, *numbers = line.split()
        assert label == school
        assert [float(number) for number in numbers] == pytest.approx(expected.to_list(), abs=0.005)
    assert os.listdir() == ["schools.csv"]


@pytest.mark.parametrize(
    "options",
    [("--standard-error", "10"), ("--standard-error", "10", "--offset", "2"), ("--size", "10", "--sd", "30")],
)
def test_one_number_for_every_row(schools: str, options: tuple[str, ...]) -> None:
    result = _run("fit", schools, SCHOOLS[0], *options)
    assert (result.exit_code, result.stderr) == (0, "")
    roles = {name[2:].replace("-", "_"): float(value) for name, value in zip(options[::2], options[1::2], strict=True)}
    assert repr(pp.fit(SCHOOLS[0], pp.datasets.eight_schools(), **roles)) in result.stdout  # type: ignore[arg-type]


def test_groups_are_printed_once_where_they_alone_are_unknown(schools: str) -> None:
    given = ["--prior", "Intercept=Fixed(8)", "--prior", "sd(school)=Fixed(6)"]
    printed = _run("fit", schools, *SCHOOLS, *given).stdout
    assert sum(line.startswith("school ") for line in printed.splitlines()) == 1


def test_json_is_one_object_and_nothing_else(schools: str) -> None:
    result = _run(
        "fit", schools, *SCHOOLS, "--prior", "sd(school)=HalfCauchy(5)", "--prior", "Intercept=Normal(0, 5)", "--json"
    )
    assert (result.exit_code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    priors = {"sd(school)": "HalfCauchy(5)", "Intercept": "Normal(0, 5)"}
    fit = pp.fit(SCHOOLS[0], pp.datasets.eight_schools(), standard_error="se", priors=priors)
    assert report["priors"] == priors
    assert list(report["summary"]) == ["Intercept", "sd(school)"]
    assert report["summary"]["Intercept"] == fit.summary().loc["Intercept"].to_dict()
    assert [group.pop("group") for group in report["groups"]] == list("ABCDEFGH")
    assert report["groups"] == fit.groups().to_dict("records")
    assert report["engine"]["status"] == "converged"
    assert report["rows"] == {"read": 8, "used": 8, "left_out": {}}
    assert report["log_marginal_likelihood"] == fit.log_marginal_likelihood
    assert report["versions"]["partialpool"] == pp.__version__
    assert report["files"] == []


def test_json_has_null_for_what_does_not_exist(schools: str) -> None:
    result = _run("fit", schools, *SCHOOLS, "--method", "empirical_bayes", "--estimator", "dersimonian_laird", "--json")
    report = json.loads(result.stdout)
    assert report["summary"]["sd(school)"]["sd"] is None
    assert report["log_marginal_likelihood"] is None
    assert report["engine"]["status"] == "plug-in"


def test_json_names_the_coefficients_of_several(tmp_path: Path) -> None:
    pd.DataFrame(pp.datasets.sleepstudy()).to_csv(tmp_path / "sleep.csv", index=False)
    report = json.loads(
        _run("fit", str(tmp_path / "sleep.csv"), "Reaction ~ Days + (Days | Subject)", "--effects", "--json").stdout
    )
    assert [(line["group"], line["coefficient"]) for line in report["groups"][:2]] == [
        (308, "Intercept"),
        (308, "Days"),
    ]
    assert len(report["groups"]) == 36
    assert "theta[Subject=308, Days]" in report["summary"]


def test_effects_adds_every_groups_deviation_and_value(schools: str) -> None:
    plain, full = _run("fit", schools, *SCHOOLS).stdout, _run("fit", schools, *SCHOOLS, "--effects").stdout
    assert "u[school=A]" not in plain
    assert "u[school=A]" in full
    assert "theta[school=H]" in full


def test_quiet_prints_nothing_and_still_writes(schools: str) -> None:
    result = _run("fit", schools, *SCHOOLS, "--quiet", "--plot", "a.png", "--forest", "b.svg")
    assert (result.exit_code, result.output) == (0, "")
    assert sorted(os.listdir()) == ["a.png", "b.svg", "schools.csv"]
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    assert Path("b.svg").read_text().startswith("<?xml")


def test_a_saved_fit_loads(schools: str) -> None:
    result = _run("fit", schools, *SCHOOLS, "--out", "fit.nc")
    assert result.exit_code == 0
    assert result.stdout.endswith("written: fit.nc\n")
    pd.testing.assert_frame_equal(
        pp.load("fit.nc").summary(), pp.fit(SCHOOLS[0], pp.datasets.eight_schools(), standard_error="se").summary()
    )


def test_dropped_rows_are_one_line_on_standard_error(schools: str) -> None:
    with Path(schools).open("a") as file:
        file.write("I,NA,4\n")
    result = _run("fit", schools, *SCHOOLS)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [result.stderr.rstrip("\n")]
    assert result.stderr.startswith("warning: 1 of 9 rows is left out because of missing values: 1 in 'effect'.")
    refused = _run("fit", schools, *SCHOOLS, "--missing", "raise")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "'effect' is missing in row 9" in refused.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--pooling", "complete"], "completely pooled"),
        (["--pooling", "none"], "not pooled"),
        (["--method", "grid"], "textbook grid"),
        (["--method", "importance"], "importance sampling"),
    ],
)
def test_options_reach_the_fit(schools: str, options: list[str], expected: str) -> None:
    result = _run("fit", schools, *SCHOOLS, *options)
    assert result.exit_code == 0
    assert expected in result.stdout


def test_summaries_and_a_sigma_for_each_group(tmp_path: Path) -> None:
    path = tmp_path / "homework.csv"
    pd.DataFrame(pp.datasets.homework()).to_csv(path, index=False)
    common = [str(path), "hours ~ 1 + (1 | school)", "--size", "n", "--sd", "sd"]
    assert "sigma unknown, rows are (n, mean, sd)" in _run("fit", *common).stdout
    apart = _run("fit", *common, "--pooling", "none", "--sigma-by-group")
    assert "with its own sigma" in apart.stdout
    assert apart.stdout.count("school   n") == 1
    report = json.loads(_run("fit", *common, "--pooling", "none", "--sigma-by-group", "--json").stdout)
    assert len(report["groups"]) == 8
    assert "sigma[school=8]" in report["summary"]


def test_many_groups_are_cut_in_the_middle(tmp_path: Path) -> None:
    pd.DataFrame({"y": [float(i % 7) for i in range(500)], "s": 1.0, "g": range(500)}).to_csv(
        tmp_path / "many.csv", index=False
    )
    text = _run("fit", str(tmp_path / "many.csv"), "y ~ 1 + (1 | g)", "--standard-error", "s").stdout
    assert "... 470 more lines ..." in text
    assert max(map(len, text.splitlines())) <= 100


def test_describe_shows_how_a_formula_is_understood(schools: str) -> None:
    result = _run("describe", schools, *SCHOOLS)
    assert result.exit_code == 0
    assert result.stdout == f"{pp.describe(SCHOOLS[0], pp.datasets.eight_schools(), standard_error='se')}\n"


def test_the_demo_prints_the_answer_and_draws_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run("demo")
    assert result.exit_code == 0
    assert "partialpool fit: effect ~ 1 + (1 | school)" in result.stdout
    assert "HalfStudentT" in result.stdout
    assert "Raw effects run from -3 to 28 points; partially pooled, from 5.8 to 10.2" in result.stdout
    assert result.stdout.endswith(f"picture: {tmp_path / 'shrinkage.png'}\n")
    assert os.listdir() == ["shrinkage.png"]
    plain = _run("demo", "--no-plot").stdout
    assert result.stdout.startswith(plain.rstrip("\n"))


def test_the_version(tmp_path: Path) -> None:
    assert _run("--version").stdout == f"partialpool {pp.__version__}\n"


@pytest.mark.parametrize("command", [[], ["fit"], ["describe"], ["demo"]])
def test_every_help_text_shows_an_example(command: list[str]) -> None:
    result = _run(*command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert "  partialpool " in result.stdout


def test_the_module_runs_and_a_closed_pipe_is_quiet(schools: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(pp.__file__).parents[1])}
    command = f"{sys.executable} -m partialpool fit schools.csv '{SCHOOLS[0]}' --standard-error se | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == f"partialpool fit: {SCHOOLS[0]}\n"
    assert done.stderr == ""


# --- several factors ---

SEVERAL = "y ~ 1 + (1 | town) + (1 | year)"


@pytest.fixture
def towns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A directory of its own that holds towns.csv: simulated."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    town, year = rng.integers(0, 4, 60), rng.integers(0, 5, 60)
    y = rng.normal(size=4)[town] + rng.normal(size=5)[year] + 0.5 * rng.normal(size=60)
    names = np.array(["North End", "South", "East", "West"])
    pd.DataFrame({"y": y, "town": names[town], "year": 2000 + year}).to_csv("towns.csv", index=False)
    return "towns.csv"


def test_the_first_factors_groups_are_shown_and_the_others_named(towns: str) -> None:
    text = _run("fit", towns, SEVERAL).stdout
    assert "60 rows, 4 groups of town, 5 of year" in text
    assert "North End" in text
    assert "2004" not in text
    assert text.rstrip().endswith("groups of other factors: --factor year")
    other = _run("fit", towns, SEVERAL, "--factor", "year").stdout
    assert "2004" in other
    assert "North End" not in other
    assert other.rstrip().endswith("groups of other factors: --factor town")
    assert max(map(len, other.splitlines())) <= 100


def test_pictures_of_one_factor(towns: str) -> None:
    _run("fit", towns, SEVERAL, "--quiet", "--plot", "town.svg", "--forest", "town2.svg")
    _run("fit", towns, SEVERAL, "--quiet", "--factor", "year", "--plot", "year.svg", "--forest", "year2.svg")
    for name, shown, hidden in (("town", "North End", "2004"), ("year", "2004", "North End")):
        for path in (f"{name}.svg", f"{name}2.svg"):
            text = Path(path).read_text()
            assert f"<!-- {shown} -->" in text
            assert f"<!-- {hidden} -->" not in text


def test_json_has_the_groups_of_every_factor(towns: str) -> None:
    fit = pp.fit(SEVERAL, pd.read_csv(towns))
    report = json.loads(_run("fit", towns, SEVERAL, "--json").stdout)
    assert (report["factor"], report["factors"]) == ("town", ["town", "year"])
    for name in ("town", "year"):
        lines = [line for line in report["groups"] if line["factor"] == name]
        assert [line["group"] for line in lines] == fit.groups(name).index.to_list()
        kept = [{key: line[key] for key in line if key not in ("factor", "group")} for line in lines]
        assert kept == fit.groups(name).to_dict("records")
    only = json.loads(_run("fit", towns, SEVERAL, "--json", "--factor", "year").stdout)
    assert only["groups"] == [line for line in report["groups"] if line["factor"] == "year"]


def test_effects_of_every_factor_are_listed(towns: str) -> None:
    text = _run("fit", towns, SEVERAL, "--effects").stdout
    assert "theta[town=North End]" in text
    assert "u[year=2004]" in text

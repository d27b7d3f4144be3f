"""The command line for counts and proportions: options reach the fit, tables and JSON name their scale."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import partialpool as pp
from partialpool import ProbitSelection
from partialpool.cli.cli_options import read_roles
from partialpool.cli.prior_texts import read_number_or_column, read_population_texts
from partialpool.cli.verbs import main


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A directory of its own that holds shop.csv."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    visits = rng.integers(5, 60, 12)
    hours = rng.lognormal(0.5, 0.6, 12)
    frame = pd.DataFrame(
        {
            "purchases": rng.binomial(visits, 0.3),
            "visits": visits,
            "store": [f"S{k % 6:02d}" for k in range(12)],
            "accidents": rng.poisson(3, 12),
            "km": rng.uniform(1, 9, 12),
            "bought": rng.choice(["yes", "no"], 12),
            "x": rng.normal(size=12),
            "hours": np.minimum(hours, 2.0),
            "status": np.where(hours > 2.0, "right", "none"),
            "end": np.full(12, 2.5),
        }
    )
    frame.to_csv("shop.csv", index=False)
    return frame


EB = "--method=empirical_bayes"
BINOMIAL = ["purchases ~ 1 + (1 | store)", "--family", "binomial", "--trials", "visits"]


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def _json(*arguments: str) -> dict:
    result = _run("fit", "shop.csv", *arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_groups_are_printed_on_the_responses_scale_and_say_so(shop: pd.DataFrame) -> None:
    result = _run("fit", "shop.csv", *BINOMIAL)
    assert (result.exit_code, result.stderr) == (0, "")
    fit = pp.fit(BINOMIAL[0], shop, family="binomial", trials="visits")
    assert repr(fit) in result.stdout
    after = result.stdout[result.stdout.index("groups of store: p (purchases / visits)") :].splitlines()
    assert after[2].split() == ["store", "n", "size", "raw", "raw_sd", "mean", "sd", "q5", "q95", "weight"]
    for line, (store, expected) in zip(after[3:9], fit.groups().iterrows(), strict=True):
        label, *numbers = line.split()
        assert label == store
        assert [float(number) for number in numbers] == pytest.approx(expected.to_list(), abs=0.001)
    assert "trials in the group's rows" in result.stdout


def test_json_names_family_link_population_and_scale(shop: pd.DataFrame) -> None:
    report = _json(*BINOMIAL, "--population", "store=beta")
    fit = pp.fit(BINOMIAL[0], shop, family="binomial", trials="visits", population={"store": "beta"})
    assert (report["family"], report["link"], report["population"]) == ("binomial", "logit", "beta")
    assert report["scale"] == {"store": "p (purchases / visits)"}
    assert [group["mean"] for group in report["groups"]] == fit.groups()["mean"].to_list()
    assert [group["size"] for group in report["groups"]] == shop.groupby("store")["visits"].sum().to_list()
    assert list(report["summary"]) == ["alpha", "beta", "mean", "concentration"]
    assert "outcome" not in report


def test_json_of_a_gaussian_fit_says_the_same_things(shop: pd.DataFrame) -> None:
    report = _json("x ~ 1 + (1 | store)")
    assert (report["family"], report["link"], report["population"]) == ("gaussian", "identity", "normal")
    assert report["scale"] == {"store": "x"}


def test_json_says_which_label_is_one(shop: pd.DataFrame) -> None:
    report = _json(
        "bought ~ x + (1 | store)", "--family", "bernoulli", "--link", "probit", "--effects", "--accuracy", "0.1"
    )
    assert report["outcome"] == {"0": "no", "1": "yes"}
    assert (report["family"], report["link"]) == ("bernoulli", "probit")
    assert report["scale"] == {"store": "p (bought = yes)"}
    assert {"u[store=S00]", "theta[store=S00]", "p[store=S00]"} <= set(report["summary"])


def test_slopes_are_reported_on_the_linear_scale(shop: pd.DataFrame) -> None:
    report = _json("accidents ~ x + (x | store)", "--family", "poisson", "--exposure", "km", EB)
    assert report["scale"] == {"store": "log rate (accidents / km)"}
    assert {group["coefficient"] for group in report["groups"]} == {"Intercept", "x"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["purchases ~ 1 + (1 | store)", "--family", "binomial", "--trials", "60"], "successes of 60 trials"),
        (["accidents ~ 1 + (1 | store)", "--family", "poisson", "--exposure", "km"], "counts with exposure 'km'"),
        (["accidents ~ 1 + (1 | store)", "--family", "poisson"], "rate (accidents)"),
        (["hours ~ 1 + (1 | store)", "--family", "lognormal", "--censored", "status"], "right-censored in"),
        (["x ~ 1 + (1 | store)", "--truncation-lower", "-4"], "truncated to (-4, inf)"),
        (["x ~ 1 + (1 | store)", "--truncation-upper", "end", "--truncation-lower", "-5"], "truncated to (-5, 2.5)"),
        (
            ["x ~ 1 + (1 | store)", "--selection-lower", "-4", "--selection-rows", "all"],
            "objects selected in (-4, inf) (all rows decide)",
        ),
        (
            ["x ~ 1 + (1 | store)", "--selection-upper", "end", "--selection-width", "0.5", "--selection-rows", "any"],
            "objects selected below 2.5 by a probit curve of width 0.5 (any row decides)",
        ),
        (["x ~ 1 + (1 | store)", "--family", "student_t(nu=4)"], "student-t (nu = 4) with identity link"),
        (["x ~ 1 + (1 | store)", "--population", "student_t(nu=5)"], "student-t (nu = 5) population"),
    ],
)
def test_options_reach_the_fit(shop: pd.DataFrame, arguments: list[str], expected: str) -> None:
    result = _run("fit", "shop.csv", *arguments, "--method", "empirical_bayes")
    assert (result.exit_code, result.stderr) == (0, "")
    assert expected in " ".join(result.stdout.split())


def test_describe_takes_the_same_options(shop: pd.DataFrame) -> None:
    result = _run("describe", "shop.csv", *BINOMIAL, "--population", "store=beta")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert "response      purchases, successes of trials 'visits'" in lines
    assert lines[-2:] == ["family        binomial with logit link", "population    beta"]
    plain = _run("describe", "shop.csv", "x ~ 1 + (1 | store)")
    assert plain.stdout == f"{pp.describe('x ~ 1 + (1 | store)', shop)}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([*BINOMIAL[:3]], 1, "needs the number of trials"),
        ([*BINOMIAL, "--link", "logti"], 1, "link='logti'"),
        ([*BINOMIAL, "--population", "shop=beta"], 1, "'shop' is not a grouping factor"),
        ([*BINOMIAL, "--population", "beta", "--population", "gamma"], 2, "give one population alone"),
        ([*BINOMIAL, "--population", "store="], 2, "is not FACTOR=POPULATION"),
        ([*BINOMIAL, "--censored-upper", "end"], 2, "add --censored"),
        (["purchases ~ 1 + (1 | store)", "--family", "binomial", "--trials", "vists"], 1, "'vists'"),
        (["purchases ~ 1 + (1 | store)", "--family", "binomail", "--trials", "visits"], 1, "binomial"),
        (["purchases ~ 1 + (1 | store)", "--trials", "visits"], 1, "trials is given with family='gaussian'"),
    ],
)
@pytest.mark.parametrize("command", ["fit", "describe"])
def test_what_does_not_fit_is_said_plainly(
    shop: pd.DataFrame, command: str, arguments: list[str], code: int, said: str
) -> None:
    result = _run(command, "shop.csv", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert "defect" not in result.stderr


def test_files_are_written(shop: pd.DataFrame) -> None:
    result = _run("fit", "shop.csv", *BINOMIAL, "--out", "fit.nc", "--plot", "a.png", "--forest", "b.png", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert Path("a.png").read_bytes()[:4] == Path("b.png").read_bytes()[:4] == b"\x89PNG"
    assert pp.load("fit.nc").groups().shape[0] == 6


def test_roles_become_arguments() -> None:
    selection = ("selection_lower", "selection_upper", "selection_width")
    options = dict.fromkeys(("trials", "exposure", "censored", "censored_upper", *selection), None)
    limits = {"truncation_lower": "0", "truncation_upper": None}
    assert read_roles({**options, **limits})["truncation"] == (0.0, None)
    ends = {**options, "censored": "code", "censored_upper": "end", "truncation_lower": None, "truncation_upper": None}
    roles = read_roles({**ends, "trials": "12"})
    assert (roles["censored"], roles["truncation"], roles["trials"]) == (("code", "end"), None, 12.0)
    assert roles["selection"] is None
    assert read_roles({**ends, "selection_upper": "end"})["selection"] == (None, "end")
    curve = read_roles({**ends, "selection_upper": "20", "selection_width": "w"})["selection"]
    assert curve == ProbitSelection(20.0, "w", "below")
    with pytest.raises(click.UsageError, match="--selection-width is that of one limit"):
        read_roles({**ends, "selection_width": "1"})


@pytest.mark.parametrize(
    ("text", "expected"), [("20", 20.0), ("1e3", 1000.0), ("-5", -5.0), ("visits", "visits"), ("nan", "nan")]
)
def test_numbers_and_columns(text: str, expected: object) -> None:
    assert read_number_or_column(text) == expected


def test_a_factor_with_brackets_has_a_population() -> None:
    assert read_population_texts(["a:b=student_t(nu=4)"]) == {"a:b": "student_t(nu=4)"}
    with pytest.raises(ValueError, match="twice"):
        read_population_texts(["a=beta", "a=gamma"])

"""The named problems: data, formula, and the one set of priors that every Bayesian tool is given."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Columns = dict[str, np.ndarray]

SIMULATED_RADON_SEED = 20240917


@dataclass(frozen=True)
class Problem:
    """A model of one grouping factor, with at most one predictor, which may vary by group."""

    name: str
    formula: str
    data: Columns
    response: str
    group: str
    priors: dict[str, str]
    predictor: str = ""
    standard_error: str = ""
    parametrisation: str = "non-centred"
    """The one in which samplers do best; they are given it."""
    note: str = ""
    thresholds: dict[str, float] = field(default_factory=dict)
    """Peer name -> largest allowed ratio of our warm seconds to that peer's."""

    @property
    def coefficients(self) -> tuple[str, ...]:
        return ("Intercept", self.predictor) if self.predictor else ("Intercept",)


def read_columns(path: Path) -> Columns:
    """A CSV file as arrays: integers where every entry is one, else floats, else text."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return {name: as_array(values) for name, values in zip(header, zip(*rows, strict=True), strict=True)}


def as_array(values: tuple[str, ...]) -> np.ndarray:
    for kind in (int, float):
        try:
            return np.array([kind(value) for value in values])
        except ValueError:
            continue
    return np.array(values)


def eight_schools() -> Problem:
    """Rubin (1981); Gelman et al., Bayesian Data Analysis, table 5.2."""
    return Problem(
        name="eight_schools",
        formula="effect ~ 1 + (1 | school)",
        data={
            "school": np.array(list("ABCDEFGH")),
            "effect": np.array([28.0, 8, -3, 7, -1, 1, 18, 12]),
            "se": np.array([15.0, 10, 16, 11, 9, 11, 10, 18]),
        },
        response="effect",
        group="school",
        standard_error="se",
        priors={"Intercept": "Normal(0, 5)", "sd(school)": "HalfCauchy(5)"},
        thresholds={"jags": 1.0},
    )


def sleepstudy(path: Path | None = None) -> Problem:
    """Belenky et al. (2003): 18 subjects, 10 days each; the copy in partialpool unless a path is given."""
    return Problem(
        name="sleepstudy",
        formula="Reaction ~ Days + (Days | Subject)",
        data=read_columns(path) if path else packaged_sleepstudy(),
        response="Reaction",
        group="Subject",
        predictor="Days",
        priors={
            "Intercept": "Normal(250, 100)",
            "Days": "Normal(0, 50)",
            "sd(Subject, Intercept)": "HalfNormal(50)",
            "sd(Subject, Days)": "HalfNormal(25)",
            "cor(Subject, Intercept, Days)": "LKJ(2)",
            "sigma": "HalfNormal(50)",
        },
        parametrisation="centred",
        thresholds={"lme4": 3.0},
    )


def packaged_sleepstudy() -> Columns:
    from importlib.resources import as_file, files

    with as_file(files("partialpool") / "datasets" / "sleepstudy.csv") as path:
        return read_columns(path)


def radon(path: Path | None = None) -> Problem:
    """Gelman and Hill (2007), chapter 12: Minnesota homes; without a file, data like it."""
    return Problem(
        name="radon",
        formula="log_radon ~ floor + (floor | county)",
        data=read_columns(path) if path else simulate_radon(),
        response="log_radon",
        group="county",
        predictor="floor",
        priors={
            "Intercept": "Normal(0, 10)",
            "floor": "Normal(0, 10)",
            "sd(county, Intercept)": "HalfNormal(1)",
            "sd(county, floor)": "HalfNormal(1)",
            "cor(county, Intercept, floor)": "LKJ(2)",
            "sigma": "HalfNormal(1)",
        },
        note="" if path else f"simulated, radon-like (seed {SIMULATED_RADON_SEED}): no file was given",
        thresholds={"lme4": 3.0},
    )


def simulate_radon(n_rows: int = 919, n_counties: int = 85) -> Columns:
    """Radon-like rows: unbalanced counties (every one seen), one house in six measured on the first floor."""
    rng = np.random.default_rng(SIMULATED_RADON_SEED)
    share = rng.lognormal(0.0, 1.1, n_counties)
    county = np.concatenate([np.arange(n_counties), rng.choice(n_counties, n_rows - n_counties, p=share / share.sum())])
    county.sort()
    floor = (rng.random(n_rows) < 1 / 6).astype(float)
    scales = np.array([0.33, 0.30])
    effects = rng.multivariate_normal([0.0, 0.0], np.outer(scales, scales) * [[1, -0.3], [-0.3, 1]], n_counties)
    mean = 1.49 + effects[county, 0] + (-0.68 + effects[county, 1]) * floor
    return {
        "log_radon": mean + 0.72 * rng.standard_normal(n_rows),
        "floor": floor,
        "county": county + 1,
    }


def load_problems(
    names: tuple[str, ...], radon_path: Path | None = None, sleepstudy_path: Path | None = None
) -> list[Problem]:
    """The problems asked for whose data are there; radon's file may also be named by PARTIALPOOL_RADON."""
    if radon_path is None and os.environ.get("PARTIALPOOL_RADON"):
        radon_path = Path(os.environ["PARTIALPOOL_RADON"])
    makers = {
        "eight_schools": eight_schools,
        "sleepstudy": lambda: sleepstudy(sleepstudy_path),
        "radon": lambda: radon(radon_path),
    }
    problems = []
    for name in names:
        try:
            problems.append(makers[name]())
        except (FileNotFoundError, ModuleNotFoundError) as error:
            print(f"skipped: {name} ({error})")
    return problems

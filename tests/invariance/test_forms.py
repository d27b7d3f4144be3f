"""The same rows in another frame or another form, and new rows in another order: the same answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import partialpool as pp

from .agreement import GRID, largest_difference, read_summaries
from .problems import DEFAULTS, ESTIMATES, INTERCEPTS, PROBLEMS, SLOPES, Problem

each_problem = pytest.mark.parametrize("problem", [*PROBLEMS, DEFAULTS["intercepts"]], ids=lambda problem: problem.name)
FRAMES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pandas": pd.DataFrame,
    "pandas by category": lambda data: pd.DataFrame(data).astype({"g": "category"}),
    "pandas with its own index": lambda data: pd.DataFrame(data).set_index(np.arange(len(data["y"]))[::-1] * 3),
    "polars": pl.DataFrame,
    "polars lazy": pl.LazyFrame,
    "polars in chunks": lambda data: pl.concat([pl.DataFrame(data)[:5], pl.DataFrame(data)[5:]], rechunk=False),
    "pyarrow": pa.table,
}


@pytest.mark.parametrize("frame", FRAMES)
@each_problem
def test_frames_agree_to_the_last_bit(problem: Problem, frame: str) -> None:
    own, its = problem.own, problem.fit(FRAMES[frame](problem.data))
    assert own.priors == its.priors
    one, other = problem.summaries, read_summaries(its)
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.sd, other.sd)
    assert own.log_marginal_likelihood == other.log_marginal_likelihood
    pd.testing.assert_frame_equal(own.groups(), its.groups(), check_exact=True)
    draws = its.draws(50)
    for name, values in own.draws(50).items():
        np.testing.assert_array_equal(values, draws[name])


def summarise(data: dict[str, Any]) -> dict[str, Any]:
    """Return n, mean and sd of each group, for groups in order of label."""
    labels = np.unique(data["g"])
    each = [data["y"][data["g"] == label] for label in labels]
    columns = {"n": [len(y) for y in each], "y": [y.mean() for y in each], "s": [y.std(ddof=1) for y in each]}
    return {"g": labels} | {name: np.array(values) for name, values in columns.items()}


@pytest.mark.parametrize("default", [False, True], ids=["", "default priors"])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_summaries_are_their_rows(default: bool, shift: float) -> None:
    priors = (
        None if default else {"Intercept": pp.Normal(shift, 10), "sd(g)": pp.HalfNormal(2), "sigma": pp.Exponential(1)}
    )
    data = INTERCEPTS.data | {"y": INTERCEPTS.data["y"] + shift}
    rows = pp.fit("y ~ 1 + (1 | g)", data, priors=priors)
    summaries = pp.fit("y ~ 1 + (1 | g)", summarise(data), size="n", sd="s", priors=priors)
    assert isinstance(rows, pp.Posterior)
    assert isinstance(summaries, pp.Posterior)
    assert largest_difference(read_summaries(rows), read_summaries(summaries)) < GRID
    assert abs(rows.log_marginal_likelihood - summaries.log_marginal_likelihood) < GRID
    assert list(rows.groups()["n"]) == list(summaries.groups()["n"])


@pytest.mark.parametrize("default", [False, True], ids=["", "default priors"])
def test_several_estimates_of_a_group_are_their_weighted_mean(default: bool) -> None:
    rng = np.random.default_rng(9)
    g, se = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 2, 3, 1, 4]), rng.uniform(0.5, 2.0, 25)
    y = rng.normal(0.0, 1.0, 9)[g] + se * rng.standard_normal(25)
    precision = np.bincount(g, 1.0 / se**2)
    collapsed = {"g": np.arange(9), "y": np.bincount(g, y / se**2) / precision, "se": precision**-0.5}
    # default priors stand on the spread of the rows there are, which collapsing changes: state those of the rows
    priors: Any = {"Intercept": pp.Normal(0, 3), "sd(g)": pp.HalfCauchy(1)}
    fit = pp.fit("y ~ 1 + (1 | g)", {"g": g, "y": y, "se": se}, standard_error="se", priors=None if default else priors)
    assert isinstance(fit, pp.Posterior)
    other = pp.fit("y ~ 1 + (1 | g)", collapsed, standard_error="se", priors=fit.fitted.model.priors)
    assert isinstance(other, pp.Posterior)
    assert largest_difference(read_summaries(fit), read_summaries(other)) < GRID
    # the spread of estimates within groups is in p(y) of the rows alone, and depends on no parameter
    within = -0.5 * np.sum(((y - collapsed["y"][g]) / se) ** 2) - 0.5 * np.sum(np.log(2 * np.pi * se**2))
    within += 0.5 * np.sum(np.log(2 * np.pi / precision))
    assert abs(fit.log_marginal_likelihood - other.log_marginal_likelihood - within) < GRID


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_new_rows_in_another_order(problem: Problem) -> None:
    new = {name: values for name, values in problem.data.items() if name != "y"}
    new["g"] = np.where(np.arange(len(new["g"])) % 4 == 3, "Z", new["g"])
    order = np.random.default_rng(8).permutation(len(new["g"]))
    role = {"standard_error": "se"} if problem is ESTIMATES else {}
    given = problem.own.predict(new, **role).reset_index()
    permuted = problem.own.predict({name: values[order] for name, values in new.items()}, **role).reset_index()
    permuted["row"] = order[permuted["row"]]
    permuted = permuted.sort_values("row", kind="stable").reset_index(drop=True)
    pd.testing.assert_frame_equal(given, permuted, rtol=1e-12)


def test_predictions_of_own_rows_are_the_groups() -> None:
    problem = ESTIMATES
    predicted = problem.own.predict({"g": problem.data["g"]})
    known = predicted[predicted["quantity"] == "group mean"]
    groups = problem.own.groups()
    for column in ("mean", "sd", "q5", "q95"):
        np.testing.assert_allclose(
            known[column].to_numpy(), groups.loc[problem.data["g"], column].to_numpy(), rtol=1e-10
        )


def test_uncorrelated_columns_in_another_order() -> None:
    one = pp.fit("y ~ x + (1 + x || g)", SLOPES.data, priors=DEFAULTS["slopes"].priors)
    other = pp.fit("y ~ x + (0 + x | g) + (1 | g)", SLOPES.data, priors=DEFAULTS["slopes"].priors)
    first, second = one.summary(), other.summary().loc[one.summary().index]
    difference = (first[["mean", "sd"]] - second[["mean", "sd"]]).abs().max(axis=1) / first["sd"]
    assert difference.max() < 0.02  # three hyperparameters: a lattice, in another order of coordinates

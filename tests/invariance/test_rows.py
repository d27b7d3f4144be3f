"""Rows in another order, under other labels, split, repeated, counted or weighed: the same posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from .agreement import largest_difference, read_summaries
from .problems import ESTIMATES, INTERCEPTS, PROBLEMS, WITH_DEFAULTS, Problem

each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
with_defaults = pytest.mark.parametrize("problem", WITH_DEFAULTS, ids=lambda problem: problem.name)


def take(data: dict[str, Any], rows: Any) -> dict[str, Any]:
    return {name: values[rows] for name, values in data.items()}


def agree(problem: Problem, other: Any, labels: dict[Any, Any] | None = None) -> None:
    """Compare a fit with the problem's own."""
    own, its = problem.summaries, read_summaries(other, labels)
    assert largest_difference(own, its) < problem.tolerance
    assert abs(own.log_marginal_likelihood - its.log_marginal_likelihood) < problem.tolerance


@with_defaults
def test_permuted_rows(problem: Problem) -> None:
    order = np.random.default_rng(5).permutation(len(problem.data["y"]))
    agree(problem, problem.fit(take(problem.data, order)))


@with_defaults
def test_relabelled_groups(problem: Problem) -> None:
    old = np.unique(problem.data["g"])
    new = 1000 + np.random.default_rng(6).permutation(len(old))
    renamed = dict(zip(old, new, strict=True))
    data = problem.data | {"g": np.array([renamed[label] for label in problem.data["g"]])}
    agree(problem, problem.fit(data), dict(zip(new, old, strict=True)))


@each_problem
def test_rows_split_over_two_frames(problem: Problem) -> None:
    odd = np.arange(len(problem.data["y"])) % 2 == 1
    halves = [take(problem.data, odd), take(problem.data, ~odd)]
    pandas, polars = pd.concat([pd.DataFrame(half) for half in halves]), pl.concat([pl.DataFrame(h) for h in halves])
    agree(problem, problem.fit(pandas))
    agree(problem, problem.fit(polars))


@each_problem
@pytest.mark.parametrize("default", [False, True], ids=["", "default priors"])
def test_repeated_rows_are_counts(problem: Problem, default: bool) -> None:
    counts = np.random.default_rng(7).integers(1, 4, len(problem.data["y"]))
    priors = None if default else problem.priors
    repeated = problem.fit(take(problem.data, np.repeat(np.arange(len(counts)), counts)), priors=priors)
    counted = problem.fit(problem.data | {"k": counts}, counts="k", priors=priors)
    assert largest_difference(read_summaries(repeated), read_summaries(counted)) < problem.tolerance
    assert abs(repeated.log_marginal_likelihood - counted.log_marginal_likelihood) < problem.tolerance
    np.testing.assert_array_equal(repeated.groups()["n"].to_numpy(), counted.groups()["n"].to_numpy())


@each_problem
@pytest.mark.parametrize("default", [False, True], ids=["", "default priors"])
@pytest.mark.parametrize("role", ["counts", "weights"])
def test_rows_that_count_nothing_are_not_there(problem: Problem, role: str, default: bool) -> None:
    if role == "weights" and problem is ESTIMATES:
        pytest.skip("known standard errors take no weights")
    kept = np.ones(len(problem.data["y"]), dtype=int)
    kept[[1, 3, 6]] = 0
    priors = None if default else problem.priors
    zeroed = problem.fit(problem.data | {"k": kept}, priors=priors, **{role: "k"})
    removed = problem.fit(take(problem.data, kept == 1), priors=priors)
    if problem is ESTIMATES:  # its groups have one row each: they are still there, without data
        assert zeroed.priors == removed.priors
        assert abs(zeroed.log_marginal_likelihood - removed.log_marginal_likelihood) < problem.tolerance
        return
    assert largest_difference(read_summaries(removed), read_summaries(zeroed)) < problem.tolerance
    assert abs(removed.log_marginal_likelihood - zeroed.log_marginal_likelihood) < problem.tolerance


def test_zero_counts_of_wild_rows_change_nothing() -> None:
    data = {name: np.append(values, values[:1]) for name, values in INTERCEPTS.data.items()}
    data["y"][-1], data["x"][-1] = 1e12, -1e9
    data["k"] = np.append(np.ones(len(data["y"]) - 1, dtype=int), 0)
    for default in (False, True):
        priors = None if default else INTERCEPTS.priors
        own, its = INTERCEPTS.fit(priors=priors), INTERCEPTS.fit(data, counts="k", priors=priors)
        assert largest_difference(read_summaries(own), read_summaries(its)) < INTERCEPTS.tolerance

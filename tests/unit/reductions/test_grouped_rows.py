"""Rows merged within groups and equal groups collapsed give the same likelihood as all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from partialpool.models.families import Family, ResponseColumns, read_family
from partialpool.numerics.arrays import FloatArray
from partialpool.reductions.grouped_rows import GroupedRows, group_rows

RNG = np.random.default_rng(3)
N = 60
CODES = RNG.permutation(np.repeat(np.arange(12), 5))
X = RNG.integers(0, 2, N).astype(float)


def _group(family: Family, response: ResponseColumns, counts: Any = None, offset: Any = None) -> GroupedRows:
    population = np.column_stack([np.ones(N), X])
    return group_rows(family, response, counts, population, np.ones((N, 1)), offset, CODES, 12)


def _weigh(rows: GroupedRows) -> FloatArray:
    """Return how many raw rows each merged row stands for over all groups."""
    weights = rows.spread(rows.class_weights)
    return weights if rows.counts is None else weights * rows.counts


@pytest.mark.parametrize(("name", "sizes"), [("binomial", 4.0), ("poisson", 2.5), ("exponential", 1.0)])
@pytest.mark.parametrize("with_counts", [False, True])
def test_sums_keep_the_likelihood(name: str, sizes: float, with_counts: bool) -> None:
    family = read_family(name)
    values = RNG.integers(0, 4, N).astype(float) if family.discrete else RNG.exponential(size=N)
    response = ResponseColumns(values, np.full(N, sizes))
    counts = RNG.integers(1, 4, N).astype(float) if with_counts else None
    rows = _group(family, response, counts)
    assert rows.n_rows <= 24  # two values of x in each of twelve groups
    eta = 0.2 - 0.7 * X
    each = family.log_density(eta, response, ()) + family.log_constant(response)
    expected = float(each @ (np.ones(N) if counts is None else counts))
    eta_merged = rows.population @ np.array([0.2, -0.7])
    found = float(family.log_density(eta_merged, rows.response, ()) @ _weigh(rows)) + rows.log_constant
    assert found == pytest.approx(expected, rel=1e-12)
    assert rows.class_weights.sum() == 12
    assert rows.group_rows.sum() == pytest.approx(N if counts is None else counts.sum())


def test_equal_rows_are_counted_where_sums_are_not_sufficient() -> None:
    family = read_family("negative_binomial", None)
    values = RNG.integers(0, 2, N).astype(float)
    rows = _group(family, ResponseColumns(values, np.ones(N)))
    assert rows.counts is not None
    assert rows.n_rows < N
    assert _weigh(rows).sum() == N


def test_groups_with_the_same_rows_in_any_order_are_one_class() -> None:
    family = read_family("negative_binomial", None)
    values = np.array([1.0, 2.0, 5.0, 5.0, 2.0, 1.0, 1.0, 2.0, 4.0])
    codes = np.repeat([2, 0, 1], 3)
    ones = np.ones((9, 1))
    rows = group_rows(family, ResponseColumns(values, np.ones(9)), None, ones, ones, None, codes, 3)
    assert rows.n_classes == 2
    assert rows.class_of[2] == rows.class_of[0] != rows.class_of[1]
    assert sorted(rows.class_weights) == [1.0, 2.0]


def test_an_offset_tells_groups_apart() -> None:
    family = read_family("poisson")
    ones = np.ones((4, 1))
    response = ResponseColumns(np.full(4, 3.0), np.ones(4))
    rows = group_rows(family, response, None, ones, ones, np.array([0.0, 0.0, 1.0, -0.0]), np.arange(4), 4)
    assert rows.n_classes == 2
    assert sorted(rows.class_weights) == [1.0, 3.0]


def test_parts_of_the_classes_are_those_classes() -> None:
    rows = _group(read_family("binomial"), ResponseColumns(RNG.integers(0, 5, N).astype(float), np.full(N, 4.0)))
    picked = rows.take_classes(np.array([rows.n_classes - 1, 0]))
    last = rows.select(slice(rows.n_classes - 1, rows.n_classes))
    assert np.array_equal(picked.response.values[: last.n_rows], last.response.values)
    runs = rows.blocks(3)
    assert [run.start for run in runs[1:]] == [run.stop for run in runs[:-1]]
    assert runs[-1].stop == rows.n_classes

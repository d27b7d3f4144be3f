"""The plan of elimination against symbolic elimination of a dense pattern."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from partialpool.reductions.several import elimination_plan
from partialpool.reductions.several.elimination_plan import EliminationPlan, Pattern, plan_elimination

Matrix = NDArray[np.bool_]


def pattern_of(codes: list[NDArray[np.intp]]) -> tuple[Pattern, tuple[int, ...]]:
    """Return the keys of levels that share a row, within one factor those of a level with itself alone."""
    sizes = tuple(int(each.max()) + 1 for each in codes)
    pattern: Pattern = {}
    for k, first in enumerate(codes):
        for m in range(k, len(codes)):
            pattern[k, m] = np.unique(first * sizes[m] + codes[m]).astype(np.intp)
    return pattern, sizes


def to_matrix(pattern: Pattern, sizes: tuple[int, ...]) -> Matrix:
    """Return the symmetric pattern over all levels."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    matrix = np.zeros((starts[-1], starts[-1]), dtype=bool)
    for (k, m), keys in pattern.items():
        matrix[starts[k] + keys // sizes[m], starts[m] + keys % sizes[m]] = True
    return matrix | matrix.T


def fill(matrix: Matrix, n_leave: int) -> Matrix:
    """Eliminate the first levels one by one: those that each meets then meet."""
    matrix = matrix.copy()
    for level in range(n_leave):
        later = np.flatnonzero(matrix[level]) > level
        met = np.flatnonzero(matrix[level])[later]
        matrix[np.ix_(met, met)] = True
    return matrix


def random_codes(seed: int, sizes: tuple[int, ...], n: int) -> list[NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    return [np.concatenate([np.arange(size), rng.integers(0, size, n - size)]).astype(np.intp) for size in sizes]


@pytest.mark.parametrize("seed", range(5))
def test_fill_in_is_that_of_symbolic_elimination(seed: int) -> None:
    pattern, sizes = pattern_of(random_codes(seed, (12, 7, 5), 16))
    with patch.object(elimination_plan, "_SMALL", 5):
        plan = plan_elimination(pattern, sizes, (1, 2, 1))
    assert [step.place for step in plan.steps][:1] == [0]
    n_leave = sum(sizes[step.place] for step in plan.steps)
    assert np.array_equal(to_matrix(plan.pattern, sizes), fill(to_matrix(pattern, sizes), n_leave))


def test_every_pair_of_blocks_falls_where_its_levels_are() -> None:
    pattern, sizes = pattern_of(random_codes(3, (12, 7, 5), 16))
    with patch.object(elimination_plan, "_SMALL", 5):
        plan = plan_elimination(pattern, sizes, (1, 1, 1))
    for step in plan.steps:
        products: dict[tuple[int, int], Matrix] = {}
        for pairs in step.pairs:
            left, right = plan.pattern[step.place, pairs.first], plan.pattern[step.place, pairs.second]
            target = plan.pattern[pairs.first, pairs.second][pairs.target]
            rows, columns = left[pairs.left] % sizes[pairs.first], right[pairs.right] % sizes[pairs.second]
            assert np.array_equal(left[pairs.left] // sizes[pairs.first], right[pairs.right] // sizes[pairs.second])
            assert np.array_equal(target, rows * sizes[pairs.second] + columns)
            found = np.zeros((sizes[pairs.first], sizes[pairs.second]), dtype=int)
            np.add.at(found, (rows, columns), 1)
            products[pairs.first, pairs.second] = found > 0
        for (first, second), found in products.items():
            ones = [to_indicator(pattern[step.place, m], sizes[step.place], sizes[m]) for m in (first, second)]
            expected = (ones[0].T @ ones[1]) > 0
            assert np.array_equal(found, np.tril(expected) if first == second else expected)


def to_indicator(keys: NDArray[np.intp], n_rows: int, n_columns: int) -> NDArray[np.intp]:
    matrix = np.zeros((n_rows, n_columns), dtype=np.intp)
    matrix[keys // n_columns, keys % n_columns] = 1
    return matrix


def test_nested_factors_do_not_fill() -> None:
    c = np.arange(120)
    pattern, sizes = pattern_of([c, c // 3, c // 12, c // 60])
    assert len(plan_elimination(pattern, sizes, (1, 1, 1, 1)).steps) == 2
    with patch.object(elimination_plan, "_SMALL", 1):
        plan = plan_elimination(pattern, sizes, (1, 1, 1, 1))
    assert len(plan.steps) == 4
    assert plan.chain is None
    assert all(np.array_equal(plan.pattern[key], pattern[key]) for key in pattern)


def chain_blocks(plan: EliminationPlan) -> NDArray[np.intp]:
    """Return the block of each column of the chain, in the order of columns."""
    assert plan.chain is not None
    block = np.repeat(np.arange(len(plan.chain.sizes)), plan.chain.sizes)
    return block[plan.chain.position]


@pytest.mark.parametrize("n_effects", [(1,), (2,)])
@pytest.mark.parametrize("reach", [1, 3, 7])
def test_no_block_of_a_chain_meets_one_beyond_the_next(reach: int, n_effects: tuple[int]) -> None:
    n_levels = 400
    order = np.random.default_rng(1).permutation(n_levels)
    places = np.argsort(order)
    pairs = [(i, k) for i in range(n_levels) for k in range(max(0, i - reach), i + 1)]
    keys = sorted(max(places[i], places[k]) * n_levels + min(places[i], places[k]) for i, k in pairs)
    plan = plan_elimination({(0, 0): np.array(keys, dtype=np.intp)}, (n_levels,), n_effects)
    assert plan.chain is not None
    assert plan.chain.n_columns == n_levels * n_effects[0] == sum(plan.chain.sizes)
    assert len(plan.chain.sizes) > 4
    assert np.array_equal(np.sort(plan.chain.position), np.arange(plan.chain.n_columns))
    block = chain_blocks(plan).reshape(n_effects[0], n_levels)
    row, column = np.array(keys) // n_levels, np.array(keys) % n_levels
    for first in block:
        for second in block:
            assert np.max(np.abs(first[row] - second[column])) <= 1


def test_what_is_dense_stays_one_matrix() -> None:
    pattern, sizes = pattern_of(random_codes(0, (90,), 90))
    pattern[0, 0] = np.concatenate([k * 90 + np.arange(k + 1) for k in range(90)]).astype(np.intp)
    plan = plan_elimination(pattern, sizes, (1,))
    assert plan.steps == ()
    assert plan.chain is not None
    assert plan.chain.sizes == (90,)

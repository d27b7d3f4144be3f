"""The linear programme of separation, against directions that were put in and data that allow none."""

from __future__ import annotations

import numpy as np
import pytest

from partialpool.models.propriety.separation import find_separating_direction


def respects(columns: np.ndarray, up: np.ndarray, down: np.ndarray, direction: np.ndarray) -> bool:
    moved = columns @ direction
    return bool(
        np.all(moved[up] >= -1e-7)
        and np.all(moved[down] <= 1e-7)
        and np.all(np.abs(moved[~up & ~down]) < 1e-7)
        and np.any(np.abs(moved) > 1e-6)
    )


@pytest.mark.parametrize("n_rows", [30, 20_000])
def test_a_direction_that_separates_is_found(n_rows: int) -> None:
    rng = np.random.default_rng(2)
    columns = np.column_stack([np.ones(n_rows), rng.standard_normal((n_rows, 3))])
    up = columns @ [0.3, 1.0, -2.0, 0.0] > 0
    assert respects(columns, up, ~up, find_separating_direction(columns, up, ~up))


@pytest.mark.parametrize("n_rows", [30, 20_000])
def test_one_row_in_conflict_ends_it(n_rows: int) -> None:
    """The conflicting row lies among many that the first programme may not see."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal(n_rows)
    up = x > 0
    deep = np.argsort(x)[n_rows // 5]
    up[deep] = True
    columns = np.column_stack([np.ones(n_rows), x])
    assert not find_separating_direction(columns, up, ~up).any()


def test_quasi_separation_names_one_column() -> None:
    columns = np.column_stack([np.ones(6), [0, 0, 0, 0, 1, 1], [0.5, -1, 2, 0.3, 1, -1]])
    up = np.array([True, False, False, True, True, True])
    direction = find_separating_direction(columns, up, ~up)
    assert np.flatnonzero(np.abs(direction) > 1e-6).tolist() == [1]
    assert direction[1] > 0


def test_rows_that_bound_leave_only_what_is_orthogonal_to_them() -> None:
    columns = np.column_stack([np.ones(5), [0, 0, 0, 1, 1]])
    none = np.zeros(5, dtype=bool)
    down = np.array([False, False, False, True, True])
    assert respects(columns, none, down, find_separating_direction(columns, none, down))
    down[4] = False
    assert not find_separating_direction(columns, none, down).any()

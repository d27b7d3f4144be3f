"""Responses that several factors fit exactly, against least squares on dense columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partialpool.inputs.designs.design import Design, build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.models.propriety.exact_fit import find_unbounded_fit

FORMULA = "y ~ x + (x | a) + (1 | b)"


def _design(data: dict[str, Any], formula: str = FORMULA, **roles: Any) -> Design:
    parsed = parse_formula(formula)
    return build_design(parsed, read_observations(data, parsed, **roles))


def _crossed(n_rows: int, n_levels: tuple[int, int], seed: int, far: float = 0.0) -> dict[str, Any]:
    """Rows whose response is additive in both factors, with a slope that varies over the first."""
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, n, n_rows) for n in n_levels)
    x = far + rng.normal(size=n_rows)
    own = rng.normal(size=(2, n_levels[0]))
    return {"y": 3.0 + own[0, a] + own[1, a] * x + rng.normal(size=n_levels[1])[b], "a": a, "b": b, "x": x}


@given(st.integers(12, 60), st.integers(2, 8), st.integers(2, 8), st.integers(0, 99), st.sampled_from([0.0, 1e-6, 1.0]))
@settings(max_examples=100, deadline=None)
def test_agrees_with_least_squares(n_rows: int, n_a: int, n_b: int, seed: int, noise: float) -> None:
    data = _crossed(n_rows, (n_a, n_b), seed)
    data["y"] += noise * np.random.default_rng(seed + 1).normal(size=n_rows)
    design = _design(data, "y ~ x + (1 | a) + (0 + x | b)" if seed % 2 else "y ~ x + (1 | a) + (1 | b)")
    columns = np.hstack(
        [
            design.population.values,
            *(group.values[:, [0]] * (group.codes[:, None] == range(group.n_levels)) for group in design.groups),
        ]
    )
    left = data["y"] - columns @ np.linalg.lstsq(columns, data["y"], rcond=None)[0]
    saturated = np.linalg.matrix_rank(columns) == n_rows
    assert _is_unbounded(design) == (np.linalg.norm(left) < 1e-9 and not saturated)


def _fits(data: dict[str, Any], formula: str = FORMULA, **roles: Any) -> bool:
    return _is_unbounded(_design(data, formula, **roles))


def _is_unbounded(design: Design) -> bool:
    """Say whether an exact fit has infinite mass under a prior density of sigma that is positive at 0."""
    return find_unbounded_fit(design, design.groups, sigma_exponent=0.0, sd_exponents={}) is not None


@pytest.mark.parametrize(("n_rows", "n_levels"), [(500, (20, 30)), (60_000, (6_000, 80)), (60_000, (6_000, 9_000))])
@pytest.mark.parametrize("far", [0.0, 2000.0])
def test_slopes_and_many_rows(n_rows: int, n_levels: tuple[int, int], far: float) -> None:
    data = _crossed(n_rows, n_levels, 3, far)
    noise = np.random.default_rng(4).normal(size=n_rows)
    assert _fits(data)
    for size in (1e-6, 1.0):
        assert not _fits({**data, "y": data["y"] + size * noise})


def test_one_row_off_among_many() -> None:
    """The last row of the last level, which is not among those looked at first."""
    data = _crossed(60_000, (6_000, 80), 5)
    assert _fits(data)
    data["y"][np.flatnonzero(data["a"] == 5_999)[-1]] += 1.0
    assert not _fits(data)


def test_what_stands_beside_the_response() -> None:
    data = _crossed(60, (4, 5), 6)
    offset = np.random.default_rng(7).normal(size=60)
    shifted = {**data, "y": data["y"] + offset}
    assert _fits(shifted, offset=offset)
    assert not _fits(shifted)
    assert _fits(data, weights=np.exp(offset))
    assert not _fits(data, size=np.full(60, 3), sd=np.ones(60))
    assert _fits(data, size=np.full(60, 3), sd=np.zeros(60))


def test_as_many_columns_as_rows_fit_any_response() -> None:
    """A chain of levels, in which sigma is told from the covariance of neighbours alone; but not where rows repeat."""
    data = {"y": np.random.default_rng(8).normal(size=6), "a": [0, 0, 1, 1, 2, 2], "b": [0, 1, 1, 2, 2, 3]}
    formula = "y ~ 1 + (1 | a) + (1 | b)"
    assert not _fits(data, formula)
    assert _fits(data, formula, counts=[2] * 6)

"""Orthogonalising within groups against numpy's QR of every group alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from partialpool.reductions.orthogonalise import multiply_columns, orthogonalise

FloatArray = NDArray[np.float64]


def of_group(columns: list[FloatArray | None], rows: NDArray[np.intp], weights: FloatArray) -> FloatArray:
    """W^(1/2) times the columns of one group, None standing for ones."""
    values = [np.ones(len(rows)) if column is None else column[rows] for column in columns]
    return np.sqrt(weights[rows])[:, None] * np.stack(values, axis=1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("n_effects", [1, 2, 3])
def test_against_qr_of_each_group(n_effects: int, intercept: bool, weighted: bool) -> None:
    """Groups of 1 to 7 rows, so that some have fewer rows than effects; one with a constant column."""
    rng = np.random.default_rng(n_effects)
    codes = rng.permutation(np.repeat(np.arange(7), np.arange(1, 8)))
    effects: list[FloatArray | None] = [rng.normal(size=28) for _ in range(n_effects)]
    if intercept:
        effects[0] = None
    if n_effects > 1:
        effects[1] = np.where(codes == 6, 0.7, effects[1])
    targets: list[FloatArray | None] = [None, rng.normal(size=28), rng.normal(size=28)]
    weights = rng.uniform(0.2, 4.0, 28) if weighted else np.ones(28)
    root, projection, left, _, _ = orthogonalise(effects, targets, {}, codes, 7, weights if weighted else None)
    total = np.zeros((3, 3))
    for group in range(7):
        rows = np.flatnonzero(codes == group)
        z, x = of_group(effects, rows, weights), of_group(targets, rows, weights)
        r, a = root[..., group], projection[..., group]
        assert np.allclose(r, np.triu(r))
        assert np.allclose(r.T @ r, z.T @ z, atol=1e-12)
        assert np.allclose(r.T @ a, z.T @ x, atol=1e-12)
        assert np.count_nonzero(np.diag(r)) == np.linalg.matrix_rank(z)
        q = np.linalg.svd(z, full_matrices=False)[0][:, : np.linalg.matrix_rank(z)]
        assert np.allclose(a.T @ a, x.T @ q @ q.T @ x, atol=1e-12)
        total += x.T @ x - x.T @ q @ q.T @ x
    assert np.allclose(multiply_columns(left, weights if weighted else None), total, atol=1e-11)


def test_a_target_that_is_an_effect_leaves_nothing() -> None:
    rng = np.random.default_rng(0)
    codes, x, y = np.array([0, 0, 0, 1, 1]), rng.normal(size=5), rng.normal(size=5)
    plain = orthogonalise([None, x], [None, x, y], {}, codes, 2, None)
    named = orthogonalise([None, x], [None, x, y], {0: 0, 1: 1}, codes, 2, None)
    assert named.left[0] is None
    assert named.left[1] is None
    assert np.allclose(named.projection, plain.projection, atol=1e-14)
    assert np.allclose(multiply_columns(named.left, None), multiply_columns(plain.left, None), atol=1e-13)


def test_without_groups_the_columns_are_left_as_they_are() -> None:
    y = np.array([1.0, 2.0, 4.0])
    root, projection, left, _, _ = orthogonalise([], [None, y], {}, np.empty(0, dtype=np.intp), 0, None)
    assert root.shape == (0, 0, 0)
    assert projection.shape == (0, 2, 0)
    assert np.allclose(multiply_columns(left, None), [[3, 7], [7, 21]])


def test_a_nearly_dependent_column_keeps_its_digits() -> None:
    """z = x + 1e-6 noise: what is left of z is 1e-6 of it and still right to nine digits."""
    rng = np.random.default_rng(5)
    x, noise = rng.normal(size=12), rng.normal(size=12)
    root, *_ = orthogonalise([x, x + 1e-6 * noise], [x], {}, np.zeros(12, dtype=np.intp), 1, None)
    expected = 1e-6 * np.linalg.norm(noise - x * (x @ noise) / (x @ x))
    assert root[1, 1, 0] == pytest.approx(expected, rel=1e-8)

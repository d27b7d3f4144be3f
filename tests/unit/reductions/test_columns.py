"""Columns of rows: scaling and its way back, products, least squares."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from partialpool.reductions.columns import dot, fit_least_squares, scale_columns, sum_by_group, weigh

FloatArray = NDArray[np.float64]
RNG = np.random.default_rng(7)
X = np.column_stack([np.ones(9), RNG.normal(50, 2, 9), RNG.normal(size=9)])
W = RNG.uniform(0.5, 3, 9)
Y = RNG.normal(size=9)


@pytest.mark.parametrize("weights", [None, W], ids=["plain", "weighted"])
@pytest.mark.parametrize("names", [("Intercept", "x", "z"), ("x", "z"), ("z", "x", "Intercept"), ("Intercept",)])
def test_scaled_columns_span_the_same_predictors(names: tuple[str, ...], weights: FloatArray | None) -> None:
    """X beta = X_scaled (mapping beta), whatever beta; scaled columns have mean square 1."""
    values = X[:, [("Intercept", "x", "z").index(name) for name in names]]
    columns, mapping = scale_columns(names, values, weights)
    scaled = np.column_stack([np.ones(9) if column is None else column for column in columns])
    assert [column is None for column in columns] == [name == "Intercept" for name in names]
    assert np.allclose(scaled @ mapping, values, rtol=1e-13)
    assert np.allclose(np.average(scaled**2, axis=0, weights=weights), 1.0)
    if "Intercept" in names:
        others = [column for column in columns if column is not None]
        assert all(abs(np.average(column, weights=weights)) < 1e-13 for column in others)


def test_a_column_of_zeros_and_a_constant_beside_an_intercept() -> None:
    columns, mapping = scale_columns(("Intercept", "x"), np.array([[1.0, 4.0], [1.0, 4.0]]), None)
    assert np.all(np.isfinite(mapping))
    assert columns[1] is not None
    assert np.array_equal(columns[1], [0.0, 0.0])


@pytest.mark.parametrize("weights", [None, W], ids=["plain", "weighted"])
def test_products(weights: FloatArray | None) -> None:
    w = np.ones(9) if weights is None else weights
    for left in (None, X[:, 1]):
        for right in (None, Y):
            a, b = (np.ones(9) if column is None else column for column in (left, right))
            assert dot(left, right, weights, 9) == pytest.approx((a * b * w).sum(), rel=1e-13)
    assert weigh(None, None) is None


@pytest.mark.parametrize("weights", [None, W], ids=["plain", "weighted"])
@pytest.mark.parametrize("shift", [0.0, 1e9])
def test_least_squares(weights: FloatArray | None, shift: float) -> None:
    columns, _ = scale_columns(("Intercept", "x", "z"), X, weights)
    scaled = np.column_stack([np.ones(9) if column is None else column for column in columns])
    root = np.ones(9) if weights is None else np.sqrt(weights)
    expected = np.linalg.lstsq(scaled * root[:, None], Y * root, rcond=None)[0] + [shift, 0, 0]
    assert np.allclose(fit_least_squares(columns, Y + shift, weights), expected, rtol=1e-12, atol=1e-6)


def test_least_squares_of_dependent_columns_fits_as_well() -> None:
    x = X[:, 2]
    found = fit_least_squares([x, 2 * x], Y, None)
    assert np.allclose(found[0] * x + found[1] * 2 * x, x * (x @ Y) / (x @ x), atol=1e-10)
    assert fit_least_squares([], Y, None).shape == (0,)


def test_sum_by_group() -> None:
    codes = np.array([2, 0, 2, 3])
    assert np.array_equal(sum_by_group(np.array([1.0, 2.0, 4.0, 8.0]), codes, 5), [2, 0, 5, 8, 0])
    assert np.array_equal(sum_by_group(None, codes, 5), [1, 0, 2, 1, 0])

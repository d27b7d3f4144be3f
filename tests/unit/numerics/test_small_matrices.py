"""Stacks of small factorisations against numpy, one matrix at a time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from partialpool.numerics.small_matrices import (
    Shape,
    factor_ldl,
    invert_ldl,
    invert_unit_lower,
    log_determinant,
    lower_pairs,
    multiply,
)


def positive_definite(order: int, stack: tuple[int, ...], seed: int = 0) -> NDArray[np.float64]:
    roots = np.random.default_rng(seed).normal(size=(order, order + 2, *stack))
    return np.einsum("ik...,jk...->ij...", roots, roots)


def first(stack: NDArray[np.float64]) -> NDArray[np.float64]:
    """The stack axes first, as numpy.linalg wants them."""
    return np.moveaxis(stack, (0, 1), (-2, -1))


@pytest.mark.parametrize("order", [1, 2, 3, 5, 9, 12])
@pytest.mark.parametrize("stack", [(), (7,), (3, 4)])
def test_factor_inverse_and_determinant(order: int, stack: tuple[int, ...]) -> None:
    matrices = positive_definite(order, stack)
    factor = factor_ldl(matrices)
    lower = first(factor.lower)
    pivots = np.moveaxis(factor.pivots, 0, -1)
    assert np.allclose(lower, np.tril(lower))
    assert np.allclose(np.diagonal(lower, axis1=-2, axis2=-1), 1.0, rtol=0, atol=0)
    assert np.allclose((lower * pivots[..., None, :]) @ lower.swapaxes(-1, -2), first(matrices), rtol=1e-12)
    inverse = invert_ldl(factor)
    assert np.allclose(first(inverse), np.linalg.inv(first(matrices)), rtol=1e-9, atol=1e-10)
    assert np.array_equal(inverse, inverse.swapaxes(0, 1))
    assert np.allclose(log_determinant(factor), np.linalg.slogdet(first(matrices))[1], rtol=1e-11, atol=1e-11)
    assert np.allclose(first(invert_unit_lower(factor.lower)) @ lower, np.eye(order), atol=1e-10)


def test_only_the_lower_triangle_is_read_and_the_input_is_kept() -> None:
    matrices = positive_definite(3, (4,))
    spoiled = matrices.copy()
    spoiled[0, 1], spoiled[0, 2], spoiled[1, 2] = np.nan, np.inf, 5.0
    kept = spoiled.copy()
    assert np.allclose(factor_ldl(spoiled).pivots, factor_ldl(matrices).pivots, rtol=0, atol=0)
    assert np.array_equal(spoiled, kept, equal_nan=True)


def test_an_indefinite_matrix_has_a_pivot_that_is_not_positive() -> None:
    pivots = factor_ldl(np.array([[1.0, 2.0], [2.0, 1.0]])).pivots
    assert pivots.tolist() == [1.0, -3.0]
    with np.errstate(all="ignore"):
        singular = factor_ldl(np.array([[0.0, 0.0], [0.0, 1.0]]))
    assert not np.all(np.isfinite(singular.pivots))


def test_pivots_of_very_different_sizes() -> None:
    """Order 8, the longest product of pivots taken before its logarithm."""
    pivots = np.array([1e-15, 1e15, 1e12, 1e14, 1e-8, 1e15, 1e15, 1e10])
    assert log_determinant(factor_ldl(np.diag(pivots))) == pytest.approx(np.log(pivots).sum(), rel=1e-13)


@pytest.mark.parametrize(("left_is", "right_is"), [("full", "full"), ("lower", "full"), ("upper", "lower")])
@pytest.mark.parametrize("stacks", [((5,), (5,)), ((5, 1), (1, 3)), ((), (4,))])
def test_multiply(left_is: Shape, right_is: Shape, stacks: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    """What is said to be triangular is treated as such whatever stands in the other triangle."""
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(3, 3, *stacks[0])), rng.normal(size=(3, 3, *stacks[1]))
    shape = {"full": lambda a: a, "lower": np.tril, "upper": np.triu}
    expected = shape[left_is](first(left)) @ shape[right_is](first(right))
    assert np.allclose(first(multiply(left, right, left_is, right_is)), expected, rtol=1e-13, atol=1e-13)


def test_multiply_rectangles() -> None:
    rng = np.random.default_rng(2)
    left, right = rng.normal(size=(2, 4, 6)), rng.normal(size=(4, 3, 6))
    assert np.allclose(multiply(left, right), np.einsum("ikn,kjn->ijn", left, right))


def test_lower_pairs() -> None:
    assert lower_pairs(3) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    assert lower_pairs(0) == []

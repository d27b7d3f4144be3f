"""Factorisations of stacks of small symmetric matrices, the matrix axes first and the stack axes last.

Loops run over the few rows of a matrix and every operation runs over the whole stack, so a stack of
100,000 matrices of order 2 costs a dozen array operations instead of 100,000 library calls.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from partialpool.numerics.arrays import FloatArray

Shape = Literal["full", "lower", "upper"]


class LDL(NamedTuple):
    """A = L D L' with L unit lower triangular; ``lower`` (order, order, ...), ``pivots`` (order, ...)."""

    lower: FloatArray
    pivots: FloatArray


def factor_ldl(matrices: FloatArray) -> LDL:
    """Factor symmetric positive (semi)definite matrices (order, order, ...) without pivoting.

    Only the lower triangle is read. A pivot that is not positive leaves NaN or infinity behind it, which the
    callers treat as density zero.

    Source: Golub and Van Loan (2013), Matrix Computations, section 4.1.2.
    """
    order = len(matrices)
    lower = np.array(matrices, dtype=float)
    pivots = np.empty(lower.shape[1:], dtype=float)
    for k in range(order):
        pivots[k] = lower[k, k]
        lower[k, k] = 1.0
        if k + 1 < order:
            column = lower[k + 1 :, k] / pivots[k]
            for i in range(k + 1, order):
                lower[i, k + 1 : i + 1] -= lower[i, k] * column[: i - k]
            lower[k + 1 :, k] = column
            lower[k, k + 1 :] = 0.0
    return LDL(lower, pivots)


def invert_unit_lower(lower: FloatArray) -> FloatArray:
    """Invert unit lower triangular matrices (order, order, ...)."""
    order = len(lower)
    inverse = np.zeros_like(lower)
    for i in range(order):
        inverse[i, i] = 1.0
        for j in range(i):
            inverse[i, j] = -sum(lower[i, k] * inverse[k, j] for k in range(j, i))
    return inverse


def invert_ldl(factor: LDL) -> FloatArray:
    """Return the inverse (order, order, ...) of the factored matrices, symmetric to the last bit."""
    order = len(factor.pivots)
    if order == 1:
        return 1.0 / factor.pivots[None]
    root = invert_unit_lower(factor.lower)
    inverse = np.empty_like(root)
    for i in range(order):
        for j in range(i + 1):
            inverse[i, j] = sum(root[k, i] * root[k, j] / factor.pivots[k] for k in range(i, order))
            inverse[j, i] = inverse[i, j]
    return inverse


def log_determinant(factor: LDL) -> FloatArray:
    """Return the log determinant of the factored matrices, one logarithm a matrix.

    The product of pivots is safe because callers factor matrices of order below 20 whose pivots are scaled to
    within 1e-15 and 1e+15 of one.
    """
    if len(factor.pivots) > 8:
        return np.asarray(np.log(factor.pivots).sum(axis=0))
    return np.asarray(np.log(np.prod(factor.pivots, axis=0)))


def multiply(left: FloatArray, right: FloatArray, left_is: Shape = "full", right_is: Shape = "full") -> FloatArray:
    """Multiply stacks of small matrices: (i, k, ...) times (k, j, ...) is (i, j, ...).

    What is known to be triangular is not multiplied by its zeros.
    """
    stack = np.broadcast_shapes(left.shape[2:], right.shape[2:])
    product = np.empty((left.shape[0], right.shape[1], *stack))
    for i in range(left.shape[0]):
        for j in range(right.shape[1]):
            terms = [k for k in range(left.shape[1]) if not (_is_zero(left_is, i, k) or _is_zero(right_is, k, j))]
            if not terms:
                product[i, j] = 0.0
                continue
            np.multiply(left[i, terms[0]], right[terms[0], j], out=product[i, j])
            for k in terms[1:]:
                product[i, j] += left[i, k] * right[k, j]
    return product


def _is_zero(shape: Shape, row: int, column: int) -> bool:
    return (shape == "lower" and column > row) or (shape == "upper" and row > column)


def lower_pairs(order: int) -> list[tuple[int, int]]:
    """Return the positions of a lower triangle, row by row."""
    return [(i, j) for i in range(order) for j in range(i + 1)]

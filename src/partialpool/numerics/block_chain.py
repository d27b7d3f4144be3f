"""Symmetric positive definite matrices that are chains of dense blocks: each couples to the next and to no other.

A dense matrix is a chain of one block. Many nodes are worked on at once, the node axis first; from a few hundred rows
on LAPACK is called on one matrix at a time, without the copies that a stack takes.

Source: Golub and Van Loan (2013), Matrix Computations, section 4.5.1; Takahashi, Fagan and Chin (1973) for the blocks
of the inverse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from partialpool.numerics.arrays import FloatArray

# Order from which one LAPACK call a matrix beats numpy's stacks.
_LARGE = 150


class Chain(NamedTuple):
    """Blocks on the diagonal, (node, order, order) each, and those below it, (node, next order, order)."""

    diagonal: list[FloatArray]
    below: list[FloatArray]


def factor_chain(chain: Chain) -> Chain:
    """Return the lower Cholesky factor as a chain; its node is NaN where the matrix is not positive definite."""
    diagonal: list[FloatArray] = []
    below: list[FloatArray] = []
    for k, block in enumerate(chain.diagonal):
        if k:
            coupling = np.swapaxes(solve_lower(diagonal[-1], np.swapaxes(chain.below[k - 1], 1, 2)), 1, 2)
            below.append(coupling)
            block = block - coupling @ np.swapaxes(coupling, 1, 2)
        diagonal.append(cholesky(block))
    return Chain(diagonal, below)


def chain_log_determinant(factor: Chain) -> FloatArray:
    """Return the log determinant (node,) of the factored matrices."""
    total = np.zeros(len(factor.diagonal[0]))
    for block in factor.diagonal:
        total += 2.0 * np.log(np.einsum("nii->ni", block)).sum(axis=1)
    return total


def solve_forward(factor: Chain, right: FloatArray) -> FloatArray:
    """Return L^-1 times right-hand sides (node, row, side)."""
    parts: list[FloatArray] = []
    start = 0
    for k, block in enumerate(factor.diagonal):
        side = right[:, start : start + block.shape[1]]
        if k:
            side = side - factor.below[k - 1] @ parts[-1]
        parts.append(solve_lower(block, side))
        start += block.shape[1]
    return np.concatenate(parts, axis=1)


def solve_backward(factor: Chain, right: FloatArray) -> FloatArray:
    """Return L'^-1 times right-hand sides (node, row, side)."""
    parts: list[FloatArray] = []
    stop = right.shape[1]
    for k in reversed(range(len(factor.diagonal))):
        block = factor.diagonal[k]
        side = right[:, stop - block.shape[1] : stop]
        if parts:
            side = side - np.swapaxes(factor.below[k], 1, 2) @ parts[-1]
        parts.append(solve_lower(block, side, transposed=True))
        stop -= block.shape[1]
    return np.concatenate(parts[::-1], axis=1)


def invert_chain(factor: Chain) -> Chain:
    """Return the blocks of the inverse on the diagonal, their lower triangles alone, and next below it."""
    last = len(factor.diagonal) - 1
    diagonal = [invert_from_cholesky(factor.diagonal[last])]
    below: list[FloatArray] = []
    for k in reversed(range(last)):
        step = np.swapaxes(solve_lower(factor.diagonal[k], np.swapaxes(factor.below[k], 1, 2), transposed=True), 1, 2)
        beyond = _mirror(diagonal[-1]) @ step
        below.append(-beyond)
        diagonal.append(invert_from_cholesky(factor.diagonal[k]) + np.swapaxes(step, 1, 2) @ beyond)
    return Chain(diagonal[::-1], below[::-1])


def _mirror(matrices: FloatArray) -> FloatArray:
    """Return symmetric matrices from their lower triangles."""
    lower = np.tril(matrices)
    return np.asarray(lower + np.swapaxes(np.tril(matrices, -1), 1, 2))


def cholesky(matrices: FloatArray) -> FloatArray:
    """Return lower Cholesky factors (node, order, order), NaN where a matrix has none; only lower triangles count."""
    if matrices.shape[1] < _LARGE:
        try:
            return np.asarray(np.linalg.cholesky(matrices))
        except np.linalg.LinAlgError:
            return np.stack([_cholesky_or_nan(matrix) for matrix in matrices])
    return _apply_to_each(_large_cholesky, matrices)


def invert_from_cholesky(factors: FloatArray) -> FloatArray:
    """Return the inverses (node, order, order) of the matrices with these lower Cholesky factors: their lower
    triangles, what lies above being of no meaning."""
    if factors.shape[1] < _LARGE:
        identity = np.broadcast_to(np.eye(factors.shape[1]), factors.shape)
        root = _solve(factors, identity)
        return np.asarray(np.swapaxes(root, 1, 2) @ root)
    return _apply_to_each(_large_inverse, factors)


def _apply_to_each(function: Callable[[FloatArray], FloatArray], matrices: FloatArray) -> FloatArray:
    """Apply a function to every matrix of a stack, without a copy where there is one."""
    if len(matrices) == 1:
        return function(matrices[0])[None]
    return np.stack([function(matrix) for matrix in matrices])


def solve_lower(factors: FloatArray, right: FloatArray, transposed: bool = False) -> FloatArray:
    """Solve with lower triangles (node, order, order), or their transposes, for sides (node, order, side)."""
    if factors.shape[1] < _LARGE:
        return _solve(np.swapaxes(factors, 1, 2) if transposed else factors, right)
    from scipy.linalg import solve_triangular

    trans: Literal["T", "N"] = "T" if transposed else "N"
    solved = [
        np.asarray(solve_triangular(factor, side, lower=True, trans=trans, check_finite=False), dtype=float)
        for factor, side in zip(factors, right, strict=True)
    ]
    return solved[0][None] if len(solved) == 1 else np.stack(solved)


def _solve(matrices: FloatArray, right: FloatArray) -> FloatArray:
    """Solve each of a stack; NaN where a matrix is singular, as factors far outside the posterior may round to be."""
    try:
        return np.asarray(np.linalg.solve(matrices, right))
    except np.linalg.LinAlgError:
        singular = ~(np.abs(np.einsum("nii->ni", matrices)) > 0.0).all(axis=1)
        solved = np.linalg.solve(np.where(singular[:, None, None], np.eye(matrices.shape[1]), matrices), right)
        return np.where(singular[:, None, None], np.nan, solved)


def _cholesky_or_nan(matrix: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.cholesky(matrix))
    except np.linalg.LinAlgError:
        return np.full_like(matrix, np.nan)


def _large_cholesky(matrix: FloatArray) -> FloatArray:
    """Return the factor, what lies above its diagonal being left as it was."""
    from scipy.linalg.lapack import dpotrf

    # LAPACK reads columns: the upper triangle of the transpose is the lower one of the rows
    factor, failed = dpotrf(matrix.T, lower=0, clean=0)
    if failed:
        return np.full_like(matrix, np.nan)
    return np.asarray(factor.T)


def _large_inverse(factor: FloatArray) -> FloatArray:
    """Return the inverse's lower triangle, the factor's own values above it."""
    from scipy.linalg.lapack import dpotri

    inverse, failed = dpotri(factor.T, lower=0)
    if failed:
        return np.full_like(factor, np.nan)
    return np.asarray(inverse.T)

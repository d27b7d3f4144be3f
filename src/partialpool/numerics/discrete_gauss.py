"""Gauss rules of discrete measures: few points that stand for many."""

from __future__ import annotations

import numpy as np

from partialpool.numerics.arrays import FloatArray

# Of a measure's sd, what is left of a direction that counts as nothing.
_NOTHING = 1e-7


def compress_measure(points: FloatArray, weights: FloatArray, order: int) -> tuple[FloatArray, FloatArray]:
    """Return ``order`` points (order, ...) and weights with the moments, up to the (2 order - 1)th, of measures of more
    ``points`` (point, ...), whose ``weights`` sum to one.

    By Lanczos' process on the points' diagonal matrix, reorthogonalised, and the eigenvectors of what it leaves. A
    measure of fewer distinct points gets them, the other points weigh nothing.

    Source: Golub and Welsch (1969), Mathematics of Computation 23:221-230; Gautschi (2004), Orthogonal Polynomials,
    section 2.2.3.
    """
    centre = np.sum(weights * points, axis=0)
    spread = np.sqrt(np.sum(weights * (points - centre) ** 2, axis=0))
    z = (points - centre) / np.where(spread > 0.0, spread, 1.0)
    tridiagonal = np.zeros((*points.shape[1:], order, order))
    basis = [np.sqrt(weights)]
    for k in range(order):
        rest = z * basis[k]
        tridiagonal[..., k, k] = np.sum(rest * basis[k], axis=0)
        for vector in basis[::-1] * 2:
            rest = rest - np.sum(rest * vector, axis=0) * vector
        length = np.sqrt(np.sum(rest * rest, axis=0))
        left = length > _NOTHING
        if k + 1 < order:
            tridiagonal[..., k, k + 1] = tridiagonal[..., k + 1, k] = np.where(left, length, 0.0)
        basis.append(np.where(left, rest / np.where(left, length, 1.0), 0.0))
    values, vectors = np.linalg.eigh(tridiagonal)
    return centre + spread * np.moveaxis(values, -1, 0), np.moveaxis(vectors[..., 0, :] ** 2, -1, 0)

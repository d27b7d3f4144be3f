"""Brute force for Gaussian models with several grouping factors: dense matrices over raw rows, nothing in common.

Arithmetic is in the machine's longest floating numbers (19 digits on x86), so that sds of all sizes can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from .dense import Conditional, turn_back

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.longdouble]


@dataclass(frozen=True)
class DenseFactors:
    """Raw rows with an indicator for every effect of every level, levels running within effects within factors.

    ``noise`` (row,) is the noise variance over sigma^2.
    """

    response: FloatArray
    population: FloatArray
    noise: FloatArray
    indicator: FloatArray
    n_effects: tuple[int, ...]
    n_levels: tuple[int, ...]

    def spread(self, matrix: FloatArray) -> FloatArray:
        """Return the matrix (effect, effect) over all factors, applied to the effects of every level."""
        blocks, start = [], 0
        for order, n_levels in zip(self.n_effects, self.n_levels, strict=True):
            part = slice(start, start + order)
            blocks.append(np.kron(matrix[part, part], np.eye(n_levels)))
            start += order
        return np.asarray(block_diag(*blocks))

    def scale(self, root: FloatArray) -> LongArray:
        """Return the indicator times ``spread(root)``, effect by effect."""
        indicator = self.indicator.astype(np.longdouble)
        columns, start = [indicator[:, :0]], 0
        for factor, (order, n_levels) in enumerate(zip(self.n_effects, self.n_levels, strict=True)):
            first = self.place(factor, 0, 0)
            effects = [indicator[:, first + k * n_levels : first + (k + 1) * n_levels] for k in range(order)]
            for i in range(order):
                columns.append(sum(effects[k] * root[start + k, start + i] for k in range(order)))
            start += order
        return np.concatenate(columns, axis=1)

    def repeat(self, matrices: FloatArray) -> FloatArray:
        """Return matrices (node, effect, effect) over all factors as those of all levels' effects."""
        n_columns = self.indicator.shape[1]
        result = np.zeros((len(matrices), n_columns, n_columns))
        start = 0
        for factor, (order, n_levels) in enumerate(zip(self.n_effects, self.n_levels, strict=True)):
            for i in range(order):
                for k in range(order):
                    rows = self.place(factor, i, 0) + np.arange(n_levels)
                    columns = self.place(factor, k, 0) + np.arange(n_levels)
                    result[:, rows, columns] = matrices[:, start + i, start + k, None]
            start += order
        return result

    def log_determinant(self, matrices: FloatArray) -> FloatArray:
        """Return the log determinants (node,) of ``repeat``."""
        total, start = np.zeros(len(matrices)), 0
        for order, n_levels in zip(self.n_effects, self.n_levels, strict=True):
            part = slice(start, start + order)
            total += n_levels * np.linalg.slogdet(matrices[:, part, part])[1]
            start += order
        return total

    def place(self, factor: int, effect: int, level: int) -> int:
        """Return the column of an effect."""
        before = sum(q * n for q, n in zip(self.n_effects[:factor], self.n_levels[:factor], strict=True))
        return before + effect * self.n_levels[factor] + level


def log_likelihood(
    rows: DenseFactors,
    root: FloatArray,
    sigma: float,
    mean: FloatArray,
    precision: FloatArray,
    known: FloatArray,
    stated: FloatArray | None = None,
) -> np.longdouble:
    """Return log p(y) from the covariance of the rows, coefficients integrated out; as ``dense.log_likelihood``.

    ``root`` (effect, effect) is a root of the covariance of all factors' effects.
    """
    if stated is not None:
        rows = replace(rows, population=rows.population @ np.linalg.inv(stated))
    point, flat = np.isnan(precision), precision == 0.0
    normal = ~point & ~flat
    x = rows.population.astype(np.longdouble)
    residual = rows.response - x[:, point] @ known[point] - x[:, normal] @ mean[normal]
    half = rows.scale(root)
    v = half @ half.T + (x[:, normal] / precision[normal]) @ x[:, normal].T
    v[np.diag_indices(len(v))] += np.longdouble(sigma) ** 2 * rows.noise
    factor = cholesky(v)
    whitened = solve_lower(factor, np.column_stack([x[:, flat], residual]))
    products = cholesky(whitened.T @ whitened)
    value = -0.5 * len(residual) * np.log(2 * np.longdouble(np.pi)) - np.log(np.diag(factor)).sum()
    n_flat = int(flat.sum())
    value += 0.5 * n_flat * np.log(2 * np.longdouble(np.pi)) - np.log(np.diag(products)[:n_flat]).sum()
    return np.longdouble(value - 0.5 * products[-1, -1] ** 2)


def condition(
    rows: DenseFactors,
    root: FloatArray,
    sigma: float,
    mean: FloatArray,
    precision: FloatArray,
    known: FloatArray,
    stated: FloatArray | None = None,
) -> Conditional:
    """Return the joint conditional of the unknown coefficients and all effects, from their joint precision."""
    if stated is not None:
        turned = replace(rows, population=rows.population @ np.linalg.inv(stated))
        return turn_back(condition(turned, root, sigma, mean, precision, known), stated, known)
    unknown = ~np.isnan(precision)
    n_unknown = int(unknown.sum())
    residual = rows.response - rows.population[:, ~unknown].astype(np.longdouble) @ known[~unknown]
    spread = rows.spread(root).astype(np.longdouble)
    design = np.column_stack([rows.population[:, unknown], rows.indicator @ spread])
    prior = np.concatenate([precision[unknown], np.ones(len(spread))])
    weighted = design.T / (np.longdouble(sigma) ** 2 * rows.noise)
    pull = weighted @ residual
    pull[:n_unknown] += precision[unknown] * mean[unknown]
    factor = cholesky(weighted @ design + np.diag(prior))
    inverse = solve_lower(factor, np.eye(len(prior)))
    back = np.eye(len(prior), dtype=np.longdouble)
    back[n_unknown:, n_unknown:] = spread
    half = back @ inverse.T
    return Conditional(half @ (inverse @ pull), half @ half.T)


def cholesky(matrix: LongArray) -> LongArray:
    """Return the lower Cholesky factor."""
    factor = np.array(matrix, dtype=np.longdouble)
    for k in range(len(factor)):
        factor[k:, k] /= np.sqrt(factor[k, k])
        factor[k + 1 :, k + 1 :] -= np.multiply.outer(factor[k + 1 :, k], factor[k + 1 :, k])
    return np.tril(factor)


def solve_lower(factor: LongArray, right: LongArray) -> LongArray:
    """Solve with a lower triangle for sides (row, side)."""
    solved = np.array(right, dtype=np.longdouble)
    for k in range(len(factor)):
        solved[k] /= factor[k, k]
        solved[k + 1 :] -= np.multiply.outer(factor[k + 1 :, k], solved[k])
    return solved

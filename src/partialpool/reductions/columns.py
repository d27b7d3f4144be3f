"""Columns of rows, None standing for a column of ones: scaling, weighted products, sums by group.

An intercept is never stored: a column of ones of five million rows would cost 40 MB and every product with it a pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray

#: A column (row,), or None for ones.
Column = FloatArray | None


@dataclass(frozen=True)
class Scaling:
    """How the computation's columns come from the formula's: x_scaled = (x - centre) / scale.

    ``population`` (coefficient, coefficient) and ``effects`` (effect, effect) map the formula's coefficients to those
    of the scaled columns; ``reference`` (coefficient,) is the least-squares fit, in scaled columns, whose residual
    is the computation's response.
    """

    population: FloatArray
    effects: FloatArray
    reference: FloatArray


def scale_columns(
    names: tuple[str, ...], values: FloatArray, weights: FloatArray | None
) -> tuple[list[Column], FloatArray]:
    """Return scaled columns, None for a column of ones, and the map from the formula's coefficients to theirs.

    Columns are centred only beside an intercept, which absorbs the shift.
    """
    mapping = np.eye(len(names))
    intercept = names.index("Intercept") if "Intercept" in names else None
    columns: list[Column] = []
    for k in range(len(names)):
        if k == intercept:
            columns.append(None)
            continue
        column = np.asarray(values[:, k], dtype=float)
        centre = 0.0 if intercept is None else float(np.average(column, weights=weights))
        column = column - centre
        scale = float(np.sqrt(np.average(column * column, weights=weights))) or 1.0
        columns.append(column / scale)
        mapping[k, k] = scale
        if intercept is not None:
            mapping[intercept, k] = centre
    return columns, mapping


def weigh(column: FloatArray | None, weights: FloatArray | None) -> FloatArray | None:
    if column is None:
        return weights
    return column if weights is None else column * weights


def dot(left: FloatArray | None, right: FloatArray | None, weights: FloatArray | None, n_rows: int) -> float:
    product = weigh(left, weights)
    if product is None:
        return float(n_rows) if right is None else float(right.sum())
    return float(product.sum() if right is None else product @ right)


def fit_least_squares(columns: list[Column], response: FloatArray, weights: FloatArray | None) -> FloatArray:
    """Return weighted least-squares coefficients (minimum norm where columns are dependent)."""
    if not columns:
        return np.empty(0)
    n_rows = len(response)
    centre = float(np.average(response, weights=weights))
    gram = np.array([[dot(a, b, weights, n_rows) for b in columns] for a in columns])
    moment = np.array([dot(a, response - centre, weights, n_rows) for a in columns])
    shift = np.array([dot(a, None, weights, n_rows) for a in columns]) * centre
    solution = np.linalg.lstsq(gram, np.stack([moment, shift], axis=1), rcond=1e-12)[0].sum(axis=1)
    return np.asarray(solution)


def sum_by_group(values: FloatArray | None, codes: IntArray, n_groups: int) -> FloatArray:
    return np.bincount(codes, weights=values, minlength=n_groups).astype(float)

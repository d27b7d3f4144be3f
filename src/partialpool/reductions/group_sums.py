"""Sums over the rows of each group that a normal likelihood needs, whatever each group's sigma.

The squares that coefficients leave of a group's responses are those about its mean and that of its mean: both are
formed from centred sums, and coefficients as differences from a least-squares fit, so that offsets cost no digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partialpool.inputs.designs.design import GroupDesign
from partialpool.inputs.roles.measurements import Measurements
from partialpool.numerics.arrays import FloatArray, IntArray

_LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class GroupSums:
    """``counts`` and ``weights`` (group,) are the raw rows and the sums of their precisions, ``mean_columns`` (group,
    coefficient) and ``mean_response`` (group,) the weighted means, ``columns`` (group, coefficient, coefficient),
    ``cross`` (group, coefficient) and ``squares`` (group,) the weighted products about them, the response being what
    the ``reference`` coefficients (coefficient,) leave; ``log_constant`` (group,) holds no unknown."""

    counts: FloatArray
    weights: FloatArray
    mean_columns: FloatArray
    mean_response: FloatArray
    columns: FloatArray
    cross: FloatArray
    squares: FloatArray
    reference: FloatArray
    log_constant: FloatArray

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return len(self.counts)

    def select(self, groups: IntArray) -> GroupSums:
        """Return the sums of some groups."""
        return GroupSums(
            self.counts[groups],
            self.weights[groups],
            self.mean_columns[groups],
            self.mean_response[groups],
            self.columns[groups],
            self.cross[groups],
            self.squares[groups],
            self.reference,
            self.log_constant[groups],
        )

    def leave(self, coefficients: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what coefficients (coefficient, node) leave of each group's mean, and of its squares about that,
        (group, node) each."""
        moved = coefficients - self.reference[:, None]
        means = self.mean_response[:, None] - self.mean_columns @ moved
        along = np.einsum("jab,bn->jan", self.columns, moved) - 2.0 * self.cross[..., None]
        squares = self.squares[:, None] + np.einsum("jan,an->jn", along, moved)
        return means, np.maximum(squares, 0.0)

    def slope(self, coefficients: FloatArray, by_means: FloatArray, by_squares: FloatArray) -> FloatArray:
        """Return the derivatives by the coefficients (coefficient, node) of what has these derivatives (group, node) by
        the means and squares that are left."""
        moved = coefficients - self.reference[:, None]
        along = np.einsum("jab,bn->jan", self.columns, moved) - self.cross[..., None]
        return np.asarray(2.0 * np.einsum("jan,jn->an", along, by_squares) - self.mean_columns.T @ by_means)


def sum_groups(measurements: Measurements, columns: FloatArray, group: GroupDesign) -> GroupSums:
    """Sum the rows of each group; ``columns`` (row, coefficient) are those of all coefficients."""
    codes, n_groups = group.codes, group.n_levels
    n_rows, n_columns = columns.shape
    counts = np.ones(n_rows) if measurements.counts is None else measurements.counts
    precision = np.ones(n_rows) if measurements.precision is None else measurements.precision
    weights = counts * precision
    response = measurements.response if measurements.offset is None else measurements.response - measurements.offset
    root = np.sqrt(weights)
    lengths = np.sqrt(np.einsum("i,ik,ik->k", weights, columns, columns))
    reference = np.linalg.lstsq(root[:, None] * columns / lengths, root * response, rcond=None)[0] / lengths
    left = response - columns @ reference

    def total(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(codes, weights=values, minlength=n_groups))

    sizes = total(weights)
    mean_response = total(weights * left) / sizes
    mean_columns = np.stack([total(weights * column) for column in columns.T], axis=1) / sizes[:, None]
    about, own = columns - mean_columns[codes], left - mean_response[codes]
    products = np.empty((n_groups, n_columns, n_columns))
    for a in range(n_columns):
        for b in range(a + 1):
            products[:, a, b] = products[:, b, a] = total(weights * about[:, a] * about[:, b])
    squares = total(weights * own * own)
    if measurements.within_squares is not None:
        squares = squares + total(precision * measurements.within_squares)
    cross = np.stack([total(weights * about[:, a] * own) for a in range(n_columns)], axis=1)
    log_constant = 0.5 * (total(counts * np.log(precision)) - _LOG_2PI * total(counts))
    return GroupSums(
        total(counts), sizes, mean_columns, mean_response, products, cross, squares, reference, log_constant
    )

"""Row covariances: whether the parts of the rows' covariance matrix that each variance scales are independent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import IdentificationError
from partialpool.inputs.columns.places import join_words
from partialpool.inputs.columns.raw_columns import FloatArray
from partialpool.inputs.roles.measurements import Measurements

if TYPE_CHECKING:
    from partialpool.inputs.designs.design import GroupDesign, PopulationDesign

# Rows up to which the matrices are written out (100 rows and 3 variances: 1 ms).
_MOST_ROWS = 100
# The share of a matrix that must be left beside the others.
_NOTHING_LEFT = 1e-8


def check_covariances_differ(
    groups: Sequence[GroupDesign], population: PopulationDesign, measurements: Measurements, scattered: bool
) -> None:
    """Raise ``IdentificationError`` where several factors' variances, and sigma's where rows are ``scattered`` by it,
    add up to the same covariance of the rows in more than one way. Single trials have the variance of their chance,
    which effects that add to it alike in all rows only rescale, coefficients and all.

    The covariance, of what the population's columns leave, is a sum of one matrix for each variance and covariance;
    where these are linearly dependent no data tell their factors apart, as in a Graeco-Latin square whose contrasts
    leave nothing for sigma. Told for few rows only; ``confounding`` finds the cases that many rows can have. Effects
    correlated among themselves may add up in several ways, as where no level has rows of both: the prior of their
    correlation then says what the rows do not, with one factor as with several.
    """
    n_rows = len(measurements.response)
    if len(groups) < 2 or n_rows > _MOST_ROWS:
        return
    rest = _complement(population.values)
    vectors, names = [], []
    for group in groups:
        same = group.codes[:, None] == group.codes
        for block in group.blocks:
            parts = _variance_parts(group.values[:, list(block)], same, rest)
            vectors += parts
            names += [[group.sd_names[place] for place in block]] * len(parts)
    if scattered:
        variances = np.ones(n_rows) if measurements.precision is None else 1.0 / measurements.precision
        vectors.append(_lower((rest.T * (variances / np.linalg.norm(variances))) @ rest))
        names.append(["sigma" if measurements.has_residual_sd else "the chance of single trials"])
    dependent = _find_dependence(vectors) if vectors else []
    if dependent:
        involved = list(dict.fromkeys(name for k in dependent for name in names[k]))
        raise IdentificationError(
            f"in these {n_rows} rows {join_words(involved)} cannot be told apart: they add up to the same covariance "
            "of the rows in more than one way; drop a group term, or give more rows"
        )


def _variance_parts(values: FloatArray, same: NDArray[np.bool_], rest: FloatArray) -> list[FloatArray]:
    """Return independent matrices, as vectors, that span what the variances and covariances of a block's effects scale,
    from their columns (row, effect) and the pairs of rows (row, row) that share a level."""
    # an equivalent basis, so that columns far from 0 look as different as they are
    columns = np.linalg.qr(values)[0]
    parts = []
    for i, k in combinations_with_replacement(range(columns.shape[1]), 2):
        half = np.outer(columns[:, i], columns[:, k]) * same
        size = np.linalg.norm(half)
        if size > 0.0:
            parts.append(_lower(rest.T @ ((half + half.T) / size) @ rest))
    if columns.shape[1] == 1:
        return parts
    directions, sizes, _ = np.linalg.svd(np.stack(parts, axis=1), full_matrices=False)
    return list(directions.T[sizes > _NOTHING_LEFT])


def _lower(matrix: FloatArray) -> FloatArray:
    return np.asarray(matrix[np.tril_indices(len(matrix))])


def _complement(columns: FloatArray) -> FloatArray:
    """Return an orthonormal basis (row, direction) of what is orthogonal to independent columns (row, column)."""
    n_rows, n_columns = columns.shape
    return np.linalg.qr(columns, mode="complete")[0][:, n_columns:] if n_columns else np.eye(n_rows)


def _find_dependence(vectors: Sequence[FloatArray]) -> list[int]:
    """Return the places of vectors that take part in a linear dependence, none where there is none."""
    columns = np.stack(vectors, axis=1)
    lengths = np.linalg.norm(columns, axis=0)
    columns /= np.where(lengths > _NOTHING_LEFT, lengths, 1.0)
    _, sizes, combinations = np.linalg.svd(np.linalg.qr(columns, mode="r"))
    lost = combinations[len(sizes) - np.count_nonzero(sizes < _NOTHING_LEFT) :]
    return np.flatnonzero(np.abs(lost).max(axis=0, initial=0.0) > 1e-6).tolist()

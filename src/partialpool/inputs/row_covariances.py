"""Row covariances: whether the parts of the rows' covariance matrix that each variance scales are independent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np

from partialpool.errors import IdentificationError
from partialpool.inputs.measurements import Measurements
from partialpool.inputs.places import join_words
from partialpool.inputs.raw_columns import FloatArray

if TYPE_CHECKING:
    from partialpool.inputs.design import GroupDesign, PopulationDesign

# Rows up to which the matrices are written out (100 rows and 3 variances: 1 ms).
_MOST_ROWS = 100
# The share of a matrix that must be left beside the others.
_NOTHING_LEFT = 1e-8


def check_covariances_differ(
    groups: Sequence[GroupDesign], population: PopulationDesign, measurements: Measurements
) -> None:
    """Raise ``IdentificationError`` where several factors' variances, and sigma's where it is unknown, add up to the
    same covariance of the rows in more than one way.

    The covariance, of what the population's columns leave, is a sum of one matrix for each variance and covariance;
    where these are linearly dependent no data tell their factors apart, as in a Graeco-Latin square whose contrasts
    leave nothing for sigma. Told for few rows only; ``confounding`` finds the cases that many rows can have.
    """
    n_rows = len(measurements.response)
    if len(groups) < 2 or n_rows > _MOST_ROWS:
        return
    rest = _complement(population.values)
    matrices, names = [], []
    for group in groups:
        for block in group.blocks:
            # an equivalent basis, so that columns far from 0 look as different as they are
            columns = np.linalg.qr(group.values[:, list(block)])[0]
            same = group.codes[:, None] == group.codes
            for i, k in combinations_with_replacement(range(len(block)), 2):
                half = np.outer(columns[:, i], columns[:, k]) * same
                matrices.append(rest.T @ ((half + half.T) / np.linalg.norm(half)) @ rest)
                names.append([group.sd_names[place] for place in block])
    if measurements.counts is None and not measurements.known_scale:
        variances = np.ones(n_rows) if measurements.precision is None else 1.0 / measurements.precision
        matrices.append((rest.T * (variances / np.linalg.norm(variances))) @ rest)
        names.append(["sigma"])
    dependent = _find_dependence([matrix[np.tril_indices(len(matrix))] for matrix in matrices])
    if dependent:
        involved = list(dict.fromkeys(name for k in dependent for name in names[k]))
        raise IdentificationError(
            f"in these {n_rows} rows {join_words(involved)} cannot be told apart: they add up to the same covariance "
            "of the rows in more than one way; drop a group term, or give more rows"
        )


def _complement(columns: FloatArray) -> FloatArray:
    """Return an orthonormal basis (row, direction) of what is orthogonal to independent columns (row, column)."""
    return np.linalg.qr(columns, mode="complete")[0][:, columns.shape[1] :]


def _find_dependence(vectors: Sequence[FloatArray]) -> list[int]:
    """Return the places of vectors that take part in a linear dependence, none where there is none."""
    columns = np.stack(vectors, axis=1)
    lengths = np.linalg.norm(columns, axis=0)
    columns /= np.where(lengths > _NOTHING_LEFT, lengths, 1.0)
    _, sizes, combinations = np.linalg.svd(np.linalg.qr(columns, mode="r"))
    lost = combinations[len(sizes) - np.count_nonzero(sizes < _NOTHING_LEFT) :]
    return np.flatnonzero(np.abs(lost).max(axis=0, initial=0.0) > 1e-6).tolist()

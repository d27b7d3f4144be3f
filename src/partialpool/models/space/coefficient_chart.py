"""Coordinates of population coefficients that hardly depend on each other, wherever their columns have their zeros.

The intercept beside a covariate counted in years is the value in the year 0, tied to the slope a thousand times more
closely than the data determine either. The coefficients of columns made orthogonal (of each column the part that those
before it do not explain) are nearly independent of each other; the formula's own are linear in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partialpool.numerics.arrays import FloatArray

# A column of which those before leave less than this fraction stays as it is.
_DEPENDENT = 1e-12


@dataclass(frozen=True)
class CoefficientChart:
    """How sampled coefficients come from their coordinates, and what their priors are of.

    ``natural`` (coefficient, coefficient) takes the orthogonal columns' coefficients to the formula's. ``stated``
    (coefficient, coefficient or known one) takes the formula's coefficients, then those that are known, to what the
    priors are of: an intercept's may be stated at the columns' means.
    """

    natural: FloatArray
    stated: FloatArray

    @property
    def determined_alone(self) -> tuple[bool, ...]:
        """Whether each coefficient is its own coordinate, in units and origin of its own."""
        own = np.count_nonzero(self.natural, axis=1) == 1
        return tuple(bool(alone) for alone in own)


def orthogonalise_columns(columns: FloatArray, weights: FloatArray | None, free: tuple[bool, ...]) -> FloatArray:
    """Return the unit triangular map (coefficient, coefficient) from coefficients to those of orthogonal columns.

    ``columns`` is (row, coefficient), ``weights`` (row,). Only ``free`` coefficients take up what others leave; the
    others, which live on intervals, stay as they are. In the order of the columns each is made orthogonal to those
    before it.

    >>> year = np.array([[1.0, 1990.0], [1.0, 1992.0]])
    >>> orthogonalise_columns(year, None, (True, True)).round(6).tolist()
    [[1.0, 1991.0], [0.0, 1.0]]
    """
    n = columns.shape[1]
    order = [*(k for k in range(n) if free[k]), *(k for k in range(n) if not free[k])]
    n_free = sum(free)
    weighted = columns if weights is None else columns * np.sqrt(weights)[:, None]
    triangle = np.eye(n)
    if n_free and len(columns):
        lengths = np.sqrt(np.sum(weighted * weighted, axis=0))
        lengths = np.where(lengths > 0.0, lengths, 1.0)
        root = np.asarray(np.linalg.qr((weighted / lengths)[:, order]).R)
        for row in range(min(n_free, len(root))):
            if abs(root[row, row]) > _DEPENDENT:
                triangle[row] = root[row] / root[row, row] * (lengths[order] / lengths[order[row]])
                triangle[row, :row] = 0.0
    working = np.empty((n, n))
    working[np.ix_(order, order)] = triangle
    return working


def state_at_means(names: tuple[str, ...], at_means: bool, means: dict[str, float]) -> FloatArray:
    """Return the matrix (coefficient, coefficient) from coefficients to what their priors are of: themselves, and for
    an intercept whose prior is stated at the columns' means the value there."""
    stated = np.eye(len(names))
    if at_means and "Intercept" in names:
        row = names.index("Intercept")
        for k, name in enumerate(names):
            if k != row:
                stated[row, k] = means[name]
    return stated

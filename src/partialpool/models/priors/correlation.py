"""The LKJ prior for correlation matrices, in canonical partial correlations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from partialpool.errors import PriorError
from partialpool.models.priors.base import FloatArray, Kind, Prior, argument_error
from partialpool.models.priors.log_terms import log_half_step


@dataclass(frozen=True)
class LKJ(Prior):
    """Correlation matrices with density proportional to det(R)^(eta - 1).

    eta = 1 is uniform over correlation matrices, eta > 1 prefers weak correlations (Lewandowski, Kurowicka
    and Joe 2009). It is computed in the canonical partial correlations of the C-vine: for columns numbered
    from 1, the partial correlation of i < j given 1..i-1 is Beta(b, b) on (-1, 1) with
    b = eta + (q - 1 - i)/2, all independent. They are listed row by row: (1,2), (1,3), ..., (1,q), (2,3),
    ..., (q-1,q).

    ``at`` says which covariance it describes where an intercept varies with other columns: that of the effects at
    'zero', the formula's own, or at the columns' 'means'; the prior of the intercept's sd goes with it. At means
    the prior does not depend on where a column has its zero: a year counted from 0 or from 2000.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"correlation"})

    eta: float
    at: Literal["zero", "means"] = field(default="zero", kw_only=True)

    def __post_init__(self) -> None:
        self._set_positive("eta")
        if self.at not in ("zero", "means"):
            raise argument_error(self, "at", self.at, "give 'zero' or 'means'")

    @property
    def proper(self) -> bool:
        """Always."""
        return True

    def log_density_partial(self, partial: ArrayLike) -> FloatArray:
        """Return the normalised joint log density of canonical partial correlations.

        ``partial`` is (pair, ...) in the order of the class docstring, with q (q - 1) / 2 pairs for a q x q
        matrix; the answer has the shape of the trailing axes. -inf outside [-1, 1].

        Raises:
            PriorError: the number of pairs is not q (q - 1) / 2 for any q.

        >>> LKJ(1).log_density_partial([[0.0, 0.9]]).round(6)  # two columns: uniform on (-1, 1)
        array([-0.693147, -0.693147])
        """
        points = np.asarray(partial, dtype=np.float64)
        b = self._beta_parameters(count_columns(points))
        log_height = math.fsum(log_half_step(each) - 0.5 * math.log(math.pi) for each in b)
        exponents = (b - 1).reshape((-1,) + (1,) * (points.ndim - 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log1p(-points) + np.log1p(points)
            logs = np.where((exponents == 0) & np.isinf(logs), 0.0, logs)  # 0 * log(0) at the ends is 0
            total = log_height + (exponents * logs).sum(axis=0)
        # at a corner where one pair's density is 0 and another's infinite, the sum is inf - inf
        corner = np.isnan(total) & ~np.isnan(points).any(axis=0)
        return np.where(corner | (np.abs(points) > 1).any(axis=0), -np.inf, total)

    def log_density_of_determinant(self, columns: int, determinant: ArrayLike) -> FloatArray:
        """Return the normalised log density of q x q correlation matrices, q = ``columns``, by their entries above the
        diagonal, from their determinants.

        Source: Lewandowski, Kurowicka and Joe (2009), J. Multivariate Analysis 100:1989-2001, theorem 5.

        >>> LKJ(1).log_density_of_determinant(2, [1.0, 0.19]).round(6)  # two columns: uniform on (-1, 1)
        array([-0.693147, -0.693147])
        """
        # at no correlations entries and partial correlations are the same to first order
        height = self.log_density_partial(np.zeros(columns * (columns - 1) // 2))
        if self.eta == 1.0:
            return np.asarray(np.broadcast_to(height, np.shape(determinant)), dtype=np.float64)
        with np.errstate(divide="ignore"):
            return np.asarray(height + (self.eta - 1.0) * np.log(np.asarray(determinant, dtype=np.float64)))

    def draw_partial(self, columns: int, draws: int, rng: np.random.Generator) -> FloatArray:
        """Return (pair, draw) canonical partial correlations of q x q matrices, q = ``columns``."""
        b = self._beta_parameters(columns)
        return 2.0 * rng.beta(b[:, None], b[:, None], size=(b.size, draws)) - 1.0

    def _beta_parameters(self, columns: int) -> FloatArray:
        first = np.repeat(np.arange(1, columns), np.arange(columns - 1, 0, -1))  # i of each pair
        return np.asarray(self.eta + 0.5 * (columns - 1 - first), dtype=np.float64)


def count_columns(partial: FloatArray) -> int:
    """Return q for an array whose first axis holds q (q - 1) / 2 pairs."""
    pairs = partial.shape[0] if partial.ndim else 0
    q = (1 + math.isqrt(1 + 8 * pairs)) // 2
    if pairs < 1 or q * (q - 1) // 2 != pairs:
        raise PriorError(
            f"LKJ: {pairs} partial correlations fit no matrix: give q (q - 1) / 2 of them on the first axis"
        )
    return q

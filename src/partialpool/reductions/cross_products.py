"""Cross-products of the leading factor, the population's columns and the response.

Within each group j the effects' columns are orthogonalised, W^(1/2) Z_j = Q_j R_j, and the population columns and the
response are projected: a_j = Q_j' W^(1/2) [X_j, y_j]. With B_j = I + R_j S R_j' (S the effects' covariance relative
to the residual variance), the likelihood needs only R_j, a_j and the cross-product of what the projections
leave: [X, y]' V^-1 [X, y] = residual + sum_j a_j' B_j^-1 a_j, a sum of positive terms without cancellation.

"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.small_matrices import lower_pairs
from partialpool.reductions.columns import Scaling


@dataclass(frozen=True)
class CrossProducts:
    """Sufficient statistics; p coefficients, q effects, and column p of a ``projection`` is the response.

    ``n_rows`` counts raw rows, ``log_precision`` sums their log precisions, ``residual`` is (p + 1, p + 1).
    Groups that share R_j form a design class: ``class_root`` (q, q, design_class) holds R, ``class_of`` (group,) says
    which class a group is in, ``class_size`` (design_class,) how many groups it has. ``projection`` (q, p + 1,
    group) holds a_j.
    """

    n_rows: float
    log_precision: float
    residual: FloatArray
    class_root: FloatArray
    class_of: IntArray
    class_size: FloatArray
    projection: FloatArray
    scaling: Scaling

    @cached_property
    def class_gram(self) -> FloatArray:
        """R'R of each design class, its lower triangle (effect pair, design_class)."""
        return np.stack(
            [np.sum(self.class_root[:, i] * self.class_root[:, j], axis=0) for i, j in lower_pairs(self.n_effects)]
        )

    @property
    def n_coefficients(self) -> int:
        """p, the number of population coefficients."""
        return len(self.residual) - 1

    @property
    def n_effects(self) -> int:
        """q, the number of effects of a group."""
        return len(self.class_root)

    @property
    def n_classes(self) -> int:
        """How many distinct designs the groups have."""
        return int(self.class_root.shape[-1])

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return len(self.class_of)

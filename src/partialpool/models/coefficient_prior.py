"""Which population coefficients are integrated out in closed form, and under which normal priors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partialpool.numerics.arrays import FloatArray


@dataclass(frozen=True)
class CoefficientPrior:
    """Priors of the population coefficients as the marginal likelihood needs them.

    ``integrated`` are the positions of those with normal or flat priors, whose ``mean`` and ``precision``
    (integrated coefficient,) follow, precision 0 meaning flat. ``sampled`` are the positions of the others, which
    are hyperparameters or known. ``mixed`` are places among ``integrated`` whose prior is a mixture of normals over
    its sd, a hyperparameter, so that the precision is another at each node.
    """

    integrated: tuple[int, ...]
    sampled: tuple[int, ...]
    mean: FloatArray
    precision: FloatArray
    mixed: tuple[int, ...] = ()

    def precision_at(self, sds: FloatArray | None) -> FloatArray:
        """Return the precisions (integrated coefficient, node); ``sds`` (mixed coefficient, node) are the mixed ones'
        prior sds. Without any the node axis is 1."""
        if not self.mixed or sds is None:
            return self.precision[:, None]
        precision = np.repeat(self.precision[:, None], sds.shape[1], axis=1)
        precision[list(self.mixed)] = sds**-2.0
        return precision

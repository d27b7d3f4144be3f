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

    Priors are of ``stated`` (integrated coefficient, coefficient) times the coefficients, in the order of the columns:
    themselves, but for an intercept whose prior is of the value at the columns' means. None stands for themselves.
    """

    integrated: tuple[int, ...]
    sampled: tuple[int, ...]
    mean: FloatArray
    precision: FloatArray
    mixed: tuple[int, ...] = ()
    stated: FloatArray | None = None

    @property
    def stated_integrated(self) -> FloatArray:
        """What the priors are of per unit of each integrated coefficient, (integrated coefficient, the same)."""
        own = np.eye(len(self.integrated))
        return own if self.stated is None else self.stated[:, list(self.integrated)]

    @property
    def stated_sampled(self) -> FloatArray | None:
        """The same per unit of each sampled coefficient, None where priors do not depend on these."""
        if self.stated is None:
            return None
        sampled = self.stated[:, list(self.sampled)]
        return sampled if np.any(sampled) else None

    def mean_at(self, coefficients: FloatArray) -> FloatArray:
        """Return what the integrated coefficients' part has to be for the priors' means, (integrated coefficient, node)
        or with a node axis of 1; ``coefficients`` (sampled coefficient, node)."""
        sampled = self.stated_sampled
        return self.mean[:, None] if sampled is None else self.mean[:, None] - sampled @ coefficients

    def precision_at(self, sds: FloatArray | None) -> FloatArray:
        """Return the precisions (integrated coefficient, node); ``sds`` (mixed coefficient, node) are the mixed ones'
        prior sds. Without any the node axis is 1."""
        if not self.mixed or sds is None:
            return self.precision[:, None]
        precision = np.repeat(self.precision[:, None], sds.shape[1], axis=1)
        precision[list(self.mixed)] = sds**-2.0
        return precision

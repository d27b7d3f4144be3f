"""Which population coefficients are integrated out in closed form, and under which normal priors."""

from __future__ import annotations

from dataclasses import dataclass

from partialpool.numerics.arrays import FloatArray


@dataclass(frozen=True)
class CoefficientPrior:
    """Priors of the population coefficients as the marginal likelihood needs them.

    ``integrated`` are the positions of those with normal or flat priors, whose ``mean`` and ``precision``
    (integrated coefficient,) follow, precision 0 meaning flat. ``sampled`` are the positions of the others, which
    are hyperparameters or known.
    """

    integrated: tuple[int, ...]
    sampled: tuple[int, ...]
    mean: FloatArray
    precision: FloatArray

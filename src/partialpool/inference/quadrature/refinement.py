"""Refining a quadrature until the answer stops moving."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np

from partialpool.errors import ComputationError
from partialpool.inference.contract import LatentMarginal
from partialpool.models.space.hyperspace import HyperPoints

#: The change of the log likelihood of all groups that ends the refinement.
TOLERANCE = 1e-3
# The change of the finest up to which an answer is given, said in the certificate.
_UNUSABLE = 0.3

_Marginal = TypeVar("_Marginal", bound=LatentMarginal)


def refine_until_still(candidates: Sequence[_Marginal], points: HyperPoints) -> tuple[_Marginal, float]:
    """Return the coarsest of ``candidates``, from coarse to fine, that the next moves by less than the tolerance at
    ``points``, and that change, which is its error.

    Where the change is near the tolerance the finer of the two is taken. Raises ``ComputationError`` where even the
    finest moves the log likelihood much.
    """
    before = candidates[0].log_likelihood(points)
    change = np.inf
    for coarse, fine in pairwise(candidates):
        after = fine.log_likelihood(points)
        usable = np.isfinite(after) & np.isfinite(before)
        change = float(np.max(np.abs(after - before), where=usable, initial=0.0))
        if change < TOLERANCE:
            return (coarse if change < 0.5 * TOLERANCE else fine), change
        before = after
    if not change < _UNUSABLE:
        raise ComputationError(
            f"the quadrature over groups does not settle ({candidates[-1].route}): the last refinement still moved the "
            f"log likelihood by {change:.2g}, and {TOLERANCE} is the aim: give more informative priors for the "
            "population, above all its sd"
        )
    return candidates[-1], change

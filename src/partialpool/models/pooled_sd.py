"""The sd of rows about their own group's mean, all groups together."""

from __future__ import annotations

import math

import numpy as np

from partialpool.errors import IdentificationError
from partialpool.inputs.designs.design import Design


def pooled_log_sd(design: Design) -> float:
    """Return the log of the sd of rows about their own group's mean, all groups together: what sigma would be if it
    were one, and no covariate explained anything within groups.

    Raises ``IdentificationError`` where rows do not vary within groups.
    """
    (group,) = design.groups
    measured = design.measurements
    counts = np.ones(len(measured.response)) if measured.counts is None else measured.counts
    precision = np.ones(len(counts)) if measured.precision is None else measured.precision
    response = measured.response if measured.offset is None else measured.response - measured.offset
    weights = counts * precision
    sizes = np.bincount(group.codes, weights=weights, minlength=group.n_levels)
    middle = np.median(response)
    means = np.bincount(group.codes, weights=weights * (response - middle), minlength=group.n_levels) / sizes
    squares = float(weights @ (response - middle - means[group.codes]) ** 2)
    if measured.within_squares is not None:
        squares += float(precision @ measured.within_squares)
    freedom = float(counts.sum()) - group.n_levels
    if freedom <= 0.0 or squares <= 1e-24 * float(weights @ (response - middle) ** 2) or squares == 0.0:
        raise IdentificationError(
            f"the response is the same in every row of each group of {group.name}: sigmas would be 0; give "
            "standard_error= if these are estimates, or size= and sd= if they are means"
        )
    return 0.5 * math.log(squares / freedom)

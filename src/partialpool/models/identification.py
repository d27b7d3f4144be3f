"""Which groups tell something of an effect."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from partialpool.inputs.design import GroupDesign


def count_identifying_groups(group: GroupDesign, k: int) -> int:
    """Count the groups whose rows tell something of effect k: it varies there, beside an intercept, or is not 0."""
    if group.names[k] == "Intercept":
        return group.n_levels
    return int(np.count_nonzero(find_identifying_groups(group, k)))


def find_identifying_groups(group: GroupDesign, k: int) -> NDArray[np.bool_]:
    """Say for each group whether column k varies in it (beside an intercept) or is not zero in it."""
    column = group.values[:, k]
    if "Intercept" not in group.names:
        return np.bincount(group.codes, weights=column != 0.0, minlength=group.n_levels) > 0
    low, high = np.full(group.n_levels, np.inf), np.full(group.n_levels, -np.inf)
    np.minimum.at(low, group.codes, column)
    np.maximum.at(high, group.codes, column)
    return np.asarray(high > low)

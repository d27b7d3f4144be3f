"""Sizes: the trials of a binomial row and the exposure of a count."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from partialpool.inputs.columns.raw_columns import FloatArray
from partialpool.inputs.roles.role import DescribeRow, Role, refuse

#: Beyond it whole numbers are not told apart.
LARGEST_COUNT = 2.0**53


def check_trials(role: Role, where: DescribeRow) -> FloatArray:
    """Return numbers of trials (row,); raises ``DataError`` unless they are whole and not negative."""
    refuse(role, role.values < 0, where, "a number of trials is not negative")
    refuse(role, role.values != np.rint(role.values), where, "a number of trials is a whole number")
    refuse(role, role.values > LARGEST_COUNT, where, "numbers so large are not told apart; use family='gaussian'")
    return role.values


def check_exposure(role: Role, where: DescribeRow) -> FloatArray:
    """Return exposures (row,); raises ``DataError`` unless they are positive."""
    refuse(role, role.values <= 0, where, "an exposure is positive: drop the row, or mend it")
    return role.values


def find_untried(roles: Mapping[str, Role], response: FloatArray | None) -> dict[str, NDArray[np.bool_]]:
    """Return where (row,) there are no trials and no successes either, by a label for the count of dropped rows."""
    if "trials" not in roles:
        return {}
    untried = roles["trials"].values == 0
    if response is not None:
        untried &= ~(response > 0)
    return {f"{roles['trials'].column} = 0": untried} if untried.any() else {}

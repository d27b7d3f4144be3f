"""Pairs of limits, a lower and an upper one in every row: whether something lies between them, and the values do."""

from __future__ import annotations

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.columns.raw_columns import FloatArray
from partialpool.inputs.roles.role import DescribeRow


def check_limits_in_order(title: str, lower: FloatArray, upper: FloatArray, where: DescribeRow) -> None:
    """Raise ``DataError`` with the first row (row,) whose lower limit is not below its upper one."""
    crossed = ~(lower < upper)
    if crossed.any():
        row = int(np.argmax(crossed))
        raise DataError(
            f"{title} is ({lower[row]:g}, {upper[row]:g}) in {where(row)}: the lower limit must be below the "
            "upper; mend the limits"
        )


def check_within_truncation(
    title: str, values: FloatArray, lower: FloatArray, upper: FloatArray, where: DescribeRow
) -> None:
    """Raise ``DataError`` with the first row (row,) whose value lies outside its limits of truncation."""
    for outside, limits, side in ((values < lower, lower, "below"), (values > upper, upper, "above")):
        if outside.any():
            row = int(np.argmax(outside))
            raise DataError(
                f"{title} is {values[row]:g} in {where(row)}, {side} its limit of truncation {limits[row]:g}: such a "
                "row could not be in the data; mend the limit, or drop the row (censored= is for rows that are there, "
                "with a value that is not known)"
            )

"""Checks of censoring codes and truncation limits against the response."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError
from partialpool.inputs.roles.limit_pairs import check_limits_in_order, check_within_truncation
from partialpool.inputs.roles.role import DescribeRow, Role, refuse
from partialpool.models.families.base import ResponseColumns

LEFT, OBSERVED, RIGHT, INTERVAL = -1, 0, 1, 2


def check_limits(title: str, response: ResponseColumns, where: DescribeRow) -> None:
    """Raise ``DataError`` where censoring and truncation (row,) contradict the values or each other."""
    if response.censoring is not None:
        _check_censoring(title, response, response.censoring, where)
    if response.lower_limit is not None or response.upper_limit is not None:
        _check_truncation(title, response, where)


def _check_censoring(title: str, response: ResponseColumns, codes: NDArray[np.intp], where: DescribeRow) -> None:
    named = Role(f"censored of {title}", title, codes.astype(np.float64))
    known = np.isin(codes, (LEFT, OBSERVED, RIGHT, INTERVAL))
    refuse(named, ~known, where, "it is 0 (observed), -1 (left), 1 (right) or 2 (interval)")
    interval = codes == INTERVAL
    if not interval.any():
        return
    if response.upper is None:
        raise DataError(
            f"{title} is censored to an interval in {where(int(np.argmax(interval)))}, whose upper end is not given: "
            "give censored=(codes, upper ends)"
        )
    upper = Role(f"upper end of {title}", title, response.upper)
    bad = interval & ~(response.upper > response.values)
    refuse(upper, bad, where, "it is not above the interval's lower end; mend one of the two")


def _check_truncation(title: str, response: ResponseColumns, where: DescribeRow) -> None:
    values = response.values
    lower = np.full(len(values), -np.inf) if response.lower_limit is None else response.lower_limit
    upper = np.full(len(values), np.inf) if response.upper_limit is None else response.upper_limit
    check_limits_in_order(f"truncation of {title}", lower, upper, where)
    codes = np.zeros(len(values), dtype=np.intp) if response.censoring is None else response.censoring
    measured = Role(title, title, values)
    for code, empty in ((LEFT, values <= lower), (RIGHT, values >= upper)):
        remedy = "censored beyond its limit of truncation nothing is left: mend its code or its limit"
        refuse(measured, (codes == code) & empty, where, remedy)
    if response.upper is not None:
        ends = Role(f"upper end of {title}", title, response.upper)
        remedy = "it is above the upper limit of truncation; mend one of the two"
        refuse(ends, (codes == INTERVAL) & (response.upper > upper), where, remedy)
    check_within_truncation(title, values, lower, upper, where)

"""Censoring and truncation: values known only as beyond a limit, and limits beyond which there are no rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.columns.labels import code_labels
from partialpool.inputs.columns.numeric import read_numbers
from partialpool.inputs.columns.raw_columns import FloatArray, IntArray, RawColumn
from partialpool.inputs.roles.limit_pairs import check_limits_in_order, check_within_truncation
from partialpool.inputs.roles.role import DescribeRow, Role, refuse

LEFT, OBSERVED, RIGHT, INTERVAL = -1, 0, 1, 2
_CODES = {"left": LEFT, "none": OBSERVED, "right": RIGHT, "interval": INTERVAL}
_ACCEPTED = "it is 'none', 'left', 'right' or 'interval', or 0, -1, 1 or 2, or true where right-censored"


@dataclass(frozen=True)
class Limits:
    """How each row is censored and truncated, as in ``Measurements``; None for nothing of the kind."""

    censoring: IntArray | None = None
    upper: FloatArray | None = None
    lower_limit: FloatArray | None = None
    upper_limit: FloatArray | None = None


def split_limits(censored: Any, truncation: Any) -> dict[str, Any]:
    """Return the arguments as one value by role: censored, censored_upper, truncation_lower, truncation_upper."""
    roles: dict[str, Any] = {}
    if isinstance(censored, tuple):
        if len(censored) != 2 or any(part is None for part in censored):
            raise DataError(
                "censored is a tuple, but not of two: give (codes, upper ends), each a column or an array; codes alone "
                "as a column, a list or an array"
            )
        roles["censored"], roles["censored_upper"] = censored
    elif censored is not None:
        roles["censored"] = censored
    if truncation is None:
        return roles
    if not isinstance(truncation, tuple | list) or len(truncation) != 2:
        raise DataError(
            "truncation is not a pair: give (lower, upper), each None, a number, a column or an array, as (0, None)"
        )
    ends = zip(("truncation_lower", "truncation_upper"), truncation, strict=True)
    limits = {role: value for role, value in ends if value is not None}
    if not limits:
        raise DataError("truncation=(None, None) has no limit: give one of the two, or drop truncation=")
    return {**roles, **limits}


def read_codes(column: RawColumn, title: str) -> FloatArray:
    """Return codes (row,) -1 left, 0 observed, 1 right, 2 interval, NaN where missing; raises ``DataError``."""
    if column.categories is None and column.values.dtype.kind not in "OU":
        values = read_numbers(column, title)
    else:
        labels = code_labels(column)
        known = [_find_code(label) for label in labels.levels.tolist()]
        for place, code in enumerate(known):
            if np.isnan(code):
                row = int(np.argmax(labels.codes == place))
                raise DataError(f"{title} is '{labels.levels[place]}' in row {row + 1}: {_ACCEPTED}")
        values = np.append(known, np.nan)[labels.codes]
    bad = ~np.isnan(values) & ~np.isin(values, list(_CODES.values()))
    refuse(Role(title, title, values), bad, lambda row: f"row {row + 1}", _ACCEPTED)
    return values


def _find_code(label: Any) -> float:
    if isinstance(label, str):
        return float(_CODES.get(label.strip().lower(), np.nan))
    return float(label)


def build_limits(
    title: str, response: FloatArray, roles: Mapping[str, Role], where: DescribeRow, at_least: float = -np.inf
) -> Limits:
    """Return censoring and truncation limits (row,), checked against the response; raises ``DataError``.

    ``at_least`` is the least value of the family, so that a lower limit below it limits nothing. Codes that are all 0
    and limits that are all infinite become None.
    """
    censoring, upper = _build_censoring(title, response, roles, where)
    lower_limit, upper_limit = _build_truncation(title, response, roles, where, at_least)
    measured = Role(title, title, response)
    if censoring is not None:
        floor = np.full(len(response), at_least) if lower_limit is None else lower_limit
        ceiling = np.full(len(response), np.inf) if upper_limit is None else upper_limit
        nothing = "is censored where nothing can lie: mend its code or its limit, or drop the row"
        refuse(measured, (censoring == LEFT) & (response <= floor), where, f"with code 'left' it {nothing}")
        refuse(measured, (censoring == RIGHT) & (response >= ceiling), where, f"with code 'right' it {nothing}")
        if upper is not None:
            end = roles["censored_upper"]
            beyond = (censoring == INTERVAL) & (upper > ceiling)
            refuse(end, beyond, where, "it is above the upper limit of truncation; mend one of the two")
    return Limits(censoring, upper, lower_limit, upper_limit)


def _build_censoring(
    title: str, response: FloatArray, roles: Mapping[str, Role], where: DescribeRow
) -> tuple[IntArray | None, FloatArray | None]:
    if "censored" not in roles:
        return None, None
    codes = roles["censored"].values.astype(np.intp)
    if not codes.any():
        return None, None
    _check_bounded(title, codes)
    interval = codes == INTERVAL
    if not interval.any():
        return codes, None
    if "censored_upper" not in roles:
        row = int(np.argmax(interval))
        raise DataError(
            f"{roles['censored'].title} is 'interval' in {where(row)}, whose upper end is not given: give "
            "censored=(codes, upper ends), two columns or arrays"
        )
    end = roles["censored_upper"]
    refuse(
        end, interval & np.isnan(end.values), where, "an interval needs both ends; give it, or make the code 'right'"
    )
    refuse(
        end,
        interval & (end.values <= response),
        where,
        "it is not above the response, the interval's lower end; mend one of the two, or make the code 'none'",
    )
    return codes, np.where(interval, end.values, response)


def _check_bounded(title: str, codes: IntArray) -> None:
    for code, name, side in ((LEFT, "left", "below"), (RIGHT, "right", "above")):
        if (codes == code).all():
            raise DataError(
                f"{title} is {name}-censored in every row: nothing bounds the values from {side}; give rows that are "
                "observed, or check the codes of censored="
            )


def _build_truncation(
    title: str, response: FloatArray, roles: Mapping[str, Role], where: DescribeRow, at_least: float
) -> tuple[FloatArray | None, FloatArray | None]:
    ends = [roles.get(role) for role in ("truncation_lower", "truncation_upper")]
    if ends == [None, None]:
        return None, None
    lower, upper = (
        np.full(len(response), empty) if end is None else end.values
        for end, empty in zip(ends, (-np.inf, np.inf), strict=True)
    )
    check_limits_in_order("truncation", lower, upper, where)
    check_within_truncation(title, response, lower, upper, where)
    lower = np.maximum(lower, at_least)
    if (lower == at_least).all() and np.isposinf(upper).all():
        return None, None
    return lower, upper

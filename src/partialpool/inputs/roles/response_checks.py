"""Response checks: whether the response is what its family describes, and varies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError
from partialpool.inputs.columns.numeric import LARGEST_VALUE
from partialpool.inputs.columns.places import count_things
from partialpool.inputs.columns.raw_columns import FloatArray
from partialpool.inputs.roles.family_data import FamilyData, find_family
from partialpool.inputs.roles.role import DescribeRow, Role, refuse
from partialpool.inputs.roles.shares import check_shares
from partialpool.inputs.roles.sizes import LARGEST_COUNT, check_exposure, check_trials


def check_response(
    title: str, response: FloatArray, roles: Mapping[str, Role], where: DescribeRow, family: str
) -> FloatArray | None:
    """Check that the response is what the family describes; return the trials or exposures (row,), None for none."""
    kind = find_family(family).response
    if kind == "real":
        _check_range(title, response, where)
    if kind == "successes":
        trials = check_trials(roles["trials"], where)
        _check_successes(title, response, trials, where)
        return trials
    if kind == "count":
        _check_counted(title, response, where)
        return check_exposure(roles["exposure"], where) if "exposure" in roles else None
    if kind == "outcome":
        _check_outcomes(title, response, where)
    elif kind == "share":
        check_shares(title, response, where)
    elif kind != "real":
        _check_positive(title, response, where, family)
    return None


def _check_range(title: str, response: FloatArray, where: DescribeRow) -> None:
    """Raise ``DataError`` for values (row,) whose squares, or sums of them, would overflow."""
    too_large = np.abs(response) > LARGEST_VALUE
    refuse(Role(title, title, response), too_large, where, "its square is out of range; change its units")


def check_spread(
    title: str,
    response: FloatArray,
    upper: FloatArray | None,
    offset: FloatArray | None,
    within: FloatArray | None,
    family: FamilyData,
) -> None:
    """Raise ``DataError`` where there is no spread from which sigma could be learned.

    ``upper`` are the upper ends of intervals, ``within`` sums of squares within the rows, all (row,).
    """
    if within is not None and within.any():
        return
    remedy = "standard_error=" if family.known_noise else ""
    if len(response) < 2:
        known = f" or {remedy}" if remedy else ""
        raise DataError(f"{title} has one row: sigma cannot be learned from it; give more rows{known}")
    varying = np.concatenate([_scale(end, offset, family) for end in (response, upper) if end is not None])
    if varying.min() == varying.max():
        beside = "" if offset is None else " beside its offset"
        known = f", or give {remedy} if its noise is known" if remedy else ""
        raise DataError(
            f"{title} is constant{beside} ({response[0]:g} in every row): there is no spread to learn from; "
            f"check the column{known}"
        )


def _scale(values: FloatArray, offset: FloatArray | None, family: FamilyData) -> FloatArray:
    """Return values (row,) on the scale of the predictor, less their offset."""
    scaled = np.log(values) if family.response == "positive" else values
    return scaled if offset is None else scaled - offset


def _check_successes(title: str, response: FloatArray, trials: FloatArray, where: DescribeRow) -> None:
    """Raise ``DataError`` unless successes (row,) are whole numbers from 0 to the trials."""
    counted = "successes are counted"
    if ((response >= 0) & (response <= 1)).all() and (response != np.rint(response)).any():
        counted += "; for proportions, multiply them by the trials"
    _check_whole(title, response, where, counted)
    more = response > trials
    if more.any():
        row = int(np.argmax(more))
        raise DataError(
            f"{title} is {response[row]:g} of {trials[row]:g} trials in {where(row)}{_count_others(more)}: there are "
            "at most as many successes as trials; mend one of the two, or drop the row"
        )


def _check_counted(title: str, response: FloatArray, where: DescribeRow) -> None:
    """Raise ``DataError`` unless counts (row,) are whole numbers, not negative."""
    _check_whole(
        title,
        response,
        where,
        "counts are whole numbers; for a rate give the count with exposure=, for measurements family='gaussian' or "
        "'lognormal'",
    )


def _check_outcomes(title: str, response: FloatArray, where: DescribeRow) -> None:
    """Raise ``DataError`` unless outcomes (row,) are 0 or 1."""
    refuse(
        Role(title, title, response),
        (response != 0) & (response != 1),
        where,
        "an outcome is 0 or 1; recode it, or give family='binomial' with trials= for counts of successes",
    )


def _check_positive(title: str, response: FloatArray, where: DescribeRow, family: str) -> None:
    """Raise ``DataError`` unless values (row,) are positive; for times of family exponential 0 will do."""
    may_be_zero = family == "exponential"
    refuse(
        Role(title, title, response),
        response < 0 if may_be_zero else response <= 0,
        where,
        f"with family='{family}' values are {'not negative' if may_be_zero else 'positive'}; mend or drop the row, or "
        "give family='gaussian'",
    )


def _check_whole(title: str, response: FloatArray, where: DescribeRow, remedy: str) -> None:
    role = Role(title, title, response)
    refuse(role, response < 0, where, "a count is not negative; mend or drop the row")
    refuse(role, response != np.rint(response), where, remedy)
    refuse(role, response > LARGEST_COUNT, where, "counts so large are not told apart; use family='gaussian'")


def _count_others(bad: NDArray[np.bool_]) -> str:
    others = int(bad.sum()) - 1
    return f" (and in {count_things(others, 'more row')})" if others else ""

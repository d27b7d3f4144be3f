"""Measurements: the response with what is known of its noise, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError
from partialpool.inputs.raw_columns import FloatArray

ROLES = ("standard_error", "size", "sd", "weights", "counts", "offset")
DescribeRow = Callable[[int], str]


@dataclass(frozen=True)
class Measurements:
    """The response of every row and what is known of its noise.

    A row stands for ``counts`` equal raw rows whose mean is ``response`` and whose sum of squares about
    that mean is ``within_squares``; its noise variance is sigma^2 / ``precision``. ``known_scale`` says that
    sigma is 1, so that 1 / sqrt(precision) is the known standard error. None stands for all ones
    (``within_squares``, ``offset``: all zeros).
    """

    kind: Literal["rows", "estimates", "summaries"]
    response: FloatArray  # (row,)
    precision: FloatArray | None  # (row,) > 0
    counts: FloatArray | None  # (row,) > 0
    within_squares: FloatArray | None  # (row,) >= 0
    offset: FloatArray | None  # (row,)
    known_scale: bool


@dataclass(frozen=True)
class Role:
    """What an argument beside the formula gives: ``values`` (row,), ``title`` for messages, ``column``."""

    title: str
    column: str
    values: FloatArray


def check_roles_agree(given: Mapping[str, Any]) -> None:
    """Raise ``DataError`` when the arguments ask for two forms of data at once, or for half of one."""
    if "standard_error" in given:
        for role in ("weights", "sd", "size"):
            if role in given:
                raise DataError(
                    f"standard_error and {role} are both given: with standard errors the noise is known, "
                    f"with {role} sigma is unknown; drop one of them"
                )
    for role, other in (("size", "sd"), ("sd", "size")):
        if role in given and other not in given:
            raise DataError(f"{role} is given without {other}: rows of (n, mean, sd) need both; add {other}=")
    if "size" in given and "counts" in given:
        raise DataError("size and counts are both given: size already says how many rows each mean stands for")


def build_measurements(
    response_title: str, response: FloatArray, roles: Mapping[str, Role], where: DescribeRow
) -> Measurements:
    """Check the response and the roles, all (row,), and combine them; raises ``DataError``.

    ``where`` describes a row for messages: "row 3 (school 'C')".
    """
    check_roles_agree(roles)
    known = "standard_error" in roles
    counts, within = None, None
    if "size" in roles:
        counts = _check_sizes(roles["size"], where)
        within = _within_squares(roles["sd"], counts, where)
    elif "counts" in roles:
        counts = _check_counts(roles["counts"], where)
    precision = None
    if known:
        precision = invert_standard_errors(roles["standard_error"], where)
    elif "weights" in roles:
        precision = _check_weights(roles["weights"], where)
    offset = roles["offset"].values if "offset" in roles else None
    if not known:
        _check_spread(response_title, response if offset is None else response - offset, within, offset is not None)
    kind: Literal["rows", "estimates", "summaries"] = (
        "estimates" if known else "summaries" if "size" in roles else "rows"
    )
    return Measurements(kind, response, precision, _ones_as_none(counts), within, offset, known)


def find_zeros(roles: Mapping[str, Role]) -> dict[str, NDArray[np.bool_]]:
    """Return where (row,) a weight or count is 0, by a label for the count of dropped rows."""
    found = {}
    for name in ("weights", "counts"):
        if name in roles:
            zero = roles[name].values == 0
            if zero.any():
                found[f"{roles[name].column} = 0"] = zero
    return found


def _first(bad: NDArray[np.bool_]) -> int:
    return int(np.argmax(bad))


def _refuse(role: Role, bad: NDArray[np.bool_], where: DescribeRow, remedy: str) -> None:
    if bad.any():
        row = _first(bad)
        more = int(bad.sum()) - 1
        also = f" (and in {more} more rows)" if more else ""
        value = role.values[row]
        said = "missing" if np.isnan(value) else f"{value:g}"
        raise DataError(f"{role.title} is {said} in {where(row)}{also}: {remedy}")


def name_role(role: str, value: Any) -> str:
    """Return how messages call a role: "offset", or "offset 'visits'" when its column has another name."""
    return f"{role} '{value}'" if isinstance(value, str) and value != role else role


def invert_standard_errors(role: Role, where: DescribeRow) -> FloatArray:
    """Return precisions (row,), 1 / standard error squared; raises ``DataError`` unless all are positive."""
    values = role.values
    _refuse(role, np.isnan(values), where, "drop the row, or give its standard error")
    _refuse(role, values < 0, where, "a standard error is positive")
    _refuse(role, values == 0, where, "drop the row, or give its standard error")
    with np.errstate(all="ignore"):
        precision = 1.0 / np.square(values)
    _refuse(
        role,
        ~np.isfinite(precision) | (precision == 0),
        where,
        "change the units: its square is out of range",
    )
    return precision


def _check_weights(role: Role, where: DescribeRow) -> FloatArray:
    _refuse(role, role.values < 0, where, "a weight is positive (0 leaves the row out)")
    return role.values


def _check_counts(role: Role, where: DescribeRow) -> FloatArray:
    _refuse(role, role.values < 0, where, "a count is positive (0 leaves the row out)")
    _refuse(
        role,
        role.values != np.rint(role.values),
        where,
        "a count is a whole number; for precisions use weights=",
    )
    return role.values


def _check_sizes(role: Role, where: DescribeRow) -> FloatArray:
    _refuse(role, role.values < 1, where, "a size counts raw rows, at least 1: drop the row")
    _refuse(role, role.values != np.rint(role.values), where, "a size is a whole number of raw rows")
    return role.values


def _within_squares(role: Role, sizes: FloatArray, where: DescribeRow) -> FloatArray:
    single = sizes == 1
    _refuse(role, np.isnan(role.values) & ~single, where, "give it, or drop the row; only a size of 1 has no sd")
    _refuse(role, role.values < 0, where, "a standard deviation is not negative")
    return np.where(single, 0.0, (sizes - 1.0) * np.square(role.values))


def _ones_as_none(counts: FloatArray | None) -> FloatArray | None:
    return None if counts is None or (counts == 1).all() else counts


def _check_spread(title: str, response: FloatArray, within: FloatArray | None, less_offset: bool) -> None:
    if len(response) < 2 and (within is None or not within.any()):
        raise DataError(f"{title} has one row: sigma cannot be learned from it; give more rows or standard_error=")
    if response.min() == response.max() and (within is None or not within.any()):
        beside = " beside its offset" if less_offset else ""
        raise DataError(
            f"{title} is constant{beside} ({response[0]:g} in every row): there is no spread to learn from; "
            "check the column, or give standard_error= if its noise is known"
        )

"""Measurements: the response with what is known of its noise, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError
from partialpool.inputs.columns.raw_columns import FloatArray, IntArray
from partialpool.inputs.roles.censoring import build_limits
from partialpool.inputs.roles.family_data import find_family
from partialpool.inputs.roles.outcomes import Classes
from partialpool.inputs.roles.response_checks import check_response
from partialpool.inputs.roles.role import DescribeRow, Role, refuse
from partialpool.inputs.roles.selection import RowSelection, Rule, build_selection

ROLES = ("standard_error", "size", "sd", "weights", "counts", "offset")


@dataclass(frozen=True)
class Measurements:
    """The response of every row and what is known of its noise.

    A row stands for ``counts`` equal raw rows whose mean is ``response`` and whose sum of squares about
    that mean is ``within_squares``; its noise variance is sigma^2 / ``precision``. ``known_scale`` says that
    sigma is 1, so that 1 / sqrt(precision) is the known standard error. None stands for all ones
    (``within_squares``, ``offset``: all zeros).

    ``family`` names the likelihood family. ``sizes`` are trials or exposures. ``censoring`` is -1 where the value is
    at most ``response``, 1 where it is at least that, 2 where it lies between ``response`` and ``upper``, 0 where it
    is observed. Beyond ``lower_limit`` and ``upper_limit``, both or neither given and infinite for none, a row would
    not be in the data. ``classes`` are the labels that meant 0 and 1 of an outcome. ``selection`` is what a group's
    rows had to pass for the group to be in the data. ``mean_sizes`` are the raw rows behind means whose spread is not
    given, which needs a given sigma: the row is then its mean alone, and ``precision`` holds them.
    """

    kind: Literal["rows", "estimates", "summaries"]
    response: FloatArray  # (row,)
    precision: FloatArray | None  # (row,) > 0
    counts: FloatArray | None  # (row,) > 0
    within_squares: FloatArray | None  # (row,) >= 0
    offset: FloatArray | None  # (row,)
    known_scale: bool
    family: str = "gaussian"
    sizes: FloatArray | None = None  # (row,) > 0
    censoring: IntArray | None = None  # (row,)
    upper: FloatArray | None = None  # (row,) > response where censoring is 2, else equal to it
    lower_limit: FloatArray | None = None  # (row,)
    upper_limit: FloatArray | None = None  # (row,) > lower_limit
    classes: Classes | None = None
    selection: RowSelection | None = None
    mean_sizes: FloatArray | None = None  # (row,) > 0

    @property
    def raw_rows(self) -> FloatArray | None:
        """How many raw rows each row stands for, (row,), None for one."""
        return self.counts if self.mean_sizes is None else self.mean_sizes

    @property
    def dispersion(self) -> str | None:
        """The unknown parameter that scatters rows of equal predictors: sigma, shape or concentration."""
        return None if self.known_scale else find_family(self.family).dispersion

    @property
    def has_residual_sd(self) -> bool:
        """Whether the rows' noise has an unknown sd, sigma."""
        return self.dispersion == "sigma"

    @property
    def has_single_trials(self) -> bool:
        """Whether every row is one trial, whose scatter its probability fixes: nothing can add to it."""
        response = find_family(self.family).response
        return response == "outcome" or (response == "successes" and self.sizes is not None and self.sizes.max() == 1)


def check_roles_agree(given: Mapping[str, Any]) -> None:
    """Raise ``DataError`` when the arguments ask for two forms of data at once, or for half of one."""
    if "standard_error" in given:
        for role in ("weights", "sd", "size"):
            if role in given:
                raise DataError(
                    f"standard_error and {role} are both given: with standard errors the noise is known, "
                    f"with {role} sigma is unknown; drop one of them"
                )
    if "sd" in given and "size" not in given:
        raise DataError("sd is given without size: rows of (n, mean, sd) need both; add size=")
    if "size" in given and "counts" in given:
        raise DataError("size and counts are both given: size already says how many rows each mean stands for")


def build_measurements(
    response_title: str,
    response: FloatArray,
    roles: Mapping[str, Role],
    where: DescribeRow,
    family: str = "gaussian",
    classes: Classes | None = None,
    selection_rows: Rule | None = None,
) -> Measurements:
    """Check the response and the roles, all (row,), and combine them; raises ``DataError``.

    ``where`` describes a row for messages: "row 3 (school 'C')". ``classes`` are the labels of a 0/1 response,
    ``selection_rows`` says which of a selected object's rows decides.
    """
    check_roles_agree(roles)
    reads = find_family(family)
    known = "standard_error" in roles
    counts, within = None, None
    if "size" in roles:
        counts = _check_sizes(roles["size"], where)
        within = _within_squares(roles["sd"], counts, where) if "sd" in roles else None
    elif "counts" in roles:
        counts = _check_counts(roles["counts"], where)
    precision = None
    if known:
        precision = invert_standard_errors(roles["standard_error"], where)
    elif "weights" in roles:
        precision = _check_weights(roles["weights"], where)
    mean_sizes = None
    if (
        counts is not None and "size" in roles and within is None
    ):  # what is known is the density of the mean, not that of raw rows
        mean_sizes, counts = counts, None
        precision = mean_sizes if precision is None else precision * mean_sizes
    sizes = check_response(response_title, response, roles, where, family)
    at_least = -np.inf if reads.response == "real" else 0.0
    limits = build_limits(response_title, response, roles, where, at_least)
    offset = roles["offset"].values if "offset" in roles else None
    kind: Literal["rows", "estimates", "summaries"] = (
        "estimates" if known else "summaries" if "size" in roles else "rows"
    )
    return Measurements(
        kind,
        response,
        precision,
        _ones_as_none(counts),
        within,
        offset,
        known,
        family,
        sizes,
        limits.censoring,
        limits.upper,
        limits.lower_limit,
        limits.upper_limit,
        classes,
        build_selection(response_title, response, roles, where, selection_rows, at_least == 0.0),
        mean_sizes,
    )


def find_zeros(roles: Mapping[str, Role]) -> dict[str, NDArray[np.bool_]]:
    """Return where (row,) a weight or count is 0, by a label for the count of dropped rows."""
    found = {}
    for name in ("weights", "counts"):
        if name in roles:
            zero = roles[name].values == 0
            if zero.any():
                found[f"{roles[name].column} = 0"] = zero
    return found


def invert_standard_errors(role: Role, where: DescribeRow) -> FloatArray:
    """Return precisions (row,), 1 / standard error squared; raises ``DataError`` unless all are positive."""
    values = role.values
    refuse(role, np.isnan(values), where, "drop the row, or give its standard error")
    refuse(role, values < 0, where, "a standard error is positive: drop the row, or mend it")
    refuse(role, values == 0, where, "drop the row, or give its standard error")
    with np.errstate(all="ignore"):
        precision = 1.0 / np.square(values)
    refuse(
        role,
        ~np.isfinite(precision) | (precision == 0),
        where,
        "change the units: its square is out of range",
    )
    return precision


def _check_weights(role: Role, where: DescribeRow) -> FloatArray:
    refuse(role, role.values < 0, where, "a weight is positive (0 leaves the row out)")
    return role.values


def _check_counts(role: Role, where: DescribeRow) -> FloatArray:
    refuse(role, role.values < 0, where, "a count is positive (0 leaves the row out)")
    refuse(
        role,
        role.values != np.rint(role.values),
        where,
        "a count is a whole number; for precisions use weights=",
    )
    return role.values


def _check_sizes(role: Role, where: DescribeRow) -> FloatArray:
    refuse(role, role.values < 1, where, "a size counts raw rows, at least 1: drop the row")
    refuse(role, role.values != np.rint(role.values), where, "a size is a whole number of raw rows")
    return role.values


def _within_squares(role: Role, sizes: FloatArray, where: DescribeRow) -> FloatArray:
    single = sizes == 1
    refuse(role, np.isnan(role.values) & ~single, where, "give it, or drop the row; only a size of 1 has no sd")
    refuse(role, role.values < 0, where, "a standard deviation is not negative: drop the row, or mend it")
    return np.where(single, 0.0, (sizes - 1.0) * np.square(role.values))


def _ones_as_none(counts: FloatArray | None) -> FloatArray | None:
    return None if counts is None or (counts == 1).all() else counts

"""Checks of a response against what its family can have; every refusal names the value, the row and the remedy."""

from __future__ import annotations

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.roles.role import DescribeRow, Role, refuse
from partialpool.models.families.base import ResponseColumns
from partialpool.numerics.arrays import FloatArray

# Beyond it whole numbers are not told apart.
_LARGEST_COUNT = 2.0**53


def check_counts(title: str, values: FloatArray, where: DescribeRow, remedy: str) -> None:
    """Raise ``DataError`` unless values (row,) are whole numbers, not negative; ``remedy`` is for fractions."""
    role = Role(title, title, values)
    refuse(role, ~(values >= 0.0), where, "a count is not negative; mend or drop the row")
    refuse(role, values != np.rint(values), where, remedy)
    refuse(role, values > _LARGEST_COUNT, where, "counts so large are not told apart; use family='gaussian'")


def check_exposed_counts(title: str, response: ResponseColumns, where: DescribeRow) -> None:
    """Raise ``DataError`` unless counts (row,) are whole and exposures positive."""
    remedy = "counts are whole numbers; for a rate give the count with exposure=, for measurements family='gaussian'"
    check_counts(title, response.values, where, remedy)
    sizes = response.sizes
    bad = ~((sizes > 0.0) & np.isfinite(sizes))
    refuse(Role(f"exposure of {title}", title, sizes), bad, where, "an exposure is positive: drop the row, or mend it")


def check_successes(title: str, response: ResponseColumns, where: DescribeRow) -> None:
    """Raise ``DataError`` unless trials (row,) are positive whole numbers and successes whole, from 0 to the trials."""
    trials, values = Role(f"trials of {title}", title, response.sizes), response.values
    refuse(trials, ~(response.sizes > 0.0), where, "a number of trials is positive; drop the row, or mend it")
    refuse(trials, response.sizes != np.rint(response.sizes), where, "a number of trials is a whole number")
    refuse(trials, response.sizes > _LARGEST_COUNT, where, "numbers so large are not told apart")
    proportions = bool(((values >= 0.0) & (values <= 1.0)).all())
    remedy = "successes are counted" + ("; for proportions, multiply them by the trials" if proportions else "")
    check_counts(title, values, where, remedy)
    more = values > response.sizes
    if more.any():
        row = int(np.argmax(more))
        raise DataError(
            f"{title} is {values[row]:g} of {response.sizes[row]:g} trials in {where(row)}: there are at most as many "
            "successes as trials; mend one of the two, or drop the row"
        )


def check_outcomes(title: str, response: ResponseColumns, where: DescribeRow) -> None:
    """Raise ``DataError`` unless values (row,) are 0 or 1."""
    values = response.values
    bad = (values != 0.0) & (values != 1.0)
    remedy = "an outcome is 0 or 1; recode it, or give family='binomial' with trials= for counts of successes"
    if bad.any() and len(np.unique(values)) > 2:
        remedy += "; more than two classes are not computed"
    refuse(Role(title, title, values), bad, where, remedy)


def check_positive(title: str, values: FloatArray, where: DescribeRow, name: str, censored: bool) -> None:
    """Raise ``DataError`` unless values (row,) are positive; ``censored`` where the family may be censored."""
    role = Role(title, title, values)
    limit = ", or give the row as left-censored at the detection limit (censored=)" if censored else ""
    zero = (
        f"a {name} value is positive, and a hurdle for zeros is not computed; drop the rows, or shift or rescale the "
        f"values{limit}"
    )
    refuse(role, values == 0.0, where, zero)
    refuse(
        role,
        ~(values > 0.0) | np.isinf(values),
        where,
        f"a {name} value is positive; mend or drop the row, or give family='gaussian'",
    )


def check_real(title: str, values: FloatArray, where: DescribeRow) -> None:
    """Raise ``DataError`` unless values (row,) are finite."""
    refuse(Role(title, title, values), ~np.isfinite(values), where, "a measurement is finite; mend or drop the row")


def check_noise(title: str, response: ResponseColumns, where: DescribeRow, name: str) -> None:
    """Raise ``DataError`` unless known noise sds (row,) are given and positive."""
    errors = response.standard_errors
    if errors is None:
        raise DataError(f"{title}: family='{name}' with known noise needs standard_error=: give it, or learn sigma")
    bad = ~((errors > 0.0) & np.isfinite(errors))
    refuse(Role(f"standard_error of {title}", title, errors), bad, where, "a standard error is positive; mend the row")


def refuse_limits(title: str, response: ResponseColumns, name: str) -> None:
    """Raise ``DataError`` where a family is censored or truncated that cannot be."""
    limited = [
        said
        for said, columns in (
            ("censored", (response.censoring,)),
            ("truncation", (response.lower_limit, response.upper_limit)),
        )
        if any(column is not None for column in columns)
    ]
    if limited:
        raise DataError(
            f"{title}: {' and '.join(limited)} with family='{name}': it belongs to gaussian, lognormal and "
            "exponential; drop it, or give one of these families"
        )

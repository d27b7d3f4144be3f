"""Selection of objects: limits that a value had to pass for its object to be in the data at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError, FormulaError, NotYetError
from partialpool.inputs.columns.raw_columns import FloatArray, IntArray
from partialpool.inputs.roles.limit_pairs import check_limits_in_order
from partialpool.inputs.roles.role import DescribeRow, Role, refuse

#: Which of an object's rows decides: it is selected where any passes, where all do, or where its first does.
Rule = Literal["any", "all", "first"]
RULES: tuple[Rule, ...] = ("any", "all", "first")


@dataclass(frozen=True)
class ProbitSelection:
    """Objects are selected with probability Phi((value - ``limit``) / ``width``): a limit that is not sharp.

    ``limit`` (units of the response) and ``width`` (the same; of its log under a lognormal likelihood) are numbers,
    columns or arrays (row,). ``side`` 'above' selects larger values, 'below' smaller ones, such as magnitudes.

    >>> import partialpool as pp
    >>> pp.ProbitSelection(limit=1.8, width=0.3)
    ProbitSelection(limit=1.8, width=0.3, side='above')
    """

    limit: Any
    width: Any
    side: Literal["above", "below"] = "above"

    def __post_init__(self) -> None:
        if self.side not in ("above", "below"):
            raise DataError(f"ProbitSelection: side={self.side!r} is not a choice: choose 'above' or 'below'")
        for name in ("limit", "width"):
            if getattr(self, name) is None:
                raise DataError(f"ProbitSelection: {name} is None: give a number, a column or an array")


@dataclass(frozen=True)
class RowSelection:
    """What each row had to pass: ``lower`` and ``upper`` (row,), infinite for none, and the ``width`` (row,) of the
    probit curve about them, None for a sharp limit; ``rule`` None says that none was given."""

    lower: FloatArray
    upper: FloatArray
    width: FloatArray | None
    rule: Rule | None


def split_selection(selection: Any, rule: Any) -> dict[str, Any]:
    """Return the argument as one value by role: selection_lower, selection_upper, selection_width."""
    if rule is not None and rule not in RULES:
        raise DataError(f"selection_rows={rule!r} is not a choice: choose 'any', 'all' or 'first'")
    if selection is None:
        if rule is not None:
            raise DataError(f"selection_rows={rule!r} says which rows decide of a selection: give selection= as well")
        return {}
    if isinstance(selection, ProbitSelection):
        end = "selection_lower" if selection.side == "above" else "selection_upper"
        return {end: selection.limit, "selection_width": selection.width}
    if not isinstance(selection, tuple | list) or len(selection) != 2:
        raise DataError(
            "selection is not a pair: give (lower, upper), each None, a number, a column or an array, as (1.8, None), "
            "or ProbitSelection(limit=..., width=...) for a limit that is not sharp"
        )
    ends = zip(("selection_lower", "selection_upper"), selection, strict=True)
    limits = {role: value for role, value in ends if value is not None}
    if not limits:
        raise DataError("selection=(None, None) has no limit: give one of the two, or drop selection=")
    return limits


def build_selection(
    title: str, response: FloatArray, roles: Mapping[str, Role], where: DescribeRow, rule: Rule | None, positive: bool
) -> RowSelection | None:
    """Return what each row had to pass, None where nothing had; raises ``DataError`` for limits that nothing passes.

    ``positive`` says that a lower limit of 0 or less limits nothing.
    """
    given = [roles.get(f"selection_{name}") for name in ("lower", "upper", "width")]
    if given == [None] * 3:
        return None
    lower, upper = (
        np.full(len(response), empty) if end is None else end.values
        for end, empty in zip(given[:2], (-np.inf, np.inf), strict=True)
    )
    if positive:
        lower = np.where(lower <= 0.0, -np.inf, lower)
    check_limits_in_order("selection", lower, upper, where)
    if positive and given[1] is not None:
        refuse(given[1], upper <= 0.0, where, f"{title} is positive, and nothing is selected below it; mend the limit")
    width = given[2]
    if width is not None:
        bad = ~((width.values > 0.0) & np.isfinite(width.values))
        refuse(
            width,
            bad,
            where,
            "the width of a probit curve is positive; for a sharp limit give selection=(lower, upper)",
        )
    if np.isneginf(lower).all() and np.isposinf(upper).all():
        return None
    return RowSelection(lower, upper, None if width is None else width.values, rule)


def find_first_rows(codes: IntArray) -> IntArray:
    """Return the first row of each group, in the groups' order."""
    return np.unique(codes, return_index=True)[1].astype(np.intp)


def check_selection(
    selection: RowSelection,
    title: str,
    response: FloatArray,
    counts: FloatArray | None,
    factors: Mapping[str, tuple[IntArray, tuple[str, ...]]],
    where: DescribeRow,
    rows_dropped: Mapping[str, int],
) -> None:
    """Raise where the formula has not one factor of objects with an intercept, where it is not said which of an
    object's rows decides, or where an object is in the data that its values did not bring there.

    ``factors`` are codes (row,) and coefficients by name.
    """
    if not factors:
        raise FormulaError(
            "selection= is of objects, and the formula has no group term: write one, such as (1 | object), or give "
            "truncation= for rows, which is the same where there are no groups"
        )
    ((name, (codes, effects)), *others) = factors.items()
    if others or effects != ("Intercept",):
        raise NotYetError(
            "selection= is computed for one grouping factor whose intercept alone varies, (1 | object): keep that term"
        )
    several = np.bincount(codes).max() > 1 or (counts is not None and counts.max() > 1)
    if several and selection.rule is None:
        raise DataError(
            f"selection= is given, and some levels of {name} have several rows: say which of them decides, "
            "selection_rows='any' (an object is in the data where any row passed), 'all' or 'first'"
        )
    if selection.rule == "first" and rows_dropped:
        raise DataError(
            f"selection_rows='first', and rows were left out ({', '.join(rows_dropped)}), so that an object's first "
            f"row may be gone: drop or mend these rows yourself, so that the first one left of each level of {name} is "
            "the one that decided"
        )
    if selection.width is None:
        _check_passed(selection, title, response, codes, where)


def _check_passed(
    selection: RowSelection, title: str, response: FloatArray, codes: IntArray, where: DescribeRow
) -> None:
    """Raise ``DataError`` for the first object in the data whose values did not pass."""
    failed: NDArray[np.bool_] = (response < selection.lower) | (response > selection.upper)
    if selection.rule == "any":
        passed = np.bincount(codes, weights=~failed) > 0
        failed &= ~passed[codes]
    elif selection.rule == "first":
        first = np.zeros(len(codes), dtype=bool)
        first[find_first_rows(codes)] = True
        failed &= first
    if failed.any():
        row = int(np.argmax(failed))
        rows = {"any": "no row of it passed", "first": "its first row did not pass"}.get(
            selection.rule or "", "it did not pass"
        )
        raise DataError(
            f"{title} is {response[row]:g} in {where(row)}, outside its limits of selection "
            f"({selection.lower[row]:g}, {selection.upper[row]:g}): {rows}, and such an object could not be in the "
            "data; mend the limits, drop the object, or give ProbitSelection(limit, width) where the limit is not sharp"
        )

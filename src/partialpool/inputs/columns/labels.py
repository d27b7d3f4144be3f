"""Labels: columns of labels as integer codes into their levels."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError
from partialpool.inputs.columns.raw_columns import IntArray, RawColumn
from partialpool.inputs.roles.moments import print_moments

_EXACT_INTEGERS = 2.0**53


@dataclass(frozen=True)
class Categorical:
    """A column of labels: ``codes`` (row,) index into ``levels`` (level,), the levels in use, in order.

    ``zone`` says that the levels, which are text, print moments: it is ``NAIVE``, or the name of their time zone.
    """

    codes: IntArray
    levels: NDArray[Any]
    zone: str = ""


#: The ``zone`` of moments that have none.
NAIVE = "no time zone"


def code_labels(column: RawColumn) -> Categorical:
    """Return a column as codes (-1 where missing) into its levels in use.

    Moments become text, local where they have a time zone; durations raise ``DataError``.

    Levels keep the order of a pandas Categorical or polars Enum, else they are sorted: numbers by value, text
    by code points. Whole numbers stored as floats become integers, so that a missing value changes no label.
    """
    if column.categories is not None:
        return drop_unused_levels(_print_levels(column, Categorical(column.values, column.categories)))
    values, missing = _plain_labels(column)
    if missing is None:
        return _print_levels(column, _code_values(values))
    coded = _code_values(values[~missing])
    codes = np.full(len(values), -1, dtype=np.intp)
    codes[~missing] = coded.codes
    return _print_levels(column, Categorical(codes, coded.levels))


def _print_levels(column: RawColumn, coded: Categorical) -> Categorical:
    """Return labels with their levels in one of the dtypes that are stored, moments as text."""
    if coded.levels.dtype.kind == "M":
        printed = print_moments(column.name, coded.levels, column.zone)
        return Categorical(coded.codes, _narrow(printed), column.zone or NAIVE)
    return replace(coded, levels=_as_levels(coded.levels))


def drop_unused_levels(column: Categorical) -> Categorical:
    """Remove the levels that no row has, keeping the order of the others; codes of -1 stay."""
    there = column.codes[column.codes >= 0] if (column.codes < 0).any() else column.codes
    used = np.bincount(there, minlength=len(column.levels)) > 0
    if used.all():
        return column
    lookup = np.append(np.cumsum(used) - 1, -1)  # the last entry answers -1
    return replace(column, codes=lookup[column.codes], levels=_narrow(column.levels[used]))


def select_rows(column: Categorical, rows: NDArray[Any]) -> Categorical:
    """Keep some rows, and of the levels those in use."""
    return drop_unused_levels(replace(column, codes=column.codes[rows]))


def match_levels(column: Categorical, levels: NDArray[Any]) -> NDArray[np.intp]:
    """Return for each row the position of its label in ``levels``, -1 when it is missing or not there."""
    if not len(column.levels):
        return np.full(len(column.codes), -1, dtype=np.intp)
    order = np.argsort(levels, kind="stable")
    ordered = levels[order]
    places = np.minimum(np.searchsorted(ordered, column.levels), len(levels) - 1)
    found = np.where(ordered[places] == column.levels, order[places], -1)
    return np.append(found, -1)[column.codes].astype(np.intp)


def _as_levels(values: NDArray[Any]) -> NDArray[Any]:
    """Return levels in one of the dtypes that are stored: text, int64, float64 or bool."""
    kind = values.dtype.kind
    if kind == "O":
        return np.asarray(values, dtype=str) if len(values) else np.empty(0, dtype=str)
    if kind == "m":
        raise DataError("a column of durations cannot be used as labels: give numbers or text")
    if kind == "f" and _is_whole(values):
        return values.astype(np.int64)
    if kind in "iu":
        return values.astype(np.int64)
    return values.astype(np.float64) if kind == "f" else _narrow(values)


def _narrow(levels: NDArray[Any]) -> NDArray[Any]:
    """Return text no wider than its longest level, so that equal levels are equal arrays."""
    if levels.dtype.kind != "U" or not len(levels):
        return levels
    width = max(int(np.strings.str_len(levels).max()), 1)
    return levels if levels.dtype.itemsize == 4 * width else levels.astype(f"U{width}")


def _is_whole(values: NDArray[Any]) -> bool:
    return bool(np.all(np.rint(values) == values) and np.all(np.abs(values) < _EXACT_INTEGERS))


def _plain_labels(column: RawColumn) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the values and where they are missing; refuse what cannot be a label."""
    values, missing = column.values, column.missing
    if values.dtype.kind == "m":
        raise DataError(f"column '{column.name}' holds durations: give numbers or text")
    if values.dtype.kind in "fM":
        absent = np.isnan(values) if values.dtype.kind == "f" else np.isnat(values)
        if absent.any():
            missing = absent if missing is None else missing | absent
    if values.dtype.kind == "f":
        there = values if missing is None else values[~missing]
        _check_exact(column.name, there, _EXACT_INTEGERS)
        if not len(there) or _is_whole(there):
            values = np.where(np.zeros(1, bool) if missing is None else missing, 0, values).astype(np.int64)
    if values.dtype.kind == "u":
        _check_exact(column.name, values, 2**63)
    return values, missing


def _check_exact(name: str, values: NDArray[Any], limit: float) -> None:
    """Refuse labels so large that neighbours would be taken for one another."""
    largest = max(float(values.max()), -float(values.min())) if len(values) else 0.0
    if largest >= limit:
        raise DataError(
            f"column '{name}' holds labels as large as {largest:g}, which are not told apart exactly: "
            "convert it to text"
        )


def _code_values(values: NDArray[Any]) -> Categorical:
    kind = values.dtype.kind
    if kind == "b":
        return drop_unused_levels(Categorical(values.astype(np.intp), np.array([False, True])))
    if kind in "iu":
        return _code_integers(values)
    if kind in "OU":
        return _code_texts(values)
    levels, codes = np.unique(values, return_inverse=True)
    return _rebuilt(codes, levels)


def _rebuilt(codes: NDArray[Any], levels: NDArray[Any]) -> Categorical:
    return Categorical(codes.astype(np.intp, copy=False), levels)


def _code_integers(values: NDArray[Any]) -> Categorical:
    """Use a lookup table when the range is small beside the rows (5 million: 0.03 s, a sort takes 0.2 s)."""
    if not len(values):
        return Categorical(np.empty(0, dtype=np.intp), np.empty(0, dtype=np.int64))
    low, high = int(values.min()), int(values.max())
    if high - low > max(4 * len(values), 65536) or high > np.iinfo(np.int64).max:
        levels, codes = np.unique(values, return_inverse=True)
        return _rebuilt(codes, levels)
    offsets = values.astype(np.intp, copy=False)
    if low:
        offsets = offsets - low
    used = np.bincount(offsets, minlength=high - low + 1) > 0
    if used.all():
        return Categorical(offsets, np.arange(low, high + 1, dtype=np.int64))
    lookup = np.cumsum(used) - 1
    return Categorical(lookup[offsets], np.flatnonzero(used).astype(np.int64) + low)


def _code_texts(values: NDArray[Any]) -> Categorical:
    """Hash where labels repeat, sort where they do not (a million distinct: 0.4 s against 1.8 s hashing)."""
    if not len(values):
        return Categorical(np.empty(0, dtype=np.intp), np.empty(0, dtype=str))
    pandas = sys.modules.get("pandas")
    if pandas is not None and len(values) > 1000 and hasattr(pandas, "factorize"):
        codes, found = pandas.factorize(values.astype(object))
        return sort_levels(codes, np.asarray(found, dtype=str))
    head = values[:10_000].tolist()
    if 2 * len(set(head)) > len(head) > 1000:
        levels, codes = np.unique(values.astype(str), return_inverse=True)
        return _rebuilt(codes, levels)
    texts = values.tolist()
    places = {text: place for place, text in enumerate(sorted(set(texts)))}
    codes = np.fromiter(map(places.__getitem__, texts), dtype=np.intp, count=len(texts))
    return Categorical(codes, np.array(list(places), dtype=str))


def sort_levels(codes: NDArray[Any], levels: NDArray[Any]) -> Categorical:
    """Return the labels with their levels sorted; codes (row,) of -1 stay."""
    order = np.argsort(levels, kind="stable")
    ranks = np.full(len(order) + 1, -1, dtype=np.intp)  # the last entry answers -1
    ranks[order] = np.arange(len(order))
    return Categorical(ranks[codes], _narrow(levels[order]))

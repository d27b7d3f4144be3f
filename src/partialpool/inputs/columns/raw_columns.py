"""Raw columns: what a user's array or list holds, as numpy, before it is known what it is used for."""

from __future__ import annotations

import datetime
import decimal
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError
from partialpool.inputs.columns.places import name_rows
from partialpool.inputs.roles.moments import read_moments

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class RawColumn:
    """One column: ``values`` (row,), where ``missing`` (None: nowhere but NaN and NaT), and ``categories``.

    With ``categories`` the values are codes into them (-1 missing) and the categories' order is the user's. With
    ``zone`` moments, as values or categories, are UTC's and belong to the time zone of that name. ``coded_text`` says
    that the categories are text which the frame did not call categories.
    """

    name: str
    values: NDArray[Any]
    missing: NDArray[np.bool_] | None = None
    categories: NDArray[Any] | None = None
    zone: str | None = None
    coded_text: bool = False

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.values)


def read_array(name: str, values: Any) -> RawColumn:
    """Read an array, list or other sequence; raises ``DataError`` for what is no column of values."""
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        return _with_mask(read_array(name, values.filled(_fill_value(values))), mask)
    array = _as_array(name, values)
    if array.ndim != 1:
        raise DataError(_explain_shape(name, array))
    if array.dtype.kind == "c":
        raise DataError(f"column '{name}' holds complex numbers: give their real part or modulus")
    if array.dtype.kind == "S":
        return RawColumn(name, np.char.decode(array, "utf-8"))
    if array.dtype.kind in "fiubUMm":
        return RawColumn(name, array)
    return read_objects(name, array.astype(object))


def _as_array(name: str, values: Any) -> NDArray[Any]:
    if isinstance(values, str | bytes) or not (hasattr(values, "__len__") or hasattr(values, "__array__")):
        raise DataError(f"column '{name}' is a single {type(values).__name__}: give a list or array, a value per row")
    if isinstance(values, dict | set | frozenset):
        raise DataError(f"column '{name}' is a {type(values).__name__}: give a list or array, a value per row")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"column '{name}' holds sequences of different lengths: give one value per row") from error
    if array.dtype.kind in "US" and not isinstance(values, np.ndarray):
        # numpy turns ['a', nan] and ['a', 1] into text; the missing value and the mixture must be seen
        array = np.empty(len(values), dtype=object)
        array[:] = list(values)
    return array


def _explain_shape(name: str, array: NDArray[Any]) -> str:
    if array.ndim == 0:
        return f"column '{name}' is a single value: give a list or array with a value per row"
    return f"column '{name}' has {array.ndim} dimensions {array.shape}: give one value per row"


def _fill_value(values: Any) -> Any:
    return {"U": "", "O": None}.get(values.dtype.kind, 0)


def _with_mask(column: RawColumn, mask: NDArray[np.bool_]) -> RawColumn:
    missing = mask if column.missing is None else mask | column.missing
    return replace(column, missing=missing if missing.any() else None)


def read_objects(name: str, values: NDArray[np.object_]) -> RawColumn:
    """Read Python objects: numbers, text, truth values or dates, with None, NaN, NA and NaT missing."""
    missing = np.fromiter(map(is_missing, values), dtype=np.bool_, count=len(values))
    there = values[~missing] if missing.any() else values
    if not len(there):
        return RawColumn(name, np.full(len(values), np.nan))
    kind = _common_kind(name, values, missing, set(map(type, there)))
    if kind in _ORDERED:
        return _code_ordered(name, values, missing)
    zone = None
    if kind == "dates":
        converted, zone = read_moments(name, there)
    else:
        converted = _convert(kind, there)
    if not missing.any():
        return RawColumn(name, converted, zone=zone)
    filled = np.zeros(len(values), dtype=converted.dtype)
    filled[~missing] = converted
    return RawColumn(name, filled, missing, zone=zone)


def _code_ordered(name: str, values: NDArray[np.object_], missing: NDArray[np.bool_]) -> RawColumn:
    """Return pandas' periods or intervals as categories, in their order."""
    try:
        distinct = sorted(set(values[~missing].tolist()))
    except (TypeError, ValueError) as error:  # of several frequencies, or closed on several sides
        raise DataError(f"column '{name}' holds values that have no order: {error}; convert it to text") from None
    places = {value: place for place, value in enumerate(distinct)}
    codes = np.array(
        [-1 if gone else places[value] for value, gone in zip(values, missing, strict=True)], dtype=np.intp
    )
    return RawColumn(name, codes, None, np.array([str(value) for value in distinct], dtype=object))


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or pandas' NA."""
    if value is None:
        return True
    if type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, float | np.floating | decimal.Decimal):
        return bool(value != value)
    return bool(isinstance(value, np.datetime64) and np.isnat(value))


_KINDS: tuple[tuple[str, type | tuple[type, ...]], ...] = (
    ("truth values", (bool, np.bool_)),
    ("whole numbers", numbers.Integral),
    ("numbers", (numbers.Real, decimal.Decimal)),
    ("complex numbers", numbers.Complex),
    ("text", str),
    ("dates", (datetime.date, np.datetime64)),
)

# pandas' own scalars, known by their names because pandas may not be imported
_ORDERED = ("Interval", "Period")


def _kind_of(type_: type) -> str:
    return next((kind for kind, types in _KINDS if issubclass(type_, types)), type_.__name__)


def _common_kind(name: str, values: NDArray[Any], missing: NDArray[np.bool_], types: set[type]) -> str:
    kinds = {_kind_of(type_) for type_ in types}
    if kinds == {"whole numbers", "numbers"}:
        return "numbers"
    if len(kinds) > 1:
        rows = {_kind_of(type(value)): row for row, value in reversed(list(enumerate(values))) if not missing[row]}
        first, second = sorted(rows, key=lambda kind: rows[kind])[:2]
        raise DataError(
            f"column '{name}' mixes {first} ({name_rows([rows[first]])}) and {second} "
            f"({name_rows([rows[second]])}): make all of it one kind"
        )
    (kind,) = kinds
    if kind == "complex numbers":
        raise DataError(f"column '{name}' holds complex numbers: give their real part or modulus")
    if kind not in (*_ORDERED, *(known for known, _ in _KINDS)):
        raise DataError(f"column '{name}' holds values of type {kind}: give numbers or text, one value per row")
    return kind


def _convert(kind: str, values: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    if kind == "text":
        return np.asarray(values, dtype=object)
    if kind == "truth values":
        return np.asarray(values, dtype=np.bool_)
    if kind == "whole numbers":
        try:
            return np.asarray(values, dtype=np.int64)
        except OverflowError:
            pass
    return np.asarray(values, dtype=np.float64)

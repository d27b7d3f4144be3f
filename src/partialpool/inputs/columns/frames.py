"""Frames: the named columns of whatever table the user has."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError
from partialpool.inputs.columns.places import count_things, suggest_nearest
from partialpool.inputs.columns.raw_columns import RawColumn, read_array
from partialpool.inputs.columns.series import read_narwhals


def read_columns(data: Any, wanted: Iterable[str]) -> tuple[dict[str, RawColumn], int]:
    """Return the wanted columns of a table and its number of rows.

    ``data`` is a mapping of arrays (read with numpy alone), a numpy structured array, or any frame that
    narwhals reads. Raises ``DataError`` for unknown, duplicated or unequal columns and unknown kinds of data.
    """
    names = list(dict.fromkeys(wanted))
    if isinstance(data, Mapping):
        return _read_mapping(data, names)
    if isinstance(data, np.ndarray):
        return _read_structured(data, names)
    return _read_frame(data, names)


def list_columns(data: Any) -> list[str]:
    """Return the names of a table's columns."""
    if isinstance(data, Mapping):
        return [str(name) for name in data]
    if isinstance(data, np.ndarray):
        return list(data.dtype.names or ())
    return list(map(str, _open_frame(data)[1]))


def count_rows(data: Any) -> int:
    """Return a table's number of rows, reading one column where it takes one."""
    names = list_columns(data)
    return read_columns(data, names[:1])[1] if names else 0


def read_series(name: str, values: Any) -> RawColumn:
    """Read one column given as an array, a list or a series of any frame library."""
    if isinstance(values, np.ndarray | list | tuple | range):
        return read_array(name, values)
    if type(values).__module__.split(".")[0] in ("pandas", "polars", "pyarrow", "modin", "cudf"):
        import narwhals as nw

        pandas = sys.modules.get("pandas")
        if pandas is not None and isinstance(values, pandas.api.extensions.ExtensionArray | pandas.Index):
            values = pandas.Series(values)  # a bare Categorical has an order to keep too
        series = nw.from_native(values, allow_series=True, pass_through=True)
        if isinstance(series, nw.Series):
            return read_narwhals(name, series)
    return read_array(name, values)


def is_in_index(data: Any, name: str) -> bool:
    """Say whether a name is a level of a pandas frame's index, and so no column."""
    index = getattr(data, "index", None)
    return name in map(str, getattr(index, "names", None) or ()) and name not in map(str, data.columns)


def _check_known(names: Sequence[str], columns: Sequence[str], data: Any = None) -> None:
    count = Counter(columns)
    for name in names:
        if count[name] == 0:
            hint = f": '{name}' is in the index; give data.reset_index()" if is_in_index(data, name) else ""
            raise DataError(f"there is no column '{name}' in the data{hint or suggest_nearest(name, columns)}")
        if count[name] > 1:
            raise DataError(f"{count[name]} columns of the data are named '{name}': rename all but one")


def _read_mapping(data: Mapping[Any, Any], names: Sequence[str]) -> tuple[dict[str, RawColumn], int]:
    if not data:
        raise DataError("the data are empty: there are no columns")
    _check_known(names, [str(name) for name in data])
    keys = {str(key): key for key in data}  # a name may be a number
    columns = {name: read_series(name, data[keys[name]]) for name in names}
    return columns, _common_length(columns) if columns else 0


def _common_length(columns: Mapping[str, RawColumn]) -> int:
    lengths = {name: len(column) for name, column in columns.items()}
    usual = Counter(lengths.values()).most_common(1)[0][0]
    for name, length in lengths.items():
        if length != usual:
            other = next(key for key, value in lengths.items() if value == usual)
            raise DataError(
                f"column '{name}' has {count_things(length, 'row')}, '{other}' has {usual}: make them equally long"
            )
    return usual


def _read_structured(data: NDArray[Any], names: Sequence[str]) -> tuple[dict[str, RawColumn], int]:
    if data.dtype.names is None:
        raise DataError("the data are an array without column names: give a dict of columns or a data frame")
    _check_known(names, data.dtype.names)
    return {name: read_array(name, data[name]) for name in names}, len(data)


def _open_frame(data: Any) -> tuple[Any, list[str]]:
    """Return the narwhals frame of ``data`` and its column names."""
    if isinstance(data, str) or hasattr(data, "__fspath__"):
        raise DataError(f"the data are the text {str(data)!r}: read the file into a data frame first")
    if data is None:
        raise DataError("the data are None: give a data frame or a dict of columns")
    _check_names_differ(data)
    import narwhals as nw

    frame = nw.from_native(data, pass_through=True)
    if not isinstance(frame, nw.DataFrame | nw.LazyFrame):
        raise DataError(
            f"data of type {type(data).__name__} are not understood: give a data frame "
            "(pandas, polars, pyarrow, DuckDB, ...), a dict of arrays, or a numpy structured array"
        )
    return frame, list(frame.collect_schema().names())


def _check_names_differ(data: Any) -> None:
    """Refuse duplicated names here, where pandas and pyarrow allow them and narwhals' own error shows no remedy."""
    kind = type(data).__module__.split(".")[0]
    if kind not in ("pandas", "pyarrow"):
        return  # others refuse themselves, and a lazy polars frame warns when asked for its columns
    names = getattr(data, "column_names", None) if kind == "pyarrow" else getattr(data, "columns", None)
    name, count = (Counter(map(str, () if names is None else names)).most_common(1) or [("", 0)])[0]
    if count > 1:
        raise DataError(f"{count} columns of the data are named '{name}': rename all but one")


def _read_frame(data: Any, names: Sequence[str]) -> tuple[dict[str, RawColumn], int]:
    import narwhals as nw

    frame, columns = _open_frame(data)
    _check_known(names, list(map(str, columns)), data)
    keys = {str(key): key for key in columns}  # pandas' names may be numbers
    if isinstance(frame, nw.LazyFrame):
        frame = (frame.select(*names) if names else frame).collect()
    return {name: read_narwhals(name, frame.get_column(keys[name])) for name in names}, len(frame)

"""Series: a column of a data frame as a raw column, for each library as it stores values."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.columns.labels import sort_levels
from partialpool.inputs.columns.raw_columns import RawColumn, read_array, read_objects
from partialpool.inputs.roles.moments import find_zone


def read_narwhals(name: str, series: Any) -> RawColumn:
    """Read a narwhals series of any library; raises ``DataError`` for what is no column of values."""
    import narwhals as nw

    native = series.to_native()
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(native, pandas.Series):
        from partialpool.inputs.columns.pandas_series import read_pandas

        column = read_pandas(name, native)
        if column is not None:
            return column
    dtype = series.dtype
    if dtype == nw.Categorical or dtype == nw.Enum:
        return _from_categorical(name, series)
    if dtype.is_float():
        return RawColumn(name, np.asarray(series.to_numpy()))
    if dtype.is_decimal():
        return RawColumn(name, series.cast(nw.Float64).to_numpy())
    if dtype.is_integer() or dtype == nw.Boolean:
        return _fill_nulls(name, series, False if dtype == nw.Boolean else 0)
    if dtype == nw.String:
        return _from_texts(name, series)
    if dtype == nw.Object:
        return read_objects(name, np.asarray(series.to_numpy(), dtype=object))
    if dtype in (nw.Date, nw.Datetime, nw.Duration):
        zone = getattr(dtype, "time_zone", None)
        if zone is not None:
            find_zone(name, zone)
        return RawColumn(name, np.asarray(series.to_numpy()), zone=zone)
    if dtype == nw.Unknown and series.null_count() == len(series):
        return RawColumn(name, np.full(len(series), np.nan))
    if dtype == nw.Unknown and pandas is not None and isinstance(native, pandas.Series):
        return read_array(name, native.to_numpy())  # complex numbers, types of other packages
    raise DataError(f"column '{name}' holds values of type {dtype}: give numbers or text, one value per row")


def _from_texts(name: str, series: Any) -> RawColumn:
    """Code text by the frame's own hashing (5 million rows, 1,000 labels: 0.1 s; through Python objects 2.5 s)."""
    native = series.to_native()
    library = type(native).__module__.split(".")[0]
    if library == "pandas":
        import pandas as pd

        codes, found = pd.factorize(native)
        texts = np.asarray(found, dtype=object)
    elif library == "polars":
        import polars as pl

        levels = native.drop_nulls().unique().sort()
        codes = native.cast(pl.Enum(levels)).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
        texts = np.asarray(levels.to_list(), dtype=object)
    elif library == "pyarrow":
        coded = native.combine_chunks().dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        texts = np.asarray(coded.dictionary.to_pylist(), dtype=object)
    else:
        return read_objects(name, np.asarray(series.to_numpy(), dtype=object))
    sorted_levels = sort_levels(codes, np.asarray(texts, dtype=str))
    return RawColumn(name, sorted_levels.codes, None, sorted_levels.levels, coded_text=True)


def _fill_nulls(name: str, series: Any, value: Any) -> RawColumn:
    if not series.null_count():
        return RawColumn(name, np.asarray(series.to_numpy()))
    missing = np.asarray(series.is_null().to_numpy(), dtype=np.bool_)
    return RawColumn(name, np.asarray(series.fill_null(value).to_numpy()), missing)


def _from_categorical(name: str, series: Any) -> RawColumn:
    """Keep the order of a polars Enum and an ordered Arrow dictionary; other dictionaries have none to keep."""
    native = series.to_native()
    library = type(native).__module__.split(".")[0]
    if library == "polars":
        import polars as pl

        if isinstance(native.dtype, pl.Enum):
            codes = native.to_physical().cast(pl.Int64).fill_null(-1).to_numpy().astype(np.intp)
            return RawColumn(name, codes, None, np.asarray(native.dtype.categories.to_list(), dtype=object))
    elif library == "pyarrow":
        return read_arrow_dictionary(name, native)
    return read_array(name, np.array([*series.to_list(), None], dtype=object)[:-1])


def read_arrow_dictionary(name: str, native: Any) -> RawColumn:
    """Read an Arrow dictionary column: categories in their order where the type says that they have one."""
    import pyarrow as pa

    parts = native.chunks if isinstance(native, pa.ChunkedArray) else [native]
    first = parts[0].dictionary if parts else None
    if first is not None and native.type.ordered and all(part.dictionary.equals(first) for part in parts):
        categories = read_array(name, np.array([*first.to_pylist(), None], dtype=object)[:-1])
        if categories.missing is None and len(set(first.to_pylist())) == len(first):
            indices = [part.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False) for part in parts]
            return RawColumn(name, np.concatenate(indices).astype(np.intp), None, categories.values, categories.zone)
    # to_pylist, because narwhals 2.28's to_numpy fills the nulls of a pyarrow dictionary with its last value
    return read_array(name, np.array([*native.to_pylist(), None], dtype=object)[:-1])

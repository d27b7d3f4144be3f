"""pandas series of the types that pandas has alone: categories, intervals, periods, sparse values, zoned moments.

This module is imported where pandas is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from partialpool.inputs.columns.raw_columns import RawColumn, read_array
from partialpool.inputs.roles.moments import name_zone


def read_pandas(name: str, series: Any) -> RawColumn | None:
    """Read a pandas series, None where its type is one that other libraries have too."""
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _read_categories(name, series)
    if isinstance(dtype, pd.IntervalDtype | pd.PeriodDtype):
        return _read_categories(name, series.astype("category"))  # sorted
    if isinstance(dtype, pd.SparseDtype):
        dense = series.sparse.to_dense()
        return read_pandas(name, dense) or read_array(name, dense.to_numpy())
    if isinstance(dtype, pd.DatetimeTZDtype):
        return RawColumn(
            name, series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), zone=name_zone(name, dtype.tz)
        )
    return _read_arrow(name, series) if isinstance(dtype, pd.ArrowDtype) else None


def _read_categories(name: str, series: Any) -> RawColumn:
    """Keep the categories' order; intervals and periods are text, as pandas prints them."""
    import pandas as pd

    codes, categories = series.cat.codes.to_numpy().astype(np.intp), series.cat.categories
    if isinstance(categories.dtype, pd.IntervalDtype | pd.PeriodDtype):
        return RawColumn(name, codes, None, np.array([str(category) for category in categories], dtype=object))
    if isinstance(categories.dtype, pd.DatetimeTZDtype):
        moments = categories.tz_convert("UTC").tz_localize(None).to_numpy()
        return RawColumn(name, codes, None, moments, name_zone(name, categories.dtype.tz))
    read = read_array(name, np.asarray(categories))
    return RawColumn(name, codes, None, read.values, read.zone)


def _read_arrow(name: str, series: Any) -> RawColumn | None:
    """Read what pandas holds as Arrow's dictionaries and zoned moments, whose names narwhals does not read all."""
    import pyarrow as pa

    from partialpool.inputs.columns.series import read_arrow_dictionary

    kind = series.dtype.pyarrow_dtype
    if pa.types.is_dictionary(kind):
        return read_arrow_dictionary(name, pa.chunked_array(pa.array(series)))
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        moments = series.dt.tz_convert("UTC").dt.tz_localize(None)
        return RawColumn(name, moments.to_numpy(dtype="datetime64[ns]", na_value=np.datetime64("NaT")), zone=kind.tz)
    return None

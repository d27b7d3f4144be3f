"""Rows whose standard error, sd or size is missing are left out as any others with missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import partialpool as pp
from partialpool.errors import DataError, MissingRowsWarning

NAN = np.nan


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("gone", [NAN, None])
@pytest.mark.parametrize(
    ("roles", "column"),
    [({"size": "n", "sd": "s"}, "s"), ({"size": "n", "sd": "s"}, "n"), ({"standard_error": "s"}, "s")],
)
def test_a_row_without_its_noise_is_left_out_with_a_warning(
    make: Any, gone: float | None, roles: dict[str, str], column: str
) -> None:
    data: dict[str, list[Any]] = {"y": [1.0, 2.0, 4.0, 3.0, 2.5], "g": list("abcde"), "n": [5.0, 4.0, 6.0, 1.0, 8.0]}
    data["s"] = [1.0, 1.2, 0.9, 1.1, 1.0]
    data[column][1] = gone
    with pytest.warns(MissingRowsWarning, match=f"1 of 5 rows .*: 1 in '{column}'"):
        fitted = pp.fit("y ~ 1 + (1 | g)", make(data), **roles)
    assert fitted.groups().index.tolist() == list("acde")
    with pytest.raises(DataError, match=f"'{column}' is missing in row 2: .*missing='drop'"):
        pp.fit("y ~ 1 + (1 | g)", make(data), missing="raise", **roles)


def test_a_size_of_one_needs_no_sd() -> None:
    data = {"y": [1.0, 2.0, 4.0, 3.0], "g": list("abcd"), "n": [5, 4, 6, 1], "s": [1.0, 1.2, 0.9, NAN]}
    assert len(pp.fit("y ~ 1 + (1 | g)", data, size="n", sd="s").groups()) == 4

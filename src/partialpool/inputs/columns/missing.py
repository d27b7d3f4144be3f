"""Missing values: which rows are complete, and the one warning that counts the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError, MissingRowsWarning, warn_user
from partialpool.inputs.columns.places import count_things, name_rows

Mask = NDArray[np.bool_]


def merge_masks(masks: Mapping[str, Mask]) -> Mask | None:
    """Return the rows (row,) that any mask marks; None for no mask."""
    merged: Mask | None = None
    for mask in masks.values():
        merged = mask if merged is None else merged | mask
    return merged


def report_missing(masks: Mapping[str, Mask], n_rows: int, missing: Literal["drop", "raise"]) -> None:
    """Warn once how many rows are left out and why; with ``missing="raise"`` raise ``DataError`` instead.

    ``masks`` maps a column's name to where (row,) it is missing, only columns with any.
    """
    if not masks:
        return
    if missing == "raise":
        name, mask = next(iter(masks.items()))
        rows = name_rows(np.flatnonzero(mask))
        raise DataError(f"'{name}' is missing in {rows}: fill it in, drop the rows, or pass missing='drop'")
    union = merge_masks(masks)
    dropped = 0 if union is None else int(union.sum())
    counts = ", ".join(f"{int(mask.sum())} in '{name}'" for name, mask in masks.items())
    warn_user(
        f"{dropped} of {count_things(n_rows, 'row')} {'is' if dropped == 1 else 'are'} left out because of missing "
        f"values: {counts}. The answer describes the other {count_things(n_rows - dropped, 'row')}; missing='raise' "
        "refuses instead.",
        MissingRowsWarning,
    )

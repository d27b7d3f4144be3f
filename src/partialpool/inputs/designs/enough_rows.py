"""Enough rows: more of them than coefficients, beside a dispersion that has to be learned too."""

from __future__ import annotations

from collections.abc import Mapping

from partialpool.errors import IdentificationError
from partialpool.inputs.columns.label_kinds import explain_many_labels
from partialpool.inputs.columns.labels import Categorical
from partialpool.inputs.columns.places import count_things
from partialpool.inputs.columns.raw_columns import FloatArray
from partialpool.inputs.roles.measurements import Measurements

Columns = Mapping[str, FloatArray | Categorical]


def check_enough_rows(
    n_columns: int, dispersion: str | None, measurements: Measurements, columns: Columns | None
) -> None:
    """Raise ``IdentificationError`` where there are no more rows than coefficients beside an unknown ``dispersion``,
    naming the one of the ``columns`` that has many labels."""
    n_rows = len(measurements.response)
    counts = measurements.counts
    n_raw = n_rows if counts is None else int(counts.sum())
    if dispersion is not None and n_raw <= n_columns:
        raise IdentificationError(
            f"{count_things(n_raw, 'row')} cannot tell {count_things(n_columns, 'coefficient')} and {dispersion} "
            "apart: give more rows or drop columns"
            f"{explain_many_labels(columns or {})}"
        )

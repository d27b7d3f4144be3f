"""Observations: the columns a model uses, checked, with missing rows counted out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class Categorical:
    """A column of labels: ``codes`` (row,) index into ``levels`` (level,), the levels in use, in order."""

    codes: IntArray
    levels: NDArray[Any]


@dataclass(frozen=True)
class Measurements:
    """The response of every row and what is known of its noise.

    A row stands for ``counts`` equal raw rows whose mean is ``response`` and whose sum of squares about
    that mean is ``within_squares``; its noise variance is sigma^2 / ``precision``. ``known_scale`` says that
    sigma is 1, so that 1 / sqrt(precision) is the known standard error. None stands for all ones
    (``within_squares``, ``offset``: all zeros).
    """

    kind: Literal["rows", "estimates", "summaries"]
    response: FloatArray  # (row,)
    precision: FloatArray | None  # (row,) > 0
    counts: FloatArray | None  # (row,) > 0
    within_squares: FloatArray | None  # (row,) >= 0
    offset: FloatArray | None  # (row,)
    known_scale: bool


@dataclass(frozen=True)
class Observations:
    """Checked columns, all of one length, rows with missing values left out and counted.

    ``columns`` holds numeric columns as float64 arrays (row,) and label columns as ``Categorical``.
    ``rows`` are the positions in the user's data of the rows kept (None: all of them);
    ``rows_dropped`` counts, by column, the rows left out because that column was missing.
    """

    columns: Mapping[str, FloatArray | Categorical]
    measurements: Measurements
    rows_read: int
    rows: IntArray | None
    rows_dropped: Mapping[str, int]

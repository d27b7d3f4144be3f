"""Identification: what the columns at hand cannot tell apart, found before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partialpool.errors import IdentificationError
from partialpool.inputs.raw_columns import FloatArray

_TOLERANCE = 1e-10
_SOME_ROWS = 10_000
_EPSILON = float(np.finfo(np.float64).eps)


def check_not_collinear(names: Sequence[str], values: FloatArray, part: str) -> None:
    """Raise ``IdentificationError`` naming the columns when one is a combination of the others.

    ``values`` (row, coefficient) are centred where the columns contain a constant, and scaled, so that
    neither offset nor units matter; a remainder below 1e-10 of a column's spread, or below its rounding,
    counts as none.
    """
    n_columns = values.shape[1]
    if n_columns == 0 or (n_columns == 1 and values.strides[0] == 0):
        return
    if _some_rows_suffice(values):
        return
    columns, tolerances = _standardise(names, values, part)
    if _well_conditioned(columns):
        return
    _find_dependence(names, columns, tolerances, part)


def _some_rows_suffice(values: FloatArray) -> bool:
    """Columns independent in some rows are so in all: 5 million rows need not be read for it."""
    step = len(values) // _SOME_ROWS
    if step < 2:
        return False
    try:
        columns, _ = _standardise([""] * values.shape[1], values[::step], "")
    except IdentificationError:  # constant in these rows says nothing of the others
        return False
    return _well_conditioned(columns)


def _standardise(names: Sequence[str], values: FloatArray, part: str) -> tuple[FloatArray, FloatArray]:
    """Return columns of length 1, indicators not centred, and each one's rounding beside its spread."""
    indicators = ((values == 0) | (values == 1)).all(axis=0)
    centred = _spans_constant(values[:, indicators])
    columns = values.copy()
    if centred:
        columns[:, ~indicators] -= columns[:, ~indicators].mean(axis=0)
        columns[:, ~indicators] -= columns[:, ~indicators].mean(axis=0)
    size = np.abs(values).max(axis=0)
    length = np.sqrt(np.square(columns / np.where(size > 0, size, 1.0)).sum(axis=0)) * size
    rounding = 8 * _EPSILON * size * np.sqrt(len(values))
    for place in np.flatnonzero((length <= rounding) | (size == 0)):
        _refuse_constant(names, values, int(place), part, centred)
    return columns / length, np.clip(rounding / length, _TOLERANCE, 1e-3)


def _spans_constant(indicators: FloatArray) -> bool:
    if not indicators.shape[1]:
        return False
    sums = indicators.sum(axis=0)
    if sums.max() == len(indicators):
        return True  # an intercept: with 2,400 levels the solution below takes half a minute
    gram = indicators.T @ indicators
    fitted = indicators @ np.linalg.lstsq(gram, sums, rcond=None)[0]
    return bool(np.abs(fitted - 1).max() < 1e-8)


def _refuse_constant(names: Sequence[str], values: FloatArray, place: int, part: str, centred: bool) -> None:
    name = names[place]
    if not centred or values[0, place] == 0:
        raise IdentificationError(f"column '{name}' of {part} is 0 in every row: drop it from the formula")
    raise IdentificationError(
        f"column '{name}' of {part} is constant, as the intercept is: their coefficients cannot be told "
        f"apart; drop '{name}', or the intercept with 0 + ..."
    )


def _well_conditioned(columns: FloatArray) -> bool:
    """A cheap sufficient test: the Gram matrix sees remainders down to about 1e-7 of a column."""
    gram = columns.T @ columns
    return bool(np.linalg.eigvalsh(gram)[0] > 1e-4 / len(gram))


def _find_dependence(names: Sequence[str], columns: FloatArray, tolerances: FloatArray, part: str) -> None:
    """Project each column on those before it, twice for accuracy, indicators first."""
    order = np.argsort(tolerances, kind="stable")
    basis = np.empty((len(columns), 0))
    done: list[int] = []
    for place in order:
        remainder = columns[:, place].copy()
        for _ in range(2):
            remainder -= basis @ (basis.T @ remainder)
        left = float(np.sqrt(remainder @ remainder))
        worst = max([float(tolerances[place]), *(float(tolerances[other]) for other in done)])
        if left <= worst:
            _refuse_dependent(names, columns, int(place), done, part)
        basis = np.column_stack([basis, remainder / left])
        done.append(int(place))


def _refuse_dependent(names: Sequence[str], columns: FloatArray, place: int, done: Sequence[int], part: str) -> None:
    weights = np.linalg.lstsq(columns[:, list(done)], columns[:, place], rcond=None)[0]
    involved = [other for other, weight in zip(done, weights, strict=True) if abs(weight) > 1e-6]
    others = " and ".join(f"'{names[other]}'" for other in sorted(involved))
    constant = ", with a constant" if "Intercept" in names and "Intercept" not in others else ""
    raise IdentificationError(
        f"columns of {part} are collinear: '{names[place]}' is a combination of {others}{constant}; "
        "their coefficients cannot be told apart: drop one of them" + _spline_remedy(names[place])
    )


def _spline_remedy(name: str) -> str:
    if name.startswith(("cr(", "cs(", "cc(")):
        return ", or add constraints='center' to the spline, whose columns sum to 1"
    return ""

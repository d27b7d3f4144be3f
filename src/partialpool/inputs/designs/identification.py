"""Identification: what the columns at hand cannot tell apart, found before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import IdentificationError
from partialpool.inputs.columns.raw_columns import FloatArray

_TOLERANCE = 1e-10
_SOME_ROWS = 10_000
# Below this a column has no part in another, as a share of their sizes.
_NO_WEIGHT = 1e-9
_EPSILON = float(np.finfo(np.float64).eps)


class Aliased(NamedTuple):
    """Columns that others determine: their ``places``, and the ``weights`` (other, place) of the others in them."""

    places: tuple[int, ...]
    weights: FloatArray


def find_aliased(names: Sequence[str], values: FloatArray, part: str) -> Aliased | None:
    """Return the columns that are combinations of those before them, None where there is none.

    ``values`` (row, coefficient) are looked at in their order, an intercept first; without one the labels' indicators
    come before the others. Columns are centred where they contain a constant, and scaled, so that neither offset nor
    units matter; a remainder below 1e-10 of a column's spread, or below its rounding, counts as none. Rows are read
    once, into the triangular factor of the columns.

    Raises ``IdentificationError`` for a column that is constant beside an intercept or 0 in every row, unless it is one
    of the several columns of a term (a combination of labels that no row has).
    """
    n_columns = values.shape[1]
    if n_columns == 0 or (n_columns == 1 and values.strides[0] == 0):
        return None
    if _some_rows_suffice(values):
        return None
    empty = tuple(k for k, name in enumerate(names) if "[" in name and not values[:, k].any())
    left = [k for k in range(n_columns) if k not in empty]
    if not left:
        raise IdentificationError(f"every column of {part} is 0 in every row: drop its terms from the formula")
    chosen = values[:, left] if empty else values
    columns, tolerances, indicators = _standardise([names[k] for k in left], chosen, part)
    dependent = [] if _well_conditioned(columns) else _find_dependent(columns, tolerances, indicators, names[left[0]])
    places = tuple(sorted((*empty, *(left[k] for k in dependent))))
    if not places:
        return None
    kept = [k for k in range(n_columns) if k not in places]
    return Aliased(places, _express(values, kept, places))


def _some_rows_suffice(values: FloatArray) -> bool:
    """Columns independent in some rows are so in all: 5 million rows need not be read for it."""
    step = len(values) // _SOME_ROWS
    if step < 2:
        return False
    try:
        columns = _standardise([""] * values.shape[1], values[::step], "")[0]
    except IdentificationError:  # constant in these rows says nothing of the others
        return False
    return _well_conditioned(columns)


def _standardise(
    names: Sequence[str], values: FloatArray, part: str
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return columns of length 1 (0 where nothing is left of one), indicators not centred, each one's rounding beside
    its spread, and which are indicators."""
    indicators = ((values == 0) | (values == 1)).all(axis=0)
    centred = _spans_constant(values[:, indicators])
    columns = values.copy()
    if centred:
        columns[:, ~indicators] -= columns[:, ~indicators].mean(axis=0)
        columns[:, ~indicators] -= columns[:, ~indicators].mean(axis=0)
    size = np.abs(values).max(axis=0)
    length = np.sqrt(np.square(columns / np.where(size > 0, size, 1.0)).sum(axis=0)) * size
    rounding = 8 * _EPSILON * size * np.sqrt(len(values))
    nothing = (length <= rounding) | (size == 0)
    for place in np.flatnonzero(nothing):
        if "[" not in names[int(place)] or not centred:
            _refuse_constant(names, values, int(place), part, centred)
    for place in np.flatnonzero(indicators & (values[:1] == 1).all(axis=0)):
        if "[" not in (name := names[int(place)]) and name != "Intercept" and (values[:, place] == 1).all():
            others = [k for k in np.flatnonzero(indicators).tolist() if "[" in names[k] or names[k] == "Intercept"]
            if _spans_constant(values[:, others]):
                _refuse_constant(names, values, int(place), part, centred)
    columns[:, nothing], length[nothing], rounding[nothing] = 0.0, 1.0, 0.0
    return columns / length, np.clip(rounding / length, _TOLERANCE, 1e-3), indicators


def _spans_constant(indicators: FloatArray) -> bool:
    if not indicators.shape[1]:
        return False
    sums = indicators.sum(axis=0)
    # an intercept, or the levels of one column: of 2,400 the solution below takes seconds
    if sums.max() == len(indicators) or _some_divide_rows(indicators):
        return True
    gram = indicators.T @ indicators
    fitted = indicators @ np.linalg.lstsq(gram, sums, rcond=None)[0]
    return bool(np.abs(fitted - 1).max() < 1e-8)


def _some_divide_rows(indicators: FloatArray) -> bool:
    """Say whether the first of the columns that have no row in common have all rows."""
    covered = np.zeros(len(indicators), dtype=bool)
    for column in np.ascontiguousarray(indicators.T) == 1.0:
        if not (covered & column).any():
            covered |= column
    return bool(covered.all())


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
    gram[np.diag_indices(len(gram))] -= 1e-4 / len(gram)
    try:  # positive definite still: that is the smallest eigenvalue, in a tenth of its time
        np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return False
    return True


def _find_dependent(
    columns: FloatArray, tolerances: FloatArray, indicators: NDArray[np.bool_], first: str
) -> list[int]:
    """Project each column on those before it, twice for accuracy, and return the places of those that leave nothing."""
    columns = _triangle(columns)
    order = np.arange(len(tolerances)) if first == "Intercept" else np.argsort(~indicators, kind="stable")
    basis = np.empty((len(columns), 0))
    worst, dependent = 0.0, []
    for place in order:
        remainder = columns[:, place].copy()
        for _ in range(2):
            remainder -= basis @ (basis.T @ remainder)
        left = float(np.sqrt(remainder @ remainder))
        if left <= max(worst, float(tolerances[place])):
            dependent.append(int(place))
            continue
        worst = max(worst, float(tolerances[place]))
        basis = np.column_stack([basis, remainder / left])
    return dependent


def _express(values: FloatArray, kept: Sequence[int], places: Sequence[int]) -> FloatArray:
    """Return the weights (kept, place) of the columns kept in those that are not; whole numbers where they are near."""
    size = np.abs(values).max(axis=0)
    size[size == 0.0] = 1.0
    scaled = values / size
    triangle = _triangle(scaled[:, [*kept, *places]])
    n = len(kept)
    weights = np.linalg.lstsq(triangle[:, :n], triangle[:, n:], rcond=None)[0]
    weights[np.abs(weights) < _NO_WEIGHT] = 0.0
    weights *= size[list(places)] / size[list(kept)][:, None]
    whole = np.rint(weights)
    return np.where(np.abs(weights - whole) < _NO_WEIGHT, whole, weights)


def _triangle(columns: FloatArray) -> FloatArray:
    """Return as few rows as there are columns, with the columns' lengths and angles."""
    return np.asarray(np.linalg.qr(columns, mode="r"))

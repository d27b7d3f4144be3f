"""Separation: directions of the coefficients along which a likelihood never falls, so that it has no maximum and a flat
prior leaves the posterior improper.

A success, a value known to be at least so large, pushes its linear predictor up; a failure, a count of zero, a value
known to be at most so large, pushes it down; any other row bounds it on both sides. A direction d of the coefficients
with x_i'd >= 0 where row i pushes up, <= 0 where it pushes down, 0 where it bounds, and not 0 in all rows, raises the
likelihood without end, whatever the groups' effects are: complete or quasi-complete separation (Albert and Anderson
1984, Biometrika 71:1-10). A linear programme finds it, or shows that there is none.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import IdentificationError
from partialpool.inputs.designs.design import Design
from partialpool.models.families.base import Family, ResponseColumns
from partialpool.numerics.arrays import FloatArray

# Below this gain per unit of coefficient a direction does not separate.
_NEGLIGIBLE = 1e-7
# Above this share of a direction, in columns of largest element 1, a coefficient takes part in it.
_TAKES_PART = 1e-6
# Rows that the first programme sees, at most; those that its answer violates join it, as many at a time.
_MOST_ROWS = 2000


def check_flat_coefficients_bounded(
    design: Design, family: Family, response: ResponseColumns, flat: Sequence[str]
) -> None:
    """Raise ``IdentificationError`` naming the columns where the likelihood does not bound the coefficients ``flat``,
    whose priors are flat."""
    taking = find_separating(design, family, response, flat)
    if taking:
        raise IdentificationError(
            f"{_describe(taking, family, response)}, and the prior there is flat: the likelihood has no maximum and "
            f"the posterior is improper; give Normal priors (the default){_or_drop(taking)}"
        )


def check_maximum_exists(
    design: Design,
    family: Family,
    response: ResponseColumns,
    replaced: bool,
    given: Collection[str] = (),
    estimated: bool = False,
) -> None:
    """Raise ``IdentificationError`` naming the columns where the likelihood rises without end in some coefficients but
    those whose values are ``given``; where a population has ``replaced`` the intercept, in its mean. An ``estimated``
    population has no priors that could bound them."""
    if replaced and given:
        return
    unknown = [name for name in design.population.names if name not in given]
    taking = find_separating(design, family, response, unknown, rising=True)
    if taking:
        names = ["the population's mean"] if replaced else taking
        instead = "leave out method='empirical_bayes': the default priors of a full posterior bound it"
        if estimated:
            instead = "choose a population that has priors, such as 'normal': the default ones bound it"
        raise IdentificationError(
            f"{_describe(names, family, response)}: the likelihood rises without end and has no maximum to estimate "
            f"by; {instead}"
            f"{_or_drop(taking)}"
        )


def _describe(taking: Sequence[str], family: Family, response: ResponseColumns) -> str:
    names = ", ".join(taking)
    if whole := _describe_whole(family, response):
        return f"{whole}, which leaves {names} without a bound"
    what = {"p": "successes from failures", "rate": "zero counts from the others"}.get(
        family.response_name if family.discrete else "", "censored rows from the others"
    )
    return f"{names} separate{'s' if len(taking) == 1 else ''} {what}, completely or at one end"


def _describe_whole(family: Family, response: ResponseColumns) -> str:
    """Say it where all rows push the same way."""
    if not family.discrete:
        return ""
    if not np.any(response.values > 0):
        return "every outcome is a failure" if family.response_name == "p" else "every count is 0"
    if family.response_name == "p" and np.all(response.values == response.sizes):
        return "every outcome is a success"
    return ""


def _or_drop(taking: Sequence[str]) -> str:
    columns = [name for name in taking if name != "Intercept"]
    return f", or drop the column{'s' if len(columns) > 1 else ''} (or join levels)" if columns else ""


def find_separating(
    design: Design, family: Family, response: ResponseColumns, names: Sequence[str], *, rising: bool = False
) -> list[str]:
    """Return those of the coefficients ``names`` that take part in a direction along which the likelihood never falls,
    or, unless it is to be ``rising``, falls to a positive number; none where rows are truncated, whose likelihood
    within the limits is of another kind."""
    if not names or response.lower_limit is not None:
        return []
    up, down = _find_pushes(family, response)
    if not np.any(up | down):
        return []
    places = [design.population.names.index(name) for name in names]
    columns = design.population.values[:, places]
    direction = (
        find_free_direction(columns, ~up & ~down) if family.zero_inflated and not rising else np.zeros(len(names))
    )
    if not direction.any():
        direction = find_separating_direction(columns, up, down)
    return [name for name, value in zip(names, direction, strict=True) if value != 0.0]


def _find_pushes(family: Family, response: ResponseColumns) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows (row,) push their linear predictor up, and which down, without end."""
    if family.response_name == "p":
        return response.values == response.sizes, response.values == 0
    if family.discrete:
        return np.zeros(len(response.values), dtype=bool), response.values == 0
    if response.censoring is None:
        return (np.zeros(len(response.values), dtype=bool),) * 2
    return response.censoring == 1, response.censoring == -1


def find_free_direction(columns: FloatArray, bounding: NDArray[np.bool_]) -> FloatArray:
    """Return a direction (coefficient,) that moves no ``bounding`` row, zeros if there is none: along it rows that may
    be structural zeros keep their likelihood above a positive number, whichever way they move."""
    sizes = np.maximum(np.max(np.abs(columns), axis=0), 1e-300)
    basis = _span_rows((columns / sizes)[bounding])
    if len(basis) == columns.shape[1]:
        return np.zeros(columns.shape[1])
    left = np.eye(columns.shape[1]) - basis.T @ basis
    direction = left[np.argmax(np.diagonal(left))]
    return np.where(np.abs(direction) > _TAKES_PART, direction / sizes, 0.0)


def find_separating_direction(columns: FloatArray, up: NDArray[np.bool_], down: NDArray[np.bool_]) -> FloatArray:
    """Return a direction (coefficient,) that separates, of few coefficients where that is possible, or zeros.

    ``columns`` (row, coefficient); rows that neither push ``up`` nor ``down`` bound their predictor on both sides.
    """
    sizes = np.maximum(np.max(np.abs(columns), axis=0), 1e-300)
    scaled = columns / sizes
    pushing = np.unique(np.concatenate([scaled[up & ~down], -scaled[down & ~up]]), axis=0)
    bounding = _span_rows(scaled[~up & ~down])
    if len(bounding) == columns.shape[1]:
        return np.zeros(columns.shape[1])
    gain = pushing.sum(axis=0)
    seen = np.linspace(0, len(pushing) - 1, min(len(pushing), _MOST_ROWS)).astype(np.intp)
    while True:
        direction = _solve(gain, pushing[seen], bounding)
        if direction is None:
            return np.zeros(columns.shape[1])
        violated = np.flatnonzero(pushing @ direction < -_NEGLIGIBLE)
        fresh = np.setdiff1d(violated, seen)
        if not len(fresh):
            return np.where(np.abs(direction) > _TAKES_PART, direction / sizes, 0.0)
        seen = np.union1d(seen, fresh[np.argsort(pushing[fresh] @ direction)[:_MOST_ROWS]])


def _span_rows(rows: FloatArray) -> FloatArray:
    """Return a basis (rank, coefficient) of the space of the rows, orthogonal to which no row bounds."""
    _, sizes, directions = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(directions[sizes > 1e-10 * np.max(sizes, initial=0.0)])


def _solve(gain: FloatArray, pushing: FloatArray, bounding: FloatArray) -> FloatArray | None:
    """Return the shortest direction (sum of absolute values) of gain 1 that respects the rows, None if there is none.

    The direction is the difference of two that are not negative.
    """
    from scipy.optimize import linprog

    size = float(np.max(np.abs(gain), initial=0.0))
    if size <= _NEGLIGIBLE:
        return None
    split = [np.concatenate([part, -part], axis=-1) for part in (gain / size, pushing, bounding)]
    equal, right = [split[0][None]], [1.0]
    if len(bounding):
        equal.append(split[2])
        right += [0.0] * len(bounding)
    found = linprog(
        np.ones(2 * len(gain)),
        A_ub=-split[1],
        b_ub=np.zeros(len(pushing)),
        A_eq=np.concatenate(equal),
        b_eq=np.array(right),
        bounds=(0.0, 1.0 / _NEGLIGIBLE),
    )
    if found.status != 0 or found.x is None:
        return None
    return np.asarray(found.x[: len(gain)] - found.x[len(gain) :])

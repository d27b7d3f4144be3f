"""New rows: data to predict for, coded exactly as the fit's rows were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError
from partialpool.inputs.coding.recipes import check_finite
from partialpool.inputs.columns.frames import count_rows, is_in_index, list_columns, read_columns
from partialpool.inputs.columns.labels import NAIVE, Categorical, code_labels, match_levels
from partialpool.inputs.columns.levels import join_labels, level_labels
from partialpool.inputs.columns.numeric import read_numbers
from partialpool.inputs.columns.places import name_rows, suggest_nearest
from partialpool.inputs.columns.raw_columns import FloatArray, IntArray, RawColumn
from partialpool.inputs.designs.design import Design, GroupDesign
from partialpool.inputs.language.columns_used import list_columns_used
from partialpool.inputs.observations import Column, find_missing
from partialpool.inputs.roles.family_data import explain_size_refused, find_family
from partialpool.inputs.roles.measurements import invert_standard_errors
from partialpool.inputs.roles.role import Role, name_role, read_role_column
from partialpool.inputs.roles.sizes import check_exposure, check_trials

NEW_GROUP = "(new)"


@dataclass(frozen=True)
class NewGroupRows:
    """New rows over one grouping factor.

    ``codes`` (row,) index into the fit's levels, -1 for a group that the fit did not see; ``labels`` (row,)
    are printed, '(new)' where the data name no group; ``values`` (row, coefficient) as in ``GroupDesign``.
    """

    name: str
    codes: IntArray
    labels: tuple[str, ...]
    values: FloatArray


@dataclass(frozen=True)
class NewRows:
    """Rows to predict for: ``population`` (row, coefficient), ``groups`` in the design's order.

    ``offset`` (row,) is None when the fit had none; ``precision`` (row,), 1 / standard error squared, is None
    when the new rows' noise is not known; ``sizes`` (row,), trials or exposures, is None for one each; ``zero``
    (row, coefficient) are the columns of structural zeros, None where the fit had none.
    """

    population: FloatArray
    groups: tuple[NewGroupRows, ...]
    offset: FloatArray | None
    precision: FloatArray | None
    sizes: FloatArray | None = None
    zero: FloatArray | None = None

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.population)


def read_new_rows(
    design: Design,
    data: Any,
    *,
    standard_error: Any = None,
    offset: Any = None,
    trials: Any = None,
    exposure: Any = None,
) -> NewRows:
    """Read rows to predict for; only the columns that the right side of the formula uses are needed.

    ``standard_error``, ``offset``, ``trials`` and ``exposure`` are column names or arrays (row,), the last two also one
    number; without them, a column that the fit used by name is read again (required for the offset, optional for the
    others, where its absence stands for noise that is not known, one trial and an exposure of one). A grouping column
    that is absent, or missing in a row, stands for a new group. Raises ``DataError`` for missing values in
    other columns, labels that the fit's coefficients do not know, and unknown columns.
    """
    there = list_columns(data)
    given = {"standard_error": standard_error, "offset": offset, "trials": trials, "exposure": exposure}
    roles = _find_roles(design, there, {role: value for role, value in given.items() if value is not None})
    ordinary = list(design.column_levels)
    factors = _list_factors(design, data, there)
    named = [value for value in roles.values() if isinstance(value, str)]
    raw, n_rows = read_columns(data, [*ordinary, *factors, *named])
    if not raw:
        n_rows = count_rows(data)
    if n_rows == 0:
        raise DataError("the new data are empty: there are no rows")
    columns = {name: _read_like_fit(raw[name], design.column_levels[name], design.zones) for name in ordinary}
    numbers = {role: _read_role(role, value, raw, n_rows) for role, value in roles.items()}
    _refuse_missing({**columns, **{role: values for role, values in numbers.items() if role != "standard_error"}})
    groups = tuple(_code_group(group, raw, columns, n_rows, design.zones) for group in design.groups)
    population = design.population.recipe.code(columns, n_rows)
    check_finite(design.population.names, population, _describe_row)
    zero = None
    if design.zero is not None:
        zero = design.zero.recipe.code(columns, n_rows)
        check_finite(design.zero.names, zero, _describe_row)
    precision = _invert(numbers.get("standard_error"), roles)
    return NewRows(population, groups, numbers.get("offset"), precision, _check_sizes(numbers, roles), zero)


def _find_roles(design: Design, there: list[str], given: Mapping[str, Any]) -> dict[str, Any]:
    family = design.measurements.family
    for role in ("trials", "exposure"):
        if role in given and role != find_family(family).sizes:
            raise DataError(explain_size_refused(role, family))
    roles = dict(given)
    if "offset" in design.roles and "offset" not in given:
        roles["offset"] = _find_offset(design.roles["offset"], there)
    for role in ("standard_error", "trials", "exposure"):
        if role not in given and design.roles.get(role) in there:
            roles[role] = design.roles[role]
    return roles


def _find_offset(column: str | None, there: list[str]) -> str:
    if column is None:
        raise DataError("the fit had an offset given as an array: give offset= for the new rows too")
    if column not in there:
        raise DataError(
            f"the new data have no column '{column}', the fit's offset{suggest_nearest(column, there)}; "
            "add it, or give offset="
        )
    return column


def _read_role(role: str, value: Any, raw: Mapping[str, RawColumn], n_rows: int) -> FloatArray:
    column = read_role_column(role, value, raw, n_rows, "the new data")
    return read_numbers(column, name_role(role, value))


def _check_sizes(numbers: Mapping[str, FloatArray], roles: Mapping[str, Any]) -> FloatArray | None:
    for role, check in (("trials", check_trials), ("exposure", check_exposure)):
        if role in numbers:
            title = name_role(role, roles[role])
            return check(Role(title, title, numbers[role]), _describe_row)
    return None


def _invert(standard_error: FloatArray | None, roles: Mapping[str, Any]) -> FloatArray | None:
    if standard_error is None:
        return None
    title = name_role("standard_error", roles["standard_error"])
    return invert_standard_errors(Role(title, title, standard_error), _describe_row)


def _describe_row(row: int) -> str:
    return f"row {row + 1} of the new data"


def _list_factors(design: Design, data: Any, there: list[str]) -> list[str]:
    """Return the grouping columns that the new data have; one in a frame's index is not taken for absent."""
    factors = list_columns_used(design.formula).factors
    for name in factors:
        if is_in_index(data, name):
            raise DataError(
                f"there is no column '{name}' in the new data: '{name}' is in the index; give data.reset_index()"
            )
    return [name for name in factors if name in there]


def _read_like_fit(column: RawColumn, levels: NDArray[Any] | None, zones: Mapping[str, str]) -> Column:
    """Read a column as numbers or labels, whichever it was in the fit."""
    if levels is None:
        return read_numbers(column, f"column '{column.name}' of the new data")
    return _code_like_fit(column, levels, zones.get(column.name, ""))


def _code_like_fit(column: RawColumn, levels: NDArray[Any], zone: str) -> Categorical:
    """Code labels, moments by the clock of the fit's time zone; raise ``DataError`` where the fit's are of another
    kind, whose labels would all be new."""
    if column.zone and zone not in ("", NAIVE):
        column = replace(column, zone=zone)
    labels = code_labels(column)
    if len(labels.levels) and _kind(labels.levels, labels.zone) != _kind(levels, zone):
        raise DataError(
            f"column '{column.name}' of the new data holds {_kind(labels.levels, labels.zone)}, in the fit it held "
            f"{_kind(levels, zone)}: convert it"
        )
    return labels


def _kind(levels: NDArray[Any], zone: str) -> str:
    if zone:
        return "moments without a time zone" if zone == NAIVE else f"moments of the time zone {zone}"
    return {"U": "text", "b": "truth values"}.get(levels.dtype.kind, "numbers")


def _refuse_missing(columns: Mapping[str, Column]) -> None:
    for name, column in columns.items():
        mask = find_missing(column)
        if mask is not None:
            rows = name_rows(np.flatnonzero(mask))
            raise DataError(f"'{name}' is missing in {rows} of the new data: fill it in or drop the row")


def _code_group(
    group: GroupDesign,
    raw: Mapping[str, RawColumn],
    columns: Mapping[str, Column],
    n_rows: int,
    zones: Mapping[str, str],
) -> NewGroupRows:
    parts = []
    for name, keys in zip(group.columns, group.level_keys, strict=True):
        absent = Categorical(np.full(n_rows, -1), keys[:0])
        parts.append(_code_like_fit(raw[name], keys, zones.get(name, "")) if name in raw else absent)
    values = group.recipe.code(columns, n_rows)
    check_finite(group.names, values, _describe_row)
    return NewGroupRows(group.name, match_groups(group, parts), _print_groups(parts), values)


def match_groups(group: GroupDesign, parts: list[Categorical]) -> IntArray:
    """Return each row's position (row,) among the fit's levels, -1 where the combination is new."""
    codes = np.zeros(len(parts[0].codes), dtype=np.intp)
    known = np.zeros(group.n_levels, dtype=np.intp)
    unseen = np.zeros(len(codes), dtype=np.bool_)
    for part, keys in zip(parts, group.level_keys, strict=True):
        distinct, places = np.unique(keys, return_inverse=True)
        matched = match_levels(part, distinct)
        unseen |= matched < 0
        codes = codes * len(distinct) + matched
        known = known * len(distinct) + places
    combined = match_levels(Categorical(*_distinct(codes)), known)
    return np.where(unseen, -1, combined)


def _distinct(values: IntArray) -> tuple[IntArray, IntArray]:
    levels, codes = np.unique(values, return_inverse=True)
    return codes, levels


def _print_groups(parts: list[Categorical]) -> tuple[str, ...]:
    printed = []
    for part in parts:
        labels = np.array([*level_labels((part.levels,)), NEW_GROUP], dtype=object)
        printed.append(labels[part.codes].tolist())
    return join_labels(printed)

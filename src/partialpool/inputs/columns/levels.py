"""Levels: how labels are printed, and how several columns combine into one grouping factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.inputs.columns.labels import Categorical
from partialpool.inputs.columns.raw_columns import IntArray


def level_labels(level_keys: tuple[NDArray[Any], ...]) -> tuple[str, ...]:
    """Return the printed form of each level: 'A', '3' (also for 3.0), 'A:a' for two columns.

    >>> level_labels((np.array([3.0, 0.5]),)), level_labels((np.array(["A", "B"]), np.array([1, 2])))
    (('3', '0.5'), ('A:1', 'B:2'))
    """
    return join_labels([_print_levels(keys) for keys in level_keys])


def join_labels(parts: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the labels of levels from the labels of their parts, one list (level,) per data column.

    Of several columns a part that holds ':' or begins with a double quote is put in double quotes, its own doubled (as
    CSV does), so that no two levels are printed alike, whatever other levels there are.

    >>> join_labels([["a:b", "a"], ["c", "b:c"]])
    ('"a:b":c', 'a:"b:c"')
    """
    if len(parts) == 1:
        return tuple(parts[0])
    quoted = [[_quote(part) if ":" in part or part[:1] == '"' else part for part in labels] for labels in parts]
    return tuple(map(":".join, zip(*quoted, strict=True)))


def _quote(part: str) -> str:
    return '"' + part.replace('"', '""') + '"'


def _print_levels(keys: NDArray[Any]) -> list[str]:
    if keys.dtype.kind == "f":
        return [print_number(value) for value in keys.tolist()]
    return [str(value) for value in keys.tolist()]


def print_number(value: float) -> str:
    """Return '3' for 3.0 and '0.5' for 0.5."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def combine_factors(factors: Sequence[Categorical]) -> tuple[IntArray, tuple[NDArray[Any], ...]]:
    """Return codes (row,) of the combinations in use, sorted by first, second, ... column, and their keys.

    >>> a = Categorical(np.array([0, 0, 1]), np.array(["x", "y"]))
    >>> b = Categorical(np.array([1, 0, 1]), np.array([5, 7]))
    >>> codes, keys = combine_factors([a, b])
    >>> codes.tolist(), level_labels(keys)
    ([1, 0, 2], ('x:5', 'x:7', 'y:7'))
    """
    if len(factors) == 1:
        return factors[0].codes, (factors[0].levels,)
    codes = factors[0].codes
    pairs: list[IntArray] = [np.arange(len(factors[0].levels))]
    for factor in factors[1:]:
        found, codes = number_values(codes * len(factor.levels) + factor.codes, len(pairs[0]) * len(factor.levels))
        outer, inner = np.divmod(found, len(factor.levels))
        pairs = [*(part[outer] for part in pairs), inner]
    return codes, tuple(factor.levels[part] for factor, part in zip(factors, pairs, strict=True))


def number_values(values: IntArray, n_values: int) -> tuple[IntArray, IntArray]:
    """Return the sorted distinct values, whole numbers below ``n_values``, and each row's position among them."""
    if n_values > max(4 * len(values), 65536):
        found, codes = np.unique(values, return_inverse=True)
        return found, codes.astype(np.intp, copy=False)
    used = np.bincount(values, minlength=n_values) > 0
    return np.flatnonzero(used), (np.cumsum(used) - 1)[values]


def lies_within(fine: IntArray, coarse: IntArray, n_fine: int) -> bool:
    """Say whether every level of ``fine`` lies within one level of ``coarse``; both are codes (row,).

    Where both have as many levels in use they divide the rows alike.
    """
    parent = np.zeros(n_fine, dtype=coarse.dtype)
    parent[fine] = coarse
    return bool(np.array_equal(parent[fine], coarse))

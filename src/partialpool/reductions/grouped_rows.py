"""Rows reduced to what the likelihood of each group needs: merged within groups, equal groups collapsed.

Rows of one group with equal predictors become one: their values and sizes are added where these are sufficient, else
equal rows are counted. Groups whose merged rows are the same (a design class) are integrated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from partialpool.models.families.base import Family, ResponseColumns
from partialpool.numerics.arrays import FloatArray, IntArray

Words = NDArray[np.uint64]

# The seed of the random words that rows are known by when groups are compared; it shows in no result.
_SEED = 20240229


@dataclass(frozen=True)
class GroupedRows:
    """Merged rows of distinct groups, class after class.

    ``counts`` (row,) say how many equal rows each stands for within its group (None: one); ``starts`` (class,) where
    classes begin; ``class_weights`` (class,) how many groups each class stands for; ``class_of`` (group,);
    ``group_rows`` (group,) the raw rows of each group; ``log_constant`` what the log likelihood of all raw rows has
    beside what the family computes; ``typical`` where the rows' linear predictors lie, roughly, and their spread.
    """

    response: ResponseColumns
    counts: FloatArray | None
    population: FloatArray  # (row, coefficient)
    effects: FloatArray  # (row, effect)
    offset: FloatArray | None  # (row,)
    starts: IntArray
    class_weights: FloatArray
    class_of: IntArray
    group_rows: FloatArray
    log_constant: float
    typical: tuple[float, float] = (0.0, float("inf"))

    @property
    def n_rows(self) -> int:
        """How many merged rows there are."""
        return len(self.population)

    @property
    def n_classes(self) -> int:
        """How many distinct groups there are."""
        return len(self.starts)

    @cached_property
    def lengths(self) -> IntArray:
        """How many rows each class has, (class,)."""
        return np.diff(np.append(self.starts, self.n_rows))

    @property
    def has_single_rows(self) -> bool:
        """Whether every class has one row."""
        return self.n_rows == self.n_classes

    def spread(self, values: FloatArray) -> FloatArray:
        """Return values (class, ...) at every row (row, ...)."""
        return values if self.has_single_rows else np.repeat(values, self.lengths, axis=0)

    def sum(self, values: FloatArray) -> FloatArray:
        """Return the sums (class, ...) of values (row, ...) over each class's rows."""
        return values if self.has_single_rows else np.asarray(np.add.reduceat(values, self.starts, axis=0))

    def select(self, classes: slice) -> GroupedRows:
        """Return the rows of a run of classes; which group is of which class is left out."""
        first = int(self.starts[classes][0])
        stop = first + int(self.lengths[classes].sum())
        rows = np.arange(first, stop, dtype=np.intp)
        return GroupedRows(
            self.response.select(rows),
            None if self.counts is None else self.counts[first:stop],
            self.population[first:stop],
            self.effects[first:stop],
            None if self.offset is None else self.offset[first:stop],
            self.starts[classes] - first,
            self.class_weights[classes],
            self.class_of[:0],
            self.group_rows[:0],
            0.0,
            self.typical,
        )

    def rows_of(self, classes: IntArray) -> tuple[IntArray, IntArray]:
        """Return the rows of some classes, class after class, and where those of each begin among them."""
        lengths = self.lengths[classes]
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.intp)
        rows = np.arange(int(lengths.sum()), dtype=np.intp) + np.repeat(self.starts[classes] - starts, lengths)
        return rows, starts

    def take_classes(self, classes: IntArray) -> GroupedRows:
        """Return the rows of some classes, in the order given."""
        rows, starts = self.rows_of(classes)
        return GroupedRows(
            self.response.select(rows),
            None if self.counts is None else self.counts[rows],
            self.population[rows],
            self.effects[rows],
            None if self.offset is None else self.offset[rows],
            starts,
            self.class_weights[classes],
            self.class_of[:0],
            self.group_rows[:0],
            0.0,
            self.typical,
        )

    def blocks(self, n_rows: int) -> list[slice]:
        """Divide the classes into runs of at most ``n_rows`` rows, one class at least."""
        runs, first = [], 0
        ends = np.cumsum(self.lengths)
        while first < self.n_classes:
            before = ends[first - 1] if first else 0
            stop = max(first + 1, int(np.searchsorted(ends, before + n_rows, side="right")))
            runs.append(slice(first, stop))
            first = stop
        return runs


def group_rows(
    family: Family,
    response: ResponseColumns,
    counts: FloatArray | None,
    population: FloatArray,
    effects: FloatArray,
    offset: FloatArray | None,
    codes: IntArray,
    n_groups: int,
) -> GroupedRows:
    """Merge rows within groups and collapse equal groups; ``codes`` (row,) say which group a row is of."""
    repeats = np.ones(len(codes)) if counts is None else counts
    constant = float(repeats @ family.log_constant(response))
    typical = family.typical_eta(response, repeats)
    raw_rows = np.bincount(codes, weights=repeats, minlength=n_groups).astype(np.float64)
    sums = family.merging == "sums" and response.censoring is None and response.lower_limit is None
    sums = sums and response.upper_limit is None
    if counts is None and n_groups == len(codes):
        return _collapse_groups(
            _one_row_a_group(
                response, population, effects, offset, codes, raw_rows.astype(np.float64), constant, typical
            )
        )
    predictors = [population, effects] + ([] if offset is None else [offset[:, None]])
    keys = [column for part in predictors for column in part.T]
    if not sums:
        keys += _list_columns(response)
    words = _hash([column for column in keys if np.any(column != column[0])], len(codes))
    first, place = _find_distinct(_combine(codes.astype(np.uint64), words), codes)
    totals = np.bincount(place, weights=repeats).astype(np.float64)
    merged, merged_codes = response.select(first), codes[first]
    merged_counts: FloatArray | None = totals
    if sums:
        values = np.bincount(place, weights=repeats * response.values).astype(np.float64)
        sizes = np.bincount(place, weights=repeats * response.sizes).astype(np.float64)
        merged = ResponseColumns(values, sizes)
        merged_counts = None
        constant += _shift_by_merging(family, response, repeats, merged, place)
    elif np.all(totals == 1.0):
        merged_counts = None
    rows = GroupedRows(
        merged,
        merged_counts,
        population[first],
        effects[first],
        None if offset is None else offset[first],
        *_one_class_a_group(merged_codes, n_groups),
        raw_rows,
        constant,
        typical,
    )
    return _collapse_groups(rows)


def _shift_by_merging(
    family: Family, response: ResponseColumns, repeats: FloatArray, merged: ResponseColumns, place: IntArray
) -> float:
    """Return what the log densities of rows are above that of the row they are merged into, which is the same wherever
    the linear predictor lies: taken near the merged row's own fit, where neither is large."""
    beyond = 1.0 if family.response_name == "p" else 0.0
    eta = family.linear_scale((merged.values + 0.5) / (merged.sizes + beyond))
    whole = float(np.sum(family.log_density(eta, merged, ())))
    return float(repeats @ family.log_density(eta[place], response, ())) - whole


def _one_row_a_group(
    response: ResponseColumns,
    population: FloatArray,
    effects: FloatArray,
    offset: FloatArray | None,
    codes: IntArray,
    raw_rows: FloatArray,
    constant: float,
    typical: tuple[float, float],
) -> GroupedRows:
    """Return the rows in the order of their groups, each its own class."""
    n_groups = len(codes)
    own = np.arange(n_groups, dtype=np.intp)
    if np.any(codes != own):
        order = np.argsort(codes, kind="stable")
        response, population, effects = response.select(order), population[order], effects[order]
        offset = None if offset is None else offset[order]
    return GroupedRows(
        response, None, population, effects, offset, own, np.ones(n_groups), own, raw_rows, constant, typical
    )


def _one_class_a_group(codes: IntArray, n_groups: int) -> tuple[IntArray, FloatArray, IntArray]:
    """Return starts, weights and classes where rows are sorted by group and every group has its own class."""
    starts = np.searchsorted(codes, np.arange(n_groups)).astype(np.intp)
    return starts, np.ones(n_groups), np.arange(n_groups, dtype=np.intp)


def _collapse_groups(rows: GroupedRows) -> GroupedRows:
    """Give groups with the same rows one class: a group is known by the sum of its rows' random words, which does not
    depend on their order."""
    response = rows.response
    content = _list_columns(response) + [column for column in (rows.counts, rows.offset) if column is not None]
    content += [*rows.population.T, *rows.effects.T]
    hashed = _hash([column for column in content if np.any(column != column[0])], rows.n_rows)
    with np.errstate(over="ignore"):
        total = hashed if rows.has_single_rows else np.add.reduceat(hashed, rows.starts)
    _, first, place = np.unique(total, return_index=True, return_inverse=True)
    if len(first) == rows.n_classes:
        return rows
    weights = np.bincount(place).astype(np.float64)
    kept = rows.take_classes(first.astype(np.intp))
    return GroupedRows(
        kept.response,
        kept.counts,
        kept.population,
        kept.effects,
        kept.offset,
        kept.starts,
        weights,
        place.astype(np.intp),
        rows.group_rows,
        rows.log_constant,
        rows.typical,
    )


def _list_columns(response: ResponseColumns) -> list[FloatArray]:
    """Return all that a family reads of rows, (row,) each."""
    columns = [getattr(response, name) for name in response.__dataclass_fields__]
    tables = [np.asarray(column, dtype=np.float64) for column in columns if column is not None]
    return [column for table in tables for column in table.reshape(len(table), -1).T]


def _hash(columns: Sequence[FloatArray], n_rows: int) -> Words:
    """Return one random-looking 64-bit word a row (row,) that rows of equal ``columns``, (row,) each, share.

    Sums of words mixed by multiplication and xor-shift (splitmix64, Steele, Lea and Flood 2014, OOPSLA, figure 17):
    among a million rows two that differ share one with probability 3e-8.
    """
    rng = np.random.default_rng(_SEED)
    total = np.full(n_rows, rng.integers(2**63), dtype=np.uint64)
    for column in columns:
        word = (np.ascontiguousarray(column) + 0.0).view(np.uint64)  # without negative zeros
        total = _mix(total * np.uint64(0x9E3779B97F4A7C15) + word)
    return total


def _mix(word: Words) -> Words:
    with np.errstate(over="ignore"):
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return word ^ (word >> np.uint64(31))


def _combine(codes: Words, words: Words) -> Words:
    with np.errstate(over="ignore"):
        return _mix(words + codes * np.uint64(0xD1B54A32D192ED03))


def _find_distinct(words: Words, codes: IntArray) -> tuple[IntArray, IntArray]:
    """Return the first row of each distinct word and which of these each row is, sorted by group."""
    _, first, place = np.unique(words, return_index=True, return_inverse=True)
    order = np.argsort(codes[first], kind="stable")
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return first[order].astype(np.intp), rank[place]

"""Labels: their order, their kinds, levels that no row has, and factors of several columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partialpool.errors import DataError
from partialpool.inputs.columns.frames import read_series
from partialpool.inputs.columns.labels import Categorical, code_labels, match_levels, select_rows
from partialpool.inputs.columns.levels import combine_factors, level_labels


def _code(values: Any) -> Categorical:
    return code_labels(read_series("g", values))


_ENUM = pl.Enum(["c", "b", "a"])


@pytest.mark.parametrize(
    ("values", "levels", "codes"),
    [
        (["b", "a", "b"], ["a", "b"], [1, 0, 1]),
        (["B", "a", "Z"], ["B", "Z", "a"], [0, 2, 1]),
        (["10", "9", "1"], ["1", "10", "9"], [1, 2, 0]),
        ([10, 9, 1], [1, 9, 10], [2, 1, 0]),
        ([10.0, 9.0, 1.0], [1, 9, 10], [2, 1, 0]),
        ([0.5, -1.5, 0.5], [-1.5, 0.5], [1, 0, 1]),
        ([True, False, True], [False, True], [1, 0, 1]),
        ([True, True], [True], [0, 0]),
        ([-3, 10**15, -3], [-3, 10**15], [0, 1, 0]),
        (np.array([3, 7], dtype=np.uint8), [3, 7], [0, 1]),
        (np.array([b"b", b"a"]), ["a", "b"], [1, 0]),
        (["", " ", "a"], ["", " ", "a"], [0, 1, 2]),
        (["é", "z", "e"], ["e", "z", "é"], [2, 1, 0]),
        (pd.Categorical(["b", "a"], categories=["c", "b", "a"]), ["b", "a"], [0, 1]),
        (pd.Categorical(["b", "a"], categories=["b", "a"], ordered=True), ["b", "a"], [0, 1]),
        (pd.Categorical([20, 10], categories=[30, 20, 10]), [20, 10], [0, 1]),
        (pd.Categorical(["b", None, "a"], categories=["b", "a"]), ["b", "a"], [0, -1, 1]),
        (pl.Series(["b", "a"], dtype=_ENUM), ["b", "a"], [0, 1]),
        (pl.Series(["b", None], dtype=_ENUM), ["b"], [0, -1]),
        (pl.Series(["b", "a"], dtype=pl.Categorical), ["a", "b"], [1, 0]),
        (pa.array(["b", "a"]).dictionary_encode(), ["a", "b"], [1, 0]),
        (np.array(["2024-02-01", "2024-01-01"], dtype="datetime64[D]"), ["2024-01-01", "2024-02-01"], [1, 0]),
        ([None, 2, None, 1], [1, 2], [-1, 1, -1, 0]),
        ([None, None], [], [-1, -1]),
    ],
)
def test_levels_and_their_order(values: Any, levels: list[Any], codes: list[int]) -> None:
    found = _code(values)
    assert found.levels.tolist() == levels
    assert found.codes.tolist() == codes
    assert found.levels.dtype.kind in "Uifb"


@pytest.mark.parametrize("n", [3, 2_000, 30_000])
@pytest.mark.parametrize("kind", ["few texts", "many texts", "few numbers", "sparse numbers"])
def test_every_way_of_coding_agrees_with_numpy(n: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    spread = {"few texts": 7, "many texts": 10 * n, "few numbers": 50, "sparse numbers": 10**12}[kind]
    numbers = rng.integers(-spread, spread, n)
    values = numbers.astype(str) if "texts" in kind else numbers
    levels, codes = np.unique(values, return_inverse=True)
    for same in (values, values.astype(object), pd.Series(values), pl.Series(values.tolist())):
        found = _code(same)
        np.testing.assert_array_equal(found.levels, levels)
        np.testing.assert_array_equal(found.codes, codes)


def test_durations_are_no_labels() -> None:
    with pytest.raises(DataError, match="durations: give numbers or text"):
        _code(np.array([1, 2], dtype="timedelta64[s]"))


def test_selecting_rows_drops_levels_and_keeps_their_order() -> None:
    column = Categorical(np.array([2, 0, 1, 2]), np.array(["z", "m", "a"]))
    kept = select_rows(column, np.array([0, 1, 3]))
    assert (kept.codes.tolist(), kept.levels.tolist()) == ([1, 0, 1], ["z", "a"])


@pytest.mark.parametrize("order", [["z", "m", "a"], ["a", "m", "z"]])
def test_matching_by_label_not_by_position(order: list[str]) -> None:
    column = Categorical(np.array([0, 1, 2, -1]), np.array(["a", "new", "z"]))
    assert match_levels(column, np.array(order)).tolist() == [order.index("a"), -1, order.index("z"), -1]


def test_numbers_of_different_types_match_by_value() -> None:
    column = _code([1.0, 2.0, 3.0])
    assert match_levels(column, np.array([3, 1])).tolist() == [1, -1, 0]
    assert match_levels(_code([0.5, 1.5]), np.array([1, 2])).tolist() == [-1, -1]


def test_combinations_in_use_alone_are_levels() -> None:
    a, b = _code(["x", "x", "y", "x"]), _code([2, 1, 2, 2])
    codes, keys = combine_factors([a, b])
    assert level_labels(keys) == ("x:1", "x:2", "y:2")
    assert codes.tolist() == [1, 0, 2, 1]
    codes, keys = combine_factors([b, a])
    assert level_labels(keys) == ("1:x", "2:x", "2:y")
    codes, keys = combine_factors([a, b, _code(["q", "q", "p", "p"])])
    assert level_labels(keys) == ("x:1:q", "x:2:p", "x:2:q", "y:2:p")
    assert codes.tolist() == [2, 0, 3, 1]


def test_many_possible_combinations_take_no_table_of_all() -> None:
    n = 5_000
    codes, keys = combine_factors([_code(np.arange(n)), _code(np.arange(n)[::-1]), _code(np.arange(n))])
    assert codes.tolist() == list(range(n))
    assert [part[0] for part in keys] == [0, n - 1, 0]


def test_printed_numbers() -> None:
    assert level_labels((np.array([3.0, 0.5, -2.0, 1e20]),)) == ("3", "0.5", "-2", "1e+20")
    assert level_labels((np.array([True, False]),)) == ("True", "False")


PART = st.text(alphabet='ab:"', max_size=4)


@given(st.lists(st.tuples(PART, PART, PART), min_size=2, max_size=8, unique=True), st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_no_two_levels_print_alike(levels: list[tuple[str, ...]], n_parts: int) -> None:
    distinct = list(dict.fromkeys(level[:n_parts] for level in levels))
    labels = level_labels(tuple(np.array(part) for part in zip(*distinct, strict=True)))
    assert len(set(labels)) == len(distinct)
    # a level's label is its own, whatever other levels there are
    for level, label in zip(distinct, labels, strict=True):
        assert level_labels(tuple(np.array([part]) for part in level)) == (label,)
        if not set("".join(level)) & set(':"'):
            assert label == ":".join(level)


def test_parts_that_hold_colons_are_quoted() -> None:
    keys = (np.array(["Oslo", "Oslo:West", '"', 'a"b']), np.array(["West:N", "N", "N", '"x":y']))
    assert level_labels(keys) == ('Oslo:"West:N"', '"Oslo:West":N', '"""":N', 'a"b:"""x"":y"')
    assert level_labels((keys[0],)) == ("Oslo", "Oslo:West", '"', 'a"b')

"""Printed tables: decimals that fit each line's spread, special values, width, cutting."""

from __future__ import annotations

import numpy as np

from partialpool.results.table import Table

NAN, INF = float("nan"), float("inf")


def _lines(table: Table, **options: int) -> list[str]:
    return table.render(**options).splitlines()


def test_each_parameter_has_three_figures_of_its_own_sd() -> None:
    table = Table((None,), (["Intercept", "cor"],), {"mean": [251.402, 0.08123], "sd": [7.527, 0.2729]})
    assert [line.split() for line in _lines(table)] == [
        ["mean", "sd"],
        ["Intercept", "251.40", "7.53"],
        ["cor", "0.081", "0.273"],
    ]


def test_decimal_points_stand_above_each_other() -> None:
    table = Table((None,), (["a", "b"],), {"mean": [251.4, 0.08], "sd": [7.5, 0.27]})
    first, second = _lines(table)[1:]
    assert first.index(".") == second.index(".")


def test_groups_of_one_coefficient_share_their_decimals() -> None:
    columns = {"mean": [1.0, 2.0, 3.0], "sd": [9.3, 10.1, 10.4], "weight": [0.1, 0.25, 1.0]}
    lines = _lines(Table(("g",), (["a", "b", "c"],), columns))
    assert [line.split()[1:] for line in lines[1:]] == [
        ["1.0", "9.3", "0.100"],
        ["2.0", "10.1", "0.250"],
        ["3.0", "10.4", "1.000"],
    ]


def test_coefficients_of_a_group_have_their_own_decimals() -> None:
    index = (["a", "a", "b", "b"], ["Intercept", "x"] * 2)
    table = Table(("g", "coefficient"), index, {"mean": [250.0, 0.01, 260.0, 0.02], "sd": [13.0, 0.002] * 2})
    assert [line.split()[2] for line in _lines(table)[1:]] == ["250.0", "0.01000", "260.0", "0.02000"]


def test_integers_and_what_is_not_a_number() -> None:
    table = Table(
        (None,), (["a", "b"],), {"n": np.array([3, 1000]), "mean": [1.5, NAN], "sd": [0.5, INF], "q5": [-INF, 1]}
    )
    assert [line.split()[1:] for line in _lines(table)[1:]] == [
        ["3", "1.500", "0.500", "-inf"],
        ["1000", "-", "inf", "1.00"],
    ]


def test_without_an_sd_the_quantiles_or_the_size_decide() -> None:
    table = Table(
        (None,), (["a", "b"],), {"mean": [1.57, 1.23456], "sd": [INF, NAN], "q5": [0.5, NAN], "q95": [20.5, NAN]}
    )
    assert [line.split()[1] for line in _lines(table)[1:]] == ["1.57", "1.23"]


def test_a_small_sd_beside_a_large_mean_is_not_lost() -> None:
    table = Table((None,), (["a"],), {"mean": [1e12 + 0.25], "sd": [1.0]})
    assert float(_lines(table)[1].split()[1]) - 1e12 == 0.25
    tiny = Table((None,), (["a"],), {"mean": [1.234e-20], "sd": [1e-21]})
    assert _lines(tiny)[1].split()[1:] == ["1.234e-20", "1.00e-21"]


def test_an_sd_of_zero_and_an_empty_table_print() -> None:
    assert _lines(Table((None,), (["a"],), {"mean": [0.0], "sd": [0.0]}))[1].split() == ["a", "0.00", "0.00"]
    assert _lines(Table((None,), ([],), {"mean": [], "sd": []})) == ["  mean  sd"]


def test_long_tables_are_cut_between_groups() -> None:
    index = (np.repeat(np.arange(50), 3), ["x", "y", "z"] * 50)
    lines = _lines(Table(("g", "coefficient"), index, {"mean": np.arange(150.0)}), most_lines=10)
    assert [line.split()[0] for line in lines] == ["g", "0", "0", "0", "...", "49", "49", "49"]
    assert lines[4] == "... 144 more lines ..."


def test_every_line_fits_the_width() -> None:
    columns = {f"q{k}": [k * 1000.123, k / 1e7] for k in range(1, 19)}
    lines = _lines(Table((None,), (["a" * 150, "b"],), columns))
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith("b ") for line in lines) > 1  # folded, each block with its labels
    assert all(f"q{k}" in " ".join(lines) for k in range(1, 19))


def test_what_rounding_leaves_of_an_sd_asks_for_no_digits() -> None:
    columns = {"mean": [0.14371, 0.5], "sd": [2.78e-17, 0.1], "q5": [0.14371, 0.4], "q95": [0.14371 + 3e-17, 0.6]}
    lines = _lines(Table((None,), (["a", "b"],), columns))
    assert lines[1].split() == ["a", "0.144", "0.000", "0.144", "0.144"]


def test_a_wide_number_has_the_digits_of_its_own_sd() -> None:
    """The estimate of one column may know nothing of another's."""
    columns = {"none": [3.1e-40], "none_sd": [1.234e-41], "partial": [4.56789e-20], "partial_sd": [7.654e-21]}
    (line,) = _lines(Table(("g",), (["a"],), columns))[1:]
    assert line.split() == ["a", "3.100e-40", "1.23e-41", "4.568e-20", "7.65e-21"]


def test_columns_move_together_where_that_makes_one_block() -> None:
    columns = {name: [123.4, 234.5] for name in ("mean", "q5", "q50", "q95")}
    table = Table(("group",), (["a", "b"],), {**columns, "sd": [10.0, 20.0]})
    lines = _lines(table, width=34)
    assert len(lines) == 3
    assert max(map(len, lines)) <= 34
    assert _lines(table, width=39)[0] == "group   mean     q5    q50    q95    sd"
    assert len(_lines(table, width=30)) > 3

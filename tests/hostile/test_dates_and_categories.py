"""Dates, periods, intervals, dictionaries and sparse columns: as groups, as covariates, at prediction, once loaded."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import partialpool as pp

N_DAYS = 4
DAYS = pd.date_range("2024-03-30", periods=N_DAYS, freq="D")  # clocks in Berlin go forward on 31 March
LABELS = [str(day.date()) for day in DAYS]
ZONES = ["Europe/Berlin", "America/New_York", "US/Eastern", "Etc/GMT+5", "Asia/Kolkata", "UTC"]
LIBRARIES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "pandas on Arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.from_pandas,
    "pyarrow": pa.Table.from_pandas,
    "lists": lambda frame: {name: list(frame[name]) for name in frame},
}
EFFECTS = np.array([1.0, 2.0, 4.0, 7.0])


def _fit(values: Any, convert: Callable[[pd.DataFrame], Any] = lambda frame: frame) -> pp.Posterior:
    fit = pp.fit("y ~ 1 + (1 | day)", convert(pd.DataFrame({"y": EFFECTS, "day": values})), standard_error=np.ones(4))
    assert isinstance(fit, pp.Posterior)
    return fit


def _quantities(fit: pp.Posterior, values: Any) -> list[str]:
    return fit.predict(pd.DataFrame({"day": values}))["quantity"].tolist()


# --- moments ---


@pytest.mark.parametrize("convert", list(LIBRARIES.values()), ids=list(LIBRARIES))
@pytest.mark.parametrize("zone", ZONES)
def test_midnights_are_labelled_by_the_local_day(zone: str, convert: Callable[[pd.DataFrame], Any]) -> None:
    assert _fit(DAYS.tz_localize(zone), convert).groups().index.tolist() == LABELS


@pytest.mark.parametrize("zone", [datetime.timezone(datetime.timedelta(hours=2)), "UTC+02:00"])
def test_constant_offsets_are_time_zones_too(zone: Any) -> None:
    assert _fit(DAYS.tz_localize(zone)).groups().index.tolist() == LABELS


def test_other_times_show_their_offset_so_that_an_hour_that_comes_twice_is_two_groups() -> None:
    twice = pd.DatetimeIndex(["2024-10-27T00:30Z", "2024-10-27T01:30Z"]).tz_convert("Europe/Berlin").repeat(2)
    assert _fit(twice).groups().index.tolist() == ["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00"]


def test_a_midnight_that_comes_twice_is_two_groups() -> None:
    twice = pd.DatetimeIndex(["2024-11-03T04:00Z", "2024-11-03T05:00Z"]).tz_convert("America/Havana").repeat(2)
    assert _fit(twice).groups().index.tolist() == ["2024-11-03", "2024-11-03T00:00:00-05:00"]


def test_the_same_moments_by_another_clock_are_the_same_groups() -> None:
    fit = _fit(DAYS.tz_localize("Europe/Berlin"))
    elsewhere = DAYS.tz_localize("Europe/Berlin").tz_convert("Asia/Tokyo")
    assert _quantities(fit, elsewhere) == ["group mean"] * N_DAYS
    other_days = (DAYS + pd.Timedelta(days=100)).tz_localize("Europe/Berlin")
    assert _quantities(fit, other_days) == ["new group mean"] * N_DAYS


NAIVE, AWARE, TEXT = DAYS, DAYS.tz_localize("Europe/Berlin"), DAYS.astype(str)


@pytest.mark.parametrize(
    ("known", "new", "message"),
    [
        (AWARE, NAIVE, "holds moments without a time zone, in the fit it held moments of the time zone Europe/Berlin"),
        (NAIVE, AWARE, "holds moments of the time zone Europe/Berlin, in the fit it held moments without a time zone"),
        (NAIVE, TEXT, "holds text, in the fit it held moments without a time zone"),
        (AWARE, TEXT, "holds text, in the fit it held moments of the time zone Europe/Berlin"),
        (TEXT, NAIVE, "holds moments without a time zone, in the fit it held text"),
        (NAIVE, range(N_DAYS), "holds numbers, in the fit it held moments without a time zone"),
    ],
)
def test_moments_of_another_kind_are_refused_and_not_new_groups(
    known: Any, new: Any, message: str, tmp_path: Path
) -> None:
    fit = _fit(known)
    loaded = pp.load(fit.save(tmp_path / "fit.nc"))
    assert isinstance(loaded, pp.Posterior)
    for one in (fit, loaded):
        with pytest.raises(pp.errors.DataError, match=message):
            _quantities(one, new)


def test_days_are_days_whether_dates_or_midnights() -> None:
    fit = _fit(DAYS)
    assert _quantities(fit, [day.date() for day in DAYS]) == ["group mean"] * N_DAYS
    assert fit.predict(pl.DataFrame({"day": [DAYS[0].date()]}))["quantity"].tolist() == ["group mean"]


@pytest.mark.parametrize("days", [NAIVE, AWARE])
def test_a_group_is_named_by_its_moment(days: pd.DatetimeIndex) -> None:
    fit = _fit(days)
    named = fit.contrast("day", days[0], days[1])
    pd.testing.assert_frame_equal(named, fit.contrast("day", LABELS[0], LABELS[1]))


def test_moments_with_and_without_a_time_zone_are_not_mixed() -> None:
    with pytest.raises(pp.errors.DataError, match="mixes moments with a time zone and moments without one"):
        _fit([DAYS[0], DAYS[1].tz_localize("UTC"), DAYS[2], DAYS[3]])


def test_moments_inside_c_are_labels_and_elsewhere_no_numbers() -> None:
    days = DAYS.tz_localize("Europe/Berlin").repeat(3)
    data = pd.DataFrame({"y": np.random.default_rng(1).normal(size=12), "d": days})
    fit = pp.fit("y ~ C(d)", data)
    assert isinstance(fit, pp.Posterior)
    assert fit.summary().index[:4].tolist() == ["Intercept", *(f"d[{label}]" for label in LABELS[1:])]
    assert len(fit.predict(data[["d"]])) == 24
    with pytest.raises(pp.errors.DataError, match="holds text, in the fit it held moments"):
        fit.predict({"d": LABELS})
    with pytest.raises(pp.errors.DataError, match="holds dates or times, which are not numbers"):
        pp.fit("y ~ d", data)


# --- categories ---

NUMBERS = np.array([1.0, 12.0, 3.0, 25.0])
BINS = pd.cut(NUMBERS, [0, 9, 20, 100])
MONTHS = pd.PeriodIndex(["2024-02", "2023-11", "2024-02", "2023-12"], freq="M")
SIZES = ["small", "large", "small", "medium"]
ORDER = ["small", "medium", "large"]


def _dictionary(ordered: bool) -> pa.DictionaryArray:
    codes = pa.array([ORDER.index(size) for size in SIZES], pa.int8())
    return pa.DictionaryArray.from_arrays(codes, pa.array(ORDER), ordered=ordered)


COLUMNS: dict[str, tuple[Callable[[], Any], list[Any]]] = {
    "pd.cut": (lambda: pd.DataFrame({"f": BINS}), ["(0, 9]", "(9, 20]", "(20, 100]"]),
    "pd.cut as a dict's value": (lambda: {"f": BINS}, ["(0, 9]", "(9, 20]", "(20, 100]"]),
    "pd.qcut": (lambda: pd.DataFrame({"f": pd.qcut(NUMBERS, 2)}), ["(0.999, 7.5]", "(7.5, 25.0]"]),
    "intervals": (lambda: pd.DataFrame({"f": pd.IntervalIndex(BINS)}), ["(0, 9]", "(9, 20]", "(20, 100]"]),
    "intervals in a list": (lambda: {"f": list(BINS)}, ["(0, 9]", "(9, 20]", "(20, 100]"]),
    "pd.Period": (lambda: pd.DataFrame({"f": MONTHS}), ["2023-11", "2023-12", "2024-02"]),
    "periods in a list": (lambda: {"f": list(MONTHS)}, ["2023-11", "2023-12", "2024-02"]),
    "periods as categories": (lambda: pd.DataFrame({"f": pd.Categorical(MONTHS)}), ["2023-11", "2023-12", "2024-02"]),
    "polars Enum": (lambda: pl.DataFrame({"f": pl.Series(SIZES, dtype=pl.Enum(ORDER))}), ORDER),
    "polars Categorical": (lambda: pl.DataFrame({"f": pl.Series(SIZES, dtype=pl.Categorical)}), sorted(ORDER)),
    "pandas categories": (lambda: pd.DataFrame({"f": pd.Categorical(SIZES, ORDER)}), ORDER),
    "ordered dictionary": (lambda: pa.table({"f": _dictionary(True)}), ORDER),
    "ordered dictionary in chunks": (
        lambda: pa.table({"f": pa.chunked_array([_dictionary(True)[:2], _dictionary(True)[2:]])}),
        ORDER,
    ),
    "dictionary": (lambda: pa.table({"f": _dictionary(False)}), sorted(ORDER)),
    "ordered dictionary in pandas": (
        lambda: pd.DataFrame({"f": pd.Series(pd.arrays.ArrowExtensionArray(_dictionary(True)))}),
        ORDER,
    ),
    "dictionary in pandas": (
        lambda: pd.DataFrame({"f": pd.Series(pd.arrays.ArrowExtensionArray(_dictionary(False)))}),
        sorted(ORDER),
    ),
    "sparse text": (lambda: pd.DataFrame({"f": pd.arrays.SparseArray(SIZES)}), sorted(ORDER)),
    "sparse truth values": (
        lambda: pd.DataFrame({"f": pd.arrays.SparseArray([True, False, False, True])}),
        [False, True],
    ),
}


def _rows(frame: Any, times: int) -> dict[str, Any]:
    """Return ``times`` copies of a frame's four rows, with numbers beside them, as a dict of columns."""
    column = frame["f"]
    if isinstance(column, pa.ChunkedArray):
        column = pa.chunked_array(column.chunks * times)
    elif isinstance(column, pl.Series):
        column = pl.concat([column] * times)
    elif isinstance(column, pd.Series):
        column = pd.concat([column] * times, ignore_index=True)
    elif isinstance(column, pd.Categorical):
        column = pd.Categorical(list(column) * times, column.categories)
    else:
        column = list(column) * times
    y = np.random.default_rng(1).normal(size=4 * times)
    return {"f": column, "y": y, "g": np.repeat(np.arange(4), times)}


@pytest.mark.parametrize(("make", "levels"), list(COLUMNS.values()), ids=list(COLUMNS))
def test_as_groups_they_are_categories_in_their_order(
    make: Callable[[], Any], levels: list[Any], tmp_path: Path
) -> None:
    rows = _rows(make(), 3)
    fit = pp.fit("y ~ 1 + (1 | f)", rows, method="empirical_bayes")
    assert isinstance(fit, pp.Posterior)
    assert fit.groups().index.tolist() == levels
    loaded = pp.load(fit.save(tmp_path / "fit.nc"))
    assert isinstance(loaded, pp.Posterior)
    for one in (fit, loaded):
        assert set(one.predict({"f": rows["f"]})["quantity"]) == {
            "group mean",
            "new observation",
            "new group, new observation",
        }


@pytest.mark.parametrize(("make", "levels"), list(COLUMNS.values()), ids=list(COLUMNS))
def test_as_covariates_their_first_level_is_the_reference(
    make: Callable[[], Any], levels: list[Any], tmp_path: Path
) -> None:
    rows = _rows(make(), 3)
    fit = pp.fit("y ~ f + (1 | g)", rows, method="empirical_bayes")
    assert isinstance(fit, pp.Posterior)
    names = ["Intercept", *(f"f[{level}]" for level in levels[1:])]
    assert fit.summary().index[: len(levels)].tolist() == names
    loaded = pp.load(fit.save(tmp_path / "fit.nc"))
    assert isinstance(loaded, pp.Posterior)
    new = {"f": rows["f"], "g": rows["g"]}
    pd.testing.assert_frame_equal(loaded.predict(new), fit.predict(new))


def test_sparse_numbers_are_numbers() -> None:
    x = np.array([0.0, 0.0, 1.0, 2.0, 0.0, 3.0])
    y = np.array([1.0, 1.1, 2.0, 3.1, 0.9, 4.2])
    sparse = pp.fit("y ~ x", pd.DataFrame({"y": y, "x": pd.arrays.SparseArray(x)}))
    pd.testing.assert_frame_equal(sparse.summary(), pp.fit("y ~ x", {"y": y, "x": x}).summary())


def test_an_interval_outside_the_fits_is_a_new_group_and_an_unknown_coefficient() -> None:
    rows = _rows({"f": list(BINS)}, 3)
    other = {"f": [pd.Interval(100, 200)], "g": [0]}
    grouped = pp.fit("y ~ 1 + (1 | f)", rows, method="empirical_bayes")
    assert grouped.predict(other)["quantity"].iloc[0] == "new group mean"
    with pytest.raises(pp.errors.DataError, match=r"the level '\(100, 200\]' in row 1, which the fit did not see"):
        pp.fit("y ~ f + (1 | g)", rows, method="empirical_bayes").predict(other)
    with pytest.raises(pp.errors.DataError, match="holds numbers, in the fit it held text"):
        grouped.predict({"f": [150.0]})


def test_periods_of_several_frequencies_have_no_order() -> None:
    mixed = [pd.Period("2024-01", "M"), pd.Period("2024", "Y"), pd.Period("2024-02", "M"), pd.Period("2023", "Y")]
    with pytest.raises(pp.errors.DataError, match="column 'day' holds values that have no order"):
        _fit(pd.Series(mixed, dtype=object))


def test_missing_periods_and_intervals_are_missing() -> None:
    for column in (pd.Series([*MONTHS[:3], pd.NaT]), pd.Series([*BINS[:3], np.nan]), [*MONTHS[:3], None]):
        with pytest.warns(pp.errors.MissingRowsWarning, match="1 in 'day'"):
            fit = _fit(column)
        assert len(fit.groups()) == 2

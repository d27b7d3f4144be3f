"""Data frames print whole in lines that fit the page, the answer first, and are data frames for everything else."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.results.table import Table

RNG = np.random.default_rng(1)
NAMES = np.array([f"a laboratory with a long name, of town {k}" for k in range(6)])
ROWS = {
    "y": RNG.normal(size=60) + 100 * RNG.normal(size=6)[np.repeat(np.arange(6), 10)],
    "covariate": RNG.normal(size=60),
    "laboratory": np.repeat(NAMES, 10),
    "technician": np.tile(np.arange(5), 12),
    "hits": RNG.integers(0, 5, size=60),
}
NEW = {"covariate": [0.5, 1.0], "laboratory": [NAMES[2], "a new one"], "technician": [3, 9]}

Fit = pp.Posterior
TABLES: dict[str, Callable[[Fit], pd.DataFrame]] = {
    "groups": lambda fit: fit.groups("laboratory"),
    "summary": lambda fit: fit.summary(effects=True, quantiles=(0.025, 0.25, 0.5, 0.75, 0.975)),
    "predict": lambda fit: fit.predict(NEW),
    "pooling": lambda fit: fit.pooling("laboratory"),
    "differences": lambda fit: fit.differences("laboratory"),
    "contrast": lambda fit: fit.contrast("laboratory", NAMES[0], NAMES[1]),
    "variances": lambda fit: fit.variances(),
    "covariance": lambda fit: fit.covariance("laboratory"),
}


@pytest.fixture(scope="module")
def several() -> Fit:
    fit = pp.fit("y ~ covariate + (covariate | laboratory) + (1 | technician)", ROWS, method="empirical_bayes")
    assert isinstance(fit, pp.Posterior)
    return fit


@pytest.fixture(scope="module")
def counted() -> Fit:
    fit = pp.fit("hits ~ 1 + (1 | laboratory)", ROWS, family="poisson")
    assert isinstance(fit, pp.Posterior)
    return fit


def _headings(text: str) -> list[str]:
    return [word for block in text.split("\n\n") for word in block.splitlines()[0].split()]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("table", list(TABLES.values()), ids=list(TABLES))
def test_every_column_is_printed_in_lines_that_fit(
    table: Callable[[Fit], pd.DataFrame], width: int, several: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = table(several)
    monkeypatch.setenv("COLUMNS", str(width))
    text = repr(frame)
    assert max(map(len, text.splitlines())) <= width
    assert set(frame.columns) <= set(_headings(text))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_answer_comes_before_what_explains_it(
    width: int, several: Fit, counted: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for fit in (several, counted):
        heads = [
            head for head in _headings(repr(fit.groups("laboratory"))) if head not in ("laboratory", "coefficient")
        ]
        assert heads[:4] == ["mean", "sd", "q5", "q95"]
    numbers = [head for head in _headings(repr(several.pooling("technician"))) if head != "technician"]
    assert numbers[:2] == ["partial", "partial_sd"]


def test_the_frame_itself_has_its_columns_in_their_order_and_all_its_digits(several: Fit) -> None:
    frame = several.groups("technician")
    assert list(frame.columns) == ["n", "raw", "raw_sd", "mean", "sd", "q5", "q95", "weight"]
    assert frame.index.name == "technician"
    assert frame["mean"].iloc[0] != round(frame["mean"].iloc[0], 6)


def test_the_whole_fit_fits_the_page(several: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (60, 80):
        monkeypatch.setenv("COLUMNS", str(width))
        assert max(map(len, repr(several).splitlines())) <= width
        described = str(pp.describe("y ~ covariate + (covariate | laboratory/technician)", ROWS))
        assert max(map(len, described.splitlines())) <= width


def test_labels_that_would_be_printed_alike_are_not_shortened() -> None:
    labels = [f"{'x' * 30}{k}{'y' * 30}" for k in range(3)]
    rows = {"y": [1.0, 2.0, 4.0], "se": [1.0, 1.0, 1.0], "g": labels}
    text = repr(pp.fit("y ~ 1 + (1 | g)", rows, standard_error="se").groups())
    assert all(label in text for label in labels)
    assert max(map(len, text.splitlines())) <= 80


def test_it_is_a_data_frame_and_what_is_made_of_it_is_a_plain_one(several: Fit) -> None:
    frame = several.groups("technician")
    assert isinstance(frame, pd.DataFrame)
    made = [frame.round(2), frame.iloc[:2], frame[["mean", "sd"]], frame.copy(), frame + 1, frame.reset_index()]
    made += [copy.copy(frame), copy.deepcopy(frame), pickle.loads(pickle.dumps(frame)), pd.concat([frame, frame])]
    assert {type(other) for other in made} == {pd.DataFrame}


def test_its_head_and_tail_print_whole_too(several: Fit) -> None:
    frame = several.groups("laboratory")
    assert "..." in repr(pd.DataFrame(frame).head(3))
    for part, lines in ((frame.head(3), slice(0, 3)), (frame.head(), slice(0, 5)), (frame.tail(2), slice(-2, None))):
        assert set(frame.columns) <= set(_headings(repr(part)))
        assert max(map(len, repr(part).splitlines())) <= 80
        pd.testing.assert_frame_equal(part, pd.DataFrame(frame).iloc[lines])
        part["mean"] = 0.0
    assert (frame["mean"] != 0.0).all()
    frame.attrs["notes"] = ["of some kind"]
    assert frame.head(3).attrs == frame.attrs
    assert "of some kind" in repr(frame.tail(1))


def test_it_equals_a_plain_frame_from_either_side(several: Fit) -> None:
    frame = several.groups("technician")
    plain = pd.DataFrame(frame)
    assert type(plain) is pd.DataFrame
    pd.testing.assert_frame_equal(frame, plain)
    pd.testing.assert_frame_equal(plain, frame)
    assert frame.equals(plain)
    assert plain.equals(frame)


def test_columns_that_a_user_adds_are_printed(several: Fit) -> None:
    frame = several.groups("technician")
    frame["remark"] = ["good", "bad", "good", "good", "bad"]
    frame["over"] = frame["mean"] > 0
    assert {"remark", "over"} <= set(_headings(repr(frame)))
    frame.columns = pd.MultiIndex.from_product([["all"], frame.columns])
    assert "remark" in repr(frame)


@pytest.mark.parametrize(
    ("option", "value", "shown"),
    [("display.precision", 3, "0.123"), ("display.float_format", "{:.1%}".format, "12.3%")],
)
def test_pandas_options_of_digits_are_obeyed(option: str, value: object, shown: str, several: Fit) -> None:
    frame = several.groups("technician")
    frame["weight"] = 0.1234567
    with pd.option_context(option, value):
        text = repr(frame)
    assert shown in text
    assert "mean" in text
    assert max(map(len, text.splitlines())) <= 81  # pandas ends a block that continues with a backslash


def test_pandas_options_of_lines_and_width_are_obeyed(several: Fit) -> None:
    frame = several.summary(effects=True)
    with pd.option_context("display.max_rows", 10, "display.min_rows", 4):
        assert len(repr(frame).splitlines()) < 10
    with pd.option_context("display.max_rows", None, "display.width", 150):
        text = repr(frame)
    assert len(text.splitlines()) == len(frame) + 1


def test_groups_on_their_own_fit_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    priors = {"sigma": "HalfNormal(200)"}
    fit = pp.fit("y ~ 1 + (1 | laboratory)", ROWS, pooling="none", sigma="by group", priors=priors)
    for width in (60, 80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        for text in (repr(fit), repr(fit.groups())):
            assert max(map(len, text.splitlines())) <= width


def test_a_long_tail_leaves_the_quantiles_their_digits() -> None:
    columns = {"mean": [7.13], "sd": [126.3], "q5": [0.614], "q50": [1.873], "q95": [11.34]}
    text = Table(("row",), ([0],), columns).render()
    assert text.splitlines()[1].split() == ["0", "7.13", "126.30", "0.61", "1.87", "11.34"]
    counts = {"mean": [7.13], "sd": [126.3], "q5": [0.0], "q50": [1.0], "q95": [14.0]}
    assert Table(("row",), ([0],), counts).render().splitlines()[1].split() == ["0", "7", "126", "0", "1", "14"]

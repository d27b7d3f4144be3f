"""Data files: labels keep their kind, all formats give the same columns."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.cli.data_files import read_data_file
from partialpool.inputs.language.formula import parse_formula

FORMULA = parse_formula("effect ~ 1 + (1 | school)")


def _labels(path: Path) -> list[object]:
    data = read_data_file(path, FORMULA, {"standard_error": "se"})
    return list(pp.fit("effect ~ 1 + (1 | school)", data, standard_error="se").groups().index)


def _write(path: Path, labels: list[object], separator: str = ",") -> Path:
    schools = pp.datasets.eight_schools()
    lines = [separator.join(["school", "effect", "se"])]
    for label, effect, se in zip(labels, schools["effect"], schools["se"], strict=False):
        lines.append(separator.join(map(str, (label, effect, se))))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ([10, 9, 8, 7], [7, 8, 9, 10]),
        (["01", "02", "10", "1"], ["01", "02", "1", "10"]),
        (["1.5", "2.0", "-3", "4"], [-3.0, 1.5, 2.0, 4.0]),
        (["1.0", "2.0", "3.0", "4.0"], [1, 2, 3, 4]),
        (["b", "a", "10", "9"], ["10", "9", "a", "b"]),
        (['"A, the first"', "B", "c", "ü"], ["A, the first", "B", "c", "ü"]),
        (["True", "False", "x", "y"], ["False", "True", "x", "y"]),
        ([10**20, 3, 4, 5], ["100000000000000000000", "3", "4", "5"]),
    ],
)
def test_group_labels_keep_their_kind(tmp_path: Path, written: list[object], read: list[object]) -> None:
    assert _labels(_write(tmp_path / "data.csv", written)) == read


def test_a_missing_label_does_not_turn_integers_into_floats(tmp_path: Path) -> None:
    path = _write(tmp_path / "data.csv", [4, 3, 2, "", 1])
    with pytest.warns(pp.errors.MissingRowsWarning, match="1 in 'school'"):
        assert _labels(path) == [1, 2, 3, 4]


def test_every_format_gives_the_same_numbers(tmp_path: Path) -> None:
    csv = _write(tmp_path / "a.csv", list("ABCDEFGH"))
    frame = pd.read_csv(csv)
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(csv.read_bytes()))
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + csv.read_bytes().replace(b"\n", b"\r\n"))
    answers = []
    for name in ("a.csv", "a.parquet", "a.tsv", "a.csv.gz", "bom.csv"):
        data = read_data_file(tmp_path / name, FORMULA, {"standard_error": "se"})
        answers.append(pp.fit("effect ~ 1 + (1 | school)", data, standard_error="se").groups())
    for answer in answers[1:]:
        pd.testing.assert_frame_equal(answer, answers[0], check_exact=True)


def test_a_column_that_is_a_factor_and_a_number_stays_a_number(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    year = np.repeat(np.arange(2001, 2011), 3)
    frame = pd.DataFrame({"y": rng.normal(size=30), "year": year})
    frame.to_csv(tmp_path / "years.csv", index=False)
    formula = parse_formula("y ~ year + (1 | year)")
    data = read_data_file(tmp_path / "years.csv", formula, {})
    assert data["year"].tolist() == year.tolist()


def test_the_last_line_may_lack_its_newline(tmp_path: Path) -> None:
    path = _write(tmp_path / "data.csv", list("ABCDEFGH"))
    path.write_text(path.read_text().rstrip("\n"))
    assert _labels(path) == list("ABCDEFGH")


def test_packaged_tables_are_whole() -> None:
    sleep, rats = pp.datasets.sleepstudy(), pp.datasets.rat_tumours()
    assert {name: len(column) for name, column in sleep.items()} == {"Reaction": 180, "Days": 180, "Subject": 180}
    assert len(set(sleep["Subject"])) == 18
    assert set(sleep["Days"]) == set(range(10))
    assert len(rats["rats"]) == 71
    assert (sum(rats["tumours"]), sum(rats["rats"])) == (267, 1739)

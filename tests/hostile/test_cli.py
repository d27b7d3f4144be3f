"""Bad input on the command line: the exit code, one readable block on standard error, and nothing written."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

import partialpool as pp
from partialpool.cli.verbs import main

FORMULA = "effect ~ 1 + (1 | school)"
KNOWN = [FORMULA, "--standard-error", "se"]
CSV = pd.DataFrame(pp.datasets.eight_schools()).to_csv(index=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of its own with schools.csv, schools.parquet and a directory called folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schools.csv").write_text(CSV)
    pd.DataFrame(pp.datasets.eight_schools()).to_parquet(tmp_path / "schools.parquet")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def _refuse(here: Path, *arguments: str, code: int = 1) -> Result:
    """Run, and check that it failed readably and left the directory as it was."""
    before = _list_files(here)
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "defect" not in result.stderr
    assert max(map(len, result.stderr.splitlines())) <= 100 or code == 2
    assert _list_files(here) == before
    return result


def _list_files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


def _says(result: Result, title: str, *parts: str) -> None:
    first, *others = result.stderr.splitlines()
    assert first == f"error: {title}"
    assert all(line.startswith("  ") for line in others)
    text = " ".join(" ".join(others).split())
    for part in parts:
        assert part in text


def _bad_files() -> dict[str, tuple[bytes, str, tuple[str, ...]]]:
    data, files = "the data cannot be used", "a file cannot be used"
    csv = CSV.encode()
    return {
        "empty.csv": (b"", data, ("'empty.csv' is empty",)),
        "blank.csv": (b"\n\n  \n", data, ("'blank.csv' is empty", "name the columns")),
        "heading.csv": (b"school,effect,se\n", data, ("'heading.csv' has a heading and no rows",)),
        "binary.csv": (bytes(range(256)) * 8, data, ("'binary.csv' is not text", "UTF-8")),
        "utf16.csv": (CSV.encode("utf-16"), data, ("'utf16.csv' is not text", "save it as CSV in UTF-8")),
        "latin.csv": (CSV.replace("A,", "Ä,").encode("latin-1"), data, ("'latin.csv' is not text in UTF-8",)),
        "half.csv": (
            csv[: csv.rindex(b",")],
            data,
            ("'half.csv' looks half written", "its last line has 2 of 3 fields"),
        ),
        "half_newline.csv": (csv + b"I,3\n", data, ("looks half written", "('I,3')")),
        "open_quote.csv": (csv + b'I,3,"4', data, ("is not a table in CSV", "as many fields as the heading")),
        "too_many.csv": (csv + b"I,3,4,5\n", data, ("Expected 3 fields in line 10, saw 4",)),
        "shifted.csv": (csv.replace(b"\n", b",9\n").replace(b"se,9", b"se"), data, ("is not a table in CSV",)),
        "semicolons.csv": (
            csv.replace(b",", b";"),
            data,
            ("seem to be separated by semicolons", "save it with commas"),
        ),
        "twice.csv": (csv.replace(b"se\n", b"effect\n", 1), data, ("there is no column 'se'",)),
        "twice_used.csv": (
            b"school,effect,se,se\nA,1,2,3\n",
            data,
            ("2 columns of 'twice_used.csv' are named 'se'", "rename"),
        ),
        "words.csv": (csv.replace(b",8.0,", b",eight,"), data, ("response 'effect' is not numeric", "'eight'")),
        "infinite.csv": (csv.replace(b"-3.0", b"inf"), data, ("effect", "row 3")),
        "zero_se.csv": (csv.replace(b",16.0", b",0"), data, ("standard_error", "row 3")),
        "cut.csv.gz": (gzip.compress(csv)[:40], files, ("'cut.csv.gz' is cut short",)),
        "not.csv.gz": (csv, files, ("'not.csv.gz' cannot be read", "Not a gzipped file")),
        "not.parquet": (csv, files, ("'not.parquet' is not a Parquet file, or is cut short", "write it again")),
        "data.xlsx": (b"PK", files, ("'data.xlsx' has an ending that is not read", ".csv", ".parquet")),
    }


@pytest.mark.parametrize("name", list(_bad_files()))
def test_a_file_that_is_not_a_whole_table(here: Path, name: str) -> None:
    content, title, parts = _bad_files()[name]
    (here / name).write_bytes(content)
    for more in ([], ["--json"], ["--out", "fit.nc", "--plot", "a.png"]):
        _says(_refuse(here, "fit", name, *KNOWN, *more), title, *parts)
    _says(_refuse(here, "describe", name, *KNOWN), title, *parts)


def test_a_parquet_file_cut_short(here: Path) -> None:
    content = (here / "schools.parquet").read_bytes()
    (here / "cut.parquet").write_bytes(content[: len(content) // 2])
    _says(_refuse(here, "fit", "cut.parquet", *KNOWN), "a file cannot be used", "is cut short", "write it again")


def test_a_file_that_is_not_there(here: Path) -> None:
    _says(_refuse(here, "fit", "nothing.csv", *KNOWN), "a file cannot be used", "there is no file 'nothing.csv'")
    _says(_refuse(here, "fit", "school.csv", *KNOWN), "a file cannot be used", "did you mean 'schools.csv'?")
    _says(_refuse(here, "fit", "no/such/x.csv", *KNOWN), "a file cannot be used", "there is no file 'no/such/x.csv'")
    _says(_refuse(here, "fit", "folder", *KNOWN), "a file cannot be used", "'folder' is a directory")


@pytest.mark.parametrize("name", ["schools.csv", "schools.parquet"])
def test_a_column_that_is_not_there(here: Path, name: str) -> None:
    result = _refuse(here, "fit", name, "effect ~ 1 + (1 | schol)", "--standard-error", "se")
    _says(result, "the data cannot be used", "there is no column 'schol' in the data", "did you mean 'school'?")
    result = _refuse(here, "fit", name, FORMULA, "--standard-error", "see")
    _says(result, "the data cannot be used", "there is no column 'see'", "did you mean 'se'?")


@pytest.mark.parametrize(
    ("formula", "place"),
    [
        ("effect ~ 1 + (1 | school", 13),
        ("effect 1", 8),
        ("effect ~ 1 + (| school)", 14),
        ("", 0),
        ("effect ~ 1 + ?", 13),
    ],
)
def test_a_formula_error_marks_the_place(here: Path, formula: str, place: int) -> None:
    result = _refuse(here, "fit", "schools.csv", formula, "--standard-error", "se", "--out", "fit.nc")
    _says(result, "the formula cannot be understood")
    shown, mark = result.stderr.splitlines()[-2:]
    assert shown.strip() == formula.strip()
    assert mark.index("^") - (len(shown) - len(shown.lstrip()) if formula else mark.index("^")) == place


@pytest.mark.parametrize(
    ("prior", "parts"),
    [
        ("sd(scool)=HalfCauchy(5)", ("'sd(scool)' matches no parameter", "did you mean sd(school)?")),
        ("sd(school)=HalfCauchy(-5)", ("scale is -5", "positive")),
        ("sd(school)=Normal(0, 5)", ("does not suit a standard deviation", "HalfNormal(5)")),
        ("sd(school)=Wide(5)", ("Wide",)),
        ("sd(school)=VariancePower(-1)", ("improper",)),
        ("sigma=HalfNormal(1)", ("'sigma'",)),
    ],
)
def test_a_prior_that_cannot_be_used(here: Path, prior: str, parts: tuple[str, ...]) -> None:
    _says(_refuse(here, "fit", "schools.csv", *KNOWN, "--prior", prior), "a prior cannot be used", *parts)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--prior", "HalfCauchy(5)"], "is not NAME=PRIOR"),
        (["--prior", "sd(school)="], "is not NAME=PRIOR"),
        (["--prior", "sd=Flat()", "--prior", "sd = HalfNormal(1)"], "'sd' is given twice"),
        (["--method", "magic"], "'magic' is not one of"),
        (["--pooling", "some"], "'some' is not one of"),
        (["--seed", "-1"], "-1 is not in the range"),
        (["--nonsense"], "No such option"),
        (["--plot", "a.png", "--forest", "a.png"], "name the same file"),
        (["--plot", "a.png", "--pooling", "complete"], "drop one of them"),
        (["--sigma-by-group", "--pooling", "none", "--plot", "a.png"], "do not work with --sigma-by-group yet"),
    ],
)
def test_a_command_line_that_is_not_understood(here: Path, options: list[str], text: str) -> None:
    result = _refuse(here, "fit", "schools.csv", *KNOWN, *options, code=2)
    assert text in " ".join(result.stderr.split())
    assert "Usage: " in result.stderr


@pytest.mark.parametrize(
    ("option", "meant"),
    [("--se", "--standard-error"), ("--sbg", "--sigma-by-group"), ("--standard-errors", "--standard-error")],
)
def test_an_option_of_another_name_suggests_the_one_that_is_meant(here: Path, option: str, meant: str) -> None:
    said = " ".join(_refuse(here, "fit", "schools.csv", FORMULA, option, "se", code=2).stderr.split())
    assert "No such option" in said
    suggested = said.split("Did you mean")[1]
    assert meant in suggested
    assert "--seed" not in suggested


def test_a_command_line_without_its_arguments(here: Path) -> None:
    assert "Missing argument 'FORMULA'" in _refuse(here, "fit", "schools.csv", code=2).stderr
    assert "No such command" in _refuse(here, "fot", code=2).stderr


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("nowhere/fit", ("nowhere' does not exist", "create it")),
        ("schools.csv/fit", ("schools.csv' is not a directory",)),
        ("/proc/fit", ("'/proc' takes no files",)),
    ],
)
@pytest.mark.parametrize(("option", "ending"), [("--out", ".nc"), ("--plot", ".png"), ("--forest", ".pdf")])
def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(
    here: Path, path: str, parts: tuple[str, ...], option: str, ending: str
) -> None:
    result = _refuse(here, "fit", "nothing.csv", *KNOWN, option, path + ending)
    _says(result, "a file cannot be used", f"'{path}{ending}' cannot be written", *parts)


@pytest.mark.parametrize(
    ("option", "path", "part"),
    [
        ("--plot", "a.bmp", "ends in .png, .svg or .pdf"),
        ("--plot", "a", "ends in .png, .svg or .pdf"),
        ("--forest", "schools.csv", "ends in .png, .svg or .pdf"),
        ("--plot", "folder.png", "is a directory"),
        ("--out", "fit.pickle", ".nc"),
        ("--out", "schools.csv", ".nc"),
    ],
)
def test_an_output_of_an_unknown_kind(here: Path, option: str, path: str, part: str) -> None:
    _says(_refuse(here, "fit", "nothing.csv", *KNOWN, option, path), "a file cannot be used", f"'{path}'", part)


def test_a_picture_without_groups(here: Path) -> None:
    result = _refuse(here, "fit", "schools.csv", "effect ~ 1", "--standard-error", "se", "--plot", "a.png")
    _says(result, "the formula cannot be understood", "of which the formula has none")


def test_missing_extras_are_named_before_anything_is_computed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partialpool.outputs.output_paths.find_spec", lambda name: None)
    monkeypatch.setattr("partialpool.cli.data_files.find_spec", lambda name: None)
    _says(
        _refuse(here, "fit", "nothing.csv", *KNOWN, "--plot", "a.png"),
        "a file cannot be used",
        "pip install 'partialpool[plot]'",
    )
    _says(_refuse(here, "fit", "schools.parquet", *KNOWN), "a file cannot be used", "pip install 'partialpool[files]'")


def test_a_demo_where_nothing_can_be_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "shrinkage.png").mkdir()
    _says(_refuse(here, "demo"), "a file cannot be used", "it is a directory")


@pytest.mark.parametrize(
    ("formula", "title", "part"),
    [
        ("effect ~ 1 + (1 | school)", "the data cannot tell apart what the model asks for", "different in every row"),
        ("effect ~ se + (1 | school) + (1 | se)", "", ""),
    ],
)
def test_a_model_that_is_not_identified_or_not_computed(here: Path, formula: str, title: str, part: str) -> None:
    result = _refuse(here, "fit", "schools.csv", formula)
    if title:
        _says(result, title, part)


@pytest.mark.parametrize(
    ("factor", "near"), [("G", "did you mean 'g'"), ("gh", "did you mean"), ("h;", "'h'"), ("", "'g', 'h'")]
)
def test_a_factor_that_the_formula_has_not(here: Path, factor: str, near: str) -> None:
    frame = pd.DataFrame({"y": [1.0, 2.5, 3.0, 2.0, 5.0, 4.0, 1.0, 0.0], "g": list("aabbaabb"), "h": list("cdcdcddc")})
    frame.to_csv(here / "two.csv", index=False)
    result = _refuse(here, "fit", "two.csv", "y ~ 1 + (1 | g) + (1 | h)", "--out", "fit.nc", "--factor", factor)
    _says(result, "the formula cannot be understood", f"--factor: '{factor}' is not a grouping factor of it", near)


def test_without_groups_there_is_no_factor_to_show(here: Path) -> None:
    result = _refuse(here, "fit", "schools.csv", *KNOWN, "--pooling", "complete", "--factor", "school", code=2)
    assert "--factor names groups, which --pooling complete has not" in result.stderr
    result = _refuse(here, "fit", "schools.csv", "effect ~ 1", "--standard-error", "se", "--factor", "school")
    _says(result, "the formula cannot be understood", "'school' is not a grouping factor of it")


def test_an_unforeseen_error_is_one_block_too(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(pp, "fit", fail)
    result = CliRunner().invoke(main, ["fit", "schools.csv", *KNOWN])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: a defect in partialpool, please report it\n  ZeroDivisionError")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("failing", ["replace", "write"])
def test_a_disk_that_fills_up_leaves_no_half_picture(here: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    target: tuple[object, str] = (os, "replace") if failing == "replace" else (Path, "write_bytes")
    monkeypatch.setattr(*target, fail)
    result = CliRunner().invoke(main, ["fit", "schools.csv", *KNOWN, "--plot", "a.png"])
    monkeypatch.undo()
    assert result.exit_code == 1
    assert "cannot be written (No space left on device)" in " ".join(result.stderr.split())
    assert not list(here.glob("*a.png*"))


def test_the_process_ends_with_the_exit_code_and_nothing_on_standard_output(here: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(pp.__file__).parents[1])}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "partialpool", *arguments], capture_output=True, text=True, env=environment
        )

    runs: list[tuple[int, Callable[[], subprocess.CompletedProcess[str]]]] = [
        (1, lambda: run("fit", "nothing.csv", *KNOWN)),
        (1, lambda: run("fit", "schools.csv", "effect ~ 1 + (1 | schol)", "--standard-error", "se", "--json")),
        (2, lambda: run("fit", "schools.csv", *KNOWN, "--method", "magic")),
    ]
    for code, start in runs:
        done = start()
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr
        assert "Traceback" not in done.stderr


@pytest.fixture
def greek(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of a fit to groups that a Western European console cannot show."""
    monkeypatch.chdir(tmp_path)
    schools = pp.datasets.eight_schools() | {"school": ["Ω", "é", "😀", "Δ", "E", "F", "G", "H"]}
    pd.DataFrame(schools).to_csv("greek.csv", index=False, encoding="utf-8")
    return ["fit", "greek.csv", *KNOWN]


def _run_on_console(encoding: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": str(Path(pp.__file__).parents[1]), "PYTHONIOENCODING": encoding}
    return subprocess.run([sys.executable, "-m", "partialpool", *arguments], capture_output=True, env=environment)


def test_a_console_that_lacks_characters_shows_escapes(greek: list[str]) -> None:
    done = _run_on_console("cp1252", *greek)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode("cp1252")
    for label in ("\\u03a9", "é", "\\U0001f600", "\\u0394"):
        assert f"\n{label} " in shown
    chosen = _run_on_console("cp1252:replace", *greek).stdout.decode("cp1252")
    assert "\n? " in chosen


def test_json_stays_json_on_such_a_console(greek: list[str]) -> None:
    import json

    for encoding in ("cp1252", "utf-8"):
        done = _run_on_console(encoding, *greek, "--json")
        assert (done.returncode, done.stderr) == (0, b"")
        report = json.loads(done.stdout.decode(encoding))
        assert [line["group"] for line in report["groups"]][:2] == sorted(["Ω", "é", "😀", "Δ", *"EFGH"])[:2]
        assert {"Ω", "😀"} <= {line["group"] for line in report["groups"]}
    assert "Ω" in done.stdout.decode()


def test_the_demo_without_matplotlib_does_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("partialpool.outputs.output_paths.find_spec", lambda name: None)
    result = CliRunner().invoke(main, ["demo"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Raw effects run from -3 to 28 points" in result.stdout
    assert result.stdout.endswith("no picture: pictures need matplotlib, which is not installed: "
                                  "pip install 'partialpool[plot]'\n")  # fmt: skip
    assert not list(tmp_path.iterdir())

"""The code blocks of the README and the docs run, and print what stands below them.

A ``text`` block after a ``python`` block is its output, a line of ``...`` standing for any lines. Numbers agree to two
units of the last digit printed. Blocks that import ArviZ run where it is installed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import itertools
import re
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner

import partialpool as pp
from partialpool.cli.verbs import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


def _read_blocks(page: Path) -> list[tuple[str, str]]:
    return [(match.group(1), match.group(2)) for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run_and_print_what_is_shown(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = [*_read_blocks(page), ("end", "")]
    left_out = 0
    for (kind, code), (following, shown) in itertools.pairwise(blocks):
        if kind != "python":
            continue
        if "arviz_stats" in code and importlib.util.find_spec("arviz_stats") is None:
            left_out += 1
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", module="arviz_")  # its own use of what others deprecate
            exec(compile(code, str(page), "exec"), names)
        if following == "text":
            _assert_alike(shown, printed.getvalue())
    if left_out:
        pytest.skip(f"{left_out} of the blocks need ArviZ, the others ran: pip install 'partialpool[arviz]'")


def test_the_first_screen_shows_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = next(text for kind, text in _read_blocks(ROOT / "README.md") if kind == "text")
    _assert_alike(f"...\n{shown}", CliRunner().invoke(main, ["demo"]).stdout)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_certificate_is_told() -> None:
    """Routes, evidence and fields of a fit by importance sampling stand in the page of results."""
    fit = pp.fit("effect ~ 1 + (1 | school)", pp.datasets.eight_schools(), standard_error="se", method="importance")
    page = " ".join((ROOT / "docs" / "results.md").read_text(encoding="utf-8").split())
    fields = [field.name for field in dataclasses.fields(fit.engine)]
    for name in (fit.engine.route, "importance sampling from a mixture", *fit.engine.evidence, *fields):
        assert f"`{name}`" in page, name


def _assert_alike(shown: str, printed: str) -> None:
    """Find the shown stretches in what was printed, in order."""
    actual = [line.rstrip() for line in printed.splitlines()]
    stretches: list[list[str]] = [[]]
    for line in shown.splitlines():
        if line.strip() == "...":
            stretches.append([])
        else:
            stretches[-1].append(line.rstrip())
    at = 0
    for k, stretch in enumerate(stretches):
        starts = range(at, len(actual) - len(stretch) + 1) if k else [0]
        found = next((start for start in starts if _lines_alike(stretch, actual[start : start + len(stretch)])), None)
        assert found is not None, f"not printed:\n{chr(10).join(stretch)}\n\nprinted:\n{printed}"
        at = found + len(stretch)
    if stretches[-1]:
        assert at == len(actual), f"printed more:\n{printed}"


def _lines_alike(shown: list[str], actual: list[str]) -> bool:
    return len(shown) == len(actual) and all(map(_line_alike, shown, actual))


def _line_alike(shown: str, actual: str) -> bool:
    words, others = (re.sub(r"\s+", " ", NUMBER.sub("#", line)).strip() for line in (shown, actual))
    if words != others:
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(actual), strict=True)
    return all(abs(_value(one) - _value(other)) <= 2.0 * _unit(one) for one, other in pairs)


def _value(text: str) -> float:
    return float(text.replace(",", ""))


def _unit(text: str) -> float:
    """Return the unit of the last digit; whole numbers are exact."""
    return 10.0 ** -len(text.split(".")[1]) if "." in text and "e" not in text else 0.0

"""Progress: every step is yielded once, and nothing is shown where nobody looks."""

from __future__ import annotations

import io

import pytest

from partialpool.numerics import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_silent_off_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    assert list(progress.track(range(5), "groups")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_shown_on_a_terminal_after_the_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    assert list(progress.track(range(5), "groups")) == [0, 1, 2, 3, 4]
    assert "groups" in terminal.getvalue()


def test_not_shown_while_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    assert list(progress.track(range(5), "groups")) == [0, 1, 2, 3, 4]
    assert terminal.getvalue() == ""

"""What holds for every test."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print as where there is no terminal: pytest-xdist gives its workers one of 80 columns."""
    monkeypatch.delenv("COLUMNS", raising=False)

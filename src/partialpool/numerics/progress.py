"""A progress bar for loops that turn out to take longer than two seconds, on terminals only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

Step = TypeVar("Step")

_PATIENCE = 2.0  # seconds


def track(steps: Sequence[Step], label: str) -> Iterator[Step]:
    """Yield the steps; from the third second on show on standard error how far the loop is, if that is a terminal."""
    if not sys.stderr.isatty():
        yield from steps
        return
    start = time.monotonic()
    remaining = iter(enumerate(steps))
    for _, step in remaining:
        yield step
        if time.monotonic() - start > _PATIENCE:
            break
    yield from _track_visibly(list(remaining), len(steps), label)


def _track_visibly(remaining: list[tuple[int, Step]], total: int, label: str) -> Iterator[Step]:
    if not remaining:
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total, completed=total - len(remaining))
        for _, step in remaining:
            yield step
            progress.advance(task)

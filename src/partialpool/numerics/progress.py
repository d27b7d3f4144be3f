"""A progress bar for loops that turn out to take longer than two seconds, on terminals only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

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


class Counter:
    """Counts steps whose number is not known beforehand, shown from the third second on, on terminals only."""

    def __init__(self, label: str) -> None:
        self.label, self.done, self.start = label, 0, time.monotonic()
        self._progress: Progress | None = None

    def __enter__(self) -> Counter:
        return self

    def advance(self, steps: int = 1) -> None:
        """Count some steps as done."""
        self.done += steps
        if self._progress is None and sys.stderr.isatty() and time.monotonic() - self.start > _PATIENCE:
            from rich.console import Console
            from rich.progress import Progress

            self._progress = Progress(
                "[progress.description]{task.description}", console=Console(stderr=True), transient=True
            )
            self._progress.add_task(self.label, total=None)
            self._progress.start()
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], description=f"{self.label}: {self.done} so far")

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

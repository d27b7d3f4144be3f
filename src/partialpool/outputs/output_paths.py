"""Where pictures are written: paths checked before anything is computed, files written whole or not at all."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from partialpool.errors import OutputError

PICTURE_ENDINGS = (".png", ".svg", ".pdf")


def check_picture_path(path: str | Path) -> Path:
    """Return the path (links followed) if a picture can be drawn and written there, else raise ``OutputError``."""
    check_matplotlib()
    given = Path(path).expanduser()
    if given.suffix.lower() not in PICTURE_ENDINGS:
        known = " or ".join([", ".join(PICTURE_ENDINGS[:-1]), PICTURE_ENDINGS[-1]])
        raise OutputError(f"'{given}' is not a picture that can be written: give a path that ends in {known}")
    target = given.resolve()
    parent = target.parent
    if not parent.is_dir():
        what = "is not a directory" if parent.exists() else "does not exist"
        raise OutputError(f"'{given}' cannot be written: '{parent}' {what}: create it, or give another path")
    if target.is_dir():
        raise OutputError(f"'{given}' cannot be written: it is a directory: give another path")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"'{given}' cannot be written: it is write-protected: make it writable, or give another path")
    _check_takes_files(given, parent)
    return target


def check_matplotlib() -> None:
    """Raise ``OutputError`` naming the extra where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise OutputError("pictures need matplotlib, which is not installed: pip install 'partialpool[plot]'")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name and move it into place, so that no half file is left."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OutputError(f"'{path}' cannot be written ({error.strerror}): give another path") from error


def _check_takes_files(path: Path, parent: Path) -> None:
    """Create a nameless file for a moment: permissions alone do not show a read-only or full disk."""
    from tempfile import TemporaryFile

    try:
        with TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise OutputError(
            f"'{path}' cannot be written: '{parent}' takes no files ({error.strerror}): give another path"
        ) from error

"""Output paths: checked before anything is computed, written whole or not at all."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from partialpool.errors import OutputError

PICTURE_ENDINGS = (".png", ".svg", ".pdf")
FIT_ENDINGS = (".nc", ".zarr")


def check_picture_path(path: str | Path) -> Path:
    """Return the path if a picture can be drawn and written there, else raise ``OutputError``."""
    check_matplotlib()
    return _check_path(Path(path), PICTURE_ENDINGS)


def check_fit_path(path: str | Path) -> Path:
    """Return the path if a fit can be saved there, else raise ``OutputError``."""
    checked = _check_path(Path(path), FIT_ENDINGS)
    if checked.suffix.lower() == ".zarr" and find_spec("zarr") is None:
        raise OutputError(f"'{path}': a zarr store needs zarr: pip install zarr, or give a path that ends in .nc")
    return checked


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


def _check_path(path: Path, endings: tuple[str, ...]) -> Path:
    if path.suffix.lower() not in endings:
        known = " or ".join([", ".join(endings[:-1]), endings[-1]])
        raise OutputError(f"'{path}': the ending is not one that can be written: give a path that ends in {known}")
    parent = path.parent
    if not parent.is_dir():
        what = "is not a directory" if parent.exists() else "does not exist"
        raise OutputError(f"'{path}' cannot be written: '{parent}' {what}: create it, or give another path")
    if path.is_dir() and path.suffix.lower() != ".zarr":
        raise OutputError(f"'{path}' cannot be written: it is a directory: give another path")
    if path.exists() and not os.access(path, os.W_OK):
        raise OutputError(f"'{path}' cannot be written: the file is protected: give another path")
    _check_directory(path, parent)
    return path


def _check_directory(path: Path, parent: Path) -> None:
    """Create a nameless file for a moment: permissions alone do not show a read-only or full disk."""
    from tempfile import TemporaryFile

    try:
        with TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise OutputError(
            f"'{path}' cannot be written: '{parent}' takes no files ({error.strerror}): give another path"
        ) from error

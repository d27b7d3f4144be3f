"""Where a fit is saved: paths checked before anything is written, and written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import uuid4

from partialpool.errors import OutputError

NETCDF_ENDINGS = (".nc", ".netcdf", ".h5")
ZARR_ENDING = ".zarr"
_ZARR_MARKS = (".zgroup", "zarr.json", ".zmetadata")

Container = Literal["netcdf", "zarr"]


class SavePath(NamedTuple):
    """Where to write (links followed) and into what."""

    target: Path
    container: Container


def check_save_path(path: str | Path) -> SavePath:
    """Return where and into what a fit will be saved; raises ``OutputError`` if that cannot be, writing nothing."""
    given = Path(path).expanduser()
    container = _container(given)
    if container == "zarr":
        check_zarr(given)
    target = given.resolve()
    parent = target.parent
    if not parent.is_dir():
        what = "is not a directory" if parent.exists() else "does not exist"
        raise OutputError(f"'{given}' cannot be written: '{parent}' {what}: create it, or give another path")
    if target.is_dir() and (container == "netcdf" or not _is_replaceable(target)):
        raise OutputError(f"'{given}' cannot be written: a directory is in the way: remove it, or give another path")
    if container == "zarr" and target.exists() and not target.is_dir():
        raise OutputError(f"'{given}' cannot be written: a file is in the way: remove it, or give another path")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"'{given}' cannot be written: it is write-protected: make it writable, or give another path")
    _check_takes_files(given, parent)
    return SavePath(target, container)


def check_zarr(path: Path) -> None:
    """Raise ``OutputError`` where zarr is not installed."""
    if find_spec("zarr") is None:
        raise OutputError(
            f"'{path}': zarr stores need the zarr package: pip install 'partialpool[zarr]', or use a path ending in .nc"
        )


def write_in_place(save: SavePath, write: Callable[[Path], object]) -> None:
    """Call ``write`` with a temporary path beside the target and move what it wrote into place.

    Raises ``OutputError`` when that fails; the temporary file is removed and what was there stays.
    """
    beside = _hidden_path(save.target.parent)
    try:
        write(beside)
        if save.container == "zarr":
            _replace_directory(beside, save.target)
        else:
            os.replace(beside, save.target)
    except (OSError, RuntimeError) as error:  # HDF5 reports a full disk as either
        cause = getattr(error, "strerror", None) or error
        raise OutputError(
            f"'{save.target}' could not be written ({cause}): free space there, or give another path"
        ) from error
    finally:
        _remove(beside)


def _container(path: Path) -> Container:
    ending = path.suffix.lower()
    if ending in NETCDF_ENDINGS:
        return "netcdf"
    if ending == ZARR_ENDING:
        return "zarr"
    known = ", ".join(NETCDF_ENDINGS)
    raise OutputError(
        f"'{path}': a fit is saved as netCDF ({known}) or zarr ({ZARR_ENDING}): give a path with one of these endings"
    )


def _is_replaceable(directory: Path) -> bool:
    """Say whether a directory is a zarr store or empty, so that replacing it loses nothing else."""
    return any((directory / mark).exists() for mark in _ZARR_MARKS) or not any(directory.iterdir())


def _check_takes_files(given: Path, parent: Path) -> None:
    """Create a file for a moment: permissions alone do not show a read-only or full disk."""
    beside = _hidden_path(parent)
    try:
        beside.touch(exist_ok=False)
        beside.unlink()
    except OSError as error:
        raise OutputError(
            f"'{given}' cannot be written: '{parent}' takes no files ({error.strerror}): make it writable, or give "
            "another path"
        ) from error


def _hidden_path(parent: Path) -> Path:
    return parent / f".partialpool-{uuid4().hex}.part"


def _replace_directory(beside: Path, target: Path) -> None:
    """Move a directory to where another may be; the old one returns when the move fails."""
    old = _hidden_path(target.parent)
    if target.exists():
        os.replace(target, old)
    try:
        os.replace(beside, target)
    except OSError:
        if old.exists():
            os.replace(old, target)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

"""Saved fits: what rebuilds a posterior to the last bit, and draws that ArviZ opens from the same file.

A file (netCDF through h5netcdf, or a zarr store) has two groups. ``posterior`` holds draws as ArviZ's schema says.
``partialpool`` holds what ``stored_fit`` rebuilds the fit from. Nothing is pickled, and of the formula's text nothing
but known functions is evaluated.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.errors import OutputError, PartialpoolError, PartialpoolWarning
from partialpool.models.latent_model import LatentModel
from partialpool.results.arviz.arviz_export import (
    collect_posterior,
    count_whole_chains,
    describe_origin,
    library_version,
)
from partialpool.results.arviz.arviz_export_separate import collect_separate_posterior
from partialpool.results.arviz.arviz_rows import N_CHAINS
from partialpool.results.arviz.safe_names import make_file_names
from partialpool.results.draws import count_effects, draw_posterior
from partialpool.results.files.save_paths import check_save_path, check_zarr, write_in_place
from partialpool.results.files.stored_arrays import pack_arrays, unpack_arrays
from partialpool.results.files.stored_fit import restore_fit, store_fit
from partialpool.results.fitted import Fitted
from partialpool.results.selection import every_level, no_level
from partialpool.results.separate import SeparatePosterior

if TYPE_CHECKING:
    import xarray as xr

# The newest format, that of fits with any likelihood and population; earlier releases read the others.
FORMAT_VERSION = 3
_SEVERAL_FACTORS_FORMAT = 2
_ONE_FACTOR_FORMAT = 1
_GROUP = "partialpool"
# Draws kept for ArviZ; u and theta beside them as long as they are not more numbers than this (160 MB).
_N_DRAWS = 4000
_MOST_EFFECT_DRAWS = 2 * 10**7
_HDF5_MARK = b"\x89HDF\r\n\x1a\n"


def save_fitted(posterior: Fitted | SeparatePosterior, path: str | Path) -> Path:
    """Write a fit to a netCDF file (.nc, .netcdf, .h5) or a zarr store (.zarr), whole or not at all; return the path.

    Raises ``OutputError``, before anything is written, for an ending that is neither, a directory that is not there
    or takes no files, something else in the way, and zarr not installed.
    """
    import xarray as xr

    save = check_save_path(path)
    draws = _separate_draws(posterior) if isinstance(posterior, SeparatePosterior) else _population_draws(posterior)
    draws = _make_readable(draws)
    if save.container == "zarr":
        draws = _name_as_files(draws)
    tree = xr.DataTree.from_dict(
        {"posterior": draws.assign_attrs(describe_origin(posterior)), _GROUP: _pack(posterior)}
    )
    if save.container == "zarr":
        # format 2: format 3 has no settled text yet
        write_in_place(save, lambda beside: tree.to_zarr(beside, mode="w", zarr_format=2, consolidated=True))
    else:
        plain = {f"/{_GROUP}": {str(name): {"_FillValue": None} for name in tree[_GROUP].data_vars}}
        write_in_place(save, lambda beside: tree.to_netcdf(beside, engine="h5netcdf", encoding=plain))
    return Path(path)


def load_fitted(path: str | Path) -> Fitted | SeparatePosterior:
    """Read a fit that ``save_posterior`` wrote; it predicts, summarises and draws identically.

    Raises ``OutputError`` for a file that is absent, damaged, something else, or of a newer format.
    """
    place = Path(path).expanduser()
    dataset = _read_group(place)
    _check_format(place, dataset)
    try:
        arrays, metadata = unpack_arrays(dataset)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PartialpoolWarning)  # said at the fit
            return restore_fit(arrays, metadata)
    except (PartialpoolError, KeyError, IndexError, TypeError, ValueError) as error:
        cause = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise OutputError(f"'{place}' is damaged ({cause}): fit again and save again") from error


def _population_draws(posterior: Fitted) -> xr.Dataset:
    """Return the draws that ArviZ opens from the file, effects among them when they are few."""
    every = every_level(posterior)
    with_effects = 2 * _N_DRAWS * count_effects(posterior, every) <= _MOST_EFFECT_DRAWS
    drawn = draw_posterior(posterior, _N_DRAWS, levels=every if with_effects else no_level(posterior))
    return collect_posterior(posterior, drawn, with_effects=with_effects)


def _separate_draws(posterior: SeparatePosterior) -> xr.Dataset:
    """Return the draws that ArviZ opens from the file: fewer where groups are many, there being nothing else."""
    per_draw = posterior.group.n_levels * (len(posterior.group.names) + 1)
    most = max(_MOST_EFFECT_DRAWS // per_draw, N_CHAINS)
    return collect_separate_posterior(posterior, count_whole_chains(min(_N_DRAWS, most)))


def _make_readable(dataset: xr.Dataset) -> xr.Dataset:
    """Return the data set with labels that a file can hold."""
    for name, coordinate in dataset.coords.items():
        if coordinate.dtype.kind == "U":
            shown = [_printable(text) for text in coordinate.values.tolist()]
            dataset = dataset.assign_coords({name: (coordinate.dims, shown, coordinate.attrs)})
    return dataset


def _name_as_files(dataset: xr.Dataset) -> xr.Dataset:
    """Return the data set with names that a directory may have on any system; what was renamed keeps its name as the
    attribute ``parameter``."""
    names = [str(name) for name in dataset.variables]
    renamed = {old: new for old, new in zip(names, make_file_names(names), strict=True) if old != new}
    for old in renamed:
        dataset[old].attrs.setdefault("parameter", old)
    return dataset.rename(renamed)


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def _pack(posterior: Fitted | SeparatePosterior) -> xr.Dataset:
    """Return everything that rebuilds a fit as one data set."""
    attributes = {
        "format_version": _choose_format(posterior),
        "partialpool_version": library_version(),
        "about": "what partialpool.load needs to rebuild the fit; the draws are in the group posterior",
    }
    return pack_arrays(*store_fit(posterior)).assign_attrs(attributes)


def _choose_format(posterior: Fitted | SeparatePosterior) -> int:
    """Return the earliest format that holds a fit."""
    if isinstance(posterior.model, LatentModel):
        return FORMAT_VERSION
    return _SEVERAL_FACTORS_FORMAT if len(posterior.model.design.groups) > 1 else _ONE_FACTOR_FORMAT


def _read_group(path: Path) -> xr.Dataset:
    """Return the package's own group of a file or store, as it was written."""
    import xarray as xr

    if not path.exists():
        raise OutputError(f"'{path}' does not exist: check the path, or save the fit first")
    _check_is_saved_fit(path)
    options: dict[str, Any] = {"consolidated": False} if path.is_dir() else {}
    engine = "zarr" if path.is_dir() else "h5netcdf"
    with (
        _reading(path),
        xr.open_dataset(path, group=_GROUP, engine=engine, decode_cf=False, **options) as dataset,
    ):
        return dataset.load()


def _check_is_saved_fit(path: Path) -> None:
    """Raise ``OutputError`` for what is no file of this kind at all."""
    if path.is_dir():
        check_zarr(path)
        if not (path / _GROUP).is_dir():
            raise OutputError(f"'{path}' is a directory that holds no saved fit: give a path that fit.save wrote")
        return
    with _reading(path):
        with open(path, "rb") as file:
            mark = file.read(len(_HDF5_MARK))
        if mark != _HDF5_MARK:
            raise OutputError(f"'{path}' is not a saved fit (not a netCDF-4 file): give a path that fit.save wrote")
        import h5netcdf

        with h5netcdf.File(path, "r") as content:
            groups = list(content.groups)
    if _GROUP not in groups:
        raise OutputError(
            f"'{path}' is netCDF but not a saved fit (it has no group '{_GROUP}'): give a path that fit.save wrote"
        )


def _check_format(path: Path, dataset: xr.Dataset) -> None:
    version = dataset.attrs.get("format_version")
    if not isinstance(version, int | np.integer):
        raise OutputError(f"'{path}' is damaged (it has no format version): fit again and save again")
    if version > FORMAT_VERSION:
        writer = dataset.attrs.get("partialpool_version", "a newer release")
        raise OutputError(
            f"'{path}' has format {version}, written by partialpool {writer}; this release reads up to "
            f"{FORMAT_VERSION}: upgrade partialpool, or fit again"
        )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say of any failure to read which file it was: on damaged files the readers raise errors of every kind."""
    try:
        yield
    except (PartialpoolError, MemoryError):
        raise
    except PermissionError as error:
        raise OutputError(f"'{path}' cannot be read ({error.strerror}): make it readable") from error
    except Exception as error:
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise OutputError(
            f"'{path}' cannot be read: it is damaged or cut short ({text}): save the fit again"
        ) from error

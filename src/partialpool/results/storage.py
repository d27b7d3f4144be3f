"""Saved fits: what rebuilds a posterior to the last bit, and draws that ArviZ opens from the same file.

A file (netCDF through h5netcdf, or a zarr store) has two groups. ``posterior`` holds draws as ArviZ's schema says.
``partialpool`` holds the observations, the priors in use, and the nodes of the hyperparameters' posterior; loading
builds the design, the model and the sufficient statistics from them again and puts the nodes in place. Nothing is
pickled, and of the formula's text nothing but known functions is evaluated.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import OutputError, PartialpoolError, PartialpoolWarning
from partialpool.inference.cross_products import build_cross_products
from partialpool.inference.engine import Engine
from partialpool.inference.gaussian_marginal import GaussianMarginal
from partialpool.inference.hyper_posterior import HyperPosterior
from partialpool.inputs.design import build_design
from partialpool.inputs.formula import parse_formula
from partialpool.inputs.observations import Observations
from partialpool.inputs.rebuild import observations_from_arrays, observations_to_arrays
from partialpool.models.hyperspace import HyperSpace
from partialpool.models.model import build_model
from partialpool.numerics.grid import Grid
from partialpool.results.arviz_export import collect_posterior, describe_origin, library_version
from partialpool.results.draws import draw_posterior
from partialpool.results.posterior import Posterior
from partialpool.results.save_paths import check_save_path, check_zarr, write_in_place
from partialpool.results.stored_arrays import encode_number, pack_arrays, unpack_arrays

if TYPE_CHECKING:
    import xarray as xr

FORMAT_VERSION = 1
_GROUP = "partialpool"
_OBSERVED = "observations_"
# Draws kept for ArviZ; u and theta beside them as long as they are not more numbers than this (160 MB).
_N_DRAWS = 4000
_MOST_EFFECT_DRAWS = 2 * 10**7
_HDF5_MARK = b"\x89HDF\r\n\x1a\n"

Arrays = dict[str, NDArray[Any]]


def save_posterior(posterior: Posterior, path: str | Path) -> Path:
    """Write a fit to a netCDF file (.nc, .netcdf, .h5) or a zarr store (.zarr), whole or not at all; return the path.

    Raises ``OutputError``, before anything is written, for an ending that is neither, a directory that is not there
    or takes no files, something else in the way, and zarr not installed.
    """
    import xarray as xr

    save = check_save_path(path)
    tree = xr.DataTree.from_dict({"posterior": _readable_draws(posterior), _GROUP: _pack(posterior)})
    if save.container == "zarr":
        # format 2: format 3 has no settled text yet
        write_in_place(save, lambda beside: tree.to_zarr(beside, mode="w", zarr_format=2, consolidated=True))
    else:
        plain = {f"/{_GROUP}": {str(name): {"_FillValue": None} for name in tree[_GROUP].data_vars}}
        write_in_place(save, lambda beside: tree.to_netcdf(beside, engine="h5netcdf", encoding=plain))
    return Path(path)


def load_posterior(path: str | Path) -> Posterior:
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
            return _KINDS[metadata["kind"]](arrays, metadata)
    except (PartialpoolError, KeyError, IndexError, TypeError, ValueError) as error:
        cause = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise OutputError(f"'{place}' is damaged ({cause}): fit again and save again") from error


def _readable_draws(posterior: Posterior) -> xr.Dataset:
    """Return the draws that ArviZ opens from the file, with labels that a file can hold."""
    group = posterior.model.group
    n_numbers = 0 if group is None else 2 * _N_DRAWS * group.n_levels * len(group.names)
    with_effects = n_numbers <= _MOST_EFFECT_DRAWS
    none = np.empty(0, dtype=np.intp)
    drawn = draw_posterior(posterior, _N_DRAWS, groups=None if with_effects else none)
    dataset = collect_posterior(posterior, drawn, with_effects=with_effects)
    for name, coordinate in dataset.coords.items():
        if coordinate.dtype.kind == "U":
            shown = [_printable(text) for text in coordinate.values.tolist()]
            dataset = dataset.assign_coords({name: (coordinate.dims, shown, coordinate.attrs)})
    return dataset.assign_attrs(describe_origin(posterior))


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def _pack(posterior: Posterior) -> xr.Dataset:
    """Return everything that rebuilds a posterior as one data set."""
    observed, observed_metadata = observations_to_arrays(posterior.observations)
    arrays, hyper = _store_hyper(posterior.hyper)
    arrays |= {f"{_OBSERVED}{name}": values for name, values in observed.items()}
    metadata = {
        "kind": "posterior",
        "formula": posterior.formula,
        "priors": {name: repr(prior) for name, prior in posterior.model.priors.items()},
        "pooling": posterior.model.pooling,
        "method": posterior.method,
        "plug_in": posterior.plug_in,
        "seed": int(posterior.seed),
        "observations": observed_metadata,
        "hyper": hyper,
    }
    attributes = {
        "format_version": FORMAT_VERSION,
        "partialpool_version": library_version(),
        "about": "what partialpool.load needs to rebuild the fit; the draws are in the group posterior",
    }
    return pack_arrays(arrays, metadata).assign_attrs(attributes)


def _restore_posterior(arrays: Arrays, metadata: Mapping[str, Any]) -> Posterior:
    """Rebuild a posterior with one population (or none)."""
    observations = _restore_observations(arrays, metadata)
    design = build_design(parse_formula(metadata["formula"]), observations)
    model = build_model(design, metadata["priors"], metadata["pooling"], estimated=metadata["plug_in"])
    cross = build_cross_products(design.measurements, design.population, model.group)
    marginal = GaussianMarginal(cross, model.coefficient_prior)
    hyper = _restore_hyper(model.space, arrays, metadata["hyper"])
    return Posterior(observations, model, marginal, hyper, method=metadata["method"], seed=metadata["seed"])


# One entry for each kind of posterior that can be saved, by the metadata's word for it.
_KINDS = {"posterior": _restore_posterior}


def _restore_observations(arrays: Arrays, metadata: Mapping[str, Any]) -> Observations:
    stored = {name.removeprefix(_OBSERVED): values for name, values in arrays.items() if name.startswith(_OBSERVED)}
    return observations_from_arrays(stored, metadata["observations"])


def _store_hyper(hyper: HyperPosterior) -> tuple[Arrays, dict[str, Any]]:
    """Return nodes, weights and grid as arrays, and the rest of a hyperparameter posterior as JSON."""
    engine = hyper.engine
    arrays: Arrays = {"nodes_weights": hyper.weights}
    if hyper.space.dimension:
        arrays |= {"nodes_coordinates": hyper.coordinates, "nodes_values": hyper.values}
    metadata: dict[str, Any] = {
        "names": list(hyper.space.names),
        "log_marginal_likelihood": encode_number(hyper.log_marginal_likelihood),
        "engine": {
            "route": engine.route,
            "reason": engine.reason,
            "evidence": {name: encode_number(value) for name, value in engine.evidence.items()},
            "status": engine.status,
            "effective_draws": encode_number(engine.effective_draws),
        },
    }
    if (grid := hyper.grid) is not None:
        arrays |= {f"grid_axis_{k}": axis for k, axis in enumerate(grid.axes)}
        arrays["grid_log_density"] = grid.log_density
        metadata["grid"] = {
            "n_axes": len(grid.axes),
            "log_integral": encode_number(grid.log_integral),
            "change_on_doubling": encode_number(grid.change_on_doubling),
            "n_evaluations": int(grid.n_evaluations),
        }
    return arrays, metadata


def _restore_hyper(space: HyperSpace, arrays: Arrays, metadata: Mapping[str, Any]) -> HyperPosterior:
    """Put stored nodes into a rebuilt space."""
    if metadata["names"] != list(space.names):
        raise ValueError(f"its nodes are of {metadata['names']}, the model has {list(space.names)}")
    weights = arrays["nodes_weights"]
    coordinates = arrays["nodes_coordinates"] if space.dimension else np.empty((len(weights), 0))
    record = metadata["engine"]
    engine = Engine(
        record["route"],
        record["reason"],
        {name: float(value) for name, value in record["evidence"].items()},
        record["status"],
        float(record["effective_draws"]),
    )
    grid = None
    if (stored := metadata.get("grid")) is not None:
        grid = Grid(
            axes=tuple(arrays[f"grid_axis_{k}"] for k in range(stored["n_axes"])),
            log_density=arrays["grid_log_density"],
            log_integral=float(stored["log_integral"]),
            change_on_doubling=float(stored["change_on_doubling"]),
            n_evaluations=stored["n_evaluations"],
        )
    hyper = HyperPosterior(space, coordinates, weights, float(metadata["log_marginal_likelihood"]), grid, engine)
    if space.dimension and not np.allclose(hyper.values, arrays["nodes_values"], rtol=1e-9, atol=0.0, equal_nan=True):
        raise ValueError("the rebuilt model gives its nodes other values than they had")
    return hyper


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

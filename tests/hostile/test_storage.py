"""Saving where nothing can be saved, loading what is no saved fit: named, with the remedy, and nothing left behind."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import OutputError
from partialpool.results.files import save_paths, storage

needs_zarr = pytest.mark.skipif(
    importlib.util.find_spec("zarr") is None, reason="zarr is not installed: pip install 'partialpool[zarr]'"
)
not_root = pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="the superuser may write anywhere")

SCHOOLS = {
    "school": list("ABCDEFGH"),
    "effect": [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0],
    "se": [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0],
}


@pytest.fixture(scope="module")
def fit() -> pp.Posterior:
    return pp.fit("effect ~ 1 + (1 | school)", SCHOOLS, standard_error="se")


@pytest.fixture
def saved(fit: pp.Posterior, tmp_path: Path) -> Path:
    return fit.save(tmp_path / "fit.nc")


def refuses(action: Any, path: Path, *words: str) -> None:
    with pytest.raises(OutputError) as caught:
        action(path)
    message = str(caught.value)
    assert str(path) in message
    assert ": " in message
    for word in words:
        assert word in message


# --- saving ---


@pytest.mark.parametrize("name", ["fit", "fit.csv", "fit.pkl", "fit.nc.gz", ".nc", "fit."])
def test_unknown_ending(name: str, fit: pp.Posterior, tmp_path: Path) -> None:
    refuses(fit.save, tmp_path / name, ".nc", ".zarr", "endings")
    assert not list(tmp_path.iterdir())


def test_missing_directory(fit: pp.Posterior, tmp_path: Path) -> None:
    refuses(fit.save, tmp_path / "nowhere" / "fit.nc", "does not exist", "create it")
    assert not list(tmp_path.iterdir())


def test_a_file_where_a_directory_should_be(fit: pp.Posterior, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refuses(fit.save, tmp_path / "file" / "fit.nc", "is not a directory")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["fit.nc", pytest.param("fit.zarr", marks=needs_zarr)])
def test_a_directory_in_the_way(name: str, fit: pp.Posterior, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine").write_text("mine")
    refuses(fit.save, tmp_path / name, "directory is in the way", "another path")
    assert (tmp_path / name / "mine").read_text() == "mine"


@needs_zarr
def test_a_file_in_the_way_of_a_store(fit: pp.Posterior, tmp_path: Path) -> None:
    (tmp_path / "fit.zarr").write_text("mine")
    refuses(fit.save, tmp_path / "fit.zarr", "file is in the way")
    assert (tmp_path / "fit.zarr").read_text() == "mine"


@not_root
def test_a_protected_directory(fit: pp.Posterior, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        refuses(fit.save, tmp_path / "fit.nc", "takes no files")
    finally:
        tmp_path.chmod(0o700)


@not_root
def test_a_protected_file(fit: pp.Posterior, saved: Path) -> None:
    before = saved.read_bytes()
    saved.chmod(0o400)
    refuses(fit.save, saved, "write-protected")
    assert saved.read_bytes() == before


def test_a_directory_that_takes_no_files(fit: pp.Posterior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    refuses(fit.save, tmp_path / "fit.nc", "takes no files (Permission denied)", "another path")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("Unable to flush file")])
def test_a_disk_that_fills_up_leaves_the_old_file(
    error: Exception, fit: pp.Posterior, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import xarray as xr

    def fail(_: Any, target: Path, **__: Any) -> None:
        Path(target).write_bytes(b"half a fi")
        raise error

    before = saved.read_bytes()
    monkeypatch.setattr(xr.DataTree, "to_netcdf", fail)
    refuses(fit.save, saved, "could not be written", "free space")
    assert saved.read_bytes() == before
    assert [entry.name for entry in saved.parent.iterdir()] == ["fit.nc"]


@needs_zarr
def test_an_interrupted_store_leaves_the_old_one(
    fit: pp.Posterior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fit.save(tmp_path / "fit.zarr")
    real = os.replace

    def fail(source: Path, target: Path) -> None:
        if Path(target).name == "fit.zarr" and not list(Path(target).parent.glob("broken")):
            (tmp_path / "broken").touch()
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(save_paths.os, "replace", fail)
    refuses(fit.save, path, "could not be written")
    (tmp_path / "broken").unlink()
    assert pp.load(path).formula == fit.formula
    assert [entry.name for entry in tmp_path.iterdir()] == ["fit.zarr"]


def test_interruption_leaves_nothing(fit: pp.Posterior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import xarray as xr

    def interrupt(_: Any, target: Path, **__: Any) -> None:
        Path(target).write_bytes(b"half a fi")
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.DataTree, "to_netcdf", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit.save(tmp_path / "fit.nc")
    assert not list(tmp_path.iterdir())


def test_zarr_that_is_not_installed(fit: pp.Posterior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save_paths, "find_spec", lambda _: None)
    refuses(fit.save, tmp_path / "fit.zarr", "pip install", ".nc")
    assert not list(tmp_path.iterdir())
    (tmp_path / "fit.zarr").mkdir()
    refuses(pp.load, tmp_path / "fit.zarr", "pip install")


def test_a_link_is_followed_and_kept(fit: pp.Posterior, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "fit.nc"
    link.symlink_to(tmp_path / "real" / "fit.nc")
    fit.save(link)
    assert link.is_symlink()
    assert (tmp_path / "real" / "fit.nc").is_file()
    assert pp.load(link).formula == fit.formula


def test_the_file_has_the_usual_permissions(saved: Path) -> None:
    ordinary = saved.parent / "ordinary"
    ordinary.touch()
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_a_relative_path(fit: pp.Posterior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fit.save("fit.nc") == Path("fit.nc")
    assert pp.load("fit.nc").formula == fit.formula


# --- loading ---


def test_absent_file(tmp_path: Path) -> None:
    refuses(pp.load, tmp_path / "fit.nc", "does not exist", "check the path")


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"CDF\x01" + bytes(200), b"\x80\x04\x95pickle", b"\x89HDF"])
def test_not_netcdf(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "fit.nc"
    path.write_bytes(content)
    refuses(pp.load, path, "not a saved fit", "fit.save")


@pytest.mark.parametrize("fraction", [0.0005, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_cut_short(fraction: float, saved: Path) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(fraction * len(content))])
    refuses(pp.load, saved, "damaged or cut short")


def test_a_netcdf_of_something_else(tmp_path: Path) -> None:
    import xarray as xr

    path = tmp_path / "weather.nc"
    xr.Dataset({"t": ("x", np.arange(3.0))}).to_netcdf(path, engine="h5netcdf")
    refuses(pp.load, path, "not a saved fit", "no group 'partialpool'")


def test_a_group_of_that_name_with_something_else(tmp_path: Path) -> None:
    import xarray as xr

    path = tmp_path / "weather.nc"
    xr.Dataset({"t": ("x", np.arange(3.0))}).to_netcdf(path, engine="h5netcdf", group="partialpool")
    refuses(pp.load, path, "no format version")


def test_a_directory_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "fit.zarr").mkdir()
    refuses(pp.load, tmp_path / "fit.zarr", "holds no saved fit" if importlib.util.find_spec("zarr") else "zarr")


def test_a_newer_format(fit: pp.Posterior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(storage, "_ONE_FACTOR_FORMAT", storage.FORMAT_VERSION + 1)
        path = fit.save(tmp_path / "fit.nc")
    refuses(pp.load, path, f"format {storage.FORMAT_VERSION + 1}", "upgrade partialpool")


def rewrite(path: Path, change: Any) -> None:
    """Save the package's group again after ``change`` to its arrays and metadata, checksum and all."""
    import xarray as xr

    from partialpool.results.files.stored_arrays import pack_arrays, unpack_arrays

    with xr.open_dataset(path, group="partialpool", engine="h5netcdf", decode_cf=False) as dataset:
        dataset = dataset.load()
    arrays, metadata = unpack_arrays(dataset)
    change(arrays, metadata)
    packed = pack_arrays(arrays, metadata)
    packed.attrs |= {name: dataset.attrs[name] for name in ("format_version", "partialpool_version")}
    path.unlink()
    packed.to_netcdf(path, engine="h5netcdf", group="partialpool")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda arrays, metadata: metadata.update(kind="mystery"), "mystery"),
        (lambda arrays, metadata: metadata.pop("formula"), "formula"),
        (lambda arrays, metadata: metadata.update(formula="effect ~ 1 + (1 | state)"), "state"),
        (lambda arrays, metadata: metadata.update(formula="effect ~ ("), "not closed"),
        (lambda arrays, metadata: metadata["priors"].update({"sd(school)": "HalfWrong(2)"}), "HalfWrong"),
        (lambda arrays, metadata: metadata["observations"].update(version=99), "99"),
        (lambda arrays, metadata: arrays.pop("nodes_weights"), "nodes_weights"),
        (lambda arrays, metadata: arrays.pop("observations_response"), "response"),
        (lambda arrays, metadata: arrays["nodes_coordinates"].__iadd__(0.1), "nodes"),
        (lambda arrays, metadata: metadata["hyper"].update(names=["tau"]), "tau"),
    ],
)
def test_content_that_does_not_fit_together(change: Any, word: str, saved: Path) -> None:
    rewrite(saved, change)
    refuses(pp.load, saved, "damaged", word, "save again")


@pytest.mark.parametrize("text", ["__import__('os').remove({!r})", "np.load({!r})", "open({!r}, 'w')", "I(open({!r}))"])
def test_a_formula_from_a_file_runs_no_code(text: str, saved: Path) -> None:
    victim = saved.parent / "victim"
    victim.write_text("mine")
    rewrite(
        saved, lambda arrays, metadata: metadata.update(formula=f"effect ~ {text.format(str(victim))} + (1|school)")
    )
    refuses(pp.load, saved, "damaged")
    assert victim.read_text() == "mine"


def test_flipped_bits_are_noticed_or_harmless(fit: pp.Posterior, saved: Path) -> None:
    """A byte changed in what rebuilds the fit raises; elsewhere (the draws for ArviZ) it changes no answer."""
    content = bytearray(saved.read_bytes())
    table = fit.summary(effects=True)
    response = content.find(np.array(SCHOOLS["effect"]).tobytes())
    assert response > 0
    changed = content.copy()
    changed[response + 6] ^= 0x10
    saved.write_bytes(changed)
    refuses(pp.load, saved, "checksum")
    draws = content.find(fit.draws()["Intercept"][:8].tobytes())
    assert draws > 0
    changed = content.copy()
    changed[draws] ^= 0x01
    saved.write_bytes(changed)
    assert (pp.load(saved).summary(effects=True) == table).all(axis=None)


@needs_zarr
def test_a_store_with_a_piece_missing(fit: pp.Posterior, tmp_path: Path) -> None:
    path = fit.save(tmp_path / "fit.zarr")
    shutil.rmtree(path / "partialpool" / "observations_response")
    refuses(pp.load, path, "damaged")
    fit.save(path)
    (path / "partialpool" / "observations_response" / "0").unlink()  # its one chunk: reads as zeros
    refuses(pp.load, path, "checksum")


# --- names that a system refuses ---


@needs_zarr
def test_a_store_has_no_name_that_windows_refuses(tmp_path: Path) -> None:
    """A nested factor's colon, two names that differ in capitals alone, a device."""
    import xarray as xr

    rng = np.random.default_rng(1)
    data = {name: rng.normal(size=24) for name in ("y", "x", "X", "nul")}
    data |= {"batch": np.repeat(list("abcd"), 6), "cask": np.tile(np.repeat([1, 2, 3], 2), 4)}
    fit = pp.fit("y ~ x + X + nul + (1 | batch/cask)", data, accuracy=0.1)
    path = fit.save(tmp_path / "fit.zarr")
    for folder, folders, files in os.walk(path):
        names = [*folders, *files]
        assert not [name for name in names if set(name) & set('<>:"|?*\\') or name[-1] in ". "], folder
        assert not {name.split(".")[0].lower() for name in names} & {"nul", "con", "aux", "prn"}
        assert len({name.casefold() for name in names}) == len(names)
    loaded = pp.load(path)
    assert loaded.summary().equals(fit.summary())
    with xr.open_datatree(path, engine="zarr", consolidated=False) as tree:
        stored = tree["posterior"].to_dataset()
        real = {str(variable.attrs.get("parameter", name)): name for name, variable in stored.variables.items()}
        draws = fit.draws(4000)
        for name in ("x", "X", "nul", "sd(batch:cask)"):
            np.testing.assert_array_equal(stored[real[name]].values.ravel(), draws[name])
        assert stored[real["u[batch:cask]"]].shape == (4, 1000, 12)

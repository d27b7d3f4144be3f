"""Arrays and JSON as the numeric variables of one data set, and back to the last bit.

Text is stored as UTF-8 bytes and the places where each piece ends, so that any label survives: netCDF's own strings
take no NUL and zarr's are not settled. Whole numbers take the narrowest type that holds them. A checksum covers
everything, because a zarr store with a chunk missing reads as zeros.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

_METADATA = "metadata"
_BYTES, _ENDS = "_bytes", "_ends"


class DamagedError(ValueError):
    """What was read is not what was written."""


def pack_arrays(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> xr.Dataset:
    """Return a data set of the arrays (text, whole numbers, numbers, truth values) and the metadata.

    Keys become names of variables: they hold no slash.
    """
    import xarray as xr

    stored: dict[str, NDArray[Any]] = {_METADATA: _as_bytes(json.dumps(metadata))}
    types = {}
    for name, values in arrays.items():
        if values.dtype.kind == "U":
            stored[name + _BYTES], stored[name + _ENDS] = _split_text(values)
        else:
            types[name] = str(values.dtype)
            stored[name] = _narrow(values)
    variables = {
        name: (tuple(f"{name}_axis_{k}" for k in range(values.ndim)), values, {"was": types.get(name, "")})
        for name, values in stored.items()
    }
    return xr.Dataset(variables, attrs={"checksum": _checksum(stored)})


def unpack_arrays(dataset: xr.Dataset) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the arrays and the metadata that ``pack_arrays`` stored; raises ``DamagedError`` where they differ."""
    stored = {str(name): np.asarray(variable.values) for name, variable in dataset.variables.items()}
    if _METADATA not in stored or int(dataset.attrs.get("checksum", -1)) != _checksum(stored):
        raise DamagedError("its checksum does not fit its content")
    metadata = json.loads(stored.pop(_METADATA).tobytes())
    arrays: dict[str, NDArray[Any]] = {}
    for name, values in stored.items():
        if name.endswith(_BYTES):
            key = name.removesuffix(_BYTES)
            arrays[key] = _join_text(values, stored[key + _ENDS])
        elif not name.endswith(_ENDS):
            arrays[name] = values.astype(np.dtype(str(dataset[name].attrs["was"])))
    return arrays, metadata


def encode_number(value: float) -> float | str:
    """Return a number as JSON holds it: infinities and NaN as text."""
    return float(value) if np.isfinite(value) else repr(float(value))


def _as_bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode("utf-8"), dtype=np.uint8)


def _split_text(values: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return the bytes of all pieces, one after another and a zero behind, and where each ends."""
    pieces = [text.encode("utf-8", "surrogatepass") for text in values.tolist()]
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    return np.frombuffer(b"".join(pieces) + b"\0", dtype=np.uint8), _narrow(ends)


def _join_text(stored: NDArray[Any], ends: NDArray[Any]) -> NDArray[Any]:
    whole, stops = stored.tobytes(), ends.tolist()
    starts = [0, *stops[:-1]]
    pieces = [whole[start:stop] for start, stop in zip(starts, stops, strict=True)]
    return np.array([piece.decode("utf-8", "surrogatepass") for piece in pieces], dtype=str)


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers in the narrowest type, truth values as bytes, numbers as they are."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind not in "iu" or not values.size:
        return np.ascontiguousarray(values)
    kind = np.promote_types(np.min_scalar_type(values.min()), np.min_scalar_type(values.max()))
    return values.astype(kind)


def _checksum(stored: Mapping[str, NDArray[Any]]) -> int:
    total = 0
    for name in sorted(stored):
        values = np.ascontiguousarray(stored[name])
        total = zlib.crc32(f"{name} {values.dtype.str[1:]} {values.shape}".encode(), total)
        total = zlib.crc32(values.data.cast("B") if values.size else b"", total)
    return total

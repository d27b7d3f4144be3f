"""Rebuild: observations as plain arrays, and back, so that a saved fit can predict without pickle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError
from partialpool.inputs.columns.places import join_words
from partialpool.inputs.observations import Categorical, Column, Measurements, Observations
from partialpool.inputs.roles.selection import RowSelection

_MEASURED = ("response", "precision", "counts", "within_squares", "offset", "mean_sizes")
_OF_FAMILIES = ("sizes", "censoring", "upper", "lower_limit", "upper_limit")
_OF_SELECTIONS = ("lower", "upper", "width")
# The least version that knows all that the measurements hold: those of other families, then a selection of objects
_VERSIONS = (1, 2, 3)


def observations_to_arrays(observations: Observations) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return arrays of text, int, float or bool by short keys, and what else is needed as JSON-able values.

    Columns are keyed by their place ("column_0", or "column_0_codes" and "column_0_levels"), because their
    own names may hold any character.
    """
    arrays: dict[str, NDArray[Any]] = {}
    measurements = observations.measurements
    for name in (*_MEASURED, *_OF_FAMILIES):
        values = getattr(measurements, name)
        if values is not None:
            arrays[name] = np.ascontiguousarray(values)
    selection = measurements.selection
    for name in _OF_SELECTIONS if selection is not None else ():
        if (values := getattr(selection, name)) is not None:
            arrays[f"selection_{name}"] = np.ascontiguousarray(values)
    if observations.rows is not None:
        arrays["rows"] = observations.rows
    for place, column in enumerate(observations.columns.values()):
        _store(arrays, f"column_{place}", column)
    for place, factor in enumerate(observations.factors.values()):
        _store(arrays, f"factor_{place}", factor)
    newer = measurements.family != "gaussian" or any(name in arrays for name in _OF_FAMILIES)
    metadata: dict[str, Any] = {
        "version": 3 if selection is not None else 2 if newer else 1,
        "kind": measurements.kind,
        "known_scale": measurements.known_scale,
        "columns": list(observations.columns),
        "factors": list(observations.factors),
        "rows_read": observations.rows_read,
        "rows_dropped": dict(observations.rows_dropped),
        "roles": dict(observations.roles),
    }
    if zones := _list_zones({**observations.columns, **observations.factors}):
        metadata["zones"] = zones
    if selection is not None:
        metadata["selection_rows"] = selection.rule
    if newer:
        classes = measurements.classes
        metadata |= {"family": measurements.family, "classes": None if classes is None else list(classes)}
    return arrays, metadata


def observations_from_arrays(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> Observations:
    """Return the observations that ``observations_to_arrays`` stored; raises ``DataError`` if incomplete."""
    if metadata.get("version") not in _VERSIONS:
        raise DataError(
            f"the stored observations have version {metadata.get('version')}, this release reads "
            f"{join_words(list(map(str, _VERSIONS)))}: refit, or use the release that saved them"
        )
    try:
        return _load(arrays, metadata)
    except KeyError as error:
        raise DataError(f"the stored observations lack {error}: the file is incomplete, save the fit again") from error


def _load(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> Observations:
    stored = (*_MEASURED, *_OF_FAMILIES)
    measured = {name: _as_floats(arrays[name]) if name in arrays else None for name in stored}
    classes = metadata.get("classes")
    response = _as_floats(arrays["response"])
    measurements = Measurements(
        metadata["kind"],
        response,
        measured["precision"],
        measured["counts"],
        measured["within_squares"],
        measured["offset"],
        bool(metadata["known_scale"]),
        metadata.get("family", "gaussian"),
        measured["sizes"],
        np.asarray(arrays["censoring"], dtype=np.intp) if "censoring" in arrays else None,
        measured["upper"],
        measured["lower_limit"],
        measured["upper_limit"],
        None if classes is None else (classes[0], classes[1]),
        _load_selection(arrays, metadata),
        measured["mean_sizes"],
    )
    zones = metadata.get("zones", {})  # absent where moments were text like any other
    columns = {
        name: _restore(arrays, f"column_{place}", zones.get(name, "")) for place, name in enumerate(metadata["columns"])
    }
    factors: dict[str, Categorical] = {}
    for place, name in enumerate(metadata["factors"]):
        factor = _restore(arrays, f"factor_{place}", zones.get(name, ""))
        if not isinstance(factor, Categorical):
            raise KeyError(f"factor_{place}_codes")
        factors[name] = factor
    return Observations(
        columns,
        measurements,
        int(metadata["rows_read"]),
        np.asarray(arrays["rows"], dtype=np.intp) if "rows" in arrays else None,
        dict(metadata["rows_dropped"]),
        factors,
        dict(metadata["roles"]),
    )


def _list_zones(columns: Mapping[str, Column]) -> dict[str, str]:
    return {name: column.zone for name, column in columns.items() if isinstance(column, Categorical) and column.zone}


def _load_selection(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> RowSelection | None:
    if "selection_rows" not in metadata:
        return None
    width = _as_floats(arrays["selection_width"]) if "selection_width" in arrays else None
    lower, upper = _as_floats(arrays["selection_lower"]), _as_floats(arrays["selection_upper"])
    return RowSelection(lower, upper, width, metadata["selection_rows"])


def _store(arrays: dict[str, NDArray[Any]], key: str, column: Column) -> None:
    if isinstance(column, Categorical):
        arrays[f"{key}_codes"] = column.codes
        arrays[f"{key}_levels"] = column.levels
    else:
        arrays[key] = np.ascontiguousarray(column)


def _restore(arrays: Mapping[str, NDArray[Any]], key: str, zone: str) -> Column:
    if key in arrays:
        return _as_floats(arrays[key])
    levels = np.asarray(arrays[f"{key}_levels"])
    if levels.dtype.kind in "OST":
        # netCDF gives text back as objects or bytes
        levels = np.array([value.decode() if isinstance(value, bytes) else str(value) for value in levels.tolist()])
    return Categorical(np.asarray(arrays[f"{key}_codes"], dtype=np.intp), levels, zone)


def _as_floats(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)

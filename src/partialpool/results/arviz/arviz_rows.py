"""Rows as ArviZ reads them: replicates, log densities, what was observed and what is known of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.inputs.columns.labels import Categorical
from partialpool.inputs.designs.design import Design
from partialpool.inputs.observations import Observations
from partialpool.inputs.roles.family_data import find_family
from partialpool.inputs.roles.measurements import Measurements
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.arviz.safe_names import make_safe_names
from partialpool.results.row_predictions import RowPredictions

if TYPE_CHECKING:
    import xarray as xr

# Independent draws are dealt into chains so that ArviZ can compare them.
N_CHAINS = 4
SAMPLE = ("chain", "draw")


def sample_coordinates(n_draws: int) -> dict[str, Any]:
    """Return the coordinates of chains and of draws within them."""
    return {"chain": np.arange(N_CHAINS), "draw": np.arange(n_draws // N_CHAINS)}


def deal(values: FloatArray) -> FloatArray:
    """Deal (draw, ...) into (chain, draw, ...)."""
    return values.reshape(N_CHAINS, -1, *values.shape[1:])


def collect_rows(observations: Observations, design: Design, rows: RowPredictions) -> dict[str, xr.Dataset]:
    """Return replicates and log densities of the fit's rows."""
    import xarray as xr

    name, attributes = response_name(design)
    coordinates = sample_coordinates(len(rows.replicated)) | {"row": row_numbers(observations)}
    return {
        group: xr.Dataset({name: ((*SAMPLE, "row"), deal(values), attributes)}, coords=coordinates)
        for group, values in (
            ("posterior_predictive", _as_counts(rows.replicated, design)),
            ("log_likelihood", rows.log_density),
        )
    }


def response_name(design: Design) -> tuple[str, dict[str, str]]:
    response = design.formula.response.strip("`")
    (name,) = make_safe_names([response], taken=(*SAMPLE, "row"))
    attributes = {"column": response}
    if (classes := design.measurements.classes) is not None:
        attributes |= {"zero": classes[0], "one": classes[1]}
    return name, attributes


def row_numbers(observations: Observations) -> IntArray:
    """Return the positions of the rows in the user's data, counted from 0."""
    rows = observations.rows
    return np.arange(len(observations.measurements.response)) if rows is None else rows


def observed_data(observations: Observations, design: Design) -> xr.Dataset:
    import xarray as xr

    name, attributes = response_name(design)
    response = _as_counts(observations.measurements.response, design)
    return xr.Dataset({name: ("row", response, attributes)}, coords={"row": row_numbers(observations)})


def _as_counts(values: FloatArray, design: Design) -> NDArray[Any]:
    """Return counts as whole numbers where 64 bits hold them all: draws of a wide prior may be larger."""
    if find_family(design.measurements.family).is_count and np.all(np.abs(values) < 2.0**63):
        return np.rint(values).astype(np.int64)
    return values


def constant_data(observations: Observations, design: Design) -> xr.Dataset:
    """Return what is known of each row: its noise, offset, group and covariates."""
    import xarray as xr

    noise = _row_noise(observations.measurements)
    variables: dict[str, Any] = {name: ("row", values) for name, values in noise.items()}
    names = [f"{group.name}_index" for group in design.groups]
    safe = make_safe_names(names, taken=("row", *variables))
    for name, group in zip(safe, design.groups, strict=True):
        variables[name] = ("row", group.codes, {"factor": group.name})
    columns = observations.columns
    safe = make_safe_names(list(columns), taken=("row", *variables))
    for name, (column, values) in zip(safe, columns.items(), strict=True):
        shown = values.levels[values.codes] if isinstance(values, Categorical) else values
        variables[name] = ("row", shown, {"column": column})
    return xr.Dataset(variables, coords={"row": row_numbers(observations)})


def _row_noise(measured: Measurements) -> dict[str, FloatArray]:
    """Return what is known of the rows' noise and sizes, as far as it was given."""
    values: dict[str, FloatArray] = {}
    if measured.precision is not None:
        known = measured.known_scale
        values["standard_error" if known else "weights"] = (
            1.0 / np.sqrt(measured.precision) if known else measured.precision
        )
    summaries = measured.kind == "summaries"
    counts = np.ones(len(measured.response)) if measured.raw_rows is None else measured.raw_rows
    if measured.mean_sizes is not None and (weights := values.pop("weights") / measured.mean_sizes).max() != 1.0:
        values["weights"] = weights
    if summaries or measured.counts is not None:
        values["size" if summaries else "counts"] = counts
    if measured.within_squares is not None:
        with np.errstate(invalid="ignore"):  # one raw row has no sd
            values["sd"] = np.sqrt(measured.within_squares / (counts - 1.0))
    if measured.offset is not None:
        values["offset"] = measured.offset
    return values | _row_limits(measured)


def _row_limits(measured: Measurements) -> dict[str, FloatArray]:
    """Return trials or exposure, codes of censoring with upper ends of intervals, and limits of truncation
    and selection."""
    values: dict[str, FloatArray | IntArray | None] = {
        find_family(measured.family).sizes or "sizes": measured.sizes,
        "censored": measured.censoring,
        "censored_upper": measured.upper,
        "truncation_lower": measured.lower_limit,
        "truncation_upper": measured.upper_limit,
    }
    if (selection := measured.selection) is not None:
        values |= {f"selection_{name}": getattr(selection, name) for name in ("lower", "upper", "width")}
    return {name: np.asarray(column) for name, column in values.items() if column is not None}

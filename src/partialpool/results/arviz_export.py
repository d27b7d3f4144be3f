"""Draws as ArviZ reads them: an ``xarray.DataTree`` with its groups and named coordinates.

Source: the InferenceData schema, https://python.arviz.org/en/latest/schema/schema.html.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError, PartialpoolWarning
from partialpool.inputs.design import GroupDesign
from partialpool.inputs.labels import Categorical
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.draws import PosteriorDraws, draw_posterior, own_coefficients, population_draws
from partialpool.results.row_predictions import predict_own_rows
from partialpool.results.safe_names import make_safe_names

if TYPE_CHECKING:
    import xarray as xr

    from partialpool.results.posterior import Posterior

# Independent draws are dealt into chains so that ArviZ can compare them.
N_CHAINS = 4
_SAMPLE = ("chain", "draw")
# Row-draw products of log densities and of replicates each (400 MB).
_MOST_ROW_DRAWS = 5 * 10**7
# Numbers in u and theta together (3.2 GB).
_MOST_EFFECT_DRAWS = 4 * 10**8


def export_draws(posterior: Posterior, n: int, *, seed: int | None = None) -> xr.DataTree:
    """Return ``n`` independent joint draws, rounded down to a multiple of 4 and dealt into 4 chains.

    Groups: ``posterior`` (population parameters by name; ``u`` and ``theta`` by level of the factor and, where several
    effects vary, coefficient), ``posterior_predictive`` (a replicate of every row), ``log_likelihood`` (of everything
    a row stands for: several raw rows where it has a size or a count), ``observed_data``, ``constant_data``. Draws are
    those of ``Posterior.draws`` with the same ``n`` and ``seed``. A name that ArviZ's files cannot hold, or that is
    taken, is changed; the attribute ``parameter`` or ``column`` keeps it as it was.

    Beyond 5e7 row-draws ``posterior_predictive`` and ``log_likelihood`` are left out with a ``PartialpoolWarning``.

    Raises:
        DataError: ``n`` is below 4, or the groups' effects would not fit in memory.
    """
    import xarray as xr

    n_draws = _whole_chains(n)
    _check_size(posterior, n_draws)
    drawn = draw_posterior(posterior, n_draws, seed)
    groups = {"posterior": collect_posterior(posterior, drawn, with_effects=True)}
    n_rows = len(posterior.model.design.measurements.response)
    if n_rows * n_draws <= _MOST_ROW_DRAWS:
        groups |= _collect_rows(posterior, drawn, seed)
    else:
        warnings.warn(
            f"to_arviz: {n_rows} rows x {n_draws} draws are more than {_MOST_ROW_DRAWS:.0e}: posterior_predictive and "
            f"log_likelihood are left out, the rest is complete; to have them ask for fewer draws, to_arviz(n) with n "
            f"up to {_MOST_ROW_DRAWS // n_rows}",
            PartialpoolWarning,
            stacklevel=3,
        )
    groups["observed_data"] = _observed_data(posterior)
    groups["constant_data"] = _constant_data(posterior)
    attributes = describe_origin(posterior)
    return xr.DataTree.from_dict({name: data.assign_attrs(attributes) for name, data in groups.items()})


def collect_posterior(posterior: Posterior, drawn: PosteriorDraws, *, with_effects: bool) -> xr.Dataset:
    """Return draws of the population's parameters, and of the groups' effects, as a data set (chain, draw, ...)."""
    import xarray as xr

    population = population_draws(posterior, drawn)
    names = make_safe_names(list(population), taken=(*_SAMPLE, "u", "theta", "coefficient"))
    variables: dict[str, Any] = {
        safe: (_SAMPLE, _deal(values), {"parameter": name})
        for safe, (name, values) in zip(names, population.items(), strict=True)
    }
    n_draws = drawn.hyperparameters.shape[1]
    coordinates: dict[str, Any] = {
        "chain": np.arange(N_CHAINS),
        "draw": np.arange(n_draws // N_CHAINS),
    }
    group = posterior.model.group
    if group is not None and with_effects:
        taken = (*_SAMPLE, "u", "theta", "coefficient", *variables)
        (dimension,) = make_safe_names([group.name], taken=taken, suffix="_level")
        coordinates[dimension] = (dimension, _level_labels(group), {"factor": group.name})
        single = group.names == ("Intercept",)
        if not single:
            coordinates["coefficient"] = list(group.names)
        dimensions = (*_SAMPLE, dimension) if single else (*_SAMPLE, dimension, "coefficient")
        theta = drawn.effects + own_coefficients(posterior, drawn)[:, :, None]
        if posterior.model.pooling != "none":
            variables["u"] = (dimensions, _deal_effects(drawn.effects, single))
        variables["theta"] = (dimensions, _deal_effects(theta, single))
    return xr.Dataset(variables, coords=coordinates)


def describe_origin(posterior: Posterior) -> dict[str, str]:
    """Return the attributes of every group: who made it, when, from what."""
    return {
        "created_at": datetime.now(UTC).isoformat(),
        "inference_library": "partialpool",
        "inference_library_version": library_version(),
        "formula": posterior.formula,
        "engine": str(posterior.engine),
    }


def library_version() -> str:
    """Return this package's version; asked for at run time, because the root package imports this one."""
    return str(import_module("partialpool").__version__)


def _whole_chains(n: int) -> int:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < N_CHAINS:
        raise DataError(f"to_arviz: n is {n!r}: give a whole number of draws, at least {N_CHAINS} (one a chain)")
    return int(n) // N_CHAINS * N_CHAINS


def _check_size(posterior: Posterior, n_draws: int) -> None:
    group = posterior.model.group
    per_draw = 0 if group is None else 2 * group.n_levels * len(group.names)
    if n_draws * per_draw > _MOST_EFFECT_DRAWS:
        most = _MOST_EFFECT_DRAWS // per_draw
        raise DataError(
            f"to_arviz: {n_draws} draws of {per_draw} effects (u, theta) are {8e-9 * n_draws * per_draw:.0f} GB: ask "
            f"for at most {most} draws, or use groups() and summary(effects=True), which need no draws"
        )


def _deal(values: FloatArray) -> FloatArray:
    """Deal (draw, ...) into (chain, draw, ...)."""
    return values.reshape(N_CHAINS, -1, *values.shape[1:])


def _deal_effects(effects: FloatArray, single: bool) -> FloatArray:
    """Turn (effect, draw, group) into (chain, draw, group[, effect])."""
    return _deal(effects[0] if single else np.moveaxis(effects, 0, -1))


def _level_labels(group: GroupDesign) -> NDArray[Any]:
    """Return the data's own labels of one column (numbers stay numbers), text for combinations."""
    keys = group.level_keys[0]
    if len(group.level_keys) == 1 and keys.dtype.kind in "iuf":
        return keys
    return np.array(group.labels, dtype=str)


def _collect_rows(posterior: Posterior, drawn: PosteriorDraws, seed: int | None) -> dict[str, xr.Dataset]:
    """Return replicates and log densities of the fit's rows."""
    import xarray as xr

    start = posterior.seed if seed is None else seed
    rng = np.random.default_rng(np.random.SeedSequence(start).spawn(1)[0])  # draws of their own
    model = posterior.model
    rows = predict_own_rows(model.design, model.group, drawn.centres, drawn.effects, drawn.residual_sd, rng)
    name, attributes = _response_name(posterior)
    coordinates = {
        "chain": np.arange(N_CHAINS),
        "draw": np.arange(len(drawn.residual_sd) // N_CHAINS),
        "row": _row_numbers(posterior),
    }
    return {
        group: xr.Dataset({name: ((*_SAMPLE, "row"), _deal(values), attributes)}, coords=coordinates)
        for group, values in (("posterior_predictive", rows.replicated), ("log_likelihood", rows.log_density))
    }


def _response_name(posterior: Posterior) -> tuple[str, dict[str, str]]:
    response = posterior.model.design.formula.response.strip("`")
    (name,) = make_safe_names([response], taken=(*_SAMPLE, "row"))
    return name, {"column": response}


def _row_numbers(posterior: Posterior) -> IntArray:
    """Return the positions of the rows in the user's data, counted from 0."""
    rows = posterior.observations.rows
    return np.arange(len(posterior.model.design.measurements.response)) if rows is None else rows


def _observed_data(posterior: Posterior) -> xr.Dataset:
    import xarray as xr

    name, attributes = _response_name(posterior)
    response = posterior.model.design.measurements.response
    return xr.Dataset({name: ("row", response, attributes)}, coords={"row": _row_numbers(posterior)})


def _constant_data(posterior: Posterior) -> xr.Dataset:
    """Return what is known of each row: its noise, offset, group and covariates."""
    import xarray as xr

    variables: dict[str, Any] = {name: ("row", values) for name, values in _row_noise(posterior).items()}
    design = posterior.model.design
    names = [f"{group.name}_index" for group in design.groups]
    safe = make_safe_names(names, taken=("row", *variables))
    for name, group in zip(safe, design.groups, strict=True):
        variables[name] = ("row", group.codes, {"factor": group.name})
    columns = posterior.observations.columns
    safe = make_safe_names(list(columns), taken=("row", *variables))
    for name, (column, values) in zip(safe, columns.items(), strict=True):
        shown = values.levels[values.codes] if isinstance(values, Categorical) else values
        variables[name] = ("row", shown, {"column": column})
    return xr.Dataset(variables, coords={"row": _row_numbers(posterior)})


def _row_noise(posterior: Posterior) -> dict[str, FloatArray]:
    """Return standard errors, weights, counts or sizes with sds, and the offset, as far as they were given."""
    measured = posterior.model.design.measurements
    values: dict[str, FloatArray] = {}
    if measured.precision is not None:
        known = measured.known_scale
        values["standard_error" if known else "weights"] = (
            1.0 / np.sqrt(measured.precision) if known else measured.precision
        )
    summaries = measured.kind == "summaries"
    counts = np.ones(len(measured.response)) if measured.counts is None else measured.counts
    if summaries or measured.counts is not None:
        values["size" if summaries else "counts"] = counts
    if measured.within_squares is not None:
        with np.errstate(invalid="ignore"):  # one raw row has no sd
            values["sd"] = np.sqrt(measured.within_squares / (counts - 1.0))
    if measured.offset is not None:
        values["offset"] = measured.offset
    return values

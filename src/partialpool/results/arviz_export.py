"""Draws as ArviZ reads them: an ``xarray.DataTree`` with its groups and named coordinates.

Source: the InferenceData schema, https://python.arviz.org/en/latest/schema/schema.html.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError, PartialpoolWarning, warn_user
from partialpool.inputs.design import Design, GroupDesign
from partialpool.inputs.observations import Observations
from partialpool.models.latent_model import LatentModel
from partialpool.numerics.arrays import FloatArray
from partialpool.results.arviz_rows import (
    N_CHAINS,
    SAMPLE,
    collect_rows,
    constant_data,
    deal,
    observed_data,
    sample_coordinates,
)
from partialpool.results.draws import (
    PosteriorDraws,
    count_effects,
    draw_posterior,
    own_coefficients,
    population_draws,
)
from partialpool.results.latent.own_rows import predict_own_latent_rows
from partialpool.results.parameters import effect_kinds
from partialpool.results.row_predictions import RowPredictions, predict_own_rows
from partialpool.results.safe_names import make_safe_names
from partialpool.results.selection import every_level

if TYPE_CHECKING:
    import xarray as xr

    from partialpool.results.posterior import Posterior
    from partialpool.results.separate import SeparatePosterior

# Row-draw products of log densities and of replicates each (400 MB).
_MOST_ROW_DRAWS = 5 * 10**7
# Numbers in u and theta together (3.2 GB).
_MOST_EFFECT_DRAWS = 4 * 10**8


def export_draws(posterior: Posterior, n: int, *, seed: int | None = None) -> xr.DataTree:
    """Return ``n`` independent joint draws, rounded down to a multiple of 4 and dealt into 4 chains.

    Groups: ``posterior`` (population parameters by name; ``u`` and ``theta`` by level of the factor and, where several
    effects vary, coefficient; with several factors ``u[g]`` and ``theta[g]`` of each), ``posterior_predictive`` (a
    replicate of every row), ``log_likelihood`` (of everything a row stands for: several raw rows where it has a size or
    a count), ``observed_data``, ``constant_data``. Draws are those of ``Posterior.draws`` with the same ``n`` and
    ``seed``. A name that ArviZ's files cannot hold, or that is taken, is changed; the attribute ``parameter`` or
    ``column`` keeps it as it was.

    Beyond 5e7 row-draws ``posterior_predictive`` and ``log_likelihood`` are left out with a ``PartialpoolWarning``.

    Raises:
        DataError: ``n`` is below 4, or the groups' effects would not fit in memory.
    """
    n_draws = count_whole_chains(n)
    design, groups = posterior.model.design, posterior.model.groups
    check_effects_fit(2 * count_effects(posterior, every_level(posterior)), n_draws)
    drawn = draw_posterior(posterior, n_draws, seed)

    def predict(rng: np.random.Generator) -> RowPredictions:
        if isinstance(posterior.model, LatentModel):
            return predict_own_latent_rows(posterior, drawn, rng)
        return predict_own_rows(design, groups, drawn.centres, drawn.effects, drawn.residual_sd[:, None], rng)

    return assemble_tree(
        posterior.observations,
        design,
        collect_posterior(posterior, drawn, with_effects=True),
        predict,
        posterior.seed if seed is None else seed,
        describe_origin(posterior),
    )


def assemble_tree(
    observations: Observations,
    design: Design,
    draws: xr.Dataset,
    predict: Callable[[np.random.Generator], RowPredictions],
    seed: int,
    attributes: Mapping[str, str],
) -> xr.DataTree:
    """Put the groups together; ``predict`` gives the rows' replicates and log densities where they are not too many."""
    import xarray as xr

    groups = {"posterior": draws}
    n_rows, n_draws = len(design.measurements.response), draws.sizes["chain"] * draws.sizes["draw"]
    if n_rows * n_draws <= _MOST_ROW_DRAWS:
        rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])  # not the numbers that drew parameters
        groups |= collect_rows(observations, design, predict(rng))
    else:
        warn_user(
            f"to_arviz: {n_rows} rows x {n_draws} draws are more than {_MOST_ROW_DRAWS:.0e}: posterior_predictive and "
            f"log_likelihood are left out, the rest is complete; to have them ask for fewer draws, to_arviz(n) with n "
            f"up to {_MOST_ROW_DRAWS // n_rows}",
            PartialpoolWarning,
        )
    groups["observed_data"] = observed_data(observations, design)
    groups["constant_data"] = constant_data(observations, design)
    return xr.DataTree.from_dict({name: data.assign_attrs(attributes) for name, data in groups.items()})


def collect_posterior(posterior: Posterior, drawn: PosteriorDraws, *, with_effects: bool) -> xr.Dataset:
    """Return draws of the population's parameters, and of the groups' effects, as a data set (chain, draw, ...)."""
    import xarray as xr

    population, groups = population_draws(posterior, drawn), posterior.model.groups
    kinds = effect_kinds(posterior.model)
    reserved = _taken_names(groups, kinds)
    names = make_safe_names(list(population), taken=reserved)
    variables: dict[str, Any] = {
        safe: (SAMPLE, deal(values), {"parameter": name})
        for safe, (name, values) in zip(names, population.items(), strict=True)
    }
    coordinates = sample_coordinates(drawn.hyperparameters.shape[1])
    for factor, group in enumerate(groups if with_effects else ()):
        taken = (*reserved, *variables, *coordinates)
        dimensions, of_effects = effect_coordinates(group, taken, several=len(groups) > 1)
        coordinates |= of_effects
        single, u = len(of_effects) == 1, drawn.effects[factor]
        theta = u + own_coefficients(posterior, drawn, factor)[:, :, None]
        for kind in kinds:
            values = u if kind == "u" else theta if kind == "theta" else posterior.to_response(theta)
            variables[name_effects(kind, group, groups)] = (dimensions, deal_effects(values, single))
    return xr.Dataset(variables, coords=coordinates)


def name_effects(kind: str, group: GroupDesign, groups: Sequence[GroupDesign]) -> str:
    """Return the variable of a factor's effects: 'u', or 'u[g]' where there are several factors."""
    return kind if len(groups) == 1 else make_safe_names([f"{kind}[{group.name}]"])[0]


def _taken_names(groups: Sequence[GroupDesign], kinds: Sequence[str]) -> tuple[str, ...]:
    """Names that population parameters may not have."""
    kinds = tuple(dict.fromkeys(("u", "theta", *kinds)))
    effects = [name_effects(kind, group, groups) for group in groups for kind in kinds]
    return (*SAMPLE, "u", "theta", "coefficient", *effects)


def effect_coordinates(
    group: GroupDesign, taken: Sequence[str], several: bool = False
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the dimensions of an effect's draws and their coordinates: levels and, beside an intercept alone,
    coefficients (of this factor, where there are ``several``)."""
    (dimension,) = make_safe_names([group.name], taken=taken, suffix="_level")
    coordinates: dict[str, Any] = {dimension: (dimension, _level_labels(group), {"factor": group.name})}
    if group.names == ("Intercept",):
        return (*SAMPLE, dimension), coordinates
    inner = "coefficient"
    if several:
        (inner,) = make_safe_names([f"{group.name}_coefficient"], taken=(*taken, dimension))
    coordinates[inner] = list(group.names)
    return (*SAMPLE, dimension, inner), coordinates


def describe_origin(posterior: Posterior | SeparatePosterior) -> dict[str, str]:
    """Return the attributes of every group: who made it, when, from what."""
    origin = {
        "created_at": datetime.now(UTC).isoformat(),
        "inference_library": "partialpool",
        "inference_library_version": library_version(),
        "formula": posterior.formula,
        "engine": str(posterior.engine),
    }
    model = posterior.model
    if isinstance(model, LatentModel):
        origin |= {"family": str(model.family), "link": model.family.link, "population": model.population.name}
    return origin


def library_version() -> str:
    """Return this package's version; asked for at run time, because the root package imports this one."""
    return str(import_module("partialpool").__version__)


def count_whole_chains(n: int) -> int:
    """Return ``n`` rounded down to whole chains; raises ``DataError`` below one draw a chain."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < N_CHAINS:
        raise DataError(f"to_arviz: n is {n!r}: give a whole number of draws, at least {N_CHAINS} (one a chain)")
    return int(n) // N_CHAINS * N_CHAINS


def check_effects_fit(per_draw: int, n_draws: int) -> None:
    """Raise ``DataError`` where so many numbers a draw would fill the memory."""
    if n_draws * per_draw > _MOST_EFFECT_DRAWS:
        raise DataError(
            f"to_arviz: {n_draws} draws of {per_draw} numbers of groups are {8e-9 * n_draws * per_draw:.0f} GB: ask "
            f"for at most {_MOST_EFFECT_DRAWS // per_draw} draws, or use groups() and summary(effects=True), which "
            "need none"
        )


def deal_effects(effects: FloatArray, single: bool) -> FloatArray:
    """Turn (effect, draw, group) into (chain, draw, group[, effect])."""
    return deal(effects[0] if single else np.moveaxis(effects, 0, -1))


def _level_labels(group: GroupDesign) -> NDArray[Any]:
    """Return the data's own labels of one column (numbers stay numbers), text for combinations."""
    keys = group.level_keys[0]
    if len(group.level_keys) == 1 and keys.dtype.kind in "iuf":
        return keys
    return np.array(group.labels, dtype=str)

"""Draws as ArviZ reads them: an ``xarray.DataTree`` with its groups and named coordinates.

Source: the InferenceData schema, https://python.arviz.org/en/latest/schema/schema.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.errors import DataError, PartialpoolWarning, warn_user
from partialpool.inputs.designs.design import Design
from partialpool.inputs.observations import Observations
from partialpool.models.arguments import check_seed
from partialpool.models.latent_model import LatentModel
from partialpool.results.arviz.arviz_groups import LogLikelihood, check_log_likelihood, collect_group_log_likelihood
from partialpool.results.arviz.arviz_names import deal_effects, effect_coordinates, name_effects, taken_names
from partialpool.results.arviz.arviz_priors import collect_log_prior, draw_prior, explain_missing_prior
from partialpool.results.arviz.arviz_rows import (
    N_CHAINS,
    SAMPLE,
    collect_rows,
    constant_data,
    deal,
    observed_data,
    sample_coordinates,
)
from partialpool.results.arviz.safe_names import make_safe_names
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
from partialpool.results.selection import every_level

if TYPE_CHECKING:
    import xarray as xr

    from partialpool.results.fitted import Fitted
    from partialpool.results.separate import SeparatePosterior

# Row-draw products of log densities and of replicates each (400 MB).
_MOST_ROW_DRAWS = 5 * 10**7
# Numbers in u and theta together (3.2 GB).
_MOST_EFFECT_DRAWS = 4 * 10**8


def export_draws(
    posterior: Fitted,
    n: int,
    *,
    seed: int | None = None,
    log_likelihood: LogLikelihood = "rows",
    factor: str | None = None,
) -> xr.DataTree:
    """Return ``n`` independent joint draws, rounded down to a multiple of 4 and dealt into 4 chains.

    Groups: ``posterior`` (population parameters by name; ``u`` and ``theta`` by level of the factor and, where several
    effects vary, coefficient; with several factors ``u[g]`` and ``theta[g]`` of each), ``posterior_predictive`` (a
    replicate of every row), ``log_likelihood`` (of everything a row stands for: several raw rows where it has a size or
    a count; or of groups), ``log_prior`` (by parameter), ``prior`` and ``prior_predictive`` (as many draws),
    ``observed_data``, ``constant_data``. Fitted draws are those of ``Fitted.draws`` with the same ``n`` and
    ``seed``. Counts are whole numbers. A name that ArviZ's files cannot hold, or that is taken, is changed; the
    attribute ``parameter`` or ``column`` keeps it as it was. What does not exist is left out, and the attribute
    ``left_out`` says why.

    Beyond 5e7 row-draws what is by row is left out with a ``PartialpoolWarning``, as is a ``log_likelihood`` of groups
    that does not exist.

    Raises:
        DataError: ``n`` is below 4, an argument is no choice, or the groups' effects would not fit in memory.
    """
    n_draws = count_whole_chains(n)
    check_log_likelihood(log_likelihood, factor)
    n_effects = 2 * count_effects(posterior, every_level(posterior))
    check_effects_fit(n_effects, n_draws)
    drawn = draw_posterior(posterior, n_draws, seed)
    streams = spawn_streams(posterior.seed if seed is None else seed)
    observations, design = posterior.observations, posterior.model.design
    groups, left_out = {"posterior": collect_posterior(posterior, drawn, with_effects=True)}, {}
    by_row = check_rows_fit(len(design.measurements.response), n_draws)
    if by_row:
        groups |= collect_rows(observations, design, predict_posterior_rows(posterior, drawn, next(streams)))
    if log_likelihood == "group":
        groups.pop("log_likelihood", None)
        found = collect_group_log_likelihood(posterior, drawn, factor)
        if isinstance(found, str):
            left_out["log_likelihood"] = found
        else:
            groups["log_likelihood"] = found
    if not posterior.plug_in:
        groups["log_prior"] = collect_log_prior(posterior, drawn)
    missing = explain_missing_prior(posterior) or explain_no_room(n_effects, n_draws)
    if missing:
        left_out["prior, prior_predictive"] = missing
    else:
        imagined = draw_prior(posterior, n_draws, next(streams))
        groups["prior"] = collect_posterior(posterior, imagined, with_effects=True)
        if by_row:
            rows = predict_posterior_rows(posterior, imagined, next(streams))
            groups["prior_predictive"] = collect_rows(observations, design, rows)["posterior_predictive"]
    return join_groups(observations, design, groups, describe_origin(posterior), left_out)


def join_groups(
    observations: Observations,
    design: Design,
    groups: Mapping[str, xr.Dataset],
    attributes: Mapping[str, str],
    left_out: Mapping[str, str],
) -> xr.DataTree:
    """Put the groups together with the data, and say in the attribute ``left_out`` what is missing."""
    import xarray as xr

    data = {"observed_data": observed_data(observations, design), "constant_data": constant_data(observations, design)}
    if "log_likelihood" in left_out:
        warn_user(
            f"to_arviz: log_likelihood='group' is left out, the rest is complete: {left_out['log_likelihood']}",
            PartialpoolWarning,
        )
    if left_out:
        attributes = {**attributes, "left_out": "; ".join(f"{name}: {why}" for name, why in left_out.items())}
    return xr.DataTree.from_dict({name: part.assign_attrs(attributes) for name, part in {**groups, **data}.items()})


def predict_posterior_rows(posterior: Fitted, drawn: PosteriorDraws, rng: np.random.Generator) -> RowPredictions:
    """Return replicates and log densities of the fit's own rows given draws."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # draws of a prior may lie far out
        if isinstance(posterior.model, LatentModel) and drawn.sigmas is None:
            return predict_own_latent_rows(posterior, drawn, rng)
        residual_sd = drawn.points.residual_sd[:, None] if drawn.sigmas is None else drawn.sigmas
        model = posterior.model
        return predict_own_rows(model.design, model.groups, drawn.centres, drawn.effects, residual_sd, rng)


def spawn_streams(seed: int) -> Iterator[np.random.Generator]:
    """Yield generators whose numbers are not those that drew the parameters."""
    return map(np.random.default_rng, np.random.SeedSequence(check_seed(seed)).spawn(3))


def check_rows_fit(n_rows: int, n_draws: int) -> bool:
    """Say whether rows times draws are few enough; warn where they are not."""
    if n_rows * n_draws <= _MOST_ROW_DRAWS:
        return True
    warn_user(
        f"to_arviz: {n_rows} rows x {n_draws} draws are more than {_MOST_ROW_DRAWS:.0e}: what is by row "
        "(posterior_predictive, prior_predictive, log_likelihood) is left out, the rest is complete; to have it ask "
        f"for fewer draws, to_arviz(n) with n up to {_MOST_ROW_DRAWS // n_rows}",
        PartialpoolWarning,
    )
    return False


def explain_no_room(n_effects: int, n_draws: int) -> str:
    """Return why draws of the prior are left out beside so many numbers a draw, '' where there is room."""
    if 2 * n_effects * n_draws <= _MOST_EFFECT_DRAWS:
        return ""
    return f"the groups' effects leave no room: ask for at most {_MOST_EFFECT_DRAWS // (2 * n_effects)} draws"


def collect_posterior(posterior: Fitted, drawn: PosteriorDraws, *, with_effects: bool) -> xr.Dataset:
    """Return draws of the population's parameters, and of the groups' effects, as a data set (chain, draw, ...)."""
    import xarray as xr

    population, groups = population_draws(posterior, drawn), posterior.model.groups
    kinds = effect_kinds(posterior.model)
    reserved = taken_names(groups, kinds)
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
            if kind == "sigma" and drawn.sigmas is not None:
                values = drawn.sigmas[None]
            variables[name_effects(kind, group, groups)] = (dimensions, deal_effects(values, single))
    return xr.Dataset(variables, coords=coordinates)


def describe_origin(posterior: Fitted | SeparatePosterior) -> dict[str, str]:
    """Return the attributes of every group: who made it, when, from what."""
    origin = {
        "created_at": datetime.now(UTC).isoformat(),
        "creation_library": "partialpool",
        "creation_library_version": library_version(),
        "creation_library_language": "Python",
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

"""Draws of groups fitted each on its own, as ArviZ reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.models.slots import get_scalar_prior
from partialpool.numerics.arrays import FloatArray
from partialpool.results.arviz.arviz_export import (
    check_effects_fit,
    check_rows_fit,
    count_whole_chains,
    describe_origin,
    explain_no_room,
    join_groups,
    spawn_streams,
)
from partialpool.results.arviz.arviz_groups import LogLikelihood, check_log_likelihood
from partialpool.results.arviz.arviz_names import deal_effects, effect_coordinates, level_coordinate
from partialpool.results.arviz.arviz_priors import explain_improper, move_intercept, own_log_priors
from partialpool.results.arviz.arviz_rows import SAMPLE, collect_rows, deal, sample_coordinates
from partialpool.results.row_predictions import RowPredictions, predict_own_rows

if TYPE_CHECKING:
    import xarray as xr

    from partialpool.results.separate import SeparatePosterior


def export_separate_draws(
    posterior: SeparatePosterior,
    n: int,
    *,
    seed: int | None = None,
    log_likelihood: LogLikelihood = "rows",
    factor: str | None = None,
) -> xr.DataTree:
    """Return draws as ``export_draws`` does: ``theta`` and ``sigma`` by level of the factor, and no population."""
    n_draws = count_whole_chains(n)
    check_log_likelihood(log_likelihood, factor)
    group, design = posterior.group, posterior.design
    n_own = group.n_levels * (len(group.names) + 1)
    check_effects_fit(n_own, n_draws)
    theta, sigma = _stack_draws(posterior, n_draws, seed)
    streams = spawn_streams(posterior.seed if seed is None else seed)
    groups, left_out = {"posterior": _collect(posterior, theta, sigma)}, {}
    by_row = check_rows_fit(len(design.measurements.response), n_draws)
    if by_row:
        rows = _predict_rows(posterior, theta, sigma, next(streams))
        groups |= collect_rows(posterior.observations, design, rows)
    if log_likelihood == "group":
        groups.pop("log_likelihood", None)
        left_out["log_likelihood"] = "every group is fitted on its own: there is no population that its effects are of"
    groups["log_prior"] = _collect_log_prior(posterior, theta, sigma)
    missing = explain_improper(posterior.model.priors) or explain_no_room(n_own, n_draws)
    if missing:
        left_out["prior, prior_predictive"] = missing
    else:
        imagined = _draw_prior(posterior, n_draws, next(streams))
        groups["prior"] = _collect(posterior, *imagined)
        if by_row:
            rows = _predict_rows(posterior, *imagined, next(streams))
            groups["prior_predictive"] = collect_rows(posterior.observations, design, rows)["posterior_predictive"]
    return join_groups(posterior.observations, design, groups, describe_origin(posterior), left_out)


def _predict_rows(
    posterior: SeparatePosterior, theta: FloatArray, sigma: FloatArray, rng: np.random.Generator
) -> RowPredictions:
    no_population = np.zeros((len(posterior.design.population.names), len(sigma)))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # draws of a prior may lie far out
        return predict_own_rows(posterior.design, (posterior.group,), no_population, (theta,), sigma, rng)


def _draw_prior(posterior: SeparatePosterior, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw theta (coefficient, draw, group) and sigma (draw, group) from their proper priors."""
    priors, group = posterior.model.priors, posterior.group
    shape = (n, group.n_levels)
    theta = [get_scalar_prior(priors, name).quantile(rng.random(shape)) for name in group.names]
    own = move_intercept(posterior.model, group.names, np.stack(theta), to_zero=True)
    return own, get_scalar_prior(priors, "sigma").quantile(rng.random(shape))


def _collect_log_prior(posterior: SeparatePosterior, theta: FloatArray, sigma: FloatArray) -> xr.Dataset:
    import xarray as xr

    group = posterior.group
    stated = move_intercept(posterior.model, group.names, theta)
    both = np.concatenate([stated, sigma[None]])
    names = (*group.names, "sigma")
    dimension, levels = level_coordinate(group, (*SAMPLE, *names))
    variables = own_log_priors(posterior.model.priors, names, both, dimension)
    return xr.Dataset(variables, coords=sample_coordinates(len(sigma)) | {dimension: levels})


def collect_separate_posterior(posterior: SeparatePosterior, n_draws: int) -> xr.Dataset:
    """Return draws of theta and sigma of every group as a data set."""
    return _collect(posterior, *_stack_draws(posterior, n_draws, None))


def _stack_draws(posterior: SeparatePosterior, n_draws: int, seed: int | None) -> tuple[FloatArray, FloatArray]:
    """Return theta (coefficient, draw, group) and sigma (draw, group)."""
    drawn = posterior.draws(n_draws, seed=seed)
    lines = [np.stack([drawn[name] for name in names], axis=1) for names in posterior.line_names()]
    return np.stack(lines[:-1]), lines[-1]


def _collect(posterior: SeparatePosterior, theta: FloatArray, sigma: FloatArray) -> xr.Dataset:
    import xarray as xr

    taken = ("chain", "draw", "theta", "sigma", "coefficient")
    dimensions, coordinates = effect_coordinates(posterior.group, taken)
    variables: dict[str, Any] = {
        "theta": (dimensions, deal_effects(theta, "coefficient" not in coordinates)),
        "sigma": (dimensions[:3], deal(sigma)),
    }
    return xr.Dataset(variables, coords=sample_coordinates(len(sigma)) | coordinates)

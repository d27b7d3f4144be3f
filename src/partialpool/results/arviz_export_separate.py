"""Draws of groups fitted each on its own, as ArviZ reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.numerics.arrays import FloatArray
from partialpool.results.arviz_export import (
    assemble_tree,
    check_effects_fit,
    count_whole_chains,
    deal_effects,
    describe_origin,
    effect_coordinates,
)
from partialpool.results.arviz_rows import deal, sample_coordinates
from partialpool.results.row_predictions import RowPredictions, predict_own_rows

if TYPE_CHECKING:
    import xarray as xr

    from partialpool.results.separate import SeparatePosterior


def export_separate_draws(posterior: SeparatePosterior, n: int, *, seed: int | None = None) -> xr.DataTree:
    """Return draws as ``export_draws`` does: ``theta`` and ``sigma`` by level of the factor, and no population."""
    n_draws = count_whole_chains(n)
    group, design = posterior.group, posterior.design
    check_effects_fit(group.n_levels * (len(group.names) + 1), n_draws)
    theta, sigma = _stack_draws(posterior, n_draws, seed)

    def predict(rng: np.random.Generator) -> RowPredictions:
        no_population = np.zeros((len(design.population.names), n_draws))
        return predict_own_rows(design, (group,), no_population, (theta,), sigma, rng)

    start = posterior.seed if seed is None else seed
    draws = _collect(posterior, theta, sigma)
    return assemble_tree(posterior.observations, design, draws, predict, start, describe_origin(posterior))


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

"""Rows of a latent fit given draws: replicated responses and pointwise log densities, (draw, row)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from partialpool.models.families.base import Family, ResponseColumns
from partialpool.models.latent_model import LatentModel
from partialpool.numerics.arrays import FloatArray
from partialpool.results.latent.selected_rows import select_replicates, share_chances
from partialpool.results.row_predictions import RowPredictions, row_blocks

if TYPE_CHECKING:
    from partialpool.results.draws import PosteriorDraws
    from partialpool.results.fitted import Fitted

# Rounds of drawing again what fell outside a row's truncation limits: what has a chance of 0.1 is then drawn surely.
_ROUNDS = 200


def predict_own_latent_rows(posterior: Fitted, drawn: PosteriorDraws, rng: np.random.Generator) -> RowPredictions:
    """Return replicates and log densities of the fit's own rows.

    A replicate is the response before censoring, within the row's truncation limits and such that its object is
    selected (NaN where it hardly ever is). The log density is of everything that a row stands for, given that it is in
    the data, or its object is: of an object of which any row decides each bears an equal share.
    """
    model = posterior.latent_model
    assert isinstance(model, LatentModel)
    n_draws, n_rows = drawn.coefficients.shape[1], len(model.response.values)
    replicated, log_density = np.empty((n_draws, n_rows)), np.empty((n_draws, n_rows))
    dispersion = _dispersion(posterior, model, drawn)
    counts = model.design.measurements.counts
    for rows in row_blocks(n_draws, n_rows):
        response = model.response.select(np.arange(n_rows)[rows])
        eta = _predictors(model, drawn, rows)
        with np.errstate(all="ignore"):
            own = model.family.log_density(eta, response, dispersion) + model.family.log_constant(response)
        log_density[:, rows] = own if counts is None else own * counts[rows]
        settled = model.family.settle(dispersion, response.zero_columns)
        replicated[:, rows] = _replicate(model.family, eta, response, settled, rng)
    if (selection := model.design.measurements.selection) is not None:
        eta = _predictors(model, drawn, slice(None))
        log_density -= share_chances(model, selection, eta, dispersion)
        select_replicates(model, selection, eta, dispersion, replicated, rng)
    return RowPredictions(replicated, log_density)


def _dispersion(posterior: Fitted, model: LatentModel, drawn: PosteriorDraws) -> tuple[FloatArray, ...]:
    """Return draws of the family's unknown parameters, (draw, 1) each."""
    values = dict(zip(posterior.hyper.space.names, drawn.hyperparameters, strict=True))
    return tuple(values[name][:, None] for name in model.family.dispersions)


def _predictors(model: LatentModel, drawn: PosteriorDraws, rows: slice) -> FloatArray:
    """Return the linear predictors of some rows, (draw, row)."""
    design = model.design
    eta = drawn.centres.T @ design.population.values[rows].T
    for group, own in zip(model.groups, drawn.effects, strict=True):
        for k in range(len(group.names)):
            eta += own[k][:, group.codes[rows]] * group.values[rows, k]
    offset = design.measurements.offset
    return np.asarray(eta if offset is None else eta + offset[rows])


def _replicate(
    family: Family,
    eta: FloatArray,
    response: ResponseColumns,
    dispersion: tuple[FloatArray, ...],
    rng: np.random.Generator,
) -> FloatArray:
    """Draw responses (draw, row), again and again those that truncation would have left out."""
    errors = None if response.standard_errors is None else np.broadcast_to(response.standard_errors, eta.shape)
    spread = tuple(np.broadcast_to(values, eta.shape) for values in dispersion)
    sizes = np.broadcast_to(response.sizes, eta.shape)
    with np.errstate(all="ignore"):
        values = np.asarray(family.draw(eta, sizes, errors, spread, rng), dtype=float)
        if response.lower_limit is None or response.upper_limit is None:
            return values
        for _ in range(_ROUNDS):
            outside = (values < response.lower_limit) | (values > response.upper_limit)
            if not outside.any():
                return values
            some = tuple(value[outside] for value in spread)
            own_errors = None if errors is None else errors[outside]
            values[outside] = family.draw(eta[outside], sizes[outside], own_errors, some, rng)
    values[(values < response.lower_limit) | (values > response.upper_limit)] = np.nan
    return values

"""Replicates and log densities of rows whose objects were selected."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from partialpool.inference.quadrature.selected import read_limits
from partialpool.inputs.roles.selection import RowSelection, find_first_rows
from partialpool.models.families.selection import log_chance, log_miss, place_limits
from partialpool.models.latent_model import LatentModel
from partialpool.numerics.arrays import FloatArray, IntArray

# Rounds of drawing again the rows of objects that would not have been selected: what has a chance of 0.1 is then drawn
# surely.
_ROUNDS = 200


def share_chances(
    model: LatentModel, selection: RowSelection, eta: FloatArray, dispersion: tuple[FloatArray, ...]
) -> FloatArray:
    """Return the log chance of each object given its own value, at the rows that decide (draw, row): where any row
    decides in equal shares."""
    limits, codes = read_limits(model, selection), model.design.groups[0].codes
    counts = model.design.measurements.counts
    repeats = np.ones(len(codes)) if counts is None else counts
    with np.errstate(all="ignore"):
        if selection.rule == "any":
            missed = np.zeros((len(eta), model.design.groups[0].n_levels))
            np.add.at(missed.T, codes, (repeats * log_miss(model.family, eta, limits, dispersion)).T)
            return np.log(-np.expm1(missed))[:, codes] / np.bincount(codes)[codes]
        passed = log_chance(model.family, eta, limits, dispersion)
    return passed * (_is_first(codes) if selection.rule == "first" else repeats)


def select_replicates(
    model: LatentModel,
    selection: RowSelection,
    eta: FloatArray,
    dispersion: tuple[FloatArray, ...],
    replicated: FloatArray,
    rng: np.random.Generator,
) -> None:
    """Draw rows (draw, row) again, in place, until their objects would have been selected; NaN where they hardly ever
    are."""
    codes, errors = model.design.groups[0].codes, model.response.standard_errors
    failed = _fail(model, selection, replicated, codes, rng)
    for _ in range(_ROUNDS):
        draws, rows = np.nonzero(failed)
        if not len(rows):
            return
        some = tuple(np.broadcast_to(value, eta.shape)[draws, rows] for value in dispersion)
        own = None if errors is None else errors[rows]
        replicated[draws, rows] = model.family.draw(eta[draws, rows], model.response.sizes[rows], own, some, rng)
        failed &= _fail(model, selection, replicated, codes, rng)
    replicated[failed] = np.nan


def _fail(
    model: LatentModel, selection: RowSelection, values: FloatArray, codes: IntArray, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Say which values (draw, row) keep their objects from being selected."""
    if selection.width is None:
        passed = (values >= selection.lower) & (values <= selection.upper)
    else:
        lower, upper, placed = (place_limits(model.family, part) for part in (selection.lower, selection.upper, values))
        distance = np.where(np.isfinite(lower), placed - lower, upper - placed)
        passed = rng.random(values.shape) < ndtr(distance / selection.width)
    if selection.rule == "any":
        any_passed = np.zeros((len(values), codes.max() + 1), dtype=bool)
        np.logical_or.at(any_passed.T, codes, passed.T)
        return ~any_passed[:, codes]
    return ~passed & _is_first(codes) if selection.rule == "first" else ~passed


def _is_first(codes: IntArray) -> NDArray[np.bool_]:
    first = np.zeros(len(codes), dtype=bool)
    first[find_first_rows(codes)] = True
    return first

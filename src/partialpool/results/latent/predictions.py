"""Predictions of latent models for new rows, each labelled for what it is, on either scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool.inference.conjugate.marginal import ConjugateMarginal
from partialpool.inference.hyper.hyper_posterior import draw_hyperparameters
from partialpool.inputs.designs.new_rows import NewRows
from partialpool.models.own_sigma import count_noise_moments, has_own_sigma
from partialpool.models.propriety.response_tails import (
    count_response_moments,
    count_row_moments,
    explain_few,
    explain_missing,
)
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.latent.effects import gather_nodes
from partialpool.results.latent.own_sigmas import settle_at_draws
from partialpool.results.latent.population_draws import count_moments, draw_population, expectation_is_infinite
from partialpool.results.latent.population_moments import GivenMoments, moments_over_population, show_rows
from partialpool.results.latent.row_moments import NewGroupMoments, RowMoments, new_group_moments, observe, sum_moments
from partialpool.results.notes import note_support
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.prediction_lines import (
    GROUP_MEAN,
    NEW_GROUP_MEAN,
    NEW_GROUP_OBSERVATION,
    NEW_OBSERVATION,
    name_labels,
)
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

POPULATION_AVERAGE = "population average"
AT_THE_AVERAGE = "at the average"
# Joint draws that predictions are made of: they estimate a mean to 0.008 of its sds.
_N_DRAWS = 16_000
# Rows whose counts under a conjugate pair have exact quantiles, and the seconds that a node of one takes.
_MOST_EXACT, _SECONDS_A_ROW = 1000, 4e-6
# Numbers of a block of rows and draws.
_BLOCK = 2**22


# Quantities that a new group's draw spreads.
_OF_NEW_GROUPS = (NEW_GROUP_MEAN, NEW_GROUP_OBSERVATION)
# Those that are responses.
_OBSERVATIONS = (NEW_OBSERVATION, NEW_GROUP_OBSERVATION)
# Quantities whose mean is taken over the population.
_OVER_POPULATION = (NEW_GROUP_MEAN, NEW_GROUP_OBSERVATION, POPULATION_AVERAGE)


class _Draws(NamedTuple):
    """Joint draws of hyperparameters, coefficients (coefficient, draw) and effects of the levels at hand, for each
    factor (effect, draw, level), with the codes of these levels, and their ``sigmas`` (draw, level), None where groups
    have no own; ``fresh`` are each factor's effects of a new group
    (effect, draw). All rows share them, and the ``seed`` of their responses: equal rows have equal numbers."""

    points: HyperPoints
    coefficients: FloatArray
    effects: tuple[FloatArray, ...]
    levels: tuple[IntArray, ...]
    sigmas: FloatArray | None
    fresh: tuple[FloatArray, ...]
    seed: int


class _Lines(NamedTuple):
    """Lines of one quantity: the rows that have one, mean, sd (line,) and quantiles (line, probability), and which of
    the first two ``few`` nodes carry (line, moment)."""

    quantity: str
    rows: IntArray
    mean: FloatArray
    sd: FloatArray
    few: NDArray[np.bool_]
    quantiles: FloatArray
    codes: IntArray


def predict_latent_rows(posterior: Fitted, rows: NewRows, *, quantiles: Sequence[float], scale: str) -> Table:
    """Return the predictions for new rows as a table."""
    probabilities = check_quantiles(quantiles)
    groups = rows.groups if posterior.latent_model.groups else ()
    codes = np.stack([group.codes for group in groups], axis=1) if groups else np.empty((rows.n_rows, 0), np.intp)
    rng = np.random.default_rng(posterior.seed)
    drawn = _draw(posterior, codes, rng)
    parts: list[_Lines] = []
    size = max(1, _BLOCK // _N_DRAWS)
    for start in range(0, rows.n_rows, size):
        which = np.arange(start, min(start + size, rows.n_rows), dtype=np.intp)
        parts += _predict_block(posterior, rows, codes, which, drawn, probabilities, scale)
    return replace(_arrange(posterior, rows, parts, quantiles), notes=_note(posterior, parts, scale))


def _note(posterior: Fitted, parts: list[_Lines], scale: str) -> tuple[str, ...]:
    """Return what stands below the lines: why moments are missing, and what quantiles are among."""
    reasons = []
    absent = any(bool(np.any(np.isnan(part.sd) & ~part.few[:, 1])) for part in parts)
    if scale == "response" and not posterior.plug_in and absent:
        reasons.append(count_response_moments(posterior.latent_model).reason or explain_missing(posterior.latent_model))
    if any(bool(part.few.any()) for part in parts):
        reasons.append(explain_few(posterior.latent_model))
    return (*(f"-: {reason}" for reason in reasons), *note_support(posterior))


def _draw(posterior: Fitted, codes: IntArray, rng: np.random.Generator) -> _Draws:
    levels = tuple(np.unique(column[column >= 0]).astype(np.intp) for column in codes.T)
    if posterior.plug_in and not posterior.hyper.space.dimension:
        points = posterior.hyper.points.select(np.zeros(_N_DRAWS, dtype=np.intp))
    else:
        points = draw_hyperparameters(posterior.hyper, _N_DRAWS, rng)[1]
    effects, sigmas = posterior.latent.draw_groups(points, list(levels), rng) if levels else ((), None)
    fresh: tuple[FloatArray, ...] = ()
    if posterior.latent_model.pooling != "none":
        factors = range(len(posterior.latent_model.groups))
        fresh = tuple(draw_population(posterior, k, points, 1, rng)[:, 0] for k in factors)
    coefficients = posterior.order_coefficients(points)
    return _Draws(points, coefficients, effects, levels, sigmas, fresh, int(rng.integers(2**62)))


def _predict_block(
    posterior: Fitted,
    rows: NewRows,
    codes: IntArray,
    which: IntArray,
    drawn: _Draws,
    probabilities: FloatArray,
    scale: str,
) -> list[_Lines]:
    """Return the lines of some rows."""
    base = rows.population[which] @ drawn.coefficients
    if rows.offset is not None:
        base = base + rows.offset[which, None]
    block = codes[which]
    of_known = base + _effects_of_known(rows, which, block, drawn)
    eta = of_known + _effects_of_new(rows, which, block < 0, drawn)
    known = np.all(block >= 0, axis=1)
    lines: list[_Lines] = []

    def add(
        quantity: str, mask: NDArray[np.bool_], values: FloatArray, line_codes: IntArray, moments: RowMoments
    ) -> None:
        if mask.any():
            line = _summarise(
                quantity, which[mask], values[mask], moments.select(mask), probabilities, line_codes[mask]
            )
            lines.append(_count_exactly(posterior, rows, _without_missing(posterior, line, scale), probabilities))

    def shown(values: FloatArray) -> FloatArray:
        return show_rows(posterior, rows, which, values, drawn.points, scale)

    observed = scale == "response" and _noise_is_known(posterior, rows)
    pooled = bool(posterior.latent_model.groups) and posterior.latent_model.pooling != "none"
    new = new_group_moments(posterior, rows, which, scale, observed) if pooled else None
    mean, observation = _moments_of_rows(posterior, rows, which, of_known, block, drawn, scale, observed, new)
    add(GROUP_MEAN, known, shown(eta), block, mean)
    add(NEW_GROUP_MEAN, ~known, shown(eta), block, mean)
    if observation is not None:
        responses = _draw_responses(posterior, rows, which, block, eta, drawn)
        add(NEW_OBSERVATION, known, responses, block, observation)
        add(NEW_GROUP_OBSERVATION, ~known, responses, block, observation)
    if new is not None:
        fresh = np.full_like(block, -1)
        if new.observation is not None and known.any():
            eta = base + _effects_of_new(rows, which, fresh < 0, drawn)
            responses = _draw_responses(posterior, rows, which, fresh, eta, drawn)
            add(NEW_GROUP_OBSERVATION, known, responses, fresh, new.observation)
        average = moments_over_population(posterior, rows, which, base, drawn.points, scale).mean
        everywhere = np.ones(len(which), dtype=bool)
        add(POPULATION_AVERAGE, everywhere, average, fresh, new.average)
        if not posterior.latent_model.replaces_intercept:
            add(AT_THE_AVERAGE, everywhere, shown(base), fresh, new.at_average)
    return lines


def _moments_of_rows(
    posterior: Fitted,
    rows: NewRows,
    which: IntArray,
    of_known: FloatArray,
    codes: IntArray,
    drawn: _Draws,
    scale: str,
    observed: bool,
    new: NewGroupMoments | None,
) -> tuple[RowMoments, RowMoments | None]:
    """Return the moments of rows' means and observations as they are: over draws of known levels' effects, which
    ``of_known`` (row, draw) holds, and over nodes where all levels are new."""
    unseen = codes < 0
    every_new = np.logical_and(unseen.any(axis=1), unseen.all(axis=1))
    if new is not None and every_new.all():
        return new.mean, new.observation
    weights = np.full(drawn.points.n_nodes, 1.0 / drawn.points.n_nodes)
    values = show_rows(posterior, rows, which, of_known, drawn.points, scale)
    given = GivenMoments(values, np.zeros_like(values))
    judged = unseen.any(axis=1) & ~every_new
    if judged.any():
        mixed = moments_over_population(
            posterior, rows, which[judged], of_known[judged], drawn.points, scale, unseen[judged]
        )
        given.mean[judged], given.variance[judged] = mixed
    mean = sum_moments(given, weights, judged)
    observation = None
    if observed:
        noisy = observe(posterior, rows, which, given, settle_at_draws(posterior, rows, which, codes, drawn))
        observation = sum_moments(noisy, weights, judged)
    if new is None:
        return mean, observation
    if observation is not None and new.observation is not None:
        observation = new.observation.where(every_new, observation)
    return new.mean.where(every_new, mean), observation


def _count_exactly(posterior: Fitted, rows: NewRows, line: _Lines, probabilities: FloatArray) -> _Lines:
    """Return lines of observations with the exact quantiles of their counts, where a conjugate pair has these."""
    exact = posterior.latent
    if not isinstance(exact, ConjugateMarginal) or line.quantity not in _OBSERVATIONS or len(line.rows) > _MOST_EXACT:
        return line
    sizes = np.ones(len(line.rows)) if rows.sizes is None else rows.sizes[line.rows]
    nodes = gather_nodes(posterior.hyper, _SECONDS_A_ROW * len(line.rows), 1)
    counts = exact.predict_counts(nodes.points, nodes.weights, line.codes[:, 0], sizes, probabilities)
    return line._replace(quantiles=counts)


def _effects_of_known(rows: NewRows, which: IntArray, codes: IntArray, drawn: _Draws) -> FloatArray:
    """Return the part of the linear predictor (row, draw) that known levels have."""
    total = np.zeros((len(which), drawn.points.n_nodes))
    for k, own in enumerate(codes.T):
        known = own >= 0
        if known.any():
            places = np.searchsorted(drawn.levels[k], own[known])
            values = rows.groups[k].values[which[known]]
            total[known] += np.einsum("re,enr->rn", values, drawn.effects[k][:, :, places])
    return total


def _effects_of_new(rows: NewRows, which: IntArray, new: NDArray[np.bool_], drawn: _Draws) -> FloatArray:
    """Return the part of the linear predictor (row, draw) that ``new`` levels (row, factor) have: all the same draw."""
    total = np.zeros((len(which), drawn.points.n_nodes))
    for k, own in enumerate(new.T):
        if own.any():
            total[own] += rows.groups[k].values[which[own]] @ drawn.fresh[k]
    return total


def _noise_is_known(posterior: Fitted, rows: NewRows) -> bool:
    """Say whether new observations can be drawn: where the fit had trials or exposures they need their own, with known
    standard errors one of these."""
    sizes = posterior.latent_model.design.measurements.sizes
    if sizes is not None and rows.sizes is None and np.any(sizes != 1.0):
        return False
    return posterior.latent_model.response.standard_errors is None or rows.precision is not None


def _draw_responses(
    posterior: Fitted,
    rows: NewRows,
    which: IntArray,
    codes: IntArray,
    eta: FloatArray,
    drawn: _Draws,
) -> FloatArray:
    """Draw one response for each row, of groups ``codes`` (row, factor), and draw: every row from the same random
    numbers."""
    family = posterior.latent_model.family
    sizes = np.ones(len(which)) if rows.sizes is None else rows.sizes[which]
    errors = None if rows.precision is None else rows.precision[which, None] ** -0.5
    settled = settle_at_draws(posterior, rows, which, codes, drawn)
    responses = np.empty_like(eta)
    with np.errstate(over="ignore"):
        for i, own in enumerate(eta):
            size = np.broadcast_to(sizes[i], own.shape)
            error = None if errors is None else errors[i]
            at_row = tuple(part[i] if part.ndim == 2 else part for part in settled)
            responses[i] = family.draw(own, size, error, at_row, np.random.default_rng(drawn.seed))
    return responses


def _summarise(
    quantity: str,
    rows: IntArray,
    values: FloatArray,
    moments: RowMoments,
    probabilities: FloatArray,
    codes: IntArray,
) -> _Lines:
    discrete = quantity in _OBSERVATIONS and bool(np.all(values == np.rint(values)))
    method = "inverted_cdf" if discrete else "linear"
    if np.isinf(values).all():
        found = np.full((len(rows), len(probabilities)), np.nan)  # a mean that exists nowhere has no quantiles either
    else:
        found = np.quantile(values, probabilities, axis=1, method=method).T  # type: ignore[call-overload]
    return _Lines(quantity, rows, *moments, found, codes)


def _without_missing(posterior: Fitted, line: _Lines, scale: str) -> _Lines:
    """Return lines with as many moments as they have: those that do not exist are NaN."""
    if scale == "response":
        existing = _count_moments(posterior, line.quantity, line.codes)
    elif line.quantity in _OF_NEW_GROUPS:
        existing = np.full(len(line.rows), count_moments(posterior))
    else:
        return line
    exists = existing[:, None] >= (1, 2)
    return line._replace(
        mean=np.where(exists[:, 0], line.mean, np.nan),
        sd=np.where(exists[:, 1], line.sd, np.nan),
        few=line.few & exists,
    )


def _count_moments(posterior: Fitted, quantity: str, codes: IntArray) -> IntArray:
    """Count the moments of a quantity on the response's scale for each line, of groups ``codes`` (line, factor)."""
    model = posterior.latent_model
    if posterior.plug_in:
        few = quantity in _OVER_POPULATION and expectation_is_infinite(posterior)
        return np.full(len(codes), 0 if few else 2)
    counted = count_response_moments(model)
    existing = np.full(len(codes), 2)
    if quantity in (GROUP_MEAN, NEW_OBSERVATION):
        existing = count_row_moments(model, codes) if model.groups else existing
    elif quantity == AT_THE_AVERAGE:
        existing = np.full(len(codes), counted.at_average)
    else:
        existing = np.full(len(codes), counted.average if quantity == POPULATION_AVERAGE else counted.new_group)
        if model.family.link == "identity" and quantity in _OF_NEW_GROUPS:
            existing = np.minimum(existing, count_moments(posterior))
    if quantity in _OBSERVATIONS:
        existing = np.minimum(existing, counted.observation)
        if has_own_sigma(model):
            existing = np.minimum(existing, count_noise_moments(model, codes[:, 0]))
    return existing


def _arrange(posterior: Fitted, rows: NewRows, parts: list[_Lines], quantiles: Sequence[float]) -> Table:
    """Put the lines of one row next to each other."""
    where = np.concatenate([part.rows for part in parts])
    order = np.argsort(where, kind="stable")
    heads = quantile_columns(quantiles)
    taken = {"group_is", "new_levels", "quantity", "mean", "sd", *heads}
    columns: dict[str, Any] = {}
    codes = np.concatenate([part.codes for part in parts])[order]
    groups = rows.groups if posterior.latent_model.groups else ()
    for group in groups:
        columns[name_labels(group.name, taken)] = [group.labels[i] for i in where[order]]
    if len(groups) == 1:
        columns["group_is"] = ["known" if code >= 0 else "new" for code in codes[:, 0]]
    elif groups:
        names = [group.name for group in groups]
        columns["new_levels"] = [
            ", ".join(name for name, code in zip(names, line, strict=True) if code < 0) for line in codes
        ]
    quantity = np.concatenate([np.full(len(part.rows), part.quantity, dtype=object) for part in parts])
    columns["quantity"] = list(quantity[order])
    columns["mean"] = np.concatenate([part.mean for part in parts])[order]
    columns["sd"] = np.concatenate([part.sd for part in parts])[order]
    values = np.concatenate([part.quantiles for part in parts])[order]
    columns |= {head: values[:, k] for k, head in enumerate(heads)}
    return Table(("row",), (where[order].tolist(),), columns)

"""Predictions of latent models for new rows, each labelled for what it is, on either scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.inference.conjugate.marginal import ConjugateMarginal
from partialpool.inference.hyper.hyper_posterior import draw_hyperparameters
from partialpool.inputs.designs.new_rows import NewRows, read_new_rows
from partialpool.models.propriety.response_tails import count_response_moments, count_row_moments, explain_missing
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.latent.effects import gather_nodes
from partialpool.results.latent.population_draws import (
    average_over_population,
    count_moments,
    draw_population,
    expectation_is_infinite,
)
from partialpool.results.notes import note_support
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.prediction import (
    GROUP_MEAN,
    NEW_GROUP_MEAN,
    NEW_GROUP_OBSERVATION,
    NEW_OBSERVATION,
    name_labels,
)
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.results.latent.posterior import LatentPosterior

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
# Quantities whose mean is taken over the population.
_OVER_POPULATION = (NEW_GROUP_MEAN, NEW_GROUP_OBSERVATION, POPULATION_AVERAGE)


class _Draws(NamedTuple):
    """Joint draws of hyperparameters, coefficients (coefficient, draw) and effects of the levels at hand, for each
    factor (effect, draw, level), with the codes of these levels."""

    points: HyperPoints
    coefficients: FloatArray
    effects: tuple[FloatArray, ...]
    levels: tuple[IntArray, ...]


class _Lines(NamedTuple):
    """Lines of one quantity: the rows that have one, and mean, sd (line,) and quantiles (line, probability)."""

    quantity: str
    rows: IntArray
    mean: FloatArray
    sd: FloatArray
    quantiles: FloatArray
    codes: IntArray


def predict_latent_rows(
    posterior: LatentPosterior,
    new_data: Any,
    *,
    quantiles: Sequence[float],
    standard_error: Any,
    offset: Any,
    trials: Any,
    exposure: Any,
    scale: str,
) -> Table:
    """Return the predictions of ``LatentPosterior.predict`` as a table."""
    posterior.check_scale(scale)
    probabilities = check_quantiles(quantiles)
    rows = read_new_rows(
        posterior.model.design, new_data, standard_error=standard_error, offset=offset, trials=trials, exposure=exposure
    )
    groups = rows.groups if posterior.model.groups else ()
    codes = np.stack([group.codes for group in groups], axis=1) if groups else np.empty((rows.n_rows, 0), np.intp)
    if posterior.model.pooling == "none" and np.any(codes < 0):
        row = int(np.flatnonzero(codes[:, 0] < 0)[0])
        raise DataError(
            f"row {row + 1} is of the unseen group '{groups[0].labels[row]}': without pooling nothing is known of a "
            "new group; fit with pooling='partial'"
        )
    rng = np.random.default_rng(posterior.seed)
    drawn = _draw(posterior, codes, rng)
    parts: list[_Lines] = []
    size = max(1, _BLOCK // _N_DRAWS)
    for start in range(0, rows.n_rows, size):
        which = np.arange(start, min(start + size, rows.n_rows), dtype=np.intp)
        parts += _predict_block(posterior, rows, codes, which, drawn, probabilities, scale, rng)
    table = replace(_arrange(posterior, rows, parts, quantiles), notes=note_support(posterior))
    if scale == "response" and not posterior.plug_in and np.any(np.isnan(table.columns["sd"])):
        reason = count_response_moments(posterior.model).reason or explain_missing(posterior.model)
        return replace(table, notes=(f"-: {reason}",))
    return table


def _draw(posterior: LatentPosterior, codes: IntArray, rng: np.random.Generator) -> _Draws:
    levels = tuple(np.unique(column[column >= 0]).astype(np.intp) for column in codes.T)
    if posterior.plug_in and not posterior.hyper.space.dimension:
        points = posterior.hyper.points.select(np.zeros(_N_DRAWS, dtype=np.intp))
    else:
        points = draw_hyperparameters(posterior.hyper, _N_DRAWS, rng)[1]
    effects = posterior.latent.draw_effects(points, list(levels), rng) if levels else ()
    return _Draws(points, posterior.order_coefficients(points), effects, levels)


def _predict_block(
    posterior: LatentPosterior,
    rows: NewRows,
    codes: IntArray,
    which: IntArray,
    drawn: _Draws,
    probabilities: FloatArray,
    scale: str,
    rng: np.random.Generator,
) -> list[_Lines]:
    """Return the lines of some rows."""
    base = rows.population[which] @ drawn.coefficients
    if rows.offset is not None:
        base = base + rows.offset[which, None]
    block = codes[which]
    eta = base + _effects_of(posterior, rows, which, block, drawn, rng)
    known = np.all(block >= 0, axis=1)
    lines: list[_Lines] = []
    exact = posterior.latent if isinstance(posterior.latent, ConjugateMarginal) else None

    def add(quantity: str, mask: FloatArray, values: FloatArray, line_codes: IntArray) -> None:
        if not mask.any():
            return
        line = _summarise(quantity, which[mask], values[mask], probabilities, line_codes[mask])
        if scale == "response":
            line = _with_moments(line, _count_moments(posterior, quantity, line.codes))
        elif quantity in _OF_NEW_GROUPS:
            line = _with_moments(line, np.full(len(line.rows), count_moments(posterior)))
        if exact is not None and quantity in (NEW_OBSERVATION, NEW_GROUP_OBSERVATION) and mask.sum() <= _MOST_EXACT:
            sizes = np.ones(len(line.rows)) if rows.sizes is None else rows.sizes[line.rows]
            nodes = gather_nodes(posterior.hyper, _SECONDS_A_ROW * len(line.rows), 1)
            counts = exact.predict_counts(nodes.points, nodes.weights, line.codes[:, 0], sizes, probabilities)
            line = line._replace(quantiles=counts)
        lines.append(line)

    def shown(values: FloatArray) -> FloatArray:
        return posterior.to_response(values) if scale == "response" else values

    observed = scale == "response" and _noise_is_known(posterior, rows)
    add(GROUP_MEAN, known, shown(eta), block)
    add(NEW_GROUP_MEAN, ~known, shown(eta), block)
    if observed:
        responses = _draw_responses(posterior, rows, which, eta, drawn, rng)
        add(NEW_OBSERVATION, known, responses, block)
        add(NEW_GROUP_OBSERVATION, ~known, responses, block)
    if posterior.model.groups and posterior.model.pooling != "none":
        fresh = np.full_like(block, -1)
        if observed:
            new = base + _effects_of(posterior, rows, which, fresh, drawn, rng)
            add(NEW_GROUP_OBSERVATION, known, _draw_responses(posterior, rows, which, new, drawn, rng), fresh)
        average = average_over_population(posterior, rows, which, base, drawn.points, scale)
        everywhere = np.ones(len(which), dtype=bool)
        add(POPULATION_AVERAGE, everywhere, average, fresh)
        if not posterior.model.replaces_intercept:
            add(AT_THE_AVERAGE, everywhere, shown(base), fresh)
    return lines


def _effects_of(
    posterior: LatentPosterior,
    rows: NewRows,
    which: IntArray,
    codes: IntArray,
    drawn: _Draws,
    rng: np.random.Generator,
) -> FloatArray:
    """Return the effects' part of the linear predictor (row, draw): known levels' own, new ones' drawn; rows of one
    unseen label share its draw."""
    total = np.zeros((len(which), drawn.points.n_nodes))
    for k, _ in enumerate(posterior.model.groups):
        values = rows.groups[k].values[which]
        own = codes[:, k]
        known = own >= 0
        if known.any():
            places = np.searchsorted(drawn.levels[k], own[known])
            total[known] += np.einsum("re,enr->rn", values[known], drawn.effects[k][:, :, places])
        if not known.all():
            labels = np.array([rows.groups[k].labels[i] for i in which[~known]])
            distinct, place = np.unique(labels, return_inverse=True)
            fresh = draw_population(posterior, k, drawn.points, len(distinct), rng)
            total[~known] += np.einsum("re,ern->rn", values[~known], fresh[:, place.ravel()])
    return total


def _noise_is_known(posterior: LatentPosterior, rows: NewRows) -> bool:
    """Say whether new observations can be drawn: where the fit had trials or exposures they need their own, with known
    standard errors one of these."""
    sizes = posterior.model.design.measurements.sizes
    if sizes is not None and rows.sizes is None and np.any(sizes != 1.0):
        return False
    return posterior.model.response.standard_errors is None or rows.precision is not None


def _draw_responses(
    posterior: LatentPosterior,
    rows: NewRows,
    which: IntArray,
    eta: FloatArray,
    drawn: _Draws,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw one response for each row and draw."""
    family = posterior.model.family
    sizes = np.ones(len(which)) if rows.sizes is None else rows.sizes[which]
    errors = None if rows.precision is None else rows.precision[which, None] ** -0.5
    extras = drawn.points.extras
    dispersion = () if extras is None else tuple(extras[: posterior.model.n_dispersions])
    with np.errstate(over="ignore"):
        return family.draw(eta, np.broadcast_to(sizes[:, None], eta.shape), errors, dispersion, rng)


def _summarise(quantity: str, rows: IntArray, values: FloatArray, probabilities: FloatArray, codes: IntArray) -> _Lines:
    discrete = quantity in (NEW_OBSERVATION, NEW_GROUP_OBSERVATION) and bool(np.all(values == np.rint(values)))
    method = "inverted_cdf" if discrete else "linear"
    if np.isinf(values).all():
        nothing = np.full(len(rows), np.nan)  # a mean that does not exist at any point has no quantiles either
        return _Lines(quantity, rows, nothing, nothing, np.full((len(rows), len(probabilities)), np.nan), codes)
    found = np.quantile(values, probabilities, axis=1, method=method).T  # type: ignore[call-overload]
    with np.errstate(over="ignore"):  # where a moment that does not exist is left out
        return _Lines(quantity, rows, values.mean(axis=1), values.std(axis=1), found, codes)


def _with_moments(line: _Lines, existing: IntArray) -> _Lines:
    """Return a line with as many moments (line,) as it has: those that do not exist are NaN."""
    return line._replace(mean=np.where(existing >= 1, line.mean, np.nan), sd=np.where(existing >= 2, line.sd, np.nan))


def _count_moments(posterior: LatentPosterior, quantity: str, codes: IntArray) -> IntArray:
    """Count the moments of a quantity on the response's scale for each line, of groups ``codes`` (line, factor)."""
    model = posterior.model
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
    if quantity in (NEW_OBSERVATION, NEW_GROUP_OBSERVATION):
        existing = np.minimum(existing, counted.observation)
    return existing


def _arrange(posterior: LatentPosterior, rows: NewRows, parts: list[_Lines], quantiles: Sequence[float]) -> Table:
    """Put the lines of one row next to each other."""
    where = np.concatenate([part.rows for part in parts])
    order = np.argsort(where, kind="stable")
    heads = quantile_columns(quantiles)
    taken = {"group_is", "new_levels", "quantity", "mean", "sd", *heads}
    columns: dict[str, Any] = {}
    codes = np.concatenate([part.codes for part in parts])[order]
    groups = rows.groups if posterior.model.groups else ()
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

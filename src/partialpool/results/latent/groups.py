"""The tables of groups: raw, completely and partially pooled estimates, on either scale."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from partialpool.errors import DataError, PriorWarning
from partialpool.inference.hyper.mixture import MixtureSummary
from partialpool.inference.run_quadrature import run_latent_engine
from partialpool.models.families.base import Family
from partialpool.models.own_sigma import has_own_sigma
from partialpool.models.populations.normal import NormalPopulation
from partialpool.models.propriety.response_tails import explain_missing
from partialpool.numerics.arrays import FloatArray
from partialpool.results.groups import index_by_group
from partialpool.results.latent.effects import EffectsSummary, count_own_moments, hold_nodes, summarise_with_weights
from partialpool.results.latent.own_sigmas import pool_sigma_completely
from partialpool.results.latent.raw import estimate_latent_raw
from partialpool.results.notes import note_groups
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.results.latent.posterior import LatentPosterior

# Those that ``groups`` has where no others are asked for.
_QUANTILES = (0.05, 0.5, 0.95)


def tabulate_latent_groups(
    posterior: LatentPosterior, factor: str | None, *, quantiles: Sequence[float] | None, scale: str
) -> Table:
    """Return n, size, raw, raw_sd, mean, sd, quantiles and weight of every group (and effect) of a factor; the median
    is among the quantiles, where none are asked for, if some mean or sd does not exist."""
    place = posterior.check_factor(factor)
    group = posterior.model.groups[place]
    kind = choose_kind(posterior, place, scale)
    missing = _lacks_moments(posterior, place, kind)
    if quantiles is None:
        quantiles = (0.05, 0.5, 0.95) if missing else (0.05, 0.95)
    probabilities = check_quantiles(quantiles)
    summary, weights = _summarise(posterior, place, kind, probabilities)
    raw = estimate_latent_raw(posterior, place, "response" if kind != "theta" else "linear")
    rows = posterior.latent.group_rows(place)
    columns: dict[str, FloatArray] = {"n": np.tile(rows, len(group.names)).astype(int)}
    sizes = posterior.model.design.measurements.sizes
    if sizes is not None:
        counts = posterior.model.design.measurements.counts
        total = np.bincount(group.codes, weights=sizes if counts is None else sizes * counts, minlength=group.n_levels)
        whole = np.all(total == np.rint(total))
        columns["size"] = np.tile(total.astype(int) if whole else total, len(group.names))
    columns |= {"raw": raw.mean.ravel(), "raw_sd": raw.sd.ravel()}
    columns |= {"mean": summary.mean.ravel(), "sd": summary.sd.ravel()}
    for k, name in enumerate(quantile_columns(quantiles)):
        columns[name] = summary.quantiles[:, :, k].ravel()
    columns["weight"] = weights.ravel()
    if has_own_sigma(posterior.model):
        columns["sigma"] = summarise_with_weights(posterior, place, ("sigma",), np.empty(0)).summary.mean.ravel()
    return _explain(posterior, place, index_by_group(group, columns), missing)


def summarise_by_default(posterior: LatentPosterior) -> tuple[EffectsSummary, ...]:
    """Summarise every factor's deviations and, on the response's scale where there is one, its groups' own values."""
    factors = range(len(posterior.model.groups))
    kinds = [("u", choose_kind(posterior, factor, "response")) for factor in factors]
    held, levels = hold_nodes(posterior, factors), np.array(_QUANTILES)
    return tuple(summarise_with_weights(posterior, k, kinds[k], levels, held[k]) for k in factors)


def _summarise(posterior: LatentPosterior, factor: int, kind: str, probabilities: FloatArray) -> EffectsSummary:
    """Summarise groups' own values. With several factors raw estimates ask for the effects of all, so that what tables
    have by default is computed once, with these."""
    by_default = kind == choose_kind(posterior, factor, "response") and set(probabilities.tolist()) <= set(_QUANTILES)
    if len(posterior.model.groups) == 1 or not by_default:
        return summarise_with_weights(posterior, factor, (kind,), probabilities)
    found, n_effects = posterior.effect_summaries[factor], len(posterior.model.groups[factor].names)
    places = [_QUANTILES.index(level) for level in probabilities.tolist()]
    own = MixtureSummary(*(part[n_effects:] for part in found.summary))
    return EffectsSummary(own._replace(quantiles=own.quantiles[..., places]), found.weights)


def compare_latent_pooling(posterior: LatentPosterior, factor: str | None, *, scale: str) -> Table:
    """Return none (raw), complete and partial estimates of every group with their sds, and the weight."""
    place = posterior.check_factor(factor)
    group = posterior.model.groups[place]
    kind = choose_kind(posterior, place, scale)
    raw = estimate_latent_raw(posterior, place, "response" if kind != "theta" else "linear")
    missing = _lacks_moments(posterior, place, kind)
    partial, weights = summarise_with_weights(posterior, place, (kind,), np.array([0.5] if missing else []))
    mean, sd = _pool_completely(posterior, place, kind)
    columns = {
        "none": raw.mean.ravel(),
        "none_sd": raw.sd.ravel(),
        "complete": np.repeat(mean, group.n_levels),
        "complete_sd": np.repeat(sd, group.n_levels),
        "partial": partial.mean.ravel(),
        "partial_sd": partial.sd.ravel(),
    }
    if missing:
        columns["partial_q50"] = partial.quantiles.ravel()
    columns["weight"] = weights.ravel()
    return _explain(posterior, place, index_by_group(group, columns), missing)


def _lacks_moments(posterior: LatentPosterior, factor: int, kind: str) -> bool:
    """Say whether the mean or the sd of some group does not exist."""
    return kind != "theta" and bool(np.any(count_own_moments(posterior, factor) < 2))


def _explain(posterior: LatentPosterior, factor: int, table: Table, missing: bool) -> Table:
    """Add below a table what is to be said of its groups, and why numbers do not exist where some are ``missing``."""
    notes = (f"-: {explain_missing(posterior.model)}",) if missing else ()
    return replace(table, notes=notes + note_groups(posterior, factor))


def choose_kind(posterior: LatentPosterior, factor: int, scale: str) -> str:
    """Return 'theta' on the linear scale and with slopes, else 'p', 'rate' or 'mean'."""
    posterior.check_scale(scale)
    if scale == "linear" or posterior.model.groups[factor].names != ("Intercept",):
        return "theta"
    return posterior.model.family.response_name


def _pool_completely(posterior: LatentPosterior, factor: int, kind: str) -> tuple[FloatArray, FloatArray]:
    """Fit the same rows without a factor; return mean and sd of each effect's coefficient."""
    from partialpool.results.latent.posterior import LatentPosterior

    model = posterior.model
    if has_own_sigma(model):
        return pool_sigma_completely(posterior)
    others = tuple(group for k, group in enumerate(model.groups) if k != factor)
    own = model.groups[factor].name
    kept = {
        name: p
        for name, p in model.priors.items()
        if name in model.design.population.names or name in _family(model.family)
    }
    kept |= {
        name: p for name, p in model.priors.items() if name.startswith("sd(") and name[3:-1] in {g.name for g in others}
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PriorWarning)  # said when the fit itself was made
        outcome = run_latent_engine(
            replace(model.design, groups=others) if others else model.design,
            model.family,
            NormalPopulation(),
            kept,
            pooling="partial" if others else "complete",
            method="auto",
            estimator=None,
        )
    if own in {group.name for group in others}:
        raise DataError(f"two factors are called {own}")
    complete = LatentPosterior(posterior.observations, *outcome, method="auto", seed=posterior.seed)
    columns = posterior.theta_columns(factor)
    coefficients = complete.order_coefficients(complete.hyper.value_points)
    values = columns.T @ coefficients
    if kind != "theta":
        values = posterior.to_response(values)
    weights = complete.hyper.value_weights
    mean = values @ weights
    away = np.abs(values - mean[:, None])
    largest = np.maximum(away.max(axis=1), np.finfo(float).tiny)  # squares of rates far outside the data overflow
    return mean, largest * np.sqrt((away / largest[:, None]) ** 2 @ weights)


def _family(family: Family) -> tuple[str, ...]:
    return family.dispersions

"""No pooling, complete pooling and partial pooling of the same groups side by side."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from partialpool.errors import DataError, PriorWarning
from partialpool.inference.choose import Outcome, run_engine
from partialpool.inference.run_quadrature import run_latent_engine
from partialpool.models.own_sigma import has_own_sigma
from partialpool.models.populations.normal import NormalPopulation
from partialpool.models.priors import Prior
from partialpool.numerics.arrays import FloatArray
from partialpool.results.effects import summarise_own_values
from partialpool.results.fitted import Fitted
from partialpool.results.groups import choose_kind, explain, index_by_group, lacks_moments
from partialpool.results.latent.own_sigmas import pool_sigma_completely
from partialpool.results.raw_estimates import estimate_raw
from partialpool.results.summary import summarise
from partialpool.results.table import Table


def compare_pooling(posterior: Fitted, factor: str | None, *, scale: str = "response") -> Table:
    """Return none (raw), complete and partial estimates of every group with their sds, and the weight; the median of
    the latter where its mean or sd does not exist."""
    place = posterior.check_factor(factor)
    group = posterior.model.groups[place]
    kind = choose_kind(posterior, place, scale)
    missing = lacks_moments(posterior, place, kind)
    raw = estimate_raw(posterior, place, kind)
    partial, weights = summarise_own_values(posterior, place, kind, np.array([0.5] if missing else []))
    if posterior.leaves_in_closed_form:
        mean, sd = _pool_completely(posterior, place)
    else:
        mean, sd = _pool_latent_completely(posterior, place, kind)
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
    return explain(posterior, place, index_by_group(group, columns), missing)


def _pool_completely(posterior: Fitted, factor: int) -> tuple[FloatArray, FloatArray]:
    """Fit the same rows without a factor, under the same priors; return mean and sd of each effect's coefficient."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PriorWarning)  # said when the fit itself was made
        outcome = _fit_without(posterior, factor)
    complete = replace(posterior, model=outcome.model, marginal=outcome.marginal, hyper=outcome.hyper)
    table = summarise(complete, effects=False, quantiles=(0.5,))
    # an effect of no population column deviates from 0
    lines = {name: (table.columns["mean"][k], table.columns["sd"][k]) for k, name in enumerate(table.index[0])}
    values = np.array([lines.get(name, (0.0, 0.0)) for name in posterior.model.groups[factor].names])
    return values[:, 0], values[:, 1]


def _fit_without(posterior: Fitted, factor: int) -> Outcome:
    model = posterior.model
    if len(model.groups) == 1:
        return run_engine(model.design, model.priors, pooling="complete", method="auto", estimator=None)
    others = tuple(group for k, group in enumerate(model.groups) if k != factor)
    design = replace(model.design, groups=others)
    if posterior.plug_in:
        return run_engine(design, None, pooling="partial", method="empirical_bayes", estimator=_estimator(posterior))
    priors = _without_factor(model.priors, model.groups[factor].name)
    return run_engine(design, priors, pooling="partial", method="auto", estimator=None)


def _without_factor(priors: Mapping[str, Prior], factor: str) -> dict[str, Prior]:
    """Return the priors but those of a factor's sds and correlations."""
    own = tuple(f"{kind}({factor}{end}" for kind in ("sd", "cor") for end in (")", ","))
    return {name: prior for name, prior in priors.items() if not name.startswith(own)}


def _estimator(posterior: Fitted) -> str:
    """Return the likelihood that an empirical Bayes fit maximised."""
    return "ml" if "log likelihood" in posterior.engine.evidence else "reml"


def _pool_latent_completely(posterior: Fitted, factor: int, kind: str) -> tuple[FloatArray, FloatArray]:
    """Fit the same rows without a factor; return mean and sd of each effect's coefficient."""
    model = posterior.latent_model
    if has_own_sigma(model):
        return pool_sigma_completely(posterior)
    others = tuple(group for k, group in enumerate(model.groups) if k != factor)
    own = model.groups[factor].name
    kept = {
        name: p
        for name, p in model.priors.items()
        if name in model.design.population.names or name in model.family.dispersions
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
    complete = Fitted(posterior.observations, *outcome, method="auto", seed=posterior.seed)
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

"""No pooling, complete pooling and partial pooling of the same groups side by side."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from partialpool.errors import PriorWarning
from partialpool.inference.choose import Outcome, run_engine
from partialpool.models.priors import Prior
from partialpool.numerics.arrays import FloatArray
from partialpool.results.effects import summarise_effects
from partialpool.results.groups import index_by_group
from partialpool.results.notes import note_groups
from partialpool.results.pooling_weights import average_weights
from partialpool.results.raw_estimates import estimate_raw
from partialpool.results.summary import summarise
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.results.posterior import Posterior


def compare_pooling(posterior: Posterior, factor: str | None) -> Table:
    """Return none (raw), complete and partial estimates of every group with their sds, and the weight."""
    place = posterior.check_factor(factor)
    group = posterior.model.groups[place]
    raw = estimate_raw(posterior, place)
    partial = summarise_effects(posterior, place, ("theta",), np.empty(0))
    complete_mean, complete_sd = _pool_completely(posterior, place)
    columns = {
        "none": raw.mean.ravel(),
        "none_sd": raw.sd.ravel(),
        "complete": np.repeat(complete_mean, group.n_levels),
        "complete_sd": np.repeat(complete_sd, group.n_levels),
        "partial": partial.mean.ravel(),
        "partial_sd": partial.sd.ravel(),
        "weight": average_weights(posterior, place).ravel(),
    }
    return replace(index_by_group(group, columns), notes=note_groups(posterior, place))


def _pool_completely(posterior: Posterior, factor: int) -> tuple[FloatArray, FloatArray]:
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


def _fit_without(posterior: Posterior, factor: int) -> Outcome:
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


def _estimator(posterior: Posterior) -> str:
    """Return the likelihood that an empirical Bayes fit maximised."""
    return "ml" if "log likelihood" in posterior.engine.evidence else "reml"

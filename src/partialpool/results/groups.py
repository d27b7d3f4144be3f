"""The table of groups: raw and partially pooled estimates, intervals and pooling weights."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from partialpool.errors import PriorWarning
from partialpool.inference.choose import run_engine
from partialpool.inference.gaussian_marginal import CoefficientConditional
from partialpool.inference.group_posterior import pooling_weights_given_nodes, raw_estimates
from partialpool.inference.mixture_summary import MixtureSummary, choose_nodes
from partialpool.numerics.arrays import FloatArray
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.summary import summarise, summarise_effects
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.inputs.design import GroupDesign
    from partialpool.results.posterior import Posterior

# Nodes over which pooling weights are averaged: they vary slowly.
_WEIGHT_NODES = 512


class RawEstimates(NamedTuple):
    """Each group's own estimate of each effect and its sd, (effect, group); NaN where its rows do not determine it."""

    mean: FloatArray
    sd: FloatArray


def tabulate_groups(posterior: Posterior, factor: str | None, *, quantiles: Sequence[float]) -> Table:
    """Return n, raw, raw_sd, mean, sd, quantiles and weight of every group (and effect)."""
    posterior.check_factor(factor)
    probabilities = check_quantiles(quantiles)
    group = _group(posterior)
    summary = summarise_effects(posterior, ("theta",), probabilities)
    raw = estimate_raw(posterior)
    weights = average_weights(posterior)
    columns = {
        "n": np.tile(posterior.marginal.cross.group_rows, len(group.names)).astype(int),
        "raw": raw.mean.ravel(),
        "raw_sd": raw.sd.ravel(),
        "mean": summary.mean.ravel(),
        "sd": summary.sd.ravel(),
    }
    for k, name in enumerate(quantile_columns(quantiles)):
        columns[name] = summary.quantiles[:, :, k].ravel()
    columns["weight"] = weights.ravel()
    return _by_group(group, columns)


def compare_pooling(posterior: Posterior, factor: str | None) -> Table:
    """Return none (raw), complete and partial estimates of every group with their sds, and the weight."""
    posterior.check_factor(factor)
    group = _group(posterior)
    raw = estimate_raw(posterior)
    partial: MixtureSummary = summarise_effects(posterior, ("theta",), np.empty(0))
    complete_mean, complete_sd = _complete_pooling(posterior, group)
    columns = {
        "none": raw.mean.ravel(),
        "none_sd": raw.sd.ravel(),
        "complete": np.repeat(complete_mean, group.n_levels),
        "complete_sd": np.repeat(complete_sd, group.n_levels),
        "partial": partial.mean.ravel(),
        "partial_sd": partial.sd.ravel(),
        "weight": average_weights(posterior).ravel(),
    }
    return _by_group(group, columns)


def estimate_raw(posterior: Posterior) -> RawEstimates:
    """Estimate each group alone by least squares; columns that do not vary by group keep their posterior means.

    The sd holds both the group's own noise and the posterior uncertainty of those columns' coefficients.
    """
    group, hyper, cross = _group(posterior), posterior.hyper, posterior.marginal.cross
    conditional = posterior.conditional
    mean = conditional.mean @ hyper.weights
    shift = conditional.shift @ hyper.weights
    shifted = conditional.basis @ mean - shift
    coefficients = np.linalg.solve(cross.scaling.population, shifted + cross.scaling.reference)
    residual_sd = float(hyper.weights @ hyper.points.residual_sd)
    common, covariance = _common_coefficients(posterior, conditional)
    means, sds = [], []
    for k in range(len(group.names)):
        own, sd, slopes = raw_estimates(cross, shifted, float(coefficients @ posterior.theta_columns[:, k]), k, common)
        sd = sd * residual_sd
        if common and not posterior.plug_in:
            sd = np.sqrt(sd**2 + np.maximum(np.sum(slopes * (covariance @ slopes), axis=0), 0.0))
        means.append(own)
        sds.append(sd)
    return RawEstimates(np.array(means), np.array(sds))


def _common_coefficients(posterior: Posterior, conditional: CoefficientConditional) -> tuple[list[int], FloatArray]:
    """Return which coefficients of the formula do not vary by group, and their posterior covariance."""
    hyper, prior, names = posterior.hyper, posterior.marginal.coefficient_prior, posterior.model.design.population.names
    varying = _group(posterior).names
    common = [i for i, name in enumerate(names) if name not in varying]
    means = np.zeros((len(names), len(hyper.weights)))
    within = np.zeros((len(names), len(names)))
    integrated = list(prior.integrated)
    means[integrated] = conditional.coefficient_mean
    averaged = conditional.covariance @ hyper.weights
    within[np.ix_(integrated, integrated)] = conditional.back @ averaged @ conditional.back.T
    means[list(prior.sampled)] = hyper.points.coefficients
    spread = means - (means @ hyper.weights)[:, None]
    covariance = within + (spread * hyper.weights) @ spread.T
    return common, covariance[np.ix_(common, common)]


def average_weights(posterior: Posterior) -> FloatArray:
    """Return the posterior mean of the pooling weight of each effect and group, (effect, group)."""
    cross, group = posterior.marginal.cross, _group(posterior)
    if posterior.model.pooling == "none":
        return np.ones((len(group.names), group.n_levels))
    subset = choose_nodes(posterior.hyper, _WEIGHT_NODES)
    points = posterior.hyper.points.select(subset.nodes)
    length = max(1, 2**20 // len(subset.nodes))
    weights = np.empty((len(group.names), cross.n_classes))
    for start in range(0, cross.n_classes, length):
        part = slice(start, min(start + length, cross.n_classes))
        given = pooling_weights_given_nodes(cross, points, part)
        weights[:, part] = np.einsum("n,knc->kc", subset.weights, given)
    return weights[:, cross.class_of]


def _complete_pooling(posterior: Posterior, group: GroupDesign) -> tuple[FloatArray, FloatArray]:
    """Fit the same rows without groups, under the same priors; return mean and sd of each effect's coefficient."""
    model = posterior.model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PriorWarning)  # said when the fit itself was made
        outcome = run_engine(model.design, model.priors, pooling="complete", method="auto", estimator=None)
    complete = replace(posterior, model=outcome.model, marginal=outcome.marginal, hyper=outcome.hyper)
    table = summarise(complete, effects=False, quantiles=(0.5,))
    # an effect of no population column deviates from 0
    lines = {name: (table.columns["mean"][k], table.columns["sd"][k]) for k, name in enumerate(table.index[0])}
    values = np.array([lines.get(name, (0.0, 0.0)) for name in group.names])
    return values[:, 0], values[:, 1]


def _group(posterior: Posterior) -> GroupDesign:
    if posterior.model.group is None:
        raise ValueError("a fit without groups has no table of groups")
    return posterior.model.group


def _by_group(group: GroupDesign, columns: dict[str, FloatArray]) -> Table:
    """Index lines by group, and by effect where there are several (lines then run over groups first)."""
    keys = group.level_keys[0] if len(group.level_keys) == 1 else np.array(group.labels, dtype=object)
    if group.names == ("Intercept",):
        return Table((group.name,), (keys,), columns)
    n_effects = len(group.names)
    order = np.arange(n_effects * group.n_levels).reshape(n_effects, group.n_levels).T.ravel()
    labels = np.repeat(keys, n_effects)
    effects = list(group.names) * group.n_levels
    return Table(
        (group.name, "coefficient"),
        (labels, effects),
        {name: values[order] for name, values in columns.items()},
    )

"""Each group's own least-squares estimates, everything that does not vary by its factor at posterior means."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from partialpool.inference.gaussian.raw_estimates import raw_estimates
from partialpool.inputs.roles.measurements import Measurements
from partialpool.numerics.arrays import FloatArray
from partialpool.reductions.columns import Column, scale_columns
from partialpool.reductions.orthogonalise import orthogonalise
from partialpool.results.effects import summarise_effects

if TYPE_CHECKING:
    from partialpool.inputs.designs.design import GroupDesign
    from partialpool.results.fitted import Fitted

# A column of the formula is determined by a group's rows if what they leave undetermined of it is below this.
_UNDETERMINED = 1e-7


class RawEstimates(NamedTuple):
    """Each group's own estimate of each effect and its sd, (effect, group); NaN where its rows do not determine it."""

    mean: FloatArray
    sd: FloatArray


class OwnFits(NamedTuple):
    """Least squares of one effect in each group: the estimate and its sd over sigma, (group,) each, and the derivatives
    (column, group) by the coefficients of the columns that were taken out."""

    mean: FloatArray
    sd: FloatArray
    slopes: FloatArray


def estimate_raw(posterior: Fitted, factor: int, kind: str = "theta") -> RawEstimates:
    """Estimate each group of a factor alone by least squares.

    Columns that do not vary by this factor, and the effects of other factors, keep their posterior means. The sd holds
    the group's own noise and the posterior uncertainty of those columns' coefficients; that of other factors' effects
    is not in it.
    """
    if not posterior.leaves_in_closed_form:
        from partialpool.results.latent.raw import estimate_latent_raw

        return estimate_latent_raw(posterior, factor, "linear" if kind == "theta" else "response")
    group, hyper = posterior.model.groups[factor], posterior.hyper
    names = posterior.model.design.population.names
    common = [i for i, name in enumerate(names) if name not in group.names]
    means, covariance = coefficient_moments(posterior)
    if len(posterior.model.groups) == 1:
        fits = _fit_statistics(posterior, common)
    else:
        fits = _fit_rows(posterior, factor, common, means)
    residual_sd = float(hyper.value_weights @ hyper.value_points.residual_sd)
    sds = []
    for fit in fits:
        sd = fit.sd * residual_sd
        if common and not posterior.plug_in:
            within = covariance[np.ix_(common, common)]
            sd = np.sqrt(sd**2 + np.maximum(np.sum(fit.slopes * (within @ fit.slopes), axis=0), 0.0))
        sds.append(sd)
    return RawEstimates(np.array([fit.mean for fit in fits]), np.array(sds))


def coefficient_moments(posterior: Fitted) -> tuple[FloatArray, FloatArray]:
    """Return the posterior means (coefficient,) and covariance of the formula's coefficients."""
    hyper, prior, conditional = posterior.hyper, posterior.gaussian.coefficient_prior, posterior.conditional
    n = len(posterior.model.design.population.names)
    means, within = np.zeros((n, len(hyper.weights))), np.zeros((n, n))
    integrated = list(prior.integrated)
    means[integrated] = conditional.coefficient_mean
    averaged = conditional.covariance @ hyper.weights
    within[np.ix_(integrated, integrated)] = conditional.back @ averaged @ conditional.back.T
    means[list(prior.sampled)] = hyper.points.coefficients
    centre = means @ hyper.weights
    spread = means - centre[:, None]
    return centre, within + (spread * hyper.weights) @ spread.T


def _fit_statistics(posterior: Fitted, common: list[int]) -> list[OwnFits]:
    """Fit the groups of the only factor from its sufficient statistics: no row is read."""
    hyper, cross, conditional = posterior.hyper, posterior.gaussian.statistics.cross, posterior.conditional
    shifted = conditional.basis @ (conditional.mean @ hyper.weights) - conditional.shift @ hyper.weights
    coefficients = np.linalg.solve(cross.scaling.population, shifted + cross.scaling.reference)
    columns = posterior.theta_columns(0)
    return [
        OwnFits(*raw_estimates(cross, shifted, float(coefficients @ columns[:, k]), k, common))
        for k in range(columns.shape[1])
    ]


def _fit_rows(posterior: Fitted, factor: int, common: list[int], coefficients: FloatArray) -> list[OwnFits]:
    """Fit the groups of one of several factors to what the rest of the model leaves of the response."""
    design, group = posterior.model.design, posterior.model.groups[factor]
    weights = _row_weights(design.measurements)
    columns, mapping = scale_columns(group.names, group.values, weights)
    taken: list[Column] = [design.population.values[:, i] for i in common]
    left = _leave(posterior, factor, common, coefficients)
    orthogonal = orthogonalise(columns, [*taken, left], {}, group.codes, group.n_levels, weights)
    back = np.linalg.inv(mapping)
    return [_fit_effect(orthogonal.root, orthogonal.projection, back[k]) for k in range(len(group.names))]


def _leave(posterior: Fitted, factor: int, common: list[int], coefficients: FloatArray) -> FloatArray:
    """Return the response (row,) less the offset, the columns that do not vary by the factor, and other factors'
    effects."""
    design = posterior.model.design
    left = design.measurements.response.copy()
    if design.measurements.offset is not None:
        left -= design.measurements.offset
    for i in common:
        left -= coefficients[i] * design.population.values[:, i]
    for k, group in enumerate(posterior.model.groups):
        if k != factor:
            left -= _expected_effects(group, summarise_effects(posterior, k, ("u",), np.empty(0)).mean)
    return left


def _expected_effects(group: GroupDesign, means: FloatArray) -> FloatArray:
    """Return each row's part of a factor's effects, from their means (effect, group)."""
    total = np.zeros(len(group.codes))
    for k, name in enumerate(group.names):
        own = means[k][group.codes]
        total += own if name == "Intercept" else own * group.values[:, k]
    return total


def _fit_effect(root: FloatArray, projection: FloatArray, wanted: FloatArray) -> OwnFits:
    """Return each group's least-squares value of the combination ``wanted`` (effect,) of scaled effects.

    ``root`` R (effect, effect, group) is upper triangular with a zero row for a column that depends on earlier ones,
    ``projection`` (effect, target, group) has the response last. The row w with w R = wanted gives the estimate w a;
    where there is none the group's rows do not determine it.
    """
    row = np.zeros(root.shape[1:])
    determined = np.ones(root.shape[2], dtype=bool)
    for k in range(len(root)):
        missing = wanted[k] - np.sum(row[:k] * root[:k, k], axis=0)
        pivot = root[k, k]
        row[k] = np.where(pivot > 0.0, missing / np.where(pivot > 0.0, pivot, 1.0), 0.0)
        determined &= (pivot > 0.0) | (np.abs(missing) < _UNDETERMINED * np.max(np.abs(wanted)))
    row[:, ~determined] = np.nan
    solved = np.einsum("mg,mtg->tg", row, projection)
    return OwnFits(solved[-1], np.sqrt(np.sum(row * row, axis=0)), -solved[:-1])


def _row_weights(measurements: Measurements) -> FloatArray | None:
    """Return precision times count of each row; None for all ones."""
    if measurements.precision is None or measurements.counts is None:
        return measurements.counts if measurements.precision is None else measurements.precision
    return measurements.precision * measurements.counts

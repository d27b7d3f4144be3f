"""Each group's own maximum likelihood estimates, everything that is common to groups at posterior means."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from partialpool.inference.quadrature.adaptive_hermite import AdaptiveHermite
from partialpool.inference.quadrature.located import derivatives_at, locate_modes
from partialpool.inference.quadrature.own_sigma import OwnSigmaMarginal
from partialpool.inference.quadrature.population_window import PopulationWindow
from partialpool.inference.quadrature.selected import SelectedMarginal
from partialpool.inference.quadrature.support_marginal import FittedMarginal
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.reductions.grouped_rows import GroupedRows, group_rows
from partialpool.results.latent.own_sigmas import estimate_raw_with_own_sigma
from partialpool.results.raw_estimates import RawEstimates

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

# The sd of the normal prior that stands for none, in spreads of the response, and the share of it in the curvature from
# which a group's rows do not determine its estimate. What is undetermined is tried again under a prior so many times
# wider: a standard error may be any number of spreads, while the share of a group that is all successes stays.
_WIDE = 1e5
_UNDETERMINED = 1e-3
_WIDER, _MOST_WIDENINGS = 1e5, 3
# The root of twice the log likelihood that a step may leave to be gained.
_LEAST_GAIN = 1e-6


def estimate_latent_raw(posterior: Fitted, factor: int, scale: str) -> RawEstimates:
    """Estimate each group of a factor alone, (effect, group); infinite on the linear scale where all or none succeed,
    NaN where the rows do not determine an effect. Sds are from the curvature, NaN where there is none."""
    model = posterior.latent_model
    points = average_point(posterior)
    own = posterior.own_values(points, factor)[:, 0]
    if isinstance(posterior.latent, OwnSigmaMarginal):
        return estimate_raw_with_own_sigma(posterior.latent, points, own)
    # the search starts where the other groups are, which the link reaches
    rows = _collect_rows(posterior, factor, points)
    n_effects = len(model.groups[factor].names)
    coefficients = points.coefficients if rows.population.shape[1] else np.empty((0, 1))
    start = HyperPoints(np.empty(0), np.ones(1), coefficients, None, points.extras)
    deviation, sd, share = _estimate_alone(posterior, rows, start, n_effects)
    theta = own[:, None] + deviation
    lost = share > _UNDETERMINED
    may_be_endless = n_effects == 1 and model.family.single_peaked
    endless = np.copysign(np.inf, deviation) if may_be_endless else np.full(theta.shape, np.nan)
    theta, sd = np.where(lost, endless, theta), np.where(lost, np.nan, sd)
    if scale == "response" and n_effects == 1:
        theta, sd = _on_response(posterior, theta, sd)
    return RawEstimates(theta[:, rows.class_of], sd[:, rows.class_of])


def _estimate_alone(
    posterior: Fitted, rows: GroupedRows, points: HyperPoints, n_effects: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return each class's deviation, its sd, and the prior's share in its curvature, (effect, class) each."""
    deviation, sd, share = (np.empty((n_effects, rows.n_classes)) for _ in range(3))
    left = np.arange(rows.n_classes, dtype=np.intp)
    width = _WIDE * posterior.latent_model.scales.response_sd
    for _ in range(1 + _MOST_WIDENINGS):
        deviation[:, left], sd[:, left], share[:, left] = _estimate_under(posterior, rows, points, left, width)
        left = left[(share[:, left] > _UNDETERMINED).any(axis=0)]
        if not len(left):
            break
        width *= _WIDER
    return deviation, sd, share


def _estimate_under(
    posterior: Fitted, rows: GroupedRows, points: HyperPoints, classes: IntArray, width: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Estimate some classes under a prior of sd ``width``, and take it out again by a Newton step without it, which
    ends at the maximum of a normal likelihood."""
    n_effects = rows.effects.shape[1]
    alone = replace(points, effect_root=width * np.eye(n_effects)[:, :, None])
    with np.errstate(all="ignore"):
        located = locate_modes(posterior.latent_model.family, rows.take_classes(classes), alone)
        covariance = np.einsum("ijc,kjc->cik", located.root[..., 0], located.root[..., 0])
        share = np.einsum("cii->ic", covariance)
        rest = np.eye(n_effects) - covariance
        rest[(share > _UNDETERMINED).any(axis=0)] = np.eye(n_effects)  # no step where there is no maximum
        freed = np.linalg.solve(rest, covariance)
        gradient = derivatives_at(located, located.mode)[1] + located.mode
        mode = located.mode + np.einsum("cij,jcn->icn", freed, gradient)
        left = (derivatives_at(located, mode)[1] + mode)[..., 0]
    # a step to a maximum leaves nothing to gain; where there is none, as of no counts at all, each leaves as much again
    gain = np.sqrt(np.maximum(np.einsum("ic,cij,jc->c", left, freed, left), 0.0))
    share = np.where(gain > _LEAST_GAIN, 1.0, share)
    return width * mode[..., 0], width * np.sqrt(np.einsum("cii->ic", freed)), share


def _collect_rows(posterior: Fitted, factor: int, points: HyperPoints) -> GroupedRows:
    """Return the rows by groups of the factor: those of the fit, or with several factors all rows with the rest of the
    model as their offset."""
    marginal = posterior.latent
    if isinstance(marginal, SelectedMarginal):
        marginal = marginal.observed
    if isinstance(marginal, AdaptiveHermite | PopulationWindow | FittedMarginal):
        return marginal.rows
    model, measured = posterior.latent_model, posterior.latent_model.design.measurements
    group = model.groups[factor]
    base = model.design.population.values @ posterior.order_coefficients(points)[:, 0]
    if measured.offset is not None:
        base = base + measured.offset
    base = base + _other_effects(posterior, factor)
    none = np.empty((len(base), 0))
    return group_rows(
        model.family, model.response, measured.counts, none, group.values, base, group.codes, group.n_levels
    )


def average_point(posterior: Fitted) -> HyperPoints:
    """Return the posterior means of the hyperparameters as one point (medians of what has no mean)."""
    hyper = posterior.hyper
    points, weights = hyper.value_points, hyper.value_weights
    extras = points.extras
    if extras is not None:
        order = np.argsort(extras, axis=1)
        cumulative = np.cumsum(weights[order], axis=1)
        middle = np.argmax(cumulative >= 0.5, axis=1)
        extras = np.take_along_axis(extras, np.take_along_axis(order, middle[:, None], axis=1), axis=1)
    return HyperPoints(
        (points.effect_root @ weights)[..., None],
        np.ones(1),
        (points.coefficients @ weights)[:, None],
        None,
        extras,
    )


def _other_effects(posterior: Fitted, factor: int) -> FloatArray:
    """Return the posterior means of other factors' effects at every row."""
    total = np.zeros(len(posterior.latent_model.response.values))
    for k, group in enumerate(posterior.latent_model.groups):
        if k != factor:
            total += posterior.effect_means[k][0][group.codes]
    return total


def _on_response(posterior: Fitted, theta: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return estimates and their sds on the response's scale, to first order."""
    step = 1e-5
    with np.errstate(invalid="ignore"):  # an estimate that is endless has no slope
        slope = (posterior.to_response(theta + step) - posterior.to_response(theta - step)) / (2.0 * step)
    return posterior.to_response(theta), np.where(np.isfinite(theta), np.abs(slope) * sd, np.nan)

"""Each group's own maximum likelihood estimates, everything that is common to groups at posterior means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from partialpool.inference.latent.adaptive_hermite import AdaptiveHermite
from partialpool.inference.latent.grouped_rows import GroupedRows, group_rows
from partialpool.inference.latent.located import locate_modes
from partialpool.inference.latent.population_window import PopulationWindow
from partialpool.inference.latent.support_marginal import SupportMarginal
from partialpool.models.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray
from partialpool.results.effects import summarise_effects
from partialpool.results.raw_estimates import RawEstimates

if TYPE_CHECKING:
    from partialpool.results.latent.posterior import LatentPosterior

# The sd of the normal prior that stands for none, in spreads of the response, and the share of it in the curvature from
# which a group's rows do not determine its estimate.
_WIDE = 1e5
_UNDETERMINED = 1e-3


def estimate_latent_raw(posterior: LatentPosterior, factor: int, scale: str) -> RawEstimates:
    """Estimate each group of a factor alone, (effect, group); infinite on the linear scale where all or none succeed,
    NaN where the rows do not determine an effect. Sds are from the curvature, NaN where there is none."""
    model = posterior.model
    points = average_point(posterior)
    own = posterior.own_values(points, factor)[:, 0]
    # the search starts where the other groups are, which the link reaches
    rows = _collect_rows(posterior, factor, points)
    n_effects = len(model.groups[factor].names)
    root = _WIDE * model.scales.response_sd * np.eye(n_effects)[:, :, None]
    coefficients = points.coefficients if rows.population.shape[1] else np.empty((0, 1))
    alone = HyperPoints(root, np.ones(1), coefficients, None, points.extras)
    with np.errstate(all="ignore"):
        located = locate_modes(model.family, rows, alone)
    deviation = root[0, 0, 0] * located.mode[..., 0]
    theta = own[:, None] + deviation
    covariance = np.einsum("ijc,kjc->ikc", located.root[..., 0], located.root[..., 0])
    share = np.einsum("iic->ic", covariance)
    sd = root[0, 0, 0] * np.sqrt(share)
    lost = share > _UNDETERMINED
    may_be_endless = n_effects == 1 and model.family.single_peaked
    endless = np.copysign(np.inf, deviation) if may_be_endless else np.full(theta.shape, np.nan)
    theta, sd = np.where(lost, endless, theta), np.where(lost, np.nan, sd)
    if scale == "response" and n_effects == 1:
        theta, sd = _on_response(posterior, theta, sd)
    return RawEstimates(theta[:, rows.class_of], sd[:, rows.class_of])


def _collect_rows(posterior: LatentPosterior, factor: int, points: HyperPoints) -> GroupedRows:
    """Return the rows by groups of the factor: those of the fit, or with several factors all rows with the rest of the
    model as their offset."""
    marginal = posterior.latent
    if isinstance(marginal, AdaptiveHermite | PopulationWindow | SupportMarginal):
        return marginal.rows
    model, measured = posterior.model, posterior.model.design.measurements
    group = model.groups[factor]
    base = model.design.population.values @ posterior.order_coefficients(points)[:, 0]
    if measured.offset is not None:
        base = base + measured.offset
    base = base + _other_effects(posterior, factor)
    none = np.empty((len(base), 0))
    return group_rows(
        model.family, model.response, measured.counts, none, group.values, base, group.codes, group.n_levels
    )


def average_point(posterior: LatentPosterior) -> HyperPoints:
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


def _other_effects(posterior: LatentPosterior, factor: int) -> FloatArray:
    """Return the posterior means of other factors' effects at every row."""
    total = np.zeros(len(posterior.model.response.values))
    for k, group in enumerate(posterior.model.groups):
        if k != factor:
            total += summarise_effects(posterior, k, ("u",), np.empty(0)).mean[0][group.codes]
    return total


def _on_response(posterior: LatentPosterior, theta: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return estimates and their sds on the response's scale, to first order."""
    step = 1e-5
    with np.errstate(invalid="ignore"):  # an estimate that is endless has no slope
        slope = (posterior.to_response(theta + step) - posterior.to_response(theta - step)) / (2.0 * step)
    return posterior.to_response(theta), np.where(np.isfinite(theta), np.abs(slope) * sd, np.nan)

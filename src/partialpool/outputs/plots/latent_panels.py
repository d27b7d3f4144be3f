"""What the pictures show of a latent fit: groups as probabilities, rates or means; with slopes, linear predictors."""

from __future__ import annotations

import numpy as np

from partialpool.inference.hyper.hyper_posterior import draw_hyperparameters
from partialpool.inputs.designs.new_rows import NEW_GROUP, NewGroupRows, NewRows
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.outputs.plots.panels import HALF_90, QUANTILES, Interval, Panel, label_axis
from partialpool.results.fitted import Fitted
from partialpool.results.groups import choose_kind
from partialpool.results.latent.effects import summarise_latent_effects, summarise_with_weights
from partialpool.results.latent.population_draws import draw_population
from partialpool.results.latent.population_moments import moments_over_population
from partialpool.results.latent.raw import estimate_latent_raw
from partialpool.results.notes import caution_far_zero, find_support
from partialpool.results.scale_names import name_response_scale

# Draws of a new group's value: they place the ends of its interval to 0.02 of its sds.
_N_DRAWS = 16_000


def gather_latent_panels(posterior: Fitted, factor: int) -> tuple[Panel, ...]:
    """Return one panel a coefficient that varies by the factor at this position."""
    group, kind = posterior.latent_model.groups[factor], choose_kind(posterior, factor, "response")
    found = summarise_with_weights(posterior, factor, (kind,), np.empty(0))
    raw = estimate_latent_raw(posterior, factor, "linear" if kind == "theta" else "response")
    low, high = _raw_ends(posterior, factor, kind)
    population, new = _summarise_population(posterior, factor, kind)
    return tuple(
        Panel(
            axis_label=_label(posterior, factor, name),
            labels=[str(label) for label in group.labels],
            n=np.asarray(posterior.latent.group_rows(factor), dtype=np.intp),
            raw=raw.mean[k],
            raw_sd=raw.sd[k],
            raw_low=low[k],
            raw_high=high[k],
            mean=found.summary.mean[k],
            weight=found.weights[k],
            population=population[k],
            new_group=new[k],
            size=_sum_sizes(posterior, factor),
            size_name="trials" if posterior.latent_model.family.response_name == "p" else "exposure",
            bounds=(-np.inf, np.inf) if kind == "theta" else _bounds(posterior),
            caution=caution_far_zero(posterior, factor, name),
            points=_place_points(posterior, kind),
        )
        for k, name in enumerate(group.names)
    )


def find_latent_intervals(posterior: Fitted, factor: int, groups: IntArray) -> FloatArray:
    """Return the ends of each coefficient's 90 % and 50 % intervals (coefficient, group, 4) for some groups."""
    kind = choose_kind(posterior, factor, "response")
    return summarise_latent_effects(posterior, factor, (kind,), np.array(QUANTILES)).quantiles[:, groups]


def _place_points(posterior: Fitted, kind: str) -> FloatArray | None:
    """Return the points of an estimated population on the panel's scale."""
    points = find_support(posterior.latent_model)
    return points if points is None or kind == "theta" else posterior.to_response(points)


def _raw_ends(posterior: Fitted, factor: int, kind: str) -> tuple[FloatArray, FloatArray]:
    """Return the ends of raw estimates' 90 % intervals, (effect, group) each, symmetric on the linear scale."""
    linear = estimate_latent_raw(posterior, factor, "linear")
    with np.errstate(invalid="ignore"):
        ends = (linear.mean - HALF_90 * linear.sd, linear.mean + HALF_90 * linear.sd)
    if kind == "theta":
        return ends
    with np.errstate(all="ignore"):
        low, high = (np.clip(posterior.to_response(end), *_bounds(posterior)) for end in ends)
    return (low, high) if posterior.rises else (high, low)


def _summarise_population(
    posterior: Fitted, factor: int, kind: str
) -> tuple[list[Interval | None], list[Interval | None]]:
    """Return the population's mean and a new group's value for each coefficient, on the panels' scale; None where there
    is no population."""
    names = posterior.latent_model.groups[factor].names
    if posterior.latent_model.pooling != "partial":
        return [None] * len(names), [None] * len(names)
    rng = np.random.default_rng(posterior.seed)
    if posterior.hyper.space.dimension:
        points = draw_hyperparameters(posterior.hyper, _N_DRAWS, rng)[1]
    else:
        points = posterior.hyper.points.select(np.zeros(_N_DRAWS, dtype=np.intp))
    centre = posterior.own_values(points, factor)
    new = centre + draw_population(posterior, factor, points, 1, rng)[:, 0]
    if kind != "theta":
        new = posterior.to_response(new)
        centre = _average(posterior, factor, centre, points)
    elif posterior.latent_model.replaces_intercept:
        centre = _average(posterior, factor, centre, points, "linear")
    varied = [name in posterior.latent_model.design.population.names for name in names]
    means = [_interval(values) if own else None for values, own in zip(centre, varied, strict=True)]
    return means, [_interval(values) for values in new]


def _average(
    posterior: Fitted, factor: int, centre: FloatArray, points: HyperPoints, scale: str = "response"
) -> FloatArray:
    """Return the mean over the population of a group's own value, (1, draw): other factors at their averages."""
    groups = posterior.latent_model.groups
    rows = NewRows(
        np.zeros((1, len(posterior.latent_model.design.population.names))),
        tuple(
            NewGroupRows(
                group.name,
                np.array([-1], dtype=np.intp),
                (NEW_GROUP,),
                np.full((1, len(group.names)), float(k == factor)),
            )
            for k, group in enumerate(groups)
        ),
        None,
        None,
    )
    return moments_over_population(posterior, rows, np.zeros(1, dtype=np.intp), centre, points, scale).mean


def _interval(values: FloatArray) -> Interval | None:
    """Summarise draws (draw,); None where they are not numbers, as a mean that does not exist."""
    with np.errstate(all="ignore"):
        mean, ends = float(np.mean(values)), np.quantile(values, QUANTILES)
    return Interval(mean, *map(float, ends)) if np.isfinite(ends).all() else None


def _label(posterior: Fitted, factor: int, name: str) -> str:
    """Say what a coefficient is: 'p (purchases / visits)', 'logit p (purchases / visits) per unit of x'."""
    model = posterior.latent_model
    if model.family.link == "identity" and model.family.response_name == "mean":
        return label_axis(posterior, name)
    response, design = name_response_scale(model), model.design
    if choose_kind(posterior, factor, "response") != "theta":
        others = [other for other in design.population.names if other != "Intercept"]
        return f"{response} where other columns are 0" if others else response
    linear = f"{model.family.link} {response}"
    if name == "Intercept":
        return f"{linear} (intercept)"
    numeric = name in design.column_levels and design.column_levels[name] is None
    return f"{linear} per unit of {name}" if numeric else f"{linear}: {name}"


def _sum_sizes(posterior: Fitted, factor: int) -> FloatArray | None:
    """Return each group's trials or exposure, None where rows have none."""
    measured, group = posterior.latent_model.design.measurements, posterior.latent_model.groups[factor]
    if measured.sizes is None or np.all(measured.sizes == 1.0):
        return None
    weights = measured.sizes if measured.counts is None else measured.sizes * measured.counts
    return np.asarray(np.bincount(group.codes, weights=weights, minlength=group.n_levels), dtype=float)


def _bounds(posterior: Fitted) -> tuple[float, float]:
    """Return the least and the greatest that the response's scale reaches."""
    family = posterior.latent_model.family
    if family.response_name == "p":
        return 0.0, 1.0
    return (-np.inf if family.link == "identity" and family.response_name == "mean" else 0.0), np.inf

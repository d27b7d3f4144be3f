"""Mean and variance of a row's value over the groups that might be drawn, given the hyperparameters: closed forms where
there are such, a rule over the population elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool.inputs.designs.new_rows import NewRows
from partialpool.models.populations.fitted import FittedPopulation
from partialpool.models.populations.skew_normal import SkewNormalPopulation
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.hermite import hermite_rule
from partialpool.results.latent.population_draws import expectation_is_infinite, population_shapes, settle_rows

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

# Points of the rule over a normal population, and of the grid over any other, with the log density at its ends.
_POINTS, _GRID_POINTS, _LOG_DROP = 31, 121, 25.0


class GivenMoments(NamedTuple):
    """``mean`` and ``variance`` (row, node) of rows' values given the hyperparameters at each node."""

    mean: FloatArray
    variance: FloatArray


def moments_over_population(
    posterior: Fitted,
    rows: NewRows,
    which: IntArray,
    base: FloatArray,
    points: HyperPoints,
    scale: str,
    new: NDArray[np.bool_] | None = None,
) -> GivenMoments:
    """Return the moments of some rows' values, the effects of ``new`` levels (row, factor) drawn (None: all of them)
    and those of others in ``base`` (row, node), which is on the linear predictor's scale."""
    found = _moments_of_groups(posterior, rows, which, base, points, scale, new)
    if scale == "linear":
        return found
    share = posterior.latent_model.family.mean_share(settle_rows(posterior, rows, which, points))
    with np.errstate(invalid="ignore"):
        return GivenMoments(share * found.mean, share**2 * found.variance)


def _moments_of_groups(
    posterior: Fitted,
    rows: NewRows,
    which: IntArray,
    base: FloatArray,
    points: HyperPoints,
    scale: str,
    new: NDArray[np.bool_] | None,
) -> GivenMoments:
    model = posterior.latent_model
    if isinstance(model.population, FittedPopulation):
        t, shares = model.population.rule()
        own, columns = base[:, :1], rows.groups[0].values[which, :1]  # nothing is unknown: all nodes are one
        steps = zip(t, shares, strict=True)
        found = _sum_rule(((own + columns * point, share) for point, share in steps), _to(posterior, scale))
        return GivenMoments(*(np.repeat(part, base.shape[1], axis=1) for part in found))
    if scale == "response" and expectation_is_infinite(posterior):
        return GivenMoments(np.full(base.shape, np.inf), np.full(base.shape, np.inf))
    if model.population.name != "normal":
        return _moments_of_shapes(posterior, rows.groups[0].values[which, 0], base, points, scale)
    variance = np.zeros_like(base)
    for k, part in enumerate(model.effect_slices):
        along = np.einsum("re,ekn->krn", rows.groups[k].values[which], points.effect_root[part, part])
        variance += np.sum(along**2, axis=0) * (1.0 if new is None else new[:, k, None])
    if _is_linear(posterior, scale):
        return GivenMoments(base, variance)
    if model.family.link == "log":
        return _exponential_moments(base + 0.5 * variance, variance)
    sd, rule = np.sqrt(variance), hermite_rule(_POINTS)
    weights = np.exp(rule.log_weights - 0.5 * rule.points[0] ** 2)
    steps = zip(rule.points[0], weights / weights.sum(), strict=True)
    return _sum_rule(((base + sd * z, weight) for z, weight in steps), _to(posterior, scale))


def show_rows(
    posterior: Fitted, rows: NewRows, which: IntArray, eta: FloatArray, points: HyperPoints, scale: str
) -> FloatArray:
    """Return linear predictors (row, node) as they are, or the means of rows (per trial or unit of exposure)."""
    if scale == "linear":
        return eta
    share = posterior.latent_model.family.mean_share(settle_rows(posterior, rows, which, points))
    return np.asarray(share * posterior.to_response(eta))


def _is_linear(posterior: Fitted, scale: str) -> bool:
    return scale == "linear" or posterior.latent_model.family.link == "identity"


def _to(posterior: Fitted, scale: str) -> Callable[[FloatArray], FloatArray]:
    return posterior.to_response if scale == "response" else np.asarray


def _exponential_moments(log_mean: FloatArray, log_ratio: FloatArray) -> GivenMoments:
    """Return the moments of a positive number with this log of the mean and of the mean square over the mean's."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.exp(log_mean)
        return GivenMoments(mean, mean**2 * np.expm1(log_ratio))


def _moments_of_shapes(
    posterior: Fitted, columns: FloatArray, base: FloatArray, points: HyperPoints, scale: str
) -> GivenMoments:
    """Return the moments over a population that is not normal: its own where it lives on the scale asked for."""
    population = posterior.latent_model.population
    shapes = population_shapes(posterior, points)
    if _is_linear(posterior, scale) and population.centred:
        with np.errstate(over="ignore"):
            return GivenMoments(base, (columns[:, None] * population.mean_sd_response(shapes)[1]) ** 2)
    if scale == "response" and posterior.latent_model.family.link == "log":
        if isinstance(population, SkewNormalPopulation):
            first, second = (population.log_mean_exponential(order * columns[:, None], shapes) for order in (1.0, 2.0))
            return _exponential_moments(base + first, second - 2.0 * first)
        if population.support == "positive" and np.all(columns == 1.0):
            mean, sd = population.mean_sd_response(shapes)
            with np.errstate(over="ignore"):
                factor = np.exp(base)
                return GivenMoments(factor * mean, (factor * sd) ** 2)
    return _sum_rule(_grid(posterior, columns, base, shapes), _to(posterior, scale))


def _grid(
    posterior: Fitted, columns: FloatArray, base: FloatArray, shapes: tuple[FloatArray, ...]
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield linear predictors (row, node) and weights (node,) by the trapezoid rule on a grid that is dense in the
    population's body and wide in its tails."""
    population = posterior.latent_model.population
    low, high = population.window(shapes, _LOG_DROP)
    centre, width = population.location_scale(shapes)
    bend = np.maximum(population.stretch(shapes), 1e-6)
    first, last = (np.arcsinh(bend * (end - centre) / width) / bend for end in (low, high))

    def place(fraction: float) -> tuple[FloatArray, FloatArray]:
        z = first + fraction * (last - first)
        t = centre + width * np.sinh(bend * z) / bend
        return t, np.asarray(np.exp(population.log_density(t, shapes)) * width * np.cosh(bend * z))

    fractions = np.linspace(0.0, 1.0, _GRID_POINTS)
    mass = sum(place(fraction)[1] for fraction in fractions)
    for fraction in fractions:
        t, weight = place(fraction)
        yield base + columns[:, None] * t, weight / mass


def _sum_rule(
    rule: Iterator[tuple[FloatArray, FloatArray]], change: Callable[[FloatArray], FloatArray]
) -> GivenMoments:
    """Sum what ``change`` makes of a rule's linear predictors, and its squares, both from the first's value."""
    start: FloatArray | None = None
    first = second = np.asarray(0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        for eta, weight in rule:
            value = change(eta)
            start = value if start is None else start
            step = value - start
            first, second = first + weight * step, second + weight * step**2
        assert start is not None
        return GivenMoments(start + first, np.maximum(second - first**2, 0.0))

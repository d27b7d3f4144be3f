"""Effects of groups not seen: draws from the population, and averages over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from partialpool.inference.quadrature.population_window import PopulationWindow
from partialpool.inputs.designs.new_rows import NewRows
from partialpool.models.populations.fitted import FittedPopulation
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.hermite import hermite_rule

if TYPE_CHECKING:
    from partialpool.results.latent.posterior import LatentPosterior

# Points of the rule over a normal population, and of the grid over any other, with the log density at its ends.
_POINTS, _GRID_POINTS, _LOG_DROP = 31, 121, 25.0


def draw_population(
    posterior: LatentPosterior, factor: int, points: HyperPoints, n_groups: int, rng: np.random.Generator
) -> FloatArray:
    """Draw the effects of ``n_groups`` new groups of a factor, (effect, group, draw)."""
    model, n_draws = posterior.model, points.n_nodes
    if model.population.name == "normal":
        part = model.effect_slices[factor]
        root = points.effect_root[part, part]
        v = rng.standard_normal((len(root), n_groups, n_draws))
        return np.asarray(np.einsum("ekn,kgn->egn", root, v))
    shapes = population_shapes(posterior, points)
    return model.population.draw(shapes, (n_groups, n_draws), rng)[None]


def population_shapes(posterior: LatentPosterior, points: HyperPoints) -> tuple[FloatArray, ...]:
    """Return the parameters of a population that is not normal, each (node,)."""
    return PopulationWindow.shapes_of(posterior.model, points)


def expectation_is_infinite(posterior: LatentPosterior) -> bool:
    """Say whether the mean over the population has no finite value on the response's scale: the exponential of a
    Student-t number has none, whatever its degrees of freedom."""
    return posterior.model.population.name == "student_t" and posterior.model.family.link == "log"


def count_moments(posterior: LatentPosterior) -> int:
    """Return how many moments a new group's value has on the scale of an identity link: of a Student-t population fewer
    than its degrees of freedom, none where these are unknown."""
    population = posterior.model.population
    if population.name != "student_t":
        return 2
    known = getattr(population, "nu", None)
    return 0 if known is None else 2 if known > 2.0 else 1 if known > 1.0 else 0


def average_over_population(
    posterior: LatentPosterior, rows: NewRows, which: IntArray, base: FloatArray, points: HyperPoints, scale: str
) -> FloatArray:
    """Return the mean over the population of each row's value (row, draw), all its effects drawn: on the response's
    scale by quadrature over the linear predictor's normal distribution, or over draws of another population."""
    model = posterior.model
    if isinstance(model.population, FittedPopulation):  # nothing is unknown: every draw has the same mean
        t, shares = model.population.rule()
        values = base[:, :1] + rows.groups[0].values[which, :1] * t
        values = posterior.to_response(values) if scale == "response" else values
        return np.repeat(values @ shares[:, None], points.n_nodes, axis=1)
    if scale == "response" and expectation_is_infinite(posterior):
        return np.full(base.shape, np.inf)
    if (scale == "linear" or model.family.link == "identity") and model.population.centred:
        return base  # the deviations' mean is 0; a Student-t population's centre where it has no mean
    if model.population.name != "normal":
        return _average_over_grid(posterior, rows.groups[0].values[which, 0], base, points, scale)
    variance = np.zeros_like(base)
    for k, part in enumerate(model.effect_slices):
        along = np.einsum("re,ekn->krn", rows.groups[k].values[which], points.effect_root[part, part])
        variance += np.sum(along**2, axis=0)
    sd = np.sqrt(variance)
    rule = hermite_rule(_POINTS)
    weights = np.exp(rule.log_weights - 0.5 * rule.points[0] ** 2) / np.sqrt(2.0 * np.pi)
    total = np.zeros_like(base)
    for z, weight in zip(rule.points[0], weights, strict=True):
        total += weight * posterior.to_response(base + sd * z)
    return total


def _average_over_grid(
    posterior: LatentPosterior, columns: FloatArray, base: FloatArray, points: HyperPoints, scale: str
) -> FloatArray:
    """Average over a population by the trapezoid rule on a grid that is dense in its body and wide in its tails."""
    population = posterior.model.population
    shapes = population_shapes(posterior, points)
    low, high = population.window(shapes, _LOG_DROP)
    centre, width = population.location_scale(shapes)
    bend = np.maximum(population.stretch(shapes), 1e-6)
    first, last = (np.arcsinh(bend * (end - centre) / width) / bend for end in (low, high))
    total, mass = np.zeros_like(base), np.zeros(points.n_nodes)
    for fraction in np.linspace(0.0, 1.0, _GRID_POINTS):
        z = first + fraction * (last - first)
        t = centre + width * np.sinh(bend * z) / bend
        weight = np.exp(population.log_density(t, shapes)) * width * np.cosh(bend * z)
        values = base + columns[:, None] * t
        total += weight * (posterior.to_response(values) if scale == "response" else values)
        mass += weight
    return total / mass

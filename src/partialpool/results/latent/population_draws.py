"""Effects of groups not seen: draws from the population, and which of its moments exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from partialpool.inference.quadrature.population_window import PopulationWindow
from partialpool.inputs.designs.new_rows import NewRows
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted


def draw_population(
    posterior: Fitted, factor: int, points: HyperPoints, n_groups: int, rng: np.random.Generator
) -> FloatArray:
    """Draw the effects of ``n_groups`` new groups of a factor, (effect, group, draw)."""
    model, n_draws = posterior.latent_model, points.n_nodes
    if model.population.name == "normal":
        part = model.effect_slices[factor]
        root = points.effect_root[part, part]
        v = rng.standard_normal((len(root), n_groups, n_draws))
        return np.asarray(np.einsum("ekn,kgn->egn", root, v))
    shapes = population_shapes(posterior, points)
    return model.population.draw(shapes, (n_groups, n_draws), rng)[None]


def population_shapes(posterior: Fitted, points: HyperPoints) -> tuple[FloatArray, ...]:
    """Return the parameters of a population that is not normal, each (node,)."""
    return PopulationWindow.shapes_of(posterior.latent_model, points)


def settle_rows(posterior: Fitted, rows: NewRows, which: IntArray, points: HyperPoints) -> tuple[FloatArray, ...]:
    """Return the likelihood's own parameters of new rows at each point, (node,) or (row, node)."""
    model = posterior.latent_model
    dispersion = () if points.extras is None else tuple(points.extras[: model.n_dispersions])
    return model.family.settle(dispersion, None if rows.zero is None else rows.zero[which][:, :, None])


def expectation_is_infinite(posterior: Fitted) -> bool:
    """Say whether the mean over the population has no finite value on the response's scale: the exponential of a
    Student-t number has none, whatever its degrees of freedom."""
    return posterior.latent_model.population.name == "student_t" and posterior.latent_model.family.link == "log"


def count_moments(posterior: Fitted) -> int:
    """Return how many moments a new group's value has on the scale of an identity link: of a Student-t population fewer
    than its degrees of freedom, none where these are unknown."""
    population = posterior.latent_model.population
    if population.name != "student_t":
        return 2
    known = getattr(population, "nu", None)
    return 0 if known is None else 2 if known > 2.0 else 1 if known > 1.0 else 0

"""The prior as ArviZ reads it: draws of all parameters, and the posterior draws' prior densities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.inputs.columns.places import join_words
from partialpool.models.latent_model import LatentModel
from partialpool.models.own_sigma import has_own_sigma
from partialpool.models.prior_draws import (
    draw_coefficients_from_priors,
    draw_hyperparameters_from_priors,
    log_priors,
)
from partialpool.models.priors import Prior, ScalarPrior, is_at_means
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray
from partialpool.results.arviz.arviz_names import level_coordinate
from partialpool.results.arviz.arviz_rows import SAMPLE, deal, sample_coordinates
from partialpool.results.arviz.safe_names import make_safe_names
from partialpool.results.draws import PosteriorDraws, own_coefficients, population_draws
from partialpool.results.latent.population_draws import draw_population

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from partialpool.models.model import Model
    from partialpool.results.fitted import Fitted


def explain_missing_prior(posterior: Fitted) -> str:
    """Return why there are no draws from the priors, '' where there are."""
    if posterior.plug_in:
        return "the population is estimated, without priors"
    return explain_improper(posterior.model.priors)


def explain_improper(priors: Mapping[str, Prior]) -> str:
    """Return which priors are improper, '' where none is."""
    improper = [name for name, prior in priors.items() if not prior.proper]
    if not improper:
        return ""
    verb = "is" if len(improper) == 1 else "are"
    return f"the prior of {join_words(improper)} {verb} improper, and cannot be drawn from"


def draw_prior(posterior: Fitted, n: int, rng: np.random.Generator) -> PosteriorDraws:
    """Draw all parameters jointly from proper priors, ``n`` times: hyperparameters, coefficients, then every group's
    effects from the population."""
    model = posterior.model
    with np.errstate(over="ignore"):  # far out in the tails of heavy priors
        points = draw_hyperparameters_from_priors(model.space, n, rng)
        coefficients = draw_coefficients_from_priors(model, points, rng)
        effects = tuple(_draw_effects(posterior, factor, points, rng) for factor in range(len(model.groups)))
        values = model.space.natural_values(points).T
        sigmas = _draw_sigmas(points, model.groups[0].n_levels, rng) if has_own_sigma(model) else None
    return PosteriorDraws(values, coefficients, coefficients, points, effects, sigmas)


def _draw_sigmas(points: HyperPoints, n_groups: int, rng: np.random.Generator) -> FloatArray:
    """Draw every group's own sigma from their population, (draw, group)."""
    assert points.extras is not None
    centre, spread = points.extras[:, :, None]
    return np.asarray(np.exp(centre + spread * rng.standard_normal((points.n_nodes, n_groups))))


def _draw_effects(posterior: Fitted, factor: int, points: HyperPoints, rng: np.random.Generator) -> FloatArray:
    """Draw the effects of every group of a factor from the population, (effect, draw, group)."""
    model = posterior.model
    n_groups = model.groups[factor].n_levels
    if isinstance(model, LatentModel):
        return draw_population(posterior, factor, points, n_groups, rng).swapaxes(1, 2)
    part = model.effect_slices[factor]
    root = points.effect_root[part, part]
    return np.asarray(np.einsum("ekn,kng->eng", root, rng.standard_normal((len(root), points.n_nodes, n_groups))))


def collect_log_prior(posterior: Fitted, drawn: PosteriorDraws) -> xr.Dataset:
    """Return the log density of each prior at the draws (chain, draw), of one that is every group's own (no pooling)
    by group."""
    import xarray as xr

    model = posterior.model
    densities = log_priors(model, population_draws(posterior, drawn), drawn.points)
    safe = make_safe_names(list(densities), taken=SAMPLE)
    variables: dict[str, Any] = {
        name: (SAMPLE, deal(values), {"parameter": parameter})
        for name, (parameter, values) in zip(safe, densities.items(), strict=True)
    }
    coordinates = sample_coordinates(drawn.points.n_nodes)
    if model.pooling == "none" and model.groups:
        (group,) = model.groups
        theta = drawn.effects[0] + own_coefficients(posterior, drawn, 0)[:, :, None]
        theta = move_intercept(model, group.names, theta)
        dimension, levels = level_coordinate(group, (*SAMPLE, *variables, *group.names))
        variables |= own_log_priors(model.priors, group.names, theta, dimension, tuple(variables))
        coordinates |= {dimension: levels}
    return xr.Dataset(variables, coords=coordinates)


def move_intercept(model: Model, names: Sequence[str], theta: FloatArray, *, to_zero: bool = False) -> FloatArray:
    """Return groups' own coefficients (coefficient, ...) with an intercept whose prior is stated at the columns' means
    moved there from their zero, or back (``to_zero``)."""
    if "Intercept" not in names or not is_at_means(model.priors["Intercept"]):
        return theta
    place, sign, moved = list(names).index("Intercept"), -1.0 if to_zero else 1.0, theta.copy()
    for k, name in enumerate(names):
        if k != place:
            moved[place] += sign * model.scales.column_means[name] * theta[k]
    return moved


def own_log_priors(
    priors: Mapping[str, Prior], names: tuple[str, ...], theta: FloatArray, dimension: str, taken: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the log priors of groups' own coefficients ``theta`` (coefficient, draw, group), by coefficient."""
    variables: dict[str, Any] = {}
    for safe, name, values in zip(make_safe_names(names, taken=(*SAMPLE, *taken)), names, theta, strict=True):
        prior = priors[name]
        if isinstance(prior, ScalarPrior):
            variables[safe] = ((*SAMPLE, dimension), deal(prior.log_density(values)), {"parameter": name})
    return variables

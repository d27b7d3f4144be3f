"""Draws from a model's priors, and the log densities of these.

Scalar priors are drawn by their quantiles, correlation matrices by independent beta partial correlations (Lewandowski,
Kurowicka and Joe 2009, J. Multivariate Analysis 100:1989-2001, section 2.4).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from partialpool.models.latent_slots import JOINT
from partialpool.models.model import Model
from partialpool.models.priors import Fixed, ScalarPrior, is_at_means
from partialpool.models.slots import describe_correlation_slot, find_correlated
from partialpool.models.space.hyperspace import HyperPoints, HyperSpace, ScalarHyperparameter
from partialpool.numerics.arrays import FloatArray


def draw_hyperparameters_from_priors(space: HyperSpace, n: int, rng: np.random.Generator) -> HyperPoints:
    """Draw hyperparameter points, ``n`` of them, from proper priors.

    The prior sds that Student-t coefficients are mixtures over are left out: the coefficients have their priors.
    """

    def scalar(hyper: ScalarHyperparameter) -> FloatArray:
        return hyper.prior.quantile(rng.random(n))

    root = np.zeros((space.n_effects, space.n_effects, n))
    if space.fixed_effect_root is not None:
        root[:] = space.fixed_effect_root[..., None]
    within = {place for block in space.blocks for place in block.positions}
    for k, hyper in enumerate(space.effect_sds):
        if k not in within:
            root[k, k] = scalar(hyper)
    for block in space.blocks:
        root[np.ix_(block.positions, block.positions)] = block.draw(n, rng)
    residual = scalar(space.residual_sd) if space.residual_sd else np.full(n, space.fixed_residual_sd)
    known = np.repeat(np.array(space.fixed_coefficients)[:, None], n, axis=1)
    drawn = np.array([*map(scalar, space.coefficients)]).reshape(-1, n)
    if space.coefficient_chart is not None:
        own, beside = np.split(space.coefficient_chart.stated, [len(drawn)], axis=1)
        drawn = np.linalg.solve(own, drawn - beside @ known)
    coefficients = np.concatenate([drawn, known])
    extras = [*map(scalar, space.extras)]
    if space.pair:
        extras += list(space.pair.draw(n, rng))
    return HyperPoints(root, residual, coefficients, None, np.array(extras) if extras else None)


def draw_coefficients_from_priors(model: Model, points: HyperPoints, rng: np.random.Generator) -> FloatArray:
    """Draw the formula's coefficients (coefficient, draw) beside hyperparameter points that were drawn from priors."""
    names, split = model.design.population.names, model.coefficient_prior
    coefficients = np.empty((len(names), points.n_nodes))
    coefficients[list(split.sampled)] = points.coefficients
    stated = np.empty((len(split.integrated), points.n_nodes))
    for place, k in enumerate(split.integrated):
        prior = model.priors[names[k]]
        assert isinstance(prior, ScalarPrior)
        stated[place] = prior.quantile(rng.random(points.n_nodes))
    if (by_sampled := split.stated_sampled) is not None:
        stated -= by_sampled @ points.coefficients
    coefficients[list(split.integrated)] = np.linalg.solve(split.stated_integrated, stated)
    return coefficients


def log_priors(model: Model, values: Mapping[str, FloatArray], points: HyperPoints) -> dict[str, FloatArray]:
    """Return the log density of each prior in use (draw,), by the name that it has in ``model.priors``.

    ``values`` are the parameters (draw,) by name; a prior that a population shares among its groups' own coefficients
    (no pooling) has no entry. Improper priors have the density that they name, up to a constant.
    """
    densities: dict[str, FloatArray] = {}
    correlated = [
        (group, block)
        for group in model.groups
        for block in group.blocks
        if len(find_correlated(group, block, model.priors)) > 1
    ]
    for block, (group, effects) in zip(model.space.blocks, correlated if model.space.blocks else (), strict=True):
        places = list(block.positions)
        each, correlations = block.log_priors(points.effect_root[np.ix_(places, places)])
        names = [model.space.effect_sds[place].name for place in places]
        densities |= dict(zip(names, each, strict=True))
        densities[describe_correlation_slot(group, effects).name] = correlations
    pair = model.space.pair
    if pair is not None and points.extras is not None:
        shapes = points.extras[-2:]
        mean, concentration = pair.mean_and_concentration(shapes)
        values = {**values, "mean": mean, "concentration": concentration, JOINT: shapes.sum(axis=0)}
    for name, prior in model.priors.items():
        if name not in densities and isinstance(prior, ScalarPrior) and name in values:
            if isinstance(prior, Fixed):  # computed values may differ from it by rounding
                densities[name] = np.zeros(points.n_nodes)
                continue
            value = _value_at_means(model, values) if is_at_means(prior) else values[name]
            densities[name] = prior.log_density(value)
    return {name: densities[name] for name in model.priors if name in densities}


def _value_at_means(model: Model, values: Mapping[str, FloatArray]) -> FloatArray:
    """Return the value of the linear predictor (draw,) at the means of the population's columns."""
    means = model.scales.column_means
    others = [name for name in model.design.population.names if name != "Intercept"]
    return values["Intercept"] + sum(means[name] * values[name] for name in others)

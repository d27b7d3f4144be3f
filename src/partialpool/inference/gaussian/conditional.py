"""Groups given the hyperparameters: conditional moments of linear predictors, and joint draws, for any factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from partialpool.inference.gaussian.conditional_moments import ConditionalMoments, all_coefficients, draw_normal
from partialpool.inference.gaussian.marginal import CoefficientConditional, GaussianMarginal
from partialpool.inference.gaussian.one_factor import contrast_of_groups, draw_groups, effects_of_groups
from partialpool.inference.gaussian.several_factors import contrast_of_levels, draw_levels, effects_of_levels
from partialpool.inference.gaussian.several_factors_draws import draw_between_nodes
from partialpool.inference.hyper.hyper_posterior import HyperPosterior, draw_hyperparameters
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray

__all__ = [
    "ConditionalMoments",
    "JointDraws",
    "contrast_given_nodes",
    "draw_at_points",
    "draw_jointly",
    "effects_given_nodes",
    "predictor_given_nodes",
]

#: A factor, its level codes (quantity,), -1 for a level that is not in the data, and effects (effect, quantity).
Term = tuple[int, IntArray, FloatArray]


class JointDraws(NamedTuple):
    """Joint draws: hyperparameter ``points``, the formula's ``coefficients`` (coefficient, draw), the ``centres``
    (coefficient, draw) that effects were drawn about, the ``effects`` of each factor (effect, draw, level), and the
    groups' own ``sigmas`` (draw, level), None where they have none."""

    points: HyperPoints
    coefficients: FloatArray
    centres: FloatArray
    effects: tuple[FloatArray, ...]
    sigmas: FloatArray | None = None


def effects_given_nodes(
    marginal: GaussianMarginal,
    points: HyperPoints,
    conditional: CoefficientConditional,
    populations: Sequence[FloatArray],
    groups: slice,
    coefficients_known: bool = False,
    factor: int = 0,
) -> ConditionalMoments:
    """Return the moments of every effect k of a factor plus population[:, k]'beta for each group, given each node.

    Each of ``populations`` is (coefficient, effect): zero for deviations, unit columns for the groups' own values. The
    quantities run over groups within effects within populations, (node, population * effect * group).
    """
    if marginal.statistics.remaining is None:
        return effects_of_groups(marginal, points, conditional, populations, groups, coefficients_known)
    return effects_of_levels(marginal, points, conditional, populations, groups, coefficients_known, factor)


def predictor_given_nodes(
    marginal: GaussianMarginal,
    points: HyperPoints,
    conditional: CoefficientConditional,
    population: FloatArray,
    effects: FloatArray,
    levels: Sequence[IntArray | None],
    coefficients_known: bool = False,
) -> ConditionalMoments:
    """Return the moments of population'beta + effects'u given each node.

    ``population`` (coefficient, quantity) and ``effects`` (effect over all factors, quantity) are on the formula's own
    scale. ``levels`` says for each factor whose effects are meant: codes (quantity,), -1 for a level that is not in the
    data, or None where all are such.
    """
    n_quantities = population.shape[1]
    terms = [
        (k, np.full(n_quantities, -1, dtype=np.intp) if codes is None else codes, effects[part])
        for k, (codes, part) in enumerate(zip(levels, marginal.statistics.effect_slices, strict=True))
    ]
    return contrast_given_nodes(marginal, points, conditional, population, terms, coefficients_known)


def contrast_given_nodes(
    marginal: GaussianMarginal,
    points: HyperPoints,
    conditional: CoefficientConditional,
    population: FloatArray,
    terms: Sequence[Term],
    coefficients_known: bool = False,
) -> ConditionalMoments:
    """Return the moments of population'beta + the sum of the terms' effects'u given each node.

    Levels that are not in the data are independent of one another, also within a quantity.
    """
    merged = _merge_terms(terms)
    if marginal.statistics.remaining is None:
        parts = [(codes, effects) for _, codes, effects in merged]
        return contrast_of_groups(marginal, points, conditional, population, parts, coefficients_known)
    return contrast_of_levels(marginal, points, conditional, population, merged, coefficients_known)


def _merge_terms(terms: Sequence[Term]) -> list[Term]:
    """Add up terms on the same level of a factor, so that within a quantity no level occurs twice."""
    merged: list[Term] = []
    for factor, codes, effects in terms:
        left = np.array(effects, dtype=float)
        for place, (other, held, gathered) in enumerate(merged):
            same = (held == codes) & (codes >= 0)
            if other == factor and same.any():
                merged[place] = (other, held, gathered + np.where(same, left, 0.0))
                left = np.where(same, 0.0, left)
        merged.append((factor, codes, left))
    return [term for term in merged if np.any(term[2])]


def draw_jointly(
    marginal: GaussianMarginal,
    hyper: HyperPosterior,
    n_draws: int,
    levels: Sequence[IntArray],
    rng: np.random.Generator,
    coefficients_known: bool = False,
) -> JointDraws:
    """Draw hyperparameters, then coefficients, then the effects of some ``levels`` of each factor.

    ``coefficients_known`` draws effects around the coefficients' conditional mean (plug-in estimates).
    """
    coordinates, points = draw_hyperparameters(hyper, n_draws, rng)
    for table in marginal.tables:
        if table.coordinates is hyper.evaluated:
            return JointDraws(points, *draw_between_nodes(table, points, coordinates, levels, rng))
    return draw_at_points(marginal, points, levels, rng, coefficients_known)


def draw_at_points(
    marginal: GaussianMarginal,
    points: HyperPoints,
    levels: Sequence[IntArray],
    rng: np.random.Generator,
    coefficients_known: bool = False,
) -> JointDraws:
    """Draw coefficients, then effects, given one hyperparameter point a draw, as ``draw_jointly`` does."""
    coefficients, centres = [], []
    effects: list[list[FloatArray]] = [[] for _ in levels]
    for part in marginal.split(points):
        reduction = marginal.reduce_effects(part)
        conditional = marginal.condition_on(part, reduction)
        basis = conditional.mean + draw_normal(conditional.covariance, rng)
        coefficients.append(all_coefficients(marginal, conditional, basis, part))
        centre = conditional.mean if coefficients_known else basis
        centres.append(
            all_coefficients(marginal, conditional, centre, part) if coefficients_known else coefficients[-1]
        )
        shifted = conditional.basis @ centre - conditional.shift
        if reduction.blocks is not None:
            drawn = draw_levels(marginal.statistics, part, reduction.blocks, shifted, levels, rng)
        else:
            drawn = [draw_groups(marginal.cross, part, shifted, groups, rng) for groups in levels]
        for k, values in enumerate(drawn):
            effects[k].append(values)
    return JointDraws(
        points,
        np.concatenate(coefficients, axis=1),
        np.concatenate(centres, axis=1),
        tuple(values[0] if len(values) == 1 else np.concatenate(values, axis=1) for values in effects),
    )

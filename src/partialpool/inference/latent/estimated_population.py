"""Populations whose form the data decide, by maximum likelihood: a mixture of normals (EM), or any distribution
(convex).

Both are estimated on a grid of equally spaced points, where each group's likelihood is tabulated once; the answer is a
plug-in: the population's own uncertainty is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from partialpool.errors import FormulaError, NotYetError
from partialpool.inference.engine import Engine
from partialpool.inference.hyper_posterior import HyperPosterior
from partialpool.inference.latent.grouped_rows import GroupedRows, group_rows
from partialpool.inference.latent.located import locate_modes
from partialpool.inference.latent.support_marginal import SupportMarginal, tabulate_likelihood
from partialpool.inputs.design import Design
from partialpool.models.coefficient_prior import CoefficientPrior
from partialpool.models.families.base import Family
from partialpool.models.hyperspace import HyperPoints, HyperSpace, ScalarHyperparameter
from partialpool.models.latent_model import LatentModel, collect_response
from partialpool.models.latent_scales import measure_latent_scales
from partialpool.models.populations.estimated import EstimatedPopulation, NormalMixture
from partialpool.models.populations.support import SupportPopulation
from partialpool.models.priors import Flat
from partialpool.models.separation import check_maximum_exists
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.mixing_weights import estimate_mixing_weights

# Points of the grid: at least, at most, and for each sd of the most precise group.
_POINTS, _PER_SD = (401, 2001), 8.0
# Sds of a group's own estimate that the grid reaches beyond it, and the sd of the prior that bounds estimates of groups
# that have none of their own, in spreads of the response.
_BEYOND, _BOUND = 3.0, 4.0
_REASON = "the population is estimated by maximum likelihood, its uncertainty ignored: intervals are too narrow"


def estimate_population(
    design: Design, family: Family, population: EstimatedPopulation
) -> tuple[LatentModel, SupportMarginal, HyperPosterior]:
    """Estimate the population and return model, marginal and a posterior of one node.

    Raises ``FormulaError`` where there is more than an intercept that varies by one factor, ``NotYetError`` where the
    likelihood has an unknown dispersion.
    """
    check_estimable(design, family, population)
    check_maximum_exists(design, family, collect_response(design), replaced=True)
    rows = _collect_rows(design, family)
    scales = measure_latent_scales(design, family, collect_response(design))
    points = _lay_grid(family, rows, scales.response_mean, scales.response_sd)
    logs = tabulate_likelihood(family, rows, points)
    weights, named, evidence = _estimate(population, points, logs, rows.class_weights)
    fitted = SupportPopulation(population.name, points, weights)
    mean, sd = fitted.mean_sd_response(())
    (group,) = design.groups
    named = {f"mean({group.name})": float(mean), f"sd({group.name})": float(sd), **named}
    model, marginal = build_estimated(design, family, fitted, named, logs)
    space = model.space
    node = np.zeros((1, space.dimension))
    value = float(marginal.log_likelihood(space.constrain(node)[0])[0])
    evidence = {"log likelihood": value, **evidence}
    engine = Engine("empirical Bayes", _REASON, evidence, "plug-in", float("inf"), marginal.route)
    return model, marginal, HyperPosterior(space, node, np.ones(1), value, None, engine)


def build_estimated(
    design: Design,
    family: Family,
    fitted: SupportPopulation,
    named: Mapping[str, float],
    logs: FloatArray | None = None,
) -> tuple[LatentModel, SupportMarginal]:
    """Return the model of an estimated population, whose parameters are ``named``, and its marginal likelihood.

    ``logs`` is the likelihood at its points where that is tabulated already."""
    response, rows = collect_response(design), _collect_rows(design, family)
    scales = measure_latent_scales(design, family, response)
    extras = tuple(ScalarHyperparameter(name, "coefficient", Flat(), value, 1.0) for name, value in named.items())
    n_columns = len(design.population.names)
    space = HyperSpace((), (), None, (), 0, fixed_coefficients=(0.0,) * n_columns, extras=extras)
    split = CoefficientPrior((), tuple(range(n_columns)), np.empty(0), np.empty(0))
    moments = (2,) * len(extras)
    model = LatentModel(design, "partial", design.groups, {}, space, split, scales, moments, family, fitted, response)
    logs = tabulate_likelihood(family, rows, fitted.points) if logs is None else logs
    return model, SupportMarginal(model, rows, fitted, logs)


def check_estimable(design: Design, family: Family, population: EstimatedPopulation) -> None:
    """Raise where a population of this kind cannot be estimated."""
    name = population.name
    only = len(design.groups) == 1 and design.groups[0].names == ("Intercept",)
    if not only or design.population.names not in (("Intercept",), ()):
        raise FormulaError(
            f"a {name} population is of one number a group and has no covariates beside it: write y ~ 1 + (1 | g)"
        )
    if family.dispersions:
        fixed = f", or fix it, such as family='{family.name}({family.dispersions[0]}=2)'"
        raise NotYetError(
            f"a {name} population is estimated where the likelihood is known, and {family.name} has an unknown "
            f"{family.dispersions[0]}: give standard_error={fixed if family.name != 'gaussian' else ''}"
        )


def _collect_rows(design: Design, family: Family) -> GroupedRows:
    response, (group,) = collect_response(design), design.groups
    return group_rows(
        family,
        response,
        design.measurements.counts,
        np.empty((len(response.values), 0)),
        group.values,
        design.measurements.offset,
        group.codes,
        group.n_levels,
    )


def _lay_grid(family: Family, rows: GroupedRows, location: float, spread: float) -> FloatArray:
    """Return equally spaced points over the groups' own estimates, as dense as the most precise one needs."""
    sd = _BOUND * spread
    base = replace(rows, offset=np.full(rows.n_rows, location) + (0.0 if rows.offset is None else rows.offset))
    root = np.full((1, 1, 1), sd)
    alone = HyperPoints(root, np.ones(1), np.empty((0, 1)))
    with np.errstate(all="ignore"):
        found = locate_modes(family, base, alone)
    centre = location + sd * found.mode[0, :, 0]
    sds = sd * found.root[0, 0, :, 0]
    reach = np.minimum(_BEYOND * sds, _BEYOND * spread)
    low, high = float((centre - reach).min()), float((centre + reach).max())
    wanted = _PER_SD * (high - low) / float(sds.min())
    return np.linspace(low, high, int(np.clip(wanted, *_POINTS)))


def _estimate(
    population: EstimatedPopulation, points: FloatArray, logs: FloatArray, class_weights: FloatArray
) -> tuple[FloatArray, dict[str, float], dict[str, float]]:
    """Return the weights (point,), the parameters by name, and the evidence."""
    if isinstance(population, NormalMixture):
        from partialpool.numerics.normal_mixture_em import estimate_normal_mixture

        found = estimate_normal_mixture(points, logs, class_weights, population.components)
        named = {}
        for k in range(population.components):
            named[f"weight({k + 1})"] = float(found.weights[k])
            named[f"mean({k + 1})"] = float(found.means[k])
            named[f"sd({k + 1})"] = float(found.sds[k])
        density = sum(
            w * np.exp(-0.5 * ((points - m) / s) ** 2) / s
            for w, m, s in zip(found.weights, found.means, found.sds, strict=True)
        )
        evidence = {"steps": float(found.n_iterations), "components at the smallest sd": float(np.sum(found.at_floor))}
        return density / density.sum(), named, evidence
    mixing = estimate_mixing_weights(logs, class_weights)
    evidence = {
        "points that carry weight": float(np.sum(mixing.weights > 1e-6)),
        "duality gap": mixing.gap,
        "steps": float(mixing.n_iterations),
    }
    return mixing.weights, {}, evidence

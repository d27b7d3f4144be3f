"""Populations whose form the data decide, by maximum likelihood: any distribution (convex), or a mixture of normals
(EM), which starts from that.

The answer is a plug-in: the population's own uncertainty is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from partialpool.errors import FormulaError, NotYetError
from partialpool.inference.engine import Engine
from partialpool.inference.hyper_posterior import HyperPosterior
from partialpool.inference.latent.adaptive_hermite import AdaptiveHermite
from partialpool.inference.latent.grouped_rows import GroupedRows, group_rows
from partialpool.inference.latent.mixture_marginal import MixtureMarginal
from partialpool.inference.latent.normal_integrals import integrate_normals
from partialpool.inference.latent.population_window import PopulationWindow
from partialpool.inference.latent.support_grid import estimate_alone, lay_support_grid
from partialpool.inference.latent.support_marginal import FittedMarginal, SupportMarginal, tabulate_likelihood
from partialpool.inputs.confounding import check_several_levels
from partialpool.inputs.design import Design
from partialpool.models.coefficient_prior import CoefficientPrior
from partialpool.models.families.base import Family
from partialpool.models.hyperspace import HyperSpace, ScalarHyperparameter
from partialpool.models.latent_model import LatentModel, collect_response
from partialpool.models.latent_scales import measure_latent_scales
from partialpool.models.populations.base import Population
from partialpool.models.populations.estimated import EstimatedPopulation, NormalMixture
from partialpool.models.populations.fitted import FittedPopulation
from partialpool.models.populations.normal import NormalPopulation
from partialpool.models.populations.normal_mixture import NormalMixturePopulation
from partialpool.models.populations.support import SupportPopulation
from partialpool.models.priors import Flat
from partialpool.models.separation import check_maximum_exists
from partialpool.numerics.mixing_distribution import estimate_mixing_distribution
from partialpool.numerics.normal_mixture_em import estimate_normal_mixture
from partialpool.numerics.normal_mixture_problem import MixtureProblem

# Classes from which starts of a mixture are improved.
_PILOT = 1000
# Points of the quadrature over a component: for starts, for the fit, and for the result, which shows the fit's error;
# and half their number over the windows of likelihoods that may have several peaks.
_ORDERS = {"pilot": 7, "fit": 21, "result": 31}
_HALVES = {"pilot": 20, "fit": 40, "result": 60}
_REASON = "the population is estimated by maximum likelihood, its uncertainty ignored: intervals are too narrow"


def estimate_population(
    design: Design, family: Family, population: EstimatedPopulation
) -> tuple[LatentModel, FittedMarginal, HyperPosterior]:
    """Estimate the population and return model, marginal and a posterior of one node.

    Raises ``FormulaError`` where there is more than an intercept that varies by one factor, ``NotYetError`` where the
    likelihood has an unknown dispersion.
    """
    check_estimable(design, family, population)
    check_maximum_exists(design, family, collect_response(design), replaced=True)
    rows = _collect_rows(design, family)
    grid = lay_support_grid(family, rows, measure_latent_scales(design, family, collect_response(design)))
    mixing = estimate_mixing_distribution(
        lambda points: tabulate_likelihood(family, rows, points), grid, rows.class_weights
    )
    fitted = SupportPopulation(mixing.points, mixing.weights)
    evidence = {
        "points that carry weight": float(len(mixing.points)),
        "duality gap over the interval": mixing.gap,
        "interval from": float(grid[0]),
        "interval to": float(grid[-1]),
        "steps": float(mixing.n_iterations),
    }
    if isinstance(population, NormalMixture):
        model, marginal, evidence = _estimate_mixture(design, family, rows, fitted, population.components)
        best = rows.log_constant + mixing.log_likelihood
        evidence = {**evidence, "best log likelihood of any population": best}
    else:
        model, marginal = build_estimated(design, family, fitted)
    space = model.space
    node = np.zeros((1, space.dimension))
    value = float(marginal.log_likelihood(space.constrain(node)[0])[0])
    evidence = {"log likelihood": value, **evidence}
    engine = Engine("empirical Bayes", _REASON, evidence, "plug-in", float("inf"), marginal.route)
    return model, marginal, HyperPosterior(space, node, np.ones(1), value, None, engine)


def _estimate_mixture(
    design: Design, family: Family, rows: GroupedRows, start: SupportPopulation, components: int
) -> tuple[LatentModel, FittedMarginal, dict[str, float]]:
    """Return model, marginal and evidence of a mixture, started from the nonparametric estimate."""
    near, sds = estimate_alone(family, rows, measure_latent_scales(design, family, collect_response(design)))
    ends = (float(start.points[0]), float(start.points[-1]), float(sds.min()))
    some = np.random.default_rng(0).permutation(rows.n_classes)[:_PILOT]
    problems = []
    for classes, fineness in ((np.arange(rows.n_classes), "fit"), (some, "pilot")):
        own = rows.take_classes(classes)
        normals = build_normals(design, family, own, fineness)
        problems.append(
            MixtureProblem(integrate_normals(family, own, near[classes], normals), own.class_weights, *ends)
        )
    problem, pilot = problems
    found = estimate_normal_mixture(problem, components, start.points, start.weights, pilot)
    mixture = NormalMixturePopulation(found.weights, found.means, found.sds)
    model, marginal = build_estimated(design, family, mixture)
    refined = float(marginal.log_likelihood(model.space.constrain(np.zeros((1, model.space.dimension)))[0])[0])
    return (
        model,
        marginal,
        {
            "steps": float(found.n_iterations),
            "change on refining the quadrature": abs(refined - found.log_likelihood - rows.log_constant),
            "components at the smallest sd": float(np.sum(found.at_floor)),
        },
    )


def build_normals(
    design: Design, family: Family, rows: GroupedRows, fineness: str = "result"
) -> AdaptiveHermite | PopulationWindow:
    """Return the marginal likelihood under normal populations of any mean, a coefficient, and sd."""
    model = _compose_model(design, family, NormalPopulation(), {})
    free = replace(rows, population=np.ones((rows.n_rows, 1)))
    if family.single_peaked:
        return AdaptiveHermite(model, free, _ORDERS[fineness])
    return PopulationWindow(model, free, _HALVES[fineness])


def build_estimated(design: Design, family: Family, fitted: FittedPopulation) -> tuple[LatentModel, FittedMarginal]:
    """Return the model of an estimated population and its marginal likelihood."""
    (group,) = design.groups
    mean, sd = fitted.mean_sd_response(())
    named = {f"mean({group.name})": float(mean), f"sd({group.name})": float(sd), **fitted.name_parameters()}
    model = _compose_model(design, family, fitted, named)
    rows = _collect_rows(design, family)
    if isinstance(fitted, NormalMixturePopulation):
        return model, MixtureMarginal(model, rows, fitted, build_normals(design, family, rows))
    assert isinstance(fitted, SupportPopulation)
    return model, SupportMarginal(model, rows, fitted, tabulate_likelihood(family, rows, fitted.points))


def _compose_model(design: Design, family: Family, population: Population, named: Mapping[str, float]) -> LatentModel:
    """Return a model whose parameters are all known, ``named``."""
    response = collect_response(design)
    scales = measure_latent_scales(design, family, response)
    extras = tuple(ScalarHyperparameter(name, "coefficient", Flat(), value, 1.0) for name, value in named.items())
    n_columns = len(design.population.names)
    space = HyperSpace((), (), None, (), 0, fixed_coefficients=(0.0,) * n_columns, extras=extras)
    split = CoefficientPrior((), tuple(range(n_columns)), np.empty(0), np.empty(0))
    moments = (2,) * len(extras)
    return LatentModel(
        design, "partial", design.groups, {}, space, split, scales, moments, family, population, response
    )


def check_estimable(design: Design, family: Family, population: EstimatedPopulation) -> None:
    """Raise where a population of this kind cannot be estimated."""
    name = population.name
    only = len(design.groups) == 1 and design.groups[0].names == ("Intercept",)
    if not only or design.population.names not in (("Intercept",), ()):
        raise FormulaError(
            f"a {name} population is of one number a group and has no covariates beside it: write y ~ 1 + (1 | g)"
        )
    check_several_levels(design.groups[0])
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

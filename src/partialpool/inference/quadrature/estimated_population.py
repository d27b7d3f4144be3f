"""Populations whose form the data decide, by maximum likelihood: any distribution (convex), or a mixture of normals
(EM), which starts from that.

The answer is a plug-in: the population's own uncertainty is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from partialpool.errors import FormulaError, NotYetError
from partialpool.inference.hyper.certificate import Engine
from partialpool.inference.hyper.hyper_posterior import HyperPosterior
from partialpool.inference.quadrature.adaptive_hermite import AdaptiveHermite
from partialpool.inference.quadrature.mixture_marginal import MixtureMarginal
from partialpool.inference.quadrature.normal_integrals import integrate_normals
from partialpool.inference.quadrature.population_window import PopulationWindow
from partialpool.inference.quadrature.refinement import TOLERANCE, refine_until_still
from partialpool.inference.quadrature.support_grid import estimate_alone, lay_support_grid
from partialpool.inference.quadrature.support_marginal import FittedMarginal, SupportMarginal, tabulate_likelihood
from partialpool.inputs.designs.confounding import check_several_levels
from partialpool.inputs.designs.design import Design
from partialpool.models.coefficient_prior import CoefficientPrior
from partialpool.models.families.base import Family
from partialpool.models.latent_model import LatentModel, collect_response
from partialpool.models.latent_scales import measure_latent_scales
from partialpool.models.populations.base import Population
from partialpool.models.populations.estimated import EstimatedPopulation, NormalMixture
from partialpool.models.populations.fitted import FittedPopulation
from partialpool.models.populations.normal import NormalPopulation
from partialpool.models.populations.normal_mixture import NormalMixturePopulation
from partialpool.models.populations.support import SupportPopulation
from partialpool.models.priors import Flat
from partialpool.models.propriety.separation import check_maximum_exists
from partialpool.models.space.hyperspace import HyperSpace, ScalarHyperparameter
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.mixtures.mixing_distribution import estimate_mixing_distribution
from partialpool.numerics.mixtures.normal_mixture_em import climb_normal_mixture, estimate_normal_mixture
from partialpool.numerics.mixtures.normal_mixture_problem import MixtureProblem
from partialpool.reductions.grouped_rows import GroupedRows, group_rows

# Classes from which starts of a mixture are improved.
_PILOT = 1000
# Points of the Gauss-Hermite rule over a component, for likelihoods of one peak: for starts, the fit, and the result.
_ORDERS = {"pilot": 7, "fit": 21, "result": 31}
# Half the points over windows of likelihood and component, where there may be several peaks, and of the finer ones that
# follow where the log likelihood has not settled: a wide component about a group without a success is cut off on one
# side, which polynomials do not follow (a log likelihood .06 too low, and no maximum where their derivatives vanish).
_HALVES = {"pilot": 20, "fit": 40, "result": 60}
_FINER_HALVES = (80, 120, 160, 240)
Normals: TypeAlias = AdaptiveHermite | PopulationWindow
_REASON = "the population is estimated by maximum likelihood, its uncertainty ignored: intervals are too narrow"
_ONE_POINT = "; it is estimated to be one point (complete pooling): an estimate, not a finding"


def estimate_population(
    design: Design, family: Family, population: EstimatedPopulation
) -> tuple[LatentModel, FittedMarginal, HyperPosterior]:
    """Estimate the population and return model, marginal and a posterior of one node.

    Raises ``FormulaError`` where there is more than an intercept that varies by one factor, ``NotYetError`` where the
    likelihood has an unknown dispersion.
    """
    check_estimable(design, family, population)
    check_maximum_exists(design, family, collect_response(design), replaced=True, estimated=True)
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
        model, marginal, evidence = _estimate_mixture(design, family, rows, fitted, population.components, grid)
        best = rows.log_constant + mixing.log_likelihood
        evidence = {**evidence, "best log likelihood of any population": best}
    else:
        model, marginal = build_estimated(design, family, fitted)
    space = model.space
    node = np.zeros((1, space.dimension))
    value = float(marginal.log_likelihood(space.constrain(node)[0])[0])
    evidence = {"log likelihood": value, **evidence}
    alike = isinstance(model.population, SupportPopulation) and len(model.population.points) == 1
    reason = _REASON + (_ONE_POINT if alike else "")
    engine = Engine("empirical Bayes", reason, evidence, "plug-in", float("inf"), marginal.route)
    return model, marginal, HyperPosterior(space, node, np.ones(1), value, None, engine)


def _estimate_mixture(
    design: Design, family: Family, rows: GroupedRows, start: SupportPopulation, components: int, grid: FloatArray
) -> tuple[LatentModel, FittedMarginal, dict[str, float]]:
    """Return model, marginal and evidence of a mixture, started from the nonparametric estimate, its means within the
    interval of ``grid`` (point,): the best mean of a component may lie beyond the points of that estimate."""
    near, sds = estimate_alone(family, rows, measure_latent_scales(design, family, collect_response(design)))
    ends = (float(grid[0]), float(grid[-1]), float(sds.min()))

    def pose(normals: Normals, classes: IntArray) -> MixtureProblem:
        own = rows.take_classes(classes)
        integrate = integrate_normals(family, own, near[classes], replace(normals, rows=_free(own)))
        return MixtureProblem(integrate, own.class_weights, *ends)

    every = np.arange(rows.n_classes)
    some = np.random.default_rng(0).permutation(rows.n_classes)[:_PILOT]
    pilot = pose(build_normals(design, family, rows, "pilot"), some)
    problem = pose(build_normals(design, family, rows, "fit"), every)
    found = estimate_normal_mixture(problem, components, start.points, start.weights, pilot)
    for normals in list_normals(design, family, rows)[1:]:
        problem = pose(normals, every)
        values = problem.expect(found.maxima).log_likelihood
        if np.abs(values - found.start_log_likelihoods).max() < TOLERANCE:
            break
        found = climb_normal_mixture(problem, found.maxima, found.n_iterations)
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


def build_normals(design: Design, family: Family, rows: GroupedRows, fineness: str = "result") -> Normals:
    """Return the marginal likelihood under normal populations of any mean, a coefficient, and sd."""
    model = _compose_model(design, family, NormalPopulation(), {})
    if family.single_peaked:
        return AdaptiveHermite(model, _free(rows), _ORDERS[fineness])
    return PopulationWindow(model, _free(rows), _HALVES[fineness])


def list_normals(design: Design, family: Family, rows: GroupedRows) -> list[Normals]:
    """Return the quadratures of the result, from coarse to fine."""
    model = _compose_model(design, family, NormalPopulation(), {})
    first = build_normals(design, family, rows)
    return [first, *(PopulationWindow(model, _free(rows), half) for half in _FINER_HALVES)]


def _free(rows: GroupedRows) -> GroupedRows:
    """Return the rows with the normal's mean as their coefficient."""
    return replace(rows, population=np.ones((rows.n_rows, 1)))


def build_estimated(design: Design, family: Family, fitted: FittedPopulation) -> tuple[LatentModel, FittedMarginal]:
    """Return the model of an estimated population and its marginal likelihood, a mixture's by the coarsest quadrature
    that the next finer moves by less than the tolerance."""
    (group,) = design.groups
    mean, sd = fitted.mean_sd_response(())
    named = {f"mean({group.name})": float(mean), f"sd({group.name})": float(sd), **fitted.name_parameters()}
    model = _compose_model(design, family, fitted, named)
    rows = _collect_rows(design, family)
    if isinstance(fitted, NormalMixturePopulation):
        candidates = [MixtureMarginal(model, rows, fitted, each) for each in list_normals(design, family, rows)]
        return model, refine_until_still(candidates, model.space.constrain(np.zeros((1, model.space.dimension)))[0])[0]
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

"""Which engine integrates the groups of a latent model.

| population | likelihood | factors | groups leave by |
| --- | --- | --- | --- |
| beta | binomial | one, no covariates | closed form |
| gamma | Poisson | one, no covariates | closed form |
| normal, lognormal | any with one peak | one, up to three effects | adaptive Gauss-Hermite quadrature |
| normal | Gaussian, sigmas of the groups' own | one, an intercept | closed form given sigma, quadrature over that |
| normal | Student t, whose rows may give several peaks | one, an intercept | quadrature over windows, as below |
| normal | any | several nested, intercepts | the same, recursively |
| any other | any | one, an intercept | quadrature over the population's window, or a table of likelihoods |
| mixture, nonparametric | any without dispersions | one, no covariates | EM, convex optimisation (plug-in) |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from partialpool.errors import PriorWarning, warn_user
from partialpool.inference.conjugate.marginal import ConjugateMarginal, is_conjugate
from partialpool.inference.contract import LatentMarginal
from partialpool.inference.hyper.by_quadrature import integrate_latent
from partialpool.inference.hyper.hyper_posterior import HyperPosterior
from partialpool.inference.hyper.integrate import DEFAULT_ACCURACY
from partialpool.inference.hyper.plug_in import estimate_latent
from partialpool.inference.quadrature.adaptive_hermite import AdaptiveHermite
from partialpool.inference.quadrature.estimated_population import estimate_population
from partialpool.inference.quadrature.likelihood_grid import build_window
from partialpool.inference.quadrature.nested_grid import NestedGrid
from partialpool.inference.quadrature.nested_hermite import NestedHermite
from partialpool.inference.quadrature.own_sigma import build_own_sigma
from partialpool.inference.quadrature.selected import select_objects
from partialpool.inference.quadrature.tree import grow_tree
from partialpool.inputs.designs.design import Design
from partialpool.models.families.base import Family
from partialpool.models.families.own_sigma import GaussianOwnSigma
from partialpool.models.latent_model import LatentModel, build_latent_model
from partialpool.models.populations.base import Population
from partialpool.models.populations.estimated import EstimatedPopulation
from partialpool.models.priors import Prior, drop_given
from partialpool.models.slots import Pooling
from partialpool.reductions.grouped_rows import group_rows


class LatentOutcome(NamedTuple):
    """What an engine leaves: the model, its marginal likelihood and the hyperparameters' posterior."""

    model: LatentModel
    marginal: LatentMarginal
    hyper: HyperPosterior


def run_latent_engine(
    design: Design,
    family: Family,
    population: Population | EstimatedPopulation,
    priors: Mapping[str, Prior | str] | None,
    *,
    pooling: Pooling,
    method: str,
    estimator: str | None,
    accuracy: float | None = None,
) -> LatentOutcome:
    """Build the model, reduce the rows, and integrate the hyperparameters."""
    if isinstance(population, EstimatedPopulation):
        _warn_of_unused(priors, population.name)
        return LatentOutcome(*estimate_population(design, family, population))
    plug_in = method == "empirical_bayes"
    if plug_in:
        _warn_of_unused(drop_given(priors), "empirical_bayes")
    model = build_latent_model(design, family, population, priors, pooling, estimated=plug_in)
    marginal = build_latent_marginal(model)
    if plug_in:
        return LatentOutcome(model, *estimate_latent(marginal, estimator or "ml"))
    refined, hyper = integrate_latent(marginal, method, accuracy or DEFAULT_ACCURACY)
    return LatentOutcome(model, refined, hyper)


def _warn_of_unused(priors: Mapping[str, Prior | str] | None, what: str) -> None:
    if priors:
        warn_user(
            f"priors: {what} estimates the population and uses no priors: those given ({', '.join(priors)}) are "
            "ignored, and the answer does not depend on them",
            PriorWarning,
        )


def build_latent_marginal(model: LatentModel) -> LatentMarginal:
    """Return the marginal likelihood by the engine that the table names, divided by the probability of being in the
    data where objects were selected."""
    observed = _build_observed(model)
    selection = model.design.measurements.selection
    return observed if selection is None else select_objects(model, observed, selection)


def _build_observed(model: LatentModel) -> LatentMarginal:
    design = model.design
    measured = design.measurements
    n_rows = len(measured.response)
    groups = model.groups
    if isinstance(model.family, GaussianOwnSigma):
        return build_own_sigma(model)
    if len(groups) > 1:
        return _build_nested(model)
    codes = groups[0].codes if groups else np.zeros(n_rows, dtype=np.intp)
    effects = groups[0].values if groups else np.empty((n_rows, 0))
    columns = design.population.values[:, list(model.coefficient_prior.sampled)]
    rows = group_rows(
        model.family,
        model.response,
        measured.counts,
        columns,
        effects,
        measured.offset,
        codes,
        groups[0].n_levels if groups else 1,
    )
    if is_conjugate(model.family.name, model.population.name) and measured.offset is None:
        return ConjugateMarginal(model, rows)
    alone = bool(groups) and groups[0].names == ("Intercept",)
    if model.population.name != "normal" or (alone and not model.family.single_peaked):
        return build_window(model, rows)
    return AdaptiveHermite(model, rows)


def _build_nested(model: LatentModel) -> NestedHermite:
    """Return the recursive marginal of nested factors; rows take the tree's order."""
    design, measured = model.design, model.design.measurements
    tree, order = grow_tree(model.groups)
    counts = np.ones(len(order)) if measured.counts is None else measured.counts
    columns = design.population.values[:, list(model.coefficient_prior.sampled)]
    return NestedGrid(
        model,
        tree,
        model.response.select(order),
        None if measured.counts is None else counts[order],
        columns[order],
        None if measured.offset is None else measured.offset[order],
        float(counts @ model.family.log_constant(model.response)),
    )

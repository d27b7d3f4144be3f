"""Models whose effects do not leave in closed form: any likelihood family, any population.

Coefficients are hyperparameters here, beside the effects' sds and the parameters of likelihood and population.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from partialpool.errors import FormulaError, NotYetError, PriorError, PriorWarning, warn_user
from partialpool.inputs.designs.confounding import check_several_levels
from partialpool.inputs.designs.design import Design, GroupDesign
from partialpool.models.coefficient_prior import CoefficientPrior
from partialpool.models.families.base import Family, ResponseColumns
from partialpool.models.known_population import fix_coefficients, fix_effect_root, normal_or_flat
from partialpool.models.latent_scales import measure_latent_scales, place_latent_coefficients
from partialpool.models.latent_slots import build_extras, build_pair, list_latent_slots
from partialpool.models.model import Model, check_one_factor, slice_effects
from partialpool.models.populations.base import Population
from partialpool.models.priors import Fixed, Prior, is_at_means, prior_caution
from partialpool.models.propriety.other_likelihoods import check_latent_posterior_is_proper
from partialpool.models.propriety.separation import check_maximum_exists
from partialpool.models.scales import DataScales
from partialpool.models.slots import (
    Pooling,
    get_scalar_prior,
    is_in_use,
    is_without_effect,
    resolve_block_priors,
    warn_of_one_group,
)
from partialpool.models.space.coefficient_chart import CoefficientChart, state_at_means
from partialpool.models.space.effect_hyperparameters import build_covariance_blocks, build_effect_sds
from partialpool.models.space.hyperspace import HyperSpace, ScalarHyperparameter
from partialpool.models.zero_part import join_zero_part

# The most correlated effects of one factor that quadrature integrates.
MOST_EFFECTS = 3


@dataclass(frozen=True)
class LatentModel(Model):
    """A model with a likelihood ``family`` and a ``population`` of group parameters, on the linear predictor's scale.

    All coefficients are sampled. Where the population is not about the linear predictor (beta, gamma, exponential) it
    replaces the intercept: there are no coefficients, and a group's own value is the population's draw. ``extras`` of a
    hyperparameter point are the family's dispersions, then the population's parameters other than its sd.
    """

    family: Family
    population: Population
    response: ResponseColumns

    @property
    def n_dispersions(self) -> int:
        """How many of the extras belong to the family."""
        return len(self.family.dispersions)

    @property
    def replaces_intercept(self) -> bool:
        """Whether the population stands in the intercept's place."""
        return not self.population.centred


def build_latent_model(
    design: Design,
    family: Family,
    population: Population,
    priors: Mapping[str, Prior | str] | None,
    pooling: Pooling,
    *,
    estimated: bool = False,
) -> LatentModel:
    """Join a design, a family and a population to their priors.

    Raises:
        FormulaError: the formula has more than the population can stand for.
        NotYetError: more effects by one factor than are integrated.
        PriorError: a prior is unknown, does not suit, or leaves the posterior improper.
    """
    groups = design.groups
    family = join_zero_part(family, design)
    if pooling == "none":
        check_one_factor(design, "pooling='none'")
    if pooling == "complete":
        if not population.centred:
            raise FormulaError(
                f"pooling='complete' has no groups, and so no {population.name} population: drop population="
            )
        groups = ()
    _check_effects(groups, population, pooling)
    _check_replaced(design, population)
    response = collect_response(design)
    scales = measure_latent_scales(design, family, response)
    used = _resolve_priors(design, groups, family, population, response, scales, priors, pooling, warned=not estimated)
    for group in groups if estimated else ():
        if any(not isinstance(used.get(name), Fixed) for name in group.sd_names):
            check_several_levels(group)
    known = groups[0] if pooling == "none" and groups else None
    names = design.population.names
    sampled = [k for k, name in enumerate(names) if population.centred and not (known and name in known.names)]
    space = _build_space(design, groups, known, sampled, family, population, response, scales, used)
    order = [*sampled, *(k for k in range(len(names)) if k not in sampled)]
    split = CoefficientPrior((), tuple(order), np.empty(0), np.empty(0))
    moments = (2,) * len(space.names)
    if estimated:
        check_maximum_exists(design, family, response, replaced=not population.centred, given=space.given)
    else:
        moments = check_latent_posterior_is_proper(design, family, population, response, space, used, pooling)
    if known:
        for name in known.names:
            normal_or_flat(used, name)
    return LatentModel(design, pooling, groups, used, space, split, scales, moments, family, population, response)


def _resolve_priors(
    design: Design,
    groups: tuple[GroupDesign, ...],
    family: Family,
    population: Population,
    response: ResponseColumns,
    scales: DataScales,
    priors: Mapping[str, Prior | str] | None,
    pooling: Pooling,
    *,
    warned: bool,
) -> dict[str, Prior]:
    """Return the priors of the parameters that the model has, with warnings where one asks for caution."""
    own = list_latent_slots(design, family, population, response, scales, priors)
    without_noise = replace(design, measurements=replace(design.measurements, known_scale=True))
    slots, resolved = resolve_block_priors(priors, without_noise, groups, scales, pooling, own)
    used = {
        slot.name: resolved[slot.name]
        for slot in slots
        if (slot.name in family.dispersions or is_in_use(slot, design, pooling))
        and not is_without_effect(slot, groups, resolved)
    }
    if not population.centred:
        used = {name: prior for name, prior in used.items() if name in {slot.name for slot in own}}
        _refuse_unused(priors, used, population)
    if pooling == "partial" and warned:
        of_population = [slot.name for slot in own if slot.name not in family.dispersions]
        warn_of_one_group(groups, [slot for slot in slots if slot.name in used], resolved, of_population)
    for name, prior in used.items():
        if caution := prior_caution(prior):
            warn_user(f"prior for {name}: {caution}", PriorWarning)
    return used


def _build_space(
    design: Design,
    groups: tuple[GroupDesign, ...],
    known: GroupDesign | None,
    sampled: list[int],
    family: Family,
    population: Population,
    response: ResponseColumns,
    scales: DataScales,
    used: Mapping[str, Prior],
) -> HyperSpace:
    """Return the hyperparameters: ``sampled`` are the places of the coefficients among them, ``known`` is the factor
    whose effects are not pooled."""
    pooled = () if known or not population.centred else groups
    names = tuple(design.population.names[k] for k in sampled)
    own = [get_scalar_prior(used, name) for name in names]
    free = tuple(np.isinf(prior.support[0]) for prior in own)
    placed = place_latent_coefficients(design, family, response, scales, sampled, free)
    at_means = "Intercept" in names and is_at_means(used["Intercept"])
    others = tuple(name for name in design.population.names if name not in names)
    stated = state_at_means((*names, *others), at_means, scales.column_means)[: len(names)]
    return HyperSpace(
        effect_sds=tuple(hyper for group in pooled for hyper in build_effect_sds(group, used, scales)),
        blocks=tuple(
            block
            for group, part in zip(pooled, slice_effects(pooled), strict=True)
            for block in build_covariance_blocks(group, part.start, used, scales)
        ),
        residual_sd=None,
        coefficients=tuple(
            ScalarHyperparameter(name, "coefficient", prior, *place)
            for name, prior, place in zip(names, own, placed.places, strict=True)
        ),
        coefficient_chart=CoefficientChart(placed.natural, stated) if len(names) > 1 else None,
        n_effects=sum(len(group.names) for group in pooled or ((known,) if known else ())),
        fixed_effect_root=fix_effect_root(known, used, scales) if known else None,
        fixed_coefficients=_fix_coefficients(design, population, known, used, scales),
        extras=build_extras(family, population, groups, response, used, scales),
        pair=build_pair(population, response, used, scales),
    )


def collect_response(design: Design) -> ResponseColumns:
    """Return the columns that families read, from the measurements."""
    measurements = design.measurements
    n_rows = len(measurements.response)
    known = measurements.known_scale and measurements.precision is not None
    return ResponseColumns(
        measurements.response,
        np.ones(n_rows) if measurements.sizes is None else measurements.sizes,
        measurements.precision**-0.5 if known and measurements.precision is not None else None,
        measurements.censoring,
        measurements.upper,
        measurements.lower_limit,
        measurements.upper_limit,
        None if design.zero is None else design.zero.values,
    )


def _fix_coefficients(
    design: Design,
    population: Population,
    known: GroupDesign | None,
    priors: Mapping[str, Prior],
    scales: DataScales,
) -> tuple[float, ...]:
    """Return the coefficients that are known: the population's own values without pooling, zeros where a population
    stands in the intercept's place."""
    if not population.centred:
        return (0.0,) * len(design.population.names)
    return fix_coefficients(design, known, priors, scales) if known else ()


def _check_effects(groups: tuple[GroupDesign, ...], population: Population, pooling: Pooling) -> None:
    for group in groups:
        if len(group.names) > MOST_EFFECTS:
            raise NotYetError(
                f"{len(group.names)} effects vary by {group.name}: up to {MOST_EFFECTS} are integrated under this "
                "likelihood; let fewer vary"
            )
    if len(groups) > 1 and any(group.names != ("Intercept",) for group in groups):
        raise NotYetError(
            "several grouping factors under this likelihood are integrated where each has an intercept alone, "
            "(1 | g): drop the slopes, or all factors but one"
        )
    if population.name == "normal":
        return
    if pooling == "none":
        raise FormulaError(f"pooling='none' has no population: drop population= ({population.name})")
    if len(groups) != 1 or groups[0].names != ("Intercept",):
        raise FormulaError(
            f"a {population.name} population is of one number a group: write one term (1 | g), or leave the "
            "population normal"
        )


def _check_replaced(design: Design, population: Population) -> None:
    """Raise ``FormulaError`` for covariates beside a population that stands in the intercept's place."""
    beside = [name for name in design.population.names if name != "Intercept"]
    if population.centred or not beside:
        return
    scale = "logit" if population.support == "probability" else "log"
    raise FormulaError(
        f"a {population.name} population replaces the intercept, and {', '.join(beside)} stand beside it: write "
        f"y ~ 1 + (1 | g), or leave the population normal on the {scale} scale, which takes covariates"
    )


def _refuse_unused(given: Mapping[str, Prior | str] | None, used: Mapping[str, Prior], population: Population) -> None:
    for key in given or {}:
        packed = "".join(str(key).split())
        if packed not in {"".join(name.split()) for name in used} and packed != "shape":
            raise PriorError(
                f"priors: {key!r} is no parameter here: a {population.name} population has {', '.join(used)}"
            )

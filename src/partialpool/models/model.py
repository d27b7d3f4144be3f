"""The model: a design joined to priors, with its hyperparameters laid out and its propriety checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from partialpool.errors import FormulaError, PriorError, PriorWarning, warn_user
from partialpool.inputs.columns.places import join_words
from partialpool.inputs.designs.confounding import check_several_levels
from partialpool.inputs.designs.design import Design, GroupDesign
from partialpool.models.coefficient_prior import CoefficientPrior
from partialpool.models.known_population import check_each_group_identifies, fix_coefficients, fix_effect_root
from partialpool.models.priors import (
    LKJ,
    Cauchy,
    Fixed,
    Flat,
    InverseGamma,
    Normal,
    Prior,
    StudentT,
    is_at_means,
    prior_caution,
)
from partialpool.models.propriety.normal_models import check_posterior_is_proper, find_finite_moments
from partialpool.models.scales import DataScales, measure_scales
from partialpool.models.slots import (
    Pooling,
    get_scalar_prior,
    is_in_use,
    is_without_effect,
    resolve_block_priors,
    warn_of_one_group,
)
from partialpool.models.space.coefficient_chart import state_at_means
from partialpool.models.space.effect_hyperparameters import build_covariance_blocks, build_effect_sds
from partialpool.models.space.hyperspace import HyperSpace, ScalarHyperparameter


@dataclass(frozen=True)
class Model:
    """A Gaussian model.

    ``groups`` are the grouping factors whose effects vary, none under complete pooling; effects are numbered over all
    factors, factor after factor. ``priors`` are those in use, by parameter name, in printing order.
    ``moments`` says for each hyperparameter how many posterior moments are finite (0, 1 or 2).
    """

    design: Design
    pooling: Pooling
    groups: tuple[GroupDesign, ...]
    priors: Mapping[str, Prior]
    space: HyperSpace
    coefficient_prior: CoefficientPrior
    scales: DataScales
    moments: tuple[int, ...]

    @property
    def effect_slices(self) -> tuple[slice, ...]:
        """Where each factor's effects are among all."""
        return slice_effects(self.groups)

    @property
    def n_effects(self) -> int:
        """How many effects the factors have in all."""
        return sum(len(group.names) for group in self.groups)

    def factor(self, name: str) -> int:
        """Return the position of a factor. Raises ``KeyError`` where there is none of that name."""
        for k, group in enumerate(self.groups):
            if group.name == name:
                return k
        raise KeyError(name)


def slice_effects(groups: Sequence[GroupDesign]) -> tuple[slice, ...]:
    """Return where each factor's effects are among those of all."""
    ends = [0, *accumulate(len(group.names) for group in groups)]
    return tuple(slice(a, b) for a, b in pairwise(ends))


def build_model(
    design: Design,
    priors: Mapping[str, Prior | str] | None,
    pooling: Pooling,
    *,
    estimated: bool = False,
    means: Mapping[str, float] | None = None,
) -> Model:
    """Join a design to its priors.

    ``estimated`` says that population parameters will be estimates (empirical Bayes): priors are checked as names and
    then replaced by flat ones, whose propriety does not matter. ``means`` are the columns' means that priors may be
    stated at, by default those over the design's own rows.

    Raises:
        FormulaError: no pooling with several grouping factors.
        PriorError: a prior is unknown, does not suit, or leaves the posterior improper.
        IdentificationError: no pooling under flat priors where a group cannot identify a coefficient.
    """
    groups = design.groups
    if pooling == "none":
        check_one_factor(design, "pooling='none'")
    scales = measure_scales(design)
    if means is not None:
        scales = replace(scales, column_means=dict(means))
    used = _choose_priors(priors, design, scales, pooling, estimated)
    if pooling == "complete":
        groups = ()
    known = groups[0] if pooling == "none" and groups else None
    coefficients = _split_coefficients(design, known, used, scales)
    space = _lay_out(design, groups, known, coefficients, used, scales)
    if not estimated:
        check_posterior_is_proper(design, groups, used, pooling)
    if known:
        check_each_group_identifies(known, used)
    moments = (2,) * len(space.names)
    if not estimated:
        moments = tuple(map(sum, find_finite_moments(design, space.names, groups, used, pooling)))
    return Model(design, pooling, groups, used, space, coefficients.prior, scales, moments)


def _choose_priors(
    priors: Mapping[str, Prior | str] | None, design: Design, scales: DataScales, pooling: Pooling, estimated: bool
) -> dict[str, Prior]:
    """Return the priors in use by parameter name, flat ones of what is ``estimated``; warn of those that mislead."""
    if design.measurements.known_scale and "sigma" in (priors or {}):
        raise PriorError(
            "priors: 'sigma' is given a prior, but standard_error says that the noise is known: drop one of them "
            "(weights= keeps sigma unknown, with variance sigma^2 / weight)"
        )
    groups = design.groups
    slots, resolved = resolve_block_priors(priors, design, groups, scales, pooling)
    used = {
        slot.name: resolved[slot.name]
        for slot in slots
        if is_in_use(slot, design, pooling) and not is_without_effect(slot, groups, resolved)
    }
    if estimated:
        for group in groups:
            check_several_levels(group)
        used = _leave_open(used)
    elif pooling == "partial":
        warn_of_one_group(groups, slots, resolved)
    for name, prior in used.items():
        if caution := prior_caution(prior):
            warn_user(f"prior for {name}: {caution}", PriorWarning)
    return used


def _leave_open(priors: Mapping[str, Prior]) -> dict[str, Prior]:
    """Return flat priors for what is estimated. A sigma that is given stays so; refuses other values that are given."""
    given = [name for name, prior in priors.items() if isinstance(prior, Fixed) and name != "sigma"]
    if given:
        raise PriorError(
            f"prior for {given[0]}: {priors[given[0]]} is a given value, and method='empirical_bayes' takes that of "
            "sigma alone and estimates all others: use method='auto', which takes every given value"
        )
    open_: dict[type[Prior], Prior] = {LKJ: LKJ(1.0), Fixed: priors.get("sigma", Flat())}
    return {name: open_.get(type(prior), Flat()) for name, prior in priors.items()}


def check_one_factor(design: Design, argument: str) -> None:
    """Raise ``FormulaError`` where an ``argument`` that is for one factor meets several."""
    if len(design.groups) > 1:
        columns = ":".join(dict.fromkeys(name for group in design.groups for name in group.columns))
        raise FormulaError(
            f"{argument} gives every group its own coefficients, and those of "
            f"{join_words([group.name for group in design.groups])} cannot be told apart without populations that they "
            f"come from: keep one factor, such as {columns}, or pool partially"
        )


def _lay_out(
    design: Design,
    groups: Sequence[GroupDesign],
    known: GroupDesign | None,
    coefficients: _Coefficients,
    priors: Mapping[str, Prior],
    scales: DataScales,
) -> HyperSpace:
    """Lay out the hyperparameters; a factor of ``known`` population (no pooling) adds none."""
    pooled = () if known else groups
    return HyperSpace(
        effect_sds=tuple(hyper for group in pooled for hyper in build_effect_sds(group, priors, scales)),
        blocks=tuple(
            block
            for group, part in zip(pooled, slice_effects(pooled), strict=True)
            for block in build_covariance_blocks(group, part.start, priors, scales)
        ),
        residual_sd=_residual_sd(design, priors, scales),
        coefficients=coefficients.sampled,
        coefficient_sds=coefficients.sds,
        n_effects=sum(len(group.names) for group in groups),
        fixed_effect_root=fix_effect_root(known, priors, scales) if known else None,
        fixed_coefficients=fix_coefficients(design, known, priors, scales) if known else (),
    )


def _residual_sd(design: Design, priors: Mapping[str, Prior], scales: DataScales) -> ScalarHyperparameter | None:
    if design.measurements.known_scale:
        return None
    return ScalarHyperparameter(
        "sigma", "residual_sd", get_scalar_prior(priors, "sigma"), guess=scales.response_sd, spread=1.0
    )


class _Coefficients(NamedTuple):
    """What becomes of the population's coefficients: the ``sampled`` ones and the prior ``sds`` mixed over are
    hyperparameters."""

    prior: CoefficientPrior
    sampled: tuple[ScalarHyperparameter, ...]
    sds: tuple[ScalarHyperparameter, ...]


def _split_coefficients(
    design: Design, known_group: GroupDesign | None, priors: Mapping[str, Prior], scales: DataScales
) -> _Coefficients:
    """Separate the coefficients that integrate out in closed form from those that join the hyperparameters.

    A Student-t (or Cauchy) prior is a mixture of normals over its sd, whose square is inverse gamma (nu/2, nu/2
    scale^2): the sd joins the hyperparameters and the coefficient leaves them (Andrews and Mallows 1974, J. Royal
    Statistical Society B 36:99-102). Without pooling (``known_group``) the coefficients that vary by group have a
    known population.
    """
    names = design.population.names
    known = [k for k, name in enumerate(names) if known_group is not None and name in known_group.names]
    free = [k for k in range(len(names)) if k not in known]
    integrated = [k for k in free if isinstance(priors[names[k]], Normal | Flat | StudentT | Cauchy)]
    sampled = [k for k in free if k not in integrated]
    mean, precision = np.zeros(len(integrated)), np.zeros(len(integrated))
    mixed, sds = [], []
    simple = all(isinstance(priors[names[k]], Normal | Flat | Fixed) for k in free)
    placed = ((0.0, 1.0),) * len(names) if simple else _place_coefficients(design, scales)
    for i, k in enumerate(integrated):
        prior = priors[names[k]]
        if isinstance(prior, Normal):
            mean[i], precision[i] = prior.mu, prior.sigma**-2.0
        elif isinstance(prior, StudentT | Cauchy):
            mixed.append(i)
            mean[i], precision[i] = prior.mu, 1.0
            sds.append(_prior_sd(names[k], prior, placed[k][0]))
    hyper = tuple(
        ScalarHyperparameter(names[k], "coefficient", get_scalar_prior(priors, names[k]), *placed[k]) for k in sampled
    )
    at_means = bool(integrated) and "Intercept" in names and is_at_means(priors["Intercept"])
    stated = state_at_means(names, at_means, scales.column_means)[integrated] if at_means else None
    split = CoefficientPrior(tuple(integrated), (*sampled, *known), mean, precision, tuple(mixed), stated)
    return _Coefficients(split, hyper, tuple(sds))


def _prior_sd(name: str, prior: StudentT | Cauchy, estimate: float) -> ScalarHyperparameter:
    """Return the sd that a Student-t prior is a mixture of normals over."""
    nu, scale = (1.0, prior.scale) if isinstance(prior, Cauchy) else (prior.nu, prior.sigma)
    mixing = InverseGamma(0.5 * nu, 0.5 * nu * scale**2, on="variance")
    guess = math.sqrt((nu * scale**2 + (estimate - prior.mu) ** 2) / (nu + 1.0))
    return ScalarHyperparameter(f"prior sd of {name}", "coefficient", mixing, guess=guess, spread=1.0)


def _place_coefficients(design: Design, scales: DataScales) -> tuple[tuple[float, float], ...]:
    """Return each coefficient's least-squares estimate and that estimate's sd."""
    values = design.population.values
    response = design.measurements.response
    if design.measurements.offset is not None:
        response = response - design.measurements.offset
    # never the cross-product: columns that lie together far from 0 would lose their difference
    size = np.sqrt(np.mean(values * values, axis=0))
    inverse = np.linalg.pinv(values / size)
    estimate = inverse @ response / size
    sds = scales.response_sd * np.linalg.norm(inverse, axis=1) / size
    return tuple(zip(estimate.tolist(), sds.tolist(), strict=True))

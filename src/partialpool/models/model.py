"""The model: a design joined to priors, with its hyperparameters laid out and its propriety checked."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from partialpool.errors import IdentificationError, NotYetError, PriorError, PriorWarning
from partialpool.inputs.design import Design, GroupDesign
from partialpool.models.coefficient_prior import CoefficientPrior
from partialpool.models.covariance_block import CovarianceBlock
from partialpool.models.defaults import (
    DEFAULT_CORRELATION_PRIOR,
    default_coefficient_prior,
    default_effect_sd_prior,
    default_residual_sd_prior,
    effect_scale,
)
from partialpool.models.hyperspace import HyperSpace, ScalarHyperparameter
from partialpool.models.priors import (
    LKJ,
    Flat,
    Normal,
    ParameterSlot,
    Prior,
    ScalarPrior,
    check_propriety,
    finite_moments,
    prior_caution,
    resolve_priors,
)
from partialpool.models.scales import DataScales, measure_scales

Pooling = Literal["partial", "complete", "none"]

# A flat prior on a group's own coefficient, as a normal prior this many times wider than the data could show:
# its square is the reciprocal of the rounding error.
_FLAT_WIDTH = 1e8


@dataclass(frozen=True)
class Model:
    """A Gaussian model with at most one grouping factor.

    ``group`` is None under complete pooling. ``priors`` are those in use, by parameter name, in printing order.
    ``moments`` says for each hyperparameter how many posterior moments are finite (0, 1 or 2).
    """

    design: Design
    pooling: Pooling
    group: GroupDesign | None
    priors: Mapping[str, Prior]
    space: HyperSpace
    coefficient_prior: CoefficientPrior
    scales: DataScales
    moments: tuple[int, ...]


def build_model(
    design: Design, priors: Mapping[str, Prior | str] | None, pooling: Pooling, *, estimated: bool = False
) -> Model:
    """Join a design to its priors.

    ``estimated`` says that population parameters will be estimates (empirical Bayes): priors are checked as names and
    then replaced by flat ones, whose propriety does not matter.

    Raises:
        NotYetError: the formula has several grouping factors.
        PriorError: a prior is unknown, does not suit, or leaves the posterior improper.
        IdentificationError: no pooling under flat priors where a group cannot identify a coefficient.
    """
    if len(design.groups) > 1:
        names = " and ".join(group.name for group in design.groups)
        raise NotYetError(
            f"the formula has {len(design.groups)} grouping factors ({names}): models with several factors are "
            "understood but not computed yet; keep one, or combine them as (1 | a:b)"
        )
    group = design.groups[0] if design.groups else None
    scales = measure_scales(design)
    slots = _parameter_slots(design, group, scales)
    if design.measurements.known_scale and "sigma" in (priors or {}):
        raise PriorError(
            "priors: 'sigma' is given a prior, but standard_error says that the noise is known: drop one of them (weights= "
            "keeps sigma unknown, with variance sigma^2 / weight)"
        )
    resolved = resolve_priors(priors, slots)
    used = {slot.name: resolved[slot.name] for slot in slots if _in_use(slot, design, pooling)}
    if estimated:
        used = {name: LKJ(1.0) if isinstance(prior, LKJ) else Flat() for name, prior in used.items()}
    for name, prior in used.items():
        if caution := prior_caution(prior):
            warnings.warn(f"prior for {name}: {caution}", PriorWarning, stacklevel=3)
    if pooling == "complete":
        group = None
    known = pooling == "none" and group is not None
    coefficient_prior, coefficients = _split_coefficients(design, group if known else None, used, scales)
    space = HyperSpace(
        effect_sds=() if group is None or known else _effect_sds(group, used, scales),
        blocks=() if group is None or known else _covariance_blocks(group, used, scales),
        residual_sd=_residual_sd(design, used, scales),
        coefficients=coefficients,
        n_effects=0 if group is None else len(group.names),
        fixed_effect_sds=_known_sds(group, used, scales) if known and group is not None else None,
        fixed_coefficients=_known_coefficients(design, group, used) if known and group is not None else (),
    )
    if group is not None and not known and not estimated:
        _check_propriety(design, group, used)
    if known and group is not None:
        _check_each_group_identifies(group, used)
    return Model(design, pooling, group, used, space, coefficient_prior, scales, _moments(space, group, used))


def effect_sd_name(group: GroupDesign, k: int) -> str:
    """Return sd(g) for an intercept-only factor, sd(g, x) otherwise."""
    return f"sd({group.name})" if group.names == ("Intercept",) else f"sd({group.name}, {group.names[k]})"


def correlation_name(group: GroupDesign, i: int, j: int) -> str:
    """Return cor(g, x1, x2)."""
    return f"cor({group.name}, {group.names[i]}, {group.names[j]})"


def _parameter_slots(design: Design, group: GroupDesign | None, scales: DataScales) -> list[ParameterSlot]:
    """List every parameter that can carry a prior: coefficients, effect sds, correlations, sigma."""
    names = design.population.names
    slots = [
        ParameterSlot(name, "coefficient", "coefficients", default_coefficient_prior(name, names, scales))
        for name in names
    ]
    if group is not None:
        for name in group.names:
            if name not in names:  # has a prior of its own only without pooling
                default = default_coefficient_prior(name, group.names, scales)
                slots.append(ParameterSlot(name, "coefficient", "coefficients", default))
        for k, name in enumerate(group.names):
            sd_default = default_effect_sd_prior(name, group.names, scales)
            slots.append(ParameterSlot(effect_sd_name(group, k), "scale", "sd", sd_default))
        for block in group.blocks:
            if len(block) > 1:
                slots.append(_correlation_slot(group, block))
    if not design.measurements.known_scale:
        slots.append(ParameterSlot("sigma", "scale", "sigma", default_residual_sd_prior(scales)))
    return slots


def _correlation_slot(group: GroupDesign, block: tuple[int, ...]) -> ParameterSlot:
    """One prior for the whole matrix of a block; a 2 x 2 block answers to its correlation in either order."""
    several = sum(len(other) > 1 for other in group.blocks) > 1
    inner = ", ".join(group.names[k] for k in block)
    name = f"cor({group.name}, {inner})" if len(block) == 2 or several else f"cor({group.name})"
    aliases = [f"cor({group.name}, {inner})"] if name == f"cor({group.name})" else []
    if len(block) == 2:
        aliases.append(f"cor({group.name}, {group.names[block[1]]}, {group.names[block[0]]})")
        if not several:
            aliases.append(f"cor({group.name})")
    return ParameterSlot(name, "correlation", "cor", DEFAULT_CORRELATION_PRIOR, tuple(aliases))


def _in_use(slot: ParameterSlot, design: Design, pooling: Pooling) -> bool:
    """Say whether a parameter exists under this pooling."""
    if slot.cls == "sigma":
        return True
    if slot.cls == "coefficients":
        return slot.name in design.population.names or pooling == "none"
    return pooling == "partial"


def _scalar_prior(priors: Mapping[str, Prior], name: str) -> ScalarPrior:
    prior = priors[name]
    if not isinstance(prior, ScalarPrior):
        raise PriorError(f"prior for {name}: {prior} is not a prior on one number")
    return prior


def _effect_sds(
    group: GroupDesign, priors: Mapping[str, Prior], scales: DataScales
) -> tuple[ScalarHyperparameter, ...]:
    return tuple(
        ScalarHyperparameter(
            name := effect_sd_name(group, k),
            "effect_sd",
            _scalar_prior(priors, name),
            guess=_effect_guess(group, k, scales),
            spread=1.0,
        )
        for k in range(len(group.names))
    )


def _effect_guess(group: GroupDesign, k: int, scales: DataScales) -> float:
    """Where the sd's coordinate lies: in a covariance block, an intercept's is at the columns' means."""
    correlated = any(len(block) > 1 and k in block for block in group.blocks)
    if group.names[k] == "Intercept" and correlated:
        return scales.response_sd
    return effect_scale(group.names[k], group.names, scales)


def _covariance_blocks(
    group: GroupDesign, priors: Mapping[str, Prior], scales: DataScales
) -> tuple[CovarianceBlock, ...]:
    blocks = []
    for block in group.blocks:
        if len(block) == 1:
            continue
        prior = priors[_correlation_slot(group, block).name]
        if not isinstance(prior, LKJ):
            raise PriorError(f"prior for the correlations of {group.name}: give LKJ(eta), not {prior}")
        columns = [group.names[k] for k in block]
        intercept = columns.index("Intercept") if "Intercept" in columns else None
        beside = [intercept is not None and name != "Intercept" for name in columns]
        blocks.append(
            CovarianceBlock(
                positions=block,
                names=tuple(correlation_name(group, i, j) for i, j in combinations(block, 2)),
                sd_priors=tuple(_scalar_prior(priors, effect_sd_name(group, k)) for k in block),
                correlation_prior=prior,
                intercept=intercept,
                centre=tuple(
                    scales.column_means[name] if on else 0.0 for name, on in zip(columns, beside, strict=True)
                ),
            )
        )
    return tuple(blocks)


def _residual_sd(design: Design, priors: Mapping[str, Prior], scales: DataScales) -> ScalarHyperparameter | None:
    if design.measurements.known_scale:
        return None
    return ScalarHyperparameter(
        "sigma", "residual_sd", _scalar_prior(priors, "sigma"), guess=scales.response_sd, spread=1.0
    )


def _split_coefficients(
    design: Design, known_group: GroupDesign | None, priors: Mapping[str, Prior], scales: DataScales
) -> tuple[CoefficientPrior, tuple[ScalarHyperparameter, ...]]:
    """Separate the coefficients that integrate out in closed form from those that join the hyperparameters.

    Without pooling (``known_group``) the coefficients that vary by group have a known population.
    """
    names = design.population.names
    known = [k for k, name in enumerate(names) if known_group is not None and name in known_group.names]
    integrated = [k for k, name in enumerate(names) if isinstance(priors[name], Normal | Flat) and k not in known]
    sampled = [k for k in range(len(names)) if k not in integrated and k not in known]
    mean, precision = np.zeros(len(integrated)), np.zeros(len(integrated))
    for i, k in enumerate(integrated):
        prior = priors[names[k]]
        if isinstance(prior, Normal):
            mean[i], precision[i] = prior.mu, prior.sigma**-2.0
    hyper = _sampled_coefficients(design, sampled, priors, scales)
    return CoefficientPrior(tuple(integrated), (*sampled, *known), mean, precision), hyper


def _sampled_coefficients(
    design: Design, sampled: list[int], priors: Mapping[str, Prior], scales: DataScales
) -> tuple[ScalarHyperparameter, ...]:
    """Place each sampled coefficient near its least-squares estimate, in units of that estimate's sd."""
    if not sampled:
        return ()
    values = design.population.values
    response = design.measurements.response
    if design.measurements.offset is not None:
        response = response - design.measurements.offset
    estimate = np.linalg.lstsq(values, response, rcond=None)[0]
    sds = scales.response_sd * np.sqrt(np.diag(np.linalg.pinv(values.T @ values)))
    return tuple(
        ScalarHyperparameter(
            name := design.population.names[k],
            "coefficient",
            _scalar_prior(priors, name),
            guess=float(estimate[k]),
            spread=float(sds[k]),
        )
        for k in sampled
    )


def _normal_or_flat(priors: Mapping[str, Prior], name: str) -> Normal | Flat:
    prior = priors[name]
    if isinstance(prior, Normal | Flat):
        return prior
    raise PriorError(
        f"prior for {name}: without pooling each group's own {name} needs a Normal or Flat prior, not {prior}"
    )


def _known_sds(group: GroupDesign, priors: Mapping[str, Prior], scales: DataScales) -> np.ndarray:
    """The sd of each group's own coefficient without pooling: its prior's."""
    sds = []
    for name in group.names:
        prior = _normal_or_flat(priors, name)
        wide = _FLAT_WIDTH * effect_scale(name, group.names, scales)
        sds.append(prior.sigma if isinstance(prior, Normal) else wide)
    return np.array(sds)


def _known_coefficients(design: Design, group: GroupDesign, priors: Mapping[str, Prior]) -> tuple[float, ...]:
    """The mean of each group's own coefficient without pooling, in the order of the population's columns."""
    return tuple(
        prior.mu if isinstance(prior := _normal_or_flat(priors, name), Normal) else 0.0
        for name in design.population.names
        if name in group.names
    )


def _groups_that_identify(group: GroupDesign, k: int) -> int:
    """Count the groups whose rows tell something of effect k: it varies there, beside an intercept, or is not 0."""
    if group.names[k] == "Intercept":
        return group.n_levels
    return int(np.count_nonzero(_identifies(group, k)))


def _identifies(group: GroupDesign, k: int) -> np.ndarray:
    """Say for each group whether column k varies in it (beside an intercept) or is not zero in it."""
    column = group.values[:, k]
    if "Intercept" not in group.names:
        return np.bincount(group.codes, weights=column != 0.0, minlength=group.n_levels) > 0
    low, high = np.full(group.n_levels, np.inf), np.full(group.n_levels, -np.inf)
    np.minimum.at(low, group.codes, column)
    np.maximum.at(high, group.codes, column)
    return np.asarray(high > low)


def _check_propriety(design: Design, group: GroupDesign, priors: Mapping[str, Prior]) -> None:
    counts = design.measurements.counts
    n_rows = len(design.measurements.response) if counts is None else int(counts.sum())
    residual = None if design.measurements.known_scale else n_rows - len(design.population.names)
    groups = {}
    for k in range(len(group.names)):
        name = effect_sd_name(group, k)
        improper = not priors[name].proper
        groups[name] = _groups_that_identify(group, k) if improper else group.n_levels
    within = None if residual is None else residual - len(group.names) * group.n_levels
    check_propriety(priors, groups, residual_degrees=residual, within_degrees=within)


def _check_each_group_identifies(group: GroupDesign, priors: Mapping[str, Prior]) -> None:
    """Refuse flat priors without pooling where some group's rows say nothing of a coefficient."""
    for k, name in enumerate(group.names):
        if name == "Intercept" or not isinstance(priors[name], Flat):
            continue
        missing = np.flatnonzero(~_identifies(group, k))
        if len(missing):
            shown = ", ".join(repr(group.labels[j]) for j in missing[:5])
            raise IdentificationError(
                f"pooling='none': {len(missing)} of {group.n_levels} groups of {group.name} (such as {shown}) have "
                f"rows that say nothing of {name}, whose prior is flat: give {name} a Normal prior, or pool partially"
            )


def _moments(space: HyperSpace, group: GroupDesign | None, priors: Mapping[str, Prior]) -> tuple[int, ...]:
    """Count the finite posterior moments (up to 2) of every hyperparameter."""
    counts = []
    for name in space.names:
        prior = priors.get(name)
        if group is None or not name.startswith("sd(") or not isinstance(prior, ScalarPrior):
            counts.append(2)
            continue
        groups = group.n_levels
        counts.append(sum(finite_moments(prior, groups, order) for order in (1.0, 2.0)))
    return tuple(counts)

"""The model: a design joined to priors, with its hyperparameters laid out and its propriety checked."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from partialpool.errors import NotYetError, PriorError, PriorWarning
from partialpool.inputs.design import Design, GroupDesign
from partialpool.models.coefficient_prior import CoefficientPrior
from partialpool.models.covariance_block import CovarianceBlock
from partialpool.models.defaults import effect_scale
from partialpool.models.hyperspace import HyperSpace, ScalarHyperparameter
from partialpool.models.identification import count_identifying_groups, find_competing_columns, rank_with_groups
from partialpool.models.known_population import check_each_group_identifies, fix_coefficients, fix_effect_sds
from partialpool.models.priors import (
    LKJ,
    Cauchy,
    Flat,
    InverseGamma,
    Normal,
    Prior,
    StudentT,
    check_propriety,
    finite_moments,
    finite_residual_moments,
    growth_along,
    prior_caution,
)
from partialpool.models.scales import DataScales, measure_scales
from partialpool.models.slots import (
    Pooling,
    correlation_name,
    describe_correlation_slot,
    effect_sd_name,
    get_scalar_prior,
    is_in_use,
    resolve_block_priors,
)
from partialpool.numerics.arrays import FloatArray


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
    if design.measurements.known_scale and "sigma" in (priors or {}):
        raise PriorError(
            "priors: 'sigma' is given a prior, but standard_error says that the noise is known: drop one of them "
            "(weights= keeps sigma unknown, with variance sigma^2 / weight)"
        )
    slots, resolved = resolve_block_priors(priors, design, group, scales)
    used = {slot.name: resolved[slot.name] for slot in slots if is_in_use(slot, design, pooling)}
    if estimated:
        used = {name: LKJ(1.0) if isinstance(prior, LKJ) else Flat() for name, prior in used.items()}
    for name, prior in used.items():
        if caution := prior_caution(prior):
            warnings.warn(f"prior for {name}: {caution}", PriorWarning, stacklevel=3)
    if pooling == "complete":
        group = None
    known = pooling == "none" and group is not None
    coefficients = _split_coefficients(design, group if known else None, used, scales)
    space = HyperSpace(
        effect_sds=() if group is None or known else _effect_sds(group, used, scales),
        blocks=() if group is None or known else _covariance_blocks(group, used, scales),
        residual_sd=_residual_sd(design, used, scales),
        coefficients=coefficients.sampled,
        coefficient_sds=coefficients.sds,
        n_effects=0 if group is None else len(group.names),
        fixed_effect_sds=fix_effect_sds(group, used, scales) if known and group is not None else None,
        fixed_coefficients=fix_coefficients(design, group, used) if known and group is not None else (),
    )
    if not estimated:
        _check_propriety(design, group, used, pooling)
    if known and group is not None:
        check_each_group_identifies(group, used)
    moments = (2,) * len(space.names) if estimated else _moments(design, space, group, used, pooling)
    return Model(design, pooling, group, used, space, coefficients.prior, scales, moments)


def _effect_sds(
    group: GroupDesign, priors: Mapping[str, Prior], scales: DataScales
) -> tuple[ScalarHyperparameter, ...]:
    return tuple(
        ScalarHyperparameter(
            name := effect_sd_name(group, k),
            "effect_sd",
            get_scalar_prior(priors, name),
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
        prior = priors[describe_correlation_slot(group, block).name]
        if not isinstance(prior, LKJ):
            raise PriorError(f"prior for the correlations of {group.name}: give LKJ(eta), not {prior}")
        columns = [group.names[k] for k in block]
        intercept = columns.index("Intercept") if "Intercept" in columns else None
        beside = [intercept is not None and name != "Intercept" for name in columns]
        blocks.append(
            CovarianceBlock(
                positions=block,
                names=tuple(correlation_name(group, i, j) for i, j in combinations(block, 2)),
                sd_priors=tuple(get_scalar_prior(priors, effect_sd_name(group, k)) for k in block),
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
    simple = all(isinstance(priors[names[k]], Normal | Flat) for k in free)
    placed = () if simple else _place_coefficients(design, scales)
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
    split = CoefficientPrior(tuple(integrated), (*sampled, *known), mean, precision, tuple(mixed))
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


def _check_propriety(design: Design, group: GroupDesign | None, priors: Mapping[str, Prior], pooling: Pooling) -> None:
    groups, competing = _identify_effect_sds(design, group, priors, pooling)
    residual = within = None
    if not design.measurements.known_scale:
        residual = _residual_degrees(design, group, priors, pooling)
        if get_scalar_prior(priors, "sigma").zero_exponent <= -1:
            within = _within_degrees(design, group)
    check_propriety(priors, groups, competing=competing, residual_degrees=residual, within_degrees=within)


def _identify_effect_sds(
    design: Design, group: GroupDesign | None, priors: Mapping[str, Prior], pooling: Pooling
) -> tuple[dict[str, int], dict[str, int]]:
    """Count for each group-level sd the groups that tell of it and the flat columns that compete with its effects."""
    groups: dict[str, int] = {}
    competing: dict[str, int] = {}
    if group is None or pooling != "partial":
        return groups, competing
    flat = _flat_columns(design, priors)
    for k in range(len(group.names)):
        name = effect_sd_name(group, k)
        if get_scalar_prior(priors, name).tail_exponent > 3:  # proper, with two moments, whatever the data
            groups[name], competing[name] = group.n_levels, 0
            continue
        groups[name] = count_identifying_groups(group, k)
        competing[name] = find_competing_columns(flat, group, k)[0]
    return groups, competing


def _flat_columns(design: Design, priors: Mapping[str, Prior], without: tuple[str, ...] = ()) -> FloatArray:
    """The population columns whose coefficients have improper priors, but those named ``without``."""
    names = design.population.names
    return design.population.values[:, [not priors[name].proper and name not in without for name in names]]


def _residual_degrees(design: Design, group: GroupDesign | None, priors: Mapping[str, Prior], pooling: Pooling) -> int:
    """The raw rows less the rank of the columns whose coefficients have improper priors."""
    if group is None or pooling != "none":
        return _count_raw_rows(design) - int(_flat_columns(design, priors).shape[1])
    effects = [k for k, name in enumerate(group.names) if not priors[name].proper]
    return _count_raw_rows(design) - rank_with_groups(_flat_columns(design, priors, group.names), group, effects)


def _within_degrees(design: Design, group: GroupDesign | None) -> int:
    """The raw rows less the rank of all columns, the groups' own included."""
    columns = design.population.values
    rank = columns.shape[1] if group is None else rank_with_groups(columns, group, range(len(group.names)))
    return _count_raw_rows(design) - rank


def _count_raw_rows(design: Design) -> int:
    counts = design.measurements.counts
    return len(design.measurements.response) if counts is None else int(counts.sum())


def _moments(
    design: Design, space: HyperSpace, group: GroupDesign | None, priors: Mapping[str, Prior], pooling: Pooling
) -> tuple[int, ...]:
    """Count the finite posterior moments (up to 2) of every hyperparameter."""
    groups, competing = _identify_effect_sds(design, group, priors, pooling)
    effect_sds = {name: get_scalar_prior(priors, name) for name in groups}
    sigma = None if design.measurements.known_scale else get_scalar_prior(priors, "sigma")
    degrees = 0 if sigma is None else _residual_degrees(design, group, priors, pooling)
    counts = []
    for name in space.names:
        finite = [True, True]
        if name in effect_sds:
            others = [prior for other, prior in effect_sds.items() if other != name]
            along = math.inf if sigma is None else degrees + sigma.tail_exponent - growth_along(others)
            finite = [
                finite_moments(effect_sds[name], groups[name], order, competing=competing[name], residual_degrees=along)
                for order in (1.0, 2.0)
            ]
        elif name == "sigma" and sigma is not None:
            companions = list(effect_sds.values())
            finite = [finite_residual_moments(sigma, companions, degrees, order) for order in (1.0, 2.0)]
        counts.append(sum(finite))
    return tuple(counts)

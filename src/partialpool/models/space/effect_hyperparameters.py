"""The hyperparameters of one factor's effects: population sds and correlations, with their priors."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from partialpool.errors import PriorError
from partialpool.inputs.designs.design import GroupDesign
from partialpool.models.defaults import effect_scale
from partialpool.models.priors import LKJ, Fixed, Prior
from partialpool.models.scales import DataScales
from partialpool.models.slots import (
    correlation_name,
    describe_correlation_slot,
    effect_sd_name,
    find_correlated,
    get_scalar_prior,
)
from partialpool.models.space.covariance_block import CovarianceBlock
from partialpool.models.space.hyperspace import ScalarHyperparameter


def build_effect_sds(
    group: GroupDesign, priors: Mapping[str, Prior], scales: DataScales
) -> tuple[ScalarHyperparameter, ...]:
    """Return the population sd of every effect of one factor."""
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


def _check_matrix(group: GroupDesign, order: int, prior: LKJ | Fixed) -> None:
    """Refuse correlations that no matrix of this order can all have."""
    least = -1.0 / (order - 1)
    if isinstance(prior, Fixed) and prior.value <= least:
        raise PriorError(
            f"prior for the correlations of {group.name}: no {order} effects have all correlations {prior.value:g}: "
            f"give a value above {least:.3g}"
        )


def build_covariance_blocks(
    group: GroupDesign, start: int, priors: Mapping[str, Prior], scales: DataScales
) -> tuple[CovarianceBlock, ...]:
    """Return the blocks of one factor, whose effects begin at ``start`` among all."""
    blocks = []
    for whole in group.blocks:
        block = find_correlated(group, whole, priors)
        if len(block) < 2:
            continue
        prior = priors[describe_correlation_slot(group, whole).name]
        if not isinstance(prior, LKJ | Fixed):
            raise PriorError(f"prior for the correlations of {group.name}: give LKJ(eta) or Fixed(value), not {prior}")
        _check_matrix(group, len(block), prior)
        columns = [group.names[k] for k in block]
        intercept = columns.index("Intercept") if "Intercept" in columns else None
        beside = [intercept is not None and name != "Intercept" for name in columns]
        blocks.append(
            CovarianceBlock(
                positions=tuple(start + k for k in block),
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

"""Tails of the posterior: whether it is proper and which moments it has, from counts and ranks, before computing."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence

from partialpool.inputs.designs.design import Design, GroupDesign
from partialpool.models.priors import (
    LKJ,
    JointTail,
    Prior,
    ScalarPrior,
    check_propriety,
    find_correlated_tail,
    find_joint_tail,
    finite_moments,
    finite_residual_moments,
    growth_along,
)
from partialpool.models.propriety.identification import (
    count_identifying_groups,
    find_competing_columns,
    rank_with_groups,
)
from partialpool.models.propriety.joint_rank import rank_of_all_columns, reduce_effects
from partialpool.models.slots import Pooling, describe_correlation_slot, effect_sd_name, get_scalar_prior
from partialpool.numerics.arrays import FloatArray


def check_posterior_is_proper(
    design: Design, groups: Sequence[GroupDesign], priors: Mapping[str, Prior], pooling: Pooling
) -> None:
    """Raise ``PriorError`` where improper priors leave the posterior improper, by the rules of ``check_propriety``."""
    tails = _Tails(design, groups, priors, pooling, highest=0.0)
    residual = within = None
    if not design.measurements.known_scale:
        residual = tails.residual_degrees
        if get_scalar_prior(priors, "sigma").zero_exponent <= -1:
            within = _count_raw_rows(design) - rank_of_all_columns(design.population.values, groups)
    check_propriety(
        priors,
        tails.identifying,
        competing=tails.competing,
        together=tails.together,
        residual_degrees=residual,
        within_degrees=within,
    )


def find_finite_moments(
    design: Design,
    names: Sequence[str],
    groups: Sequence[GroupDesign],
    priors: Mapping[str, Prior],
    pooling: Pooling,
    orders: Sequence[float] = (1.0, 2.0),
) -> tuple[tuple[bool, ...], ...]:
    """Say for each hyperparameter of ``names`` whether its posterior has a finite moment of each order; a proper
    posterior is assumed. Correlations, and coefficients with bounded priors, have them all."""
    tails = _Tails(design, groups, priors, pooling, highest=max(orders))
    sigma = None if design.measurements.known_scale else get_scalar_prior(priors, "sigma")

    def is_finite(name: str, order: float) -> bool:
        if name in tails.sds:
            others = [prior for other, prior in tails.sds.items() if other != name]
            along = math.inf if sigma is None else tails.residual_degrees + sigma.tail_exponent - growth_along(others)
            return finite_moments(
                tails.sds[name],
                tails.identifying[name],
                order,
                competing=tails.competing[name],
                together=tails.together.get(name),
                residual_degrees=along,
            )
        if name == "sigma" and sigma is not None:
            return finite_residual_moments(sigma, list(tails.sds.values()), tails.residual_degrees, order)
        return True

    return tuple(tuple(is_finite(name, order) for order in orders) for name in names)


class _Tails:
    """What the rules count: for each group-level sd the groups that tell of it (``identifying``), the flat columns that
    compete with its effects (``competing``), the slowest fall of the likelihood as other sds grow with it
    (``together``, where that could matter to a moment of the ``highest`` order); and the residual degrees."""

    def __init__(
        self,
        design: Design,
        groups: Sequence[GroupDesign],
        priors: Mapping[str, Prior],
        pooling: Pooling,
        highest: float,
    ) -> None:
        self._design, self._priors = design, priors
        self.sds: dict[str, ScalarPrior] = {}
        self.identifying: dict[str, int] = {}
        self.competing: dict[str, int] = {}
        self.together: dict[str, JointTail] = {}
        if pooling == "partial":
            self._count(groups, highest)
        self.residual_degrees = 0
        if not design.measurements.known_scale:
            self.residual_degrees = self._count_residual_degrees(groups if pooling == "none" else ())

    def _count(self, groups: Sequence[GroupDesign], highest: float) -> None:
        flat = self._flat_columns()
        places = {effect_sd_name(group, k): (group, k) for group in groups for k in range(len(group.names))}
        heavy, ranks = {}, {}
        for name, (group, k) in places.items():
            prior = self.sds[name] = get_scalar_prior(self._priors, name)
            if prior.tail_exponent > highest + 1.0:  # its moments are finite whatever the data
                self.identifying[name], self.competing[name] = group.n_levels, 0
                continue
            self.identifying[name] = count_identifying_groups(group, k)
            self.competing[name] = find_competing_columns(flat, group, k)[0]
            heavy[name] = prior
            ranks[name] = int(group.find_levels_with(k).sum()) - self.competing[name]

        def reduce(names: Collection[str]) -> Callable[[Collection[str]], int]:
            return reduce_effects(flat, {name: places[name] for name in names})

        for name in heavy:
            found = (
                find_joint_tail(name, heavy, ranks, reduce, highest),
                self._find_correlated_tail(name, *places[name], heavy, ranks),
            )
            if tails := [tail for tail in found if tail is not None]:
                self.together[name] = min(tails, key=lambda tail: tail.power)

    def _find_correlated_tail(
        self, name: str, group: GroupDesign, k: int, heavy: Mapping[str, ScalarPrior], ranks: Mapping[str, int]
    ) -> JointTail | None:
        (places,) = (block for block in group.blocks if k in block)
        prior = self._priors.get(describe_correlation_slot(group, places).name) if len(places) > 1 else None
        if prior is None:
            return None
        names = [effect_sd_name(group, place) for place in places]
        block = {other: heavy[other] for other in names if other in heavy}
        others = {other: heavy[other] for other in heavy if other not in block}
        return find_correlated_tail(name, block, others, ranks, prior.eta) if isinstance(prior, LKJ) else None

    def _flat_columns(self, without: Sequence[str] = ()) -> FloatArray:
        """The population columns whose coefficients have improper priors, but those named ``without``."""
        names = self._design.population.names
        return self._design.population.values[
            :, [not self._priors[name].proper and name not in without for name in names]
        ]

    def _count_residual_degrees(self, known: Sequence[GroupDesign]) -> int:
        """The raw rows less the rank of the columns whose coefficients have improper priors, those of ``known``, each
        group's own without pooling, included."""
        n_rows = _count_raw_rows(self._design)
        if not known:
            return n_rows - int(self._flat_columns().shape[1])
        (group,) = known
        effects = [k for k, name in enumerate(group.names) if not self._priors[name].proper]
        return n_rows - rank_with_groups(self._flat_columns(group.names), group, effects)


def _count_raw_rows(design: Design) -> int:
    counts = design.measurements.counts
    return len(design.measurements.response) if counts is None else int(counts.sum())

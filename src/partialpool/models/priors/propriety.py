"""Whether improper priors leave a proper posterior, decided from counts before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from partialpool.errors import PriorError
from partialpool.models.priors.base import Prior, ScalarPrior
from partialpool.models.priors.joint_tails import JointTail, growth_along


def check_propriety(
    priors: Mapping[str, Prior],
    groups_by_sd: Mapping[str, int],
    *,
    competing: Mapping[str, int] | None = None,
    together: Mapping[str, JointTail] | None = None,
    residual_degrees: int | None = None,
    within_degrees: int | None = None,
) -> None:
    """Raise a PriorError, with the reason, if the posterior of a normal model would be improper.

    ``priors`` are the resolved priors by parameter name. ``groups_by_sd`` gives, for each group-level sd,
    how many groups (J) carry information on it; ``competing`` how many independent combinations of population
    columns with improper priors its effects could stand in for (r: 1, the mean alone, where not given).
    ``together`` are what ``find_joint_tail`` and ``find_correlated_tail`` found of the sds.
    ``residual_degrees`` is the number of observations less the rank of all columns with improper priors, None
    where sigma is known; ``within_degrees`` is what remains within groups (observations less the rank of
    population and group columns together), None where not counted.

    The rules, with a the prior's tail exponent and b its zero exponent:

    - sd to infinity: once the coefficients are integrated out the likelihood falls like sd^-(J - r), so
      J - r + a > 1 (a = 0 for Flat: 3 groups where r = 1; Gelman 2006). With a proper prior on the mean r is
      0, but r = 1 is asked for all the same: the answer would rest on the mean's prior alone.
    - sd to 0: the likelihood stays positive, so b > -1.
    - sigma to infinity: the likelihood falls like sigma^-residual_degrees, and every sd with a < 1 can grow
      along with sigma, which adds 1 - a powers.
    - sigma to 0: the likelihood vanishes where rows repeat within groups; where none do, b > -1.

    - several sds to infinity together: as ``find_joint_tail`` says, and ``find_correlated_tail`` where their
      correlations go to +-1 meanwhile.
    """
    for name, groups in groups_by_sd.items():
        _check_group_scale(name, _scalar(priors, name), groups, (competing or {}).get(name, 1))
    for name, tail in (together or {}).items():
        if tail.power + _scalar(priors, name).tail_exponent <= 1:
            _refuse_together(tail, [_scalar(priors, other) for other in tail.names])
    if residual_degrees is not None and "sigma" in priors:
        companions = [_scalar(priors, name) for name in groups_by_sd]
        _check_residual_scale(_scalar(priors, "sigma"), companions, residual_degrees, within_degrees)


def finite_moments(
    prior: ScalarPrior,
    groups: int,
    order: float,
    *,
    competing: int = 1,
    together: JointTail | None = None,
    residual_degrees: float = math.inf,
) -> bool:
    """Return whether the posterior of a group-level sd has a finite moment of this ``order``.

    ``groups`` (J) carry information on it and ``competing`` (r) flat population columns compete with its effects
    (0 where the mean's prior is proper, 1 where it alone is flat): the posterior falls like sd^-(J - r + a), or
    slower where other sds grow along (``together``, see ``joint_tails``).
    Where sigma grows along it falls like sigma^-residual_degrees times the prior of the sd.

    >>> from partialpool.models.priors import Flat
    >>> finite_moments(Flat(), 3, 1), finite_moments(Flat(), 4, 1), finite_moments(Flat(), 4, 2)
    (False, True, False)
    >>> finite_moments(Flat(), 3, 1, competing=0)
    True
    """
    along = residual_degrees - 1 + prior.tail_exponent
    power = min(_likelihood_power(groups, competing), math.inf if together is None else together.power)
    return min(power + prior.tail_exponent, along) > order + 1


def finite_residual_moments(
    prior: ScalarPrior, companions: Sequence[ScalarPrior], residual_degrees: int, order: float
) -> bool:
    """Return whether the posterior of sigma has a finite moment of this ``order``, as sds (``companions``) grow along.

    >>> from partialpool.models.priors import Flat
    >>> finite_residual_moments(Flat(), [], 2, 1), finite_residual_moments(Flat(), [], 3, 1)
    (False, True)
    """
    return max(residual_degrees, 0) + prior.tail_exponent - growth_along(companions) > order + 1


def _likelihood_power(groups: int, competing: int) -> int:
    return max(groups - competing, 0)


def _scalar(priors: Mapping[str, Prior], name: str) -> ScalarPrior:
    prior = priors[name]
    if not isinstance(prior, ScalarPrior):
        raise PriorError(f"prior for {name}: {prior} does not suit a standard deviation: give HalfNormal(sigma)")
    return prior


def _check_group_scale(name: str, prior: ScalarPrior, groups: int, competing: int) -> None:
    if prior.zero_exponent <= -1:
        raise PriorError(
            f"{name}: under {prior} the posterior is improper at {name} = 0: the prior's density grows like "
            f"sd^{prior.zero_exponent:g} there, its integral is infinite, and the likelihood stays positive; "
            "give Flat(), which is p(tau^2) proportional to 1/tau, or a proper prior such as HalfNormal"
        )
    asked = max(competing, 1)
    power = _likelihood_power(groups, asked)
    if power + prior.tail_exponent > 1:
        return
    needed = math.floor(1 + asked - prior.tail_exponent) + 1
    counted = f"{groups} group{'' if groups == 1 else 's'}"
    rest_on_prior = "the answer would rest on that prior alone"
    but, less, instead = "", "groups - 1", f" (a proper prior on the mean does not replace them: {rest_on_prior})"
    if competing == 0:
        but = " but for the prior on the mean"
        instead = f" (the proper prior on the mean does not replace them: {rest_on_prior})"
    elif competing > 1:
        less = f"groups - {competing}: as many flat coefficients compete with the groups' effects"
        instead = ", or proper priors on these coefficients"
    fall = f"sd^{0 - power} ({less}) and the posterior like sd^{0 - power - prior.tail_exponent:g}"
    raise PriorError(
        f"{name}: under {prior} with {counted} the posterior is improper{but}: as {name} grows the likelihood "
        f"falls only like {fall}, whose integral is infinite; this prior needs {needed} groups or more{instead}; "
        "give a proper prior such as HalfNormal or HalfCauchy"
    )


def _refuse_together(tail: JointTail, priors: Sequence[ScalarPrior]) -> None:
    named = " and ".join(tail.names)
    given = " and ".join(dict.fromkeys(str(prior) for prior in priors))
    room = tail.fall - tail.power - priors[0].tail_exponent
    remedy = "give one of them a proper prior such as HalfNormal or HalfCauchy"
    towards = ""
    if tail.eta is not None:
        given += f" with LKJ({tail.eta:g})"
        towards = " and their correlations go to +-1"
        remedy += ", or their correlations LKJ with a greater eta"
    raise PriorError(
        f"{named}: under {given} the posterior is improper: as they grow together{towards} the likelihood falls only "
        f"like sd^{0 - tail.fall:g} (the rank of their groups' columns, less what flat coefficients take up) while the "
        f"priors over them gather like sd^{room:g}, and the product's integral is infinite; {remedy}"
    )


def _check_residual_scale(
    prior: ScalarPrior, companions: list[ScalarPrior], residual_degrees: int, within_degrees: int | None
) -> None:
    if prior.zero_exponent <= -1 and within_degrees is not None and within_degrees < 1:
        raise PriorError(
            f"sigma: under {prior} the posterior is improper at sigma = 0: no row repeats within a group, so "
            "the likelihood stays positive there while the prior's integral is infinite; give a proper prior "
            "such as HalfNormal"
        )
    growth = growth_along(companions)
    degrees = max(residual_degrees, 0)
    fall = degrees + prior.tail_exponent - growth
    if fall > 1:
        return
    along = " while the group-level sds grow along" if growth else ""
    counted = f"{degrees} residual degree{'' if degrees == 1 else 's'} of freedom"
    raise PriorError(
        f"sigma: under {prior} with {counted} the posterior is improper: as sigma grows{along} the posterior "
        f"falls only like sigma^{0 - fall:g}, whose integral is infinite; give sigma a proper prior such as "
        "HalfNormal, or more rows"
    )

"""How the posterior falls where several group-level sds grow together."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from partialpool.models.priors.base import ScalarPrior

# Sds of which all sets are looked through; of more the slowest fall is bounded.
_MOST_SETS_OF = 12


class JointTail(NamedTuple):
    """Group-level sds (``names``) that grow together, and the ``power`` with which the likelihood then falls in the
    first of them, after what the priors and the room of the others add; alone it falls with the power ``fall``. Where
    correlations go to +-1 meanwhile ``eta`` is that of their LKJ prior."""

    names: tuple[str, ...]
    power: float
    fall: float
    eta: float | None = None


def find_joint_tail(
    name: str,
    priors: Mapping[str, ScalarPrior],
    ranks: Mapping[str, int],
    reduce: Callable[[Collection[str]], Callable[[Collection[str]], int]],
    highest: float = 0.0,
) -> JointTail | None:
    """Return the sds whose growth along with sd ``name`` makes the posterior fall slowest; None where it could not make
    a moment of the ``highest`` order (0: the integral) infinite.

    ``priors`` are those of the group-level sds; ``ranks`` (r) say of each how many of its levels' columns are left once
    the flat population columns are taken out, at the least; ``reduce(names)(some)`` is that rank of ``some`` of
    ``names`` together.

    With the flat coefficients integrated out the likelihood is, up to factors that stay bounded, det(sum_k sd_k^2 Z_k
    Z_k' + ...)^-1/2, a sum over sets of independent columns (Cauchy and Binet): with sds S of order t and the others
    held it falls like t^-r(S), r(S) the rank of their columns together. Where they grow at different rates, the
    exponent is linear between these cases, so that they decide. The priors and the volume give
    t^(sum over S of (1 - a) - 1), a an sd's tail exponent: the integral is finite where, for every S, r(S) > sum over
    S of (1 - a), and a moment of sd_k of order m where r(S) > m + that sum for every S that holds k. Nested factors
    share columns, so that r(S) is less than the sum of theirs; a single S = {k} is the rule of one sd. Correlations
    are held: ``find_correlated_tail``.
    """
    needed = 1.0 + highest - priors[name].tail_exponent
    others = sorted((o for o in priors if o != name and priors[o].tail_exponent < 1), key=lambda o: ranks[o])
    growth, reach, bound = 0.0, 0, JointTail((), math.inf, math.inf)
    for count, other in enumerate(others, start=1):
        growth += 1 - priors[other].tail_exponent
        fall = max(ranks[name], ranks[other])
        if fall - growth <= needed:
            reach = count
        if fall - growth < bound.power:
            bound = JointTail((name, *others[:count]), fall - growth, fall)
    if not reach:
        return None
    if reach > _MOST_SETS_OF:
        return bound
    rank = reduce((name, *others[:reach]))
    slowest = JointTail((), math.inf, math.inf)
    for size in range(1, reach + 1):
        for chosen in combinations(others[:reach], size):
            names, growth = (name, *chosen), growth_along([priors[other] for other in chosen])
            if max(ranks[other] for other in names) - growth < min(slowest.power, needed + 1e-9):
                fall = rank(names)
                slowest = min(slowest, JointTail(names, fall - growth, fall), key=lambda tail: tail.power)
    return slowest if slowest.power <= needed else None


def find_correlated_tail(
    name: str,
    block: Mapping[str, ScalarPrior],
    others: Mapping[str, ScalarPrior],
    ranks: Mapping[str, int],
    eta: float,
) -> JointTail | None:
    """Return the sds of correlated effects whose growth along with sd ``name``, as their correlation matrix becomes
    singular, makes the posterior fall slowest, at the worst; None where it falls no slower than with correlations held.

    ``block`` are the priors of their sds, ``others`` those of the other sds with improper priors, ``ranks`` as for
    ``find_joint_tail``, ``eta`` that of LKJ.

    Let the covariance of s effects S grow like t^2 in d < s directions and stay bounded in the m = s - d others. These
    matrices have the volume t^(d(d+1) + 2dm) dt/t; with the Jacobian to sds and correlations, prod sd^-s, LKJ's
    density t^(-2m (eta - 1)) and the priors of the sds they hold t^g dt/t, g = d - m(m + 2 eta - 2) - sum of the tail
    exponents a. The likelihood falls like t^-r, r the rank of the columns in these directions, which of almost all
    directions is no less than that of any d effects of S. With these d alone the sum of 1 - a is no less than g if
    a >= 1 - 2 eta of the others: under Flat from eta = 1/2 on, under VariancePower(0) from 1. Of smaller a
    r > m + g is asked of a moment of order m, r at least the rank of ``name`` alone. Directions that flat coefficients
    take up while they leave the effects' own are not looked for.
    """
    loose = sorted(
        (other for other, prior in block.items() if other != name and prior.tail_exponent < 1 - 2 * eta),
        key=lambda other: block[other].tail_exponent,
    )
    if not loose:
        return None
    rooms = []
    for count in range(1, len(loose) + 1):
        exponents = sum(block[other].tail_exponent for other in (name, *loose[:count]))
        room = max(count + 1 - m - m * (m + 2 * eta - 2) for m in range(1, count + 1)) - exponents
        rooms.append((room, (name, *loose[:count])))
    room, names = max(rooms)
    slowest = JointTail(names, math.inf, math.inf, eta)
    beside = sorted((other for other in others if others[other].tail_exponent < 1), key=lambda other: ranks[other])
    for count in range(len(beside) + 1):
        fall = max(ranks[other] for other in (name, *beside[:count]))
        growth = room + growth_along([others[other] for other in beside[:count]])
        power = fall - growth + 1 - block[name].tail_exponent
        if power < slowest.power:
            slowest = JointTail((*names, *beside[:count]), power, fall, eta)
    return slowest


def growth_along(companions: Sequence[ScalarPrior]) -> float:
    """Return the powers of sigma that group-level sds add where they can grow along with it."""
    return sum(max(0.0, 1 - companion.tail_exponent) for companion in companions)

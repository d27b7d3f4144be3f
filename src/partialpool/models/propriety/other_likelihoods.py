"""Whether improper priors leave the posterior of a latent model proper: refused before any computing where not.

Proper priors always do. A flat coefficient needs data that bound it (``separation``). A flat sd needs three groups that
bound their own values, because each leaves a factor 1 / sd as the sd grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import IdentificationError, PriorError
from partialpool.inputs.designs.design import Design
from partialpool.models.families.base import Family, ResponseColumns
from partialpool.models.populations.base import Population
from partialpool.models.priors import AlphaBetaPower, Fixed, Flat, Prior, ScalarPrior, VariancePower
from partialpool.models.propriety.exact_fit import find_unbounded_fit
from partialpool.models.propriety.separation import check_flat_coefficients_bounded, find_separating
from partialpool.models.slots import Pooling, get_scalar_prior
from partialpool.models.space.hyperspace import HyperSpace


def check_latent_posterior_is_proper(
    design: Design,
    family: Family,
    population: Population,
    response: ResponseColumns,
    space: HyperSpace,
    priors: Mapping[str, Prior],
    pooling: Pooling,
) -> tuple[int, ...]:
    """Return how many posterior moments of each hyperparameter are known to be finite (0, 1 or 2).

    Raises ``IdentificationError`` for separation under flat priors, ``PriorError`` for other improper posteriors.
    """
    flat = [name for name in design.population.names if name in priors and not priors[name].proper]
    selection = design.measurements.selection
    if selection is not None:
        for name, prior in priors.items():
            if not prior.proper:
                raise PriorError(
                    f"prior for {name}: {prior} is improper, and objects that were selected need not bound what it "
                    "leaves open: far from its limits a population and its tail are alike; give a proper prior, such "
                    "as the default"
                )
    bounded = _bounded_rows(family, response)
    if flat and response.lower_limit is not None:
        raise PriorError(
            f"prior for {flat[0]}: {priors[flat[0]]} is improper, and truncated rows need not bound what it leaves "
            "open: give a proper prior, such as the default"
        )
    if flat and population.centred:
        check_flat_coefficients_bounded(design, family, response, flat)
    _check_not_fitted_exactly(design, family, response, priors, pooling)
    scales = [name for name, prior in priors.items() if not prior.proper and name not in flat]
    for name in scales:
        prior = priors[name]
        if isinstance(prior, AlphaBetaPower):
            _check_power(prior, bounded)
            continue
        if (
            not any(name in group.sd_names for group in design.groups)
            or not isinstance(prior, Flat | VariancePower)
            or pooling != "partial"
        ):
            raise PriorError(
                f"prior for {name}: {prior} is improper, and propriety is not known here: give a proper one"
            )
        _check_flat_sd(design, name, prior, family, response)
    return count_latent_moments(design, family, response, space, priors)


def _check_not_fitted_exactly(
    design: Design, family: Family, response: ResponseColumns, priors: Mapping[str, Prior], pooling: Pooling
) -> None:
    """Raise ``IdentificationError`` where effects fit every row exactly and sigma = 0 has infinite mass, as under a
    Gaussian likelihood whose groups leave in closed form."""
    sigma = priors.get("sigma")
    is_limited = response.censoring is not None or response.lower_limit is not None or response.upper_limit is not None
    is_unknown = "sigma" in family.dispersions and isinstance(sigma, ScalarPrior) and not isinstance(sigma, Fixed)
    if not is_unknown or is_limited or not isinstance(sigma, ScalarPrior):
        return
    values = np.log(response.values) if family.name == "lognormal" else response.values
    measured = replace(design.measurements, response=values)
    groups = () if pooling == "complete" else design.groups
    names = [name for group in groups for name in group.sd_names] if pooling == "partial" else []
    exponents = {name: get_scalar_prior(priors, name).zero_exponent for name in names if name in priors}
    if find_unbounded_fit(replace(design, measurements=measured), groups, sigma.zero_exponent, exponents) is None:
        return
    by = f" of each group of {groups[0].name}" if groups else ""
    raise IdentificationError(
        f"the response is the same in every row{by} (or fitted exactly there): sigma would be 0; give sigma a "
        "value, such as Fixed(0.1), if the noise is known, or drop the term that fits"
    )


def _bounded_rows(family: Family, response: ResponseColumns) -> NDArray[np.bool_]:
    """Return which rows (row,) bound their own linear predictor on both sides."""
    if response.lower_limit is not None:  # towards an end the density within the limits becomes constant
        return np.zeros(len(response.values), dtype=bool)
    if family.response_name == "p":
        return np.asarray((response.values > 0) & (response.values < response.sizes))
    if family.discrete:
        return np.asarray(response.values > 0)
    if response.censoring is None:
        return np.ones(len(response.values), dtype=bool)
    return np.asarray((response.censoring == 0) | (response.censoring == 2))


def _check_power(prior: AlphaBetaPower, bounded: NDArray[np.bool_]) -> None:
    if prior.power >= -2.0:
        raise PriorError(
            f"prior for (alpha, beta): under {prior} the posterior is improper, because complete pooling (alpha + beta "
            "to infinity) has infinite mass: give a power below -2, such as -2.5"
        )
    if not bounded.any():
        raise PriorError(
            f"prior for (alpha, beta): under {prior} the posterior is improper where no group has both successes and "
            "failures: give proper priors on mean and concentration"
        )


def _check_flat_sd(design: Design, name: str, prior: ScalarPrior, family: Family, response: ResponseColumns) -> None:
    group = next(group for group in design.groups if name in group.sd_names)
    n_bounded = len(_bounded_groups(design, group.name, family, response))
    # the density falls like sd^(-n + 1 - tail) once the location, if flat, has taken one
    if prior.zero_exponent <= -1.0:
        raise PriorError(f"prior for {name}: under {prior} the posterior is improper at 0: give a proper prior")
    if n_bounded - 1 + prior.tail_exponent <= 1.0:
        raise PriorError(
            f"prior for {name}: under {prior} the posterior is improper: {n_bounded} groups of {group.name} bound "
            f"their own value (the others have no successes or no failures), and more than "
            f"{2.0 - prior.tail_exponent:g} are needed: give a proper prior, such as HalfNormal(1)"
        )


def _bounded_groups(design: Design, factor: str, family: Family, response: ResponseColumns) -> NDArray[np.intp]:
    """Return the groups that bound their own value on both sides: with a bounded row, or with successes and failures in
    rows of their own."""
    group = next(group for group in design.groups if group.name == factor)
    if family.response_name == "p":
        values = np.bincount(group.codes, weights=response.values, minlength=group.n_levels)
        sizes = np.bincount(group.codes, weights=response.sizes, minlength=group.n_levels)
        return np.flatnonzero((values > 0) & (values < sizes))
    bounded = _bounded_rows(family, response)
    return np.flatnonzero(np.bincount(group.codes, weights=bounded, minlength=group.n_levels) > 0)


def count_latent_moments(
    design: Design,
    family: Family,
    response: ResponseColumns,
    space: HyperSpace,
    priors: Mapping[str, Prior],
    power: float = 1.0,
) -> tuple[int, ...]:
    """Return how many posterior moments (0, 1 or 2) of each reported hyperparameter, raised to a ``power``, are finite:
    infinite ones come with heavy-tailed priors alone.

    As an sd grows each group that bounds its own value leaves the likelihood a factor 1 / sd, but for one that a flat
    location takes.
    """
    improper = not all(prior.proper for prior in priors.values())
    heavy = [name for name in design.population.names if name in priors and _is_heavy(priors[name])]
    selection = design.measurements.selection
    limited = response.lower_limit is not None or selection is not None
    # selected on both sides, or as far out as a heavy prior lets the location go, groups bound no sd
    ends = () if selection is None else (selection.lower, selection.upper)
    loose = selection is not None and (bool(heavy) or all(np.isfinite(end).any() for end in ends))
    unbounded = heavy if limited else find_separating(design, family, response, heavy)
    moments = []
    for name in space.names:
        prior = priors.get(name)
        exponent = np.inf
        if isinstance(prior, ScalarPrior) and not np.isinf(prior.tail_exponent):
            exponent = prior.tail_exponent
            for group in design.groups:
                if name in group.sd_names and not loose:
                    exponent += len(_bounded_groups(design, group.name, family, response)) - improper
            if (name in design.population.names and name not in unbounded) or (name == "sigma" and not limited):
                exponent = np.inf  # bounded by the rows themselves
        elif space.pair is not None and name in ("alpha", "beta", "concentration"):
            # towards complete pooling the likelihood is flat: the tail is the prior's
            exponent = space.pair.pooling_tail
        moments.append(sum(exponent > power * order + 1.0 for order in (1, 2)))
    return tuple(moments)


def _is_heavy(prior: Prior) -> bool:
    """Say whether a prior is proper with a tail that falls like a power."""
    return isinstance(prior, ScalarPrior) and prior.proper and not np.isinf(prior.tail_exponent)

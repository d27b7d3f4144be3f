"""Which posterior moments are infinite: tables say inf there, whatever finite sum the nodes give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from partialpool.models.latent_model import LatentModel
from partialpool.models.propriety.identification import find_competing_columns
from partialpool.models.propriety.normal_models import find_finite_moments
from partialpool.models.propriety.other_likelihoods import count_latent_moments
from partialpool.numerics.arrays import FloatArray

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted


def coefficient_spread_is_infinite(posterior: Fitted, name: str) -> bool:
    """Say whether a flat coefficient inherits an infinite variance, from sigma or from an sd it competes with."""
    model, priors = posterior.model, posterior.model.priors
    if posterior.plug_in or priors[name].proper:
        return False
    moments = dict(zip(model.space.names, model.moments, strict=True))
    if moments.get("sigma", 2) < 2:
        return True
    flat = [i for i, other in enumerate(model.design.population.names) if not priors[other].proper]
    place = flat.index(model.design.population.names.index(name))
    factors = range(len(model.groups))
    return any(bool(part[place]) for factor in factors for part in _find_competing(posterior, factor).values())


def deviations_are_infinite(posterior: Fitted, factor: int, effect: str) -> bool:
    """Say whether the groups' deviations inherit an infinite variance from the flat coefficients they compete with."""
    return effect in _find_competing(posterior, factor)


def count_square_moments(posterior: Fitted) -> tuple[int, ...]:
    """Count the finite posterior moments (0, 1 or 2) of the square of every hyperparameter: of a variance."""
    model = posterior.model
    names = model.space.names
    if posterior.plug_in:
        return (2,) * len(names)
    if isinstance(model, LatentModel):
        return count_latent_moments(model.design, model.family, model.response, model.space, model.priors, power=2.0)
    finite = find_finite_moments(model.design, names, model.groups, model.priors, model.pooling, orders=(2.0, 4.0))
    return tuple(int(sum(orders)) for orders in finite)


def _flat_columns(posterior: Fitted) -> FloatArray:
    """The population columns whose coefficients have improper priors."""
    population, priors = posterior.model.design.population, posterior.model.priors
    return population.values[:, [not priors[name].proper for name in population.names]]


def _find_competing(posterior: Fitted, factor: int) -> dict[str, NDArray[np.bool_]]:
    """For each effect of a factor whose sd has no finite variance and that competes with flat coefficients: with
    which of them."""
    model = posterior.model
    if model.pooling != "partial" or posterior.plug_in or min(model.moments, default=2) >= 2:
        return {}
    flat, group = _flat_columns(posterior), model.groups[factor]
    found = {}
    moments = model.moments[model.effect_slices[factor]]
    for k, name in enumerate(group.names):
        if moments[k] < 2:
            rank, taking_part = find_competing_columns(flat, group, k)
            if rank:
                found[name] = taking_part
    return found

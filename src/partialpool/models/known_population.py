"""No pooling as partial pooling towards a known population: each coefficient's own prior."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from partialpool.errors import IdentificationError, PriorError
from partialpool.inputs.designs.design import Design, GroupDesign
from partialpool.models.defaults import effect_scale
from partialpool.models.priors import Fixed, Flat, Normal, Prior, is_at_means
from partialpool.models.propriety.identification import find_identifying_groups
from partialpool.models.scales import DataScales
from partialpool.models.space.coefficient_chart import state_at_means
from partialpool.numerics.arrays import FloatArray

# A flat prior on a group's own coefficient, as a normal prior this many times wider than the data could show: its
# influence is 1e-12, and enough digits are left to tell it from a normal prior on another coefficient.
_FLAT_WIDTH = 1e6


def normal_or_flat(priors: Mapping[str, Prior], name: str) -> Normal | Flat | Fixed:
    prior = priors[name]
    if isinstance(prior, Normal | Flat | Fixed):
        return prior
    raise PriorError(
        f"prior for {name}: without pooling each group's own {name} needs a Normal, Flat or Fixed prior, not {prior}"
    )


def fix_effect_root(group: GroupDesign, priors: Mapping[str, Prior], scales: DataScales) -> FloatArray:
    """Return a root (effect, effect) of the covariance of a group's own coefficients without pooling: their priors'."""
    sds = []
    for name in group.names:
        prior = normal_or_flat(priors, name)
        if isinstance(prior, Flat):
            sds.append(_FLAT_WIDTH * effect_scale(name, group.names, scales))
        else:
            sds.append(prior.sigma if isinstance(prior, Normal) else 0.0)
    return np.asarray(np.linalg.solve(_state(group.names, priors, scales), np.diag(sds)))


def _state(names: tuple[str, ...], priors: Mapping[str, Prior], scales: DataScales) -> FloatArray:
    """Return the matrix (coefficient, coefficient) from coefficients to what their priors are of."""
    at_means = "Intercept" in names and is_at_means(priors["Intercept"])
    return state_at_means(names, at_means, scales.column_means)


def fix_coefficients(
    design: Design, group: GroupDesign, priors: Mapping[str, Prior], scales: DataScales
) -> tuple[float, ...]:
    """The mean of each group's own coefficient without pooling, in the order of the population's columns.

    Raises ``PriorError`` where a coefficient outside the population part has a mean other than 0.
    """
    for name in group.names:
        prior = normal_or_flat(priors, name)
        if name not in design.population.names and _centre(prior) != 0.0:
            term = "1" if name == "Intercept" else name
            raise PriorError(
                f"prior for {name}: without pooling its mean of {_centre(prior):g} is each group's, but {name} varies "
                f"over {group.name} and is not in the population part: write {term} there too (the model stays the "
                "same), or give it a prior with mean 0"
            )
    stated = [_centre(normal_or_flat(priors, name)) for name in group.names]
    means = dict(zip(group.names, np.linalg.solve(_state(group.names, priors, scales), stated).tolist(), strict=True))
    return tuple(means[name] for name in design.population.names if name in group.names)


def _centre(prior: Normal | Flat | Fixed) -> float:
    if isinstance(prior, Flat):
        return 0.0
    return prior.mu if isinstance(prior, Normal) else prior.value


def check_each_group_identifies(group: GroupDesign, priors: Mapping[str, Prior]) -> None:
    """Refuse flat priors without pooling where some group's rows say nothing of a coefficient."""
    for k, name in enumerate(group.names):
        if name == "Intercept" or not isinstance(priors[name], Flat):
            continue
        missing = np.flatnonzero(~find_identifying_groups(group, k))
        if len(missing):
            shown = ", ".join(repr(group.labels[j]) for j in missing[:5])
            raise IdentificationError(
                f"pooling='none': {len(missing)} of {group.n_levels} groups of {group.name} (such as {shown}) have "
                f"rows that say nothing of {name}, whose prior is flat: give {name} a Normal prior, or pool partially"
            )

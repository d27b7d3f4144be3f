"""The parameters of a model that carry priors, with their names, aliases and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from partialpool.errors import PriorError
from partialpool.inputs.design import Design, GroupDesign
from partialpool.models.defaults import (
    DEFAULT_CORRELATION_PRIOR,
    default_coefficient_prior,
    default_effect_sd_prior,
    default_residual_sd_prior,
)
from partialpool.models.priors import ParameterSlot, Prior, ScalarPrior
from partialpool.models.scales import DataScales

Pooling = Literal["partial", "complete", "none"]


def effect_sd_name(group: GroupDesign, k: int) -> str:
    """Return sd(g) for an intercept-only factor, sd(g, x) otherwise."""
    return f"sd({group.name})" if group.names == ("Intercept",) else f"sd({group.name}, {group.names[k]})"


def correlation_name(group: GroupDesign, i: int, j: int) -> str:
    """Return cor(g, x1, x2)."""
    return f"cor({group.name}, {group.names[i]}, {group.names[j]})"


def list_parameter_slots(design: Design, group: GroupDesign | None, scales: DataScales) -> list[ParameterSlot]:
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
                slots.append(describe_correlation_slot(group, block))
    if not design.measurements.known_scale:
        slots.append(ParameterSlot("sigma", "scale", "sigma", default_residual_sd_prior(scales)))
    return slots


def describe_correlation_slot(group: GroupDesign, block: tuple[int, ...]) -> ParameterSlot:
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


def is_in_use(slot: ParameterSlot, design: Design, pooling: Pooling) -> bool:
    """Say whether a parameter exists under this pooling."""
    if slot.cls == "sigma":
        return True
    if slot.cls == "coefficients":
        return slot.name in design.population.names or pooling == "none"
    return pooling == "partial"


def get_scalar_prior(priors: Mapping[str, Prior], name: str) -> ScalarPrior:
    prior = priors[name]
    if not isinstance(prior, ScalarPrior):
        raise PriorError(f"prior for {name}: {prior} is not a prior on one number")
    return prior

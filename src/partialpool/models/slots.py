"""The parameters of a model that carry priors, with their names, aliases and defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from partialpool.errors import PriorError, PriorWarning, warn_user
from partialpool.inputs.columns.places import join_words
from partialpool.inputs.designs.design import Design, GroupDesign
from partialpool.models.defaults import (
    default_coefficient_prior,
    default_correlation_prior,
    default_effect_sd_prior,
    default_residual_sd_prior,
)
from partialpool.models.priors import LKJ, Fixed, Flat, ParameterSlot, Prior, ScalarPrior, find_given, resolve_priors
from partialpool.models.scales import DataScales

Pooling = Literal["partial", "complete", "none"]


def effect_sd_name(group: GroupDesign, k: int) -> str:
    """Return sd(g) for an intercept-only factor, sd(g, x) otherwise."""
    return group.sd_names[k]


def correlation_name(group: GroupDesign, i: int, j: int) -> str:
    """Return cor(g, x1, x2)."""
    return f"cor({group.name}, {group.names[i]}, {group.names[j]})"


#: A block of correlated effects: its factor's name and the positions of its effects there.
Block = tuple[str, tuple[int, ...]]


def list_parameter_slots(
    design: Design,
    groups: Sequence[GroupDesign],
    scales: DataScales,
    pooling: Pooling = "partial",
    at_means: Collection[Block] = (),
) -> list[ParameterSlot]:
    """List every parameter that can carry a prior: coefficients, effect sds, correlations, sigma.

    ``at_means`` are the correlated blocks whose defaults hold at the columns' means.
    """
    names = design.population.names
    # without pooling an intercept is the groups' own, and independent of coefficients that are common to them
    varying = groups[0].names if pooling == "none" and groups else names
    apart = tuple(name for name in names if name not in varying) if "Intercept" in varying else ()
    slots = [
        ParameterSlot(name, "coefficient", "coefficients", default_coefficient_prior(name, names, scales, apart))
        for name in names
    ]
    if len(groups) == 1:
        for name in groups[0].names:
            if name not in names:  # has a prior of its own only without pooling
                default = default_coefficient_prior(name, groups[0].names, scales)
                slots.append(ParameterSlot(name, "coefficient", "coefficients", default))
    for group in groups:
        own = [block for factor, block in at_means if factor == group.name]
        for k, name in enumerate(group.names):
            beside = (name,) if any(k in block for block in own) and name == "Intercept" else group.names
            sd_default = default_effect_sd_prior(name, beside, scales)
            slots.append(ParameterSlot(effect_sd_name(group, k), "scale", "sd", sd_default))
    for group in groups:
        own = [block for factor, block in at_means if factor == group.name]
        for block in group.blocks:
            if len(block) > 1:
                slots.append(describe_correlation_slot(group, block, block in own))
    if not design.measurements.known_scale:
        slots.append(ParameterSlot("sigma", "scale", "sigma", default_residual_sd_prior(scales)))
    return slots


def find_given_parameters(design: Design, given: Mapping[str, Prior | str] | None) -> frozenset[str]:
    """Return the names of coefficients, effect sds and the dispersion whose values ``given`` fixes, before anything is
    measured."""
    dispersion = design.measurements.dispersion
    slots = [ParameterSlot(name, "coefficient", "coefficients", Flat()) for name in design.population.names]
    slots += [ParameterSlot(name, "scale", "sd", Flat()) for group in design.groups for name in group.sd_names]
    if dispersion == "sigma":
        slots.append(ParameterSlot("sigma", "scale", "sigma", Flat()))
    elif dispersion is not None:
        slots.append(ParameterSlot(dispersion, "shape", "shape", Flat()))
    return find_given(given, slots)


def resolve_block_priors(
    given: Mapping[str, Prior | str] | None,
    design: Design,
    groups: Sequence[GroupDesign],
    scales: DataScales,
    pooling: Pooling,
    beside: Sequence[ParameterSlot] = (),
) -> tuple[list[ParameterSlot], dict[str, Prior]]:
    """Resolve every prior, of the parameters of effects and coefficients and of those ``beside`` them.

    A block's defaults hold at the columns' means unless its intercept's sd was given a prior, or its correlations one
    at the formula's zero.
    """
    at_means: dict[Block, GroupDesign] = {
        (group.name, block): group
        for group in groups
        for block in group.blocks
        if len(block) > 1 and "Intercept" in [group.names[k] for k in block]
    }
    slots = [*list_parameter_slots(design, groups, scales, pooling, at_means), *beside]
    resolved = resolve_priors(given, slots)
    default = {slot.name for slot in slots if resolved[slot.name] is slot.default}
    kept = []
    for (name, block), group in at_means.items():
        sds = {effect_sd_name(group, k) for k in block if group.names[k] == "Intercept"}
        correlation = resolved[describe_correlation_slot(group, block).name]
        if sds <= default and isinstance(correlation, LKJ) and correlation.at == "means":
            kept.append((name, block))
    if len(kept) == len(at_means):
        return slots, resolved
    slots = [*list_parameter_slots(design, groups, scales, pooling, kept), *beside]
    return slots, resolve_priors(given, slots)


def describe_correlation_slot(group: GroupDesign, block: tuple[int, ...], at_means: bool = False) -> ParameterSlot:
    """One prior for the whole matrix of a block; a 2 x 2 block answers to its correlation in either order."""
    several = sum(len(other) > 1 for other in group.blocks) > 1
    inner = ", ".join(group.names[k] for k in block)
    name = f"cor({group.name}, {inner})" if len(block) == 2 or several else f"cor({group.name})"
    aliases = [f"cor({group.name}, {inner})"] if name == f"cor({group.name})" else []
    if len(block) == 2:
        aliases.append(f"cor({group.name}, {group.names[block[1]]}, {group.names[block[0]]})")
        if not several:
            aliases.append(f"cor({group.name})")
    return ParameterSlot(name, "correlation", "cor", default_correlation_prior(at_means), tuple(aliases))


def is_in_use(slot: ParameterSlot, design: Design, pooling: Pooling) -> bool:
    """Say whether a parameter exists under this pooling."""
    if slot.cls == "sigma":
        return True
    if slot.cls == "coefficients":
        return slot.name in design.population.names or pooling == "none"
    return pooling == "partial"


def find_correlated(group: GroupDesign, block: Sequence[int], priors: Mapping[str, Prior]) -> tuple[int, ...]:
    """Return the effects of a block that have correlations: not those whose sd is given as 0, which do not vary."""
    return tuple(k for k in block if priors.get(effect_sd_name(group, k)) != Fixed(0.0))


def is_without_effect(slot: ParameterSlot, groups: Sequence[GroupDesign], priors: Mapping[str, Prior]) -> bool:
    """Say whether a slot is that of correlations of which fewer than two effects are left that vary: the others' sds
    are given as 0."""
    return slot.cls == "cor" and any(
        describe_correlation_slot(group, block).name == slot.name and len(find_correlated(group, block, priors)) < 2
        for group in groups
        for block in group.blocks
        if len(block) > 1
    )


def warn_of_one_group(
    groups: Sequence[GroupDesign],
    slots: Sequence[ParameterSlot],
    priors: Mapping[str, Prior],
    beside: Sequence[str] = (),
) -> None:
    """Warn where a factor has one level and the priors of its population, its sds or what stands ``beside`` them, are
    defaults."""
    for group in groups:
        # a default intercept is centred on the response itself, which one group then tells twice
        own = ("Intercept", *group.sd_names, *beside) if "Intercept" in group.names else (*group.sd_names, *beside)
        names = [slot.name for slot in slots if slot.name in own and priors[slot.name] is slot.default]
        if group.n_levels == 1 and names:
            warn_user(
                f"grouping column '{group.name}' has one group ('{group.labels[0]}'), which does not show how groups "
                f"differ: the answer rests on the default prior of {join_words(names)}, made from the same data; give "
                "one that says what is known, or a value as Fixed(value)",
                PriorWarning,
            )


def get_scalar_prior(priors: Mapping[str, Prior], name: str) -> ScalarPrior:
    prior = priors[name]
    if not isinstance(prior, ScalarPrior):
        raise PriorError(f"prior for {name}: {prior} is not a prior on one number")
    return prior

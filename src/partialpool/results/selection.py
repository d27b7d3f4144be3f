"""Which parameters draws are wanted of, found by name without writing out the names of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.columns.places import suggest_nearest
from partialpool.numerics.arrays import IntArray
from partialpool.results.parameters import effect_kinds, effect_names

if TYPE_CHECKING:
    from partialpool.inputs.designs.design import GroupDesign
    from partialpool.results.fitted import Fitted

# Names among which a near miss is looked for: a comparison takes 20 microseconds.
_MOST_COMPARED = 10_000


class EffectPlace(NamedTuple):
    """A group's deviation ('u') or own value ('theta'): the positions of factor and effect, and of the level among
    those drawn."""

    kind: str
    factor: int
    effect: int
    level: int


class Selection(NamedTuple):
    """``names`` in the order asked for, ``effects`` the places of those that are effects, and ``levels``, for each
    factor the codes of the levels whose effects are needed."""

    names: tuple[str, ...]
    effects: Mapping[str, EffectPlace]
    levels: tuple[IntArray, ...]


def select_parameters(posterior: Fitted, parameters: Sequence[str] | None) -> Selection:
    """Return what is needed for these parameters, or for all; raise ``DataError`` for a name that is none of them."""
    if parameters is None:
        return _select_all(posterior)
    if isinstance(parameters, str):
        raise DataError(f"parameters={parameters!r} is one text: give a list of names, such as [{parameters!r}]")
    population, groups = set(population_names(posterior)), posterior.model.groups
    kinds, codes = effect_kinds(posterior.model), _LevelCodes(groups)
    names = tuple(dict.fromkeys(parameters))
    found: dict[str, EffectPlace] = {}
    for name in names:
        if name in population:
            continue
        place = _find_effect(groups, kinds, codes, str(name))
        if place is None:
            raise DataError(f"'{name}' is not a parameter of this fit{_suggest(posterior, str(name))}")
        found[name] = place
    levels = tuple(
        np.unique([place.level for place in found.values() if place.factor == factor]).astype(np.intp)
        for factor in range(len(groups))
    )
    effects = {
        name: place._replace(level=int(np.searchsorted(levels[place.factor], place.level)))
        for name, place in found.items()
    }
    return Selection(names, effects, levels)


def _select_all(posterior: Fitted) -> Selection:
    effects = {
        name: EffectPlace(kind, factor, effect, level)
        for factor, group in enumerate(posterior.model.groups)
        for kind in effect_kinds(posterior.model)
        for effect, names in enumerate(effect_names(kind, group))
        for level, name in enumerate(names)
    }
    return Selection((*population_names(posterior), *effects), effects, every_level(posterior))


def every_level(posterior: Fitted) -> tuple[IntArray, ...]:
    """Return the codes of all levels of each factor."""
    return tuple(np.arange(group.n_levels, dtype=np.intp) for group in posterior.model.groups)


def no_level(posterior: Fitted) -> tuple[IntArray, ...]:
    """Return no code of any factor: the population alone."""
    return tuple(np.empty(0, dtype=np.intp) for _ in posterior.model.groups)


def population_names(posterior: Fitted) -> list[str]:
    """Coefficients that the population has, then hyperparameters."""
    prior, names = posterior.model.coefficient_prior, posterior.model.design.population.names
    known = prior.sampled[len(posterior.hyper.space.coefficients) :]
    coefficients = [name for k, name in enumerate(names) if k not in known]
    return coefficients + [name for name in posterior.hyper.space.names if name not in coefficients]


class _LevelCodes:
    """The code of a level by its label, for each factor made when first asked for."""

    def __init__(self, groups: Sequence[GroupDesign]) -> None:
        self._groups = groups
        self._codes: dict[int, dict[str, int]] = {}

    def find(self, factor: int, label: str) -> int | None:
        if factor not in self._codes:
            self._codes[factor] = {name: code for code, name in enumerate(self._groups[factor].labels)}
        return self._codes[factor].get(label)


def _find_effect(
    groups: Sequence[GroupDesign], kinds: Sequence[str], codes: _LevelCodes, name: str
) -> EffectPlace | None:
    """Read 'u[g=level]' or 'u[g=level, x]'."""
    kind, _, rest = name.partition("[")
    if kind not in kinds or not rest.endswith("]"):
        return None
    for factor, group in enumerate(groups):
        if not rest.startswith(f"{group.name}="):
            continue
        inside = rest[len(group.name) + 1 : -1]
        for effect, coefficient in enumerate(group.names):
            ending = "" if group.names == ("Intercept",) else f", {coefficient}"
            level = codes.find(factor, inside.removesuffix(ending)) if inside.endswith(ending) else None
            if level is not None:
                return EffectPlace(kind, factor, effect, level)
    return None


def _suggest(posterior: Fitted, name: str) -> str:
    known = population_names(posterior)
    for group in posterior.model.groups if "[" in name else ():
        if 2 * group.n_levels * len(group.names) <= _MOST_COMPARED:
            kinds = effect_kinds(posterior.model)
            known += [label for kind in kinds for labels in effect_names(kind, group) for label in labels]
    return suggest_nearest(name, known)

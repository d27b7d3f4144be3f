"""Names of groups' effects, and their coordinates, as ArviZ reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.inputs.designs.design import GroupDesign
from partialpool.numerics.arrays import FloatArray
from partialpool.results.arviz.arviz_rows import SAMPLE, deal
from partialpool.results.arviz.safe_names import make_safe_names


def name_effects(kind: str, group: GroupDesign, groups: Sequence[GroupDesign]) -> str:
    """Return the variable of a factor's effects: 'u', or 'u[g]' where there are several factors."""
    return kind if len(groups) == 1 else make_safe_names([f"{kind}[{group.name}]"])[0]


def taken_names(groups: Sequence[GroupDesign], kinds: Sequence[str]) -> tuple[str, ...]:
    """Names that population parameters may not have."""
    kinds = tuple(dict.fromkeys(("u", "theta", *kinds)))
    effects = [name_effects(kind, group, groups) for group in groups for kind in kinds]
    return (*SAMPLE, "u", "theta", "coefficient", *effects)


def effect_coordinates(
    group: GroupDesign, taken: Sequence[str], several: bool = False
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the dimensions of an effect's draws and their coordinates: levels and, beside an intercept alone,
    coefficients (of this factor, where there are ``several``)."""
    dimension, levels = level_coordinate(group, taken)
    coordinates: dict[str, Any] = {dimension: levels}
    if group.names == ("Intercept",):
        return (*SAMPLE, dimension), coordinates
    inner = "coefficient"
    if several:
        (inner,) = make_safe_names([f"{group.name}_coefficient"], taken=(*taken, dimension))
    coordinates[inner] = list(group.names)
    return (*SAMPLE, dimension, inner), coordinates


def level_coordinate(group: GroupDesign, taken: Sequence[str]) -> tuple[str, tuple[str, NDArray[Any], dict[str, str]]]:
    """Return a factor's dimension and its coordinate."""
    (dimension,) = make_safe_names([group.name], taken=taken, suffix="_level")
    return dimension, (dimension, _level_labels(group), {"factor": group.name})


def _level_labels(group: GroupDesign) -> NDArray[Any]:
    """Return the data's own labels of one column (numbers stay numbers), text for combinations."""
    keys = group.level_keys[0]
    if len(group.level_keys) == 1 and keys.dtype.kind in "iuf":
        return keys
    return np.array(group.labels, dtype=str)


def deal_effects(effects: FloatArray, single: bool) -> FloatArray:
    """Turn (effect, draw, group) into (chain, draw, group[, effect])."""
    return deal(effects[0] if single else np.moveaxis(effects, 0, -1))

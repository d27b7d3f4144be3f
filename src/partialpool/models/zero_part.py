"""Covariates of structural zeros, joined to the family that has these."""

from __future__ import annotations

from dataclasses import replace

from partialpool.errors import DataError
from partialpool.inputs.designs.design import Design
from partialpool.models.families.base import Family
from partialpool.models.families.zero_inflated import ZeroInflated


def join_zero_part(family: Family, design: Design) -> Family:
    """Return the family with a coefficient for each column of the design's part of zeros, if it has one.

    Raises ``DataError`` where the family's probability of a structural zero is given.
    """
    if design.zero is None or not isinstance(family, ZeroInflated):
        return family
    if family.zero is not None:
        raise DataError(
            f"zero='~ {design.formula.zero}' with family='{family}': a probability of structural zeros that is given "
            "has no covariates; drop one of the two"
        )
    return replace(family, zero_names=design.zero.names)

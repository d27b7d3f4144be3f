"""Which groups a contrast is made of, read and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.levels import find_level, quote_label

if TYPE_CHECKING:
    from partialpool.inputs.designs.design import GroupDesign


class Contrasts(NamedTuple):
    """Weighted sums of a factor's groups: ``codes`` and ``weights`` (term, contrast)."""

    factor: int
    codes: IntArray
    weights: FloatArray


class ContrastSummary(NamedTuple):
    """``mean``, ``sd``, ``quantiles`` (..., probability) and the probability ``above`` 0 of every coefficient of every
    contrast, (contrast * coefficient,)."""

    mean: FloatArray
    sd: FloatArray
    quantiles: FloatArray
    above: FloatArray


def write_contrast(labels: Sequence[str], weights: Sequence[float]) -> str:
    """Return a contrast as text.

    >>> write_contrast(["A", "B", "site 3"], [1.0, -0.5, -0.5])
    "A - 0.5*B - 0.5*'site 3'"
    """
    text = ""
    for label, weight in zip(labels, weights, strict=True):
        sign = " - " if weight < 0.0 else " + "
        if not text:
            sign = "-" if weight < 0.0 else ""
        size = "" if abs(weight) == 1.0 else f"{abs(weight):.6g}*"
        text += f"{sign}{size}{quote_label(label)}"
    return text


def read_weights(group: GroupDesign, levels: Any, minus: Any) -> dict[int, float]:
    """Return the weight of each level by its code."""
    if isinstance(levels, Mapping):
        if minus is not None:
            raise DataError("contrast: a dict of weights and a second level are given: put its weight into the dict")
        pairs = list(levels.items())
    elif minus is None:
        raise DataError(
            f"contrast: one level of {group.name} is given: give two, as in contrast('{group.name}', 'A', 'B'), or a "
            "dict of weights by level"
        )
    else:
        pairs = [(levels, 1.0), (minus, -1.0)]
    weights: dict[int, float] = {}
    for level, weight in pairs:
        code = find_level(group, level)
        if code in weights:
            raise DataError(f"contrast: '{group.labels[code]}' is given twice: give each level one weight")
        weights[code] = _read_weight(group.labels[code], weight)
    if not any(weights.values()):
        raise DataError("contrast: no level has a weight other than 0: give two levels, or a dict of weights")
    return {code: weight for code, weight in weights.items() if weight != 0.0}


def _read_weight(label: str, weight: Any) -> float:
    try:
        value = float(weight)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise DataError(f"contrast: the weight of '{label}' is {weight!r}: give a finite number")
    return value

"""Levels of a factor as users name them: by label, by the data's own value, by a tuple of values."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.columns.levels import join_labels, print_number
from partialpool.inputs.columns.places import suggest_nearest
from partialpool.inputs.roles.moments import print_moments, read_moments

if TYPE_CHECKING:
    from partialpool.inputs.designs.design import GroupDesign

# Labels among which a near miss is looked for.
_MOST_COMPARED = 10_000
# Characters that would make a sum of labels hard to read.
_OPERATORS = frozenset(" +-*'")


def find_level(group: GroupDesign, level: Any) -> int:
    """Return the code of a level given as its label ('A', 'A:a'), the data's value (3, 2.5), or, for a factor of
    several columns, a tuple of values; raise ``DataError`` where there is none."""
    if isinstance(level, tuple) and len(group.columns) > 1:
        if len(level) != len(group.columns):
            raise DataError(
                f"{level!r} has {len(level)} values, {group.name} is made of {len(group.columns)} columns "
                f"({', '.join(group.columns)}): give one value of each"
            )
        (text,) = join_labels([[_print_value(value)] for value in level])
    else:
        text = _print_value(level)
    found = np.flatnonzero(np.array(group.labels, dtype=object) == text)
    if not len(found):
        numbers = len(group.level_keys) == 1 and group.level_keys[0].dtype.kind in "iuf"
        quote = "" if numbers and not isinstance(level, str) else "'"
        near = suggest_nearest(text, group.labels, quote=quote) if group.n_levels <= _MOST_COMPARED else ""
        raise DataError(f"{quote}{text}{quote} is not a level of {group.name}{near}")
    return int(found[0])


def quote_label(label: str) -> str:
    """Return a label as it stands in a sum, in quotes where it would be misread.

    >>> quote_label("A"), quote_label("site 1"), quote_label("x-y")
    ('A', "'site 1'", "'x-y'")
    """
    plain = label and not _OPERATORS & set(label)
    return label if plain else "'" + label.replace("'", "\\'") + "'"


def _print_value(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, datetime.date):
        moments, zone = read_moments("level", [value])
        return str(print_moments("level", moments, zone)[0])
    return print_number(value) if isinstance(value, float) else str(value)

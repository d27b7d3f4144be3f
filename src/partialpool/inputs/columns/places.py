"""Places: how an error points at a character of a formula or at a row of the data."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from partialpool.errors import FormulaError

# The most names that a message lists in full, and how many of more than that.
_MOST_NAMES = 40
_FEW_NAMES = 8


def mark_place(text: str, start: int, message: str) -> FormulaError:
    """Return an error that shows the formula with a caret under character ``start``.

    >>> print(mark_place("y x", 2, "'~' is missing"))
    '~' is missing
        y x
          ^
    """
    return FormulaError(f"{message}\n    {text}\n    {' ' * start}^")


def suggest_spelling(name: str, known: Iterable[str]) -> str:
    """Return '; did you mean ...?' where a name is a known one misspelt, else nothing: another model is not offered.

    >>> suggest_spelling("binomal", ["binomial"]), suggest_spelling("multinomial", ["binomial"])
    ("; did you mean 'binomial'?", '')
    """
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.85)
    return f"; did you mean '{close[0]}'?" if close else ""


def suggest_nearest(name: str, known: Iterable[str], *, quote: str = "'") -> str:
    """Return '; did you mean ...?' when a known name is close, else the known names, else nothing; numbers as names
    take no ``quote``.

    >>> suggest_nearest("scool", ["school", "y"])
    "; did you mean 'school'?"
    >>> suggest_nearest("z", ["school", "y"])
    "; there are 'school', 'y'"
    """
    names = [str(candidate) for candidate in known]
    by_lower = {candidate.lower(): candidate for candidate in reversed(names)}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    if close:
        return f"; did you mean {quote}{by_lower[close[0]]}{quote}?"
    if not names:
        return ""
    shown = ", ".join(f"{quote}{candidate}{quote}" for candidate in names[:8])
    return f"; there are {shown}" + (", ..." if len(names) > 8 else "")


def count_things(n: int, thing: str) -> str:
    """Return a number and what is counted, whose plural ends in s.

    >>> count_things(1, "group"), count_things(1200, "row")
    ('1 group', '1,200 rows')
    """
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def list_some(names: Sequence[str]) -> str:
    """Return names with commas between, of more than 40 the first eight and how many others there are.

    >>> list_some(["a", "b"])
    'a, b'
    """
    if len(names) <= _MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:_FEW_NAMES])}, ... and {len(names) - _FEW_NAMES:,} more"


def join_words(words: Sequence[str], limit: int = 6) -> str:
    """Return 'a', 'a and b', 'a, b and c', 'a, b, c, d, e, f and 3 more'.

    >>> join_words(["a"]), join_words(["a", "b", "c"]), join_words("abcd", limit=2)
    ('a', 'a, b and c', 'a, b and 2 more')
    """
    shown = list(words) if len(words) <= limit else [*words[:limit], f"{len(words) - limit} more"]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + f" and {shown[-1]}"


def name_rows(positions: Sequence[int] | Any, limit: int = 3) -> str:
    """Return 'row 3' or 'rows 3, 7, 9 and 12 more' for zero-based positions.

    >>> name_rows([2]), name_rows([2, 6, 8, 9, 10])
    ('row 3', 'rows 3, 7, 9 and 2 more')
    """
    numbers = [int(position) + 1 for position in positions[:limit]]
    if len(positions) == 1:
        return f"row {numbers[0]}"
    if len(positions) <= limit:
        return "rows " + ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"
    return "rows " + ", ".join(map(str, numbers)) + f" and {len(positions) - limit} more"

"""Coding: which factors of a product are coded against a reference level and which get a column per level."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

Marginal = tuple[frozenset[str], frozenset[str]]  # numeric factors, label factors


def reduce_factors(
    terms: Sequence[tuple[frozenset[str], tuple[str, ...]]],
) -> list[frozenset[str]] | None:
    """Return for each term the label factors that lose their first level, so that no column is redundant.

    ``terms`` gives each term's numeric factors and its label factors, in order; the intercept is (∅, ()). A
    term with labels a, b spans 1, a, b and a:b (times its numeric factors); what earlier terms span already
    is left out. Returns None where what remains is not one block of columns (then formulaic splits the term).
    Source: Smith, "patsy" (2012), "Redundancy and categorical factors".

    >>> none = frozenset()
    >>> [sorted(reduced) for reduced in reduce_factors([(none, ()), (none, ("f",)), (none, ("f", "g"))])]
    [[], ['f'], ['g']]
    """
    spanned: set[Marginal] = set()
    reduced = []
    for numeric, labels in terms:
        new = {subset for subset in _subsets(labels) if (numeric, subset) not in spanned}
        kept = frozenset.intersection(*new) if new else frozenset()
        if len(new) != 2 ** (len(labels) - len(kept)):
            return None
        reduced.append(kept)
        spanned |= {(numeric, subset) for subset in new}
    return reduced


def _subsets(labels: Sequence[str]) -> list[frozenset[str]]:
    sizes = range(len(labels) + 1)
    return [frozenset(chosen) for size in sizes for chosen in itertools.combinations(labels, size)]

"""Formula: lme4's language, split into response, population part and group terms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GroupTerm:
    """One group term after expansion: which columns vary over which factor, and how.

    ``columns`` is the left side as formula text, normalised ('1', '1 + x', '0 + x'); ``factor`` names the
    data columns whose combination is the grouping factor (two or more for a:b); ``correlated`` is False
    for terms written with ``||``: every coefficient column, levels of factors included, then varies on its own.
    """

    columns: str
    factor: tuple[str, ...]
    correlated: bool

    @property
    def factor_name(self) -> str:
        """The factor's name in tables: 'school', 'batch:cask'."""
        return ":".join(self.factor)


@dataclass(frozen=True)
class Formula:
    """A parsed formula. ``text`` is as the user wrote it; ``population`` is the right side without group terms."""

    text: str
    response: str
    population: str
    group_terms: tuple[GroupTerm, ...]

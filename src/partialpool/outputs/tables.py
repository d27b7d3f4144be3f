"""The tables that the command line prints, without data frames (importing pandas takes longer than a fit)."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from partialpool.results.posterior import Posterior
    from partialpool.results.separate import SeparatePosterior
    from partialpool.results.table import Table

QUANTILES = (0.05, 0.5, 0.95)
INTERVAL = (0.05, 0.95)

_KEY = """\
raw       the group's own estimate, raw_sd its standard error
mean      the partially pooled estimate, with its sd and 90 % interval (q5 to q95)
weight    share of the raw estimate in it: 0 is all population, 1 is no pooling"""


def tabulate_summary(fit: Posterior | SeparatePosterior, *, effects: bool, quantiles: Sequence[float]) -> Table:
    """Return the table of ``summary()``."""
    from partialpool.results.posterior import Posterior
    from partialpool.results.summary import summarise

    if isinstance(fit, Posterior):
        return summarise(fit, effects=effects, quantiles=quantiles)
    return fit.tabulate(quantiles)


def list_factors(fit: Posterior | SeparatePosterior) -> list[str]:
    """Return the names of the fit's grouping factors: none under complete pooling."""
    return [group.name for group in fit.model.groups]


def tabulate_fit_groups(
    fit: Posterior | SeparatePosterior, *, factor: str | None, quantiles: Sequence[float]
) -> Table | None:
    """Return the table of ``groups()`` of one factor (None: the first); None for a fit without groups."""
    from partialpool.results.groups import tabulate_groups
    from partialpool.results.posterior import Posterior

    if not isinstance(fit, Posterior):
        return fit.tabulate_groups(factor, quantiles=quantiles)
    factors = list_factors(fit)
    return tabulate_groups(fit, factor or factors[0], quantiles=quantiles) if factors else None


def write_groups(fit: Posterior | SeparatePosterior, factor: str | None = None, most_lines: int = 30) -> str:
    """Return the table of one factor's groups (None: the first's) as text, with a key to its columns and the names of
    other factors; nothing where ``repr`` has it already."""
    from partialpool.results.posterior import Posterior

    table = tabulate_fit_groups(fit, factor=factor, quantiles=INTERVAL)
    if table is None or not isinstance(fit, Posterior):
        return ""
    key = _KEY if fit.model.pooling == "partial" else _KEY.replace("partially pooled", "unpooled")
    text = f"{table.render(most_lines)}\n\n{textwrap.indent(key, '  ')}"
    others = [f"--factor {shlex.quote(name)}" for name in list_factors(fit) if name != (factor or list_factors(fit)[0])]
    return f"{text}\n\ngroups of other factors: {', '.join(others)}" if others else text

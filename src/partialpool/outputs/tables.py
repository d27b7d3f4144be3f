"""The tables that the command line prints, without data frames (importing pandas takes longer than a fit)."""

from __future__ import annotations

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


def tabulate_fit_groups(fit: Posterior | SeparatePosterior, *, quantiles: Sequence[float]) -> Table | None:
    """Return the table of ``groups()``; None for a fit without groups."""
    from partialpool.results.groups import tabulate_groups
    from partialpool.results.posterior import Posterior

    if not isinstance(fit, Posterior):
        return fit.tabulate_groups(None, quantiles=quantiles)
    return None if fit.model.group is None else tabulate_groups(fit, None, quantiles=quantiles)


def write_groups(fit: Posterior | SeparatePosterior, most_lines: int = 30) -> str:
    """Return the table of groups as text with a key to its columns; nothing where ``repr`` has it already."""
    from partialpool.results.posterior import Posterior

    table = tabulate_fit_groups(fit, quantiles=INTERVAL)
    if table is None or not isinstance(fit, Posterior):
        return ""
    key = _KEY if fit.model.pooling == "partial" else _KEY.replace("partially pooled", "unpooled")
    return f"{table.render(most_lines)}\n\n{textwrap.indent(key, '  ')}"

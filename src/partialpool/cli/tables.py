"""The tables that the command line prints, without data frames (importing pandas takes longer than a fit)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from partialpool.inputs.page import wrap_prose

if TYPE_CHECKING:
    from partialpool.results.posterior import Posterior
    from partialpool.results.separate import SeparatePosterior
    from partialpool.results.table import Table

QUANTILES = (0.05, 0.5, 0.95)
INTERVAL = (0.05, 0.95)

_KEY = """\
raw       the group's own estimate, raw_sd its standard error
mean      the partially pooled estimate, with its sd and 90 % interval (q5 to q95)
weight    how far the group's own rows decide it: 0 is all population, 1 is no pooling"""
_SIZE = """\
size      {role} in the group's rows
"""


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
    fit: Posterior | SeparatePosterior, *, factor: str | None, quantiles: Sequence[float] | None = None
) -> Table | None:
    """Return the table of ``groups()`` of one factor (None: the first); None for a fit without groups. Without
    ``quantiles`` they are an interval, with the median where a mean does not exist."""
    from partialpool.results.groups import tabulate_groups
    from partialpool.results.latent.groups import tabulate_latent_groups
    from partialpool.results.latent.posterior import LatentPosterior
    from partialpool.results.posterior import Posterior

    if not isinstance(fit, Posterior):
        return fit.tabulate_groups(factor, quantiles=quantiles or INTERVAL)
    factors = list_factors(fit)
    if not factors:
        return None
    if isinstance(fit, LatentPosterior):
        return tabulate_latent_groups(fit, factor or factors[0], quantiles=quantiles, scale="response")
    return tabulate_groups(fit, factor or factors[0], quantiles=quantiles or INTERVAL)


def name_groups_scale(fit: Posterior | SeparatePosterior, factor: str) -> str | None:
    """Return what the groups' numbers are where the family makes two scales: 'p (purchases / visits)', with slopes
    'logit p (purchases / visits)'; None where there is one."""
    from partialpool.results.latent.groups import choose_kind
    from partialpool.results.latent.posterior import LatentPosterior
    from partialpool.results.scale_names import name_response_scale

    if not isinstance(fit, LatentPosterior) or fit.model.family.link == "identity":
        return None
    name = name_response_scale(fit.model)
    on_response = choose_kind(fit, fit.check_factor(factor), "response") != "theta"
    return name if on_response else f"{fit.model.family.link} {name}"


def write_heading(fit: Posterior | SeparatePosterior) -> str:
    """Return what a fit prints, without the groups that ``write_groups`` writes."""
    from partialpool.results.posterior import Posterior
    from partialpool.results.printing import describe_posterior

    return describe_posterior(fit, groups=False) if isinstance(fit, Posterior) else repr(fit)


def write_groups(fit: Posterior | SeparatePosterior, factor: str | None = None, most_lines: int = 30) -> str:
    """Return the table of one factor's groups (None: the first's) as text, with a key to its columns and the names of
    other factors; nothing where ``repr`` has it already."""
    from partialpool.results.posterior import Posterior

    table = tabulate_fit_groups(fit, factor=factor)
    if table is None or not isinstance(fit, Posterior):
        return ""
    shown = factor or list_factors(fit)[0]
    scale = name_groups_scale(fit, shown)
    key = "\n".join(line for entry in _write_key(fit).splitlines() for line in wrap_prose(f"  {entry}", indent=12))
    text = f"{table.render(most_lines)}\n\n{key}"
    text = f"{_write_scale(fit, shown, scale)}\n\n{text}" if scale else text
    others = [f"--factor {shlex.quote(name)}" for name in list_factors(fit) if name != shown]
    return f"{text}\n\ngroups of other factors: {', '.join(others)}" if others else text


def _write_key(fit: Posterior) -> str:
    """Return what the columns of the table of groups are."""
    from partialpool.models.latent_model import LatentModel

    key = _KEY if fit.model.pooling == "partial" else _KEY.replace("partially pooled", "unpooled")
    if not isinstance(fit.model, LatentModel) or fit.model.design.measurements.sizes is None:
        return key
    role = "trials" if fit.model.family.response_name == "p" else "exposure"
    return _SIZE.format(role=role) + key


def _write_scale(fit: Posterior, factor: str, scale: str) -> str:
    """Return the line above the table of groups: what its numbers are, and where."""
    group = fit.model.groups[fit.check_factor(factor)]
    varying = set(group.names)
    covariates = [name for name in fit.model.design.population.names if name != "Intercept" and name not in varying]
    where = " where the other columns are 0" if covariates else ""
    return f"groups of {factor}: {scale}{where}"

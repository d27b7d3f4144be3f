"""The tables that the command line prints, without data frames (importing pandas takes longer than a fit)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from partialpool.inputs.page import wrap_prose

if TYPE_CHECKING:
    from partialpool.models.model import Model
    from partialpool.posterior import Posterior
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
    from partialpool.posterior import Posterior
    from partialpool.results.summary import summarise

    if isinstance(fit, Posterior):
        return summarise(fit.fitted, effects=effects, quantiles=quantiles)
    return fit.tabulate(quantiles)


def model_of(fit: Posterior | SeparatePosterior) -> Model:
    """Return the fit's model."""
    from partialpool.posterior import Posterior

    return fit.fitted.model if isinstance(fit, Posterior) else fit.model


def list_factors(fit: Posterior | SeparatePosterior) -> list[str]:
    """Return the names of the fit's grouping factors: none under complete pooling."""
    return [group.name for group in model_of(fit).groups]


def tabulate_fit_groups(
    fit: Posterior | SeparatePosterior, *, factor: str | None, quantiles: Sequence[float] | None = None
) -> Table | None:
    """Return the table of ``groups()`` of one factor (None: the first); None for a fit without groups. Without
    ``quantiles`` they are an interval, with the median where a mean does not exist."""
    from partialpool.posterior import Posterior
    from partialpool.results.groups import tabulate_groups

    if not isinstance(fit, Posterior):
        return fit.tabulate_groups(factor, quantiles=quantiles or INTERVAL)
    factors = list_factors(fit)
    if not factors:
        return None
    return tabulate_groups(fit.fitted, factor or factors[0], quantiles=quantiles)


def name_groups_scale(fit: Posterior | SeparatePosterior, factor: str) -> str | None:
    """Return what the groups' numbers are where the family makes two scales: 'p (purchases / visits)', with slopes
    'logit p (purchases / visits)'; None where there is one."""
    from partialpool.posterior import Posterior
    from partialpool.results.groups import choose_kind
    from partialpool.results.scale_names import name_response_scale

    if not isinstance(fit, Posterior) or fit.fitted.response_name is None:
        return None
    model = fit.fitted.latent_model
    if model.family.link == "identity":
        return None
    name = name_response_scale(model)
    on_response = choose_kind(fit.fitted, fit.fitted.check_factor(factor), "response") != "theta"
    return name if on_response else f"{model.family.link} {name}"


def write_heading(fit: Posterior | SeparatePosterior) -> str:
    """Return what a fit prints, without the groups that ``write_groups`` writes."""
    from partialpool.posterior import Posterior
    from partialpool.results.printing import describe_posterior

    return describe_posterior(fit.fitted, groups=False) if isinstance(fit, Posterior) else repr(fit)


def write_groups(fit: Posterior | SeparatePosterior, factor: str | None = None, most_lines: int = 30) -> str:
    """Return the table of one factor's groups (None: the first's) as text, with a key to its columns and the names of
    other factors; nothing where ``repr`` has it already."""
    from partialpool.posterior import Posterior

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
    model = fit.fitted.model
    key = _KEY if model.pooling == "partial" else _KEY.replace("partially pooled", "unpooled")
    if fit.fitted.response_name is None or model.design.measurements.sizes is None:
        return key
    role = "trials" if fit.fitted.response_name == "p" else "exposure"
    return _SIZE.format(role=role) + key


def _write_scale(fit: Posterior, factor: str, scale: str) -> str:
    """Return the line above the table of groups: what its numbers are, and where."""
    group = fit.fitted.model.groups[fit.fitted.check_factor(factor)]
    varying = set(group.names)
    covariates = [
        name for name in fit.fitted.model.design.population.names if name != "Intercept" and name not in varying
    ]
    where = " where the other columns are 0" if covariates else ""
    return f"groups of {factor}: {scale}{where}"

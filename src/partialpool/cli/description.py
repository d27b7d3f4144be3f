"""What a formula, a likelihood and a population mean for some data, as lines of text; nothing is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def describe_model(
    formula: str,
    data: Any,
    *,
    link: str | None,
    population: str | Mapping[str, str] | None,
    family: str,
    zero: str | None = None,
    **roles: Any,
) -> str:
    """Return the description of the formula, and below it family, link and population, where they are not those of the
    gaussian model; they are checked as ``fit`` does."""
    from partialpool.inputs.describe import describe_formula
    from partialpool.inputs.designs.design import build_design
    from partialpool.inputs.language.formula import parse_formula
    from partialpool.inputs.language.zero_part import add_zero_part
    from partialpool.inputs.observations import describe_rows, read_observations
    from partialpool.inputs.unknowns import find_obstacle
    from partialpool.models.arguments import is_latent, name_family

    parsed = add_zero_part(parse_formula(formula), zero)
    observations = read_observations(data, parsed, family=name_family(family), **roles)
    design = build_design(parsed, observations)
    text = str(describe_formula(design, find_obstacle(design)))
    if not is_latent(design.measurements, link, population):
        return text
    from partialpool.models.latent_arguments import choose_likelihood
    from partialpool.results.scale_names import describe_named

    where = describe_rows(observations.rows, observations.factors)
    chosen, people = choose_likelihood(design, family, link, population, where, grouped=bool(design.groups))
    lines = [text, f"family        {describe_named(chosen)} with {chosen.link} link"]
    if design.groups:
        lines.append(f"population    {describe_named(people)}")
    return "\n".join(lines)

"""Which likelihood and population a fit's arguments name, and whether they go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from partialpool.errors import DataError, FormulaError, ModelWarning, NotYetError, warn_user
from partialpool.inputs.columns.places import suggest_nearest
from partialpool.inputs.designs.design import Design
from partialpool.inputs.roles.role import DescribeRow
from partialpool.models.families import read_family
from partialpool.models.families.base import Family
from partialpool.models.latent_model import collect_response
from partialpool.models.populations.base import Population
from partialpool.models.populations.estimated import EstimatedPopulation
from partialpool.models.populations.lognormal import LognormalPopulation
from partialpool.models.populations.normal import NormalPopulation
from partialpool.models.populations.parse import AnyPopulation, read_population
from partialpool.models.zero_part import join_zero_part


def check_latent_arguments(
    design: Design, *, method: str, estimator: str | None, sigma: str, pooling: str = "partial"
) -> None:
    """Raise where an argument is for Gaussian models with normal populations alone, or a selection has no population;
    warn where truncation may have been meant for one."""
    if method == "grid":
        raise DataError("method='grid' is the textbook algorithm of gaussian models: use 'auto'")
    if sigma == "by group":
        raise NotYetError("sigma='by group' is for gaussian models: leave sigma='common'")
    if estimator in ("reml", "dersimonian_laird"):
        raise DataError(f"estimator={estimator!r} is for gaussian models: use 'ml', or 'moments' for a conjugate pair")
    measured = design.measurements
    if measured.kind == "summaries" or (measured.precision is not None and not measured.known_scale):
        raise NotYetError(
            "rows of (n, mean, sd), and precision weights, are computed for gaussian models with normal populations: "
            "give raw rows, or standard_error="
        )
    if measured.selection is not None and pooling == "none":
        raise DataError(
            "selection= with pooling='none': no population is there for groups to be selected from; give truncation=, "
            "which takes each group's own value as given"
        )
    if measured.lower_limit is not None and pooling == "partial" and _has_single_rows(design):
        warn_of_truncated_objects(design.groups[0].name)


def _has_single_rows(design: Design) -> bool:
    """Whether there is one factor, and each of its levels is one row."""
    counts = design.measurements.counts
    alone = len(design.groups) == 1 and design.groups[0].n_levels == len(design.measurements.response)
    return alone and (counts is None or bool(counts.max() <= 1))


def warn_of_truncated_objects(factor: str) -> None:
    """Say what truncation answers where every group has one row."""
    warn_user(
        f"truncation= takes every group of {factor} to be in the data whatever its row is, and each has one row: it "
        "answers for groups that are there, whose rows outside the limits are not; where a group is in the data only "
        "because its row passed, the answer changes: give selection= with the same limits",
        ModelWarning,
    )


def choose_likelihood(
    design: Design,
    family: Family | str,
    link: str | None,
    population: AnyPopulation | str | Mapping[str, AnyPopulation | str] | None,
    where: DescribeRow,
    *,
    grouped: bool = True,
) -> tuple[Family, AnyPopulation]:
    """Return family and population, their supports joined, with the response checked.

    A positive population lives on the log scale of the mean, a beta population on the logit scale of the probability:
    they choose the link where none is given. ``grouped`` says that groups' parameters come from the population.
    Raises ``DataError`` where a population's support is not what the link
    reaches.
    """
    people = _read_population(design, population)
    if design.measurements.selection is not None and isinstance(people, EstimatedPopulation):
        raise NotYetError(
            f"selection= under a {people.name} population is not computed: choose a population with parameters, such "
            "as 'student_t' or 'skew_normal'"
        )
    chosen = join_zero_part(read_family(family, link), design)
    if isinstance(people, Population):
        chosen = _join(chosen, link, people, grouped)
    if design.measurements.known_scale and hasattr(chosen, "known_noise"):
        chosen = replace(chosen, known_noise=True)  # type: ignore[call-arg]  # those that have it
    title = f"response '{design.formula.response.strip('`')}'"
    chosen.check(title, collect_response(design), where)
    _check_shape_is_learned(title, design, chosen)
    # a lognormal mean is a normal linear predictor under the log link
    return chosen, NormalPopulation() if isinstance(people, LognormalPopulation) else people


def _check_shape_is_learned(title: str, design: Design, family: Family) -> None:
    """Raise ``DataError`` where gamma or beta rows are all alike, so that their shape or precision has no bound."""
    if family.name not in ("gamma", "beta") or not family.dispersions:
        return
    offset, values = design.measurements.offset, design.measurements.response
    linear = values if offset is None else family.linear_scale(values) - offset
    if linear.min() == linear.max():
        beside = "" if offset is None else " beside its offset"
        raise DataError(
            f"{title} is constant{beside} ({values[0]:g} in every row): there is no spread to learn from; check the "
            f"column, or give the {family.dispersions[0]} if it is known, "
            f"family='{family.name}({family.dispersions[0]}=...)'"
        )


def _read_population(
    design: Design, population: AnyPopulation | str | Mapping[str, AnyPopulation | str] | None
) -> AnyPopulation:
    names = [group.name for group in design.groups]
    if isinstance(population, Mapping):
        for name in population:
            if name not in names:
                raise DataError(
                    f"population: '{name}' is not a grouping factor of the formula{suggest_nearest(str(name), names)}"
                )
        read = {name: read_population(value) for name, value in population.items()}
        unlike = [value for value in read.values() if value.name != "normal"]
        if len(names) > 1 and unlike:
            raise NotYetError(
                f"a {unlike[0].name} population beside other grouping factors is not computed: keep one factor, or "
                "leave its population normal"
            )
        return next(iter(unlike), read_population("normal"))
    found = read_population("normal" if population is None else population)
    if found.name != "normal" and not names:
        raise FormulaError(f"population={population!r}: the formula has no group term, such as (1 | g)")
    if found.name != "normal" and len(names) > 1:
        raise DataError(f"population={population!r}: say of which factor, as in {{'{names[0]}': {population!r}}}")
    return found


def _join(family: Family, link: str | None, population: Population, grouped: bool) -> Family:
    """Return the family with the link that the population's support needs."""
    if population.support == "line":
        positive = family.name not in ("gaussian", "student_t")
        if grouped and positive and family.link in ("identity", "inverse", "sqrt"):
            raise DataError(
                f"a {population.name} population reaches every number, and {family.name} with link='{family.link}' has "
                "no mean where the linear predictor is negative: use link='log', or leave the groups out "
                "(pooling='complete')"
            )
        return family
    needed = "logit" if population.support == "probability" else "log"
    what = "probabilities" if needed == "logit" else "positive numbers"
    if needed not in family.links:
        raise DataError(
            f"a {population.name} population is of {what}, which {family.name} (links {', '.join(family.links)}) has "
            "not: choose another population or family"
        )
    if link is not None and link not in (needed, "identity"):
        raise DataError(
            f"a {population.name} population is of {what}, and link='{link}' does not reach just these: drop link="
        )
    return replace(family, link=needed)

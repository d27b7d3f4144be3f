"""Unknowns: whether the rows can tell apart the parameters whose values are not given, found before any computing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from partialpool.errors import AliasedColumnsWarning, DataError, IdentificationError, warn_user
from partialpool.inputs.designs.confounding import check_factors_differ, check_levels, check_not_in_population
from partialpool.inputs.designs.design import Design, GroupDesign, PopulationDesign
from partialpool.inputs.designs.enough_rows import Columns, check_enough_rows
from partialpool.inputs.designs.row_covariances import check_covariances_differ
from partialpool.inputs.roles.family_data import find_family
from partialpool.inputs.roles.measurements import Measurements
from partialpool.inputs.roles.response_checks import check_spread


def check_identified(design: Design, given: Collection[str] = (), columns: Columns | None = None) -> None:
    """Check that the rows can tell apart the parameters other than those whose values are ``given``, by name.

    ``columns`` are the observations', from which a message says which has many labels. A factor with one level passes:
    what is said of its sd then rests on the prior.

    Raises ``IdentificationError`` for a factor without a repeated group beside an unknown sigma or single trials, two
    that divide the rows alike, one whose levels the population part tells apart already, and fewer rows than
    coefficients beside an unknown dispersion; ``DataError`` for a response without spread, or means whose
    spread is not given, beside an unknown sigma.
    """
    measured = design.measurements
    if measured.mean_sizes is not None and "sigma" not in given:
        raise DataError(
            "size is given without sd: rows of (n, mean, sd) need both where sigma is not known; add sd=, or sigma as "
            "priors={'sigma': 'Fixed(...)'}"
        )
    if measured.has_residual_sd and "sigma" not in given:
        check_spread(
            f"response '{design.formula.response.strip('`')}'",
            measured.response,
            measured.upper,
            measured.offset,
            measured.within_squares,
            find_family(measured.family),
        )
    dispersion = None if measured.dispersion in given else measured.dispersion
    population = _keep_unknown_columns(design.population, given)
    groups = [_keep_unknown_effects(group, given) for group in design.groups]
    scattered = (dispersion == "sigma" or measured.has_single_trials) and measured.counts is None
    for group in groups:
        check_levels(group, measured, scattered)
    check_factors_differ(groups)
    check_enough_rows(len(population.names), dispersion, measured, columns)
    _check_concentration(dispersion, measured)
    for group in groups:
        if group.n_levels > 1:
            check_not_in_population(group, population)
    several = [group for group in groups if group.n_levels > 1]
    check_covariances_differ(several, population, measured, scattered)


def find_obstacle(design: Design) -> str:
    """Return why a design cannot be fitted while nothing is given, '' where it can."""
    try:
        check_identified(design)
    except (IdentificationError, DataError) as error:
        return str(error)
    return ""


def warn_of_left_out(design: Design) -> None:
    """Warn of coefficient columns that are left out because others determine them."""
    for part, said in design.left_out.items():
        warn_user(
            f"columns of {part} are left out: {said}. Fitted values do not depend on which of such columns are kept; "
            "a prediction that would need one of their coefficients is refused",
            AliasedColumnsWarning,
        )


def _keep_unknown_columns(population: PopulationDesign, given: Collection[str]) -> PopulationDesign:
    """Return the columns whose coefficients are unknown."""
    kept = [k for k, name in enumerate(population.names) if name not in given]
    if len(kept) == len(population.names):
        return population
    return replace(population, names=tuple(population.names[k] for k in kept), values=population.values[:, kept])


def _keep_unknown_effects(group: GroupDesign, given: Collection[str]) -> GroupDesign:
    """Return the factor with the effects alone in its blocks whose sds are unknown."""
    kept = (tuple(k for k in block if group.sd_names[k] not in given) for block in group.blocks)
    return replace(group, blocks=tuple(block for block in kept if block))


def _check_concentration(dispersion: str | None, measurements: Measurements) -> None:
    if dispersion == "concentration" and measurements.has_single_trials:
        raise IdentificationError(
            "every row has one trial: concentration is how alike the trials of a row are, and cannot be learned; give "
            "family='bernoulli', or rows of several trials"
        )

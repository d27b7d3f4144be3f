"""The options that say what the data are, shared by the commands, and what their texts mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

# Those that are one number for every row where they are not a column.
_NUMBERS = ("standard_error", "size", "sd", "weights", "counts", "offset", "trials", "exposure")

_DATA_OPTIONS = (
    click.argument("data", type=click.Path(path_type=Path)),
    click.argument("formula"),
    click.option("--standard-error", metavar="COLUMN|N", help="Known standard errors of the response."),
    click.option("--size", metavar="COLUMN|N", help="Rows are summaries: raw rows that each stands for."),
    click.option("--sd", metavar="COLUMN|N", help="Rows are summaries: sd of those raw rows."),
    click.option("--weights", metavar="COLUMN|N", help="Precision weights: variance sigma^2 / weight."),
    click.option("--counts", metavar="COLUMN|N", help="Frequency weights: a row stands for k equal rows."),
    click.option("--offset", metavar="COLUMN|N", help="Added to the linear predictor."),
    click.option(
        "--family",
        default="gaussian",
        show_default=True,
        metavar="FAMILY",
        help="The likelihood: gaussian, bernoulli, binomial, beta_binomial, beta, poisson, negative_binomial, "
        "zero_inflated_poisson, zero_inflated_negative_binomial, gamma, lognormal, exponential or student_t; "
        "'student_t(nu=4)' fixes a parameter.",
    ),
    click.option("--link", metavar="LINK", help="Link, such as probit.  [default: the family's first]"),
    click.option("--trials", metavar="COLUMN|N", help="Trials of (beta-)binomial successes."),
    click.option("--exposure", metavar="COLUMN|N", help="Exposure of counts: their mean is exposure times rate."),
    click.option("--zero", metavar="FORMULA", help="Covariates of structural zeros, such as '~ x'."),
    click.option("--censored", metavar="COLUMN", help="Codes none, left, right, interval (or 0, -1, 1, 2)."),
    click.option("--censored-upper", metavar="COLUMN", help="Upper ends of interval-censored rows."),
    click.option("--truncation-lower", metavar="COLUMN|N", help="Rows with lower values would not be in the data."),
    click.option("--truncation-upper", metavar="COLUMN|N", help="Rows with higher values would not be in the data."),
    click.option("--selection-lower", metavar="COLUMN|N", help="Groups with lower values would not be in the data."),
    click.option("--selection-upper", metavar="COLUMN|N", help="Groups with higher values would not be in the data."),
    click.option(
        "--selection-width",
        metavar="COLUMN|N",
        help="The one limit of selection is a probit curve of this width.  [default: sharp]",
    ),
    click.option(
        "--selection-rows",
        type=click.Choice(["any", "all", "first"]),
        help="Which rows of a group of several decide of its selection.",
    ),
    click.option(
        "--population",
        "populations",
        multiple=True,
        metavar="[FACTOR=]POPULATION",
        help="Of the groups' parameters: normal, student_t, skew_normal, lognormal, exponential, gamma, beta, "
        "'mixture(2)' or nonparametric; repeatable by factor, such as 'store=beta'.  [default: normal]",
    ),
    click.option(
        "--missing",
        type=click.Choice(["drop", "raise"]),
        default="drop",
        show_default=True,
        help="Leave rows with missing values out, or refuse.",
    ),
)


def data_options(command: _Command) -> _Command:
    """Add the arguments and options that say what the data are."""
    for option in reversed(_DATA_OPTIONS):
        command = option(command)
    return command


def read_population(texts: tuple[str, ...]) -> str | dict[str, str] | None:
    """Return what ``fit`` takes as its population from the texts of the option."""
    from partialpool.cli.prior_texts import read_population_texts

    try:
        return read_population_texts(texts)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--population'") from None


def read_roles(options: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the arguments of ``fit`` that say what the data are, from options: column names, numbers and pairs."""
    from partialpool.cli.prior_texts import read_number_or_column

    roles: dict[str, Any] = dict(options)
    ends = ("truncation_lower", "truncation_upper", "selection_lower", "selection_upper", "selection_width")
    for name in [name for name in (*_NUMBERS, *ends) if name in options]:
        roles[name] = read_number_or_column(options[name])
    lower, upper = roles.pop("truncation_lower"), roles.pop("truncation_upper")
    roles["truncation"] = None if lower is None and upper is None else (lower, upper)
    limits = [roles.pop(f"selection_{name}") for name in ("lower", "upper", "width")]
    roles["selection"] = _read_selection(*limits)
    if (uppers := roles.pop("censored_upper")) is not None:
        if roles["censored"] is None:
            raise click.UsageError("--censored-upper gives ends of intervals: add --censored with their codes")
        roles["censored"] = (roles["censored"], uppers)
    return roles


def _read_selection(lower: Any, upper: Any, width: Any) -> Any:
    """Return what ``fit`` takes as its selection from limits and width."""
    if width is None:
        return None if lower is None and upper is None else (lower, upper)
    if (lower is None) == (upper is None):
        raise click.UsageError(
            "--selection-width is that of one limit: give --selection-lower or --selection-upper, and not both"
        )
    from partialpool.inputs.roles.selection import ProbitSelection

    return ProbitSelection(lower, width) if upper is None else ProbitSelection(upper, width, "below")

"""The command line: ``partialpool fit``, ``describe`` and ``demo``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import partialpool
from partialpool.cli.cli_options import data_options, read_population, read_roles
from partialpool.cli.console import escape_json, escape_what_is_lacking
from partialpool.cli.messages import speak_plainly
from partialpool.cli.option_names import SuggestingCommand

if TYPE_CHECKING:
    from partialpool.posterior import Posterior
    from partialpool.results.separate import SeparatePosterior

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_SETTINGS)
@click.version_option(partialpool.__version__, prog_name="partialpool", message="%(prog)s %(version)s")
def main() -> None:
    """Hierarchical (partially pooled) Bayesian models: the exact posterior in the time of a point estimate.

    \b
    Examples:
      partialpool demo
      partialpool fit schools.csv "effect ~ 1 + (1 | school)" --standard-error se
      partialpool fit radon.parquet "log_radon ~ floor + (1 + floor | county)" --out radon.nc
      partialpool fit shop.csv "purchases ~ 1 + (1 | store)" --family binomial --trials visits
    """
    escape_what_is_lacking()


@main.command("fit", cls=SuggestingCommand, short_help="Fit a model to a CSV or Parquet file.")
@data_options
@click.option(
    "--prior",
    "priors",
    multiple=True,
    metavar="NAME=PRIOR",
    help="Prior of a parameter or class, such as 'sd(school)=HalfCauchy(5)'. Repeatable.",
)
@click.option(
    "--pooling",
    type=click.Choice(["partial", "complete", "none"]),
    default="partial",
    show_default=True,
    help="Pool groups partially, ignore them, or keep them apart.",
)
@click.option(
    "--method",
    type=click.Choice(["auto", "grid", "importance", "surrogate", "empirical_bayes"]),
    default="auto",
    show_default=True,
    help="How the posterior is computed.",
)
@click.option(
    "--estimator",
    type=click.Choice(["moments", "dersimonian_laird", "ml", "reml"]),
    help="Estimator of --method empirical_bayes.  [default: reml, ml of other families]",
)
@click.option(
    "--accuracy",
    type=float,
    help="Error of posterior means to aim at, in posterior sds.  [default: that of 4,000 draws]",
)
@click.option(
    "--sigma",
    type=click.Choice(["common", "by group", "pooled by group"]),
    help="One sigma, each group's own (with --pooling none), or own ones, partially pooled.  [default: common]",
)
@click.option("--sigma-by-group", is_flag=True, help="The same as --sigma 'by group'.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the draws.")
@click.option(
    "--effects", is_flag=True, help="Also show every group's deviation u, own value theta and p, rate or mean."
)
@click.option(
    "--factor",
    metavar="NAME",
    help="Grouping factor whose groups are shown and drawn, such as 'state:county'.  [default: the first]",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Save the fit (.nc, .zarr).")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw raw and partially pooled estimates (.png, .svg, .pdf).",
)
@click.option(
    "--forest",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw every group's interval and a new group's (.png, .svg, .pdf).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors.")
def fit_command(
    data: Path,
    formula: str,
    *,
    missing: str,
    priors: tuple[str, ...],
    pooling: str,
    method: str,
    estimator: str | None,
    accuracy: float | None,
    sigma: str | None,
    sigma_by_group: bool,
    seed: int,
    effects: bool,
    factor: str | None,
    out: Path | None,
    plot: Path | None,
    forest: Path | None,
    as_json: bool,
    quiet: bool,
    populations: tuple[str, ...],
    link: str | None,
    **roles: str | None,
) -> None:
    """Fit FORMULA to the table in DATA (.csv, .tsv, .csv.gz, .parquet) and print the posterior.

    \b
    Examples:
      partialpool fit schools.csv "effect ~ 1 + (1 | school)" --standard-error se \\
          --prior "sd(school)=HalfCauchy(5)" --plot shrinkage.png
      partialpool fit homework.csv "hours ~ 1 + (1 | school)" --size n --sd sd --json
      partialpool fit sleep.csv "Reaction ~ Days + (Days | Subject)" --out sleep.nc
      partialpool fit radon.csv "log_radon ~ floor + (1 | state/county)" --factor state:county
      partialpool fit shop.csv "purchases ~ 1 + (1 | store)" --family binomial --trials visits \\
          --population store=beta --forest stores.png
      partialpool fit roads.csv "accidents ~ 1 + (1 | road)" --family poisson --exposure km
      partialpool fit clicks.csv "bought ~ 1 + (1 | user)" --family bernoulli --link probit
      partialpool fit time.csv "days ~ 1 + (1 | clinic)" --family lognormal --censored status

    Exit codes: 0 done; 1 the data, formula, priors, files or computation failed, with the reason
    on standard error and nothing written; 2 the command line was not understood.
    """
    from partialpool.cli.prior_texts import read_prior_texts

    try:
        given = read_prior_texts(priors)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--prior'") from None
    population, data_roles = read_population(populations), read_roles(roles)
    shown = _Shown(out, plot, forest, factor)
    chosen = _choose_sigma(sigma, sigma_by_group)
    _check_options(shown, pooling, chosen)
    with speak_plainly():
        _check_outputs(shown, formula)
        fit: Any = partialpool.fit(
            formula,
            _read(data, formula, data_roles),
            priors=given,
            pooling=pooling,  # type: ignore[arg-type]  # click has checked the words
            method=method,  # type: ignore[arg-type]
            estimator=estimator,  # type: ignore[arg-type]
            accuracy=accuracy,
            sigma=chosen,  # type: ignore[arg-type]
            missing=missing,  # type: ignore[arg-type]
            seed=seed,
            link=link,
            population=population,
            **data_roles,
        )
        written = _write_files(fit, shown)
        if as_json:
            from partialpool.cli.json_report import write_json

            click.echo(escape_json(write_json(fit, effects=effects, written=written, factor=factor)))
        elif not quiet:
            _print_fit(fit, effects, written, factor)


@main.command("describe", cls=SuggestingCommand, short_help="Show how a formula is understood, without fitting.")
@data_options
def describe_command(
    data: Path, formula: str, *, missing: str, populations: tuple[str, ...], link: str | None, **roles: str | None
) -> None:
    """Show how FORMULA is understood for the table in DATA: columns, factors, levels, parameter names.

    \b
    Examples:
      partialpool describe sleep.csv "Reaction ~ Days + (Days | Subject)"
      partialpool describe shop.csv "purchases ~ 1 + (1 | store)" --family binomial --trials visits
    """
    from partialpool.cli.description import describe_model

    population = read_population(populations)
    data_roles = read_roles(roles)
    with speak_plainly():
        click.echo(
            describe_model(
                formula,
                _read(data, formula, data_roles),
                link=link,
                population=population,
                missing=missing,
                **data_roles,
            )
        )


@main.command("demo", short_help="Fit eight schools and draw the shrinkage.")
@click.option("--no-plot", is_flag=True, help="Do not draw shrinkage.png.")
def demo_command(no_plot: bool) -> None:
    """Fit the eight schools, print the posterior, and draw shrinkage.png in the current directory.

    \b
    Example:
      partialpool demo
    """
    from partialpool.cli.demo import INTRODUCTION, conclude, find_demo_picture, fit_demo

    with speak_plainly():
        picture, missing = (None, "") if no_plot else find_demo_picture()
        click.echo(INTRODUCTION)
        fit = fit_demo()
        _print_fit(fit, False, [])
        click.echo(f"\n{conclude(fit)}")
        if written := _write_files(fit, _Shown(plot=picture)):
            click.echo(f"\npicture: {written[0]}")
        elif missing:
            click.echo(f"\nno picture: {missing}")


@dataclass(frozen=True)
class _Shown:
    """The files asked for, and the factor whose groups are shown and drawn (None: the first)."""

    out: Path | None = None
    plot: Path | None = None
    forest: Path | None = None
    factor: str | None = None

    @property
    def pictures(self) -> list[Path]:
        return [path for path in (self.plot, self.forest) if path is not None]


def _choose_sigma(sigma: str | None, by_group: bool) -> str:
    """Return what ``fit`` is told of sigma; raises ``UsageError`` where the two options differ."""
    if by_group and sigma not in (None, "by group"):
        raise click.UsageError(f"--sigma-by-group and --sigma '{sigma}' contradict each other: give one of them")
    return "by group" if by_group else sigma or "common"


def _check_options(shown: _Shown, pooling: str, sigma: str) -> None:
    """Refuse options that contradict one another."""
    if shown.pictures and pooling == "complete":
        raise click.UsageError("--plot and --forest show groups, which --pooling complete has not: drop one of them")
    if shown.factor is not None and pooling == "complete":
        raise click.UsageError("--factor names groups, which --pooling complete has not: drop one of them")
    if sigma == "by group" and shown.pictures:
        raise click.UsageError("--plot and --forest do not work with --sigma-by-group yet: drop them")
    if shown.plot is not None and shown.plot == shown.forest:
        raise click.UsageError("--plot and --forest name the same file: give two")


def _check_outputs(shown: _Shown, formula: str) -> None:
    """Refuse what could not be written or shown, before anything is read or computed."""
    from partialpool.errors import FormulaError
    from partialpool.inputs.columns.places import suggest_nearest
    from partialpool.inputs.language.formula import parse_formula
    from partialpool.outputs.output_paths import check_picture_path
    from partialpool.results.files.save_paths import check_save_path

    parsed = parse_formula(formula)
    if shown.pictures and not parsed.group_terms:
        raise FormulaError(
            "--plot and --forest show groups, of which the formula has none: add a group term such as (1 | g), or drop "
            "the picture"
        )
    factors = [term.factor_name for term in parsed.group_terms]
    if shown.factor is not None and shown.factor not in factors:
        raise FormulaError(
            f"--factor: '{shown.factor}' is not a grouping factor of it{suggest_nearest(shown.factor, factors)}"
        )
    if shown.out is not None:
        check_save_path(shown.out)
    for path in shown.pictures:
        check_picture_path(path)


def _read(data: Path, formula: str, roles: Mapping[str, Any]) -> Any:
    """Read the columns that the formula and the roles name."""
    from partialpool.cli.data_files import read_data_file
    from partialpool.inputs.language.formula import parse_formula
    from partialpool.inputs.language.zero_part import add_zero_part

    several = ("censored", "truncation", "selection")
    named = {name: value for name, value in roles.items() if name not in ("family", "selection_rows", "zero", *several)}
    for name in several:
        value = roles[name]
        if isinstance(value, partialpool.ProbitSelection):
            value = (value.limit, value.width)
        parts = value if isinstance(value, tuple) else (value,)
        named |= {f"{name} {place}": part for place, part in enumerate(parts)}
    columns = {role: value for role, value in named.items() if isinstance(value, str) and value}
    return read_data_file(data, add_zero_part(parse_formula(formula), roles["zero"]), columns)


def _write_files(fit: Posterior, shown: _Shown) -> list[str]:
    """Write what was asked for; return the paths."""
    from partialpool.cli.tables import list_factors

    factor = shown.factor or next(iter(list_factors(fit)), None)
    if shown.out is not None:
        fit.save(shown.out)
    if shown.plot is not None:
        fit.plot.shrinkage(shown.plot, factor=factor)
    if shown.forest is not None:
        fit.plot.forest(shown.forest, factor=factor)
    return [str(path) for path in (shown.out, *shown.pictures) if path is not None]


def _print_fit(
    fit: Posterior | SeparatePosterior, effects: bool, written: list[str], factor: str | None = None
) -> None:
    from partialpool.cli.tables import QUANTILES, tabulate_summary, write_groups, write_heading

    parts = [write_heading(fit), write_groups(fit, factor)]
    if effects:
        parts.append(tabulate_summary(fit, effects=True, quantiles=QUANTILES).render(60))
    if written:
        parts.append("\n".join(f"written: {path}" for path in written))
    click.echo("\n\n".join(part for part in parts if part))

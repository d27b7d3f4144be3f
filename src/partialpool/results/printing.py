"""A fit as text: what was fitted, the priors, the table, how it was computed, how exact it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partialpool.inputs.columns.places import count_things
from partialpool.inputs.describe_noise import describe_noise
from partialpool.inputs.page import wrap_prose
from partialpool.models.latent_model import LatentModel
from partialpool.models.own_sigma import has_own_sigma
from partialpool.models.priors import Fixed
from partialpool.results.notes import note_far_intercepts
from partialpool.results.scale_names import describe_named, describe_population, name_linear_scale, name_response_scale
from partialpool.results.summary import summarise

if TYPE_CHECKING:
    from partialpool.models.model import Model
    from partialpool.results.fitted import Fitted

_POOLING = {
    "partial": "partially pooled",
    "complete": "completely pooled: groups are ignored",
    "none": "not pooled: every group on its own",
}
_STATUS = {
    "exact": "closed form: no error but rounding",
    "converged": "the integration's error is small beside the posterior's sd: see the evidence",
    "plug-in": "estimates stand in for the population's posterior: intervals are too narrow",
    "unreliable": "do not use these numbers",
}
# The most priors that are printed.
_MOST_PRIORS = 40


def describe_posterior(posterior: Fitted, *, groups: bool = True) -> str:
    """Return the text that a fit prints; with its ``groups`` where they alone are unknown."""
    table = summarise(posterior, effects=False, quantiles=(0.05, 0.5, 0.95))
    parts = [
        "\n".join(_heading(posterior)),
        "\n".join(_priors(posterior)),
        "\n".join(_scale(posterior.model)),
        table.render(most_lines=60) if len(table) else "",
        "\n".join(line for note in note_far_intercepts(posterior) for line in wrap_prose(note)),
        *(_tabulate_unknown_groups(posterior) if groups else ()),
        "\n".join(_certificate(posterior)),
    ]
    return "\n\n".join(part for part in parts if part)


def _write_formula(posterior: Fitted) -> str:
    zero = posterior.model.design.formula.zero
    return f"{posterior.formula}, zero ~ {zero}" if zero else posterior.formula


def _heading(posterior: Fitted) -> list[str]:
    model = posterior.model
    measurements = model.design.measurements
    lines = [*wrap_prose(f"partialpool fit: {_write_formula(posterior)}"), *wrap_prose(_describe_likelihood(model))]
    n_rows = len(measurements.response)
    used = count_things(n_rows, "row")
    if measurements.raw_rows is not None:
        used += f" standing for {measurements.raw_rows.sum():,.0f}"
    lines += wrap_prose(", ".join([used, *_count_groups(model)]))
    if model.design.rows_dropped:
        dropped = ", ".join(f"{count:,} for {name}" for name, count in model.design.rows_dropped.items())
        lines += wrap_prose(f"left out of {model.design.rows_read:,} rows read: {dropped}")
    return lines


def _describe_likelihood(model: Model) -> str:
    """Return '(family), (noise); (pooling)', with link and population where they are not the gaussian model's."""
    measurements = model.design.measurements
    if isinstance(model, LatentModel):
        noise = describe_noise(measurements, model.design.roles, model.space.given)
        if has_own_sigma(model):
            noise = noise.replace("unknown sigma", f"a sigma of each {model.groups[0].name}, partially pooled")
        shared = model.pooling == "partial" and model.groups
        people = f", {describe_population(model)} population" if shared else ""
        family = f"{describe_named(model.family)} with {model.family.link} link"
        return f"{family}, {noise}; {_describe_pooling(model)}{people}"
    sigma = "sigma given" if "sigma" in model.space.given else "sigma unknown"
    noise = {
        "estimates": "known standard errors",
        "summaries": f"{sigma}, rows are (n, mean{'' if measurements.mean_sizes is not None else ', sd'})",
        "rows": sigma,
    }[measurements.kind]
    return f"gaussian, {noise}; {_describe_pooling(model)}"


def _scale(model: Model) -> list[str]:
    """Say which scale the table's numbers are on, where the link makes two of it."""
    if not isinstance(model, LatentModel) or model.family.link == "identity":
        return []
    response = name_response_scale(model)
    if model.replaces_intercept and model.groups:
        what = response if model.population.support != "line" else name_linear_scale(model)
        return wrap_prose(f"scale: the population's parameters are those of {what}")
    intercepts = model.groups and all(group.names == ("Intercept",) for group in model.groups)
    linear = name_linear_scale(model)
    what = "coefficients and sds are" if model.groups and model.pooling == "partial" else "coefficients are"
    where = f"{linear}; groups() gives {response}" if intercepts else f"{model.family.link} {response}"
    return wrap_prose(f"scale: {what} on that of {where}")


def _count_groups(model: Model) -> list[str]:
    """Return '18 groups of Subject', or with several factors '6 of plate' after the first."""
    return [
        f"{f'{group.n_levels:,}' if k else count_things(group.n_levels, 'group')} of {group.name}"
        for k, group in enumerate(model.groups)
    ]


def _describe_pooling(model: Model) -> str:
    return _POOLING[model.pooling] if model.design.groups else "no groups"


def _priors(posterior: Fitted) -> list[str]:
    if posterior.plug_in:
        given = [f"; {name} is given as {value:g}" for name, value in posterior.model.space.given.items()]
        return [f"priors: none (empirical Bayes){''.join(given)}"]
    width = max((len(name) for name in posterior.priors), default=0)
    moved = _stated_at_means(posterior.model)
    lines = [
        f"  {name.ljust(width)}  {prior}{' at the means of the columns' if name in moved else ''}"
        for name, prior in posterior.priors.items()
    ]
    if len(lines) > _MOST_PRIORS:
        half = _MOST_PRIORS // 2
        lines[half:-half] = [f"  ... {len(lines) - 2 * half:,} more ..."]
    return ["priors:", *(part for line in lines for part in wrap_prose(line, indent=6))]


def _stated_at_means(model: Model) -> set[str]:
    """Name the intercepts' sds whose prior goes with correlations stated at the columns' means."""
    return {
        model.space.effect_sds[block.positions[block.intercept]].name
        for block in model.space.blocks
        if block.intercept is not None and block.at == "means"
    }


def _tabulate_unknown_groups(posterior: Fitted) -> list[str]:
    """Return each factor's groups where all of the population is given: its own table then says nothing new."""
    from partialpool.results.groups import tabulate_groups

    model = posterior.model
    if model.pooling != "partial" or not all(isinstance(prior, Fixed) for prior in model.priors.values()):
        return []
    tables = [tabulate_groups(posterior, group.name) for group in model.groups]
    return [table.render(most_lines=30) for table in tables]


def _certificate(posterior: Fitted) -> list[str]:
    engine = posterior.engine
    parts = {
        "computed by": f"{engine.route}: {engine.reason}{f'; {engine.left}' if engine.left else ''}",
        "effects": engine.elimination,
        "evidence": ", ".join(f"{name} {_write(value)}" for name, value in engine.evidence.items()),
        "status": f"{engine.status} ({_STATUS[engine.status]})",
    }
    return [line for name, text in parts.items() if text for line in wrap_prose(f"{name}: {text}")]


def _write(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.3g}"

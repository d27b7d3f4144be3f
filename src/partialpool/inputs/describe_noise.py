"""Describe noise: what the response is and how it scatters, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from partialpool.inputs.columns.levels import print_number
from partialpool.inputs.columns.places import join_words
from partialpool.inputs.columns.raw_columns import FloatArray
from partialpool.inputs.roles.censoring import INTERVAL, LEFT, RIGHT
from partialpool.inputs.roles.family_data import find_family
from partialpool.inputs.roles.measurements import Measurements
from partialpool.inputs.roles.selection import RowSelection, Rule

Roles = Mapping[str, str | None]

_DECIDING: Mapping[Rule, str] = {"any": "any row decides", "all": "all rows decide", "first": "the first row decides"}


def describe_noise(measurements: Measurements, roles: Roles, given: Collection[str] = ()) -> str:
    """Return what the response is: "raw rows with unknown sigma", "successes of trials 'visits'", and what is censored.

    ``roles`` are the columns of the arguments beside the formula, as in ``Observations``; ``given`` names parameters
    whose values are.
    """
    parts = [_describe_family(measurements, roles)]
    for name in given:
        parts[0] = parts[0].replace(f"unknown {name}", f"given {name}")
    parts += [f"{role}{_quote(role, roles)}" for role in ("weights", "counts", "offset") if role in roles]
    if measurements.censoring is not None:
        for code, name in ((LEFT, "left"), (RIGHT, "right"), (INTERVAL, "interval")):
            count = int((measurements.censoring == code).sum())
            parts += [f"{name}-censored in {count} row{'' if count == 1 else 's'}"] if count else []
    if measurements.lower_limit is not None and measurements.upper_limit is not None:
        lower = _print_limit(measurements.lower_limit, roles.get("truncation_lower"))
        upper = _print_limit(measurements.upper_limit, roles.get("truncation_upper"))
        parts.append(f"rows truncated to ({lower}, {upper})")
    if measurements.selection is not None:
        parts.append(_describe_selection(measurements.selection, roles))
    return ", ".join(parts)


def describe_classes(measurements: Measurements) -> str:
    """Return "1 is 'yes', 0 is 'no'" for a 0/1 response that was given as labels, else nothing."""
    if measurements.classes is None:
        return ""
    zero, one = measurements.classes
    return f"1 is '{one}', 0 is '{zero}'"


def _describe_family(measurements: Measurements, roles: Roles) -> str:
    family = measurements.family
    if family == "bernoulli":
        classes = describe_classes(measurements)
        return f"0/1 outcomes: {classes}" if classes else "0/1 outcomes"
    if family in ("binomial", "beta_binomial"):
        more = " with unknown concentration" if family == "beta_binomial" else ""
        return f"successes of {_describe_trials(measurements.sizes, roles)}{more}"
    if find_family(family).response == "count":
        return _describe_counts(family, _describe_exposure(measurements.sizes, roles))
    if family == "exponential":
        return "exponential values"
    if family == "beta":
        return "shares between 0 and 1 with unknown precision"
    if family == "gamma":
        return "positive values with unknown shape"
    return _describe_rows(measurements, roles) + {"student_t": ", Student t noise"}.get(family, "")


def _describe_counts(family: str, exposure: str) -> str:
    unknown = ["unknown shape"] if family.endswith("negative_binomial") else []
    unknown += ["structural zeros"] if family.startswith("zero_inflated") else []
    parts = ([exposure.removeprefix(" with ")] if exposure else []) + unknown
    return f"counts with {join_words(parts)}" if parts else "counts"


def _describe_rows(measurements: Measurements, roles: Roles) -> str:
    if measurements.kind == "estimates":
        return f"estimates with known standard errors{_quote('standard_error', roles)}"
    if measurements.kind == "summaries":
        known = "(n, mean)" if measurements.mean_sizes is not None else "(n, mean, sd)"
        return f"means of raw rows {known} with unknown sigma"
    if measurements.family == "lognormal":
        return "lognormal values with unknown sigma of their logarithms"
    return "raw rows with unknown sigma"


def _describe_trials(trials: FloatArray | None, roles: Roles) -> str:
    if roles.get("trials") or trials is None or trials.min() < trials.max():
        return f"trials{_quote('trials', roles)}"
    count = print_number(float(trials[0]))
    return f"{count} trial{'' if count == '1' else 's'}"


def _describe_exposure(exposure: FloatArray | None, roles: Roles) -> str:
    if exposure is None:
        return ""
    if roles.get("exposure") or exposure.min() < exposure.max():
        return f" with exposure{_quote('exposure', roles)}"
    return f" with exposure {print_number(float(exposure[0]))}"


def _describe_selection(selection: RowSelection, roles: Roles) -> str:
    """Return "objects selected in (1.8, inf)", or by which curve, and by which of their rows."""
    lower, upper = (
        _print_limit(limits, roles.get(role))
        for role, limits in (("selection_lower", selection.lower), ("selection_upper", selection.upper))
    )
    if selection.width is None:
        said = f"objects selected in ({lower}, {upper})"
    else:
        side, limit = ("above", lower) if "selection_lower" in roles else ("below", upper)
        width = _print_limit(selection.width, roles.get("selection_width"))
        said = f"objects selected {side} {limit} by a probit curve of width {width}"
    return said if selection.rule is None else f"{said} ({_DECIDING[selection.rule]})"


def _quote(role: str, roles: Roles) -> str:
    return f" '{roles[role]}'" if roles.get(role) else ""


def _print_limit(limits: FloatArray, column: str | None) -> str:
    if limits.min() < limits.max():
        return f"'{column}'" if column else "a limit of each row"
    limit = float(limits[0])
    return print_number(limit) if np.isfinite(limit) else f"{limit:g}"

"""A fit as one JSON object, for other programs."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from partialpool.cli.tables import (
    QUANTILES,
    list_factors,
    model_of,
    name_groups_scale,
    tabulate_fit_groups,
    tabulate_summary,
)
from partialpool.errors import PriorError

if TYPE_CHECKING:
    from partialpool.posterior import Posterior
    from partialpool.results.separate import SeparatePosterior
    from partialpool.results.table import Table


def write_json(
    fit: Posterior | SeparatePosterior, *, effects: bool, written: Sequence[str], factor: str | None = None
) -> str:
    """Return the fit as JSON text: null stands for a number that does not exist or is infinite.

    Keys: formula, family, link, population (null without pooled groups), pooling, rows, factor (the first), factors,
    priors, summary, groups (of ``factor``, None: of all), scale (of the groups' numbers, by factor), engine,
    log_marginal_likelihood, files, versions; outcome, the labels that meant 0 and 1, where labels were given.
    """
    model = model_of(fit)
    summary = tabulate_summary(fit, effects=effects, quantiles=QUANTILES)
    factors = list_factors(fit)
    engine = fit.engine
    report = {
        "formula": fit.formula,
        **_describe_model(fit),
        "pooling": model.pooling,
        "rows": {
            "read": model.design.rows_read,
            "used": len(model.design.measurements.response),
            "left_out": dict(model.design.rows_dropped),
        },
        "factor": factors[0] if factors else None,
        "factors": factors,
        "priors": dict(fit.priors),
        "summary": {name: line for (name,), line in _read_lines(summary)},
        "groups": [
            line for name in factors if factor in (None, name) for line in _list_groups(fit, name, len(factors) > 1)
        ],
        "scale": {name: _name_scale(fit, name) for name in factors},
        "engine": {
            "route": engine.route,
            "reason": engine.reason,
            "elimination": engine.elimination,
            "left": engine.left,
            "evidence": {name: _plain(value) for name, value in engine.evidence.items()},
            "status": engine.status,
        },
        "log_marginal_likelihood": _log_marginal_likelihood(fit),
        "files": list(written),
        "versions": _versions(),
    }
    return json.dumps(report, ensure_ascii=False, indent=1, allow_nan=False)


def _describe_model(fit: Posterior | SeparatePosterior) -> dict[str, Any]:
    """Return family, link and population; texts that the arguments of ``fit`` take."""
    from partialpool.models.latent_model import LatentModel
    from partialpool.models.own_sigma import has_own_sigma
    from partialpool.results.scale_names import write_population

    model = model_of(fit)
    pooled = bool(model.groups) and model.pooling == "partial"
    if not isinstance(model, LatentModel):
        return {"family": "gaussian", "link": "identity", "population": "normal" if pooled else None}
    if has_own_sigma(model):
        return {"family": "gaussian", "link": "identity", "population": "normal", "sigma": "pooled by group"}
    known = {"known_noise": False} if hasattr(model.family, "known_noise") else {}
    described: dict[str, Any] = {
        "family": str(replace(model.family, link=model.family.links[0], **known)),
        "link": model.family.link,
        "population": write_population(model) if pooled else None,
    }
    if (classes := model.design.measurements.classes) is not None:
        described["outcome"] = {"0": classes[0], "1": classes[1]}
    return described


def _name_scale(fit: Posterior | SeparatePosterior, factor: str) -> str:
    """Return what the numbers of a factor's groups are: 'p (purchases / visits)', or the response itself."""
    return name_groups_scale(fit, factor) or model_of(fit).design.formula.response.replace("`", "")


def _list_groups(fit: Posterior | SeparatePosterior, factor: str, several: bool) -> list[dict[str, Any]]:
    """Return the lines of a factor's groups, which say whose they are where there are several factors."""
    table = tabulate_fit_groups(fit, factor=factor)
    named = {"factor": factor} if several else {}
    return [named | _name_group(labels) | line for labels, line in _read_lines(table)] if table else []


def _read_lines(table: Table) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    return [
        (
            tuple(_plain(level[i]) for level in table.index),
            {name: _plain(column[i]) for name, column in table.columns.items()},
        )
        for i in range(len(table))
    ]


def _name_group(labels: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(("group", "coefficient"), labels, strict=False))


def _plain(value: Any) -> Any:
    """Return a Python value that JSON has: numpy scalars unwrapped, null for what is not finite."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _log_marginal_likelihood(fit: Posterior | SeparatePosterior) -> float | None:
    try:
        return float(fit.log_marginal_likelihood)
    except PriorError:  # improper priors leave it without a meaning
        return None


def _versions() -> dict[str, str]:
    from partialpool import __version__

    versions = {"partialpool": __version__, "python": platform.python_version()}
    for package in ("numpy", "scipy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions

"""What the pictures show of each coefficient: numbers only, no drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from partialpool.inference.mixture_summary import MixtureSummary
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.effects import summarise_effects
from partialpool.results.pooling_weights import average_weights
from partialpool.results.predictors import Predictors, summarise_predictors
from partialpool.results.raw_estimates import estimate_raw
from partialpool.results.summary import summarise

if TYPE_CHECKING:
    from partialpool.results.posterior import Posterior

#: The ends of the 90 % interval and, between them, of the 50 % interval.
_QUANTILES = (0.05, 0.25, 0.75, 0.95)


@dataclass(frozen=True)
class Interval:
    """A posterior mean with the ends of its 90 % and 50 % intervals."""

    mean: float
    q5: float
    q25: float
    q75: float
    q95: float


@dataclass(frozen=True)
class Panel:
    """One coefficient of every group; arrays are (group,), ``raw`` NaN where undetermined.

    ``population`` is the coefficient the groups vary around (None: they vary around 0, or not at all),
    ``new_group`` that of a group not in the data (None: no population was fitted).
    """

    axis_label: str
    labels: list[str]
    n: IntArray
    raw: FloatArray
    raw_sd: FloatArray
    mean: FloatArray
    weight: FloatArray
    population: Interval | None
    new_group: Interval | None


def gather_panels(posterior: Posterior, factor: int) -> tuple[Panel, ...]:
    """Return one panel a coefficient that varies by the factor at this position."""
    group = posterior.model.groups[factor]
    summary = summarise_effects(posterior, factor, ("theta",), np.empty(0))
    raw, weights = estimate_raw(posterior, factor), average_weights(posterior, factor)
    lines = summarise(posterior, effects=False, quantiles=_QUANTILES)
    population = {
        name: Interval(*(float(column[i]) for key, column in lines.columns.items() if key != "sd"))
        for i, name in enumerate(lines.index[0])
    }
    new = _summarise(posterior, factor, None) if posterior.model.pooling == "partial" else None
    return tuple(
        Panel(
            axis_label=_label_axis(posterior, name),
            labels=[str(label) for label in group.labels],
            n=np.asarray(posterior.marginal.statistics.group_rows[factor], dtype=np.intp),
            raw=raw.mean[k],
            raw_sd=raw.sd[k],
            mean=summary.mean[k],
            weight=weights[k],
            population=population.get(name),
            new_group=None if new is None else Interval(float(new.mean[0, k]), *map(float, new.quantiles[0, k])),
        )
        for k, name in enumerate(group.names)
    )


def name_response(posterior: Posterior) -> str:
    """Return the response as the formula writes it, without backticks."""
    return posterior.model.design.formula.response.replace("`", "")


def _label_axis(posterior: Posterior, name: str) -> str:
    """Say what a coefficient is, in the units of the response."""
    response, design = name_response(posterior), posterior.model.design
    if name == "Intercept":
        others = [other for other in design.population.names if other != "Intercept"]
        return f"{response} (intercept)" if others else response
    numeric = name in design.column_levels and design.column_levels[name] is None
    return f"{response} per unit of {name}" if numeric else f"{response}: {name}"


def find_intervals(posterior: Posterior, factor: int, groups: IntArray) -> FloatArray:
    """Return the ends of each coefficient's 90 % and 50 % intervals (coefficient, group, 4) for some groups.

    Quantiles of many groups take far longer than their means, and few groups are shown.
    """
    quantiles = _summarise(posterior, factor, groups).quantiles[0]
    return np.asarray(quantiles.reshape(len(posterior.model.groups[factor].names), len(groups), -1))


def _summarise(posterior: Posterior, factor: int, groups: IntArray | None) -> MixtureSummary:
    """Summarise each coefficient of some groups, running within coefficients, or (None) of one not in the data."""
    model, n = posterior.model, 1 if groups is None else len(groups)
    own = len(model.groups[factor].names)
    effects = np.zeros((model.n_effects, own * n))
    effects[model.effect_slices[factor]] = np.repeat(np.eye(own), n, axis=1)
    levels: list[IntArray | None] = [None] * len(model.groups)  # other factors' effects have no part in it
    levels[factor] = None if groups is None else np.tile(groups, own)
    columns = np.repeat(posterior.theta_columns(factor), n, axis=1)
    return summarise_predictors(posterior, Predictors(columns, effects, levels), np.array(_QUANTILES))

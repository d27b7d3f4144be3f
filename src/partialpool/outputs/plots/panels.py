"""What the pictures show of each coefficient: numbers only, no drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from partialpool.inference.hyper.mixture import MixtureSummary
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.effects import summarise_effects
from partialpool.results.fitted import Fitted
from partialpool.results.notes import caution_far_zero
from partialpool.results.pooling_weights import average_weights
from partialpool.results.predictors import Predictors, summarise_predictors
from partialpool.results.raw_estimates import estimate_raw
from partialpool.results.summary import summarise

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

#: The ends of the 90 % interval and, between them, of the 50 % interval.
QUANTILES = (0.05, 0.25, 0.75, 0.95)
#: Half a 90 % interval in standard errors.
HALF_90 = 1.645


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

    ``raw_low`` and ``raw_high`` are the ends of the raw estimates' 90 % intervals. ``population`` is the coefficient
    the groups vary around (None: they vary around 0, or not at all), ``new_group`` that of a group not in the data
    (None: no population was fitted). ``size`` are trials or exposures, called ``size_name``. No value lies beyond
    ``bounds``. ``caution`` is what a reader of the axis must know, ``points`` those that an estimated population
    consists of.
    """

    axis_label: str
    labels: list[str]
    n: IntArray
    raw: FloatArray
    raw_sd: FloatArray
    raw_low: FloatArray
    raw_high: FloatArray
    mean: FloatArray
    weight: FloatArray
    population: Interval | None
    new_group: Interval | None
    size: FloatArray | None = None
    size_name: str = "n"
    bounds: tuple[float, float] = (-np.inf, np.inf)
    caution: str | None = None
    points: FloatArray | None = None

    def count(self, groups: IntArray) -> tuple[str, list[str]] | None:
        """Return a heading and some groups' trials, exposures or numbers of rows, None where each has one row."""
        if self.size is not None:
            whole = bool(np.all(self.size == np.rint(self.size)))
            return self.size_name, [f"{x:,.0f}" if whole else f"{x:,.3g}" for x in self.size[groups]]
        return ("n", [f"{n:,}" for n in self.n[groups]]) if np.any(self.n > 1) else None


def gather_panels(posterior: Fitted, factor: int) -> tuple[Panel, ...]:
    """Return one panel a coefficient that varies by the factor at this position."""
    if not posterior.leaves_in_closed_form:
        from partialpool.outputs.plots.latent_panels import gather_latent_panels

        return gather_latent_panels(posterior, factor)
    group = posterior.model.groups[factor]
    summary = summarise_effects(posterior, factor, ("theta",), np.empty(0))
    raw, weights = estimate_raw(posterior, factor), average_weights(posterior, factor)
    lines = summarise(posterior, effects=False, quantiles=QUANTILES)
    population = {
        name: Interval(*(float(column[i]) for key, column in lines.columns.items() if key != "sd"))
        for i, name in enumerate(lines.index[0])
    }
    new = _summarise(posterior, factor, None) if posterior.model.pooling == "partial" else None
    return tuple(
        Panel(
            axis_label=label_axis(posterior, name),
            labels=[str(label) for label in group.labels],
            n=np.asarray(posterior.gaussian.statistics.group_rows[factor], dtype=np.intp),
            raw=raw.mean[k],
            raw_sd=raw.sd[k],
            raw_low=raw.mean[k] - HALF_90 * raw.sd[k],
            raw_high=raw.mean[k] + HALF_90 * raw.sd[k],
            mean=summary.mean[k],
            weight=weights[k],
            caution=caution_far_zero(posterior, factor, name),
            population=population.get(name),
            new_group=None if new is None else Interval(float(new.mean[0, k]), *map(float, new.quantiles[0, k])),
        )
        for k, name in enumerate(group.names)
    )


def name_response(posterior: Fitted) -> str:
    """Return the response as the formula writes it, without backticks."""
    return posterior.model.design.formula.response.replace("`", "")


def label_axis(posterior: Fitted, name: str) -> str:
    """Say what a coefficient is, in the units of the response."""
    response, design = name_response(posterior), posterior.model.design
    if name == "Intercept":
        others = [other for other in design.population.names if other != "Intercept"]
        return f"{response} (intercept)" if others else response
    numeric = name in design.column_levels and design.column_levels[name] is None
    return f"{response} per unit of {name}" if numeric else f"{response}: {name}"


def find_intervals(posterior: Fitted, factor: int, groups: IntArray) -> FloatArray:
    """Return the ends of each coefficient's 90 % and 50 % intervals (coefficient, group, 4) for some groups.

    Quantiles of many groups take far longer than their means, and few groups are shown.
    """
    if not posterior.leaves_in_closed_form:
        from partialpool.outputs.plots.latent_panels import find_latent_intervals

        return find_latent_intervals(posterior, factor, groups)
    quantiles = _summarise(posterior, factor, groups).quantiles[0]
    return np.asarray(quantiles.reshape(len(posterior.model.groups[factor].names), len(groups), -1))


def _summarise(posterior: Fitted, factor: int, groups: IntArray | None) -> MixtureSummary:
    """Summarise each coefficient of some groups, running within coefficients, or (None) of one not in the data."""
    model, n = posterior.model, 1 if groups is None else len(groups)
    own = len(model.groups[factor].names)
    effects = np.zeros((model.n_effects, own * n))
    effects[model.effect_slices[factor]] = np.repeat(np.eye(own), n, axis=1)
    levels: list[IntArray | None] = [None] * len(model.groups)  # other factors' effects have no part in it
    levels[factor] = None if groups is None else np.tile(groups, own)
    columns = np.repeat(posterior.theta_columns(factor), n, axis=1)
    return summarise_predictors(posterior, Predictors(columns, effects, levels), np.array(QUANTILES))

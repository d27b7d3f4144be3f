"""What the pictures show of each coefficient: numbers only, no drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from partialpool.inference.group_posterior import ConditionalMoments, predictor_given_nodes
from partialpool.inference.mixture_summary import ItemMoments, MixtureSummary, summarise_mixture
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.groups import average_weights, estimate_raw
from partialpool.results.summary import summarise, summarise_effects

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


def gather_panels(posterior: Posterior) -> tuple[Panel, ...]:
    """Return one panel a coefficient. Raises ``DataError`` for a fit without groups."""
    posterior.check_factor(None)
    group = posterior.model.group
    assert group is not None  # checked just above
    summary = summarise_effects(posterior, ("theta",), np.empty(0))
    raw, weights = estimate_raw(posterior), average_weights(posterior)
    lines = summarise(posterior, effects=False, quantiles=_QUANTILES)
    population = {
        name: Interval(*(float(column[i]) for key, column in lines.columns.items() if key != "sd"))
        for i, name in enumerate(lines.index[0])
    }
    new = _summarise(posterior, None) if posterior.model.pooling == "partial" else None
    return tuple(
        Panel(
            axis_label=_label_axis(posterior, name),
            labels=[str(label) for label in group.labels],
            n=np.asarray(posterior.marginal.cross.group_rows, dtype=np.intp),
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


def find_intervals(posterior: Posterior, groups: IntArray) -> FloatArray:
    """Return the ends of each coefficient's 90 % and 50 % intervals (coefficient, group, 4) for some groups.

    Quantiles of many groups take far longer than their means, and few groups are shown.
    """
    quantiles = _summarise(posterior, groups).quantiles[0]
    return np.asarray(quantiles.reshape(posterior.theta_columns.shape[1], len(groups), -1))


def _summarise(posterior: Posterior, groups: IntArray | None) -> MixtureSummary:
    """Summarise each coefficient of some groups, running within coefficients, or (None) of one not in the data."""
    n = 1 if groups is None else len(groups)
    columns = np.repeat(posterior.theta_columns, n, axis=1)
    effects = np.repeat(np.eye(posterior.theta_columns.shape[1]), n, axis=1)
    codes = None if groups is None else np.tile(groups, effects.shape[0])

    def prepare(nodes: IntArray) -> ItemMoments:
        points = posterior.hyper.points.select(nodes)
        conditional = posterior.marginal.coefficients_given(points)

        def moments(part: slice) -> ConditionalMoments:
            return predictor_given_nodes(
                posterior.marginal,
                points,
                conditional,
                columns[:, part],
                effects[:, part],
                None if codes is None else codes[part],
                coefficients_known=posterior.plug_in,
            )

        return moments

    return summarise_mixture(posterior.hyper, prepare, 1, effects.shape[1], np.array(_QUANTILES))

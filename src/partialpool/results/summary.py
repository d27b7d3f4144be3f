"""The table of population-level parameters and, on request, of every group's effects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from partialpool.inference.gaussian.conditional import ConditionalMoments
from partialpool.inference.hyper.hyper_posterior import hyper_quantiles
from partialpool.inference.hyper.mixture import ItemMoments, summarise_mixture
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.effects import summarise_effects
from partialpool.results.infinite_moments import coefficient_spread_is_infinite
from partialpool.results.notes import note_groups
from partialpool.results.parameters import check_quantiles, effect_kinds, effect_names, quantile_columns
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

_MISSING = "-: a moment that does not exist under these priors, whose tails are too heavy for it: read the quantiles"


def summarise(posterior: Fitted, *, effects: bool, quantiles: Sequence[float]) -> Table:
    """Return mean, sd and quantiles of the coefficients, population sds, correlations and sigma, then of the effects
    of each factor."""
    probabilities = check_quantiles(quantiles)
    lines = {**_coefficient_lines(posterior, probabilities), **_hyper_lines(posterior, probabilities)}
    names = [name for name in _population_order(posterior) if name in lines]
    rows = [lines[name] for name in names]
    for factor, group in enumerate(posterior.model.groups if effects else ()):
        kinds = effect_kinds(posterior.model)
        summary = summarise_effects(posterior, factor, kinds, probabilities)
        names += [name for kind in kinds for labels in effect_names(kind, group) for name in labels]
        columns = [summary.mean[..., None], summary.sd[..., None], summary.quantiles]
        rows += list(np.concatenate(columns, axis=2).reshape(-1, 2 + len(probabilities)))
    values = np.array(rows).reshape(len(names), 2 + len(probabilities))
    heads = ["mean", "sd", *quantile_columns(quantiles)]
    missing = not posterior.plug_in and len(names) > 0 and bool(np.any(np.isnan(values[:, :2])))
    notes: tuple[str, ...] = (_MISSING,) if missing else ()
    if effects:
        notes += _note_effects(posterior)
    return Table((None,), (names,), {head: values[:, k] for k, head in enumerate(heads)}, notes)


def _note_effects(posterior: Fitted) -> tuple[str, ...]:
    """Return the notes on the groups of all factors, each once."""
    factors = range(len(posterior.model.groups))
    return tuple(dict.fromkeys(note for factor in factors for note in note_groups(posterior, factor)))


def _population_order(posterior: Fitted) -> list[str]:
    """Coefficients in the formula's order, then hyperparameters in theirs."""
    names = list(posterior.model.design.population.names)
    return names + [name for name in posterior.hyper.space.names if name not in names]


def _coefficient_lines(posterior: Fitted, probabilities: FloatArray) -> dict[str, FloatArray]:
    """Lines of the integrated coefficients, from their normal mixtures."""
    prior, names = posterior.model.coefficient_prior, posterior.model.design.population.names
    if not prior.integrated:
        return {}

    def prepare(nodes: IntArray) -> ItemMoments:
        conditional = posterior.conditional.select(nodes)
        means = conditional.coefficient_mean.T
        variances = np.einsum("iin->ni", conditional.coefficient_covariance)
        return lambda part: ConditionalMoments(means[:, part], variances[:, part])

    summary = summarise_mixture(posterior.hyper, prepare, 1, len(prior.integrated), probabilities)
    lines = {}
    for i, position in enumerate(prior.integrated):
        name = names[position]
        sd = np.nan if coefficient_spread_is_infinite(posterior, name) else summary.sd[0, i]
        lines[name] = np.array([summary.mean[0, i], sd, *summary.quantiles[0, i]])
    return lines


def _hyper_lines(posterior: Fitted, probabilities: FloatArray) -> dict[str, FloatArray]:
    """Lines of the hyperparameters; a moment that is infinite says so, a plug-in estimate has no spread."""
    hyper = posterior.hyper
    lines = {}
    for k, name in enumerate(hyper.space.names):
        mean = float(hyper.value_weights @ hyper.values[:, k])
        given = hyper.space.given.get(name)
        if given is not None:
            lines[name] = np.array([given, 0.0, *np.full(len(probabilities), given)])
            continue
        if posterior.plug_in:
            lines[name] = np.array([mean, np.nan, *np.full(len(probabilities), np.nan)])
            continue
        sd = float(np.sqrt(hyper.value_weights @ (hyper.values[:, k] - mean) ** 2))
        finite = posterior.model.moments[k]
        lines[name] = np.array(
            [
                mean if finite >= 1 else np.nan,
                sd if finite >= 2 else np.nan,
                *hyper_quantiles(hyper, k, probabilities),
            ]
        )
    return lines

"""The table of population-level parameters and, on request, of every group's effects."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from partialpool.inference.group_posterior import ConditionalMoments, effects_given_nodes
from partialpool.inference.hyper_posterior import hyper_quantiles
from partialpool.inference.mixture_summary import ItemMoments, MixtureSummary, summarise_mixture
from partialpool.models.identification import find_competing_columns
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.parameters import check_quantiles, effect_names, quantile_columns
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.results.posterior import Posterior


def summarise(posterior: Posterior, *, effects: bool, quantiles: Sequence[float]) -> Table:
    """Return mean, sd and quantiles of the coefficients, population sds, correlations and sigma, then of effects."""
    probabilities = check_quantiles(quantiles)
    lines = {**_coefficient_lines(posterior, probabilities), **_hyper_lines(posterior, probabilities)}
    names = [name for name in _population_order(posterior) if name in lines]
    rows = [lines[name] for name in names]
    if effects and (group := posterior.model.group) is not None:
        kinds = ("theta",) if posterior.model.pooling == "none" else ("u", "theta")
        summary = summarise_effects(posterior, kinds, probabilities)
        names += [name for kind in kinds for labels in effect_names(kind, group) for name in labels]
        columns = [summary.mean[..., None], summary.sd[..., None], summary.quantiles]
        rows += list(np.concatenate(columns, axis=2).reshape(-1, 2 + len(probabilities)))
    values = np.array(rows).reshape(len(names), 2 + len(probabilities))
    heads = ["mean", "sd", *quantile_columns(quantiles)]
    return Table((None,), (names,), {head: values[:, k] for k, head in enumerate(heads)})


def summarise_effects(posterior: Posterior, kinds: Sequence[str], probabilities: FloatArray) -> MixtureSummary:
    """Summarise every effect of every group, (kind * effect, group): deviations ('u') and the groups' own values
    ('theta')."""
    group = posterior.model.group
    if group is None:
        raise ValueError("a fit without groups has no effects")
    populations = [posterior.theta_columns * (1.0 if kind == "theta" else 0.0) for kind in kinds]

    def prepare(nodes: IntArray) -> ItemMoments:
        points = posterior.hyper.points.select(nodes)
        conditional = posterior.conditional.select(nodes)

        def moments(part: slice) -> ConditionalMoments:
            return effects_given_nodes(
                posterior.marginal,
                points,
                conditional,
                populations,
                part,
                coefficients_known=posterior.plug_in,
            )

        return moments

    n_kinds = len(kinds) * len(group.names)
    summary = summarise_mixture(posterior.hyper, prepare, n_kinds, group.n_levels, probabilities)
    for row, (kind, name) in enumerate(product(kinds, group.names)):
        if kind == "u" and _deviations_are_infinite(posterior, name):
            summary.sd[row] = np.inf
    return summary


def _population_order(posterior: Posterior) -> list[str]:
    """Coefficients in the formula's order, then hyperparameters in theirs."""
    names = list(posterior.model.design.population.names)
    return names + [name for name in posterior.hyper.space.names if name not in names]


def _coefficient_lines(posterior: Posterior, probabilities: FloatArray) -> dict[str, FloatArray]:
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
        sd = np.inf if _spread_is_infinite(posterior, name) else summary.sd[0, i]
        lines[name] = np.array([summary.mean[0, i], sd, *summary.quantiles[0, i]])
    return lines


def _spread_is_infinite(posterior: Posterior, name: str) -> bool:
    """Say whether a flat coefficient inherits an infinite variance, from sigma or from an sd it competes with."""
    model, priors = posterior.model, posterior.model.priors
    if posterior.plug_in or priors[name].proper:
        return False
    moments = dict(zip(model.space.names, model.moments, strict=True))
    if moments.get("sigma", 2) < 2:
        return True
    flat = [i for i, other in enumerate(model.design.population.names) if not priors[other].proper]
    place = flat.index(model.design.population.names.index(name))
    return any(bool(part[place]) for part in _competing(posterior).values())


def _competing(posterior: Posterior) -> dict[str, NDArray[np.bool_]]:
    """For each effect whose sd has no finite variance and that competes with flat coefficients: with which of them."""
    model, group, priors = posterior.model, posterior.model.group, posterior.model.priors
    if group is None or model.pooling != "partial" or posterior.plug_in or min(model.moments, default=2) >= 2:
        return {}
    names = model.design.population.names
    flat = model.design.population.values[:, [not priors[name].proper for name in names]]
    found = {}
    for k, name in enumerate(group.names):
        rank, taking_part = find_competing_columns(flat, group, k)
        if rank and model.moments[k] < 2:
            found[name] = taking_part
    return found


def _deviations_are_infinite(posterior: Posterior, name: str) -> bool:
    """Say whether the groups' deviations inherit an infinite variance from the flat coefficients they compete with."""
    return name in _competing(posterior)


def _hyper_lines(posterior: Posterior, probabilities: FloatArray) -> dict[str, FloatArray]:
    """Lines of the hyperparameters; a moment that is infinite says so, a plug-in estimate has no spread."""
    hyper = posterior.hyper
    lines = {}
    for k, name in enumerate(hyper.space.names):
        mean = float(hyper.weights @ hyper.values[:, k])
        if posterior.plug_in:
            lines[name] = np.array([mean, np.nan, *np.full(len(probabilities), np.nan)])
            continue
        sd = float(np.sqrt(hyper.weights @ (hyper.values[:, k] - mean) ** 2))
        finite = posterior.model.moments[k]
        lines[name] = np.array(
            [
                mean if finite >= 1 else np.inf,
                sd if finite >= 2 else np.inf,
                *hyper_quantiles(hyper, k, probabilities),
            ]
        )
    return lines

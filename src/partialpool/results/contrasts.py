"""Contrasts between groups of one factor, with the probability that they are positive.

Intervals of two groups that overlap are no test of their difference: the groups' errors are correlated, and the sd of a
difference is less than the sum of the sds. Given a node a contrast is normal, so its posterior is a mixture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.inference.gaussian.conditional import ConditionalMoments, contrast_given_nodes
from partialpool.inference.hyper.mixture import (
    ItemMoments,
    MixtureSummary,
    Prepare,
    choose_nodes,
    summarise_mixture,
)
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.levels import find_level, quote_label
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.runs import hold_runs
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.inputs.designs.design import GroupDesign
    from partialpool.results.posterior import Posterior

# All pairs of more groups than 45 are a table that nobody reads.
_MOST_PAIRS = 1000
# A sum of weights below this share of their sizes is 0.
_ROUNDING = 1e-12
# Nodes that carry a probability, and node-quantity products worked on at a time.
_FEWEST_NODES = 2560
_ALL_NODES = 2**20
_BLOCK = 2**17


class Contrasts(NamedTuple):
    """Weighted sums of a factor's groups: ``codes`` and ``weights`` (term, contrast)."""

    factor: int
    codes: IntArray
    weights: FloatArray


def tabulate_contrast(
    posterior: Posterior, factor: str | None, levels: Any, minus: Any, *, quantiles: Sequence[float]
) -> Table:
    """Return one contrast of the groups' own values, a line a coefficient."""
    place = posterior.check_factor(factor)
    group = posterior.model.groups[place]
    weights = _read_weights(group, levels, minus)
    codes = np.array(list(weights), dtype=np.intp)[:, None]
    contrasts = Contrasts(place, codes, np.array(list(weights.values()))[:, None])
    name = write_contrast([group.labels[code] for code in weights], list(weights.values()))
    return _tabulate(posterior, contrasts, ("contrast",), ([name],), quantiles)


def tabulate_differences(posterior: Posterior, factor: str | None, *, to: Any, quantiles: Sequence[float]) -> Table:
    """Return the differences of all pairs of groups, or of each from the group ``to``.

    Raises ``DataError`` for more than 1,000 pairs.
    """
    place = posterior.check_factor(factor)
    group = posterior.model.groups[place]
    n = group.n_levels
    if to is not None:
        reference = find_level(group, to)
        first = np.delete(np.arange(n, dtype=np.intp), reference)
        second = np.full(n - 1, reference, dtype=np.intp)
    elif n * (n - 1) // 2 > _MOST_PAIRS:
        raise DataError(
            f"differences: {n:,} groups of {group.name} have {n * (n - 1) // 2:,} pairs, more than {_MOST_PAIRS:,}: "
            "give to=, the group that each is compared with, or use contrast() for single ones"
        )
    else:
        first, second = np.array(list(combinations(range(n), 2)), dtype=np.intp).T
    weights = np.repeat([[1.0], [-1.0]], len(first), axis=1)
    keys = group.level_keys[0] if len(group.level_keys) == 1 else np.array(group.labels, dtype=object)
    contrasts = Contrasts(place, np.stack([first, second]), weights)
    return _tabulate(posterior, contrasts, (group.name, "minus"), (keys[first], keys[second]), quantiles)


def write_contrast(labels: Sequence[str], weights: Sequence[float]) -> str:
    """Return a contrast as text.

    >>> write_contrast(["A", "B", "site 3"], [1.0, -0.5, -0.5])
    "A - 0.5*B - 0.5*'site 3'"
    """
    text = ""
    for label, weight in zip(labels, weights, strict=True):
        sign = " - " if weight < 0.0 else " + "
        if not text:
            sign = "-" if weight < 0.0 else ""
        size = "" if abs(weight) == 1.0 else f"{abs(weight):.6g}*"
        text += f"{sign}{size}{quote_label(label)}"
    return text


def _read_weights(group: GroupDesign, levels: Any, minus: Any) -> dict[int, float]:
    """Return the weight of each level by its code."""
    if isinstance(levels, Mapping):
        if minus is not None:
            raise DataError("contrast: a dict of weights and a second level are given: put its weight into the dict")
        pairs = list(levels.items())
    elif minus is None:
        raise DataError(
            f"contrast: one level of {group.name} is given: give two, as in contrast('{group.name}', 'A', 'B'), or a "
            "dict of weights by level"
        )
    else:
        pairs = [(levels, 1.0), (minus, -1.0)]
    weights: dict[int, float] = {}
    for level, weight in pairs:
        code = find_level(group, level)
        if code in weights:
            raise DataError(f"contrast: '{group.labels[code]}' is given twice: give each level one weight")
        weights[code] = _read_weight(group.labels[code], weight)
    if not any(weights.values()):
        raise DataError("contrast: no level has a weight other than 0: give two levels, or a dict of weights")
    return {code: weight for code, weight in weights.items() if weight != 0.0}


def _read_weight(label: str, weight: Any) -> float:
    try:
        value = float(weight)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise DataError(f"contrast: the weight of '{label}' is {weight!r}: give a finite number")
    return value


def _tabulate(
    posterior: Posterior,
    contrasts: Contrasts,
    index_names: tuple[str, ...],
    index: tuple[Any, ...],
    quantiles: Sequence[float],
) -> Table:
    """Return the contrasts' table, lines of one contrast's coefficients next to each other."""
    summary, above = summarise_contrasts(posterior, contrasts, check_quantiles(quantiles))
    names = posterior.model.groups[contrasts.factor].names
    columns: dict[str, Any] = {"mean": summary.mean[0], "sd": summary.sd[0]}
    for k, name in enumerate(quantile_columns(quantiles)):
        columns[name] = summary.quantiles[0][:, k]
    columns["P(>0)"] = above
    if names == ("Intercept",):
        return Table(index_names, index, columns)
    repeated = tuple(np.repeat(np.asarray(level, dtype=object), len(names)) for level in index)
    n = contrasts.codes.shape[1]
    return Table((*index_names, "coefficient"), (*repeated, list(names) * n), columns)


def summarise_contrasts(
    posterior: Posterior, contrasts: Contrasts, probabilities: FloatArray
) -> tuple[MixtureSummary, FloatArray]:
    """Summarise every coefficient of every contrast, (1, coefficient within contrast), and return the probability of
    each that it is positive."""
    prepare = _prepare(posterior, contrasts)
    n_effects = len(posterior.model.groups[contrasts.factor].names)
    n = contrasts.codes.shape[1] * n_effects
    summary = summarise_mixture(posterior.hyper, prepare, 1, n, probabilities)
    subset = choose_nodes(posterior.hyper, max(_FEWEST_NODES, _ALL_NODES // n))
    moments = prepare(subset.nodes)
    above = np.empty(n)
    length = max(1, _BLOCK // len(subset.nodes))
    for start in range(0, n, length):
        part = slice(start, min(start + length, n))
        above[part] = subset.weights @ _probability_positive(moments(part))
    return summary, above


def _probability_positive(given: ConditionalMoments) -> FloatArray:
    """Return P(> 0) of normal quantities (node, quantity); one without spread is positive or not."""
    from scipy.special import ndtr

    sd = np.sqrt(given.variance)
    spread = ndtr(given.mean / np.where(sd > 0.0, sd, 1.0))
    return np.where(sd > 0.0, spread, (given.mean > 0.0).astype(float))


def _prepare(posterior: Posterior, contrasts: Contrasts) -> Prepare:
    """Return what gives the contrasts' moments at chosen nodes: coefficients run within contrasts.

    The moments at equal nodes are computed once: summary and probability mostly ask for the same.
    """
    n_effects = len(posterior.model.groups[contrasts.factor].names)
    total = contrasts.weights.sum(axis=0)
    total[np.abs(total) < _ROUNDING * np.abs(contrasts.weights).sum(axis=0)] = 0.0
    columns = posterior.theta_columns(contrasts.factor)

    def prepare(nodes: IntArray) -> ItemMoments:
        points, conditional = posterior.condition_at(nodes)

        def moments(part: slice) -> ConditionalMoments:
            contrast, effect = np.divmod(np.arange(part.start, part.stop), n_effects)
            unit = np.eye(n_effects)[:, effect]
            terms = [
                (contrasts.factor, codes[contrast], unit * weights[contrast])
                for codes, weights in zip(contrasts.codes, contrasts.weights, strict=True)
            ]
            return contrast_given_nodes(
                posterior.marginal,
                points,
                conditional,
                columns[:, effect] * total[contrast],
                terms,
                coefficients_known=posterior.plug_in,
            )

        return hold_runs(posterior, moments, len(nodes), contrasts.codes.shape[1] * n_effects)

    known: dict[bytes, ItemMoments] = {}

    def prepare_once(nodes: IntArray) -> ItemMoments:
        key = nodes.tobytes()
        if key not in known:
            known[key] = prepare(nodes)
        return known[key]

    return prepare_once

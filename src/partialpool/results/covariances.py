"""The population's sds, correlations and covariances of one factor's effects, as one tidy table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.models.latent_model import LatentModel
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray
from partialpool.results.derived import summarise_derived
from partialpool.results.infinite_moments import count_square_moments
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.inputs.designs.design import GroupDesign
    from partialpool.results.fitted import Fitted


class _Entry(NamedTuple):
    """One line: its kind ('sd', 'cor', 'cov') and the positions of two effects in their factor."""

    kind: str
    row: int
    column: int


def tabulate_covariance(posterior: Fitted, factor: str | None, *, quantiles: Sequence[float]) -> Table:
    """Return sds, then correlations, then variances and covariances of a factor's effects, as in the formula's terms.

    Effects of separate terms ((x || g)) are independent: their pairs have no lines.
    """
    place = posterior.check_factor(factor)
    model = posterior.model
    if model.pooling != "partial":
        raise DataError("covariance: without pooling groups have no population: fit with pooling='partial'")
    if isinstance(model, LatentModel) and model.replaces_intercept:
        raise DataError(
            f"covariance: a {model.population.name} population has no sds and correlations: see "
            "summary() and variances()"
        )
    probabilities = check_quantiles(quantiles)
    group, start = model.groups[place], model.effect_slices[place].start
    entries = _list_entries(group)

    def derive(points: HyperPoints) -> FloatArray:
        roots = points.effect_root[start : start + len(group.names)]
        return np.stack([_derive_entry(roots, entry) for entry in entries])

    squares, singles = count_square_moments(posterior), model.moments
    finite = []
    for entry in entries:
        counts = singles if entry.kind == "sd" else squares
        pair = (counts[start + entry.row], counts[start + entry.column])
        finite.append(2 if entry.kind == "cor" else min(pair))
    summary = summarise_derived(posterior, derive, finite, probabilities)
    columns = {"mean": summary.mean, "sd": summary.sd}
    for k, name in enumerate(quantile_columns(quantiles)):
        columns[name] = summary.quantiles[:, k]
    names = group.names
    index = zip(*((entry.kind, names[entry.row], names[entry.column]) for entry in entries), strict=True)
    return Table(("kind", "coefficient", "with"), tuple(index), columns)


def _list_entries(group: GroupDesign) -> list[_Entry]:
    """Return the entries in order: effects of one block are correlated."""
    pairs = [pair for block in group.blocks for pair in combinations_with_replacement(block, 2)]
    sds = [_Entry("sd", i, i) for i in range(len(group.names))]
    correlations = [_Entry("cor", i, j) for i, j in pairs if i != j]
    return [*sds, *correlations, *(_Entry("cov", i, j) for i, j in pairs)]


def _derive_entry(roots: FloatArray, entry: _Entry) -> FloatArray:
    """Return an entry's values (node,) from the effects' rows of the covariance root (effect, effect, node)."""
    covariance = np.sum(roots[entry.row] * roots[entry.column], axis=0)
    if entry.kind == "cov":
        return np.asarray(covariance)
    sds = [np.sqrt(np.sum(roots[i] ** 2, axis=0)) for i in (entry.row, entry.column)]
    return np.asarray(sds[0] if entry.kind == "sd" else covariance / np.maximum(sds[0] * sds[1], 1e-300))

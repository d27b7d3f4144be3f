"""Variance components and their proportions: how much of the response's spread lies between the groups of each factor.

For an intercept the component is sd(g)^2. Where slopes vary by group the effects' variance differs from row to row:
the component is z' Sigma z, z the row's columns and Sigma the effects' covariance, averaged over the (raw) rows
(Johnson 2014, Methods in Ecology and Evolution 5:944-946). Proportions are of the sum over all factors and the
residual: the intraclass correlation (Nakagawa, Johnson and Schielzeth 2017, J. Royal Society Interface 14:20170213).

With known standard errors the residual is the typical sampling variance of Higgins and Thompson (2002), Statistics
in Medicine 21:1539-1558, equation 9, and the proportions are I^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.models.model import Model
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray
from partialpool.results.derived import Derive, summarise_derived
from partialpool.results.infinite_moments import count_square_moments
from partialpool.results.latent.variances import tabulate_latent_variances
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.inputs.designs.design import GroupDesign
    from partialpool.results.fitted import Fitted

ALL, RESIDUAL, SAMPLING, TOTAL = "all", "residual", "typical sampling", "total"


class _Component(NamedTuple):
    """The average over rows of one factor's part: ``mean`` (effect,) of its columns and ``root`` (effect, direction) of
    their covariance; ``effects`` are the positions of its effects among all."""

    effects: slice
    mean: FloatArray
    root: FloatArray


class _Line(NamedTuple):
    """A line of the table: the positions of its variance and of its proportion (None: it has none) among the derived
    quantities, and how many moments of the variance are finite."""

    component: str
    coefficient: str
    variance: int
    proportion: int | None
    finite: int


def check_has_population(model: Model) -> None:
    """Raise ``DataError`` for a fit without a population that groups vary in, which has no variances to tell apart."""
    if model.pooling != "partial" or not model.groups:
        raise DataError(
            "variances: this fit has no population that groups vary in (no groups, or pooling='complete' or 'none'): "
            "fit with pooling='partial'"
        )


def tabulate_variances(posterior: Fitted, *, quantiles: Sequence[float]) -> Table:
    """Return mean, sd and quantiles of each variance component and of its proportion of the total."""
    model = posterior.model
    check_has_population(model)
    if not posterior.leaves_in_closed_form:
        return tabulate_latent_variances(posterior, quantiles=quantiles)
    probabilities = check_quantiles(quantiles)
    lines = _lay_out_lines(posterior)
    n_effects, n_main = model.n_effects, len(model.groups) + 2
    finite = np.full(2 * n_main + n_effects, 2)
    for line in lines:
        finite[line.variance] = line.finite
    summary = summarise_derived(posterior, _derive_variances(model), finite.tolist(), probabilities)
    places = [line.variance for line in lines]
    shares = np.array([-1 if line.proportion is None else line.proportion for line in lines])
    heads = quantile_columns(quantiles)
    columns = {"mean": summary.mean[places], "sd": summary.sd[places]}
    columns |= {head: summary.quantiles[places, k] for k, head in enumerate(heads)}
    parts = {"": summary.mean, "_sd": summary.sd} | {
        f"_{head}": summary.quantiles[:, k] for k, head in enumerate(heads)
    }
    columns |= {f"proportion{end}": np.where(shares >= 0, values[shares], np.nan) for end, values in parts.items()}
    return _index_lines(lines, columns)


def typical_sampling_variance(precision: FloatArray) -> float:
    """Return the sampling variance of a typical estimate, from precisions w (row,): (n - 1) sum w / ((sum w)^2 - sum
    w^2).

    Source: Higgins and Thompson (2002), Statistics in Medicine 21:1539-1558, equation 9.
    """
    relative = precision / precision.max()
    spread = relative.sum() ** 2 - np.sum(relative**2)
    return float((len(relative) - 1) * relative.sum() / spread / precision.max())


def _lay_out_lines(posterior: Fitted) -> list[_Line]:
    """Return the table's lines: each factor, its coefficients where it has slopes, the residual, the total."""
    model, moments = posterior.model, count_square_moments(posterior)
    n_main, first_share = len(model.groups) + 2, len(model.groups) + 2 + model.n_effects
    lines = []
    for k, (group, part) in enumerate(zip(model.groups, model.effect_slices, strict=True)):
        own = moments[part]
        lines.append(_Line(group.name, ALL, k, first_share + k, min(own)))
        if group.names != ("Intercept",):
            places = range(n_main + part.start, n_main + part.stop)
            lines += [
                _Line(group.name, *line) for line in zip(group.names, places, [None] * len(own), own, strict=True)
            ]
    residual = 2 if model.space.residual_sd is None else moments[model.space.names.index("sigma")]
    named = SAMPLING if model.space.residual_sd is None else RESIDUAL
    lines.append(_Line(named, "", n_main - 2, first_share + n_main - 2, residual))
    lines.append(_Line(TOTAL, "", n_main - 1, None, min(line.finite for line in lines)))
    return lines


def _derive_variances(model: Model) -> Derive:
    """Return what gives, at points, each factor's variance, the residual's and the total, each effect's own variance,
    and the proportions of the first, (quantity, node)."""
    measured = model.design.measurements
    components = [
        _average_columns(group, part, measured.counts)
        for group, part in zip(model.groups, model.effect_slices, strict=True)
    ]
    sampling = None
    if model.space.residual_sd is None and measured.precision is not None:
        sampling = typical_sampling_variance(measured.precision)

    def derive(points: HyperPoints) -> FloatArray:
        parts = [_average_variance(points, component) for component in components]
        residual = points.residual_sd**2 if sampling is None else np.full(points.n_nodes, sampling)
        main = np.stack([*parts, residual, np.sum([*parts, residual], axis=0)])
        own = np.sum(points.effect_root**2, axis=1)
        return np.concatenate([main, own, main / main[-1]])

    return derive


def _average_columns(group: GroupDesign, effects: slice, counts: FloatArray | None) -> _Component:
    """Return what the average of z' Sigma z over raw rows needs of the columns z."""
    mean = np.average(group.values, axis=0, weights=counts)
    centred = group.values - mean
    covariance = (centred if counts is None else centred * counts[:, None]).T @ centred
    covariance /= len(centred) if counts is None else counts.sum()
    sizes, directions = np.linalg.eigh(covariance)
    return _Component(effects, mean, directions * np.sqrt(np.maximum(sizes, 0.0)))


def _average_variance(points: HyperPoints, component: _Component) -> FloatArray:
    """Return the average over rows of the variance of a factor's part, (node,): a sum of squares."""
    root = points.effect_root[component.effects, component.effects]
    at_mean = np.einsum("i,ikn->kn", component.mean, root)
    about = np.einsum("id,ikn->dkn", component.root, root)
    return np.asarray(np.sum(at_mean**2, axis=0) + np.sum(about**2, axis=(0, 1)))


def _index_lines(lines: Sequence[_Line], columns: dict[str, FloatArray]) -> Table:
    """Index by component, and by coefficient where some factor has slopes."""
    components = [line.component for line in lines]
    if all(line.coefficient in (ALL, "") for line in lines):
        return Table(("component",), (components,), columns)
    return Table(("component", "coefficient"), (components, [line.coefficient for line in lines]), columns)

"""The probability that an object is selected, given the population: the chance given its parameter, integrated over it.

Where the chance is a probit curve in the parameter and the population normal, the integral is that curve again, wider.
Else it is a composite rule: the integrand's window (``windows``) is cut at its own grid, which follows population and
peak, and about each limit at the distances in which the chance rises and in which the population falls there, so that a
limit sharper than the population by any factor, or far from it, is followed; each piece takes a few Gauss-Legendre
points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.inference.quadrature.located import log_sum
from partialpool.inference.quadrature.windows import LOG_DROP, place_windows
from partialpool.inputs.roles.selection import Rule
from partialpool.models.families.base import Family, ResponseColumns
from partialpool.models.families.selection import (
    SelectionChance,
    chance_derivatives,
    find_edges,
    log_chance,
    log_miss,
)
from partialpool.models.populations.base import Population
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.reductions.grouped_rows import GroupedRows

# Grid points of the window on either side of the peak; and the distances of cuts from a limit, in units of the noise
# that the chance rises in, and of the population's slope there.
HALF = 10
_OF_RISE, _OF_FALL = np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.5, 1.5, 4.0, 9.0, 18.0, 36.0])
# Chances below which those of several rows add up.
_RARE = 1e-7
# A population sd that has underflowed is this.
_LEAST_SD = 1e-150


class Objects(NamedTuple):
    """Objects at some nodes: their deciding rows, the linear predictor without the group's part (row, node), and
    dispersions (node,) each."""

    family: Family
    rule: Rule
    rows: GroupedRows
    base: FloatArray
    dispersion: tuple[FloatArray, ...]

    def at_nodes(self, nodes: IntArray) -> Objects:
        """Return the same objects at some of the nodes."""
        return self._replace(base=self.base[:, nodes], dispersion=tuple(value[nodes] for value in self.dispersion))


class ObjectChance(NamedTuple):
    """log P(selected) of each object (class, ...), and its derivatives by each row's eta (row, ...) and by the log of
    each dispersion; ``by_log_spread`` (row, ...) by that of an added spread."""

    value: FloatArray
    by_eta: FloatArray
    by_log_dispersion: tuple[FloatArray, ...]
    by_log_spread: FloatArray


class Cut(NamedTuple):
    """The rule's points: deviations t and the log terms that the integral is the sum of, both (class, node, point)."""

    t: FloatArray
    log_terms: FloatArray

    @property
    def log_total(self) -> FloatArray:
        """The log of the integral, (class, node)."""
        return log_sum(self.log_terms)


def chance_of_objects(objects: Objects, t: FloatArray | None = None) -> FloatArray:
    """Return log P(selected) of each object given its deviation t (class, node, point), or (class, node) given none."""
    eta, response, dispersion = _predict(objects, t)
    passed = log_chance(objects.family, eta, response, dispersion)
    if objects.rule == "any":
        missed = log_miss(objects.family, eta, response, dispersion)
        return _log_any(objects.rows, passed, objects.rows.sum(_times_counts(objects.rows, missed)))
    return objects.rows.sum(_times_counts(objects.rows, passed))


def chance_of_single_rows(objects: Objects, spread: FloatArray) -> FloatArray:
    """Return log P(selected) (class, node) of objects of one row each under a normal population of sd ``spread``
    (node,)."""
    eta, response, dispersion = _predict(objects, None)
    return log_chance(objects.family, eta, response, dispersion, spread)


def derive_chance(objects: Objects, t: FloatArray | None = None, spread: FloatArray | float = 0.0) -> ObjectChance:
    """Return ``chance_of_objects``, or with a ``spread`` ``chance_of_single_rows``, with derivatives."""
    eta, response, dispersion = _predict(objects, t)
    found = chance_derivatives(objects.family, eta, response, dispersion, spread)
    rows = objects.rows
    if objects.rule == "any":
        missed = log_miss(objects.family, eta, response, dispersion)
        total = rows.sum(_times_counts(rows, missed))
        value = _log_any(rows, found.value, total)
        weight = _times_counts(rows, np.exp(rows.spread(total - value) + found.value - missed))
    else:
        value = rows.sum(_times_counts(rows, found.value))
        weight = _times_counts(rows, np.ones(found.value.shape))
    return ObjectChance(value, *_weigh(found, weight))


def _weigh(found: SelectionChance, weight: FloatArray) -> tuple[FloatArray, tuple[FloatArray, ...], FloatArray]:
    by_dispersion = tuple(weight * slope for slope in found.by_log_dispersion)
    return weight * found.by_eta, by_dispersion, weight * found.by_log_spread


def integrate_chance(objects: Objects, population: Population, shapes: tuple[FloatArray, ...], order: int) -> Cut:
    """Return the rule of ``order`` points a piece for the objects' chances over the population, whose parameters
    (node,) are ``shapes``."""
    if population.centred:
        shapes = (np.maximum(shapes[0], _LEAST_SD), *shapes[1:])
    values = tuple(value[:, None] for value in shapes)

    def integrand(t: FloatArray, nodes: IntArray) -> FloatArray:
        own = tuple(value[nodes] for value in values)
        return chance_of_objects(objects.at_nodes(nodes), t) + population.log_density(t, own)

    low, high = population.window(shapes, LOG_DROP)
    centre, width = population.location_scale(shapes)
    full = np.zeros((objects.rows.n_classes, objects.base.shape[1]))
    window = place_windows(integrand, full + centre, full + width, full + np.maximum(high - centre, centre - low), HALF)
    cuts = window.values(np.arange(-HALF, HALF + 1.0))
    cuts = _cut_at_edges(objects, cuts, population, values, width)
    points, weights = np.polynomial.legendre.leggauss(order)
    lengths = np.diff(cuts, axis=-1)
    t = cuts[..., :-1, None] + lengths[..., None] * (0.5 * (1.0 + points))
    log_weights = np.log(lengths)[..., None] + np.log(0.5 * weights)
    t = t.reshape(*full.shape, -1)
    every = np.arange(objects.base.shape[1], dtype=np.intp)
    return Cut(t, integrand(t, every) + log_weights.reshape(t.shape))


def _cut_at_edges(
    objects: Objects, cuts: FloatArray, population: Population, shapes: tuple[FloatArray, ...], width: FloatArray
) -> FloatArray:
    """Return the cuts (class, node, cut) in order with those about every limit of an object's rows among them; the
    population's body is ``width`` (node,) wide."""
    rows = objects.rows
    longest = int(rows.lengths.max())
    places = rows.starts[:, None] + np.minimum(np.arange(longest), rows.lengths[:, None] - 1)
    response = rows.response.expand(1)
    parts = [cuts]
    for place, rise in find_edges(objects.family, objects.base, response, objects.dispersion):
        slope = population.derivatives(place[..., None], shapes).by_t[..., 0]
        fall = 1.0 / np.maximum(np.abs(slope), 1.0 / width)
        away = np.concatenate([rise[..., None] * _OF_RISE, fall[..., None] * _OF_FALL], axis=-1)
        edges = place[..., None] + np.concatenate([-away, np.zeros((*place.shape, 1)), away], axis=-1)
        parts.append(np.moveaxis(edges[places], 1, 2).reshape(*cuts.shape[:2], -1))
    joined = np.concatenate(parts, axis=-1)
    return np.sort(np.where(np.isfinite(joined), joined, cuts[..., :1]), axis=-1)


def _predict(objects: Objects, t: FloatArray | None) -> tuple[FloatArray, ResponseColumns, tuple[FloatArray, ...]]:
    if t is None:
        return objects.base, objects.rows.response.expand(1), objects.dispersion
    t = np.broadcast_to(t, (objects.rows.n_classes, *t.shape[1:]))
    eta = objects.base[..., None] + objects.rows.spread(t)
    return eta, objects.rows.response.expand(2), tuple(value[:, None] for value in objects.dispersion)


def _times_counts(rows: GroupedRows, values: FloatArray) -> FloatArray:
    if rows.counts is None:
        return values
    return values * rows.counts.reshape(-1, *[1] * (values.ndim - 1))


def _log_any(rows: GroupedRows, passed: FloatArray, total: FloatArray) -> FloatArray:
    """Return log P(any row passes) (class, ...) from the rows' log chances and the log chance that all miss: where the
    chances are so small that they are lost beside one, from their sum."""
    peak = passed if rows.has_single_rows else np.maximum.reduceat(passed, rows.starts, axis=0)
    shares = _times_counts(rows, np.exp(passed - rows.spread(peak)))
    small = peak + np.log(rows.sum(shares))
    one_less = np.where(total > -0.7, np.log(-np.expm1(total)), np.log1p(-np.exp(total)))
    return np.asarray(np.where(total > -_RARE, small, one_less))

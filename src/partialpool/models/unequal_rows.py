"""Whether the rows of some groups scatter more than those of others, where one sigma stands for all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import UnequalNoiseWarning, warn_user
from partialpool.inputs.designs.design import Design, GroupDesign
from partialpool.inputs.roles.unequal_noise import print_p
from partialpool.models.propriety.identification import take_out
from partialpool.numerics.arrays import FloatArray, IntArray

# Rows of a part, whose log variances are compared, of groups with one own column; and for each further one.
_PART, _MORE = 4, 2
# The probability with which equal noise is warned of, and the ratio of sds that nine groups in ten have to span.
_FALSE_ALARM, _RATIO = 1e-4, 3.0
# The sds between which nine in ten of a normal law lie.
_NINE_IN_TEN = 3.29
# What is added to the parts' variances, as a share of their mean, so that equal rows have a log.
_FLOOR = 0.05
# Steps that responses are told apart by, of the widest group's range: irrational, so that rounded decimals lie inside.
_SHARES = 1e7 * np.sqrt(2.0)
# Groups that are named, and columns of the population beyond which nothing is compared.
_MOST_NAMED, _MOST_COLUMNS = 5, 100


class _Comparison(NamedTuple):
    """``p`` that all are equal, and the standard deviation of the groups' log sds without what chance adds."""

    p: float
    spread: float


def warn_of_unequal_rows(design: Design) -> None:
    """Warn where raw rows of a factor's groups differ in their sds: by more than chance, and nine groups in ten by more
    than a factor of 3.

    Groups of 8 rows and more are cut at random into parts of 4 (with slopes of more), and the residuals are what a
    part's own columns and the population's leave. Under one law of the rows, whatever it is, the parts' log variances
    are independent and alike, and nearly normal, so that an analysis of variance by group tells (Bartlett and Kendall
    1946, Supplement to the J. Royal Statistical Society 8:128-138; Box 1953, Biometrika 40:318-335). Of equal normal,
    t(4), exponential, lognormal and Poisson(1) rows in 2 to 100 groups of 8 to 60 rows at most .0023 of sets had p
    below .001 and at most .0006 below .0001, which is asked for. Of normal rows of sds evenly from 4 to 15 p is below
    that in 0.3 % of sets of 8 groups of 8 rows, 40 % of 8 of 20, 88 % of 20 of 20 and all of 10 of 60; the factor of 3,
    which these hardly span (3.2), leaves 57 and 87 % of the last two. A test of absolute deviations from the groups'
    medians took 14 % of equal exponential rows in 100 groups of 8 for unequal. The cut is of the rows themselves: it
    stays under another order of the rows, other labels, and another unit and origin of the response.

    With several factors nothing is compared: what varies within a group is then not noise alone.
    """
    measured = design.measurements
    if measured.kind != "rows" or measured.counts is not None or len(design.groups) != 1:
        return
    (group,) = design.groups
    others = [k for k, name in enumerate(design.population.names) if name not in group.names]
    if len(others) > _MOST_COLUMNS:
        return
    response = measured.response if measured.offset is None else measured.response - measured.offset
    root = np.ones((len(response), 1)) if measured.precision is None else np.sqrt(measured.precision)[:, None]
    population = design.population.values[:, others]
    parts = _cut(group, response, np.hstack([root, population]))
    if parts is None:
        return
    columns = (root * np.column_stack([response, population]))[parts.rows]
    variances = _measure_variances(columns, (root * group.values)[parts.rows], parts)
    found = _compare(variances, parts.group_of) if variances.any() else None
    if found is None or found.p >= _FALSE_ALARM or np.exp(_NINE_IN_TEN * found.spread) <= _RATIO:
        return
    _warn(group, parts, variances, found.p)


class _Parts(NamedTuple):
    """``rows`` (row,) that are compared, their ``codes`` (row,) of parts, and the ``group_of`` each part."""

    rows: IntArray
    codes: IntArray
    group_of: IntArray


def _cut(group: GroupDesign, response: FloatArray, beside: FloatArray) -> _Parts | None:
    """Cut each group's rows at random into parts of one size, what is left over aside; None where fewer than two
    groups have two parts. Of rows of one ``response`` (row,) the columns ``beside`` (row, column) tell which is which.
    """
    length = _PART + _MORE * (len(group.names) - 1)
    sizes = np.bincount(group.codes, minlength=group.n_levels)
    n_parts = np.where(sizes >= 2 * length, sizes // length, 0)
    if np.count_nonzero(n_parts) < 2:
        return None
    order, place = _shuffle(group, response, beside, sizes)
    rows = order[place < length * n_parts[group.codes[order]]]
    group_of = np.repeat(np.arange(group.n_levels), n_parts)
    return _Parts(rows, np.repeat(np.arange(len(group_of)), length), group_of)


def _shuffle(
    group: GroupDesign, response: FloatArray, beside: FloatArray, sizes: IntArray
) -> tuple[IntArray, IntArray]:
    """Return the rows (row,), group by group, in a random order that is theirs however they come, and their places in
    their groups.

    What is random are the bits of the responses above the group's lowest, as shares of the widest group's range: they
    stay as they are under another order of the rows, other labels, another unit and origin. Rows sorted and shuffled by
    one seed would give every set's parts the same ranks, whose variances are not independent.
    """
    order = _by_group(np.argsort(response), group)
    again = (np.diff(response[order]) == 0.0) & (np.diff(group.codes[order]) == 0)
    if again.any():
        order = np.lexsort((*group.values.T, *beside.T, response, group.codes))
    own, first = group.codes[order], np.cumsum(sizes) - sizes
    place = np.arange(len(order)) - first[own]
    above = response[order] - response[order][first[own]]
    shares = (above * (_SHARES / max(float(above.max()), 1e-300))).astype(np.uint64)
    bits = _scramble(shares + _scramble(place.astype(np.uint64)))
    seeds = np.repeat(_tell_apart(np.add.reduceat(bits, first[sizes > 0])), sizes[sizes > 0])
    keys = _scramble(seeds + _scramble(place.astype(np.uint64)))
    return _by_group(order[np.argsort(keys)], group), place


def _tell_apart(seeds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return seeds (group,) that differ between groups of the very same responses, and from one data set to another:
    shuffled alike, such groups of counts took 14 % of sets for unequal at p = .1."""
    order = np.argsort(seeds, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(seeds[order]) != 0))
    n_before = np.empty(len(seeds), dtype=np.uint64)
    n_before[order] = np.arange(len(seeds)) - np.repeat(starts, np.diff(np.append(starts, len(seeds))))
    return _scramble(seeds + _scramble(n_before) + np.sum(seeds))


def _by_group(order: IntArray, group: GroupDesign) -> IntArray:
    """Return an order of the rows (row,) group by group: small integers sort in a tenth of the time."""
    narrow = np.uint16 if group.n_levels <= 2**16 else np.intp
    return order[np.argsort(group.codes[order].astype(narrow), kind="stable")]


def _scramble(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return bits (row,) that look random: the finaliser of Steele, Lea and Flood (2014), Fast splittable pseudorandom
    number generators, OOPSLA, figure 16."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _measure_variances(columns: FloatArray, effects: FloatArray, parts: _Parts) -> FloatArray:
    """Return the variances (part,) of what a part's own ``effects`` (row, effect), and the others among ``columns``
    (row, column), leave of the first."""
    n_parts, basis = len(parts.group_of), list[FloatArray]()
    for effect in effects.T:
        own = effect[:, None]
        for other in basis:
            own = take_out(own, other, parts.codes, n_parts)
        columns = take_out(columns, own[:, 0], parts.codes, n_parts)
        basis.append(own[:, 0])
    residuals, others = columns[:, 0], columns[:, 1:]
    if others.shape[1]:
        residuals = residuals - others @ np.linalg.lstsq(others, residuals, rcond=1e-10)[0]
    freedom = len(parts.codes) // n_parts - effects.shape[1]
    return np.asarray(np.bincount(parts.codes, weights=residuals**2, minlength=n_parts) / freedom)


def _compare(variances: FloatArray, group_of: IntArray) -> _Comparison | None:
    """Analyse the log variances (part,) by group; None where those within groups are all equal."""
    from scipy.special import fdtrc

    logs = np.log(variances + _FLOOR * variances.mean())
    _, own, n_parts = np.unique(group_of, return_inverse=True, return_counts=True)
    means = np.bincount(own, weights=logs) / n_parts
    freedom = len(n_parts) - 1.0, float(len(logs) - len(n_parts))
    between = float(n_parts @ (means - logs.mean()) ** 2) / freedom[0]
    within = float(np.sum((logs - means[own]) ** 2)) / freedom[1]
    if within == 0.0:
        return None
    size = (len(logs) - float(n_parts @ n_parts) / len(logs)) / freedom[0]
    spread = 0.5 * float(np.sqrt(max(between - within, 0.0) / size))  # of log sds, half the log variances
    return _Comparison(float(fdtrc(*freedom, between / within)), spread)


def _remedy(group: GroupDesign) -> str:
    """Return what can be done: an intercept alone may stand beside sigmas of the groups' own."""
    others = (
        "a response whose scatter is alike, such as its log, or the groups' means with standard_error= (sd / sqrt(n))"
    )
    if group.names == ("Intercept",):
        return f"Write sigma='pooled by group', which learns a sigma of each, or give {others}"
    return f"Give {others}"


def _warn(group: GroupDesign, parts: _Parts, variances: FloatArray, p: float) -> None:
    found, own, n_parts = np.unique(parts.group_of, return_inverse=True, return_counts=True)
    sds = np.sqrt(np.bincount(own, weights=variances) / n_parts)
    middle = float(np.median(sds))
    away = np.abs(np.log(np.maximum(sds, 1e-300) / middle)) * np.sqrt(n_parts)
    furthest = np.argsort(-away, kind="stable")[:_MOST_NAMED]
    named = ", ".join(f"{sds[k]:.3g} in {group.name} '{group.labels[int(found[k])]}'" for k in furthest)
    warn_user(
        f"sigma: one sigma stands for groups whose rows differ in their sds by more than chance (log variances of "
        f"parts of a group, {print_p(p)}); furthest from their median {middle:.3g}: {named}. The answer changes: "
        "groups of larger sd count for too much and have intervals too narrow, those of smaller sd the other way. "
        + _remedy(group),
        UnequalNoiseWarning,
    )

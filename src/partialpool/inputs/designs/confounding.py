"""Confounding: grouping factors that stand in for the noise, for one another or for the population part, whatever the
priors; found before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, combinations_with_replacement, permutations, product
from typing import TYPE_CHECKING

import numpy as np

from partialpool.errors import IdentificationError
from partialpool.inputs.columns.levels import lies_within, number_values
from partialpool.inputs.columns.places import join_words
from partialpool.inputs.columns.raw_columns import FloatArray, IntArray
from partialpool.inputs.roles.measurements import Measurements

if TYPE_CHECKING:
    from partialpool.inputs.designs.design import GroupDesign, PopulationDesign

# What is left of a column, as a share of its squares, below which others explain it.
_NOTHING_LEFT = 1e-10
# What some rows can tell apart all rows can: a million are read only where these do not suffice.
_SOME_ROWS = 4_000


def check_several_levels(group: GroupDesign) -> None:
    """Raise ``IdentificationError`` for a factor with one level, from which no sd can be estimated without a prior."""
    if group.n_levels == 1:
        raise IdentificationError(
            f"grouping column '{group.name}' has one group ('{group.labels[0]}'): {join_words(group.sd_names)} cannot "
            "be estimated from one group; give more groups, or fit with priors (method='auto')"
        )


def check_levels(group: GroupDesign, measurements: Measurements, scattered: bool) -> None:
    """Raise ``IdentificationError``, where each row is a level of its own, for effects that can give every row the
    variance that an unknown sigma gives it, or that a single trial has: rows are then ``scattered`` by either."""
    if group.n_levels < len(group.codes) or not scattered:
        return
    effects = _imitate_noise(group, measurements.precision)
    if effects:
        _refuse_imitation(group, [group.sd_names[k] for k in effects], measurements)


def list_unknown(group: GroupDesign) -> list[str]:
    """Return the names of the effects in a factor's blocks."""
    return [group.names[k] for block in group.blocks for k in block]


def _refuse_imitation(group: GroupDesign, sds: Sequence[str], measurements: Measurements) -> None:
    if measurements.has_single_trials:
        remedy = (
            "drop the term, or group rows that share a level; successes of several trials (family='binomial' with "
            "trials=) do tell"
        )
        unlike = f"{join_words(sds)} cannot be told from the chance of a single trial"
    else:
        known, means = measurements.family in ("gaussian", "student_t"), measurements.family == "gaussian"
        remedies = ["give standard_error= if the noise is known"] if known else []
        remedies += ["size= and sd= if the rows are means"] if means else []
        remedy = ", ".join([*remedies, "or drop the term" if remedies else "drop the term"])
        unlike = f"sigma and {join_words(sds)} cannot be told apart"
    raise IdentificationError(f"grouping column '{group.name}' is different in every row: {unlike}; {remedy}")


def check_factors_differ(groups: Sequence[GroupDesign]) -> None:
    """Raise ``IdentificationError`` for two factors whose effects give the rows the same covariance: both divide the
    rows alike and share a direction of their columns, or one has an effect of its own for each level of the other."""
    for first, second in combinations(groups, 2):
        if first.n_levels == second.n_levels and lies_within(first.codes, second.codes, first.n_levels):
            _check_columns_differ(first, second)
    for group, other in permutations(groups, 2):
        if "Intercept" not in list_unknown(other) or other.n_levels <= group.n_levels:
            continue
        for effects, codes, n_levels in _find_finer_divisions(group):
            if other.n_levels == n_levels and lies_within(codes, other.codes, n_levels):
                _refuse_finer(group, effects, other)


def check_not_in_population(group: GroupDesign, population: PopulationDesign) -> None:
    """Raise ``IdentificationError`` where the population's columns already give every level its own coefficient."""
    n_columns = population.values.shape[1]
    alone = [(k,) for block in group.blocks for k in block]
    for block in dict.fromkeys([*alone, *group.blocks]):
        if any(np.count_nonzero(group.find_levels_with(k)) > n_columns for k in block):
            continue
        some = np.random.default_rng(0).integers(0, len(group.codes), max(_SOME_ROWS, 8 * n_columns))
        enough = 2 * len(some) < len(group.codes)
        if enough and _find_spanned(group, block, population.values, some) is None:
            continue
        spanned = _find_spanned(group, block, population.values, slice(None))
        if spanned is not None:
            effects, columns = spanned
            _refuse_spanned(group, effects, [population.names[k] for k in columns])


def _imitate_noise(group: GroupDesign, precision: FloatArray | None) -> Sequence[int]:
    """Return the effects of which products add up to 1 / precision in every row; none where they cannot."""
    if "Intercept" in list_unknown(group) and (precision is None or precision.min() == precision.max()):
        return [group.names.index("Intercept")]
    pairs = [pair for block in group.blocks for pair in combinations_with_replacement(block, 2)]
    rows = np.random.default_rng(0).integers(0, len(group.codes), _SOME_ROWS)
    taking_part: set[int] = set()
    if not pairs:
        return []
    for chosen in (rows, slice(None)):
        values = group.values[chosen]
        target = np.ones(len(values)) if precision is None else 1.0 / precision[chosen]
        products = np.stack([values[:, i] * values[:, k] for i, k in pairs], axis=1)
        products /= np.maximum(np.linalg.norm(products, axis=0), 1e-300)
        weights = np.linalg.lstsq(products, target, rcond=None)[0]
        if np.linalg.norm(products @ weights - target) ** 2 > _NOTHING_LEFT * (target @ target):
            return []
        large = np.abs(weights) > 1e-6 * np.abs(weights).max()
        taking_part = {k for pair, on in zip(pairs, large, strict=True) if on for k in pair}
    return sorted(taking_part)


def _check_columns_differ(first: GroupDesign, second: GroupDesign) -> None:
    for left, right in product(first.blocks, second.blocks):
        if not _share_direction(first, left, second, right):
            continue
        common = {first.names[k] for k in left} & {second.names[k] for k in right}
        sds = [
            group.sd_names[k]
            for group, block in ((first, left), (second, right))
            for k in block
            if group.names[k] in common or not common
        ]
        nested = [name for name in second.columns if name not in first.columns]
        within = set(first.columns) < set(second.columns)
        because = f" ({':'.join(nested)} has one level in each {first.name})" if within else ""
        only = set(first.names) | set(second.names) == {"Intercept"}
        remedy = f"drop one of them{'' if only else f', and let all that varies over both vary over {first.name}'}"
        raise IdentificationError(
            f"grouping factors '{first.name}' and '{second.name}' divide the rows alike{because}: {join_words(sds)} "
            f"cannot be told apart; {remedy}"
        )


def _share_direction(first: GroupDesign, left: Sequence[int], second: GroupDesign, right: Sequence[int]) -> bool:
    """Say whether some combination of one block's columns is one of the other's."""
    if {first.names[k] for k in left} & {second.names[k] for k in right}:
        return True
    rows = np.random.default_rng(0).integers(0, len(first.codes), _SOME_ROWS)
    for chosen in (rows, slice(None)):
        columns = np.hstack([first.values[chosen][:, list(left)], second.values[chosen][:, list(right)]])
        columns /= np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
        if np.linalg.svd(np.linalg.qr(columns, mode="r"), compute_uv=False)[-1] ** 2 > _NOTHING_LEFT:
            return False
    return True


def _find_finer_divisions(group: GroupDesign) -> Iterator[tuple[list[int], IntArray, int]]:
    """Yield effects that give each level and pattern of their columns a deviation of its own, such as those of
    (f | g) and (0 + f || g) with f labels; with the codes (row,) of these divisions and how many there are."""
    single = [block[0] for block in group.blocks if len(block) == 1]
    several = [list(block) for block in group.blocks if len(block) > 1]
    if len(single) > 1 and np.isin(group.values[:, single], (0.0, 1.0)).all():
        several.append(single)
    for effects in several:
        patterns = _number_patterns(group.values[:, effects])
        # independent columns that add up to 1, each 0 or 1: indicators of the patterns
        if patterns is not None and (effects is not single or (group.values[:, single].sum(axis=1) == 1.0).all()):
            found, codes = number_values(group.codes * len(effects) + patterns, group.n_levels * len(effects))
            yield effects, codes, len(found)


def _number_patterns(values: FloatArray) -> IntArray | None:
    """Return which pattern each row of ``values`` (row, column) has, None where there are more than columns."""
    if len(values) > 2 * _SOME_ROWS and _number_patterns(values[:_SOME_ROWS]) is None:
        return None
    codes = np.full(len(values), -1, dtype=np.intp)
    for pattern in range(values.shape[1]):
        rest = np.flatnonzero(codes < 0)
        if not len(rest):
            break
        codes[rest[(values[rest] == values[rest[0]]).all(axis=1)]] = pattern
    return codes if (codes >= 0).all() else None


def _refuse_finer(group: GroupDesign, effects: Sequence[int], other: GroupDesign) -> None:
    sds = [*(group.sd_names[k] for k in effects), other.sd_names[other.names.index("Intercept")]]
    raise IdentificationError(
        f"the effects of {join_words([group.names[k] for k in effects])} over '{group.name}' give every level of "
        f"'{other.name}' a deviation of its own, as its intercept does: {join_words(sds)} cannot be told apart; drop "
        f"one of the two terms"
    )


def _find_spanned(
    group: GroupDesign, block: Sequence[int], population: FloatArray, rows: IntArray | slice
) -> tuple[list[int], list[int]] | None:
    """Return the effects of which a combination, in every level on its own, is a combination of the population's
    columns, and these columns' places; None where there is none.

    With u_j a combination's values in level j and 0 elsewhere, and H the projection on the population's columns, the
    sum of |(I - H) u_j|^2 over the levels (each divided by the level's own size, so that small levels count) is then
    0; the least of all combinations is an eigenvalue.
    """
    codes, columns = group.codes[rows], population[rows]
    scale = np.linalg.norm(columns, axis=0)
    directions, triangle = np.linalg.qr(columns / np.where(scale > 0.0, scale, 1.0))
    own, shape = np.linalg.qr(group.values[rows][:, list(block)])
    q, n = own.shape[1], group.n_levels

    def by_level(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(codes, weights=values, minlength=n), dtype=np.float64)

    within = np.array([[by_level(own[:, i] * own[:, k]) for k in range(q)] for i in range(q)])
    explained = np.array([[by_level(own[:, i] * column) for column in directions.T] for i in range(q)])
    size = np.einsum("iij->j", within)
    per_size = np.divide(1.0, size, out=np.zeros(n), where=size > 0.0)
    total = np.einsum("ikj,j->ik", within, per_size)
    left = total - np.einsum("icj,kcj,j->ik", explained, explained, per_size)
    root = np.linalg.cholesky(total + 1e-14 * np.trace(total) * np.eye(q))
    whitened = np.linalg.solve(root, np.linalg.solve(root, left).T)
    values, vectors = np.linalg.eigh(0.5 * (whitened + whitened.T))
    if values[0] > _NOTHING_LEFT:
        return None
    combination = np.linalg.solve(root.T, vectors[:, 0])
    weights = np.linalg.lstsq(shape, combination, rcond=None)[0] * np.linalg.norm(shape, axis=0)
    effects = [k for k, weight in zip(block, weights, strict=True) if abs(weight) > 1e-6 * np.abs(weights).max()]
    parts = np.linalg.lstsq(triangle, np.einsum("icj,i,j->cj", explained, combination, np.sqrt(per_size)), rcond=None)[
        0
    ]
    large = np.abs(parts).max(axis=1)
    return effects, np.flatnonzero(large > 1e-6 * large.max()).tolist()


def _refuse_spanned(group: GroupDesign, effects: Sequence[int], columns: Sequence[str]) -> None:
    names = [group.names[k] for k in effects]
    own = "an intercept" if names == ["Intercept"] else f"a coefficient of {join_words(names)}"
    one = len(columns) == 1
    raise IdentificationError(
        f"the population part's column{'' if one else 's'} {join_words(columns)} already give{'s' if one else ''} "
        f"every level of '{group.name}' {own} of its own: nothing is left from which "
        f"{join_words([group.sd_names[k] for k in effects])} could be learned; drop {'it' if one else 'them'} from the "
        "population part, or drop the group term"
    )

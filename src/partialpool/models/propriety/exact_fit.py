"""Whether the columns of the population and of several factors' levels fit the response exactly."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain, combinations

import numpy as np

from partialpool.inputs.columns.levels import number_values
from partialpool.inputs.designs.design import Design, GroupDesign
from partialpool.models.propriety.identification import take_out
from partialpool.numerics.arrays import FloatArray, IntArray

# A residual is nothing below this share of the response's spread, or this share of its size, which is rounding.
_NOTHING_LEFT, _ROUNDING = 1e-10, 1e-14
# A gradient below this share of the residual: an exact fit would still show a larger one.
_NO_GRADIENT = 1e-3
_MOST_STEPS = 500
# Rows that are looked at first: what they do not fit exactly all rows do not.
_SOME_ROWS = 20_000
# Rows up to which a rank is computed, and sds of which all subsets are tried.
_MOST_RANKED, _MOST_SUBSETS = 2_000, 8


def find_unbounded_fit(
    design: Design, groups: Sequence[GroupDesign], sigma_exponent: float, sd_exponents: Mapping[str, float]
) -> Collection[str] | None:
    """Return the sds of the effects that fit the response exactly with infinite mass as sigma falls to 0; None where
    there are none.

    Of n rows whose columns have rank r and fit the response exactly, n - r are left without a residual: there the
    marginal density of the response grows like sigma^-(n - r). With a prior density like sigma^a at zero its integral
    is finite where n - r < a + 1: where the columns fit every response (n = r) it is not even unbounded.
    Some sds may fall to 0 together with sigma where the other effects alone still fit exactly; each adds its own
    exponent and one. ``sd_exponents`` are those by name, of population sds that have priors.
    """
    if not _spans_response(design, groups):
        return None
    measurements = design.measurements
    n_rows = len(measurements.response) if measurements.counts is None else int(measurements.counts.sum())
    names = tuple(name for group in groups for name in group.sd_names)
    free = [name for name in names if name in sd_exponents]
    sizes = range(len(free) + 1) if len(free) <= _MOST_SUBSETS else range(2)
    for dropped in chain.from_iterable(combinations(free, size) for size in sizes):
        kept = [name for name in names if name not in dropped]
        columns = _Columns(design, groups, slice(None), kept)
        if dropped and not columns.span(_response(design)):
            continue
        room = sigma_exponent + 1.0 + sum(sd_exponents[name] + 1.0 for name in dropped)
        if n_rows - columns.rank() >= room:
            return kept
    return None


def _spans_response(design: Design, groups: Sequence[GroupDesign]) -> bool:
    """Say whether some coefficients and effects fit the response in every row.

    Conjugate gradients; of many rows those of the largest factor's first levels are looked at before the others.
    """
    measurements = design.measurements
    if measurements.within_squares is not None and measurements.within_squares.any():
        return False
    response = _response(design)
    if groups and len(response) > 2 * _SOME_ROWS:
        leading = max(groups, key=lambda group: group.n_levels)
        ends = np.cumsum(np.bincount(leading.codes))
        some = np.flatnonzero(leading.codes <= np.searchsorted(ends, _SOME_ROWS))[: 2 * _SOME_ROWS]
        if not _Columns(design, groups, some).span(response[some]):
            return False
    return _Columns(design, groups, slice(None)).span(response)


def _response(design: Design) -> FloatArray:
    offset = design.measurements.offset
    return design.measurements.response if offset is None else design.measurements.response - offset


class _Columns:
    """The columns of some rows: those of the population orthonormal, and those of each factor's levels, of the effects
    whose sds are ``kept`` where that is said."""

    def __init__(
        self,
        design: Design,
        groups: Sequence[GroupDesign],
        rows: IntArray | slice,
        kept: Collection[str] | None = None,
    ) -> None:
        population = design.population.values[rows]
        sizes = np.linalg.norm(population, axis=0)
        self._population = np.linalg.qr(population / np.where(sizes > 0.0, sizes, 1.0))[0]
        self._effects: list[tuple[FloatArray, IntArray, int]] = []
        for group in groups:
            found, codes = number_values(group.codes[rows], group.n_levels)
            basis: list[FloatArray] = []
            for k in range(len(group.names)):
                if kept is not None and group.sd_names[k] not in kept:
                    continue
                column = group.values[rows, k]
                size = np.bincount(codes, weights=column**2)
                for other in basis:
                    column = take_out(column[:, None], other, codes, len(found))[:, 0]
                left = np.bincount(codes, weights=column**2)
                lost = left <= _NOTHING_LEFT**2 * size
                basis.append(column * np.where(lost, 0.0, 1.0 / np.sqrt(np.where(lost, 1.0, left)))[codes])
            self._effects += [(column, codes, len(found)) for column in basis]

    def span(self, response: FloatArray) -> bool:
        """Say whether the response (row,) is a combination of the columns.

        Source: Hestenes and Stiefel (1952), J. Research of the National Bureau of Standards 49:409-436, section 10.
        """
        left = response - self._population @ (self._population.T @ response)
        nothing = max(_NOTHING_LEFT * _norm(left), _ROUNDING * _norm(response))
        gradient = self._project(left)
        direction, size = gradient, _norm(gradient) ** 2
        for _ in range(_MOST_STEPS):
            if _norm(left) <= nothing:
                return True
            if np.sqrt(size) <= _NO_GRADIENT * _norm(left):
                return False
            image = self._combine(direction)
            left = left - (size / _norm(image) ** 2) * image
            gradient = self._project(left)
            before, size = size, _norm(gradient) ** 2
            direction = gradient + (size / before) * direction
        return False

    def span_noise(self) -> bool:
        """Say whether the columns fit a response without pattern, and so any."""
        return self.span(np.random.default_rng(0).normal(size=len(self._population)))

    def rank(self) -> int:
        """Return how many of the columns are independent; of many rows as many as they are, or else no more than 0."""
        n_rows, n_effects = len(self._population), sum(n_levels for _, _, n_levels in self._effects)
        if n_rows > _MOST_RANKED:
            return n_rows if self.span_noise() else 0
        written = np.zeros((n_rows, n_effects))
        start = 0
        for column, codes, n_levels in self._effects:
            written[np.arange(n_rows), start + codes] = column
            start += n_levels
        return int(np.linalg.matrix_rank(np.hstack([self._population, written]), tol=1e-9))

    def _combine(self, weights: FloatArray) -> FloatArray:
        start = self._population.shape[1]
        total = self._population @ weights[:start]
        for column, codes, n_levels in self._effects:
            total += column * weights[start : start + n_levels][codes]
            start += n_levels
        return total

    def _project(self, values: FloatArray) -> FloatArray:
        parts = [np.bincount(codes, weights=column * values) for column, codes, _ in self._effects]
        return np.concatenate([self._population.T @ values, *parts])


def _norm(values: FloatArray) -> float:
    return float(np.sqrt(values @ values))

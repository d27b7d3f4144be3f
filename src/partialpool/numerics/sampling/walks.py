"""Walks that leave a density as it is: points, moved, go wherever it goes, also where they did not start."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.numerics.arrays import BatchLogDensity, FloatArray

# Every so many steps a walker goes a whole difference of two others: from one region to another in one leap.
_LEAPS = 5
# A jitter, relative to the difference, that takes walkers off the planes that their start spans.
_JITTER = 1e-3


class Walk(NamedTuple):
    """Where walkers stood at the end (walker, dimension), their log density, every position of the last half of the
    steps that was kept (place, dimension), and the evaluations made."""

    ends: FloatArray
    log_density: FloatArray
    places: FloatArray
    n_evaluations: int


def walk(log_density: BatchLogDensity, starts: FloatArray, n_steps: int, seed: int) -> Walk:
    """Move an even number of walkers from ``starts`` (walker, dimension) along differences of one another.

    Starts that are draws from the density end as draws from it. Others go towards it: where a proposal missed a part,
    walkers find that part if any path leads there.

    Source: ter Braak (2006), Statistics and Computing 16:239-249 (differential evolution).
    """
    rng = np.random.default_rng(seed)
    places, values = starts.copy(), _finite(log_density(starts))
    n_walkers, dimension = starts.shape
    half, usual = n_walkers // 2, 2.38 / np.sqrt(2.0 * dimension)
    kept = []
    for step in range(n_steps):
        halves = rng.permutation(n_walkers).reshape(2, half)
        for moving, staying in (halves, halves[::-1]):
            scale = 1.0 if step % _LEAPS == _LEAPS - 1 else usual * rng.uniform(0.4, 1.2, (half, 1))
            # pairs drawn anew for every walker: one roll for all of them left a normal 7 % too wide
            first, second = staying[rng.integers(half, size=(2, half))]
            differences = places[first] - places[second]
            proposed = places[moving] + scale * differences * (1.0 + _JITTER * rng.standard_normal((half, dimension)))
            new = _finite(log_density(proposed))
            goes = np.log(rng.random(half)) < new - values[moving]
            places[moving[goes]], values[moving[goes]] = proposed[goes], new[goes]
        if 2 * step >= n_steps and (n_steps - 1 - step) % 4 == 0:
            kept.append(places.copy())
    return Walk(places, values, np.concatenate(kept), n_walkers * (n_steps + 1))


def _finite(values: FloatArray) -> FloatArray:
    """Far out rounding may leave anything where a density is nothing."""
    return np.where(np.isfinite(values), values, -np.inf)

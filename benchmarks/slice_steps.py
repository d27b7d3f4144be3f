"""One slice step of many chains at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_MOST_STEPS = 50


def slice_step(
    log_density: Callable[[FloatArray], FloatArray], at: FloatArray, width: float, rng: np.random.Generator
) -> FloatArray:
    """Move each chain along one coordinate (chain,), the interval stepped out and shrunk.

    Source: Neal (2003), Annals of Statistics 31:705-767, figures 3 and 5.
    """

    def density(values: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            logs = log_density(values)
        return np.where(np.isfinite(logs), logs, -np.inf)

    level = density(at) - rng.exponential(size=len(at))
    lower = at - width * rng.random(len(at))
    upper = lower + width
    for end, step in ((lower, -width), (upper, width)):
        for _ in range(_MOST_STEPS):
            inside = density(end) > level
            if not inside.any():
                break
            end[inside] += step
    moved, left = at.copy(), np.ones(len(at), dtype=bool)
    while left.any():
        proposed = np.where(left, lower + (upper - lower) * rng.random(len(at)), moved)
        found = left & (density(proposed) >= level)
        moved[found] = proposed[found]
        left &= ~found
        below = proposed < at
        lower = np.where(left & below, proposed, lower)
        upper = np.where(left & ~below, proposed, upper)
        left &= upper - lower > 1e-12
    return moved

"""How far the body of a log-concave density reaches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from partialpool.numerics.arrays import FloatArray

_MOST_DOUBLINGS = 2000
_BISECTIONS = 5


def find_reach(fall: Callable[[FloatArray], FloatArray], start: FloatArray, log_drop: float) -> FloatArray:
    """Return distances, at most 2.2 percent too long, at which ``fall`` has come to ``log_drop``.

    ``fall`` (positive distances to log density at the centre less that at the distance) is convex; ``start`` are
    positive guesses. Beyond such a distance w a log-concave density f holds at most exp(-D) / (1 - exp(-D)), D the
    drop: inside it is at least f(centre) exp(-D e / w), so that f(centre) w / D < 1 / (1 - exp(-D)), and outside it
    falls at least at the rate D / w.
    """
    outer = np.array(start, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        outer = _scale_while(lambda reach: fall(reach) < log_drop, outer, 2.0)
        outer = _scale_while(lambda reach: fall(0.5 * reach) >= log_drop, outer, 0.5)
        inner = 0.5 * outer
        for _ in range(_BISECTIONS):
            middle = np.sqrt(inner) * np.sqrt(outer)
            beyond = fall(middle) >= log_drop
            inner, outer = np.where(beyond, inner, middle), np.where(beyond, middle, outer)
    return outer


def _scale_while(wanted: Callable[[FloatArray], NDArray[np.bool_]], reach: FloatArray, factor: float) -> FloatArray:
    for _ in range(_MOST_DOUBLINGS):
        still = wanted(reach) & np.isfinite(reach) & (reach > 0.0)
        if not still.any():
            break
        reach = np.where(still, factor * reach, reach)
    return reach

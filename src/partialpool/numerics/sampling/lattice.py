"""Quasi-random points: a rank-1 lattice, good in every dimension up to 41 and nested in its powers of two."""

from __future__ import annotations

from functools import cache

import numpy as np

from partialpool.numerics.arrays import FloatArray

# Generating vector of an embedded lattice in base 2, by the component-by-component construction of Cools, Kuo and
# Nuyens (2006), SIAM J. Sci. Comput. 28:2162-2188, section 4, for 2**8 to 2**17 points and product weights
# 1 / (1 + j / 2): ``tools/find_lattice.py``. Their own for order-2 weights looks at pairs of coordinates alone: in
# three its error did not fall from 8,192 to 65,536 points, and a 95 % quantile stayed 0.05 sds off.
_GENERATOR = (
    1, 510395, 237411, 964505, 143557, 181431, 203581, 699141, 421611, 615747,
    958439, 973001, 516789, 38923, 537959, 152953, 365387, 725987, 772255, 215109,
    363157, 43121, 100543, 548771, 894025, 468575, 553909, 269677, 447363, 585549,
    955333, 403913, 1042359, 914323, 181053, 296681, 327415, 838481, 636205, 781309,
    212725,
)  # fmt: skip

MAX_DIMENSION = len(_GENERATOR)


def lattice_points(n_points: int, dimension: int, shift: float = 0.0) -> FloatArray:
    """Return ``n_points`` (a power of two) points (node, dimension) strictly inside the unit cube.

    The lattice is moved around the torus by a fixed vector without pattern, plus ``shift`` along every axis: near the
    corner at 0, where an unmoved lattice has a point, functions of normal quantiles are at their worst. Every second
    point of the lattice is itself a lattice of half the size.
    """
    if n_points & (n_points - 1) or not 0 < n_points <= 2**20:
        raise ValueError(f"n_points must be a power of two up to 2**20, not {n_points}")
    if not 0 < dimension <= MAX_DIMENSION:
        raise ValueError(f"dimension must be 1 to {MAX_DIMENSION}, not {dimension}")
    steps = np.arange(n_points, dtype=np.int64)[:, None] * np.array(_GENERATOR[:dimension], dtype=np.int64)
    points = (steps & (n_points - 1)) / n_points + _irrational_shift(dimension) + shift
    return np.asarray(np.clip(points - np.floor(points), 1e-15, 1.0 - 1e-15))


@cache
def _irrational_shift(dimension: int) -> FloatArray:
    """Return the fractional parts of the square roots of the first primes."""
    primes = [n for n in range(2, 180) if all(n % k for k in range(2, int(n**0.5) + 1))]
    return np.asarray(np.sqrt(primes[:dimension]) % 1.0)

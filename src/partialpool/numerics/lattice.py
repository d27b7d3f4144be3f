"""Quasi-random points: a rank-1 lattice, good in every dimension up to 40 and nested in its powers of two."""

from __future__ import annotations

from functools import cache

import numpy as np

from partialpool.numerics.arrays import FloatArray

# Generating vector of an embedded lattice in base 2, up to 2**20 points, by the component-by-component
# construction of Cools, Kuo and Nuyens (2006), SIAM J. Sci. Comput. 28:2162-2188.
_GENERATOR = (
    1, 182667, 469891, 498753, 110745, 446247, 250185, 118627, 245333, 283199,
    408519, 391023, 246327, 126539, 399185, 461527, 300343, 69681, 516695, 436179,
    106383, 238523, 413283, 70841, 47719, 300129, 113029, 123925, 410745, 211325,
    17489, 511893, 40767, 186077, 519471, 255369, 101819, 243573, 66189, 152143,
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

"""Search the generating vector of ``numerics/lattice.py``, component by component: two minutes.

Each component is, of some thousand random odd numbers, the one whose squared worst-case error is closest to the best
found at every size of the lattice, 2**8 to 2**17 points, in the Korobov space of smoothness 1 with product weights.

Source: Cools, Kuo and Nuyens (2006), SIAM J. Sci. Comput. 28:2162-2188, sections 2 and 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_POWERS = range(8, 18)
_DIMENSIONS = 41


def weight(j: int) -> float:
    """Return how much coordinate ``j``, counted from 0, counts."""
    return 1.0 / (1.0 + 0.5 * j)


def kernel(n_points: int) -> NDArray[np.float64]:
    """Return the kernel at the points of a lattice in one dimension: 2 pi^2 times the second Bernoulli polynomial."""
    x = np.arange(n_points) / n_points
    return np.asarray(2.0 * np.pi**2 * (x * x - x + 1.0 / 6.0))


def n_candidates(j: int) -> int:
    """Return how many candidates are tried: pairs and triples matter most."""
    return 1 if j == 0 else 6000 if j < 3 else 2000 if j < 6 else 400 if j < 12 else 100


def main() -> None:
    """Print the vector."""
    rng = np.random.default_rng(2026)
    places = {m: np.arange(2**m, dtype=np.int64) for m in _POWERS}
    kernels = {m: kernel(2**m) for m in _POWERS}
    products = {m: np.ones(2**m) for m in _POWERS}
    chosen: list[int] = []
    for j in range(_DIMENSIONS):
        candidates = np.unique(2 * rng.integers(0, 2**19, size=n_candidates(j)) + 1) if j else np.array([1])
        factors = {m: 1.0 + weight(j) * kernels[m] for m in _POWERS}
        errors = np.array(
            [
                [products[m] @ factors[m][(places[m] * (z % 2**m)) % 2**m] / 2**m - 1.0 for m in _POWERS]
                for z in candidates
            ]
        )
        chosen.append(int(candidates[np.argmin((errors / errors.min(axis=0)).max(axis=1))]))
        for m in _POWERS:
            products[m] *= factors[m][(places[m] * (chosen[-1] % 2**m)) % 2**m]
    print(chosen)


if __name__ == "__main__":
    main()

"""Few points with the moments of many."""

import numpy as np

from partialpool.numerics.discrete_gauss import compress_measure


def test_moments() -> None:
    rng = np.random.default_rng(0)
    points, weights = rng.normal(3.0, 0.7, (49, 4, 2)), rng.random((49, 4, 2))
    weights /= weights.sum(axis=0)
    found, shares = compress_measure(points, weights, 7)
    assert found.shape == shares.shape == (7, 4, 2)
    assert shares.min() >= 0.0
    for power in range(14):
        exact = np.sum(weights * (points - 3.0) ** power, axis=0)
        np.testing.assert_allclose(np.sum(shares * (found - 3.0) ** power, axis=0), exact, rtol=1e-9, atol=1e-9)
    assert (
        np.abs(np.sum(shares * (found - 3.0) ** 14, axis=0) - np.sum(weights * (points - 3.0) ** 14, axis=0)).max()
        > 1e-6
    )


def test_measures_of_fewer_points() -> None:
    points = np.array([[1.0, 2.0, 2.0], [1.0, 2.0, 5.0], [1.0, 4.0, 2.0]])
    found, shares = compress_measure(points, np.full((3, 3), 1.0 / 3.0), 3)
    for power in (1, 2, 3):
        np.testing.assert_allclose(np.sum(shares * found**power, axis=0), np.mean(points**power, axis=0), rtol=1e-12)

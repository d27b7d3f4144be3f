"""A surrogate away from its nodes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from partialpool.numerics.surrogates.surrogate import Warp, fit_surrogate

FloatArray = NDArray[np.float64]


@pytest.mark.parametrize("seed", [12, 14, 17, 18, 19, 22])
def test_the_trend_falls_where_no_node_holds_it(seed: int) -> None:
    """Long tails, seen at a dozen nodes: the length and size that predict the nodes best had a trend that rises away
    from them, by thousands at the distances at which a posterior is integrated."""
    rng = np.random.default_rng([seed, 3, 12])
    nodes, mixing = 1.3 * rng.normal(size=(12, 3)), 0.6 * rng.normal(size=(3, 3))

    def log_density(x: FloatArray) -> FloatArray:
        tails = -2.5 * np.log1p(0.5 * np.sum((x @ mixing) ** 2, axis=1)) - 0.02 * np.sum(x**2, axis=1)
        return np.asarray(tails + 0.3 * np.sum(np.sin(x), axis=1))

    steps = 1e-5 * np.eye(3)
    gradients = np.stack([(log_density(nodes + h) - log_density(nodes - h)) / 2e-5 for h in steps], axis=1)
    values = log_density(nodes)
    warp = Warp(np.full(3, -np.inf), np.zeros(3), np.eye(3))
    surrogate = fit_surrogate(warp, nodes, values, gradients, np.exp(values - values.max()))
    np.testing.assert_allclose(surrogate(nodes), values, atol=0.05)
    directions = rng.normal(size=(200, 3))
    far = 15.0 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    assert surrogate(far).max() < values.max() + 15.0

"""A cheap density corrected towards a dear one: exact for a plane, measured otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from partialpool.numerics.sampling.lattice import lattice_points
from partialpool.numerics.sampling.node_subset import spread_nodes, tail_nodes
from partialpool.numerics.surrogates.correction import correct

FloatArray = NDArray[np.float64]
_SD = np.array([1.0, 0.1, 5.0])
_NODES = _SD * stats.norm.ppf(lattice_points(4096, 3))
_EVEN = np.full(len(_NODES), 1.0 / len(_NODES))


def test_a_plane_is_corrected_exactly() -> None:
    slope = np.array([0.3, -4.0, 0.05])
    found = correct(_NODES, _EVEN, lambda at: 2.0 + at @ slope, 0.01)
    assert found.error < 1e-9
    # a normal density tilted by exp(slope x) is one moved by its variance times the slope
    np.testing.assert_allclose(found.weights @ _NODES / _SD, _SD * slope, atol=0.02)
    assert found.log_factor == pytest.approx(2.0 + 0.5 * np.sum((_SD * slope) ** 2), abs=0.01)


def test_a_quadratic_is_corrected_where_a_plane_does_not_serve() -> None:
    """exp(0.02 z^2) times a normal density has the variance 1 / 0.96, and the integral 0.96^-0.5."""
    found = correct(_NODES, _EVEN, lambda at: 0.02 * (at[:, 1] / _SD[1]) ** 2, 1e-3)
    assert found.error < 1e-9
    assert found.weights @ (_NODES[:, 1] / _SD[1]) ** 2 == pytest.approx(1.0 / 0.96, abs=0.01)
    assert found.log_factor == pytest.approx(-0.5 * np.log(0.96), abs=0.002)


def test_what_is_missed_is_measured() -> None:
    """0.02 sin(4 z) has an sd of 0.02 / sqrt 2, which no plane or quadratic takes up."""
    asked: list[int] = []

    def difference(at: FloatArray) -> FloatArray:
        asked.append(len(at))
        return 0.02 * np.sin(4.0 * at[:, 1] / _SD[1])

    found = correct(_NODES, _EVEN, difference, 1e-3)
    assert 0.007 < found.error < 0.04
    assert found.n_evaluations == sum(asked) < 300


def test_a_difference_that_does_not_exist_somewhere_is_not_accurate() -> None:
    found = correct(_NODES, _EVEN, lambda at: np.where(at[:, 0] > 2.0, -np.inf, 0.0), 0.01)
    assert found.error == np.inf


def test_spread_and_tail_nodes_follow_the_weights() -> None:
    weights = stats.norm.pdf(_NODES[:, 0], 1.0, 0.3)
    weights /= weights.sum()
    rounds = [spread_nodes(_NODES, weights, 50, k) for k in range(2)]
    for chosen in rounds:
        assert chosen[:, 0].mean() == pytest.approx(weights @ _NODES[:, 0], abs=0.1)
    assert not {tuple(node) for node in rounds[0]} & {tuple(node) for node in rounds[1]}
    tails = tail_nodes(_NODES, weights)
    assert len(tails) <= 6
    beyond = [weights[_NODES[:, k] < tails[:, k].min()].sum() for k in range(3)]
    assert np.all(np.asarray(beyond) < 0.011)

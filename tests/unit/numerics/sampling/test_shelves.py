"""What lies where a log scale goes to minus infinity, against integrals in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from partialpool.numerics.sampling.shelves import Edge, find_shelves

FloatArray = NDArray[np.float64]
_SHARE = 0.004


def log_normal(x: FloatArray, mean: float, sd: float) -> FloatArray:
    return np.asarray(-0.5 * ((x - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi))


def core_and_shelf(x: FloatArray) -> FloatArray:
    """A normal core, and 0.4 % of the mass on an exponential shelf below -2 where the second coordinate is 1.5 more."""
    core = np.log(1.0 - _SHARE) + log_normal(x[:, 0], 0.0, 0.3) + log_normal(x[:, 1], 0.0, 0.2)
    shelf = np.where(x[:, 0] < -2.0, np.log(_SHARE) + x[:, 0] + 2.0, -200.0) + log_normal(x[:, 1], 1.5, 0.2)
    return np.asarray(np.logaddexp(core, shelf))


def test_the_mass_of_a_shelf() -> None:
    shelves = find_shelves(core_and_shelf, [Edge(0, -2.0, np.zeros(2))])
    assert np.exp(shelves[0].log_mass) == pytest.approx(_SHARE, rel=0.05)
    assert shelves[0].mode.location == pytest.approx([1.5], abs=0.01)


def test_the_flank_of_the_core_is_not_a_shelf() -> None:
    def core(x: FloatArray) -> FloatArray:
        return log_normal(x[:, 0], 0.0, 0.3) + log_normal(x[:, 1], 0.0, 0.2)

    shelves = find_shelves(core, [Edge(0, -1.1, np.zeros(2))])  # a ten-thousandth of the core is below
    assert np.exp(shelves[0].log_mass) < 1e-6


def test_a_shelf_that_rises_before_it_falls() -> None:
    """A prior of small scale has its mass further out: here at -9, a gamma in exp(x) of shape 1."""

    def rising(x: FloatArray) -> FloatArray:
        return np.asarray(x[:, 0] + 9.0 - np.exp(x[:, 0] + 9.0)) + log_normal(x[:, 1], 0.0, 1.0)

    def lower_half(x: FloatArray) -> FloatArray:
        return np.where(x[:, 0] < -3.0, x[:, 0] + 9.0 - 2.0 * np.log1p(np.exp(x[:, 0] + 9.0)), -1e9) + log_normal(
            x[:, 1], 0.0, 1.0
        )

    shelves = find_shelves(lower_half, [Edge(0, -5.0, np.zeros(2))])
    assert np.exp(shelves[0].log_mass) == pytest.approx(1.0, rel=0.05)  # logistic: below -5 is .982
    assert shelves[0].place == pytest.approx(-9.0, abs=0.6)
    # 1 - exp(-1) is below -9; what is within a unit of there is taken for an exponential, though it has begun to fall
    past = find_shelves(rising, [Edge(0, -9.0, np.zeros(2))])[0]
    assert np.exp(past.log_mass) == pytest.approx(1.0 - np.exp(-1.0), rel=0.2)


def test_a_map_stands_on_the_shelf() -> None:
    shelves = find_shelves(core_and_shelf, [Edge(0, -2.0, np.zeros(2))])
    nodes, _ = shelves[0].to_map().push(np.random.default_rng(1).standard_normal((2000, 2)))
    assert np.median(nodes[:, 1]) == pytest.approx(1.5, abs=0.05)
    assert (nodes[:, 0] < -2.0).mean() > 0.7


def test_nothing_is_beside_one_coordinate() -> None:
    assert find_shelves(lambda x: -(x[:, 0] ** 2), [Edge(0, -2.0, np.zeros(1))]) == []

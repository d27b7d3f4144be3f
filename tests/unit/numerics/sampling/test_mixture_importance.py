"""Mixtures of maps on densities that one map does not fit; all integrals and moments are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from partialpool.numerics.mode import find_mode, find_modes
from partialpool.numerics.sampling.coverage import follow_lines
from partialpool.numerics.sampling.importance import WeightedNodes, integrate_by_importance
from partialpool.numerics.sampling.mixture_importance import integrate_by_mixture
from partialpool.numerics.sampling.transport import fit_to_curvature

FloatArray = NDArray[np.float64]
LogDensity = Callable[[FloatArray], FloatArray]


def log_normal_density(x: FloatArray, mean: float, sd: float) -> FloatArray:
    return np.asarray(-0.5 * ((x - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi))


def core_on_a_shelf(x: FloatArray) -> FloatArray:
    """A normal core, and 3 % of the mass falling off exponentially to the left, as a flat density of an sd does."""
    shelf = x[:, 0] + 4.0 - np.exp(x[:, 0] + 4.0)  # log of an exponential variable with mean exp(-4)
    parts = [np.log(0.97) + log_normal_density(x[:, 0], 0.0, 0.3), np.log(0.03) + shelf]
    return np.asarray(np.logaddexp(*parts) + log_normal_density(x[:, 1:], 0.0, 2.0).sum(axis=1))


def two_regions(x: FloatArray) -> FloatArray:
    """Seven tenths about -6 and three about 6, each of its own width."""
    first = np.log(0.7) + log_normal_density(x, -6.0, 1.0).sum(axis=1)
    return np.asarray(np.logaddexp(first, np.log(0.3) + log_normal_density(x, 6.0, 0.5).sum(axis=1)))


def thin_ridge(x: FloatArray) -> FloatArray:
    """The second coordinate is 2,000 times the first to within 0.1 of the former's sd of 1."""
    return log_normal_density(x[:, 0], 0.0, 1.0) + log_normal_density(x[:, 1] - 2000.0 * x[:, 0], 0.0, 0.1)


def integrate(log_density: LogDensity, starts: FloatArray) -> WeightedNodes:
    modes = find_modes(log_density, starts)
    return integrate_by_mixture(log_density, [fit_to_curvature(log_density, mode) for mode in modes], 8000.0)


def moments(sample: WeightedNodes) -> tuple[FloatArray, FloatArray]:
    mean = sample.weights @ sample.nodes
    return mean, np.sqrt(sample.weights @ (sample.nodes - mean) ** 2)


def test_a_core_on_a_shelf() -> None:
    mode = find_mode(core_on_a_shelf, np.zeros((1, 2)))
    alone = integrate_by_importance(core_on_a_shelf, mode, 8000.0)
    assert alone.log_integral < -0.02  # one map finds the core alone, its weights without a fault; seen it is, though
    assert alone.pareto_k < 0.5
    assert follow_lines(core_on_a_shelf, alone).missed > 0.02
    sample = integrate(core_on_a_shelf, np.zeros((1, 2)))
    assert sample.pareto_k < 0.5
    assert sample.effective_size >= 8000
    assert sample.log_integral == pytest.approx(0.0, abs=0.01)
    mean, sd = moments(sample)
    euler, of_shelf = 0.5772156649, np.pi**2 / 6
    middle = -0.03 * (4.0 + euler)
    spread = np.sqrt(0.97 * 0.09 + 0.03 * (of_shelf + (4.0 + euler) ** 2) - middle**2)
    assert np.allclose(mean, [middle, 0.0], atol=0.02)
    assert np.allclose(sd, [spread, 2.0], rtol=0.02)


def test_two_regions() -> None:
    sample = integrate(two_regions, np.array([[-5.0, -5.0], [5.0, 5.0], [-7.0, -6.0]]))
    mean, _ = moments(sample)
    assert sample.pareto_k < 0.5
    assert sample.log_integral == pytest.approx(0.0, abs=0.01)
    assert np.allclose(mean, 0.7 * -6.0 + 0.3 * 6.0, atol=0.05)
    assert sample.weights[sample.nodes[:, 0] > 0].sum() == pytest.approx(0.3, abs=0.005)


def test_a_ridge_however_thin_is_followed() -> None:
    sample = integrate(thin_ridge, np.array([[0.5, 1000.0]]))
    mean, sd = moments(sample)
    assert sample.pareto_k < 0.5
    assert sample.log_integral == pytest.approx(0.0, abs=0.01)
    assert np.all(np.abs(mean) < 0.03 * sd)
    assert np.allclose(sd, [1.0, 2000.0], rtol=0.02)


def test_one_mode_from_several_starts_is_one() -> None:
    starts = np.array([[-5.0, -5.0], [5.0, 5.0], [-7.0, -6.0]])
    found = find_modes(two_regions, starts)
    assert np.allclose([mode.location for mode in found], [[-6.0, -6.0], [6.0, 6.0]], atol=0.1) or np.allclose(
        [mode.location for mode in found], [[6.0, 6.0], [-6.0, -6.0]], atol=0.1
    )


def test_evaluations_are_counted_and_answers_repeat() -> None:
    seen = [0]

    def counted(x: FloatArray) -> FloatArray:
        seen[0] += len(x)
        return core_on_a_shelf(x)

    mode = find_mode(core_on_a_shelf, np.zeros((1, 2)))
    start = [fit_to_curvature(core_on_a_shelf, mode)]
    first = integrate_by_mixture(counted, start, 4000.0)
    assert first.n_evaluations == seen[0]
    assert np.array_equal(first.nodes, integrate_by_mixture(core_on_a_shelf, start, 4000.0).nodes)

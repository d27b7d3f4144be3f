"""Grids on densities whose integrals and quantiles are known."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from partialpool.errors import ComputationError
from partialpool.numerics.grid import (
    Grid,
    _interpolate,
    _trim,
    draw_from_grid,
    grid_quantiles,
    integrate_on_grid,
    refine,
)
from partialpool.numerics.mode import find_mode

FloatArray = NDArray[np.float64]
PROBABILITIES = np.array([0.001, 0.05, 0.5, 0.95, 0.999])


def integrate(log_density: Callable[[FloatArray], FloatArray], start: list[float], growth: float = 0.0) -> Grid:
    mode = find_mode(log_density, np.array([start]))
    return integrate_on_grid(log_density, mode, np.full(len(start), growth))


def moments(grid: Grid) -> tuple[FloatArray, FloatArray]:
    mean = grid.weights @ grid.nodes
    return mean, np.sqrt(grid.weights @ (grid.nodes - mean) ** 2)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 50.0])
def test_a_normal_density(scale: float) -> None:
    grid = integrate(lambda x: -0.5 * (x[:, 0] / scale - 2) ** 2, [1.5 * scale])
    assert grid.log_integral == pytest.approx(0.5 * np.log(2 * np.pi) + np.log(scale), abs=1e-8)
    mean, sd = moments(grid)
    assert mean[0] == pytest.approx(2 * scale, rel=1e-7)
    assert sd[0] == pytest.approx(scale, rel=1e-7)
    expected = scale * (2 + special.ndtri(PROBABILITIES))
    assert np.allclose(grid_quantiles(grid, 0, PROBABILITIES), expected, rtol=0, atol=1e-4 * scale)
    assert grid.change_on_doubling < 1e-4


@pytest.mark.parametrize("shape", [0.5, 1.0, 3.0, 40.0])
def test_the_log_of_a_gamma(shape: float) -> None:
    """Exponential to the left, doubly exponential to the right."""
    grid = integrate(lambda x: shape * x[:, 0] - np.exp(x[:, 0]), [0.0])
    assert grid.log_integral == pytest.approx(special.gammaln(shape), abs=1e-7)
    mean, sd = moments(grid)
    assert mean[0] == pytest.approx(special.digamma(shape), abs=2e-6 * sd[0])
    assert sd[0] == pytest.approx(np.sqrt(special.polygamma(1, shape)), rel=2e-6)
    expected = np.log(stats.gamma.ppf(PROBABILITIES, shape))
    assert np.allclose(grid_quantiles(grid, 0, PROBABILITIES), expected, rtol=0, atol=2e-4 * sd[0])


def test_growth_reaches_as_far_as_the_moments_ask() -> None:
    """exp(x) has the density of a power tail t^-4: its second moment is carried far out."""
    grid = integrate(lambda x: x[:, 0] - 2 * np.log1p(np.exp(2 * x[:, 0])), [0.0], growth=2.0)
    values = np.exp(grid.nodes[:, 0])
    assert grid.weights @ values == pytest.approx(2 / np.pi, rel=1e-6)
    assert grid.weights @ values**2 == pytest.approx(1.0, rel=1e-6)


def test_two_peaks() -> None:
    """One found by the mode search, the other by the grid's change on doubling or its edges."""

    def log_density(x: FloatArray) -> FloatArray:
        return np.logaddexp(-0.5 * (x[:, 0] + 3) ** 2, np.log(0.5) - 0.5 * ((x[:, 0] - 3) / 0.5) ** 2 + np.log(2))

    grid = integrate(log_density, [-3.0])
    assert grid.log_integral == pytest.approx(0.5 * np.log(2 * np.pi) + np.log(1.5), abs=1e-6)
    assert moments(grid)[0][0] == pytest.approx(-1.0, abs=1e-6)


@pytest.mark.parametrize("correlation", [0.0, 0.9, -0.99])
def test_two_correlated_axes(correlation: float) -> None:
    precision = np.linalg.inv(np.array([[1.0, 3 * correlation], [3 * correlation, 9.0]]))
    grid = integrate(lambda x: -0.5 * np.einsum("ni,ij,nj->n", x, precision, x), [0.5, -0.5])
    expected = np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(precision)[1]
    assert grid.log_integral == pytest.approx(expected, abs=1e-6)
    mean, sd = moments(grid)
    assert np.allclose(mean, 0, atol=1e-6)
    assert np.allclose(sd, [1, 3], rtol=1e-6)
    product = grid.weights @ grid.nodes.prod(axis=1)
    assert product == pytest.approx(3 * correlation, abs=1e-5)
    for axis in (0, 1):
        expected_quantiles = sd[axis] * special.ndtri(PROBABILITIES)
        assert np.allclose(grid_quantiles(grid, axis, PROBABILITIES), expected_quantiles, atol=2e-3 * sd[axis])


def test_a_banana() -> None:
    grid = integrate(lambda x: -0.5 * x[:, 0] ** 2 - 2 * (x[:, 1] - x[:, 0] ** 2) ** 2, [0.0, 0.0])
    assert grid.log_integral == pytest.approx(np.log(2 * np.pi) - np.log(2), abs=1e-6)
    mean, sd = moments(grid)
    assert np.allclose(mean, [0, 1], atol=1e-5)
    assert np.allclose(sd, [1, np.sqrt(0.25 + 2)], rtol=1e-5)


def test_a_hard_edge_is_either_right_or_refused() -> None:
    """A density cut off at its mode converges slowly; what is returned is to the tolerance that it states."""

    def log_density(x: FloatArray) -> FloatArray:
        return np.where(x[:, 0] < 0.2, -np.inf, -0.5 * x[:, 0] ** 2)

    exact = np.log(np.sqrt(2 * np.pi) * special.ndtr(-0.2))
    try:
        grid = integrate(log_density, [0.7])
    except ComputationError:
        return
    assert grid.log_integral == pytest.approx(exact, abs=3e-4)


def test_a_density_that_never_falls_is_refused() -> None:
    with pytest.raises(ComputationError, match="nodes would be needed"):
        integrate(lambda x: -0.5 * np.log1p(x[:, 0] ** 2), [0.3])


def test_draws_are_the_densitys() -> None:
    """Kolmogorov-Smirnov distance of 40,000 draws, and their correlation."""
    precision = np.linalg.inv(np.array([[1.0, 0.8], [0.8, 1.0]]))
    grid = integrate(lambda x: -0.5 * np.einsum("ni,ij,nj->n", x, precision, x), [0.5, -0.5])
    draws = draw_from_grid(grid, 40_000, np.random.default_rng(1))
    for axis in (0, 1):
        assert stats.kstest(draws[:, axis], "norm").pvalue > 1e-3
    assert np.corrcoef(draws.T)[0, 1] == pytest.approx(0.8, abs=4 * 0.36 / 200)
    assert np.array_equal(draws, draw_from_grid(grid, 40_000, np.random.default_rng(1)))


def test_refining_interpolates_polynomials_of_degree_seven_exactly() -> None:
    axis = np.linspace(-3, 3, 13)
    coefficients = [0.001, -0.002, 0.003, -0.05, 0.02, -0.5, 0.3, 1.0]
    grid = Grid((axis,), np.polyval(coefficients, axis), 0.0, 0.0, 13)
    (fine,), probabilities = refine(grid)
    exact = np.exp(np.polyval(coefficients, fine))
    assert np.allclose(probabilities, exact / exact.sum(), rtol=1e-9)


def dense_operator(n: int, factor: int) -> FloatArray:
    """The matrix (fine point, node) of Lagrange interpolation through the nearest eight nodes, one point at a time."""
    width = min(8, n)
    operator = np.zeros(((n - 1) * factor + 1, n))
    for row in range(len(operator)):
        first = int(np.clip(row // factor - width // 2 + 1, 0, n - width))
        for i in range(first, first + width):
            others = np.array([j for j in range(first, first + width) if j != i])
            operator[row, i] = np.prod((row / factor - others) / (i - others))
    return operator


@pytest.mark.parametrize("n", [2, 5, 8, 9, 30])
@pytest.mark.parametrize("factor", [4, 7, 32])
def test_interpolation_is_the_dense_operator(n: int, factor: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    assert np.allclose(_interpolate(values, 0, factor), dense_operator(n, factor) @ values, rtol=1e-12, atol=1e-12)
    table = np.random.default_rng(n).normal(size=(n, 11))
    expected = dense_operator(n, factor) @ table @ dense_operator(11, factor).T
    found = _interpolate(_interpolate(table, 0, factor), 1, factor)
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_the_longest_grid_is_refined_in_linear_memory() -> None:
    axis = np.linspace(-1, 1, 200_001)
    tracemalloc.start()
    (fine,), probabilities = refine(Grid((axis,), -0.5 * (axis / 0.1) ** 2, 0.0, 0.0, len(axis)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * fine.nbytes
    assert np.sqrt(probabilities @ fine**2) == pytest.approx(0.1, rel=1e-9)


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
def test_values_without_a_peak_are_refused(value: float) -> None:
    with pytest.raises(ComputationError, match="give a prior that is less steep"):
        _trim((np.arange(5.0),), np.full(5, value), np.zeros(1))


def test_an_infinite_density_is_refused() -> None:
    def log_density(x: FloatArray) -> FloatArray:
        return np.where(x[:, 0] < -4.0, np.inf, -0.5 * x[:, 0] ** 2)

    with pytest.raises(ComputationError, match="infinite or not a number"):
        integrate(log_density, [0.7])


def test_a_lack_of_memory_is_a_computation_error() -> None:
    def log_density(x: FloatArray) -> FloatArray:
        if len(x) > 15:
            raise MemoryError
        return -0.5 * x[:, 0] ** 2

    with pytest.raises(ComputationError, match="more memory than there is"):
        integrate(log_density, [0.7])

"""Small grids on densities whose integrals and quantiles are known, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from partialpool.errors import ComputationError
from partialpool.numerics.sampling.lattice import lattice_points
from partialpool.numerics.smooth_grid import (
    Line,
    PlaneDensity,
    SmoothGrid,
    integrate_on_plane,
    interpolate_at,
    interpolation_weights,
    scan,
    spread_lattice,
)

FloatArray = NDArray[np.float64]


def _nothing_grows(x: FloatArray, z: FloatArray) -> FloatArray:
    return np.zeros(len(x))


def _integrate(density: PlaneDensity, folded: bool, flat: bool = False) -> SmoothGrid:
    line = scan(lambda x: density(x, np.zeros(len(x))), 0.5, 1.0, folded)
    return integrate_on_plane(density, _nothing_grows, line, folded, flat)


def _half_normal(x: FloatArray, z: FloatArray) -> FloatArray:
    return np.asarray(stats.halfnorm.logpdf(x) + stats.norm.logpdf(z - 0.3 * x**2))


def test_an_integral_with_its_mode_at_the_fold() -> None:
    grid = _integrate(_half_normal, folded=True)
    assert grid.log_integral == pytest.approx(0.0, abs=1e-3)
    assert grid.values.size < 1000
    mean, sd = grid.moments()[0]
    assert (mean, sd) == pytest.approx((np.sqrt(2 / np.pi), np.sqrt(1 - 2 / np.pi)), abs=0.005)


def test_a_line() -> None:
    grid = _integrate(lambda x, z: stats.gumbel_r.logpdf(x), folded=False, flat=True)
    assert grid.log_integral == pytest.approx(0.0, abs=1e-4)
    x, z = spread_lattice(grid, lattice_points(4096, 2))
    assert not z.any()
    np.testing.assert_allclose(np.quantile(x, [0.05, 0.5, 0.95]), stats.gumbel_r.ppf([0.05, 0.5, 0.95]), atol=0.01)


def test_a_lattice_has_the_density() -> None:
    grid = _integrate(_half_normal, folded=True)
    x, z = spread_lattice(grid, lattice_points(4096, 2))
    levels = np.array([0.01, 0.05, 0.5, 0.95, 0.99])
    np.testing.assert_allclose(np.quantile(x, levels), stats.halfnorm.ppf(levels), atol=0.01)
    np.testing.assert_allclose(np.quantile(z - 0.3 * x**2, levels), stats.norm.ppf(levels), atol=0.02)
    assert len(np.unique(z)) == len(z)  # no lines of a grid


def test_interpolation_mirrors_at_a_fold() -> None:
    places = np.linspace(0.0, 9.0, 50)
    weights = interpolation_weights(places, 10, folded=True)
    even = (0.1 * np.arange(10)) ** 2 - 0.3 * (0.1 * np.arange(10)) ** 6
    np.testing.assert_allclose(weights @ even, (0.1 * places) ** 2 - 0.3 * (0.1 * places) ** 6, atol=1e-12)
    grid = _integrate(_half_normal, folded=True)
    x, z = np.array([0.05, 0.4, 1.7]), np.array([-1.3, 0.2, 2.9])
    np.testing.assert_allclose(interpolate_at(grid, x, z), _half_normal(x, z), atol=1e-6)


def test_a_floor_is_refused() -> None:
    """Interpolating through a floor in the place of a log density that is no number rings."""

    def floored(x: FloatArray, z: FloatArray) -> FloatArray:
        return np.where(z > 3.0, -np.inf, _half_normal(x, z))

    with pytest.raises(ComputationError, match="no number"):
        _integrate(floored, folded=True)


def test_a_region_beside_the_grid_is_refused() -> None:
    def twofold(x: FloatArray, z: FloatArray) -> FloatArray:
        return stats.halfnorm.logpdf(x) + np.logaddexp(stats.norm.logpdf(z), stats.norm.logpdf(z, 16.0, 1.0))

    with pytest.raises(ComputationError, match="another region"):
        _integrate(twofold, folded=True)


def test_no_end_is_refused() -> None:
    with pytest.raises(ComputationError, match="no end"):
        scan(lambda x: -np.log1p(x), 0.5, 1.0, True)


def test_what_is_not_smooth_is_refused() -> None:
    def cut(x: FloatArray, z: FloatArray) -> FloatArray:
        return np.asarray(-3.0 * np.abs(x - 1.0) ** 0.5 - 6.0 * np.abs(z) ** 0.5 - 0.01 * z**2)

    with pytest.raises(ComputationError):
        integrate_on_plane(cut, _nothing_grows, Line(0.0, 9.0, 1.0), True, False)

"""The transport map: its density is that of the points it makes, and it fits what it is given."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from partialpool.numerics.mode import find_mode
from partialpool.numerics.sampling.lattice import lattice_points
from partialpool.numerics.sampling.transport import Transport, fit_to_curvature, fit_to_points

from .targets import correlated_normal


def fitted(dimension: int) -> Transport:
    """A map with every kind of bend, fitted to unevenly weighted points."""
    rng = np.random.default_rng(dimension)
    points = rng.normal(size=(4000, dimension))
    points[:, 1:] = points[:, 1:] * np.exp(0.4 * points[:, :1]) + 0.5 * points[:, :1] ** 2
    return fit_to_points(np.exp(0.3 * points), rng.dirichlet(np.ones(4000)))


@pytest.mark.parametrize("dimension", [1, 2, 4, 6])
def test_the_density_of_pushed_points(dimension: int) -> None:
    """The normal's density over the determinant of the map's derivatives, by central differences."""
    transport = fitted(dimension)
    at = np.random.default_rng(0).normal(size=(20, dimension))
    _, log_density = transport.push(at)
    step = 1e-5
    for node in range(20):
        around = np.concatenate([at[node] + step * np.eye(dimension), at[node] - step * np.eye(dimension)])
        pushed, _ = transport.push(around)
        jacobian = (pushed[:dimension] - pushed[dimension:]) / (2 * step)
        normal = -0.5 * at[node] @ at[node] - 0.5 * dimension * np.log(2 * np.pi)
        assert log_density[node] == pytest.approx(normal - np.linalg.slogdet(jacobian)[1], abs=1e-6)


def test_curvature_alone_maps_a_normal_density_well() -> None:
    target = correlated_normal(5)
    mode = find_mode(target.log_density, (target.mean + 0.3 * target.sd)[None])
    points, log_density = fit_to_curvature(target.log_density, mode).push(ndtri(lattice_points(4096, 5)))
    ratios = np.exp(target.log_density(points) - log_density - target.log_integral)
    assert ratios.mean() == pytest.approx(1.0, abs=0.02)
    assert ratios.mean() ** 2 / np.mean(ratios**2) > 0.7


def test_a_map_fitted_to_a_sample_has_its_medians_spreads_and_correlations() -> None:
    rng = np.random.default_rng(3)
    draws = rng.normal(size=(20_000, 3)) @ np.array([[1.0, 0.6, -0.3], [0.0, 0.8, 0.2], [0.0, 0.0, 0.5]]) + [5, -2, 100]
    transport = fit_to_points(draws, np.full(20_000, 1 / 20_000))
    pushed, _ = transport.push(rng.normal(size=(20_000, 3)))
    sds = draws.std(axis=0)
    assert np.all(np.abs(np.median(pushed, axis=0) - np.median(draws, axis=0)) < 0.05 * sds)
    low, high = np.quantile(pushed, [0.16, 0.84], axis=0)
    assert np.allclose((high - low) / 2, sds, rtol=0.06)
    assert np.allclose(np.corrcoef(pushed.T), np.corrcoef(draws.T), atol=0.06)

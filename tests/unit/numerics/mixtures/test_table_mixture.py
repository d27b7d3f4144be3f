"""Moments and quantiles of mixtures of tabulated densities, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from partialpool.numerics.mixtures.table_mixture import table_moments, table_quantiles

Z = 0.4 * np.arange(-20.0, 21.0)
PROBABILITIES = np.array([0.001, 0.05, 0.5, 0.95, 0.999])


def _tabulate(density: stats.rv_continuous, z: np.ndarray = Z) -> np.ndarray:
    values = density.pdf(z)
    return values / values.sum()


def test_one_normal_has_its_own_moments_and_quantiles() -> None:
    centre, scale = np.array([[3.0]]), np.array([[2.0]])
    table = _tabulate(stats.norm())[None, None]
    mean, sd = table_moments(np.ones(1), table, centre[..., None] + scale[..., None] * Z)
    found = table_quantiles(np.ones(1), Z, centre, scale, table, PROBABILITIES)
    assert (mean[0], sd[0]) == pytest.approx((3.0, 2.0), rel=1e-9)
    assert stats.norm(3.0, 2.0).cdf(found[0]) == pytest.approx(PROBABILITIES, abs=5e-5)


def test_a_mixture_far_apart_has_quantiles_of_the_mixture() -> None:
    centre, scale, weights = np.array([[-30.0, 0.0, 5.0]]), np.array([[0.01, 1.0, 3.0]]), np.array([0.2, 0.5, 0.3])
    table = np.broadcast_to(_tabulate(stats.norm()), (1, 3, len(Z)))
    found = table_quantiles(weights, Z, centre, scale, table, PROBABILITIES)
    for probability, quantile in zip(PROBABILITIES, found[0], strict=True):
        exact = optimize.brentq(
            lambda t, p=probability: weights @ stats.norm(centre[0], scale[0]).cdf(t) - p, -40.0, 40.0
        )
        assert weights @ stats.norm(centre[0], scale[0]).cdf(quantile) == pytest.approx(probability, abs=2e-4)
        assert quantile == pytest.approx(exact, abs=0.02)


def test_a_stretched_grid_holds_a_heavy_tail() -> None:
    w = np.arange(-60.0, 61.0)
    bend = np.array([[0.12]])
    values = 0.35 * np.sinh(0.12 * w) / 0.12
    density = stats.t(3).pdf(values) * np.cosh(0.12 * w)
    table = (density / density.sum())[None, None]
    found = table_quantiles(np.ones(1), w, np.zeros((1, 1)), np.full((1, 1), 0.35), table, PROBABILITIES, bend)
    assert found[0] == pytest.approx(stats.t(3).ppf(PROBABILITIES), rel=2e-3, abs=1e-3)


def test_items_may_have_weights_of_their_own() -> None:
    table = np.broadcast_to(_tabulate(stats.norm()), (2, 2, len(Z)))
    centre, scale = np.array([[0.0, 10.0], [0.0, 10.0]]), np.ones((2, 2))
    weights = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = table_quantiles(weights, Z, centre, scale, table, np.array([0.5]))
    assert found[:, 0] == pytest.approx([0.0, 10.0], abs=1e-4)


def test_a_point_mass_is_its_own_quantile() -> None:
    table = _tabulate(stats.norm())[None, None]
    found = table_quantiles(np.ones(1), Z, np.array([[1.5]]), np.zeros((1, 1)), table, PROBABILITIES)
    assert found[0] == pytest.approx(1.5)

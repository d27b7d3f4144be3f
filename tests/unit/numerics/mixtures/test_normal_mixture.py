"""Moments and quantiles of normal mixtures against root finding on the distribution function."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from partialpool.numerics.mixtures.normal_mixture import mixture_moments, mixture_quantiles

FloatArray = NDArray[np.float64]
PROBABILITIES = np.array([1e-6, 0.001, 0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975, 0.999, 1 - 1e-6])


def quantile(weights: FloatArray, means: FloatArray, sds: FloatArray, probability: float) -> float:
    low, high = (means - 40 * sds).min(), (means + 40 * sds).max()
    return float(brentq(lambda x: weights @ ndtr((x - means) / sds) - probability, low, high, xtol=1e-13, rtol=1e-13))


def check(weights: FloatArray, means: FloatArray, sds: FloatArray, tolerance: float = 2e-6) -> None:
    """Quantiles to ``tolerance`` sds of the mixture, or of its average component where that is narrower."""
    found = mixture_quantiles(weights, means, sds, PROBABILITIES)
    _, sd = mixture_moments(weights, means, sds * sds)
    unit = np.minimum(sd, weights @ sds)
    for item in range(means.shape[1]):
        expected = [quantile(weights, means[:, item], sds[:, item], p) for p in PROBABILITIES]
        assert np.allclose(found[item], expected, rtol=0, atol=tolerance * unit[item]), item


def test_moments() -> None:
    mean, sd = mixture_moments(np.array([0.25, 0.75]), np.array([[1.0], [5.0]]), np.array([[4.0], [1.0]]))
    assert mean[0] == 4.0
    assert sd[0] ** 2 == pytest.approx(0.25 * 4 + 0.75 * 1 + 0.25 * 9 + 0.75 * 1)


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e10])
def test_one_component_is_normal(offset: float) -> None:
    found = mixture_quantiles(np.ones(1), np.array([[offset]]), np.array([[2.0]]), PROBABILITIES)[0]
    assert np.allclose(found, offset + 2.0 * ndtri(PROBABILITIES), rtol=1e-15, atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_random_mixtures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(30, 0.5))
    check(weights, rng.normal(size=(30, 6)) * rng.uniform(0, 4, 6), rng.uniform(0.05, 3, size=(30, 6)))


def test_two_far_components_with_a_gap() -> None:
    check(np.array([0.06, 0.94]), np.array([[-100.0], [100.0]]), np.array([[1.0], [2.0]]))


def test_a_small_far_component() -> None:
    """The sd of the whole is then a thousand times that of nearly everything."""
    check(np.array([1e-5, 1 - 1e-5]), np.array([[1e6], [0.0]]), np.array([[1.0], [1.0]]))


def test_scales_over_many_decades() -> None:
    """A scale mixture with Cauchy-like tails."""
    scales = np.exp(np.linspace(-6, 9, 60))[:, None]
    weights = scales[:, 0] ** -1.0
    check(weights / weights.sum(), np.zeros((60, 1)), scales)


def test_nearly_normal_mixtures_need_no_correction() -> None:
    """Here the Cornish-Fisher start stands alone: it must be right to what it claims, far tails included."""
    rng = np.random.default_rng(0)
    weights = np.full(64, 1 / 64)
    spread = np.array([0.0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1])
    means = rng.normal(size=(64, 1)) * spread
    check(weights, means, 1 + rng.normal(size=(64, 1)) * 0.2 * spread, tolerance=5e-5)


def test_point_masses() -> None:
    """Three point masses: quantiles strictly between steps are the values themselves."""
    weights, means = np.array([0.2, 0.5, 0.3]), np.array([[1.0], [2.0], [4.0]])
    found = mixture_quantiles(weights, means, np.zeros((3, 1)), np.array([0.1, 0.5, 0.9]))[0]
    assert np.allclose(found, [1.0, 2.0, 4.0], atol=1e-6)


def test_a_point_mass_beside_a_normal() -> None:
    """Half the mass at 0: every quantile between .25 and .75 is 0."""
    weights, means, sds = np.array([0.5, 0.5]), np.zeros((2, 1)), np.array([[0.0], [1.0]])
    found = mixture_quantiles(weights, means, sds, np.array([0.05, 0.3, 0.5, 0.7, 0.95]))[0]
    assert np.allclose(found, [ndtri(0.1), 0.0, 0.0, 0.0, ndtri(0.9)], atol=1e-6)


def test_a_constant() -> None:
    found = mixture_quantiles(np.full(4, 0.25), np.full((4, 2), 3.0), np.zeros((4, 2)), PROBABILITIES)
    assert np.allclose(found, 3.0, atol=1e-6)


def _cumulative(weights: FloatArray, means: FloatArray, sds: FloatArray, at: FloatArray) -> FloatArray:
    return np.asarray(weights @ ndtr((at - means) / sds))


@pytest.mark.parametrize("seed", range(40))
def test_spikes_beside_wide_components(seed: int) -> None:
    """Widths over ten decades: Newton's steps are tiny beside a spike, or go to and fro for ever (seed 29)."""
    rng = np.random.default_rng(seed)
    n_nodes, n_quantities = int(rng.integers(2, 200)), 50
    weights = rng.dirichlet(np.full(n_nodes, 0.3))
    sds = 10.0 ** rng.uniform(-9, 1, (n_nodes, n_quantities))
    means = sds * rng.normal(size=sds.shape) + 1e-3 * rng.normal(size=sds.shape) * (rng.random(sds.shape) < 0.3)
    probabilities = np.array([0.025, 0.1, 0.25, 0.5, 0.75, 0.975])
    found = mixture_quantiles(weights, means, sds, probabilities)
    step = 5e-6 * mixture_moments(weights, means, sds * sds)[1]
    for k, probability in enumerate(probabilities):
        assert np.all(_cumulative(weights, means, sds, found[:, k] - step) <= probability + 2e-6)
        assert np.all(_cumulative(weights, means, sds, found[:, k] + step) >= probability - 2e-6)

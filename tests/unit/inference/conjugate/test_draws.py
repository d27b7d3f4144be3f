"""Draws of groups' parameters: moments, and tiny shapes."""

from __future__ import annotations

import numpy as np
import pytest

from partialpool.inference.conjugate.draws import (
    draw_proportions,
    draw_rates,
)

N = 200_000


def _check(draws, mean, sd):
    assert draws.mean() == pytest.approx(mean, abs=5 * sd / N**0.5)
    assert draws.std() == pytest.approx(sd, rel=0.02)


def test_known_groups_have_the_moments_of_their_posteriors():
    rng = np.random.default_rng(1)
    alpha, beta = np.full(N, 5.0), np.full(N, 95.0)
    p = draw_proportions(alpha, beta, np.array([2.0, 40.0]), np.array([20.0, 400.0]), rng)
    _check(p[:, 0], 7 / 120, (7 * 113 / 120**2 / 121) ** 0.5)
    _check(p[:, 1], 45 / 500, (45 * 455 / 500**2 / 501) ** 0.5)
    rates = draw_rates(alpha, beta, np.array([2.0]), np.array([20.0]), rng)
    _check(rates[:, 0], 7 / 115, 7**0.5 / 115)


def test_tiny_shapes_give_neither_0_nor_1():
    rng = np.random.default_rng(2)
    alpha = np.full(20_000, 0.01)
    p = draw_proportions(alpha, alpha, np.zeros(1), np.zeros(1), rng)
    assert 0.0 < p.min() < 1e-100
    assert p.max() < 1.0
    assert (p > 0.5).mean() == pytest.approx(0.5, abs=0.02)
    # P(p < x) is x^a / (a B(a, b)) for tiny x
    assert (p < 1e-50).mean() == pytest.approx(0.5 * 10 ** (-50 * 0.01), abs=0.02)
    rates = draw_rates(alpha, alpha, np.zeros(1), np.zeros(1), rng)
    assert rates.min() > 0.0
    assert (rates < 1e-50).mean() == pytest.approx(10 ** (-48 * 0.01) * 1.0057 * 10**-0.04, abs=0.02)


def test_draws_follow_their_own_hyperparameters():
    rng = np.random.default_rng(4)
    p = draw_proportions(np.array([1e12, 3e12]), np.array([3e12, 1e12]), np.zeros(2), np.zeros(2), rng)
    np.testing.assert_allclose(p, [[0.25, 0.25], [0.75, 0.75]], atol=1e-5)

"""Mixtures of t densities: their nodes have their density, and they are wider than what they were fitted to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from partialpool.numerics.sampling.t_mixture import MOST_COORDINATES, TMixture, fit_t_mixture


def test_log_density_is_scipys() -> None:
    root = np.array([[1.0, 0.0], [0.5, 2.0]])
    mixture = TMixture(np.array([0.3, 0.7]), np.array([[0.0, 1.0], [3.0, -2.0]]), np.array([root, 0.5 * root]))
    points = np.random.default_rng(1).normal(size=(50, 2))
    first = stats.multivariate_t([0.0, 1.0], root @ root.T, df=5).pdf(points)
    second = stats.multivariate_t([3.0, -2.0], 0.25 * root @ root.T, df=5).pdf(points)
    assert np.allclose(np.exp(mixture.log_density(points)), 0.3 * first + 0.7 * second)


def test_nodes_have_the_density_of_the_mixture_that_is_returned_with_them() -> None:
    """The mean of another density's ratio to the mixture's, over the mixture's nodes, is 1."""
    rng = np.random.default_rng(2)
    points = np.concatenate([rng.normal(size=(500, 3)), 4.0 + 0.5 * rng.normal(size=(300, 3))])
    mixture = fit_t_mixture(points, 3, seed=0)
    nodes, made = mixture.propose(8192, 0.0)
    other = np.logaddexp(
        np.log(0.6) + stats.norm.logpdf(nodes).sum(axis=1), np.log(0.4) + stats.norm.logpdf(nodes, 4.0, 0.5).sum(axis=1)
    )
    weights = np.exp(other - made.log_density(nodes))
    assert weights.mean() == pytest.approx(1.0, abs=0.01)
    assert weights.max() < 8.0  # nowhere is the mixture much thinner than what the points came from


def test_columns_of_wild_units_and_a_thin_ridge() -> None:
    rng = np.random.default_rng(3)
    z = rng.normal(size=(1000, 2))
    points = np.column_stack([1e6 * z[:, 0], 1e-6 * (z[:, 0] + 1e-3 * z[:, 1]) + 1.0])
    nodes, made = fit_t_mixture(points, 2, seed=0).propose(4096, 0.3)
    away = (1e6 * (nodes[:, 1] - 1.0) - 1e-6 * nodes[:, 0]) / 1e-3
    assert np.quantile(np.abs(away), 0.9) < 5.0
    assert np.isfinite(made.log_density(nodes)).all()


def test_the_most_hyperparameters_that_are_computed() -> None:
    """Of 40 coordinates a lattice of 41; the mean square of standard normal ones, weighed, is 1."""
    assert MOST_COORDINATES == 40
    mixture = TMixture(np.ones(1), np.zeros((1, 40)), 1.2 * np.eye(40)[None])
    nodes, made = mixture.propose(2**15, 0.0)
    weights = np.exp(stats.norm.logpdf(nodes).sum(axis=1) - made.log_density(nodes))
    assert weights.mean() == pytest.approx(1.0, abs=0.1)
    assert weights @ (nodes**2).mean(axis=1) / weights.sum() == pytest.approx(1.0, abs=0.02)

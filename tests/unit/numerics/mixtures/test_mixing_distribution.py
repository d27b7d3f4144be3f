"""Nonparametric maximum likelihood: its conditions between the points of any grid, a brute-force optimum, and time."""

import time

import numpy as np
import pytest
from scipy.optimize import minimize

from partialpool.errors import ComputationError, DataError
from partialpool.numerics.mixtures.mixing_distribution import estimate_mixing_distribution
from partialpool.numerics.mixtures.nonnegative_quadratic import maximise_quadratic


def normal_likelihoods(values, errors):
    return lambda points: -0.5 * ((values[:, None] - points) / errors[:, None]) ** 2


def grid_for(values, errors):
    """Return five points for each sd of the narrowest likelihood about each value."""
    near = values[:, None] + errors[:, None] * np.arange(-32, 33) / 5.0
    return np.unique(np.clip(near, values.min(), values.max()))


def normals(errors, n_groups=150, seed=3):
    values = np.random.default_rng(seed).standard_t(3, n_groups)
    errors = np.broadcast_to(errors, values.shape)
    return normal_likelihoods(values, errors), grid_for(values, errors), n_groups


def binomials(n_groups=6_000):
    rng = np.random.default_rng(0)
    trials = rng.integers(5, 200, n_groups)
    successes = rng.binomial(trials, 1 / (1 + np.exp(-rng.normal(-1.0, 0.8, n_groups))))

    def log_likelihood(points):
        return successes[:, None] * points - trials[:, None] * np.logaddexp(0.0, points)

    return log_likelihood, np.linspace(-6.0, 4.0, 300), n_groups


CASES = {
    "wide": normals(1.0),
    "tight": normals(0.1),
    "one point a group": normals(0.004, 60),
    "errors of all sizes": normals(10.0 ** np.random.default_rng(1).uniform(-4, 1, 100), 100),
    "one precise among many": normals(np.append(np.full(20, 0.5), 1e-6), 21),
    "binomial": binomials(400),
    "shifted by a large constant": (lambda points: CASES["wide"][0](points) - 1e8, *normals(1.0)[1:]),
    "one group": normals(1.0, 1),
    "flat": (lambda points: np.zeros((5, len(points))), np.linspace(0.0, 1.0, 30), 5),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_conditions_of_the_maximum_hold_between_the_grid_points(name, weighted):
    log_likelihood, grid, n_groups = CASES[name]
    group_weights = 10.0 ** np.random.default_rng(2).uniform(-1, 2, n_groups) if weighted else np.ones(n_groups)
    got = estimate_mixing_distribution(log_likelihood, grid, group_weights)
    assert (got.weights > 0.0).all()
    assert (np.diff(got.points) > 0.0).all()
    assert got.weights.sum() == pytest.approx(1.0, abs=1e-12)
    at_support = log_likelihood(got.points)
    top = at_support.max(axis=1)
    density = np.exp(at_support - top[:, None]) @ got.weights
    shares = group_weights / group_weights.sum() / density
    between = (
        np.unique((grid[:-1] + np.diff(grid) * np.linspace(0.0, 1.0, 12)[:, None]).ravel()) if len(grid) > 1 else grid
    )
    directions = np.concatenate(
        [shares @ np.exp(log_likelihood(part) - top[:, None]) for part in np.array_split(between, 20) if len(part)]
    )
    rounding = 1e-6 if "constant" in name else 1e-12  # of log likelihoods of 1e8
    assert directions.max() - 1.0 <= got.gap + rounding
    assert got.gap <= 1e-8 + rounding
    value = group_weights @ (top + np.log(density))
    assert got.log_likelihood == pytest.approx(value, rel=1e-12, abs=1e-9)


def test_brute_force_finds_the_same_maximum():
    values, errors = np.array([-2.1, -1.7, 0.3, 0.4, 2.2]), np.array([0.7, 0.5, 0.7, 0.1, 0.6])
    counts = np.array([3.0, 1.0, 2.0, 0.5, 1.0])
    log_likelihood = normal_likelihoods(values, errors)

    def lack(x):
        weights = np.exp(x[:4] - np.logaddexp.reduce(x[:4]))
        return -counts @ np.log(np.exp(log_likelihood(x[4:])) @ weights)

    runs = []
    for seed in range(6):
        start = np.random.default_rng(seed).normal(size=8)
        runs.append(minimize(lack, start, method="Nelder-Mead", options={"maxiter": 20_000, "maxfev": 20_000}))
    best = -min(run.fun for run in runs)
    got = estimate_mixing_distribution(log_likelihood, grid_for(values, errors), counts)
    assert got.log_likelihood == pytest.approx(best, abs=1e-5)
    assert got.log_likelihood >= best - counts.sum() * got.gap - 1e-12


def test_group_weights_stand_for_repeated_groups():
    values, errors = np.random.default_rng(4).standard_t(3, 50), np.full(50, 0.1)
    counts = np.random.default_rng(8).integers(1, 4, 50)
    grid = grid_for(values, errors)
    got = estimate_mixing_distribution(normal_likelihoods(values, errors), grid, counts.astype(float))
    repeated = normal_likelihoods(np.repeat(values, counts), np.repeat(errors, counts))
    other = estimate_mixing_distribution(repeated, grid, np.ones(counts.sum()))
    assert got.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-10)
    np.testing.assert_allclose(got.weights, other.weights, atol=1e-4)
    np.testing.assert_allclose(got.points, other.points, atol=1e-3)


def test_support_is_found_and_small():
    rng = np.random.default_rng(9)
    data = rng.normal(np.where(rng.random(3000) < 0.3, 4.0, 0.0))
    errors = np.ones(3000)
    got = estimate_mixing_distribution(normal_likelihoods(data, errors), np.linspace(-5.0, 8.0, 80), errors)
    assert len(got.points) < 15
    assert got.weights[got.points > 2.0].sum() == pytest.approx(0.3, abs=0.03)
    assert got.weights @ got.points == pytest.approx(data.mean(), abs=1e-4)


def test_many_groups_take_little_time():
    log_likelihood, grid, n_groups = binomials()
    start = time.process_time()
    got = estimate_mixing_distribution(log_likelihood, grid, np.ones(n_groups))
    assert time.process_time() - start < 6.0
    assert got.gap <= 1e-8
    assert len(got.points) < 60


def test_maximum_that_is_not_reached_is_said(monkeypatch):
    monkeypatch.setattr("partialpool.numerics.mixtures.mixing_distribution._MOST_STEPS", 2)
    log_likelihood, grid, n_groups = CASES["tight"]
    with pytest.raises(ComputationError, match="gap to the maximum"):
        estimate_mixing_distribution(log_likelihood, grid, np.ones(n_groups))


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_likelihoods_that_are_none_are_refused(bad):
    def log_likelihood(points):
        return np.array([[0.0], [bad]]) + np.zeros(len(points))

    with pytest.raises(DataError, match="group 1 "):
        estimate_mixing_distribution(log_likelihood, np.linspace(0.0, 1.0, 5), np.ones(2))


@pytest.mark.parametrize("rank", [1, 5, 40])
def test_quadratic_maximum_meets_its_conditions(rank):
    rng = np.random.default_rng(rank)
    factor = rng.normal(size=(30, rank)) + 0.5
    hessian, linear = factor @ factor.T, factor @ rng.normal(size=rank) + 0.3 * np.abs(factor).sum(axis=1)
    if rank < 30:
        linear = factor @ np.linalg.pinv(factor) @ linear - 0.01  # bounded: falls wherever the hessian is zero
    got = maximise_quadratic(hessian, linear, np.zeros(30))
    slopes = hessian @ got - linear
    assert (got >= 0.0).all()
    assert slopes.min() > -1e-9
    assert np.abs(got * slopes).max() < 1e-9


def test_errors_of_a_thousandfold_range_and_points_far_out() -> None:
    """The quadratic step went to and fro between two points, and hundreds of them were joined at every step."""
    rng = np.random.default_rng(11)
    places, errors = rng.standard_cauchy(150), np.exp(rng.normal(-2.0, 1.5, 150))

    log_likelihood = normal_likelihoods(places, errors)
    around = places[:, None] + errors[:, None] * np.linspace(-4.0, 4.0, 33)
    found = estimate_mixing_distribution(log_likelihood, np.unique(around), np.ones(150))
    assert found.gap < 1e-7
    assert found.n_iterations < 60
    everywhere = log_likelihood(np.unique(np.concatenate([around.ravel(), found.points])))
    density = np.exp(log_likelihood(found.points)) @ found.weights
    assert np.max(np.mean(np.exp(everywhere) / density[:, None], axis=0)) < 1.0 + 1e-6

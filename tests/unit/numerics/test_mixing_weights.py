"""Nonparametric maximum likelihood: its conditions, a brute-force optimum, hard cases, and time."""

import time

import numpy as np
import pytest
from scipy.optimize import minimize

from partialpool.errors import ComputationError, DataError
from partialpool.numerics.mixing_weights import estimate_mixing_weights
from partialpool.numerics.nonnegative_quadratic import maximise_quadratic
from partialpool.numerics.normal_mixture_problem import pose_mixture


def directions(logs, group_weights, weights):
    """Return D (point,) in long double."""
    scaled = np.exp((logs - logs.max(axis=1, keepdims=True)).astype(np.longdouble))
    shares = group_weights / group_weights.sum()
    return (shares / (scaled @ weights)) @ scaled


def binomials(n_groups=14_000, n_points=300):
    rng = np.random.default_rng(0)
    trials = rng.integers(5, 200, n_groups)
    points = np.linspace(-6.0, 4.0, n_points)
    successes = rng.binomial(trials, 1 / (1 + np.exp(-rng.normal(-1.0, 0.8, n_groups))))
    return successes[:, None] * points - trials[:, None] * np.logaddexp(0.0, points)


def normals(width, n_groups=400, n_points=150):
    places = np.random.default_rng(3).standard_t(3, n_groups)
    return -0.5 * ((places[:, None] - np.linspace(places.min(), places.max(), n_points)) / width) ** 2


def unordered():
    return 4.0 * np.random.default_rng(4).normal(size=(150, 90))


def duplicated():
    return np.repeat(np.random.default_rng(5).normal(size=(60, 12)), 10, axis=1)


def with_zeros():
    rng = np.random.default_rng(6)
    logs = rng.normal(size=(80, 60))
    logs[rng.random(logs.shape) < 0.8] = -np.inf
    logs[np.arange(80), rng.integers(0, 60, 80)] = 0.0
    return logs


CASES = {
    "wide": normals(1.0),
    "tight": normals(0.1),
    "one point a group": normals(0.004),
    "binomial": binomials(500, 120),
    "unordered": unordered(),
    "duplicated": duplicated(),
    "zeros": with_zeros(),
    "huge": 1e3 * unordered() - 1e8,
    "one group": normals(1.0)[:1],
    "one point": normals(1.0)[:, :1],
    "flat": np.zeros((5, 30)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_conditions_of_the_maximum_hold(name, weighted):
    logs = CASES[name]
    group_weights = 10.0 ** np.random.default_rng(2).uniform(-1, 2, len(logs)) if weighted else np.ones(len(logs))
    got = estimate_mixing_weights(logs, group_weights if weighted else None)
    assert (got.weights >= 0.0).all()
    assert got.weights.sum() == pytest.approx(1.0, abs=1e-12)
    d = directions(logs, group_weights, got.weights)
    assert d.max() - 1.0 < 1.1e-8
    assert got.gap == pytest.approx(float(d.max() - 1.0), abs=1e-12 * max(1.0, np.abs(logs[np.isfinite(logs)]).max()))
    np.testing.assert_allclose(d[got.weights > 1e-6].astype(float), 1.0, atol=1e-2)
    assert got.weights @ d.astype(float) == pytest.approx(1.0, abs=1e-12)
    largest = logs.max(axis=1)
    value = group_weights @ (largest + np.log(np.exp(logs - largest[:, None]) @ got.weights))
    assert got.log_likelihood == pytest.approx(value, rel=1e-13)


def test_brute_force_finds_the_same_maximum():
    points = np.linspace(-3.0, 3.0, 7)
    data = np.array([-2.1, -1.7, 0.3, 0.4, 2.2])
    counts = np.array([3.0, 1.0, 2.0, 0.5, 1.0])
    logs = -0.5 * ((data[:, None] - points) / 0.7) ** 2

    def lack(logits):
        weights = np.exp(logits - np.logaddexp.reduce(logits))
        return -counts @ np.log(np.exp(logs) @ weights)

    runs = [
        minimize(lack, np.random.default_rng(i).normal(size=7), method="BFGS", options={"gtol": 1e-9}) for i in range(4)
    ]
    best = min(runs, key=lambda run: run.fun)
    got = estimate_mixing_weights(logs, counts)
    assert got.log_likelihood == pytest.approx(-best.fun, abs=1e-7)
    assert got.log_likelihood >= -best.fun - 1e-12
    np.testing.assert_allclose(got.weights, np.exp(best.x - np.logaddexp.reduce(best.x)), atol=2e-3)


def test_group_weights_stand_for_repeated_groups():
    logs = CASES["tight"][:50]
    counts = np.random.default_rng(8).integers(0, 4, 50)
    got = estimate_mixing_weights(logs, counts.astype(float))
    repeated = estimate_mixing_weights(np.repeat(logs, counts, axis=0))
    assert got.log_likelihood == pytest.approx(repeated.log_likelihood, rel=1e-10)
    np.testing.assert_allclose(got.weights, repeated.weights, atol=1e-5)


@pytest.mark.parametrize("order", ["C", "F"])
def test_likelihoods_given_stay_as_they_are(order):
    logs = np.array(CASES["tight"], order=order)
    estimate_mixing_weights(logs)
    pose_mixture(logs, np.arange(logs.shape[1], dtype=float))
    np.testing.assert_array_equal(logs, CASES["tight"])


def test_support_is_found_and_small():
    rng = np.random.default_rng(9)
    points = np.linspace(-5.0, 8.0, 400)
    data = rng.normal(np.where(rng.random(3000) < 0.3, 4.0, 0.0))
    got = estimate_mixing_weights(-0.5 * (data[:, None] - points) ** 2)
    assert (got.weights > 0.0).sum() < 15
    assert got.weights[points > 2.0].sum() == pytest.approx(0.3, abs=0.03)
    assert got.weights @ points == pytest.approx(data.mean(), abs=1e-3)


def test_many_groups_take_little_time():
    logs = binomials()
    start = time.perf_counter()
    got = estimate_mixing_weights(logs)
    assert time.perf_counter() - start < 3.0  # 0.15 s alone
    assert got.gap <= 1e-8
    assert np.count_nonzero(got.weights) < 60


def test_maximum_that_is_not_reached_is_said(monkeypatch):
    monkeypatch.setattr("partialpool.numerics.mixing_weights._MOST_STEPS", 2)
    with pytest.raises(ComputationError, match="gap to the maximum"):
        estimate_mixing_weights(CASES["tight"])


@pytest.mark.parametrize(
    ("logs", "weights", "said"),
    [
        (np.zeros(4), None, "group, point"),
        (np.zeros((0, 4)), None, "group, point"),
        (np.zeros((2, 4)), np.ones(3), "give 2 numbers"),
        (np.zeros((2, 4)), np.array([1.0, -1.0]), "give 2 numbers"),
        (np.zeros((2, 4)), np.zeros(2), "give 2 numbers"),
        (np.array([[0.0, 1.0], [0.0, np.nan]]), None, "group 1"),
        (np.array([[0.0, 1.0], [1.0, 2.0], [-np.inf, -np.inf]]), np.array([0.0, 1.0, 1.0]), "group 2 "),
    ],
)
def test_wrong_likelihoods_are_refused(logs, weights, said):
    with pytest.raises(DataError, match=said):
        estimate_mixing_weights(logs, weights)


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

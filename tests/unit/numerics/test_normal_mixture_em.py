"""Mixtures of normals as populations: EM climbs, derivatives, known mixtures, guards."""

import numpy as np
import pytest
from scipy.optimize import minimize

from partialpool.errors import DataError
from partialpool.numerics.normal_mixture_em import (
    draw_starts,
    em_step,
    estimate_normal_mixture,
    fit_normal_mixture,
)
from partialpool.numerics.normal_mixture_newton import measure_curvature
from partialpool.numerics.normal_mixture_problem import MixtureParameters, pose_mixture


def observed(n_groups=1500, error=0.3, seed=0):
    """Return estimates of group parameters from two normals, each with a known error."""
    rng = np.random.default_rng(seed)
    second = rng.random(n_groups) < 0.3
    true = np.where(second, rng.normal(2.0, 0.5, n_groups), rng.normal(-1.0, 0.8, n_groups))
    return rng.normal(true, error)


def problem_of(estimates, error=0.3, group_weights=None, n_points=250):
    points = np.linspace(estimates.min() - 2.0, estimates.max() + 2.0, n_points)
    logs = -0.5 * ((estimates[:, None] - points) / error) ** 2 - np.log(error * np.sqrt(2 * np.pi))
    return pose_mixture(logs, points, group_weights)


@pytest.mark.parametrize("components", [1, 2, 4])
def test_em_never_falls(components):
    problem = problem_of(observed(300))
    parameters = draw_starts(problem, components, np.random.default_rng(1), 5)
    values = problem.log_likelihood(parameters)
    for _ in range(60):
        parameters = em_step(problem, parameters)
        new_values = problem.log_likelihood(parameters)
        assert (new_values >= values - 1e-9).all()
        values = new_values
    assert parameters.weights.sum(axis=1) == pytest.approx(1.0)


def test_em_never_falls_at_the_floor():
    estimates = np.concatenate([np.full(50, 0.0), np.random.default_rng(3).normal(3.0, 1.0, 50)])
    problem = problem_of(estimates, error=0.1, n_points=80)
    parameters = draw_starts(problem, 2, np.random.default_rng(1), 4)
    values = problem.log_likelihood(parameters)
    for _ in range(60):
        parameters = em_step(problem, parameters)
        new_values = problem.log_likelihood(parameters)
        assert (new_values >= values - 1e-9).all()
        values = new_values
    assert (parameters.sds[0] == problem.floor).any()


def test_log_likelihood_is_that_of_normal_convolutions():
    estimates = observed(200)
    problem = problem_of(estimates)
    weights, means, sds = np.array([0.2, 0.8]), np.array([1.0, -0.5]), np.array([0.3, 1.2])
    spread = np.sqrt(sds**2 + 0.3**2)
    each = weights * np.exp(-0.5 * ((estimates[:, None] - means) / spread) ** 2) / spread / np.sqrt(2 * np.pi)
    got = problem.log_likelihood(MixtureParameters(weights[None], means[None], sds[None]))[0]
    assert got == pytest.approx(np.log(each.sum(axis=1)).sum(), abs=1e-7)


def test_simulated_mixture_is_recovered_and_nothing_is_better():
    estimates = observed(4000)
    fit = fit_normal_mixture(problem_of(estimates), 2, np.random.default_rng(2))
    assert fit.means[0] < fit.means[1]
    np.testing.assert_allclose(fit.weights, [0.7, 0.3], atol=0.04)
    np.testing.assert_allclose(fit.means, [-1.0, 2.0], atol=0.1)
    np.testing.assert_allclose(fit.sds, [0.8, 0.5], atol=0.08)
    assert not fit.at_floor.any()

    def lack(x):
        weights = np.array([1 / (1 + np.exp(-x[0])), 1 / (1 + np.exp(x[0]))])
        spread = np.sqrt(np.exp(2 * x[3:]) + 0.09)
        each = weights * np.exp(-0.5 * ((estimates[:, None] - x[1:3]) / spread) ** 2) / spread / np.sqrt(2 * np.pi)
        return -np.log(each.sum(axis=1)).sum()

    best = minimize(lack, np.array([0.8, -1.0, 2.0, -0.2, -0.7]), method="BFGS", options={"gtol": 1e-4})
    assert fit.log_likelihood == pytest.approx(-best.fun, rel=1e-8)
    np.testing.assert_allclose(fit.means, best.x[1:3], atol=1e-3)


@pytest.mark.parametrize("components", [1, 3])
def test_fit_is_a_maximum_to_eight_digits_whatever_the_starts(components):
    problem = problem_of(observed(2000))
    fits = [fit_normal_mixture(problem, components, np.random.default_rng(seed), 10) for seed in (1, 2)]
    assert fits[0].log_likelihood == pytest.approx(fits[1].log_likelihood, rel=1e-8)
    assert list(fits[0].start_log_likelihoods) == sorted(fits[0].start_log_likelihoods, reverse=True)
    fit = fits[0]
    parameters = MixtureParameters(fit.weights[None], fit.means[None], fit.sds[None])
    assert problem.log_likelihood(parameters)[0] == pytest.approx(fit.log_likelihood, rel=1e-13)
    for _ in range(200):
        parameters = em_step(problem, parameters)
    assert problem.log_likelihood(parameters)[0] == pytest.approx(fit.log_likelihood, rel=1e-8)


def test_one_component_is_the_normal_population():
    estimates = observed(500)
    fit = fit_normal_mixture(problem_of(estimates), 1, np.random.default_rng(0))
    assert fit.means[0] == pytest.approx(estimates.mean(), abs=1e-5)
    assert fit.sds[0] == pytest.approx(np.sqrt(estimates.var() - 0.09), abs=1e-5)


def test_group_weights_stand_for_repeated_groups():
    estimates = observed(300)
    counts = np.random.default_rng(7).integers(1, 4, 300)
    repeated = np.repeat(estimates, counts)
    first = fit_normal_mixture(problem_of(estimates, group_weights=counts.astype(float)), 2, np.random.default_rng(1))
    second = fit_normal_mixture(problem_of(repeated), 2, np.random.default_rng(1))
    assert first.log_likelihood == pytest.approx(second.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(first.means, second.means, atol=1e-4)


def test_component_that_collapses_is_kept_at_the_spacing_and_said():
    estimates = np.concatenate([np.full(400, 0.0), np.random.default_rng(3).normal(3.0, 1.0, 400)])
    problem = problem_of(estimates, error=0.1)
    fit = fit_normal_mixture(problem, 2, np.random.default_rng(1))
    assert list(fit.at_floor) == [True, False]
    assert fit.sds[0] == pytest.approx(problem.floor)
    assert fit.means[0] == pytest.approx(0.0, abs=0.02)
    assert fit.weights[0] == pytest.approx(0.5, abs=0.02)


def test_estimate_is_the_fit_of_the_problem_posed():
    estimates = observed(200)
    points = np.linspace(-5.0, 5.0, 150)
    logs = -0.5 * ((estimates[:, None] - points) / 0.3) ** 2
    fit = fit_normal_mixture(pose_mixture(logs, points), 2, np.random.default_rng(0))
    np.testing.assert_array_equal(estimate_normal_mixture(points, logs, None, 2).means, fit.means)


def test_same_seed_gives_the_same_fit():
    problem = problem_of(observed(300))
    fits = [fit_normal_mixture(problem, 3, np.random.default_rng(4)) for _ in range(2)]
    assert fits[0].log_likelihood == fits[1].log_likelihood
    np.testing.assert_array_equal(fits[0].means, fits[1].means)


def test_curvature_is_that_of_the_likelihood():
    problem = problem_of(observed(100), group_weights=np.random.default_rng(1).exponential(size=100))
    n = 3
    x = np.concatenate([[-1.2, 0.4, 2.1], np.log([0.9, 0.5, 0.6]), np.log([0.5, 0.2, 0.3])])

    def unpack(x):
        weights = np.exp(x[2 * n :] - np.logaddexp.reduce(x[2 * n :]))
        return MixtureParameters(weights[None], x[None, :n], np.exp(x[None, n : 2 * n]))

    def curvature(x):
        parameters = unpack(x)
        masses = problem.masses(parameters)[0]
        return measure_curvature(
            problem.likelihoods, problem.points, problem.group_weights, masses, *(array[0] for array in parameters)
        )

    gradient, hessian = curvature(x)
    for i, step in enumerate(1e-5 * np.eye(3 * n)):
        values = [problem.log_likelihood(unpack(x + sign * step))[0] for sign in (1, -1)]
        assert gradient[i] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-5)
        slopes = (curvature(x + step).gradient - curvature(x - step).gradient) / 2e-5
        np.testing.assert_allclose(hessian[i], slopes, atol=1e-5)


@pytest.mark.parametrize(
    ("logs", "points", "weights", "said"),
    [
        (np.zeros((2, 4)), np.arange(3.0), None, "group, point"),
        (np.zeros((2, 4)), np.array([0.0, 1.0, 1.0, 2.0]), None, "must increase"),
        (np.zeros((2, 4)), np.arange(4.0), np.ones(3), "give 2 numbers"),
        (np.full((2, 4), -np.inf), np.arange(4.0), None, "group 0"),
    ],
)
def test_wrong_problems_are_refused(logs, points, weights, said):
    with pytest.raises(DataError, match=said):
        pose_mixture(logs, points, weights)

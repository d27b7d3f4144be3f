"""Mixtures of normals as populations: EM climbs, derivatives, known mixtures, components that are points."""

import numpy as np
import pytest
from scipy.optimize import minimize

from partialpool.numerics.mixtures.normal_mixture_em import draw_starts, em_step, estimate_normal_mixture
from partialpool.numerics.mixtures.normal_mixture_newton import measure_curvature
from partialpool.numerics.mixtures.normal_mixture_problem import MixtureParameters, MixtureProblem, NormalIntegrals


def observed(n_groups=1500, error=0.3, seed=0):
    """Return estimates of group parameters from two normals, each with a known error."""
    rng = np.random.default_rng(seed)
    second = rng.random(n_groups) < 0.3
    true = np.where(second, rng.normal(2.0, 0.5, n_groups), rng.normal(-1.0, 0.8, n_groups))
    return rng.normal(true, error)


def problem_of(estimates, error=0.3, group_weights=None):
    """Return the problem of normal likelihoods, whose integrals and moments have closed forms."""
    errors = np.broadcast_to(error, estimates.shape)[:, None]

    def integrate(means, sds):
        variance, left = errors**2 + sds**2, estimates[:, None] - means
        z, v = sds * left / variance, errors**2 / variance
        logs = -0.5 * (left**2 / variance + np.log(2 * np.pi * variance))
        moments = [z, z**2 + v, z**3 + 3 * z * v, z**4 + 6 * z**2 * v + 3 * v**2]
        return NormalIntegrals(logs, np.stack(moments))

    weights = np.ones(len(estimates)) if group_weights is None else group_weights
    return MixtureProblem(integrate, weights, estimates.min(), estimates.max(), float(errors.min()))


def fit(estimates, components, error=0.3, group_weights=None, seed=0):
    weights = np.ones(len(estimates)) if group_weights is None else group_weights
    order = np.argsort(estimates)
    start = estimates[order], weights[order] / weights.sum()
    return estimate_normal_mixture(problem_of(estimates, error, group_weights), components, *start, seed=seed)


def convolved(estimates, weights, means, sds, error=0.3):
    spread = np.sqrt(np.square(sds) + error**2)
    each = weights * np.exp(-0.5 * ((estimates[:, None] - means) / spread) ** 2) / spread / np.sqrt(2 * np.pi)
    return np.log(each.sum(axis=1)).sum()


@pytest.mark.parametrize("components", [1, 2, 4])
@pytest.mark.parametrize("collapsed", [False, True])
def test_em_never_falls(components, collapsed):
    estimates = np.concatenate([np.full(60 * collapsed, 0.5), observed(150)])
    problem = problem_of(estimates, 0.1)
    parameters = draw_starts(
        np.sort(estimates), np.full(len(estimates), 1.0 / len(estimates)), components, 0.1, np.random.default_rng(1)
    )
    values = problem.expect(parameters).log_likelihood
    for _ in range(40):
        parameters = em_step(problem, parameters)
        new_values = problem.expect(parameters).log_likelihood
        assert (new_values >= values - 1e-9).all()
        values = new_values
    assert parameters.weights.sum(axis=1) == pytest.approx(1.0)


def test_simulated_mixture_is_recovered_and_nothing_is_better():
    estimates = observed(1500)
    got = fit(estimates, 2)
    assert got.means[0] < got.means[1]
    np.testing.assert_allclose(got.weights, [0.7, 0.3], atol=0.06)
    np.testing.assert_allclose(got.means, [-1.0, 2.0], atol=0.15)
    np.testing.assert_allclose(got.sds, [0.8, 0.5], atol=0.12)
    assert not got.at_floor.any()
    assert got.log_likelihood == pytest.approx(convolved(estimates, got.weights, got.means, got.sds), rel=1e-12)

    def lack(x):
        weights = np.array([1 / (1 + np.exp(-x[0])), 1 / (1 + np.exp(x[0]))])
        return -convolved(estimates, weights, x[1:3], np.exp(x[3:]))

    best = minimize(lack, np.array([0.8, -1.0, 2.0, -0.2, -0.7]), method="BFGS", options={"gtol": 1e-4})
    assert got.log_likelihood == pytest.approx(-best.fun, rel=1e-8)
    np.testing.assert_allclose(got.means, best.x[1:3], atol=1e-3)


@pytest.mark.parametrize("components", [1, 3])
def test_fit_is_a_maximum_to_eight_digits_whatever_the_starts(components):
    estimates = observed(400)
    fits = [fit(estimates, components, seed=seed) for seed in (1, 2)]
    assert fits[0].log_likelihood == pytest.approx(fits[1].log_likelihood, rel=1e-8)
    assert list(fits[0].start_log_likelihoods) == sorted(fits[0].start_log_likelihoods, reverse=True)
    parameters = MixtureParameters(fits[0].weights[None], fits[0].means[None], fits[0].sds[None])
    problem = problem_of(estimates)
    for _ in range(100):
        parameters = em_step(problem, parameters)
    assert problem.expect(parameters).log_likelihood[0] == pytest.approx(fits[0].log_likelihood, rel=1e-8)


def test_one_component_is_the_normal_population():
    estimates = observed(500)
    got = fit(estimates, 1)
    assert got.means[0] == pytest.approx(estimates.mean(), abs=1e-5)
    assert got.sds[0] == pytest.approx(np.sqrt(estimates.var() - 0.09), abs=1e-5)


def test_group_weights_stand_for_repeated_groups():
    estimates = observed(200)
    counts = np.random.default_rng(7).integers(1, 4, 200)
    first, second = fit(estimates, 2, group_weights=counts.astype(float)), fit(np.repeat(estimates, counts), 2)
    assert first.log_likelihood == pytest.approx(second.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(first.means, second.means, atol=1e-4)


def test_component_that_is_a_point_is_said():
    estimates = np.concatenate([np.full(200, 0.0), np.random.default_rng(3).normal(3.0, 1.0, 200)])
    got = fit(estimates, 2, error=0.1)
    assert list(got.at_floor) == [True, False]
    assert got.sds[0] == pytest.approx(1e-4)
    assert got.means[0] == pytest.approx(0.0, abs=0.02)
    assert got.weights[0] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("far", [20.0, 2e3, 2e6])
def test_group_far_from_the_others_has_a_component(far):
    estimates = np.append(np.linspace(-2.0, 2.0, 30), -far)
    got = fit(estimates, 2, error=0.05)
    # in closed form: 30 groups under one normal of their own mean and variance, one at its own value
    variance = estimates[:30].var()
    alone = np.log(1 / 31) - np.log(0.05 * np.sqrt(2 * np.pi))
    expected = alone + 30 * np.log(30 / 31) - 15 * (np.log(2 * np.pi * variance) + 1.0)
    assert got.log_likelihood == pytest.approx(expected, abs=1e-4)


def test_more_components_than_points_are_no_better():
    estimates = np.array([-1.0, 1.0])
    assert fit(estimates, 4).log_likelihood == pytest.approx(fit(estimates, 2).log_likelihood, abs=1e-5)


def test_same_seed_gives_the_same_fit():
    fits = [fit(observed(300), 3, seed=4) for _ in range(2)]
    assert fits[0].log_likelihood == fits[1].log_likelihood
    np.testing.assert_array_equal(fits[0].means, fits[1].means)


def test_curvature_is_that_of_the_likelihood():
    group_weights = np.random.default_rng(1).exponential(size=100)
    problem = problem_of(observed(100), group_weights=group_weights)
    n = 3
    x = np.concatenate([[-1.2, 0.4, 2.1], np.log([0.9, 0.5, 0.6]), np.log([0.5, 0.2, 0.3])])

    def unpack(x):
        weights = np.exp(x[2 * n :] - np.logaddexp.reduce(x[2 * n :]))
        return MixtureParameters(weights[None], x[None, :n], np.exp(x[None, n : 2 * n]))

    def curvature(x):
        parameters = unpack(x)
        found = problem.expect(parameters)
        return measure_curvature(
            found.shares[0], found.moments[:, 0], group_weights, parameters.weights[0], parameters.sds[0]
        )

    gradient, hessian = curvature(x)
    for i, step in enumerate(1e-5 * np.eye(3 * n)):
        values = [problem.expect(unpack(x + sign * step)).log_likelihood[0] for sign in (1, -1)]
        assert gradient[i] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-5)
        slopes = (curvature(x + step).gradient - curvature(x - step).gradient) / 2e-5
        np.testing.assert_allclose(hessian[i], slopes, atol=1e-5)

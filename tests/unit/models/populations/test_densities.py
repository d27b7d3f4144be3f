"""Densities, derivatives, windows, grids, moments and draws of populations."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, stdtrit

from partialpool.errors import DataError
from partialpool.models.populations.beta import BetaPopulation
from partialpool.models.populations.gamma import ExponentialPopulation, GammaPopulation
from partialpool.models.populations.lognormal import LognormalPopulation
from partialpool.models.populations.normal import NormalPopulation
from partialpool.models.populations.skew_normal import SkewNormalPopulation
from partialpool.models.populations.student_t import StudentTPopulation

from . import cases

each_case = pytest.mark.parametrize(("population", "values"), cases.CASES, ids=cases.NAMES)


@each_case
def test_density_integrates_to_one_on_its_own_grid(population, values):
    t, weights = cases.grid(population, values)
    density = np.exp(population.log_density(t, cases.arrays(values)))
    # at 1e12 what t and the shapes hold beyond their sixteenth digit is worth 1e-10
    assert density @ weights == pytest.approx(1.0, abs=2e-9)


@each_case
def test_grid_at_the_coarse_step_is_short_and_accurate(population, values):
    t, weights = cases.grid(population, values, log_drop=25.0, step=0.3)
    density = np.exp(population.log_density(t, cases.arrays(values)))
    assert density @ weights == pytest.approx(1.0, abs=1e-6)
    assert len(t) < 700


@each_case
def test_window_holds_what_it_claims(population, values):
    drop = 20.0
    values = cases.arrays(values)
    t, weights = cases.grid(population, values, log_drop=44.0, step=0.05)
    logs = population.log_density(t, values)
    lower, upper = population.window(values, drop)
    assert lower.shape == upper.shape == ()
    for outside in (t < lower, t > upper):
        assert np.exp(logs[outside]) @ weights[outside] < 1.01 * np.exp(-drop)
        assert not outside.any() or logs[outside].max() < logs.max() - drop + 1e-3
    if population.name == "student_t":
        return
    widths = 0.5 * (upper - lower)
    inner = np.abs(t - 0.5 * (lower + upper)) < 0.9 * widths
    assert logs[~inner].max() > logs.max() - 2.0 * drop  # not much wider than needed


@pytest.mark.parametrize("nu", [0.3, 1.0, 2.0, 2.5, 7.0, 30.0, 1e3, 1e6])
@pytest.mark.parametrize("drop", [10.0, 20.0, 36.0])
def test_window_of_student_t_is_a_little_more_than_the_quantile(nu, drop):
    lower, upper = StudentTPopulation(nu).window(cases.arrays((1.0,)), drop)
    quantile = -stdtrit(nu, np.exp(-drop))
    assert lower == -upper
    assert quantile < upper < 1.3 * 2.0 ** max(1.0, 1.0 / nu) * quantile
    assert nu < 10 or upper < 1.25 * quantile


def test_window_of_tails_without_end_is_finite():
    lower, upper = StudentTPopulation(1e-3).window(cases.arrays((1.0,)), 36.0)
    assert np.isfinite([lower, upper]).all()
    assert np.isfinite(StudentTPopulation(1e-3).log_density(upper, cases.arrays((1.0,))))


@pytest.mark.parametrize(
    ("population", "values", "reference"),
    [
        (StudentTPopulation(), (1.3, 0.7), lambda t: stats.t.logpdf(t, 0.7, scale=1.3)),
        (StudentTPopulation(3), (0.2,), lambda t: stats.t.logpdf(t, 3, scale=0.2)),
        (StudentTPopulation(), (2.0, 1e9), lambda t: stats.norm.logpdf(t, scale=2.0)),
        (NormalPopulation(), (2.0,), lambda t: stats.norm.logpdf(t, scale=2.0)),
        (SkewNormalPopulation(), (2.0, 0.0), lambda t: stats.norm.logpdf(t, scale=2.0)),
        (LognormalPopulation(), (3.0, 0.5), lambda t: stats.norm.logpdf(t, np.log(3.0) - 0.125, 0.5)),
        (ExponentialPopulation(), (3.0,), lambda t: stats.expon.logpdf(np.exp(t), scale=3.0) + t),
        (GammaPopulation(), (2.5, 4.0), lambda t: stats.gamma.logpdf(np.exp(t), 2.5, scale=0.25) + t),
        (GammaPopulation(), (1e-3, 4.0), lambda t: stats.loggamma.logpdf(t, 1e-3, loc=-np.log(4.0))),
        (
            BetaPopulation(),
            (2.5, 0.01),
            lambda t: stats.beta.logpdf(1 / (1 + np.exp(-t)), 2.5, 0.01) - np.logaddexp(0, t) - np.logaddexp(0, -t),
        ),
    ],
)
def test_log_density_is_the_textbook_one(population, values, reference):
    t = np.linspace(-5.0, 4.0, 19)
    tolerance = 1e-6 if population.name == "student_t" and values[-1] > 1e8 else 1e-11
    np.testing.assert_allclose(population.log_density(t, cases.arrays(values)), reference(t), rtol=0, atol=tolerance)


@pytest.mark.parametrize("skew", [0.7, -20.0])
def test_skew_normal_is_the_textbook_one_with_mean_zero_and_the_sd_given(skew):
    mean, variance = stats.skewnorm.stats(skew)
    scale = 1.7 / np.sqrt(variance)
    t = np.linspace(-6.0, 6.0, 25)
    expected = stats.skewnorm.logpdf(t, skew, loc=-scale * mean, scale=scale)
    got = SkewNormalPopulation().log_density(t, cases.arrays((1.7, skew)))
    kept = expected > -600  # below, the reference underflows
    assert kept.sum() > 8
    np.testing.assert_allclose(got[kept], expected[kept], rtol=1e-11)
    assert np.isfinite(got).all()


@pytest.mark.parametrize(
    ("population", "values", "reference"),
    [
        # x^a exp(-b x) / Gamma(a) far left and far right; the normal limit of large shapes
        (GammaPopulation(), (1e-3, 2.0), lambda t: -1e-3 * np.abs(t) + 1e-3 * np.log(2.0) + np.log(1e-3 * 1.00057738)),
        (BetaPopulation(), (1e-3, 1e-3), lambda t: -1e-3 * np.abs(t) + np.log(0.5e-3)),
    ],
)
def test_tails_of_small_shapes_are_exponential(population, values, reference):
    t = np.array([-1e4, -900.0, -60.0])
    got = population.log_density(t, cases.arrays(values))
    np.testing.assert_allclose(got, reference(t), atol=2e-6)
    assert np.isfinite(population.log_density(np.array([-1e6, 800.0]), cases.arrays(values))).all() == (
        population.name == "beta"
    )


@pytest.mark.parametrize(
    ("population", "values"), [(GammaPopulation(), (1e12, 2e12)), (BetaPopulation(), (1e12, 3e12))]
)
def test_large_shapes_are_normal_about_the_mode(population, values):
    alpha, beta = values
    precision = alpha if population.name == "gamma" else alpha * beta / (alpha + beta)
    z = np.linspace(-6.0, 6.0, 13)
    t = np.log(alpha / beta) + z / np.sqrt(precision)
    got = population.log_density(t, cases.arrays(values))
    expected = stats.norm.logpdf(z) + 0.5 * np.log(precision)
    np.testing.assert_allclose(got, expected, atol=5e-5)  # skewness of the order of alpha^(-1/2)
    np.testing.assert_allclose(0.5 * (got + got[::-1]), expected, atol=1e-8)


def difference(function, x, step):
    """Return the derivative by central differences of two steps, the error of the second order taken out."""
    wide = (function(x + step) - function(x - step)) / (2 * step)
    narrow = (function(x + 0.5 * step) - function(x - 0.5 * step)) / step
    return (4 * narrow - wide) / 3


@each_case
def test_derivatives_are_those_of_the_density(population, values):
    values = cases.arrays(values)
    t, _ = cases.grid(population, values, log_drop=8.0, step=0.37)
    widths = np.gradient(t)
    got = population.derivatives(t, values)
    np.testing.assert_allclose(got.value, population.log_density(t, values), rtol=1e-12, atol=1e-9)
    # a density with an edge or a large shape is known no better than t is, times its slope
    step = 1e-3 * widths
    rounding = 1e-15 * (np.abs(t) + 1e-300) * (np.abs(got.by_t) + 1.0 / widths)
    by_t = difference(lambda x: population.log_density(x, values), t, step)
    assert (np.abs(got.by_t - by_t) * widths < 2e-5 * (np.abs(by_t) * widths + 1.0) + rounding / step * widths).all()
    by_t2 = difference(lambda x: population.derivatives(x, values).by_t, t, step)
    noise = 1e-15 * np.abs(t) * (np.abs(got.by_t2) + widths**-2.0) / step
    assert (np.abs(got.by_t2 - by_t2) * widths**2 < 2e-5 * (np.abs(by_t2) * widths**2 + 1.0) + noise * widths**2).all()
    assert len(got.by_parameter) == len(population.parameters) == len(values)
    for i, value in enumerate(values):
        step = parameter_step(population, values, i)

        def moved(x, i=i):
            return population.log_density(t, (*values[:i], x, *values[i + 1 :]))

        expected = difference(moved, value, step)
        noise = (rounding + 1e-14 * (1.0 + np.abs(got.value))) / step
        allowed = 3e-5 * (np.abs(expected) + np.median(np.abs(expected))) + noise
        assert (np.abs(got.by_parameter[i] - expected) < allowed).all()


def parameter_step(population, values, i):
    """Return a step that moves the density by little and by more than rounding."""
    value = abs(float(values[i]))
    if population.name == "student_t" and i == 1:
        return 1e-2 * value
    if population.name == "skew_normal":
        return 1e-3 * value / (1.0 + abs(float(values[1]))) if i == 0 else 1e-3 * max(value, 1.0)
    if population.name in ("gamma", "beta"):
        return 1e-4 * value / np.sqrt(1.0 + value)
    return 1e-4 * value


@pytest.mark.parametrize("w", [-1e9, -3e4, -100.1, -99.9, -30.0, 0.0, 5.0, 40.0])
def test_second_derivative_of_the_skew_normal_holds_in_its_tails(w):
    skew, sd = 3.0, 1.0
    got = SkewNormalPopulation()
    omega = sd / np.sqrt(1 - 2 / np.pi * skew**2 / (1 + skew**2))
    shift = skew / np.sqrt(1 + skew**2) * np.sqrt(2 / np.pi)
    t = np.array([(w / skew - shift) * omega])
    by_t2 = got.derivatives(t, cases.arrays((sd, skew))).by_t2[0] * omega**2
    assert -1.0000001 * (1 + skew**2) <= by_t2 <= -0.9999999
    if w < -1000:
        assert by_t2 == pytest.approx(-1 - skew**2, rel=1e-6)
    if w > 30:
        assert by_t2 == pytest.approx(-1)


def test_derivatives_of_populations_broadcast():
    t = np.linspace(-1.0, 1.0, 30).reshape(5, 1, 6)
    values = (np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1), np.array([0.5, 0.7, 2.0, 5.0]).reshape(1, 4, 1))
    for population in (StudentTPopulation(), SkewNormalPopulation(), LognormalPopulation(), GammaPopulation()):
        got = population.derivatives(t, values)
        for array in (got.value, got.by_t, got.by_t2, *got.by_parameter):
            assert array.shape == (5, 4, 6), population.name
        one = population.derivatives(t[2, :, 3], tuple(value[0, 1] for value in values))
        assert got.by_parameter[1][2, 1, 3] == one.by_parameter[1][0]
        for array in (*population.window(values, 30.0), *population.location_scale(values), population.stretch(values)):
            assert array.shape == (1, 4, 1)
    for population in (NormalPopulation(), ExponentialPopulation(), StudentTPopulation(4)):
        got = population.derivatives(t, values[:1])
        for array in (got.value, got.by_t, got.by_t2, *got.by_parameter):
            assert array.shape == (5, 4, 6), population.name


@each_case
def test_draws_are_of_the_density(population, values):
    values = cases.arrays(values)
    t, weights = cases.grid(population, values, log_drop=30.0, step=0.05)
    cumulative = np.cumsum(np.exp(population.log_density(t, values)) * weights)
    cumulative -= 0.5 * np.exp(population.log_density(t, values)) * weights
    n = 4000
    draws = np.sort(population.draw(values, (n,), np.random.default_rng(5)))
    at = np.interp(draws, t, cumulative)
    ranks = np.arange(n + 1) / n
    distance = max(np.abs(at - ranks[1:]).max(), np.abs(at - ranks[:-1]).max())
    assert distance * np.sqrt(n) < 2.0  # probability 7e-4 of more for one case; the seed is fixed


def test_draws_broadcast_with_the_parameters():
    rng = np.random.default_rng(1)
    values = (np.array([[1.0], [1e6]]), np.array([[2.0], [2.0]]))
    for population in (StudentTPopulation(), SkewNormalPopulation(), LognormalPopulation(), GammaPopulation()):
        draws = population.draw(values, (2, 500), rng)
        assert draws.shape == (2, 500)
        assert not np.allclose(np.median(np.abs(draws[0])), np.median(np.abs(draws[1])), rtol=0.5)


@each_case
def test_moments_on_the_response_scale(population, values):
    t, weights = cases.grid(population, values, log_drop=200.0)
    values = cases.arrays(values)
    mean, sd = population.mean_sd_response(values)
    if population.name == "student_t":
        nu = values[1] if population.nu is None else np.array(population.nu)
        assert np.isinf(sd) == (nu <= 2.0)
        assert np.isnan(mean) == (nu <= 1.0)
        if nu < 7:
            return
    x = {"line": lambda t: t, "positive": np.exp, "probability": lambda t: np.exp(-np.logaddexp(0.0, -t))}
    with np.errstate(over="ignore", invalid="ignore"):
        values_of_x = x[population.support](t)
        mass = np.exp(population.log_density(t, values)) * weights
        kept = mass > 0
    by_sum = mass[kept] @ values_of_x[kept]
    assert mean == pytest.approx(by_sum, rel=1e-7, abs=1e-9 * sd)
    spread = np.sqrt(mass[kept] @ (values_of_x[kept] - by_sum) ** 2)
    assert sd == pytest.approx(spread, rel=1e-5)


def test_derivative_by_a_large_shape_keeps_its_digits():
    alpha = 1e12
    got = GammaPopulation().derivatives(np.array([0.0]), cases.arrays((alpha, alpha)))
    assert got.by_parameter[0][0] == pytest.approx(0.5 / alpha, rel=1e-9)
    near = GammaPopulation().derivatives(np.array([0.0]), cases.arrays((3.0, 3.0)))
    assert near.by_parameter[0][0] == pytest.approx(np.log(3.0) - digamma(3.0), rel=1e-13)


@pytest.mark.parametrize("nu", [0, -1.0, float("inf"), float("nan"), "4", True])
def test_degrees_of_freedom_are_checked(nu):
    with pytest.raises(DataError, match="degrees of freedom"):
        StudentTPopulation(nu)

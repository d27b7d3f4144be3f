"""Densities, constants included, against scipy.stats; totals; draws."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import expit

from partialpool.models.families import (
    BetaBinomial,
    BetaFamily,
    Binomial,
    ExponentialFamily,
    GammaFamily,
    Gaussian,
    LogNormal,
    NegativeBinomial,
    Poisson,
    StudentTFamily,
    ZeroInflatedPoisson,
)

from .cases import CASES, columns, grid

PROBABILITIES = {"logit": expit, "probit": stats.norm.cdf, "cloglog": lambda eta: -np.expm1(-np.exp(eta))}


def total(case):
    return case.density() + case.family.log_constant(case.response)[:, None]


@pytest.mark.parametrize("link", Binomial.links)
def test_binomial(link):
    case = CASES[f"binomial {link}"]
    y, n = case.response.values[:, None], case.response.sizes[:, None]
    expected = stats.binom.logpmf(y, n, PROBABILITIES[link](case.eta))
    np.testing.assert_allclose(total(case), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("link", BetaBinomial.links)
@pytest.mark.parametrize("c", [0.05, 3.0, 400.0])
def test_beta_binomial(link, c):
    case = CASES[f"beta_binomial {link} {c:g}"]
    y, n, p = case.response.values[:, None], case.response.sizes[:, None], PROBABILITIES[link](case.eta)
    expected = stats.betabinom.logpmf(y, n, c * p, c * (1 - p))
    np.testing.assert_allclose(total(case), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("link", BetaFamily.links)
@pytest.mark.parametrize("phi", [0.3, 6.0, 400.0])
def test_beta(link, phi):
    case = CASES[f"beta {link} {phi:g}"]
    mean = PROBABILITIES[link](case.eta)
    expected = stats.beta.logpdf(case.response.values[:, None], phi * mean, phi * (1 - mean))
    np.testing.assert_allclose(total(case), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("link", ["log", "sqrt", "identity"])
def test_poisson(link):
    case = CASES[f"poisson {link}"]
    rate = {"log": np.exp, "sqrt": np.square, "identity": np.asarray}[link](case.eta)
    expected = stats.poisson.logpmf(case.response.values[:, None], case.response.sizes[:, None] * rate)
    np.testing.assert_allclose(total(case), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("shape", [0.01, 2.0, 500.0])
def test_negative_binomial(shape):
    case = CASES[f"negative_binomial {shape:g}"]
    mean = case.response.sizes[:, None] * np.exp(case.eta)
    expected = stats.nbinom.logpmf(case.response.values[:, None], shape, shape / (shape + mean))
    np.testing.assert_allclose(total(case), expected, rtol=1e-9, atol=1e-10)


def _inflate(log_p, y, zero):
    return np.where(y == 0, np.log(zero + (1.0 - zero) * np.exp(log_p)), np.log1p(-zero) + log_p)


@pytest.mark.parametrize(("name", "zero"), [("", 0.3), (" few", 1e-6), (" given", 0.2)])
def test_zero_inflated_poisson(name, zero):
    case = CASES[f"zero_inflated_poisson{name}"]
    y, mean = case.response.values[:, None], case.response.sizes[:, None] * np.exp(case.eta)
    expected = _inflate(stats.poisson.logpmf(y, mean), y, zero)
    np.testing.assert_allclose(total(case), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [0.01, 2.0, 500.0])
def test_zero_inflated_negative_binomial(shape):
    case = CASES[f"zero_inflated_negative_binomial {shape:g}"]
    y, mean = case.response.values[:, None], case.response.sizes[:, None] * np.exp(case.eta)
    expected = _inflate(stats.nbinom.logpmf(y, shape, shape / (shape + mean)), y, 0.4)
    np.testing.assert_allclose(total(case), expected, rtol=1e-9, atol=1e-10)


def test_zeros_of_which_covariates_say_how_many_are_structural():
    family = ZeroInflatedPoisson(zero_names=("Intercept", "x"))
    columns_of_zero = np.array([[1.0, -2.0], [1.0, 0.5], [1.0, 3.0]])
    response = columns([0, 0, 4], [1.0, 2.0, 1.0], zero_columns=columns_of_zero)
    eta, coefficients = np.array([0.3, -0.2, 1.0]), (np.array(-0.4), np.array(0.8))
    zero = expit(columns_of_zero @ np.array([-0.4, 0.8]))
    expected = _inflate(stats.poisson.logpmf(response.values, response.sizes * np.exp(eta)), response.values, zero)
    found = family.log_density(eta, response, coefficients) + family.log_constant(response)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    slopes = family.derivatives(eta, response, coefficients).by_dispersion
    step = 1e-6
    for k, slope in enumerate(slopes):
        moved = [tuple(c + sign * step * (j == k) for j, c in enumerate(coefficients)) for sign in (1, -1)]
        up, down = (family.log_density(eta, response, values) for values in moved)
        np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-6, atol=1e-8)
    many = tuple(np.broadcast_to(np.array(settled)[:, None], (3, 90_000)) for settled in (zero,))
    drawn = family.draw(np.full((3, 90_000), 5.0), np.ones((3, 1)), None, many, np.random.default_rng(2))
    np.testing.assert_allclose((drawn == 0).mean(axis=1), zero, atol=0.01)
    np.testing.assert_allclose(family.settle(coefficients, columns_of_zero)[0], zero, rtol=1e-14)


@pytest.mark.parametrize("link", GammaFamily.links)
@pytest.mark.parametrize("shape", [0.3, 9.0, 200.0])
def test_gamma(link, shape):
    case = CASES[f"gamma {link} {shape:g}"]
    mean = {"log": np.exp, "identity": np.asarray, "inverse": np.reciprocal}[link](case.eta)
    expected = stats.gamma.logpdf(case.response.values[:, None], shape, scale=mean / shape)
    np.testing.assert_allclose(total(case), expected, rtol=1e-10, atol=1e-11)


def test_measurements():
    y = CASES["gaussian"].response.values[:, None]
    for name, mean in (("gaussian", CASES["gaussian"].eta), ("gaussian log", np.exp(CASES["gaussian log"].eta))):
        np.testing.assert_allclose(total(CASES[name]), stats.norm.logpdf(y, mean, 1.3), rtol=1e-12)
    known = CASES["gaussian known"]
    errors = known.response.standard_errors[:, None]
    np.testing.assert_allclose(total(known), stats.norm.logpdf(y, known.eta, errors), rtol=1e-12)
    for name, nu in (("student_t", 4.5), ("student_t near normal", 800.0), ("student_t nu", 4.0)):
        case = CASES[name]
        np.testing.assert_allclose(total(case), stats.t.logpdf(y, nu, case.eta, 1.3), rtol=1e-11)
    case = CASES["student_t known"]
    np.testing.assert_allclose(total(case), stats.t.logpdf(y, 6.0, case.eta, errors), rtol=1e-11)
    case = CASES["lognormal"]
    expected = stats.lognorm.logpdf(case.response.values[:, None], 0.7, scale=np.exp(case.eta))
    np.testing.assert_allclose(total(case), expected, rtol=1e-11)


def test_exponential_sums():
    case = CASES["exponential"]
    mean = np.exp(case.eta)
    expected = [
        stats.expon.logpdf(0.0, scale=mean[0]),
        stats.expon.logpdf(0.5, scale=mean[1]),
        12 * stats.expon.logpdf(2.5, scale=mean[2]),
        stats.expon.logsf(8.0, scale=mean[3]),
    ]
    np.testing.assert_allclose(total(case), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dispersion", [(), (0.3,), (1e12,)])
def test_counts_sum_to_one(dispersion):
    y = np.arange(4000.0)
    response = columns(y, 2.0)
    family = NegativeBinomial() if dispersion else Poisson()
    for eta in (-3.0, 0.0, 3.0):
        log_p = family.log_density(np.full(y.shape, eta), response, dispersion) + family.log_constant(response)
        assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-11)


@pytest.mark.parametrize("link", Binomial.links)
@pytest.mark.parametrize("dispersion", [(), (0.01,), (5.0,), (1e12,)])
def test_successes_sum_to_one(link, dispersion):
    y = np.arange(61.0)
    response = columns(y, 60.0)
    family = BetaBinomial(link) if dispersion else Binomial(link)
    dispersion = tuple(np.array(value) for value in dispersion)
    for eta in (-40.0, -8.0, 0.3, 1.0, 40.0):
        log_p = family.log_density(np.full(y.shape, eta), response, dispersion) + family.log_constant(response)
        assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-11)


@pytest.mark.parametrize("limits", [(-1.0, 2.0), (0.5, np.inf), (-np.inf, 0.7), (0.2, 0.21)])
@pytest.mark.parametrize(
    ("family", "dispersion"),
    [(Gaussian(), 0.8), (Gaussian("log"), 0.8), (LogNormal(), 0.8), (ExponentialFamily(), None)],
    ids=str,
)
@pytest.mark.parametrize("eta", [-2.0, 0.4, 3.0])
def test_truncated_densities_integrate_to_one(limits, family, dispersion, eta):
    low, high = limits
    dispersions = () if dispersion is None else (np.array(dispersion),)
    positive = family.name != "gaussian"
    bottom = max(low, 0.0) if positive else low
    scale = np.exp(eta) if positive else 1.0
    ends = max(bottom, -60.0), min(high, 400.0 * scale)

    def density(y):
        response = columns([y], lower_limit=[low], upper_limit=[high])
        log_p = family.log_density(np.array([eta]), response, dispersions) + family.log_constant(response)
        return float(np.exp(log_p[0]))

    cuts = np.unique(np.clip([ends[0], 0.03, 0.3, 0.7, 1, 2, 5, 20, 80, ends[1], -3, -1], *ends))
    cuts = cuts[cuts > 0] if positive and bottom > 0 else cuts
    pieces = (integrate.quad(density, a or 1e-12, b, epsabs=1e-12) for a, b in pairwise(cuts))
    assert sum(piece[0] for piece in pieces) == pytest.approx(1.0, abs=1e-8)


DRAWN = {
    "binomial probit": (lambda m: 50 * m * (1 - m), 50.0, 50.0),
    "poisson log": (lambda m: 3 * m, 3.0, 3.0),
    "negative_binomial 2": (lambda m: 3 * m + (3 * m) ** 2 / 2, 3.0, 3.0),
    "beta_binomial logit 3": (lambda m: 50 * m * (1 - m) * (1 + 49 / 4), 50.0, 50.0),
    "gamma log 9": (lambda m: m**2 / 9, 1.0, 1.0),
    "beta probit 6": (lambda m: m * (1 - m) / 7, 1.0, 1.0),
    "zero_inflated_poisson": (lambda m: 3 * m + 9 * m**2 * 0.3 / 0.7, 3.0, 3.0),
    "zero_inflated_negative_binomial 2": (lambda m: 3 * m + 9 * m**2 * (0.5 + 0.4) / 0.6, 3.0, 3.0),
    "exponential": (lambda m: 2 * m**2, 2.0, 2.0),
    "gaussian": (lambda m: 1.3**2, 1.0, 1.0),
    "student_t": (lambda m: 1.3**2 * 4.5 / 2.5, 1.0, 1.0),
}


@pytest.mark.parametrize("name", DRAWN)
def test_draws_have_the_mean_and_variance(name):
    variance, size, factor = DRAWN[name]
    case = CASES[name]
    eta = np.full((1, 200_000), 0.6)
    dispersion = tuple(np.full((1, 1), value) for value in case.dispersion)
    drawn = case.family.draw(eta, np.full((1, 1), size), None, dispersion, np.random.default_rng(3))
    assert drawn.shape == eta.shape
    mean = float(case.family.response_scale(np.array(0.6)) * np.squeeze(case.family.mean_share(dispersion)))
    sd = np.sqrt(variance(mean))
    assert drawn.mean() == pytest.approx(factor * mean, abs=5 * sd / 200_000**0.5)
    assert drawn.var() == pytest.approx(sd**2, rel=0.15 if name == "student_t" else 0.04)
    noise = case.family.response_noise(np.full((1, 1), size), None, dispersion)
    assert float(np.squeeze(noise.factor)) == factor
    said = noise.constant + noise.linear * mean + noise.square * mean**2
    assert np.squeeze(said) == pytest.approx(variance(mean), rel=1e-12)
    if case.family.discrete:
        assert (drawn == np.rint(drawn)).all()


def test_draws_of_lognormal_have_the_median():
    drawn = LogNormal().draw(np.full(100_001, 0.6), np.ones(1), None, (np.array(0.7),), np.random.default_rng(4))
    assert np.median(drawn) == pytest.approx(np.exp(0.6), rel=0.01)
    assert np.log(drawn).std() == pytest.approx(0.7, rel=0.02)


def test_draws_of_known_noise():
    errors = np.array([[0.1], [10.0]])
    for family, sd in ((Gaussian(known_noise=True), 1.0), (StudentTFamily(known_noise=True, nu=10.0), 1.25**0.5)):
        drawn = family.draw(np.zeros((2, 50_000)), np.ones((2, 1)), errors, (), np.random.default_rng(5))
        np.testing.assert_allclose(drawn.std(axis=1), sd * errors[:, 0], rtol=0.03)


def test_draws_of_means_beyond_what_integers_hold():
    rng = np.random.default_rng(6)
    drawn = Poisson().draw(np.array([2.0, 60.0, 800.0]), np.ones(3), None, (), rng)
    assert drawn[1] == pytest.approx(np.exp(60.0))
    assert drawn[2] == np.inf
    assert np.isfinite(NegativeBinomial().draw(np.array([60.0]), np.ones(1), None, (np.array(1e12),), rng)).all()
    extreme = BetaBinomial("probit").draw(grid(-40, 40, 1, 5), np.array(9.0), None, (np.array(1e-3),), rng)
    assert ((extreme >= 0) & (extreme <= 9)).all()

"""Prior densities against scipy.stats, against their own integrals, and at the ends of the floating range."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import integrate, stats

from partialpool.errors import PriorError
from partialpool.models.priors import (
    Cauchy,
    Exponential,
    Flat,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    Normal,
    PCPrior,
    ScalarPrior,
    StudentT,
    Uniform,
    VariancePower,
)
from partialpool.models.priors.log_terms import log_gamma_kernel, log_half_step

LOCATION = [
    (Normal(1.5, 2), stats.norm(1.5, 2)),
    (StudentT(3, -1, 2), stats.t(3, -1, 2)),
    (StudentT(0.7, 0, 1), stats.t(0.7)),
    (StudentT(41.5, 0, 1), stats.t(41.5)),
    (Cauchy(1, 0.5), stats.cauchy(1, 0.5)),
    (Uniform(-2, 5), stats.uniform(-2, 7)),
]
SCALE = [
    (HalfNormal(2), stats.halfnorm(scale=2)),
    (HalfCauchy(5), stats.halfcauchy(scale=5)),
    (Exponential(0.3), stats.expon(scale=1 / 0.3)),
    (PCPrior(2, 0.05), stats.expon(scale=-2 / math.log(0.05))),
    (Gamma(0.5, 2), stats.gamma(0.5, scale=1 / 2)),
    (Gamma(1, 2), stats.expon(scale=1 / 2)),
    (Gamma(2, 0.1), stats.gamma(2, scale=10)),
    (Gamma(40, 10), stats.gamma(40, scale=1 / 10)),
    (InverseGamma(2, 3, on="sd"), stats.invgamma(2, scale=3)),
    (InverseGamma(50, 60, on="sd"), stats.invgamma(50, scale=60)),
    (Uniform(0, 4), stats.uniform(0, 4)),
    (Uniform(1, 4), stats.uniform(1, 3)),
]
PROPER = [prior for prior, _ in LOCATION + SCALE] + [
    HalfStudentT(3, 2),
    HalfStudentT(0.7, 1),
    InverseGamma(2, 3, on="variance"),
    InverseGamma(0.5, 0.01, on="variance"),
]
IMPROPER = [
    Flat(),
    Uniform(0, None),
    Uniform(-math.inf, 3),
    VariancePower(-0.5),
    VariancePower(0),
    VariancePower(-1),
]


@pytest.mark.parametrize(("prior", "reference"), LOCATION + SCALE, ids=lambda value: str(value)[:30])
def test_density_and_quantiles_agree_with_scipy(prior: ScalarPrior, reference: stats.rv_frozen) -> None:
    values = np.concatenate([np.linspace(-4.9, 4.9, 57), [8.0, 30.0]])
    with np.errstate(all="ignore"):
        expected = reference.logpdf(values)
    inside = np.isfinite(expected)
    assert np.array_equal(prior.log_density(values)[~inside], expected[~inside])
    # scipy's own log densities carry errors near 1e-13 of their largest term
    np.testing.assert_allclose(prior.log_density(values)[inside], expected[inside], rtol=1e-12, atol=4e-13)
    probabilities = np.array([1e-6, 0.025, 0.3, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(prior.quantile(probabilities), reference.ppf(probabilities), rtol=2e-11, atol=1e-14)


@pytest.mark.parametrize("nu", [0.7, 3.0, 30.0])
def test_half_student_t_is_a_folded_student_t(nu: float) -> None:
    values = np.linspace(0, 20, 30)
    expected = stats.t(nu, scale=2).logpdf(values) + math.log(2)
    np.testing.assert_allclose(HalfStudentT(nu, 2).log_density(values), expected, rtol=1e-12, atol=1e-13)
    probabilities = np.array([0.01, 0.4, 0.5, 0.6, 0.99])
    expected = stats.t(nu, scale=2).ppf((1 + probabilities) / 2)
    np.testing.assert_allclose(HalfStudentT(nu, 2).quantile(probabilities), expected, rtol=1e-10)


def test_half_student_t_with_one_degree_is_half_cauchy() -> None:
    values = np.array([0.0, 1e-150, 0.1, 1.0, 25.0, 1e150])
    np.testing.assert_allclose(
        HalfStudentT(1, 3).log_density(values), HalfCauchy(3).log_density(values), rtol=1e-14, atol=1e-15
    )


def test_inverse_gamma_on_the_variance_carries_the_jacobian() -> None:
    sds = np.array([0.05, 0.3, 1.0, 7.0])
    expected = stats.invgamma(2, scale=3).logpdf(sds**2) + np.log(2 * sds)
    prior = InverseGamma(2, 3, on="variance")
    np.testing.assert_allclose(prior.log_density(sds), expected, rtol=1e-12)
    np.testing.assert_allclose(prior.quantile(0.3), math.sqrt(stats.invgamma(2, scale=3).ppf(0.3)), rtol=1e-12)


def test_variance_powers_by_name() -> None:
    sds = np.array([0.01, 1.0, 30.0])
    assert np.array_equal(VariancePower(-0.5).log_density(sds), Flat().log_density(sds))
    np.testing.assert_allclose(VariancePower(0).log_density(sds), np.log(sds))  # flat on the variance
    np.testing.assert_allclose(VariancePower(-1).log_density(sds), -np.log(sds))


@pytest.mark.parametrize("prior", PROPER, ids=str)
def test_proper_densities_integrate_to_one(prior: ScalarPrior) -> None:
    assert prior.proper
    lower, upper = prior.support
    breaks = [float(prior.quantile(p)) for p in (0.01, 0.25, 0.5, 0.75, 0.99)]
    edges = [lower, *breaks, upper]
    pieces = [
        integrate.quad(lambda x: math.exp(prior.log_density(x)), a, b, epsabs=1e-12, epsrel=1e-10, limit=200)[0]
        for a, b in itertools.pairwise(edges)
    ]
    assert sum(pieces) == pytest.approx(1, abs=2e-7)
    np.testing.assert_allclose(pieces[1:5], [0.24, 0.25, 0.25, 0.24], rtol=1e-7)


@pytest.mark.parametrize("prior", IMPROPER, ids=str)
def test_improper_priors_say_so_and_have_no_quantiles(prior: ScalarPrior) -> None:
    assert not prior.proper
    with pytest.raises(PriorError, match="improper prior has no quantiles; give a proper prior"):
        prior.quantile(0.5)


def test_quantiles_refuse_what_is_not_a_probability() -> None:
    for wrong in (1.5, -0.1, math.nan):
        with pytest.raises(PriorError, match=r"HalfNormal\(1\): quantiles are asked for outside \[0, 1\]"):
            HalfNormal(1).quantile([0.5, wrong])


@pytest.mark.parametrize("prior", PROPER, ids=str)
def test_quantiles_at_the_ends_are_the_support(prior: ScalarPrior) -> None:
    assert tuple(prior.quantile([0, 1])) == prior.support


@pytest.mark.parametrize("nu", [0.3, 3.0, 1e5, 1e7, 1e13])
def test_quantiles_of_tiny_probabilities_keep_their_digits(nu: float) -> None:
    height = math.exp(HalfStudentT(nu, 2).log_density(0.0))
    for probability in (1e-300, 1e-12, 1e-9):
        assert float(HalfStudentT(nu, 2).quantile(probability)) == pytest.approx(probability / height, rel=1e-7)
    assert float(StudentT(nu, 0, 1).quantile(0.5)) == 0


@pytest.mark.parametrize("prior", PROPER + IMPROPER, ids=str)
def test_shape_support_and_extremes(prior: ScalarPrior) -> None:
    lower, upper = prior.support
    values = np.array([[0.0, 1e-300, 1e-150, 0.5], [3.0, 1e150, 1e300, math.inf]])
    logs = prior.log_density(values)
    assert logs.shape == values.shape
    assert prior.log_density(0.5).shape == ()
    assert not np.isnan(logs).any()
    assert np.all(np.isneginf(prior.log_density(values)[(values < lower) | (values > upper)]))
    assert np.all(np.isneginf(prior.log_density([np.nextafter(lower, -math.inf)]))) or math.isinf(lower)
    assert np.all(np.isneginf(prior.log_density([np.nextafter(upper, math.inf)]))) or math.isinf(upper)
    assert np.isnan(prior.log_density(math.nan))
    assert np.all(np.isneginf(prior.log_density([-1e-300, -1.0]))) or lower < 0


@pytest.mark.parametrize("value", [1e-150, 1e150])
@pytest.mark.parametrize("width", [1e-150, 1.0, 1e150])
def test_heavy_tails_neither_overflow_nor_underflow(value: float, width: float) -> None:
    log_ratio = math.log(value) - math.log(width)
    log_square = 2 * log_ratio if log_ratio > 1 else 0.0 if log_ratio < -1 else math.log(2)
    expected = math.log(2 / math.pi) - math.log(width) - log_square
    assert float(HalfCauchy(width).log_density(value)) == pytest.approx(expected, rel=1e-13)
    assert float(Cauchy(0, width).log_density(-value)) == pytest.approx(expected - math.log(2), rel=1e-13)
    assert float(HalfStudentT(1, width).log_density(value)) == pytest.approx(expected, rel=1e-13)


def test_light_tails_at_the_extremes() -> None:
    assert float(HalfNormal(1).log_density(1e150)) == pytest.approx(-5e299, rel=1e-12)
    assert float(Exponential(2).log_density(1e150)) == pytest.approx(-2e150, rel=1e-12)
    assert float(Gamma(2, 3).log_density(1e-150)) == pytest.approx(math.log(9e-150), rel=1e-13)
    assert float(Gamma(2, 3).log_density(1e150)) == pytest.approx(-3e150, rel=1e-12)
    assert float(InverseGamma(2, 3, on="variance").log_density(1e-150)) == pytest.approx(-3e300, rel=1e-12)
    far = math.log(18) - 5 * math.log(1e150)  # 2 * 3^2 / Gamma(2) * sd^-5
    assert float(InverseGamma(2, 3, on="variance").log_density(1e150)) == pytest.approx(far, rel=1e-13)
    wide = Uniform(-1.7e308, 1.7e308)
    assert float(wide.log_density(0)) == pytest.approx(-math.log(1.7e308) - math.log(2), rel=1e-14)


def test_density_at_zero_is_the_limit() -> None:
    assert float(Gamma(1, 2).log_density(0)) == pytest.approx(math.log(2))
    assert float(Gamma(2, 2).log_density(0)) == -math.inf
    assert float(Gamma(0.5, 2).log_density(0)) == math.inf
    assert float(HalfCauchy(2).log_density(0)) == pytest.approx(-math.log(math.pi))
    assert float(InverseGamma(1, 1, on="sd").log_density(0)) == -math.inf
    assert float(VariancePower(-1).log_density(0)) == math.inf
    assert float(VariancePower(-0.5).log_density(0)) == 0
    assert float(VariancePower(1).log_density(0)) == -math.inf


@pytest.mark.parametrize(
    ("prior", "zero", "tail"),
    [
        (HalfNormal(2), 0, math.inf),
        (HalfCauchy(2), 0, 2),
        (HalfStudentT(3, 2), 0, 4),
        (HalfStudentT(0.5, 2), 0, 1.5),
        (Exponential(2), 0, math.inf),
        (PCPrior(1, 0.1), 0, math.inf),
        (Gamma(0.4, 2), -0.6, math.inf),
        (Gamma(3, 2), 2, math.inf),
        (InverseGamma(0.7, 2, on="sd"), math.inf, 1.7),
        (InverseGamma(0.7, 2, on="variance"), math.inf, 2.4),
        (Uniform(0, 3), 0, math.inf),
        (Uniform(1, 3), math.inf, math.inf),
        (Uniform(0, None), 0, 0),
        (Flat(), 0, 0),
        (VariancePower(-0.5), 0, 0),
        (VariancePower(-1), -1, 1),
        (VariancePower(0), 1, -1),
        (StudentT(3, 1, 2), 0, 4),
        (Cauchy(1, 2), 0, 2),
        (Normal(1, 2), 0, math.inf),
    ],
    ids=str,
)
def test_exponents(prior: ScalarPrior, zero: float, tail: float) -> None:
    assert prior.zero_exponent == pytest.approx(zero, rel=1e-14)
    assert prior.tail_exponent == pytest.approx(tail, rel=1e-14)

    def slope(near: float, far: float) -> float:
        low, high = prior.log_density(np.array([near, far]))
        return float(high - low) / math.log(far / near) if math.isfinite(high - low) else math.nan

    if math.isfinite(zero):
        assert slope(1e-14, 1e-12) == pytest.approx(zero, abs=1e-9)
    else:
        assert float(prior.log_density(1e-12)) < -1e6
    if math.isfinite(tail):
        assert slope(1e12, 1e14) == pytest.approx(-tail, abs=1e-9)
    else:
        assert float(prior.log_density(1e12)) < -1e6


def test_half_gamma_step_against_exact_products() -> None:
    # Gamma(n + 1/2) / Gamma(n) for whole n is a product of rationals times sqrt(pi)
    for n in (1, 5, 19, 20, 21, 200, 5000):
        with localcontext() as context:
            context.prec = 40
            product = Decimal(1)
            for k in range(1, n):
                product *= (Decimal(k) + Decimal("0.5")) / k
            exact = float((product / 2).ln())
        assert log_half_step(n) == pytest.approx(exact + 0.5 * math.log(math.pi), rel=1e-14, abs=1e-14)
    assert log_half_step(1e12) == pytest.approx(0.5 * math.log(1e12), rel=1e-14)
    assert log_half_step(1e300) == pytest.approx(0.5 * math.log(1e300), rel=1e-14)


@pytest.mark.parametrize("shape", [2, 15, 16, 17, 300, 4000])
@pytest.mark.parametrize("ratio", [1e-3, 0.5, 0.89, 0.91, 1.0, 1.000001, 1.09, 1.11, 30.0])
def test_gamma_kernel_against_exact_arithmetic(shape: int, ratio: float) -> None:
    u = np.float64(shape * ratio)
    with localcontext() as context:
        context.prec = 60
        exact_u = Decimal(float(u))
        factorial = Decimal(math.factorial(shape - 1))
        exact = float(shape * exact_u.ln() - exact_u - factorial.ln())
    # one rounding of log(u / shape), which the shape multiplies, is all that may be lost
    assert float(log_gamma_kernel(shape, u, np.log(u))) == pytest.approx(
        exact, rel=1e-13, abs=1e-14 + shape * 2e-16 * abs(math.log(ratio))
    )


def test_gamma_of_enormous_shape_is_normal_at_its_peak() -> None:
    shape, rate = 1e12, 1e12
    expected = stats.norm(1, 1e-6).logpdf(1 + 1e-6)  # relative skewness of the order 1e-6
    assert float(Gamma(shape, rate).log_density(1 + 1e-6)) == pytest.approx(expected, abs=1e-4)


def test_student_t_of_enormous_nu_is_normal() -> None:
    values = np.array([0.0, 0.5, 3.0])
    expected = stats.norm(0, 2).logpdf(values)
    np.testing.assert_allclose(StudentT(1e12, 0, 2).log_density(values), expected, rtol=1e-11)

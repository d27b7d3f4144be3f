"""Normalising constants against recurrences, scipy and limits."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, gammaln

from partialpool.models.populations.log_beta import (
    log_beta_peak,
    log_gamma_peak,
    log_less_digamma,
    log_t_peak,
    log_t_peak_slope,
    stirling_error,
)

STARTS = np.array([1e-3, 0.4, 3.0, 15.0, 15.5, 16.0, 17.0, 40.0, 200.0, 1e3])


def test_stirling_error_steps_as_the_gamma_function_does():
    expected = (STARTS + 0.5) * np.log1p(1.0 / STARTS) - 1.0
    got = stirling_error(STARTS) - stirling_error(STARTS + 1.0)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-14)
    assert stirling_error(np.array(1e12)) == pytest.approx(1 / 12e12, rel=1e-12)
    near = np.array([1e-200, 0.01, 2.0, 14.0])
    plain = gammaln(near) - (near - 0.5) * np.log(near) + near - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(stirling_error(near), plain, atol=1e-14, rtol=1e-14)


def test_log_less_digamma_steps_as_the_digamma_function_does():
    expected = 1.0 / STARTS - np.log1p(1.0 / STARTS)
    got = log_less_digamma(STARTS) - log_less_digamma(STARTS + 1.0)
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=3e-15)
    assert log_less_digamma(np.array(1e12)) == pytest.approx(0.5e-12, rel=1e-12)
    assert log_less_digamma(np.array(2.5)) == pytest.approx(np.log(2.5) - digamma(2.5), rel=1e-14)


def test_peaks_are_the_densities_at_the_modes():
    alpha, beta = np.array([0.01, 0.7, 20.0]), np.array([3.0, 0.2, 900.0])
    p = alpha / (alpha + beta)
    of_p = stats.beta.logpdf(p, alpha, beta) + np.log(p) + np.log1p(-p)
    np.testing.assert_allclose(log_beta_peak(alpha, beta), of_p, atol=1e-11)
    np.testing.assert_allclose(log_gamma_peak(alpha), stats.loggamma.logpdf(np.log(alpha), alpha), atol=1e-11)
    nu = np.array([0.01, 1.0, 5.0, 60.0])
    np.testing.assert_allclose(log_t_peak(nu), stats.t.logpdf(0.0, nu), atol=1e-12)
    assert log_t_peak(np.array(1e14)) == pytest.approx(stats.norm.logpdf(0.0), abs=1e-13)


@pytest.mark.parametrize("nu", [0.02, 1.0, 31.9, 33.0, 1e4])
def test_slope_of_the_peak_of_t(nu):
    step = 1e-3 * nu
    wide, narrow = ((log_t_peak(np.array(nu + h)) - log_t_peak(np.array(nu - h))) / (2 * h) for h in (step, 0.5 * step))
    assert log_t_peak_slope(np.array(nu)) == pytest.approx((4 * narrow - wide) / 3, rel=1e-8, abs=1e-14 / step)
    assert log_t_peak_slope(np.array(1e5)) == pytest.approx(0.25e-10, rel=1e-4)

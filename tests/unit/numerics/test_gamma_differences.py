"""Differences of log gamma and its derivatives, against 60-digit arithmetic."""

from decimal import Decimal, localcontext
from fractions import Fraction
from math import comb

import numpy as np
import pytest

from partialpool.numerics.gamma_differences import (
    digamma_difference,
    digamma_excess,
    digamma_gap,
    log_gamma_excess,
    log_rising,
    log_rising_excess,
    trigamma_difference,
)
from partialpool.numerics.log_excess import log1p_less, log_ratio_less

STARTS = (1e-300, 1e-140, 1e-12, 1e-3, 0.3, 1.0, 2.5, 7.999, 8.0, 8.001, 31.0, 1e3, 1e6 + 0.5, 1e9, 1e12, 1e15)
STEPS = (0.0, 1e-6, 0.5, 1.0, 2.0, 7.0, 100.0, 1e4 + 0.25, 1e6, 1e9)
DIGITS = 400  # 1e-300 beside 1e9 needs as many


def bernoulli(n):
    numbers = [Fraction(1)]
    for m in range(1, n + 1):
        numbers.append(-sum(comb(m + 1, j) * numbers[j] for j in range(m)) / (m + 1))
    return numbers


BERNOULLI = bernoulli(40)


def decimal_gamma_functions(x):
    """Return log gamma less log(2 pi) / 2, digamma and trigamma, by Stirling's series from 100 on (about 50 digits)."""
    product, inverse, square = Decimal(1), Decimal(0), Decimal(0)
    while x < 100:
        product *= x
        inverse += 1 / x
        square += 1 / x**2
        x += 1
    logarithm = x.ln()
    log_gamma = (x - Decimal("0.5")) * logarithm - x - product.ln()
    digamma = logarithm - 1 / (2 * x) - inverse
    trigamma = 1 / x + 1 / (2 * x**2) + square
    for n in range(2, 41, 2):
        number = Decimal(BERNOULLI[n].numerator) / Decimal(BERNOULLI[n].denominator)
        log_gamma += number / (n * (n - 1)) / x ** (n - 1)
        digamma -= number / n / x**n
        trigamma += number / x ** (n + 1)
    return log_gamma, digamma, trigamma


@pytest.fixture(scope="module")
def reference():
    """Return arrays (start, step) by name."""
    names = ("log", "log_excess", "digamma", "digamma_excess", "trigamma")
    table = {name: np.empty((len(STARTS), len(STEPS))) for name in names}
    with localcontext() as context:
        context.Emin, context.Emax = -(10**6), 10**6
        for i, start in enumerate(STARTS):
            context.prec = DIGITS if start < 1e-20 else 80
            a = Decimal(start)
            low = decimal_gamma_functions(a)
            for j, step in enumerate(STEPS):
                k = Decimal(step)
                high = decimal_gamma_functions(a + k)
                log, digamma, trigamma = (float(end - begin) for end, begin in zip(high, low, strict=True))
                table["log"][i, j] = log
                table["log_excess"][i, j] = float(high[0] - low[0] - k * a.ln())
                table["digamma"][i, j] = digamma
                table["digamma_excess"][i, j] = float(high[1] - low[1] - ((a + k) / a).ln())
                table["trigamma"][i, j] = trigamma if start > 1e-150 else np.nan
    return table


def evaluate(function):
    return function(np.array(STARTS)[:, None], np.array(STEPS))


def test_log_rising(reference):
    np.testing.assert_allclose(evaluate(log_rising), reference["log"], rtol=2e-14, atol=2e-15)


def test_log_rising_excess(reference):
    magnitude = np.abs(reference["log_excess"]) + np.abs(reference["log"]) * (np.array(STARTS)[:, None] < 8)
    error = np.abs(evaluate(log_rising_excess) - reference["log_excess"])
    assert (error <= 2e-14 * magnitude + 3e-15).all()


def test_log_rising_excess_is_relatively_accurate_at_large_a(reference):
    excess, truth = evaluate(log_rising_excess), reference["log_excess"]
    large = (np.array(STARTS)[:, None] >= 1e3) & (np.array(STEPS) >= 2)
    np.testing.assert_allclose(excess[large], truth[large], rtol=1e-13)


def test_digamma_difference(reference):
    np.testing.assert_allclose(evaluate(digamma_difference), reference["digamma"], rtol=2e-14, atol=1e-18)


def test_digamma_excess(reference):
    scale = np.where(np.array(STARTS)[:, None] < 8, np.abs(reference["digamma"]), np.abs(reference["digamma_excess"]))
    error = np.abs(evaluate(digamma_excess) - reference["digamma_excess"])
    assert (error <= 5e-14 * scale + 1e-18).all()


def test_trigamma_difference(reference):
    valid = np.array(STARTS) > 1e-150
    computed = trigamma_difference(np.array(STARTS)[valid][:, None], np.array(STEPS))
    np.testing.assert_allclose(computed, reference["trigamma"][valid], rtol=3e-14, atol=1e-17)


@pytest.mark.parametrize("k", [1, 2, 5, 40])
def test_rising_factorial_of_whole_steps(k):
    a = np.array([0.01, 0.7, 3.0, 12.0, 500.0])
    product = np.prod(a[:, None] + np.arange(k), axis=1)
    np.testing.assert_allclose(log_rising(a, np.float64(k)), np.log(product), rtol=1e-13, atol=1e-14)


def test_nothing_depends_on_the_neighbours():
    a = np.array([0.5, 20.0, 3.0, 1e9])
    for function in (log_rising, log_rising_excess, digamma_difference, digamma_excess, trigamma_difference):
        together = function(a, np.array(4.0))
        np.testing.assert_array_equal(together, [function(np.array(one), np.array(4.0)) for one in a])


def test_broadcasts():
    assert log_rising(np.ones((1, 3, 1)), np.arange(4.0)[:, None, None]).shape == (4, 3, 1)
    assert log_rising(np.array([1.0, 20.0])[None, :, None], np.arange(4.0)[:, None, None]).shape == (4, 2, 1)


def test_log1p_less_against_decimals():
    t = np.concatenate([s * 10.0 ** np.arange(-30, 0) for s in (1, -1, 3, -3)] + [[0.0, 0.29, 0.31, 5.0, 1e9, -0.999]])
    with localcontext() as context:
        context.prec = 80
        truth = [float((1 + Decimal(one)).ln() - Decimal(one)) for one in t]
    np.testing.assert_allclose(log1p_less(t), truth, rtol=5e-15, atol=0)


def test_log_ratio_less_far_from_one():
    bottom, top = np.array(1e6 + 1e-6), np.array(1e-6)
    assert log_ratio_less(top, bottom, np.array(-1e6)) == pytest.approx(np.log(1e-12) + 1, rel=1e-12)
    near = log_ratio_less(np.array(1e12 + 7), np.array(1e12 + 2), np.array(5.0))
    assert near == pytest.approx(-12.5e-24, rel=1e-10)


def test_gamma_less_its_leading_terms():
    starts = np.array([start for start in STARTS if start > 1e-20])
    log_gamma, digamma = np.empty(len(starts)), np.empty(len(starts))
    with localcontext() as context:
        context.prec = 80
        half_log_two_pi = (2 * Decimal("3.14159265358979323846264338327950288419716939937510582097494459")).ln() / 2
        for i, start in enumerate(starts):
            a = Decimal(float(start))
            functions = decimal_gamma_functions(a)
            log_gamma[i] = float(functions[0] + half_log_two_pi - a * a.ln() + a)
            digamma[i] = float(functions[1] - a.ln())
    np.testing.assert_allclose(log_gamma_excess(starts), log_gamma, rtol=1e-13, atol=2e-14)
    np.testing.assert_allclose(digamma_gap(starts), digamma, rtol=5e-14)

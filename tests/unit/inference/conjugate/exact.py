"""Log gamma functions and log marginals in decimal arithmetic of 60 digits, from Stirling's series."""

from __future__ import annotations

from decimal import Decimal, getcontext
from fractions import Fraction

getcontext().prec = 60
_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
Number = Decimal | float | int


def _bernoulli(count: int) -> list[Fraction]:
    row, numbers = [Fraction(0)] * (count + 1), []
    for m in range(count + 1):
        row[m] = Fraction(1, m + 1)
        for j in range(m, 0, -1):
            row[j - 1] = j * (row[j - 1] - row[j])
        numbers.append(row[0])
    return numbers


_BERNOULLI = _bernoulli(40)


def log_gamma(x: Number) -> Decimal:
    """Return log Gamma(x)."""
    x, total = Decimal(x), Decimal(0)
    while x < 60:
        total -= x.ln()
        x += 1
    total += (x - Decimal("0.5")) * x.ln() - x + (2 * _PI).ln() / 2
    for k in range(1, 20):
        b = _BERNOULLI[2 * k]
        total += Decimal(b.numerator) / Decimal(b.denominator) / (2 * k * (2 * k - 1)) / x ** (2 * k - 1)
    return total


def beta_binomial(alpha: Number, beta: Number, y: Number, n: Number) -> Decimal:
    """Return the log of C(n, y) B(y + alpha, n - y + beta) / B(alpha, beta)."""
    alpha, beta, y, n = Decimal(alpha), Decimal(beta), Decimal(y), Decimal(n)

    def log_beta(a: Decimal, b: Decimal) -> Decimal:
        return log_gamma(a) + log_gamma(b) - log_gamma(a + b)

    combinations = log_gamma(n + 1) - log_gamma(y + 1) - log_gamma(n - y + 1)
    return combinations + log_beta(y + alpha, n - y + beta) - log_beta(alpha, beta)


def gamma_poisson(alpha: Number, beta: Number, y: Number, exposure: Number) -> Decimal:
    """Return the log of E^y Gamma(y + alpha) beta^alpha / (y! Gamma(alpha) (beta + E)^(y + alpha))."""
    alpha, beta, y, exposure = Decimal(alpha), Decimal(beta), Decimal(y), Decimal(exposure)
    rising = log_gamma(y + alpha) - log_gamma(alpha) - log_gamma(y + 1)
    return rising + y * exposure.ln() + alpha * beta.ln() - (alpha + y) * (beta + exposure).ln()

"""The normal distribution in 100-digit arithmetic."""

from decimal import Decimal, getcontext

getcontext().Emin, getcontext().Emax = -(10**9), 10**9
PI = Decimal(
    "3.1415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679821"
)


def phi(x):
    return (-x * x / 2).exp() / (2 * PI).sqrt()


def upper_tail(x):
    """Return 1 - Phi(x), by Laplace's continued fraction far out and the power series about 0."""
    if x < 0:
        return 1 - upper_tail(-x)
    if x > 6:
        fraction = x
        for k in range(2000, 0, -1):
            fraction = x + k / fraction
        return phi(x) / fraction
    term, total, k = x, x, 1
    while abs(term) > Decimal(10) ** -90:
        term *= x * x / (2 * k + 1)
        total += term
        k += 1
    return Decimal("0.5") - phi(x) * total


def interval(a, b):
    """Return log P, M1, M2 and M2 + M1^2 as ``normal_interval`` defines them."""
    p = upper_tail(a) - upper_tail(b) if a + b > 0 else upper_tail(-b) - upper_tail(-a)
    slope, scale_slope = (phi(b) - phi(a)) / p, (b * phi(b) - a * phi(a)) / p
    return p.ln(), slope, scale_slope, scale_slope + slope * slope

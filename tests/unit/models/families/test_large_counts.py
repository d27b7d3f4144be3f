"""Log densities of large counts near their peak, against 60-digit arithmetic."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest

from partialpool.models.families import BetaBinomial, Binomial, Family, NegativeBinomial, Poisson, ResponseColumns
from partialpool.reductions.grouped_rows import group_rows

getcontext().prec = 60
LOG_2PI = Decimal("1.837877066409345483560659472811235279722794947275566825634303")
STIRLING = [Decimal(1) / 12, Decimal(-1) / 360, Decimal(1) / 1260, Decimal(-1) / 1680, Decimal(5) / 5940]


def log_gamma(x: Decimal) -> Decimal:
    """Stirling's series after raising the argument to 60, where five terms leave less than 1e-20."""
    below = Decimal(0)
    while x < 60:
        below += x.ln()
        x += 1
    series = sum(term / x ** (2 * k + 1) for k, term in enumerate(STIRLING))
    return (x - Decimal("0.5")) * x.ln() - x + LOG_2PI / 2 + series - below


def log_poisson(y: Decimal, eta: Decimal, size: Decimal) -> Decimal:
    return y * (eta + size.ln()) - size * eta.exp() - log_gamma(y + 1)


def log_negative_binomial(y: Decimal, eta: Decimal, size: Decimal, shape: Decimal) -> Decimal:
    mean = size * eta.exp()
    gammas = log_gamma(y + shape) - log_gamma(shape) - log_gamma(y + 1)
    return gammas + y * (mean / (mean + shape)).ln() + shape * (shape / (mean + shape)).ln()


def log_binomial(y: Decimal, eta: Decimal, size: Decimal) -> Decimal:
    p = 1 / (1 + (-eta).exp())
    arrangements = log_gamma(size + 1) - log_gamma(y + 1) - log_gamma(size - y + 1)
    return arrangements + y * p.ln() + (size - y) * (1 - p).ln()


def log_beta_binomial(y: Decimal, eta: Decimal, size: Decimal, c: Decimal) -> Decimal:
    p = 1 / (1 + (-eta).exp())
    a, b = c * p, c * (1 - p)
    arrangements = log_gamma(size + 1) - log_gamma(y + 1) - log_gamma(size - y + 1)
    upper = log_gamma(a + y) + log_gamma(b + size - y) + log_gamma(c)
    return arrangements + upper - log_gamma(a) - log_gamma(b) - log_gamma(c + size)


def compute(family: Family, y: float, size: float, eta: float, *dispersion: float) -> tuple[float, float]:
    response = ResponseColumns(np.array([y]), np.array([size]))
    values = tuple(np.array([value]) for value in dispersion)
    at = np.array([eta])
    constant = float(family.log_constant(response)[0])
    alone = float(family.log_density(at, response, values)[0])
    return alone + constant, float(family.derivatives(at, response, values).value[0]) + constant


def check(family: Family, exact: Decimal, y: float, size: float, eta: float, *dispersion: float) -> None:
    """To 1e-7, or what the spacing of eta beside the peak makes of it."""
    for found in compute(family, y, size, eta, *dispersion):
        assert found == pytest.approx(float(exact), abs=2e-6, rel=1e-9)


SDS = [0.0, 0.7, -3.0, 8.0]


@pytest.mark.parametrize("sds", SDS)
@pytest.mark.parametrize("y", [2e6, 3e9, 9e14])
@pytest.mark.parametrize("size", [1.0, 7.5])
def test_poisson(y: float, size: float, sds: float) -> None:
    eta = np.log(y / size) + sds / np.sqrt(y)
    check(Poisson(), log_poisson(Decimal(y), Decimal(float(eta)), Decimal(size)), y, size, float(eta))


@pytest.mark.parametrize("sds", SDS)
@pytest.mark.parametrize("y", [2e6, 3e9, 9e14])
@pytest.mark.parametrize("shape", [0.3, 80.0, 1e7, 1e13])
def test_negative_binomial(y: float, shape: float, sds: float) -> None:
    eta = float(np.log(y) + sds * np.sqrt(1 / y + 1 / shape))
    exact = log_negative_binomial(Decimal(y), Decimal(eta), Decimal(1), Decimal(shape))
    check(NegativeBinomial(), exact, y, 1.0, eta, shape)


@pytest.mark.parametrize("sds", SDS)
@pytest.mark.parametrize(("y", "size"), [(2e6, 5e6), (3e9, 3.1e9), (2e6, 1e14), (4e14, 9e14)])
def test_binomial(y: float, size: float, sds: float) -> None:
    p = y / size
    eta = float(np.log(p) - np.log1p(-p) + sds / np.sqrt(size * p * (1 - p)))
    check(Binomial(), log_binomial(Decimal(y), Decimal(eta), Decimal(size)), y, size, eta)


@pytest.mark.parametrize("sds", SDS[:3])
@pytest.mark.parametrize(("y", "size"), [(0.0, 5e6), (3e9, 3.1e9), (5.0, 1e14), (4e14, 9e14), (7e6, 7e6)])
@pytest.mark.parametrize("c", [0.2, 60.0, 1e7])
def test_beta_binomial(y: float, size: float, c: float, sds: float) -> None:
    p = min(max(y, 1.0), size - 1.0) / size
    eta = float(np.log(p) - np.log1p(-p) + sds * np.sqrt(min(1 / c, 1) / (p * (1 - p))) * min(p, 1 - p))
    exact = log_beta_binomial(Decimal(y), Decimal(eta), Decimal(size), Decimal(c))
    check(BetaBinomial(), exact, y, size, eta, c)


@pytest.mark.parametrize("link", ["probit", "cloglog"])
def test_other_links_peak_at_the_proportion(link: str) -> None:
    """A normal log density near it, of variance p q / n over the link's slope squared."""
    family, y, size = Binomial(link=link), 3e14, 8e14
    peak = float(family.linear_scale(np.array(y / size)))
    slope = (family.response_scale(np.array(peak + 1e-4)) - family.response_scale(np.array(peak - 1e-4))) / 2e-4
    sd = float(np.sqrt(y / size * (1 - y / size) / size) / slope)
    at = [compute(family, y, size, peak + sds * sd)[0] for sds in (0.0, 1.0, -2.0)]
    assert at[0] - at[1] == pytest.approx(0.5, abs=1e-4)
    assert at[0] - at[2] == pytest.approx(2.0, abs=1e-4)


@pytest.mark.parametrize("link", ["sqrt", "identity"])
def test_other_links_of_counts(link: str) -> None:
    family, y = Poisson(link=link), 4e14
    for sds in (0.0, 1.0, -2.0):
        eta = float(family.linear_scale(np.array(y + sds * np.sqrt(y))))
        assert compute(family, y, 1.0, eta)[0] == pytest.approx(-0.5 * np.log(2 * np.pi * y) - sds**2 / 2, abs=1e-5)


@pytest.mark.parametrize("family", [Poisson(), Binomial()])
def test_merged_rows_keep_the_likelihood(family: Family) -> None:
    """Rows below and above where counts are large, merged into one that is."""
    values = np.array([3.0, 9e5, 2e6, 4e6, 0.0, 7e5])
    response = ResponseColumns(values, np.array([8.0, 2e6, 5e6, 8e6, 20.0, 1.5e6]))
    codes, ones = np.array([0, 0, 0, 1, 1, 1]), np.ones((6, 1))
    rows = group_rows(family, response, None, ones, ones, None, codes, 2)
    assert rows.n_rows == 2
    for eta in (-0.3, 0.1):
        each = family.log_density(np.full(6, eta), response, ()) + family.log_constant(response)
        merged = family.log_density(np.full(2, eta), rows.response, ())
        assert float(merged.sum()) + rows.log_constant == pytest.approx(float(each.sum()), rel=1e-12)

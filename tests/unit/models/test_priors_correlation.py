"""LKJ in canonical partial correlations against the density of the matrix itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, special, stats

from partialpool.errors import PriorError
from partialpool.models.priors import LKJ

ETAS = [0.3, 1.0, 2.0, 7.5]


def log_normaliser(eta: float, q: int) -> float:
    """Return the log of the constant c in p(R) = c det(R)^(eta - 1), from the matrix's own volume.

    Lewandowski, Kurowicka and Joe (2009), J. Multivariate Analysis 100:1989-2001: one over
    prod_k (2^(2 eta - 2 + q - k) B(b, b))^(q - k), b = eta + (q - k - 1) / 2.
    """
    total = 0.0
    for k in range(1, q):
        b = eta + (q - k - 1) / 2
        total += (q - k) * ((2 * eta - 2 + q - k) * math.log(2) + special.betaln(b, b))
    return -total


def correlation_of_three(partial: NDArray[np.float64]) -> NDArray[np.float64]:
    r12, r13, r23_given_1 = partial
    r23 = r23_given_1 * math.sqrt((1 - r12**2) * (1 - r13**2)) + r12 * r13
    return np.array([[1, r12, r13], [r12, 1, r23], [r13, r23, 1]])


@pytest.mark.parametrize("eta", ETAS)
def test_two_columns_is_a_scaled_beta(eta: float) -> None:
    correlations = np.linspace(-0.999, 0.999, 41)
    logs = LKJ(eta).log_density_partial(correlations[None])
    expected = stats.beta(eta, eta, loc=-1, scale=2).logpdf(correlations)
    np.testing.assert_allclose(logs, expected, rtol=1e-12, atol=1e-13)
    shape = logs - logs[20] - (eta - 1) * np.log1p(-(correlations**2))  # (1 - rho^2)^(eta - 1)
    np.testing.assert_allclose(shape, 0, atol=1e-12)


@pytest.mark.parametrize("eta", ETAS)
def test_three_columns_is_the_determinant_times_the_jacobian(eta: float) -> None:
    rng = np.random.default_rng(5)
    for partial in rng.uniform(-0.95, 0.95, size=(20, 3)):
        matrix = correlation_of_three(partial)
        step = np.array([0, 0, 1e-6])
        moved = correlation_of_three(partial + step)[1, 2] - correlation_of_three(partial - step)[1, 2]
        log_jacobian = math.log(moved / 2e-6)  # the matrix's other entries are the partials themselves
        expected = log_normaliser(eta, 3) + (eta - 1) * math.log(np.linalg.det(matrix)) + log_jacobian
        assert float(LKJ(eta).log_density_partial(partial)) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("eta", [1.0, 2.0])
def test_three_columns_integrate_to_one(eta: float) -> None:
    nodes, weights = np.polynomial.legendre.leggauss(40)
    grid = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"))
    density = np.exp(LKJ(eta).log_density_partial(grid))
    assert density.shape == (40, 40, 40)
    # b - 1 is a half integer, so Gauss-Legendre converges algebraically
    assert np.einsum("ijk,i,j,k->", density, weights, weights, weights) == pytest.approx(1, abs=1e-4)


def test_four_columns_match_the_determinant_up_to_the_jacobian() -> None:
    eta, rng = 1.7, np.random.default_rng(8)
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]

    def correlations(partial: NDArray[np.float64]) -> NDArray[np.float64]:
        factor = np.zeros((4, 4))
        for row in range(4):
            left = 1.0
            for column in range(row):
                r = partial[pairs.index((column, row))]
                factor[row, column] = r * math.sqrt(left)
                left *= 1 - r * r
            factor[row, row] = math.sqrt(left)
        return np.asarray(factor @ factor.T)

    upper = np.triu_indices(4, 1)
    for partial in rng.uniform(-0.8, 0.8, size=(10, 6)):
        step = 1e-6 * np.eye(6)
        jacobian = [(correlations(partial + d)[upper] - correlations(partial - d)[upper]) / 2e-6 for d in step]
        expected = (
            log_normaliser(eta, 4)
            + (eta - 1) * math.log(np.linalg.det(correlations(partial)))
            + math.log(abs(np.linalg.det(np.array(jacobian))))
        )
        assert float(LKJ(eta).log_density_partial(partial)) == pytest.approx(expected, abs=1e-7)


def test_margins_of_every_correlation_are_equal() -> None:
    # each correlation of LKJ(eta) is Beta(eta + (q - 2) / 2) on (-1, 1), whatever its place
    draws = LKJ(1.5).draw_partial(3, 20_000, np.random.default_rng(3))
    assert draws.shape == (3, 20_000)
    r12, r13, p23 = draws
    r23 = p23 * np.sqrt((1 - r12**2) * (1 - r13**2)) + r12 * r13
    for margin in (r12, r13, r23):
        assert stats.kstest(margin, stats.beta(2, 2, loc=-1, scale=2).cdf).pvalue > 1e-3


def test_edges_outside_and_nan() -> None:
    with np.errstate(all="raise"):
        assert LKJ(1).log_density_partial([[-1.0, 1.0]]) == pytest.approx(-math.log(2))
        assert np.all(np.isneginf(LKJ(2).log_density_partial([[-1.0, 1.0, 1.5, -2.0]])))
        assert np.all(np.isposinf(LKJ(0.5).log_density_partial([[-1.0, 1.0]])))
        # a corner where one pair's density vanishes and another's diverges counts as zero
        assert LKJ(0.7).log_density_partial([1.0, 0.2, 1.0]) == -math.inf
        assert LKJ(2).log_density_partial([0.1, 3.0, 0.1]) == -math.inf
    assert np.isnan(LKJ(2).log_density_partial([math.nan]))


def test_close_to_one_and_enormous_eta_keep_their_digits() -> None:
    gap = 2.0**-50
    expected = math.log(3 / 4) + math.log(gap) + math.log(2)  # LKJ(2), 1 - r^2 = 2 gap
    assert float(LKJ(2).log_density_partial([1 - gap])) == pytest.approx(expected, rel=1e-14)
    expected = stats.norm(0, math.sqrt(1 / 2e12)).logpdf(1e-6)
    assert float(LKJ(1e12).log_density_partial([1e-6])) == pytest.approx(expected, rel=1e-10)


def test_tiny_eta_still_integrates_to_one() -> None:
    # with r = tanh(t) the density is smooth in t
    def integrand(t: float) -> float:
        return math.exp(float(LKJ(0.2).log_density_partial([math.tanh(t)]))) / math.cosh(t) ** 2

    assert integrate.quad(integrand, -15, 15, limit=200)[0] == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("pairs", [2, 4, 5, 7])
def test_a_number_of_pairs_that_fits_no_matrix_is_refused(pairs: int) -> None:
    with pytest.raises(PriorError, match=rf"LKJ: {pairs} partial correlations fit no matrix: give q \(q - 1\) / 2"):
        LKJ(2).log_density_partial(np.zeros((pairs, 3)))


def test_no_pairs_are_refused() -> None:
    for empty in (np.zeros((0, 3)), np.float64(0.3)):
        with pytest.raises(PriorError, match="LKJ: 0 partial correlations fit no matrix"):
            LKJ(2).log_density_partial(empty)

"""Covariance blocks: the density in coordinates, there and back, and nodes too far out to matter."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from partialpool.models.priors import LKJ, Gamma, HalfNormal, HalfStudentT
from partialpool.models.space.covariance_block import CovarianceBlock, correlation_root, partial_correlations

FloatArray = NDArray[np.float64]


def make_block(order: int, eta: float, centre: tuple[float, ...] | None) -> CovarianceBlock:
    n_pairs = order * (order - 1) // 2
    priors = (HalfNormal(1.0), HalfStudentT(6.0, 0.5), HalfNormal(2.0))[:order]
    names = tuple(f"c{pair}" for pair in range(n_pairs))
    intercept = None if centre is None else 0
    return CovarianceBlock(tuple(range(order)), names, priors, LKJ(eta), intercept, centre or (0.0,) * order)


def natural(block: CovarianceBlock, at: FloatArray) -> FloatArray:
    """The sds and correlations of one point of coordinates."""
    root, _ = block.constrain(at[: block.order, None], at[block.order :, None])
    covariance = root[..., 0] @ root[..., 0].T
    sds = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(sds, sds)
    return np.concatenate([sds, correlation[np.triu_indices(block.order, 1)]])


def log_lkj(correlations: FloatArray, order: int, eta: float) -> float:
    """The density of the entries of a correlation matrix, normalised from one beta function a column."""
    from scipy.special import betaln

    log_norm = 0.0
    for k in range(1, order):  # Lewandowski, Kurowicka and Joe (2009), theorem 5
        b = eta + 0.5 * (order - 1 - k)
        log_norm += (2 * eta - 2 + order - k) * (order - k) * np.log(2) + (order - k) * betaln(b, b)
    matrix = np.eye(order)
    matrix[np.triu_indices(order, 1)] = correlations
    matrix = matrix + matrix.T - np.eye(order)
    return float((eta - 1) * np.linalg.slogdet(matrix)[1] - log_norm)


@pytest.mark.parametrize("centre", [None, (0.0, 0.4, -0.3), (0.0, 30.0, 5.0)], ids=["natural", "near", "far"])
@pytest.mark.parametrize("eta", [1.0, 2.0, 0.7])
@pytest.mark.parametrize("order", [2, 3])
def test_density_in_coordinates(order: int, eta: float, centre: tuple[float, ...] | None) -> None:
    """Prior density of sds and correlations times a Jacobian by central differences."""
    block = make_block(order, eta, centre[:order] if centre else None)
    n = order + len(block.names)
    for seed in range(5):
        at = np.random.default_rng(seed).normal(size=n) * 0.6
        step = 1e-4
        jacobian = np.stack(
            [(natural(block, at + step * e) - natural(block, at - step * e)) / (2 * step) for e in np.eye(n)]
        )
        values = natural(block, at)
        expected = np.linalg.slogdet(jacobian)[1] + log_lkj(values[order:], order, eta)
        expected += sum(float(prior.log_density(sd)) for prior, sd in zip(block.sd_priors, values, strict=False))
        found = block.constrain(at[:order, None], at[order:, None])[1][0]
        assert found == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("centre", [None, (0.0, 3.0, -1.0)])
@pytest.mark.parametrize("order", [2, 3])
def test_there_and_back(order: int, centre: tuple[float, ...] | None) -> None:
    block = make_block(order, 2.0, centre[:order] if centre else None)
    rng = np.random.default_rng(4)
    log_sds, fisher_z = rng.normal(size=(order, 1)), rng.normal(size=(len(block.names), 1))
    root, _ = block.constrain(log_sds, fisher_z)
    back = block.unconstrain(root[..., 0])
    assert np.allclose(back[0], log_sds[:, 0], atol=1e-10)
    assert np.allclose(back[1], fisher_z[:, 0], atol=1e-10)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_correlation_roots(order: int) -> None:
    rng = np.random.default_rng(order)
    partial = np.tanh(rng.normal(size=(order * (order - 1) // 2, 6)))
    roots = correlation_root(partial, order)
    for node in range(6):
        root = roots[..., node]
        assert np.allclose(root, np.tril(root))
        assert np.allclose(np.diag(root @ root.T), 1.0, atol=1e-14)
        assert np.allclose(partial_correlations(root), partial[:, node], atol=1e-10)


@pytest.mark.parametrize("prior", [HalfNormal(1.0), Gamma(0.5, 1.0)])
@pytest.mark.parametrize("centre", [None, (0.0, 3.0)])
@pytest.mark.parametrize("log_sd", [-400.0, -800.0, 400.0, 800.0])
@pytest.mark.parametrize("fisher_z", [0.0, 30.0])
@pytest.mark.parametrize("eta", [0.7, 1.0, 2.0])
def test_nodes_out_of_the_floating_range_carry_nothing(
    eta: float, log_sd: float, fisher_z: float, centre: tuple[float, ...] | None, prior: HalfNormal | Gamma
) -> None:
    """Squares of sds underflow below 1e-162: one such node must not swallow the posterior."""
    intercept = None if centre is None else 0
    block = CovarianceBlock((0, 1), ("c",), (prior, prior), LKJ(eta), intercept, centre or (0.0, 0.0))
    with np.errstate(all="ignore"):
        for sds in ([log_sd, 0.0], [0.0, log_sd], [log_sd, log_sd]):
            _, log_prior = block.constrain(np.array([sds]).T, np.array([[fisher_z]]))
            assert log_prior[0] < -100.0

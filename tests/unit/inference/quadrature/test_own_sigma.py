"""Groups' sigmas integrated out: against adaptive quadrature of scipy over sigma, and the gradient by differences."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import helmert
from scipy.stats import multivariate_normal

from partialpool.inference.quadrature.own_sigma import OwnSigmaMarginal, build_own_sigma
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.models.families.own_sigma import GaussianOwnSigma
from partialpool.models.latent_model import build_latent_model
from partialpool.models.populations.normal import NormalPopulation
from partialpool.models.space.hyperspace import HyperPoints

FORMULA = "y ~ x + (1 | g)"


def _data(seed=3, sizes=(2, 3, 5, 1, 9), scale=1.0):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.standard_normal(len(g)) + 0.5 * g
    y = scale * (3.0 + 0.4 * x + rng.standard_normal(len(sizes))[g] + np.exp(0.3 * g)[:] * rng.standard_normal(len(g)))
    return {"y": y, "x": x, "g": [f"g{k}" for k in g]}


def _marginal(data, **roles) -> OwnSigmaMarginal:
    formula = parse_formula(FORMULA)
    design = build_design(formula, read_observations(data, formula, **roles))
    model = build_latent_model(design, GaussianOwnSigma(), NormalPopulation(), None, "partial")
    return replace(build_own_sigma(model), order=385)


def _points(*nodes):
    """Points (Intercept, x, tau, m, s)."""
    values = np.array(nodes, dtype=float).T
    return HyperPoints(values[2][None, None], np.ones(len(nodes)), values[:2], None, values[3:])


def _integrate(y, mean, tau, m, s):
    """log p of one group by scipy: its rotated rows are independent normals, sigma is integrated by adaptive rules."""
    n = len(y)
    turned = helmert(n, full=True) @ (y - mean)
    turned_sd = np.array([tau * math.sqrt(n), *np.zeros(n - 1)])

    def density(t):
        sds = np.sqrt(turned_sd**2 + np.exp(2.0 * np.asarray(t))[..., None])
        return _log_normal(turned, sds).sum(axis=-1) + _log_normal(np.asarray(t) - m, s)

    grid = np.linspace(m - 9.0 * s, m + 9.0 * s, 4001)
    logs = density(grid)
    top = logs.max()
    alive = grid[logs > top - 40.0]
    cuts = np.linspace(alive[0], alive[-1], 9)
    parts = [quad(lambda t: math.exp(density(t) - top), *ends, epsabs=1e-12)[0] for ends in pairwise(cuts)]
    return top + math.log(sum(parts))


def _log_normal(values, sds):
    return -0.5 * (values / sds) ** 2 - np.log(sds) - 0.5 * math.log(2.0 * math.pi)


def _by_group(data, node):
    y, x, g = np.array(data["y"]), np.array(data["x"]), np.array(data["g"])
    beta, tau, m, s = node[:2], *node[2:]
    return [_integrate(y[g == k], beta[0] + beta[1] * x[g == k], tau, m, s) for k in dict.fromkeys(data["g"])]


# the last puts a group of one row 8 sds out of the population, where its log sigma has two peaks
NODES = [(3.0, 0.4, 1.0, 0.3, 0.5), (2.0, 0.0, 0.05, 0.0, 1.5), (5.0, 1.0, 6.0, 1.0, 0.1), (11.0, 0.4, 1.0, -1.0, 0.8)]


@pytest.mark.parametrize("node", NODES)
def test_group_likelihood_is_the_integral_over_sigma(node):
    data = _data()
    found = _marginal(data).group_log_likelihood(_points(node), 0)[:, 0]
    np.testing.assert_allclose(found, _by_group(data, node), atol=1e-7)


def test_two_peaks_are_both_seen_by_the_refined_rule():
    data = _data()
    marginal = _marginal(data).refine(_points(*NODES))
    for k, node in enumerate(NODES):
        found = marginal.group_log_likelihood(_points(*NODES), 0)[:, k]
        np.testing.assert_allclose(found, _by_group(data, node), atol=1e-3)


def test_gradient_is_that_of_the_likelihood():
    marginal = _marginal(_data())
    node, step = np.array(NODES[0]), 1e-5
    value, gradient = marginal.value_and_gradient(_points(node))
    moves = [marginal.log_likelihood(_points(node + step * row, node - step * row)) for row in np.eye(5)]
    slopes = [(up - down) / (2.0 * step) for up, down in moves]
    found = [*gradient.coefficients[:, 0], gradient.root[0, 0, 0] / node[2], *gradient.extras[:, 0]]
    np.testing.assert_allclose(found, slopes, rtol=1e-6, atol=1e-6)
    assert value == pytest.approx(marginal.log_likelihood(_points(node)))


def test_summaries_weights_and_counts_are_their_rows():
    data = _data()
    y, x = np.array(data["y"]), np.array([0.5, 1.0, 2.0, 0.0, 3.0])
    codes = np.unique(data["g"], return_inverse=True)[1]
    rows = {"y": y, "x": x[codes], "g": data["g"]}
    sizes = np.bincount(codes)
    means = np.bincount(codes, weights=y) / sizes
    sds = [np.std(y[codes == k], ddof=1) if sizes[k] > 1 else 0.0 for k in range(5)]
    table = {"y": means, "x": x, "g": np.unique(data["g"]), "n": sizes, "s": sds}
    doubled = {name: np.concatenate([values, values]) for name, values in rows.items()}
    nodes = _points(*NODES)
    expected = _marginal(rows).group_log_likelihood(nodes, 0)
    found = _marginal(table, size="n", sd="s").group_log_likelihood(nodes, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    counted = _marginal({**rows, "k": np.full(len(y), 2)}, counts="k").group_log_likelihood(nodes, 0)
    np.testing.assert_allclose(counted, _marginal(doubled).group_log_likelihood(nodes, 0), rtol=1e-9)
    # weights of 4 are sigmas half as large
    weighted = _marginal({**rows, "w": np.full(len(y), 4.0)}, weights="w").group_log_likelihood(nodes, 0)
    shifted = _points(*[(*node[:3], node[3] - math.log(2.0), node[4]) for node in NODES])
    np.testing.assert_allclose(weighted, _marginal(rows).group_log_likelihood(shifted, 0), rtol=1e-9)


def test_a_spread_of_zero_is_one_sigma():
    data = _data()
    node = (3.0, 0.4, 1.0, 0.3, 0.0)
    found = _marginal(data).group_log_likelihood(_points(node), 0)[:, 0]
    y, x, g = np.array(data["y"]), np.array(data["x"]), np.array(data["g"])
    sigma, expected = math.exp(0.3), []
    for k in dict.fromkeys(data["g"]):
        own = y[g == k]
        covariance = sigma**2 * np.eye(len(own)) + 1.0
        expected.append(multivariate_normal.logpdf(own, 3.0 + 0.4 * x[g == k], covariance))
    np.testing.assert_allclose(found, expected, rtol=1e-9)

"""Structural zeros with covariates of their own, against a dense grid; and with one that says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, log_expit, logsumexp

import partialpool as pp

# rows of one group have equal predictors of their rates, and differ in those of structural zeros
DATA = {
    "y": [0, 0, 3, 5, 0, 2, 0, 1, 0, 0, 0, 6, 4, 3],
    "x": [1.0, -0.5, -1.0, 0.0, 2.0, 0.3, 0.3, -2.0, 1.5, 1.5, 0.8, 0.1, -0.4, 1.0],
    "g": [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3],
}
PRIORS = {
    "Intercept": "Normal(0.5, 1)",
    "sd(g)": "Fixed(0.6)",
    "zero: Intercept": "Normal(0, 1.5)",
    "zero: x": "Normal(0, 1)",
}
NAMES = ("Intercept", "zero: Intercept", "zero: x")
SCALES = ((0.5, 1.0), (0.0, 1.5), (0.0, 1.0))


def _integrate() -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return grid points (parameter, node), their weights, and mean and sd of the rate of the group of zeros."""
    axes = [np.linspace(m - 5 * s, m + 5 * s, 31) for m, s in SCALES]
    nodes = np.stack([part.ravel() for part in np.meshgrid(*axes, indexing="ij")])
    theta = np.linspace(-6.0, 7.0, 161)
    log_rows = {}
    logit = nodes[1] + np.outer(DATA["x"], nodes[2])
    total = sum(stats.norm(m, s).logpdf(part) for (m, s), part in zip(SCALES, nodes, strict=True))
    density = stats.norm.logpdf(theta[:, None], nodes[0], 0.6) + np.log(theta[1] - theta[0])
    for group in range(4):
        own = np.zeros((len(theta), 1))
        for i in np.flatnonzero(np.array(DATA["g"]) == group):
            counted = log_expit(-logit[i]) + stats.poisson.logpmf(DATA["y"][i], np.exp(theta))[:, None]
            own = own + (np.logaddexp(log_expit(logit[i]), counted) if DATA["y"][i] == 0 else counted)
        log_rows[group] = own + density
        total = total + logsumexp(log_rows[group], axis=0)
    weights = np.exp(total - logsumexp(total))
    given = np.exp(log_rows[2] - logsumexp(log_rows[2], axis=0))
    mean = float(weights @ (np.exp(theta) @ given))
    square = float(weights @ (np.exp(2 * theta) @ given))
    return nodes, weights, np.array([mean, np.sqrt(square - mean**2)]), float(weights @ expit(nodes[1] + 2 * nodes[2]))


def test_against_a_dense_grid() -> None:
    nodes, weights, rate, _ = _integrate()
    fit = pp.fit("y ~ 1 + (1 | g)", DATA, family="zero_inflated_poisson", zero="~ x", priors=PRIORS)
    table = fit.summary()
    for name, values in zip(NAMES, nodes, strict=True):
        mean = weights @ values
        sd = np.sqrt(weights @ (values - mean) ** 2)
        assert abs(table.loc[name, "mean"] - mean) < 0.02 * sd, name
        assert table.loc[name, "sd"] == pytest.approx(sd, rel=0.02), name
        for column, probability in (("q5", 0.05), ("q50", 0.5), ("q95", 0.95)):
            below = weights @ np.clip((table.loc[name, column] - values) / (values[-1] - values[0]) * 30 + 0.5, 0, 1)
            assert below == pytest.approx(probability, abs=0.015), name
    groups = fit.groups()
    assert abs(groups["mean"].iloc[2] - rate[0]) < 0.02 * rate[1]
    assert groups["sd"].iloc[2] == pytest.approx(rate[1], rel=0.02)


def test_means_of_rows_have_their_own_zeros() -> None:
    fit = pp.fit("y ~ 1 + (1 | g)", DATA, family="zero_inflated_poisson", zero="~ x", priors=PRIORS)
    rows = fit.predict({"x": [-3.0, 2.0], "g": [3, 3]})
    mean = rows[rows["quantity"] == "group mean"]["mean"].to_numpy()
    observed = rows[rows["quantity"] == "new observation"]["mean"].to_numpy()
    np.testing.assert_allclose(mean, observed, rtol=1e-6)
    share = 1.0 - _integrate()[3]
    assert mean[1] < mean[0]
    # the group's rate hardly depends on the share of zeros
    assert mean[1] == pytest.approx(share * fit.groups()["mean"].iloc[3], rel=0.1)


def test_a_covariate_without_effect_leaves_the_constant_probability() -> None:
    constant = pp.fit("y ~ 1 + (1 | g)", DATA, family="zip", priors={"zero": "Fixed(0.3)", "sd(g)": "Fixed(0.6)"})
    given = {"zero: Intercept": f"Fixed({np.log(0.3 / 0.7)})", "zero: x": "Fixed(0)", "sd(g)": "Fixed(0.6)"}
    same = pp.fit("y ~ 1 + (1 | g)", DATA, family="zip", zero="~ x", priors=given)
    assert same.log_marginal_likelihood == pytest.approx(constant.log_marginal_likelihood, abs=1e-6)
    np.testing.assert_allclose(same.groups()["mean"], constant.groups()["mean"], rtol=1e-5)

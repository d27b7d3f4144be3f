"""A Student-t likelihood of rows in conflict has several peaks in a group's parameter: all of them are integrated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

import partialpool as pp

Y = np.array([-6.0, 6.0, -5.0, 5.0, 0.0, 0.1, -0.1, 0.2, 7.0, 7.2, -7.0, -7.1])
G = np.array([0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3])


def _fit() -> pp.Posterior:
    data = {"y": Y, "g": G, "se": np.full(len(Y), 0.3)}
    priors = {"Intercept": "Normal(0, 3)", "sd(g)": "HalfNormal(5)"}
    return pp.fit("y ~ 1 + (1 | g)", data, standard_error="se", family="student_t(nu=3)", priors=priors)


def test_the_marginal_likelihood_holds_every_peak() -> None:
    fit = _fit()
    theta = np.linspace(-60.0, 60.0, 24_001)
    rows = np.array([stats.t.logpdf(Y[j == G][:, None], 3, theta, 0.3).sum(axis=0) for j in range(4)])
    order = np.argsort(fit.fitted.hyper.weights)[::-1]
    points = fit.fitted.hyper.points.select(order[[0, 500, 1000, 2500]])
    found = fit.fitted.marginal.log_likelihood(points)
    for node in range(4):
        prior = stats.norm.logpdf(theta, points.coefficients[0, node], points.effect_root[0, 0, node])
        expected = float((special.logsumexp(rows + prior, axis=1) + np.log(theta[1] - theta[0])).sum())
        assert found[node] == pytest.approx(expected, abs=1e-3)


def test_groups_in_conflict_have_intervals_over_both_peaks_and_no_raw_estimate() -> None:
    groups = _fit().groups()
    assert groups.loc[0, "q5"] < -5.0
    assert groups.loc[0, "q95"] > 5.0
    assert np.isnan(groups.loc[0, "raw"])
    assert groups.loc[2, "raw"] == pytest.approx(0.05, abs=0.01)

"""Two hyperparameters from some hundred evaluations, counted: the same answers as brute force under every prior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from partialpool.errors import ComputationError
from partialpool.inference.contract import ConditionalTables
from partialpool.inference.quadrature.adaptive_hermite import AdaptiveHermite
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray

from .proportions_brute import LEVELS, Answer, integrate_proportions

_MEAN_PRIOR = "Normal(-2, 1.5)"
# prior, its distribution, and the groups' sd: 0 where the posterior of the population's sd is to have its mode at 0
_CASES = [
    ("HalfNormal(1)", stats.halfnorm(0, 1), 0.0),
    ("HalfCauchy(0.5)", stats.halfcauchy(0, 0.5), 0.0),
    ("HalfCauchy(0.5)", stats.halfcauchy(0, 0.5), 0.6),
    ("Uniform(0, 3)", stats.uniform(0, 3), 0.6),
    ("Uniform(0, 0.3)", stats.uniform(0, 0.3), 0.6),  # its end cuts the likelihood
    ("Uniform(0.1, 2)", stats.uniform(0.1, 1.9), 0.0),
    ("InverseGamma(2, 0.5, on='sd')", stats.invgamma(2, scale=0.5), 0.6),
    ("Exponential(2)", stats.expon(scale=0.5), 0.0),
    ("Gamma(0.5, 1)", stats.gamma(0.5, scale=1.0), 0.0),  # infinite at 0
]
# Where groups hardly differ their own values are as fine as the steps of the mean: 90 were 0.04 sds off.
# 24 of the sd, or 181 of the value of a group, left 95 % quantiles 0.04 off.
_SIZES = {0.0: (240, 20), 0.6: (100, 48)}


def _simulate(seed: int, sd: float, n_groups: int = 6) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    n = rng.integers(20, 300, n_groups)
    y = rng.binomial(n, 1.0 / (1.0 + np.exp(2.0 - sd * rng.standard_normal(n_groups))))
    return {"y": y, "n": n, "g": np.arange(n_groups)}


def _fit(data: dict[str, Any], prior: str) -> Any:
    priors = {"Intercept": _MEAN_PRIOR, "sd(g)": prior}
    return pp.fit("y ~ 1 + (1 | g)", data, family="binomial", trials="n", priors=priors)


def _compare(table: Any, truth: Answer) -> None:
    assert np.max(np.abs(table["mean"] - truth.mean) / truth.sd) < 0.02
    assert np.max(np.abs(table["sd"] / truth.sd - 1.0)) < 0.02
    assert np.max(np.abs(table[["q5", "q50", "q95"]] - truth.quantiles) / truth.sd[:, None]) < 0.03


@pytest.mark.parametrize(("prior", "distribution", "sd"), _CASES)
def test_as_by_brute_force(prior: str, distribution: Any, sd: float) -> None:
    data = _simulate(1 if sd == 0.0 else 2, sd)
    fit = _fit(data, prior)
    assert fit.engine.route == "interpolated grid"
    assert fit.engine.evidence["evaluations"] < 1500
    truth = integrate_proportions(data["y"], data["n"], stats.norm(-2, 1.5), distribution, _SIZES[sd])
    _compare(fit.summary(quantiles=LEVELS), truth.hyper)
    _compare(fit.groups(quantiles=LEVELS), truth.groups)


def test_as_few_evaluations_as_the_accuracy_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"likelihood": 0, "tables": 0}
    plain, tables = AdaptiveHermite.log_likelihood, AdaptiveHermite.tables

    def counted(self: AdaptiveHermite, points: HyperPoints) -> FloatArray:
        counts["likelihood"] += points.n_nodes
        return plain(self, points)

    def tabulated(
        self: AdaptiveHermite, points: HyperPoints, factor: int, effect: int, classes: IntArray
    ) -> ConditionalTables:
        counts["tables"] += points.n_nodes
        return tables(self, points, factor, effect, classes)

    monkeypatch.setattr(AdaptiveHermite, "log_likelihood", counted)
    monkeypatch.setattr(AdaptiveHermite, "tables", tabulated)
    fit = _fit(_simulate(3, 0.5, 12), "HalfNormal(1)")
    assert fit.engine.evidence["evaluations"] <= counts["likelihood"] < 1000
    seen = counts["likelihood"]
    fit.groups()
    assert counts["likelihood"] == seen
    assert counts["tables"] <= 256 + 512


def test_a_spoilt_node_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """One group's density at one far node is no number."""
    fit = _fit(_simulate(4, 0.5), "HalfNormal(1)")
    plain = AdaptiveHermite.tables

    def spoilt(
        self: AdaptiveHermite, points: HyperPoints, factor: int, effect: int, classes: IntArray
    ) -> ConditionalTables:
        found = plain(self, points, factor, effect, classes)
        density = found.density.copy()
        density[2, int(np.argmax(points.effect_root[0, 0]))] = np.nan
        return found._replace(density=density)

    monkeypatch.setattr(AdaptiveHermite, "tables", spoilt)
    with pytest.raises(ComputationError, match="no number"):
        fit.groups()


def test_a_hole_in_the_likelihood_is_not_interpolated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A floor in the place of what is no number would ring: another route is taken, and the certificate says why."""
    plain = AdaptiveHermite.log_likelihood

    def holed(self: AdaptiveHermite, points: HyperPoints) -> FloatArray:
        return np.where(points.effect_root[0, 0] < 1e-4, -np.inf, plain(self, points))

    monkeypatch.setattr(AdaptiveHermite, "log_likelihood", holed)
    data = _simulate(5, 0.6)
    fit = _fit(data, "HalfNormal(1)")
    assert fit.engine.route != "interpolated grid"
    assert "an interpolated grid was left: " in fit.engine.left
    truth = integrate_proportions(data["y"], data["n"], stats.norm(-2, 1.5), stats.halfnorm(0, 1), (60, 24))
    _compare(fit.summary(quantiles=LEVELS), truth.hyper)

"""Empirical Bayes against brute-force maximisation, closed forms and published estimates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize

import partialpool as pp
from partialpool.datasets import eight_schools, sleepstudy

from . import dense
from .cases import random_case
from .dense import DenseRows

FloatArray = NDArray[np.float64]
FAST = settings(max_examples=40, deadline=None, derandomize=True)


def fit_by(estimator: str, formula: str, data: dict[str, Any], **roles: Any) -> Any:
    return pp.fit(formula, data, method="empirical_bayes", estimator=estimator, **roles)  # type: ignore[arg-type]


class TestPublished:
    """lme4's estimates for sleepstudy: Bates, Maechler, Bolker and Walker (2015), J. Statistical Software 67(1),
    sections 1.2 and 1.3, and the package's own documentation."""

    def table(self, estimator: str, formula: str = "Reaction ~ Days + (Days | Subject)") -> Any:
        return fit_by(estimator, formula, sleepstudy())

    def test_reml(self) -> None:
        fit = self.table("reml")
        mean = fit.summary()["mean"]
        # lme4 prints 24.7407, nlme 24.7402: the maximum, by Newton steps on dense matrices, is at 24.74045
        assert mean["sd(Subject, Intercept)"] == pytest.approx(24.7407, abs=5e-4)
        assert mean["sd(Subject, Intercept)"] == pytest.approx(24.74045, abs=1e-5)
        assert mean["sd(Subject, Days)"] == pytest.approx(5.9221, abs=1e-4)
        assert mean["cor(Subject, Intercept, Days)"] == pytest.approx(0.066, abs=5e-4)
        assert mean["sigma"] == pytest.approx(25.5918, abs=1e-4)
        assert mean["Intercept"] == pytest.approx(251.4051, abs=1e-4)
        assert mean["Days"] == pytest.approx(10.4673, abs=1e-4)
        sd = fit.summary()["sd"]
        assert sd["Intercept"] == pytest.approx(6.8246, abs=2e-4)
        assert sd["Days"] == pytest.approx(1.5458, abs=1e-4)
        assert -2 * fit.engine.evidence["restricted log likelihood"] == pytest.approx(1743.628, abs=1e-3)
        assert fit.engine.status == "plug-in"

    def test_ml(self) -> None:
        mean = self.table("ml").summary()["mean"]
        assert mean["sd(Subject, Intercept)"] == pytest.approx(23.7806, abs=1e-4)
        assert mean["sd(Subject, Days)"] == pytest.approx(5.7168, abs=2e-4)
        assert mean["cor(Subject, Intercept, Days)"] == pytest.approx(0.081, abs=5e-4)
        assert mean["sigma"] == pytest.approx(25.5919, abs=2e-4)

    def test_uncorrelated(self) -> None:
        mean = self.table("reml", "Reaction ~ Days + (Days || Subject)").summary()["mean"]
        assert mean["sd(Subject, Intercept)"] ** 2 == pytest.approx(627.57, abs=0.01)
        assert mean["sd(Subject, Days)"] ** 2 == pytest.approx(35.86, abs=0.01)
        assert mean["sigma"] ** 2 == pytest.approx(653.58, abs=0.01)


def brute_force(
    rows: DenseRows, q: int, known: bool, *, restricted: bool, correlated: bool
) -> tuple[float, FloatArray]:
    """Maximise the (restricted) likelihood over dense matrices; return it with (covariance entries, sigma)."""
    p = rows.population.shape[1]

    def unpack(theta: FloatArray) -> tuple[FloatArray, float]:
        root = np.diag(theta[:q])
        if correlated:
            root[1, 0] = theta[q]
        return root @ root.T, 1.0 if known else float(np.exp(theta[-1]))

    def negative(theta: FloatArray) -> float:
        covariance, sigma = unpack(theta)
        if restricted:
            return -dense.log_likelihood(rows, covariance, sigma, np.zeros(p), np.zeros(p), np.full(p, np.nan))
        v = rows.covariance(covariance, sigma)
        inverse = np.linalg.inv(v)
        beta = np.linalg.solve(
            rows.population.T @ inverse @ rows.population, rows.population.T @ inverse @ rows.response
        )
        return -dense.log_likelihood(rows, covariance, sigma, np.zeros(p), np.full(p, np.nan), beta)

    best = None
    for start in (0.2, 1.0):
        theta = np.concatenate([np.full(q, start), np.zeros(int(correlated)), np.zeros(int(not known))])
        found = minimize(negative, theta, method="BFGS", options={"gtol": 1e-6})
        best = found if best is None or found.fun < best.fun else best
    assert best is not None
    covariance, sigma = unpack(best.x)
    return -float(best.fun), np.array([*covariance[np.tril_indices(q)], sigma])


SHAPES = [("1", " + (1 | g)"), ("x", " + (1 | g)"), ("x", " + (x || g)"), ("x", " + (1 + x | g)")]


@pytest.mark.parametrize("estimator", ["ml", "reml"])
@pytest.mark.parametrize("form", ["rows", "weights and counts", "standard errors", "summaries"])
@pytest.mark.parametrize("shape", SHAPES)
def test_likelihood_estimates(shape: tuple[str, str], form: str, estimator: str) -> None:
    population, groups = shape
    case = random_case(population, groups, form, "default", [6, 5, 7, 1, 4, 6], seed=21)
    fit = fit_by(estimator, case.formula, case.data, **case.roles)
    q, correlated = case.rows.effects.shape[1], "| g" in groups and "x |" in groups and "||" not in groups
    known = form == "standard errors"
    best, values = brute_force(case.rows, q, known, restricted=estimator == "reml", correlated=correlated)
    point = fit.fitted.hyper.points
    root = point.effect_root[:, :, 0]
    ours = np.array([*(root @ root.T)[np.tril_indices(q)], point.residual_sd[0]])
    p = case.rows.population.shape[1]
    if estimator == "reml":
        reached = dense.log_likelihood(case.rows, root @ root.T, ours[-1], np.zeros(p), np.zeros(p), np.full(p, np.nan))
        assert fit.engine.evidence["restricted log likelihood"] == pytest.approx(reached, abs=1e-8)
    else:
        beta = fit.summary()["mean"][list(fit.fitted.model.design.population.names)].to_numpy()
        reached = dense.log_likelihood(case.rows, root @ root.T, ours[-1], np.zeros(p), np.full(p, np.nan), beta)
        assert fit.engine.evidence["log likelihood"] == pytest.approx(reached, abs=1e-8)
    assert reached > best - 1e-8
    assert np.allclose(ours, values, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("form", ["rows", "weights", "standard errors", "offset"])
@pytest.mark.parametrize("shape", SHAPES)
def test_effects_are_the_plug_in_conditionals(shape: tuple[str, str], form: str) -> None:
    """Groups' means and sds given the estimates, coefficients plugged in too; coefficients with their GLS errors."""
    population, groups = shape
    case = random_case(population, groups, form, "default", [6, 5, 7, 1, 4, 6], seed=22)
    fit = fit_by("reml", case.formula, case.data, **case.roles)
    root, sigma = fit.fitted.hyper.points.effect_root[:, :, 0], fit.fitted.hyper.points.residual_sd[0]
    rows, q = case.rows, case.rows.effects.shape[1]
    covariance = root @ root.T
    v = rows.covariance(covariance, sigma)
    inverse = np.linalg.inv(v)
    precision = rows.population.T @ inverse @ rows.population
    beta = np.linalg.solve(precision, rows.population.T @ inverse @ rows.response)
    names = list(fit.fitted.model.design.population.names)
    table = fit.summary(effects=True)
    assert np.allclose(table.loc[names, "mean"], beta, rtol=1e-8)
    assert np.allclose(table.loc[names, "sd"], np.sqrt(np.diag(np.linalg.inv(precision))), rtol=1e-8)
    spread = np.kron(np.eye(rows.n_groups), covariance) @ rows.indicator.T
    effects = spread @ inverse @ (rows.response - rows.population @ beta)
    variance = np.kron(np.eye(rows.n_groups), covariance) - spread @ inverse @ spread.T
    deviations = table[table.index.str.startswith("u[")]
    ours = deviations["mean"].to_numpy().reshape(q, -1).T.ravel()
    assert np.allclose(ours, effects, atol=1e-8)
    ours = deviations["sd"].to_numpy().reshape(q, -1).T.ravel()
    assert np.allclose(ours**2, np.diag(variance), atol=1e-8)


class TestMoments:
    @FAST
    @given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 9), min_size=3, max_size=8))
    def test_unknown_sigma(self, seed: int, sizes: list[int]) -> None:
        sizes[0] += 1
        case = random_case("1", " + (1 | g)", "rows", "default", sizes, seed)
        y, g = np.asarray(case.rows.response), case.rows.groups
        means = np.array([y[g == j].mean() for j in range(len(sizes))])
        within = sum(((y[g == j] - means[j]) ** 2).sum() for j in range(len(sizes))) / (len(y) - len(sizes))
        variances = within / np.array(sizes)
        expected: dict[str, Callable[[], float]] = {
            "moments": lambda: means.var(ddof=1) - variances.mean(),
            "dersimonian_laird": lambda: _dersimonian_laird(means, variances),
        }
        for estimator, value in expected.items():
            mean = fit_by(estimator, case.formula, case.data).summary()["mean"]
            assert mean["sigma"] ** 2 == pytest.approx(within, rel=1e-9)
            assert mean["sd(g)"] ** 2 == pytest.approx(max(value(), 0.0), rel=1e-9, abs=1e-12)

    def test_eight_schools(self) -> None:
        """Q = 4.707 is below its 7 degrees of freedom: DerSimonian and Laird's tau is 0."""
        fit = fit_by("dersimonian_laird", "effect ~ 1 + (1 | school)", eight_schools(), standard_error="se")
        assert fit.summary()["mean"]["sd(school)"] == 0.0

    @pytest.mark.parametrize("estimator", ["moments", "dersimonian_laird"])
    def test_more_than_an_intercept_is_refused(self, estimator: str) -> None:
        with pytest.raises(pp.errors.DataError, match=r"y ~ 1 \+ \(1 \| g\)"):
            fit_by(estimator, "Reaction ~ Days + (1 | Subject)", sleepstudy())


def _dersimonian_laird(means: FloatArray, variances: FloatArray) -> float:
    w = 1 / variances
    q = float(w @ (means - w @ means / w.sum()) ** 2)
    return float((q - (len(means) - 1)) / (w.sum() - (w @ w) / w.sum()))


class TestBoundary:
    """Balanced groups with known variance v: tau-hat^2 is S / J - v (ML) and S / (J - 1) - v (REML), or exactly 0."""

    @FAST
    @given(st.lists(st.floats(-3, 3), min_size=3, max_size=8), st.floats(0.05, 5))
    def test_balanced(self, means: list[float], v: float) -> None:
        if np.ptp(means) < 1e-3:
            means[0] += 1.0
        data = {"y": means, "g": list(range(len(means))), "se": [v**0.5] * len(means)}
        for estimator, ddof in (("ml", 0), ("reml", 1)):
            expected = float(np.var(means, ddof=ddof)) - v
            if abs(expected) < 1e-3:
                continue
            tau = fit_by(estimator, "y ~ 1 + (1 | g)", data, standard_error="se").summary()["mean"]["sd(g)"]
            if expected < 0:
                assert tau == 0.0
            else:
                assert tau**2 == pytest.approx(expected, rel=1e-6)

    def test_at_zero_groups_are_completely_pooled(self) -> None:
        fit = fit_by("reml", "effect ~ 1 + (1 | school)", eight_schools(), standard_error="se")
        groups = fit.groups()
        assert np.allclose(groups["mean"], 7.6856, atol=1e-4)
        assert np.all(groups["weight"] == 0.0)
        assert np.all(groups["sd"] == 0.0)
        assert np.isfinite(fit.draws(10)["theta[school=A]"]).all()
        assert "too narrow" in repr(fit)

    def test_a_slope_without_variance(self) -> None:
        """Rows whose slopes are all alike: the slope's sd is exactly 0, the intercept's is not."""
        rng = np.random.default_rng(4)
        g = np.repeat(np.arange(8), 6)
        x = np.tile(np.arange(6.0) - 2.5, 8)
        residual = rng.normal(size=48)
        for j in range(8):  # residuals orthogonal to 1 and x within every group
            design = np.stack([np.ones(6), x[:6]], axis=1)
            rows = g == j
            residual[rows] -= design @ np.linalg.lstsq(design, residual[rows], rcond=None)[0]
        y = 3.0 + 0.5 * x + 2.0 * rng.normal(size=8)[g] + residual
        mean = fit_by("reml", "y ~ x + (x || g)", {"y": y, "x": x, "g": g}).summary()["mean"]
        assert mean["sd(g, x)"] == 0.0
        assert mean["sd(g, Intercept)"] > 1.0
        assert mean["x"] == pytest.approx(0.5, abs=1e-9)


def test_priors_change_nothing_and_the_marginal_likelihood_is_refused() -> None:
    data = eight_schools()
    plain = fit_by("reml", "effect ~ 1 + (1 | school)", data, standard_error="se")
    formula, more = "effect ~ 1 + (1 | school)", {"Intercept": "Normal(100, 1)", "sd": "HalfNormal(0.1)"}
    with pytest.warns(pp.errors.PriorWarning, match="Intercept, sd"):
        other = fit_by("reml", formula, data, standard_error="se", priors=more)
    assert plain.summary().equals(other.summary())
    with pytest.raises(pp.errors.PriorError, match="empirical Bayes"):
        _ = plain.log_marginal_likelihood

"""Default priors follow the data's units: in other units of response, exposure and covariates the posterior is the same
but for that factor, whatever the family, link and population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import partialpool as pp

RNG = np.random.default_rng(12)
G = np.repeat(np.arange(6), 5)
X = RNG.normal(size=30)
MEAN = np.exp(0.5 + 0.4 * RNG.normal(size=6)[G] + 0.3 * X)
HOURS = RNG.uniform(1.0, 9.0, size=30)
COUNTS = RNG.poisson(MEAN * HOURS)
POSITIVE = MEAN * RNG.gamma(4.0, 0.25, size=30)
SHARES = RNG.beta(4.0 * MEAN, 6.0)
SUCCESSES = RNG.binomial(12, 1 / (1 + np.exp(-X * 0.5 - RNG.normal(size=6)[G])))


@dataclass(frozen=True)
class Case:
    """A model with its default priors."""

    family: str
    formula: str = "y ~ x + (1 | g)"
    link: str | None = None
    population: str | None = None

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.family, self.link, self.population, self.formula) if part)

    @property
    def response(self) -> Any:
        if self.family in ("poisson", "negative_binomial"):
            return COUNTS
        if self.family == "beta":
            return SHARES
        return SUCCESSES if "binomial" in self.family else POSITIVE

    def fit(self, y: float = 1.0, exposure: float = 1.0, x: float = 1.0) -> pp.Posterior:
        data = {"y": self.response * y if y != 1.0 else self.response, "x": X * x, "h": HOURS * exposure, "g": G}
        more: dict[str, Any] = {"link": self.link} if self.link else {}
        if self.population:
            more["population"] = self.population
        if self.response is COUNTS:
            more["exposure"] = "h"
        if self.response is SUCCESSES:
            more["trials"] = 12
        return pp.fit(self.formula, data, family=self.family, **more)

    def expect(self, own: Any, y: float, x: float) -> Any:
        """Return the summary in other units of the mean (``y`` times it) and of the covariate."""
        table = own.summary(quantiles=(0.05, 0.5, 0.95)).copy()
        real = self.family.startswith(("gaussian", "student_t"))
        on_log = self.link == "log" or (self.link is None and not real)
        for name in table.index:
            values = table.loc[name].to_numpy(copy=True)
            power = {"x": 0.0 if on_log else 1.0, "mean": 1.0, "beta": -1.0}.get(name, 0.0)
            if self.population == "beta":
                power = 0.0
            if name == "sigma" and real:
                power = 1.0
            if not on_log and (name == "Intercept" or name.startswith("sd(")):
                power = 1.0
            power *= 0.5 if self.link == "sqrt" else 1.0
            values *= y**power / (x if name == "x" else 1.0)
            if on_log and name == "Intercept":
                values[[0, 2, 3, 4]] += np.log(y)
            table.loc[name] = values
        return table


COUNTED = [
    Case("poisson"),
    Case("poisson", "y ~ 1 + (1 | g)", population="student_t(nu=4)"),
    Case("poisson", "y ~ 1 + (1 | g)", population="gamma"),
    Case("poisson", "y ~ 1 + (1 | g)", population="exponential"),
    Case("poisson", "y ~ x", link="sqrt"),
    Case("negative_binomial", "y ~ x"),
]
MEASURED = [
    Case("gamma"),
    Case("exponential", "y ~ 1 + (1 | g)", population="gamma"),
    Case("gamma", "y ~ x", link="identity"),
    Case("exponential"),
    Case("exponential", "y ~ 1 + (1 | g)", population="exponential"),
    Case("lognormal"),
    Case("gaussian"),
    Case("gaussian", "y ~ x", link="log"),
    Case("student_t(nu=4)", "y ~ x"),
    Case("student_t(nu=4)", "y ~ x", link="log"),
]
BESIDE_A_COVARIATE = [
    Case("poisson"),
    Case("poisson", "y ~ x", link="sqrt"),
    Case("negative_binomial", "y ~ x"),
    Case("binomial"),
    Case("binomial", "y ~ x", link="probit"),
    Case("binomial", "y ~ x", link="cloglog"),
    Case("beta_binomial", "y ~ x"),
    Case("beta", "y ~ x"),
    Case("gamma", "y ~ x"),
    Case("gamma", "y ~ x", link="identity"),
    Case("exponential", "y ~ x"),
    Case("lognormal", "y ~ x"),
    Case("gaussian", "y ~ x", link="log"),
    Case("student_t(nu=4)", "y ~ x"),
]


def largest_difference(found: Any, expected: Any) -> float:
    """In posterior sds; sds relative to themselves."""
    sds = expected["sd"].to_numpy()[:, None]
    return float(np.max(np.abs(found.to_numpy() - expected.to_numpy()) / sds))


@pytest.mark.parametrize("case", COUNTED, ids=str)
def test_exposure_in_other_units(case: Case) -> None:
    found = case.fit(exposure=3600.0).summary(quantiles=(0.05, 0.5, 0.95))
    assert largest_difference(found, case.expect(case.fit(), 1 / 3600.0, 1.0)) < 0.02


@pytest.mark.parametrize("case", MEASURED, ids=str)
def test_response_in_other_units(case: Case) -> None:
    own, its = case.fit(), case.fit(y=1000.0)
    assert largest_difference(its.summary(quantiles=(0.05, 0.5, 0.95)), case.expect(own, 1000.0, 1.0)) < 0.02
    assert its.log_marginal_likelihood + 30 * np.log(1000.0) == pytest.approx(own.log_marginal_likelihood, abs=0.01)


@pytest.mark.parametrize("case", BESIDE_A_COVARIATE, ids=str)
def test_covariate_in_other_units(case: Case) -> None:
    found = case.fit(x=1e-4).summary(quantiles=(0.05, 0.5, 0.95))
    assert largest_difference(found, case.expect(case.fit(), 1.0, 1e-4)) < 0.02


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_shares_counted_from_the_other_end(link: str) -> None:
    """Under a symmetric link 1 - y turns the linear predictor's sign and nothing else."""
    data = {"y": SHARES, "z": 1.0 - SHARES, "x": X, "g": G}
    own, other = (pp.fit(f"{name} ~ x + (1 | g)", data, family="beta", link=link) for name in "yz")
    expected = own.summary(quantiles=(0.05, 0.5, 0.95)).copy()
    for name in ("Intercept", "x"):
        mean, sd, q5, q50, q95 = expected.loc[name]
        expected.loc[name] = [-mean, sd, -q95, -q50, -q5]
    assert largest_difference(other.summary(quantiles=(0.05, 0.5, 0.95)), expected) < 0.03
    assert other.log_marginal_likelihood == pytest.approx(own.log_marginal_likelihood, abs=0.01)


POPULATION = np.array([-0.2, -0.15, -0.1, -0.07, -0.04, -0.01, 0.01, 0.04, 0.07, 0.1, 0.15, 0.2])


def expect_shape(log_rates: np.ndarray, log_median: float, log_sd: float) -> np.ndarray:
    """Posterior mean, sd and 5 % and 95 % points of the shape of gamma rates that are known, by a dense grid: given the
    shape, their rate integrates out under a prior that is flat on its log."""
    from scipy.special import gammaln

    log_alpha = np.linspace(-2.0, 8.0, 20001)
    alpha, n = np.exp(log_alpha), len(log_rates)
    total = np.log(np.exp(log_rates).sum())
    logs = (alpha * log_rates.sum() - n * gammaln(alpha)) + gammaln(n * alpha) - n * alpha * total
    logs -= 0.5 * ((log_alpha - log_median) / log_sd) ** 2
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    mean = weights @ alpha
    ends = np.interp([0.05, 0.95], np.cumsum(weights), alpha)
    return np.array([mean, np.sqrt(weights @ (alpha - mean) ** 2), *ends])


def test_the_shape_of_a_gamma_population_tends_to_a_limit_as_counts_grow() -> None:
    expected = expect_shape(POPULATION, 1.0, 2.0)
    for size in (1e6, 1e9, 1e14):
        counts = np.round(size * np.exp(POPULATION)).astype(int)
        fit = pp.fit("y ~ 1 + (1 | g)", {"y": counts, "g": np.arange(12)}, family="poisson", population="gamma")
        assert str(fit.priors["alpha"]) == "LogNormal(1, 2)"
        found = fit.summary(quantiles=(0.05, 0.95)).loc["alpha"].to_numpy()
        assert found == pytest.approx(expected, rel=0.01)


def test_a_flat_log_shape_has_its_own_limit() -> None:
    """Wide enough to be flat: 70, and 29 to 125."""
    counts = np.round(1e9 * np.exp(POPULATION)).astype(int)
    data = {"y": counts, "g": np.arange(12)}
    fit = pp.fit("y ~ 1 + (1 | g)", data, family="poisson", population="gamma", priors={"alpha": "LogNormal(0, 100)"})
    found = fit.summary(quantiles=(0.05, 0.95)).loc["alpha"].to_numpy()
    assert found == pytest.approx(expect_shape(POPULATION, 0.0, 100.0), rel=0.01)
    assert found[[0, 2, 3]] == pytest.approx([70, 29, 125], rel=0.02)


def test_the_concentration_of_a_beta_population_tends_to_a_limit_as_trials_grow() -> None:
    found = []
    for size in (1e5, 1e9, 1e14):
        counts = np.round(size / 4 * np.exp(POPULATION)).astype(int)
        data = {"y": counts, "g": np.arange(12), "n": np.full(12, int(size))}
        fit = pp.fit("y ~ 1 + (1 | g)", data, family="binomial", trials="n", population="beta")
        found.append(fit.summary().loc[["alpha", "beta", "mean", "concentration"]].to_numpy())
    assert found[1] == pytest.approx(found[2], rel=1e-3)
    assert found[0] == pytest.approx(found[2], rel=0.01)

"""Whole posteriors of several factors against quadrature over natural hyperparameters with dense matrices over rows.

The tensor grids below were refined by a third without moving any mean by more than 2e-4 sds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import betaln

import partialpool as pp
from partialpool.models.priors import Prior, ScalarPrior

from .dense_factors import DenseFactors
from .factors import FactorCase, FactorRows
from .quadrature import Axis, Exact, half_line, integrate_posterior, interval

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """A model with its priors, its data, and the axes of quadrature by hyperparameter."""

    case: FactorCase
    priors: Mapping[str, Prior]
    axes: Mapping[str, Axis]

    def fit(self, **arguments: Any) -> Any:
        """Fit through the public interface."""
        return pp.fit(self.case.formula, self.case.data, priors=self.priors, **self.case.roles, **arguments)

    def integrate(self, fit: Any, axes: Mapping[str, Axis] | None = None) -> Exact:
        """Integrate by brute force, factors and levels in the order of a fit."""
        axes = axes or self.axes
        names = list(axes)
        sds = [name for group in fit.fitted.model.groups for name in group.sd_names]
        rows: DenseFactors = self.case.lay_out(fit.fitted.model)

        def log_prior(hyper: FloatArray) -> FloatArray:
            total = np.zeros(hyper.shape[1])
            for name, values in zip(names, hyper, strict=True):
                prior = self.priors[name]
                if isinstance(prior, pp.LKJ):
                    total += (prior.eta - 1) * np.log1p(-(values**2)) - betaln(prior.eta, 0.5)
                else:
                    assert isinstance(prior, ScalarPrior)
                    total += prior.log_density(values)
            return total

        def covariance(hyper: FloatArray) -> FloatArray:
            at = dict(zip(names, hyper, strict=True))
            s = np.zeros((hyper.shape[1], len(sds), len(sds)))
            for k, name in enumerate(sds):
                s[:, k, k] = at[name] ** 2
            for name in names:
                if name.startswith("cor("):
                    factor, one, other = name[4:-1].split(", ")
                    i, k = sds.index(f"sd({factor}, {one})"), sds.index(f"sd({factor}, {other})")
                    s[:, i, k] = s[:, k, i] = at[name] * at[sds[i]] * at[sds[k]]
            return s

        def sigma(hyper: FloatArray) -> FloatArray:
            return hyper[names.index("sigma")] if "sigma" in names else np.ones(hyper.shape[1])

        mean, precision = np.zeros(rows.population.shape[1]), np.zeros(rows.population.shape[1])
        for k, name in enumerate(fit.fitted.model.design.population.names):
            prior = self.priors[name]
            if isinstance(prior, pp.Normal):
                mean[k], precision[k] = prior.mu, prior.sigma**-2.0
        return integrate_posterior(rows, list(axes.values()), log_prior, covariance, sigma, mean, precision)


def _design(seed: int, n: int) -> dict[str, NDArray[Any]]:
    """Rows of 4 by 3 levels that cross in part, of 2 or 3 b within each of 4 a, some of them once."""
    rng = np.random.default_rng(seed)
    s, t = np.arange(n) % 4, (np.arange(n) // 4 + np.arange(n) % 2) % 3
    a = np.arange(n) % 4
    b = (np.arange(n) // 4) % np.array([2, 3, 2, 3])[a]
    x = rng.normal(1.0, 1.0, n)
    codes = {"s": s, "t": t, "a": a, "b": b}
    return {"x": x, **{name: np.array([f"{name}{code}" for code in each]) for name, each in codes.items()}}


def _case(formula: str, factors: Any, seed: int, n: int, known: bool, sds: tuple[float, ...]) -> FactorCase:
    rng = np.random.default_rng([seed, 1])
    data: dict[str, Any] = _design(seed, n)
    columns = {"1": np.ones(n), "x": data["x"]}
    levels = tuple(
        np.array([":".join(parts) for parts in zip(*(data[part] for part in name.split(":")), strict=True)])
        for name, _ in factors
    )
    effects = tuple(np.stack([columns[each] for each in terms], axis=1) for _, terms in factors)
    noise = rng.uniform(0.4, 1.0, n) if known else np.ones(n)
    y = 1.0 + 0.5 * data["x"] + (noise if known else 0.7) * rng.normal(size=n)
    for each, columns_of, sd in zip(levels, effects, sds, strict=True):
        codes = np.unique(each, return_inverse=True)[1]
        y += sd * np.sum(rng.normal(size=(codes.max() + 1, columns_of.shape[1]))[codes] * columns_of, axis=1)
    population = np.stack([columns["1"], data["x"]], axis=1) if " x " in formula else columns["1"][:, None]
    roles = {"standard_error": "se"} if known else {}
    rows = FactorRows(y, population, noise**2, effects, levels)
    return FactorCase(formula, {**data, "y": y, **({"se": noise} if known else {})}, roles, rows, factors)


def _crossed(intercept: Prior, first: Prior, second: Prior) -> Problem:
    factors = (("s", ("1",)), ("t", ("1",)))
    case = _case("y ~ 1 + (1 | s) + (1 | t)", factors, 2, 14, True, (1.0, 0.6))
    priors = {"Intercept": intercept, "sd(s)": first, "sd(t)": second}
    return Problem(case, priors, {"sd(s)": half_line(1.0, 100), "sd(t)": half_line(0.8, 100)})


def _nested(coefficient: Prior) -> Problem:
    factors = (("a", ("1",)), ("a:b", ("1",)))
    case = _case("y ~ x + (1 | a/b)", factors, 3, 26, False, (1.0, 0.6))
    priors = {
        "Intercept": coefficient,
        "x": pp.Normal(0, 1),
        "sd(a)": pp.HalfNormal(1.5),
        "sd(a:b)": pp.HalfStudentT(4, 1),
        "sigma": pp.Exponential(1),
    }
    axes = {"sd(a)": half_line(1.0, 50), "sd(a:b)": half_line(0.6, 50), "sigma": half_line(0.5, 60, lower=0.15)}
    return Problem(case, priors, axes)


def _slopes() -> Problem:
    factors = (("s", ("1", "x")), ("t", ("1",)))
    case = _case("y ~ x + (1 + x | s) + (1 | t)", factors, 5, 24, True, (0.8, 0.6))
    priors = {
        "Intercept": pp.Normal(0, 5),
        "x": pp.Normal(0, 2),
        "sd(s, Intercept)": pp.HalfNormal(1),
        "sd(s, x)": pp.HalfNormal(1),
        "sd(t)": pp.HalfNormal(1),
        "cor(s, Intercept, x)": pp.LKJ(2),
    }
    axes = {
        "sd(s, Intercept)": half_line(0.8, 22),
        "sd(s, x)": half_line(0.8, 22),
        "sd(t)": half_line(0.6, 22),
        "cor(s, Intercept, x)": interval(-1.0, 1.0, 18),
    }
    return Problem(case, priors, axes)


PROBLEMS = {
    "crossed": lambda: _crossed(pp.Normal(0, 3), pp.HalfNormal(1.5), pp.HalfCauchy(1)),
    "crossed, flat mean, away from 0": lambda: _crossed(pp.Flat(), pp.Gamma(2, 1), pp.HalfNormal(1)),
    "nested with sigma": lambda: _nested(pp.Normal(0, 3)),
    "nested with sigma, flat mean": lambda: _nested(pp.Flat()),
    "crossed with correlated slopes": _slopes,
}


@cache
def solved(name: str) -> tuple[Problem, Any, Exact]:
    problem = PROBLEMS[name]()
    fit = problem.fit()
    return problem, fit, problem.integrate(fit)


def compare(problem: Problem, fit: Any, exact: Exact) -> list[tuple[str, float, float]]:
    """Return each parameter's name, error of its mean in sds, and relative error of its sd."""
    table, results = fit.summary(effects=True), []

    def add(name: str, mean: float, sd: float) -> None:
        ours = table.loc[name]
        results.append((name, abs(ours["mean"] - mean) / sd, abs(ours["sd"] / sd - 1)))

    for name, mean, sd in zip(problem.axes, exact.hyper_mean, exact.hyper_sd, strict=True):
        add(name, mean, sd)
    coefficients = fit.fitted.model.design.population.names
    for k, name in enumerate(coefficients):
        add(name, exact.mean[k], exact.sd[k])
    place = len(coefficients)
    for group in fit.fitted.model.groups:
        for effect in group.names:
            for label in group.labels:
                inside = f"{group.name}={label}" if group.names == ("Intercept",) else f"{group.name}={label}, {effect}"
                add(f"u[{inside}]", exact.mean[place], exact.sd[place])
                own = coefficients.index(effect) if effect in coefficients else None
                if own is not None:
                    variance = exact.sd[place] ** 2 + exact.sd[own] ** 2 + 2 * exact.covariance[place, own]
                    add(f"theta[{inside}]", exact.mean[place] + exact.mean[own], float(np.sqrt(variance)))
                place += 1
    assert len(results) == len(table)
    return results


@pytest.mark.parametrize("name", PROBLEMS)
def test_moments(name: str) -> None:
    problem, fit, exact = solved(name)
    on_grid = len(problem.axes) == 2
    assert fit.engine.route == ("adaptive grid" if on_grid else "importance sampling on a lattice")
    digits = 2e-4 if on_grid else 0.01
    assert fit.fitted.hyper.log_marginal_likelihood == pytest.approx(exact.log_integral, abs=1e-5 if on_grid else 5e-3)
    for parameter, mean_error, sd_error in compare(problem, fit, exact):
        assert mean_error < digits, parameter
        assert sd_error < digits, parameter


@pytest.mark.parametrize("name", list(PROBLEMS)[:3])
def test_quantiles(name: str) -> None:
    """The exact distribution functions at the table's quantiles, hyperparameters' by integrating up to them."""
    problem, fit, exact = solved(name)
    probabilities = (0.05, 0.5, 0.95)
    table = fit.summary(effects=True, quantiles=probabilities)
    digits = 1e-3 if len(problem.axes) == 2 else 5e-3
    names = [*fit.fitted.model.design.population.names]
    names += [f"u[{group.name}={label}]" for group in fit.fitted.model.groups for label in group.labels]
    for place, parameter in enumerate(names):
        below = [exact.cdf(place, table.loc[parameter, f"q{100 * p:.0f}"]) for p in probabilities]
        assert np.allclose(below, probabilities, atol=digits), parameter
    for parameter in problem.axes:
        for p in probabilities:
            nodes, weights = interval(0.0, float(table.loc[parameter, f"q{100 * p:.0f}"]), 40)
            axes = {**problem.axes, parameter: (nodes, weights)}
            share = np.exp(problem.integrate(fit, axes).log_integral - exact.log_integral)
            assert share == pytest.approx(p, abs=digits), parameter


def test_importance_sampling_where_a_grid_would_do() -> None:
    problem, _, exact = solved("crossed")
    for parameter, mean_error, sd_error in compare(problem, problem.fit(method="importance"), exact):
        assert mean_error < 0.01, parameter
        assert sd_error < 0.01, parameter


def test_the_quadrature_is_fine_enough() -> None:
    problem, fit, exact = solved("nested with sigma")
    axes = {"sd(a)": half_line(1.0, 38), "sd(a:b)": half_line(0.6, 38), "sigma": half_line(0.5, 45, lower=0.15)}
    coarse = replace(problem, axes=axes).integrate(fit)
    assert np.max(np.abs(coarse.mean - exact.mean) / exact.sd) < 2e-4
    assert np.max(np.abs(coarse.hyper_mean - exact.hyper_mean) / exact.hyper_sd) < 2e-4

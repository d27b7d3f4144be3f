"""Joint draws against the tables, against exact joint moments, and against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import kstest

import partialpool as pp

from .test_posterior import solved

N = 20_000
PROBLEMS = [
    "one sd, half-Cauchy",
    "one sd, density infinite at 0",
    "sd and bounded mean",
    "sd and sigma",
    "two sds",
    "two sds and a correlation",
    "sd, sigma and Student-t mean",
]


@pytest.fixture(scope="module", params=PROBLEMS)
def problem(request: pytest.FixtureRequest) -> Any:
    described, exact = solved(request.param)
    fit = described.fit()
    return described, exact, fit, fit.draws(N, seed=12)


def test_means_and_sds(problem: Any) -> None:
    """Every parameter's z-score within what the largest of that many normal numbers reaches once in 10,000 runs."""
    _, _, fit, draws = problem
    table = fit.summary(effects=True)
    assert set(draws) == set(table.index)
    limit = -ndtri(5e-5 / len(table))
    for name, line in table.iterrows():
        z = (draws[name].mean() - line["mean"]) / line["sd"] * np.sqrt(N)
        assert abs(z) < limit, name
        standard = (draws[name] - line["mean"]) / line["sd"]
        kurtosis = np.mean(standard**4)
        assert abs(standard.std() - 1) < limit * np.sqrt(max(kurtosis - 1, 0.5) / 4 / N) + 0.002, name


def test_quantiles(problem: Any) -> None:
    """The share of draws below a table's quantile is its probability, for every parameter."""
    _, _, fit, draws = problem
    probabilities = np.array([0.025, 0.25, 0.5, 0.75, 0.975])
    table = fit.summary(effects=True, quantiles=tuple(probabilities))
    limit = -ndtri(5e-5 / table.size)
    for name, line in table.iterrows():
        below = np.mean(draws[name][:, None] < line.to_numpy()[2:], axis=0)
        error = np.sqrt(probabilities * (1 - probabilities) / N)
        # the quantiles' own error, 5e-3 of probability where nodes are a lattice, is allowed beside the draws'
        own = 1e-4 if fit.fitted.hyper.grid is not None else 5e-3
        assert np.all(np.abs(below - probabilities) < limit * error + own), name


def test_draws_are_independent(problem: Any) -> None:
    """No autocorrelation at lags 1 to 5: hyperparameters resampled from nodes come in random order."""
    _, _, _, draws = problem
    for name, values in draws.items():
        centred = values - values.mean()
        for lag in range(1, 6):
            correlation = float(centred[lag:] @ centred[:-lag] / (centred @ centred))
            assert abs(correlation) < 5.0 / np.sqrt(N), (name, lag)


def test_joint_covariance_of_coefficients_and_effects(problem: Any) -> None:
    described, exact, _, draws = problem
    names = [name for name in described.coefficients if name not in described.axes]
    for group in range(described.rows.n_groups):
        names += [described.effect_name("u", group, effect) for effect in described.effects]
    drawn = np.array([draws[name] for name in names])
    scale = np.sqrt(np.diag(exact.covariance))
    expected = exact.covariance / np.outer(scale, scale)
    standard = (drawn - exact.mean[:, None]) / scale[:, None]
    products = standard[:, None] * standard[None]
    error = products.std(axis=2) / np.sqrt(N)
    assert np.max(np.abs(products.mean(axis=2) - expected) / error) < 5.0


def test_own_values_are_coefficient_plus_deviation(problem: Any) -> None:
    described, _, _, draws = problem
    for group in range(described.rows.n_groups):
        for effect in described.effects:
            own, deviation = (draws[described.effect_name(kind, group, effect)] for kind in ("theta", "u"))
            assert np.allclose(own, draws[effect] + deviation, rtol=1e-13, atol=1e-13)


def test_seeds_and_selections(problem: Any) -> None:
    described, _, fit, draws = problem
    again = fit.draws(N, seed=12)
    assert all(np.array_equal(draws[name], again[name]) for name in draws)
    other = fit.draws(N, seed=13)
    assert not any(np.array_equal(draws[name], other[name]) for name in draws)
    some = [described.effect_name("theta", 2, described.effects[0]), *described.axes]
    selected = fit.draws(N, seed=12, parameters=some)
    assert list(selected) == some
    for name in described.axes:
        assert np.array_equal(selected[name], draws[name])
    first = selected[some[0]]
    line = fit.summary(effects=True).loc[some[0]]
    assert abs(first.mean() - line["mean"]) < 5 * line["sd"] / np.sqrt(N)


@pytest.mark.parametrize("method", ["auto", "importance", "grid"])
def test_hyperparameters_follow_their_exact_distribution(method: str) -> None:
    """One sd: the distribution function of the draws against quadrature (grid draws are continuous)."""
    from scipy.integrate import cumulative_trapezoid

    described, _ = solved("one sd, flat mean")
    draws = described.fit(method=method).draws(N, seed=4)["sd(g)"]
    se, y = described.data["se"], described.data["y"]
    t = np.linspace(0, 80, 40_001)
    v = 1 / (t[:, None] ** 2 + se**2)
    centre = (v @ y) / v.sum(axis=1)
    density = np.exp(
        0.5 * np.log(v).sum(axis=1)
        - 0.5 * np.log(v.sum(axis=1))
        - 0.5 * (v * (y - centre[:, None]) ** 2).sum(axis=1)
        + described.priors["sd(g)"].log_density(t)
    )
    cdf = cumulative_trapezoid(density, t, initial=0)
    cdf /= cdf[-1]
    # 1.95 / sqrt(N) is reached by independent draws once in a thousand times
    assert kstest(draws, lambda x: np.interp(x, t, cdf)).statistic < 1.95 / np.sqrt(N)


def test_predictions_agree_with_draws() -> None:
    """Means, sds and quantiles of every labelled quantity, from the mixture and from draws put together by hand."""
    described, _ = solved("sd, sigma and Student-t mean")
    fit = described.fit()
    draws = fit.draws(N, seed=3)
    rng = np.random.default_rng(9)
    new = {"x": [1.5, -2.0], "g": [3, 99]}
    table = fit.predict(new, quantiles=(0.1, 0.5, 0.9)).reset_index()
    noise = draws["sigma"] * rng.normal(size=N)
    fresh = draws["sd(g)"] * rng.normal(size=N)
    for row, (x, known) in enumerate([(1.5, True), (-2.0, False)]):
        population = draws["Intercept"] + draws["x"] * x
        expected = {"new group, new observation": population + fresh + noise}
        if known:
            expected |= {"group mean": population + draws["u[g=3]"]}
            expected |= {"new observation": population + draws["u[g=3]"] + noise}
        else:
            expected |= {"new group mean": population + fresh}
        lines = table[table["row"] == row].set_index("quantity")
        assert set(lines.index) == set(expected)
        assert set(lines["group_is"]) == {"known" if known else "new"}
        for quantity, values in expected.items():
            line = lines.loc[quantity]
            assert abs(values.mean() - line["mean"]) < 4.5 * values.std() / np.sqrt(N), quantity
            assert abs(values.std() / line["sd"] - 1) < 0.03, quantity
            below = [np.mean(values < line[name]) for name in ("q10", "q50", "q90")]
            assert np.allclose(below, [0.1, 0.5, 0.9], atol=0.015), quantity


def test_arviz_draws_are_the_draws() -> None:
    described, _ = solved("sd and sigma")
    fit = described.fit()
    tree = fit.to_arviz(500, seed=8)
    draws = fit.draws(500, seed=8)
    assert np.array_equal(np.asarray(tree["posterior"]["sigma"]).ravel(), draws["sigma"])


def test_draws_of_a_saved_fit_are_the_same(tmp_path: Any) -> None:
    described, _ = solved("two sds and a correlation")
    fit = described.fit(seed=5)
    again = pp.load(fit.save(tmp_path / "fit.nc"))
    before, after = fit.draws(200), again.draws(200)
    assert all(np.array_equal(before[name], after[name]) for name in before)

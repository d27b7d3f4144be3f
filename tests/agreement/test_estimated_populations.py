"""Estimated populations against closed forms and brute force, where data span many standard errors."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binom, norm

import partialpool as pp

FAR = np.append(np.linspace(-2.0, 2.0, 30), -2000.0)
RANDOM = np.random.default_rng(5)
CASES = {
    "far away": (FAR, np.full(31, 0.05)),
    "one precise": (
        np.array([2.1, -0.4, 0.3, 0.8, -0.7, 0.5, -0.2, 1.1, 0.1, -0.9, 0.6, 0.05]),
        np.append(0.001, np.full(11, 0.5)),
    ),
    "one precise, one vague": (
        np.array([2.1, -1.112, -0.4, 0.3, 0.8, -0.7, 0.5, -0.2]),
        np.append([1e-6, 1000.0], np.full(6, 0.5)),
    ),
    "six studies": (np.array([1.2, -0.4, 4.0, 0.3, 0.8, 3.6]), np.array([0.7, 0.5, 0.9, 0.6, 1.1, 0.6])),
    "errors of all sizes": (RANDOM.standard_t(2, 60), 10.0 ** RANDOM.uniform(-5, 1, 60)),
}


def fit(values, errors, population):
    data = {"y": values, "se": errors, "g": np.arange(len(values))}
    return pp.fit("y ~ 1 + (1 | g)", data, standard_error="se", population=population)


def bound_by_em(values, errors):
    """Return the log likelihood that EM reaches on a grid of a hundredth of each group's own error, and the most that
    any weights on that grid can reach."""
    near = values[:, None] + errors[:, None] * np.arange(-300, 301) / 100.0
    grid = np.unique(np.clip(near, values.min(), values.max()))
    table = norm.pdf(values[:, None], grid, errors[:, None])
    top = table.max(axis=1)
    table /= top[:, None]
    weights = np.full(len(grid), 1.0 / len(grid))
    for _ in range(400):
        directions = table.T @ (1.0 / (table @ weights)) / len(values)
        weights = weights * directions**2  # the square climbs as well, twice as fast
        weights /= weights.sum()
    reached = np.log(table @ weights).sum() + np.log(top).sum()
    directions = table.T @ (1.0 / (table @ weights)) / len(values)
    return reached, reached + len(values) * np.log(directions.max())


@pytest.mark.parametrize("name", CASES)
def test_no_distribution_is_better_than_the_nonparametric_estimate(name):
    values, errors = CASES[name]
    fitted = fit(values, errors, "nonparametric")
    evidence = fitted.engine.evidence
    reached, bound = bound_by_em(values, errors)
    allowed = len(values) * evidence["duality gap over the interval"] + 1e-9
    assert evidence["duality gap over the interval"] <= 1e-8
    assert reached - allowed <= evidence["log likelihood"] <= bound + 1e-4
    assert evidence["interval from"] <= values.min() < values.max() <= evidence["interval to"]


def test_nonparametric_groups_keep_their_own_resolution():
    fitted = fit(*CASES["far away"], "nonparametric")
    assert fitted.engine.evidence["log likelihood"] >= -40.84
    groups = fitted.groups()
    assert groups["mean"].iloc[30] == pytest.approx(-2000.0, abs=1e-6)
    assert np.abs(groups["mean"] - FAR).max() < 0.05
    precise = fit(*CASES["one precise"], "nonparametric").groups()
    assert precise["mean"].iloc[0] == pytest.approx(2.1, abs=1e-3)


def test_mixture_over_many_standard_errors():
    fitted = fit(*CASES["far away"], "mixture(2)")
    variance = FAR[:30].var()
    alone = np.log(1 / 31) - np.log(0.05 * np.sqrt(2 * np.pi))
    expected = alone + 30 * np.log(30 / 31) - 15 * (np.log(2 * np.pi * variance) + 1.0)
    assert expected == pytest.approx(-50.2246, abs=1e-3)
    assert fitted.engine.evidence["log likelihood"] == pytest.approx(expected, abs=1e-4)
    groups = fitted.groups()
    between = variance - 0.05**2
    shrunk = FAR[:30].mean() + between / variance * (FAR[:30] - FAR[:30].mean())
    np.testing.assert_allclose(groups["mean"][:30], shrunk, atol=1e-6)
    np.testing.assert_allclose(groups["sd"][:30], 0.05 * np.sqrt(between / variance), rtol=1e-3)
    assert groups["mean"].iloc[30] == pytest.approx(-2000.0, abs=1e-5)


@pytest.mark.parametrize("name", ["one precise", "six studies"])
def test_mixture_is_the_best_of_many_climbs(name):
    values, errors = CASES[name]

    def lack(x):
        with np.errstate(all="ignore"):  # far out
            weights = np.array([1 / (1 + np.exp(-x[0])), 1 / (1 + np.exp(x[0]))])
            spread = np.sqrt(errors[:, None] ** 2 + np.exp(2 * x[3:]))
            density = (weights * norm.pdf(values[:, None], x[1:3], spread)).sum(axis=1)
            return -np.log(np.maximum(np.nan_to_num(density), 1e-300)).sum()

    best = np.inf
    for seed in range(12):
        rng = np.random.default_rng(seed)
        start = np.concatenate([rng.normal(size=1), rng.choice(values, 2), rng.uniform(-4, 0, 2)])
        best = min(best, minimize(lack, start, method="Nelder-Mead", options={"maxiter": 3000}).fun)
    evidence = fit(values, errors, "mixture(2)").engine.evidence
    assert evidence["log likelihood"] >= -best - 1e-4
    assert evidence["log likelihood"] <= evidence["best log likelihood of any population"]


def logits_of_two_kinds():
    rng = np.random.default_rng(11)
    visits = rng.integers(5, 2000, 40)
    logits = np.where(rng.random(40) < 0.4, -3.0, 0.5) + 0.2 * rng.normal(size=40)
    return rng.binomial(visits, 1 / (1 + np.exp(-logits))), visits


# groups without a success draw one component to where it is wider than the interval of the others
ONE_SIDED = (
    np.array([0, 0, 9, 5, 5, 20, 3, 3, 12, 2, 3, 6, 6, 11, 9, 10, 0, 17, 8, 3, 12, 6, 4]),
    np.array([22, 4, 29, 23, 12, 29, 13, 19, 28, 8, 11, 9, 11, 11, 21, 21, 9, 21, 18, 7, 17, 8, 6]),
)


@pytest.mark.parametrize(
    ("counts", "allowed"), [(logits_of_two_kinds(), 1e-4), (ONE_SIDED, 5e-4)], ids=["two kinds", "one-sided"]
)
def test_mixture_of_logits_is_that_of_direct_quadrature(counts, allowed):
    sold, visits = counts
    data = {"sold": sold, "visits": visits, "g": np.arange(len(sold))}
    fitted = pp.fit("sold ~ 1 + (1 | g)", data, family="binomial", trials="visits", population="mixture(2)")
    named = fitted.summary()["mean"]
    t = np.linspace(-120.0, 110.0, 60_001)
    density = sum(named[f"weight({k})"] * norm.pdf(t, named[f"mean({k})"], named[f"sd({k})"]) for k in (1, 2))
    total = 0.0
    groups = fitted.groups(scale="linear")
    for successes, trials, mean, sd in zip(sold, visits, groups["mean"], groups["sd"], strict=True):
        each = binom.pmf(successes, trials, expit(t)) * density
        total += np.log(each.sum() * (t[1] - t[0]))
        assert mean == pytest.approx((each @ t) / each.sum(), abs=2.0 * allowed * max(sd, 1.0))
    assert fitted.engine.evidence["log likelihood"] == pytest.approx(total, abs=allowed)


@pytest.mark.parametrize("seed", range(8))
def test_ordinary_counts_have_a_mixture(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 20))
    visits = rng.integers(1, 30, n)
    sold = rng.binomial(visits, expit(rng.normal(-0.5, 2.0, n)))
    data = {"sold": sold, "visits": visits, "g": np.arange(n)}
    evidence = pp.fit(
        "sold ~ 1 + (1 | g)", data, family="binomial", trials="visits", population="mixture(2)"
    ).engine.evidence
    assert evidence["change on refining the quadrature"] < 1e-3
    assert evidence["log likelihood"] <= evidence["best log likelihood of any population"] + 1e-3


def test_nonparametric_population_of_many_errors_needs_no_remedy():
    rng = np.random.default_rng(1)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        errors = np.exp(rng.normal(-1.0, 1.0, 150))
        values = rng.normal(size=150) + errors * rng.normal(size=150)
        assert fit(values, errors, "nonparametric").engine.evidence["duality gap over the interval"] <= 1e-8


def test_one_point_is_complete_pooling_and_an_estimate() -> None:
    """Eight schools: the best population of any form is one point, the precision-weighted mean."""
    schools = pp.datasets.eight_schools()
    fitted = pp.fit("effect ~ 1 + (1 | school)", schools, standard_error="se", population="nonparametric")
    precision = 1.0 / np.asarray(schools["se"], dtype=float) ** 2
    groups = fitted.groups()
    assert groups["mean"].to_numpy() == pytest.approx(precision @ schools["effect"] / precision.sum(), abs=1e-3)
    assert np.all(groups["weight"] == 0.0)
    assert np.all(fitted.pooling()["weight"] == 0.0)
    assert fitted.engine.reason.endswith("one point (complete pooling): an estimate, not a finding")

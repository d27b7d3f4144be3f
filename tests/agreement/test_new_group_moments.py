"""Means and sds of groups not seen, against dense grids over intercept and sd and a sum over the population: they are
those of closed forms given the hyperparameters, so that lines of one quantity agree and equal rows have equal lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

import partialpool as pp
from partialpool.models.populations.skew_normal import SkewNormalPopulation

Array = NDArray[np.float64]
COUNTS = {"y": [1, 4, 0, 7, 2, 12], "ex": [2.0, 3, 4, 3, 2, 3], "g": list("abcdef")}
SIZES = {"y": [0.4, 2.1, 1.2, 3.9, 0.9, 5.2, 0.7, 1.4], "g": list("aabbccdd")}
TRIALS = {"y": [1, 4, 0, 7, 2, 9], "n": [10] * 6, "g": list("abcdef")}


def moments_by_grid(
    log_likelihood: Callable[[Array, int], Array],
    groups: list[str],
    most: float,
    to_response: Callable[[Array], Array],
    noise: Callable[[Array], tuple[Array, Array]],
) -> dict[str, tuple[float, float]]:
    """Mean and sd of a new group's mean, its observation and the average, of b ~ Normal(0, 2) and tau ~ Uniform(0,
    most): Gauss-Legendre over tau, trapezoids over b and the standardised effect z. ``noise`` gives an observation's
    mean and mean square."""
    nodes, of_node = np.polynomial.legendre.leggauss(40)
    tau = 0.5 * most * (1.0 + nodes)
    b, z = np.linspace(-9.0, 9.0, 121), np.linspace(-9.0, 13.0, 89)
    eta = b[:, None] + tau[:, None, None] * z
    log_z = -0.5 * z**2
    log_posterior = -(b**2) / 8.0 + np.log(of_node)[:, None]
    for name in sorted(set(groups)):
        rows = [i for i, other in enumerate(groups) if other == name]
        log_posterior = log_posterior + np.logaddexp.reduce(sum(log_likelihood(eta, i) for i in rows) + log_z, axis=-1)
    weights = np.exp(log_posterior - log_posterior.max())
    weights /= weights.sum()
    share = np.exp(log_z) / np.exp(log_z).sum()
    m = to_response(eta)
    average, (observed, squared) = m @ share, noise(m)
    found = {"new group mean": (average, m**2 @ share), "population average": (average, average**2)}
    found["new group, new observation"] = (observed @ share, squared @ share)
    sums = {name: [float(np.sum(weights * part)) for part in parts] for name, parts in found.items()}
    return {name: (mean, float(np.sqrt(square - mean**2))) for name, (mean, square) in sums.items()}


def check(fit: pp.Posterior, new: dict[str, Any], expected: dict[str, tuple[float, float]], tolerance: float) -> None:
    lines = fit.predict(new).set_index("quantity")
    for name, pair in expected.items():
        assert lines.loc[name, ["mean", "sd"]].to_numpy(float) == pytest.approx(pair, rel=tolerance)


def test_counts_under_a_long_tail() -> None:
    """The sd of a new group's mean is 221 times its mean: 16,000 draws made it 111 of 1,926."""
    y, exposure = np.array(COUNTS["y"]), np.array(COUNTS["ex"])
    expected = moments_by_grid(
        lambda eta, i: y[i] * eta - exposure[i] * np.exp(eta), COUNTS["g"], 3.0, np.exp, lambda m: (m, m + m**2)
    )
    assert expected["new group mean"] == pytest.approx((8.69, 1926), rel=2e-3)
    priors = {"Intercept": "Normal(0, 2)", "sd(g)": "Uniform(0, 3)"}
    fit = pp.fit("y ~ 1 + (1 | g)", COUNTS, family="poisson", exposure="ex", priors=priors)
    check(fit, {"g": ["new"], "ex": [1]}, expected, 5e-3)
    lines = fit.predict({"g": ["one", "other", "a"], "ex": [1, 1, 1]})
    of_row = [lines[lines.index == row].drop(columns="g").reset_index(drop=True) for row in range(3)]
    pd.testing.assert_frame_equal(of_row[0], of_row[1])
    means = lines.groupby("quantity")["mean"].agg(["min", "max"])
    same = ["new group mean", "new group, new observation", "population average"]
    assert means.loc[same].to_numpy() == pytest.approx(np.full((3, 2), means.loc["population average", "min"]))


@pytest.mark.parametrize(
    ("family", "data", "density", "to_response", "noise"),
    [
        (
            "lognormal(sigma=0.5)",
            SIZES,
            lambda eta, y: -0.5 * ((np.log(y) - eta) / 0.5) ** 2,
            np.exp,
            lambda m: (m * np.exp(0.125), m**2 * np.exp(0.5)),
        ),
        (
            "gamma(shape=2)",
            SIZES,
            lambda eta, y: -2.0 * (eta + y * np.exp(-eta)),
            np.exp,
            lambda m: (m, m**2 * 1.5),
        ),
        (
            "negative_binomial(shape=2)",
            {**COUNTS, "ex": [1.0] * 6},
            lambda eta, y: y * eta - (y + 2.0) * np.log(2.0 + np.exp(eta)),
            np.exp,
            lambda m: (m, m + m**2 * 1.5),
        ),
        (
            "binomial",
            TRIALS,
            lambda eta, y: stats.binom.logpmf(y, 10, 1.0 / (1.0 + np.exp(-eta))),
            lambda eta: 1.0 / (1.0 + np.exp(-eta)),
            lambda m: (10 * m, 10 * m + 90 * m**2),
        ),
    ],
)
def test_other_families(family: str, data: dict[str, Any], density: Any, to_response: Any, noise: Any) -> None:
    y = data["y"]
    expected = moments_by_grid(lambda eta, i: density(eta, y[i]), data["g"], 1.5, to_response, noise)
    sizes = {"trials": "n"} if "n" in data else {"exposure": "ex"} if "ex" in data else {}
    priors = {"Intercept": "Normal(0, 2)", "sd(g)": "Uniform(0, 1.5)"}
    fit = pp.fit("y ~ 1 + (1 | g)", data, family=family, priors=priors, **sizes)  # type: ignore[arg-type]
    check(fit, {"g": ["new"], "n": [10], "ex": [1]}, expected, 5e-3)


def test_given_populations() -> None:
    """Nothing is unknown but the group: a gamma population of shape 2 and rate 4 in an exposure of 3, and a Student-t
    one of scale 1 about 0.5 under the identity link, with noise of sd 2."""
    given = {"alpha": "Fixed(2)", "beta": "Fixed(4)"}
    fit = pp.fit("y ~ 1 + (1 | g)", COUNTS, family="poisson", exposure="ex", population="gamma", priors=given)
    expected = {"new group mean": (0.5, 8**-0.5), "new group, new observation": (1.5, (1.5 + 9 / 8) ** 0.5)}
    check(fit, {"g": ["new"], "ex": [3]}, {**expected, "population average": (0.5, 0.0)}, 1e-9)
    priors = {"Intercept": "Fixed(0.5)", "sd(g)": "Fixed(1)"}
    priors["sigma"] = "Fixed(2)"
    fit = pp.fit("y ~ 1 + (1 | g)", SIZES, population="student_t(nu=6)", priors=priors)
    check(fit, {"g": ["new"]}, {"new group mean": (0.5, 1.5**0.5), "new group, new observation": (0.5, 5.5**0.5)}, 1e-9)


@pytest.mark.parametrize("skew", [-4.0, 0.0, 0.7, 30.0])
def test_exponential_of_a_skew_normal(skew: float) -> None:
    population, shapes = SkewNormalPopulation(), (np.array(1.3), np.array(skew))
    t = np.linspace(-25.0, 40.0, 650_001)
    density = np.exp(population.log_density(t, shapes) + 2.0 * t)
    assert population.log_mean_exponential(np.array(2.0), shapes) == pytest.approx(
        np.log(density.sum() * 1e-4), rel=1e-4
    )


def test_a_sum_that_few_nodes_carry_is_not_told() -> None:
    """The sd is 1.2e10 (dense grid of 400 x 481), and 7 of 24,576 nodes carry its square."""
    priors = {"Intercept": "Normal(0, 2)", "sd(g)": "Uniform(0, 5)"}
    lines = pp.fit("y ~ 1 + (1 | g)", COUNTS, family="poisson", exposure="ex", priors=priors).predict({"g": ["new"]})
    by_name = lines.set_index("quantity")
    assert by_name.loc["new group mean", "mean"] == pytest.approx(2287, rel=0.01)
    assert by_name.loc[["new group mean", "population average"], "sd"].isna().all()
    said = " ".join(str(lines).split())
    assert "so few nodes of the posterior's far tail carry it" in said
    assert "a tighter prior for sd(g)" in said


def test_new_casks_of_a_known_batch() -> None:
    """exp(1/2) times the mean at the batch alone, by as many draws: the casks' sd is known to be 1."""
    data = {"y": [3, 4, 2, 9, 0, 0, 3, 4], "batch": [0, 0, 0, 0, 1, 1, 1, 1], "cask": [0, 0, 1, 1, 2, 2, 3, 3]}
    priors = {"sd(batch)": "Uniform(0, 1)", "sd(batch:cask)": "Fixed(1)", "Intercept": "Normal(0, 1)"}
    fit = pp.fit("y ~ 1 + (1 | batch/cask)", data, family="poisson", priors=priors)
    lines = fit.predict({"batch": [0, 0], "cask": [7, 8]})
    new = lines.loc[lines["quantity"] == "new group mean", "mean"].to_numpy()
    assert new[0] == new[1]
    draws = fit.draws(16_000, seed=5)
    assert new[0] == pytest.approx(float(np.mean(np.exp(0.5 + draws["theta[batch=0]"]))), rel=0.03)


def test_no_sd_is_said_where_only_the_sd_is_missing() -> None:
    data = {"y": [3, 4, 2, 9, 0, 0, 3, 4], "g": [0, 0, 1, 1, 2, 2, 3, 3]}
    said = {}
    for prior in ("HalfNormal(0.8)", "HalfNormal(2)"):
        lines = pp.fit("y ~ 1 + (1 | g)", data, family="poisson", priors={"sd(g)": prior}).predict({"g": [99]})
        said[prior] = " ".join(str(lines).split())
    assert "exp(sd^2 / 2), which has no sd under HalfNormal(0.8)" in said["HalfNormal(0.8)"]
    assert "exp(sd^2 / 2), which has no average under HalfNormal(2)" in said["HalfNormal(2)"]

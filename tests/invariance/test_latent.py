"""Counts and proportions in another order, under other labels, in another form: the same answers; and extreme data."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import IdentificationError

from .agreement import LATTICE, largest_difference, read_summaries

# Grids over two shapes are laid about a mode found by iteration, which rounding moves.
GRID = 1e-5

_PRIORS = {"Intercept": "Normal(0, 2)", "sd(g)": "HalfNormal(1)"}
_TRIALS = np.array([4, 7, 10, 12, 15, 5, 9])
_SUCCESSES = np.array([0, 3, 10, 4, 8, 1, 6])
_BINOMIAL = {"y": _SUCCESSES, "n": _TRIALS, "g": np.arange(7)}
_COUNTS = {
    "y": np.array([2, 0, 5, 7, 1, 3, 12, 4, 0, 2]),
    "t": np.array([1.0, 0.5, 2.0, 1.5, 1.0, 3.0, 4.0, 1.0, 0.5, 2.0]),
    "g": np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]),
}
_LABELS = {0: "north", 1: "a", 2: "zz", 3: "E", 4: "m", 5: "q q", 6: "0"}

PROBLEMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "binomial": (_BINOMIAL, {"family": "binomial", "trials": "n", "priors": _PRIORS}),
    "beta population": (
        _BINOMIAL,
        {
            "family": "binomial",
            "trials": "n",
            "population": "beta",
            "priors": {"mean": "Beta(2, 2)", "concentration": "LogNormal(1.5, 0.7)"},
        },
    ),
    "poisson": (_COUNTS, {"family": "poisson", "exposure": "t", "priors": _PRIORS}),
    "gamma population": (
        _COUNTS,
        {
            "family": "poisson",
            "exposure": "t",
            "population": "gamma",
            "priors": {"alpha": "LogNormal(0, 1)", "beta": "LogNormal(0, 1)"},
        },
    ),
    "student_t population": (
        _COUNTS,
        {"family": "poisson", "exposure": "t", "population": "student_t(nu=4)", "priors": _PRIORS},
    ),
}
each_problem = pytest.mark.parametrize("name", PROBLEMS)
_EXACT = {"beta population", "gamma population"}


def _fit(data: dict[str, Any], options: dict[str, Any]) -> pp.Posterior:
    fit = pp.fit("y ~ 1 + (1 | g)", data, **options)
    assert isinstance(fit, pp.Posterior)
    return fit


def _agree(one: pp.Posterior, other: pp.Posterior, tolerance: float, **how: Any) -> None:
    first, second = read_summaries(one), read_summaries(other, **how)
    assert largest_difference(first, second) < tolerance
    assert abs(first.log_marginal_likelihood - second.log_marginal_likelihood) < max(tolerance, 1e-7)


@each_problem
def test_order_of_rows(name: str) -> None:
    data, options = PROBLEMS[name]
    order = np.random.default_rng(1).permutation(len(data["y"]))
    shuffled = {key: values[order] for key, values in data.items()}
    _agree(_fit(data, options), _fit(shuffled, options), GRID if name in _EXACT else LATTICE)


@each_problem
def test_labels(name: str) -> None:
    data, options = PROBLEMS[name]
    relabelled = data | {"g": np.array([_LABELS[g] for g in data["g"]])}
    back = {label: g for g, label in _LABELS.items()}
    tolerance = GRID if name in _EXACT else LATTICE
    _agree(_fit(data, options), _fit(relabelled, options), tolerance, labels=back)


def test_bernoulli_rows_are_binomial_counts() -> None:
    rows = {
        "y": np.concatenate([np.repeat([1, 0], [s, n - s]) for s, n in zip(_SUCCESSES, _TRIALS, strict=True)]),
        "g": np.repeat(np.arange(7), _TRIALS),
    }
    counted = _fit(*PROBLEMS["binomial"])
    single = _fit(rows, {"family": "bernoulli", "priors": _PRIORS})
    one, other = read_summaries(counted), read_summaries(single)
    assert largest_difference(one, other) < LATTICE
    arrangements = sum(
        np.sum(np.log(np.arange(n - s + 1, n + 1))) - np.sum(np.log(np.arange(1, s + 1)))
        for s, n in zip(_SUCCESSES, _TRIALS, strict=True)
    )
    assert one.log_marginal_likelihood - other.log_marginal_likelihood == pytest.approx(arrangements, abs=1e-3)


@each_problem
def test_counts_are_repeated_rows(name: str) -> None:
    data, options = PROBLEMS[name]
    times = np.array([1, 3, 2, 1, 4, 1, 2, 3, 1, 2])[: len(data["y"])]
    repeated = {key: np.repeat(values, times) for key, values in data.items()}
    weighted = _fit(data | {"times": times}, {**options, "counts": "times"})
    _agree(_fit(repeated, options), weighted, GRID if name in _EXACT else LATTICE)


@pytest.mark.parametrize("name", ["poisson", "gamma population"])
def test_splitting_an_exposure(name: str) -> None:
    """A count over two stretches of one group is as informative as their sum over both."""
    data, options = PROBLEMS[name]
    parts = np.random.default_rng(2).binomial(data["y"], 0.3)
    split = {
        "y": np.concatenate([parts, data["y"] - parts]),
        "t": np.concatenate([0.3 * data["t"], 0.7 * data["t"]]),
        "g": np.concatenate([data["g"], data["g"]]),
    }
    first, second = read_summaries(_fit(data, options)), read_summaries(_fit(split, options))
    assert largest_difference(first, second) < (GRID if name in _EXACT else LATTICE)


@pytest.mark.parametrize("name", ["binomial", "beta population"])
def test_failures_in_the_place_of_successes(name: str) -> None:
    """Probabilities become their complements."""
    data, options = PROBLEMS[name]
    own = _fit(data, options).groups()
    turned = _fit(data | {"y": data["n"] - data["y"]}, options).groups()
    np.testing.assert_allclose(turned["mean"], 1 - own["mean"], atol=LATTICE * own["sd"].min())
    np.testing.assert_allclose(turned["sd"], own["sd"], rtol=LATTICE)


@pytest.mark.parametrize("name", ["binomial", "beta population"])
@pytest.mark.parametrize("successes", ["none", "all"])
def test_groups_without_successes_or_failures(name: str, successes: str) -> None:
    """Every group alike: probabilities are finite, inside, and ordered by the number of trials."""
    data, options = PROBLEMS[name]
    table = _fit(data | {"y": 0 * data["n"] if successes == "none" else data["n"]}, options).groups()
    assert np.isfinite(table.drop(columns=["raw", "raw_sd"]).to_numpy()).all()
    order = np.argsort(data["n"])
    means = table["mean"].to_numpy()[order]
    assert np.all(np.diff(means) < 0 if successes == "none" else np.diff(means) > 0)
    assert np.all((means > 0) & (means < 1))


@pytest.mark.parametrize("name", ["poisson", "gamma population", "student_t population"])
def test_counts_of_zero_everywhere(name: str) -> None:
    data, options = PROBLEMS[name]
    table = _fit(data | {"y": 0 * data["y"]}, options).groups()
    assert np.isfinite(table[["mean", "sd", "q5", "q95"]].to_numpy()).all()
    # the longer the exposure, the smaller the rate
    exposures = np.bincount(data["g"], weights=data["t"])
    assert np.all(np.diff(table["mean"].to_numpy()[np.argsort(exposures)]) < 1e-9)


def test_a_million_trials() -> None:
    shares = np.array([0.2, 0.21, 0.25, 0.19])
    data = {"y": (shares * 1e6).astype(int), "n": np.full(4, 10**6), "g": np.arange(4)}
    for name in ("binomial", "beta population"):
        table = _fit(data, PROBLEMS[name][1]).groups()
        exact_sd = np.sqrt(shares * (1 - shares) / 1e6)
        assert np.all(np.abs(table["mean"] - shares) < 0.05 * exact_sd), name
        np.testing.assert_allclose(table["sd"], exact_sd, rtol=0.02)


def test_counts_of_a_million() -> None:
    counts = np.array([1_000_000, 1_100_000, 900_000, 1_005_000])
    data = {"y": counts, "t": np.full(4, 2.0), "g": np.arange(4)}
    wide = {"Intercept": "Normal(13, 2)", "sd(g)": "HalfNormal(1)"}
    both = {"alpha": "LogNormal(3, 2)", "beta": "LogNormal(-10, 3)"}
    for name in ("poisson", "gamma population", "student_t population"):
        priors = both if name == "gamma population" else wide
        table = _fit(data, {**PROBLEMS[name][1], "priors": priors}).groups()
        exact_sd = np.sqrt(counts) / 2
        assert np.all(np.abs(table["mean"] - counts / 2) < 0.05 * exact_sd), name
        np.testing.assert_allclose(table["sd"], exact_sd, rtol=0.02)


@each_problem
def test_one_group(name: str) -> None:
    """Fitted under proper priors, near its own rate; without them nothing says how groups differ."""
    data, options = PROBLEMS[name]
    one = {key: values[3:4] for key, values in data.items()}
    own = float((one["y"] / one.get("n", one.get("t")))[0])
    assert 0.5 * own < float(_fit(one, options).groups()["mean"].iloc[0]) < 1.5 * own
    bare = {key: value for key, value in options.items() if key != "priors"}
    with pytest.raises(IdentificationError, match="cannot be estimated from one group"):
        _fit(one, {**bare, "method": "empirical_bayes"})


@each_problem
def test_two_groups(name: str) -> None:
    data, options = PROBLEMS[name]
    first = data["g"] < 2
    fit = _fit({key: values[first] for key, values in data.items()}, options)
    assert np.isfinite(fit.summary().to_numpy()).all()
    assert np.isfinite(fit.groups()[["mean", "sd", "q5", "q95"]].to_numpy()).all()


@pytest.mark.parametrize("name", ["binomial", "poisson", "student_t population"])
def test_groups_nearly_alike(name: str) -> None:
    """With the sd held near 0 the groups have the coefficient's posterior, that of complete pooling."""
    data, options = PROBLEMS[name]
    priors = {"Intercept": "Normal(0, 2)", "sd(g)": "HalfNormal(1e-4)"}
    table = _fit(data, {**options, "priors": priors}).groups(scale="linear")
    pooled = {key: value for key, value in options.items() if key != "population"}
    complete = _fit(data, {**pooled, "priors": {"Intercept": "Normal(0, 2)"}, "pooling": "complete"}).summary()
    mean, sd = complete.loc["Intercept", "mean"], complete.loc["Intercept", "sd"]
    assert np.all(np.abs(table["mean"] - mean) < 0.02 * sd)
    np.testing.assert_allclose(table["sd"], sd, rtol=0.02)


@pytest.mark.parametrize("name", PROBLEMS)
def test_two_thousand_groups(name: str) -> None:
    """The population is found within four sds, in seconds."""
    rng, n = np.random.default_rng(7), 2000
    options = PROBLEMS[name][1]
    if "binomial" in options["family"]:
        n_trials = rng.integers(5, 40, n)
        p = rng.beta(3, 7, n) if name == "beta population" else 1 / (1 + np.exp(-rng.normal(-1, 0.8, n)))
        data = {"y": rng.binomial(n_trials, p), "n": n_trials, "g": np.arange(n)}
        truth = {"mean": 0.3, "concentration": 10.0} if name == "beta population" else {"Intercept": -1, "sd(g)": 0.8}
    else:
        exposure = rng.integers(1, 6, n) / 2.0
        drawn = {
            "poisson": lambda: np.exp(rng.normal(1, 0.6, n)),
            "gamma population": lambda: rng.gamma(3.0, 1 / 1.5, n),
            "student_t population": lambda: np.exp(1 + 0.4 * rng.standard_t(4, n)),
        }
        truth = {
            "poisson": {"Intercept": 1, "sd(g)": 0.6},
            "gamma population": {"alpha": 3.0, "beta": 1.5},
            "student_t population": {"Intercept": 1, "sd(g)": 0.4},
        }[name]
        data = {"y": rng.poisson(exposure * drawn[name]()), "t": exposure, "g": np.arange(n)}
    start = time.process_time()
    fit = _fit(data, options)
    table = fit.summary()
    assert len(fit.groups()) == n
    assert time.process_time() - start < 30.0
    for parameter, value in truth.items():
        assert abs(table.loc[parameter, "mean"] - value) < 4 * table.loc[parameter, "sd"], parameter

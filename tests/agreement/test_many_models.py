"""Small random models of every kind: tables are finite and agree with the fit's own draws.

Scales span decades, standard errors differ a hundredfold, covariates lie far from zero, priors contradict the data:
what the other tests hold still, this one shakes.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import ComputationError, IdentificationError, PartialpoolWarning, PriorError

N_DRAWS = 20_000
PROBABILITIES = np.array([0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975])
FORMULAS = [
    "y ~ 1 + (1 | g)",
    "y ~ x + (1 | g)",
    "y ~ x + (x || g)",
    "y ~ x + (x | g)",
    "y ~ 0 + x + (0 + x | g)",
    "y ~ x + (0 + x | g)",
    "y ~ 0 + (1 | g)",
]
MEANS = ["Flat", "Normal(0, 5)", "Cauchy(0, 2)", "StudentT(3, 0, 5)", "Uniform(-30, 30)", None]
SDS = [
    "HalfCauchy(1)",
    "HalfNormal(0.1)",
    "HalfNormal(10)",
    "Gamma(0.5, 0.1)",
    "Gamma(2, 0.5)",
    "InverseGamma(1, 1, on='variance')",
    "Uniform(0, 100)",
    "Uniform(0.5, 3)",
    "PCPrior(1, 0.01)",
    "HalfStudentT(3, 50)",
    None,
    "Flat",
]


def random_fit(rng: np.random.Generator) -> Any:
    """Draw a model, rows and priors, and fit; None where the input is refused by name."""
    n_groups, known = int(rng.integers(1, 12)), rng.random() < 0.4
    sizes = rng.integers(1, 6, n_groups) if not known or rng.random() < 0.3 else np.ones(n_groups, dtype=int)
    sizes[0] += 2 * (not known)
    g = np.repeat(np.arange(n_groups), sizes)
    n = len(g)
    x = rng.normal(size=n) * 10 ** rng.uniform(-2, 2) + rng.choice([0.0, 1.0, 1000.0])
    se = 10 ** rng.uniform(-2, 1.5, n) if known else np.full(n, 10 ** rng.uniform(-1, 1))
    mean = rng.normal() * 10 ** rng.uniform(-1, 3)
    y = mean + 10 ** rng.uniform(-2, 2) * rng.normal(size=n_groups)[g] + se * rng.normal(size=n)
    formula = str(rng.choice(FORMULAS))
    priors = {"Intercept": rng.choice(np.array(MEANS, dtype=object)), "sd": rng.choice(np.array(SDS, dtype=object))}
    if "~ 0" in formula:
        del priors["Intercept"]
    if not known:
        priors["sigma"] = rng.choice(np.array(SDS[:-1], dtype=object))
    given = {name: str(prior) for name, prior in priors.items() if prior is not None}
    pooling: Any = str(rng.choice(["partial", "partial", "partial", "complete", "none"]))
    data = {"y": y, "x": x, "g": g, "se": se}
    try:
        return pp.fit(formula, data, standard_error="se" if known else None, priors=given, pooling=pooling)
    except (PriorError, IdentificationError):
        return None
    except ComputationError:
        # honest where the bounds of a uniform mean contradict the data; nowhere else here
        if not given.get("Intercept", "").startswith("Uniform"):
            raise
        return None


def check_against_draws(fit: Any, seed: int) -> None:
    table = fit.summary(effects=True, quantiles=tuple(PROBABILITIES))
    heavy = any("Cauchy" in text or "StudentT" in text or "Flat" in text for text in fit.priors.values())
    assert heavy or not table.isna().to_numpy().any()
    quantiles = table.to_numpy()[:, 2:]
    assert np.isfinite(quantiles).all()
    # 5.5 standard errors, and what thinned nodes may be off under heavy tails
    limit = 5.5 * np.sqrt(PROBABILITIES * (1 - PROBABILITIES) / N_DRAWS) + 0.008
    for name, values in fit.draws(N_DRAWS, seed=seed).items():
        line = quantiles[table.index.get_loc(name)]
        below, to = np.mean(values[:, None] < line, axis=0), np.mean(values[:, None] <= line, axis=0)
        assert np.all((below - limit < PROBABILITIES) & (to + limit > PROBABILITIES)), name


@pytest.mark.parametrize("seed", range(10))
def test_tables_agree_with_draws(seed: int) -> None:
    fitted = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PartialpoolWarning)
        for k in range(12):
            fit = random_fit(np.random.default_rng([seed, k]))
            if fit is not None:
                check_against_draws(fit, k)
                repr(fit)
                fitted += 1
    assert fitted >= 6


def test_bounded_sds_of_correlated_slopes() -> None:
    """Every start was outside Uniform(0.5, 3) once, and the density zero there."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(8), 4)
    x = rng.normal(size=32)
    y = 50.0 * rng.normal(size=8)[g] + 40.0 * x + rng.normal(size=32)
    fit: Any = pp.fit("y ~ x + (x | g)", {"y": y, "x": x, "g": g}, priors={"sd": "Uniform(0.5, 3)"})
    sds = fit.summary().loc[["sd(g, Intercept)", "sd(g, x)"]]
    assert np.all((sds[["q5", "q95"]] > 0.5) & (sds[["q5", "q95"]] < 3))


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_a_sampled_intercept_beside_a_far_off_column(offset: float) -> None:
    """The intercept's place was found from X'X, which at an offset of 1000 sds has lost the column's spread."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=40) + offset
    y = 2.0 + 0.3 * (x - offset) + rng.normal(size=40)
    data = {"y": y, "x": x, "g": np.repeat(np.arange(8), 5)}
    # a prior so wide that it might be flat
    priors = {"Intercept": "StudentT(4, 0, 1e9)", "x": "Flat", "sd": "HalfNormal(1)"}
    wide: Any = pp.fit("y ~ x + (1 | g)", data, priors=priors)
    flat: Any = pp.fit("y ~ x + (1 | g)", data, priors={**priors, "Intercept": "Flat"})
    ours, expected = wide.summary(), flat.summary()
    assert np.all(np.abs(ours["mean"] - expected["mean"]) < 0.01 * expected["sd"])
    assert np.all(np.abs(ours["sd"] / expected["sd"] - 1) < 0.01)


def test_far_nodes_without_weight_do_not_spoil_the_tables() -> None:
    """Five small data sets of which some have nodes whose conditional moments are not numbers."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        g = np.arange(6)
        x = 1000.0 + 0.03 * rng.normal(size=6)
        se = 10 ** rng.uniform(-2, 1, 6)
        y = 0.2 * rng.normal(size=6) + 5.0 * rng.normal(size=6) * (x - 1000.0) + se * rng.normal(size=6)
        priors = {"Intercept": "Normal(0, 5)", "sd": "PCPrior(1, 0.01)"}
        fit: Any = pp.fit("y ~ x + (x | g)", {"y": y, "x": x, "g": g, "se": se}, standard_error="se", priors=priors)
        assert not fit.summary(effects=True).isna().to_numpy().any()
        assert not fit.pooling().drop(columns=["none", "none_sd"]).isna().to_numpy().any()

"""A covariate's zero does not matter: under the defaults a shift changes only what is reported at zero."""

from __future__ import annotations

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import PriorError

N_GROUPS, N_EACH = 8, 6
OFFSETS = (1e2, 1e4, 1e6)


def _simulate() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    g, x = np.repeat(np.arange(N_GROUPS), N_EACH), rng.standard_normal(N_GROUPS * N_EACH)
    eta = 0.3 + 0.4 * x + 0.6 * rng.standard_normal(N_GROUPS)[g]
    p, mean, noise = 1 / (1 + np.exp(-eta)), np.exp(eta), rng.standard_normal(len(x))
    return {
        "g": g,
        "x": x,
        "gaussian": eta + 0.4 * noise,
        "lognormal": np.exp(eta + 0.3 * noise),
        "student_t": eta + 0.3 * rng.standard_t(4, len(x)),
        "gamma": rng.gamma(3, mean / 3),
        "exponential": rng.exponential(mean),
        "poisson": rng.poisson(mean),
        "negative_binomial": rng.negative_binomial(3, 3 / (3 + mean)),
        "bernoulli": (rng.random(len(x)) < p).astype(int),
        "binomial": rng.binomial(5, p),
        "beta_binomial": rng.binomial(5, p),
    }


DATA = _simulate()
FAMILIES = [name for name in DATA if name not in ("g", "x")]


def _fit(family: str, formula: str, offset: float, **options):
    if family in ("binomial", "beta_binomial"):
        options["trials"] = 5
    data = {"y": DATA[family], "x": DATA["x"] + offset, "g": DATA["g"]}
    return pp.fit(formula, data, family=family, accuracy=0.1, **options)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_groups(family: str) -> None:
    near = _fit(family, "y ~ x", 0.0)
    for offset in OFFSETS:
        far = _fit(family, "y ~ x", offset)
        assert far.log_marginal_likelihood == pytest.approx(near.log_marginal_likelihood, abs=1e-7)
        np.testing.assert_allclose(far.summary().drop("Intercept"), near.summary().drop("Intercept"), rtol=1e-7)


@pytest.mark.parametrize("family", ["gaussian", "lognormal", "poisson", "bernoulli", "exponential"])
def test_with_groups(family: str) -> None:
    """What a group predicts is the same too."""
    near, far = (_fit(family, "y ~ x + (1 | g)", offset) for offset in (0.0, 1e6))
    assert far.log_marginal_likelihood == pytest.approx(near.log_marginal_likelihood, abs=1e-7)
    np.testing.assert_allclose(far.summary().drop("Intercept"), near.summary().drop("Intercept"), rtol=1e-6)
    rows = [{"x": [0.5 + offset], "g": [3]} for offset in (0.0, 1e6)]
    known = [fit.predict(new).query("quantity == 'group mean'") for fit, new in zip((near, far), rows, strict=True)]
    columns = ["mean", "sd", "q5", "q50", "q95"]
    np.testing.assert_allclose(known[1][columns], known[0][columns], rtol=1e-6)


@pytest.mark.parametrize("pooling", ["partial", "none"])
def test_slopes_that_vary_by_group(pooling: str) -> None:
    near, far = (_fit("gaussian", "y ~ x + (x | g)", offset, pooling=pooling) for offset in (0.0, 1e4))
    assert far.log_marginal_likelihood == pytest.approx(near.log_marginal_likelihood, abs=1e-6)
    at_zero = ["Intercept", "sd(g, Intercept)", "cor(g, Intercept, x)"]
    same = [name for name in near.summary().index if name not in at_zero]
    np.testing.assert_allclose(far.summary().loc[same], near.summary().loc[same], rtol=1e-5)


def test_slopes_that_vary_by_group_under_another_likelihood() -> None:
    near, far = (_fit("poisson", "y ~ x + (x | g)", offset, pooling="none") for offset in (0.0, 1990.0))
    assert far.log_marginal_likelihood == pytest.approx(near.log_marginal_likelihood, abs=1e-6)
    rows = [near.groups(scale="linear"), far.groups(scale="linear")]
    slopes = [table[table.index.get_level_values("coefficient") == "x"] for table in rows]
    np.testing.assert_allclose(slopes[1][["mean", "sd"]], slopes[0][["mean", "sd"]], rtol=1e-4)


def test_own_sigmas_share_the_means_of_all_rows() -> None:
    near, far = (_fit("gaussian", "y ~ x + (x | g)", offset, pooling="none", sigma="by group") for offset in (0.0, 1e4))
    assert far.log_marginal_likelihood == pytest.approx(near.log_marginal_likelihood, abs=1e-6)


def test_several_columns_tied_to_each_other() -> None:
    """A year, its square and its interaction with a treatment: no column is near another once they are orthogonal."""
    rng = np.random.default_rng(8)
    year, treated = rng.integers(0, 5, 60).astype(float), rng.integers(0, 2, 60)
    y = rng.poisson(np.exp(0.2 + 0.1 * year + 0.3 * treated))
    fits = []
    for origin in (0.0, 1990.0):
        data = {"y": y, "year": year + origin, "treated": treated}
        flat = {"coefficients": "Normal(0, 1e4)"} | {"Intercept": "Normal(0, 1e9)"}
        fits.append(pp.fit("y ~ year + I(year**2) + treated + treated:year", data, family="poisson", priors=flat))
    # under all but flat priors the interaction and the square, which no origin changes, are the same
    same = ["I(year ** 2)", "treated:year"]
    np.testing.assert_allclose(fits[1].summary().loc[same], fits[0].summary().loc[same], rtol=0.02, atol=0.002)


def test_a_prior_of_the_users_stays_where_it_is_stated() -> None:
    at_zero = {"Intercept": "Normal(0, 2.5)"}
    centred, shifted = (_fit("bernoulli", "y ~ x", offset, priors=at_zero) for offset in (0.0, 10.0))
    assert abs(shifted.log_marginal_likelihood - centred.log_marginal_likelihood) > 0.1
    at_means = {"Intercept": "Normal(0, 2.5, at='means')"}
    here, there = (_fit("bernoulli", "y ~ x", offset, priors=at_means) for offset in (0.0, 1e4))
    assert there.log_marginal_likelihood == pytest.approx(here.log_marginal_likelihood, abs=1e-7)


def test_only_an_intercept_is_stated_at_the_means() -> None:
    with pytest.raises(PriorError, match=r"prior for x: Normal\(0, 1, at='means'\).*only an intercept"):
        _fit("gaussian", "y ~ x", 0.0, priors={"x": "Normal(0, 1, at='means')"})


@pytest.mark.parametrize("family", ["poisson", "bernoulli", "gamma"])
def test_years_common_to_groups_on_their_own(family: str) -> None:
    """The modes of groups' own intercepts lie hundreds of units off where the year is 0; what is common to the groups
    keeps its prior at zero, so that the answer is nearly the same and not quite."""
    near, far = (_fit(family, "y ~ x + (1 | g)", offset, pooling="none") for offset in (0.0, 300.0))
    line, other = near.summary().loc["x"], far.summary().loc["x"]
    assert abs(other["mean"] - line["mean"]) < 0.15 * line["sd"]
    assert other["sd"] == pytest.approx(line["sd"], rel=0.1)

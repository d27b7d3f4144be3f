"""Draws from a model's priors against scipy's distributions, and the prior densities of draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import partialpool as pp

N = 4000
RNG = np.random.default_rng(2)
G = np.repeat(np.arange(6), 5)
ROWS: dict[str, Any] = {"g": G, "x": RNG.normal(3.0, 1.0, 30), "z": RNG.normal(size=30), "y": RNG.normal(size=30)}
COUNTS: dict[str, Any] = {"g": [0, 1, 2, 3, 4], "s": [1, 4, 5, 9, 0], "n": [6, 9, 7, 10, 4], "c": [2, 0, 7, 11, 1]}


def flat(tree: Any, group: str, name: str) -> np.ndarray:
    values = tree[group][name].values
    return np.asarray(values.reshape(-1, *values.shape[2:]))


def check(drawn: np.ndarray, distribution: Any) -> None:
    assert stats.kstest(drawn, distribution.cdf).pvalue > 1e-3


class _HalfT:
    """The positive half of Student's t."""

    def __init__(self, nu: float, scale: float) -> None:
        self.nu, self.scale = nu, scale

    def cdf(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(2.0 * stats.t.cdf(x / self.scale, self.nu) - 1.0)

    def logpdf(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(2.0) + stats.t.logpdf(x / self.scale, self.nu) - np.log(self.scale))


def test_every_parameter_has_its_prior() -> None:
    priors = {
        "Intercept": "StudentT(4, 1, 2)",
        "x": "Normal(0.5, 0.2)",
        "z": "Uniform(-1, 3)",
        "sd(g, Intercept)": "HalfStudentT(3, 2)",
        "sd(g, x)": "Exponential(2)",
        "sd(g, z)": "HalfNormal(1)",
        "cor": "LKJ(2)",
        "sigma": "Gamma(3, 2)",
    }
    expected = {
        "Intercept": stats.t(4, 1, 2),
        "x": stats.norm(0.5, 0.2),
        "z": stats.uniform(-1, 4),
        "sd(g, Intercept)": _HalfT(3, 2),
        "sd(g, x)": stats.expon(scale=0.5),
        "sd(g, z)": stats.halfnorm(scale=1),
        "sigma": stats.gamma(3, scale=0.5),
    }
    fit = pp.fit("y ~ x + z + (x + z | g)", ROWS, priors=priors, accuracy=0.1)
    tree = fit.to_arviz(N)
    for name, distribution in expected.items():
        check(flat(tree, "prior", name), distribution)
        np.testing.assert_allclose(
            flat(tree, "log_prior", name), distribution.logpdf(flat(tree, "posterior", name)), rtol=1e-9, atol=1e-9
        )
    # each entry of an LKJ(2) matrix of order 3 is Beta(2.5, 2.5) on (-1, 1)
    names = [f"cor(g, {a}, {b})" for a, b in (("Intercept", "x"), ("Intercept", "z"), ("x", "z"))]
    for name in names:
        check(flat(tree, "prior", name), stats.beta(2.5, 2.5, loc=-1.0, scale=2.0))
    r = [flat(tree, "posterior", name) for name in names]
    log_determinant = np.log(1 + 2 * r[0] * r[1] * r[2] - r[0] ** 2 - r[1] ** 2 - r[2] ** 2)
    (variable,) = [name for name in tree["log_prior"].data_vars if str(name).startswith("cor")]
    constant = np.mean(flat(tree, "log_prior", variable) - log_determinant)
    np.testing.assert_allclose(flat(tree, "log_prior", variable) - log_determinant, constant, atol=1e-7)
    assert abs(np.exp(-constant) - _integrate_determinant()) < 1e-6
    # effects have the population of their own draw
    own = flat(tree, "prior", "u")[:, :, 1] / flat(tree, "prior", "sd(g, x)")[:, None]
    check(own[:, 0], stats.norm())
    both = np.stack([flat(tree, "prior", "u")[:, 0, k] / flat(tree, "prior", f"sd(g, {c})")
                     for k, c in enumerate(("Intercept", "x"))])  # fmt: skip
    gap = np.mean(both[0] * both[1] - flat(tree, "prior", names[0]))
    assert abs(gap) < 4.5 / np.sqrt(N)


def _integrate_determinant() -> float:
    """The integral of det R over correlation matrices of order 3, by the trapezoid rule in angles."""
    t = np.linspace(0.0, np.pi, 201)
    a, b = np.meshgrid(t, t, indexing="ij")
    # given r12 and r13, r23 runs over an interval of half width h: the integral of det is 4 h^3 / 3
    h = np.sin(a) * np.sin(b)
    weights = np.sin(a) * np.sin(b) * (t[1] - t[0]) ** 2
    return float(np.sum(4.0 * h**3 / 3.0 * weights))


@pytest.mark.parametrize("at", ["zero", "means"])
def test_correlated_effects_where_their_prior_is_stated(at: str) -> None:
    priors = {"sd(g, Intercept)": "HalfNormal(2)", "sd(g, x)": "HalfNormal(1)", "cor": f"LKJ(3, at='{at}')"}
    priors |= {"Intercept": "Normal(0, 1)", "x": "Normal(0, 1)", "sigma": "HalfNormal(1)"}
    fit = pp.fit("y ~ x + (x | g)", ROWS, priors=priors, accuracy=0.1)
    tree, mean = fit.to_arviz(N), float(np.mean(ROWS["x"]))
    stated = []
    for group in ("prior", "posterior"):
        sd, slope = flat(tree, group, "sd(g, Intercept)"), flat(tree, group, "sd(g, x)")
        cor = flat(tree, group, "cor(g, Intercept, x)")
        if at == "means":
            covariance = cor * sd * slope + mean * slope**2
            sd = np.sqrt(sd**2 + 2.0 * mean * cor * sd * slope + mean**2 * slope**2)
            cor = covariance / (sd * slope)
        stated.append((sd, cor))
    check(stated[0][0], stats.halfnorm(scale=2))
    check(stated[0][1], stats.beta(3, 3, loc=-1.0, scale=2.0))
    sd, cor = stated[1]
    sized = sd > 0.01  # below, the arithmetic above loses what the sds share
    own = {name: flat(tree, "log_prior", name)[sized] for name in ("sd(g, Intercept)", "cor(g, Intercept, x)")}
    np.testing.assert_allclose(own["sd(g, Intercept)"], stats.halfnorm(scale=2).logpdf(sd[sized]), atol=1e-7)
    expected = stats.beta(3, 3, loc=-1.0, scale=2.0).logpdf(cor[sized])
    np.testing.assert_allclose(own["cor(g, Intercept, x)"], expected, atol=1e-6)
    assert sized.mean() > 0.9


def test_shapes_of_populations() -> None:
    options = {"family": "binomial", "trials": "n", "population": "beta"}
    tree = pp.fit("s ~ 1 + (1 | g)", COUNTS, priors={"mean": "Beta(2, 3)", "concentration": "Gamma(4, 0.5)"}, **options)
    tree = tree.to_arviz(N)
    mean, size = flat(tree, "prior", "mean"), flat(tree, "prior", "concentration")
    check(mean, stats.beta(2, 3))
    check(size, stats.gamma(4, scale=2))
    np.testing.assert_allclose(flat(tree, "prior", "alpha"), mean * size, rtol=1e-12)
    p = flat(tree, "prior", "p")[:, 2]
    check(stats.beta.cdf(p, mean * size, (1 - mean) * size), stats.uniform())
    s = flat(tree, "prior_predictive", "s")[:, 2]
    assert abs(s.mean() - 7 * 0.4) < 4.5 * s.std() / np.sqrt(N)
    np.testing.assert_allclose(
        flat(tree, "log_prior", "concentration"),
        stats.gamma(4, scale=2).logpdf(flat(tree, "posterior", "concentration")), rtol=1e-9,
    )  # fmt: skip
    both = pp.fit(
        "c ~ 1 + (1 | g)", COUNTS, family="poisson", population="gamma",
        priors={"alpha": "Gamma(2, 1)", "beta": "LogNormal(0, 0.5)"},
    ).to_arviz(N)  # fmt: skip
    check(flat(both, "prior", "alpha"), stats.gamma(2))
    check(flat(both, "prior", "beta"), stats.lognorm(0.5))
    rate = flat(both, "prior", "rate")[:, 0]
    u = stats.gamma.cdf(rate, flat(both, "prior", "alpha"), scale=1.0 / flat(both, "prior", "beta"))
    check(u, stats.uniform())


def test_groups_on_their_own_have_the_priors_each() -> None:
    priors = {"Intercept": "Normal(1, 2)", "sigma": "HalfNormal(3)"}
    for options in ({"pooling": "none"}, {"pooling": "none", "sigma": "by group"}):
        tree = pp.fit("y ~ 1 + (1 | g)", ROWS, priors=priors, **options).to_arviz(N)
        theta = flat(tree, "prior", "theta")
        check(theta[:, 3], stats.norm(1, 2))
        assert abs(np.corrcoef(theta[:, 0], theta[:, 1])[0, 1]) < 4.5 / np.sqrt(N)
        np.testing.assert_allclose(
            flat(tree, "log_prior", "Intercept"), stats.norm(1, 2).logpdf(flat(tree, "posterior", "theta")), rtol=1e-9
        )
        sigma = flat(tree, "prior", "sigma")
        check(sigma if sigma.ndim == 1 else sigma[:, 2], stats.halfnorm(scale=3))


@pytest.mark.parametrize(
    "options",
    [{}, {"family": "student_t(nu=4)"}, {"pooling": "none"}, {"pooling": "none", "sigma": "by group"}],
    ids=str,
)
def test_an_intercept_where_its_default_is_stated(options: dict[str, Any]) -> None:
    """At the columns' means or at their zero, whichever the prior says."""
    data = ROWS | {"x": ROWS["x"] + 40.0}
    varying = "1" if "family" in options else "x"  # quadrature of slopes takes long
    fit = pp.fit(f"y ~ x + ({varying} | g)", data, accuracy=0.1, **options)
    tree, prior = fit.to_arviz(N), getattr(fit, "fitted", fit).model.priors["Intercept"]
    mean = float(np.mean(data["x"])) if getattr(prior, "at", "zero") == "means" else 0.0
    own = "pooling" in options

    def stated(group: str) -> np.ndarray:
        if own:
            theta = flat(tree, group, "theta")
            return np.asarray(theta[:, :, 0] + mean * theta[:, :, 1])
        return flat(tree, group, "Intercept") + mean * flat(tree, group, "x")

    drawn = stated("prior")
    check(drawn[:, 2] if own else drawn, stats.norm(prior.mu, prior.sigma))
    expected = stats.norm(prior.mu, prior.sigma).logpdf(stated("posterior"))
    np.testing.assert_allclose(flat(tree, "log_prior", "Intercept"), expected, rtol=1e-9, atol=1e-9)

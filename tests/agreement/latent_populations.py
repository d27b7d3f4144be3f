"""Small models with populations of every kind, for brute force."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import betaln, expit, gammaln, log_expit, polygamma

from .latent_brute import BruteCase, FloatArray, Hyper, half_line, line, unit_interval
from .latent_centred import FEW, GROUPS, MANY, centred_case

_EFFECTS = {"y": [1.2, -0.4, 4.0, 0.3, 0.8], "se": [0.7, 0.5, 0.9, 0.6, 1.1], "g": [0, 1, 2, 3, 4]}


def _effect_rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
    return stats.norm.logpdf(_EFFECTS["y"][row], theta, _EFFECTS["se"][row])


def _skewed(theta: FloatArray, hyper: Hyper) -> FloatArray:
    skew = hyper["skew(g)"]
    mean, variance = stats.skewnorm.stats(skew, moments="mv")
    omega = hyper["sd(g)"] / np.sqrt(variance)
    return stats.skewnorm.logpdf(theta, skew, hyper["Intercept"] - omega * mean, omega)


def skew_normal() -> BruteCase:
    """A skew-normal population, skew unknown."""
    extra = ("skew(g)", "Normal(0, 3)", line(0.0, 3.0, FEW), stats.norm(0, 3))
    return centred_case(
        "skew-normal population",
        _EFFECTS,
        _effect_rows,
        np.asarray,
        population=_skewed,
        extra=extra,
        n_points=181,
        standard_error="se",
        people="skew_normal",
    )


def student_population() -> BruteCase:
    """A Student-t population of 4 degrees of freedom."""

    def population(theta: FloatArray, hyper: Hyper) -> FloatArray:
        return stats.t.logpdf(theta, 4.0, hyper["Intercept"], hyper["sd(g)"])

    return centred_case(
        "student_t population",
        _EFFECTS,
        _effect_rows,
        np.asarray,
        population=population,
        stretch=0.5,
        standard_error="se",
        people="student_t(nu=4)",
    )


def beta_population() -> BruteCase:
    """Probabilities from a beta distribution with priors on mean and concentration."""
    data = {"y": [1, 4, 5, 9, 0], "n": [6, 9, 7, 10, 4], "g": [0, 1, 2, 3, 4]}

    def shapes(hyper: Hyper) -> tuple[FloatArray, FloatArray]:
        return hyper["mean"] * hyper["concentration"], (1.0 - hyper["mean"]) * hyper["concentration"]

    def place(hyper: Hyper) -> tuple[FloatArray, FloatArray]:
        alpha, beta = shapes(hyper)
        scale = np.sqrt(polygamma(1, alpha) + polygamma(1, beta))
        return polygamma(0, alpha) - polygamma(0, beta), scale

    def population(theta: FloatArray, hyper: Hyper) -> FloatArray:
        alpha, beta = shapes(hyper)
        # not scipy.stats, whose density is infinite where the probability rounds to 0 or 1
        return alpha * log_expit(theta) + beta * log_expit(-theta) - betaln(alpha, beta)

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        return stats.binom.logpmf(data["y"][row], data["n"][row], expit(theta))

    return BruteCase(
        "beta population",
        data,
        tuple(data["g"]),
        {"family": "binomial", "trials": "n", "population": "beta"},
        {"mean": "Beta(2, 2)", "concentration": "LogNormal(1.5, 0.7)"},
        {"mean": unit_interval(MANY), "concentration": half_line(4.0, MANY)},
        {"mean": stats.beta(2, 2), "concentration": stats.lognorm(0.7, scale=np.exp(1.5))},
        place,
        population,
        rows,
        expit,
        derived={"alpha": lambda hyper: shapes(hyper)[0], "beta": lambda hyper: shapes(hyper)[1]},
    )


_COUNTS = {"y": [2, 0, 7, 11, 1, 5], "t": [1.5, 0.4, 2.0, 2.5, 1.0, 3.0], "g": GROUPS}


def _count_rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
    return stats.poisson.logpmf(_COUNTS["y"][row], _COUNTS["t"][row] * np.exp(theta))


def gamma_population() -> BruteCase:
    """Rates from a gamma distribution with priors on both shapes."""

    def place(hyper: Hyper) -> tuple[FloatArray, FloatArray]:
        return polygamma(0, hyper["alpha"]) - np.log(hyper["beta"]), np.sqrt(polygamma(1, hyper["alpha"]))

    def population(theta: FloatArray, hyper: Hyper) -> FloatArray:
        alpha, beta = hyper["alpha"], hyper["beta"]
        # not scipy.stats, whose density is infinite where the rate rounds to 0
        return alpha * (theta + np.log(beta)) - beta * np.exp(theta) - gammaln(alpha)

    return BruteCase(
        "gamma population",
        _COUNTS,
        GROUPS,
        {"family": "poisson", "exposure": "t", "population": "gamma"},
        {"alpha": "LogNormal(0.5, 0.7)", "beta": "LogNormal(0, 0.8)"},
        {"alpha": half_line(2.0, MANY), "beta": half_line(1.0, MANY)},
        {"alpha": stats.lognorm(0.7, scale=np.exp(0.5)), "beta": stats.lognorm(0.8)},
        place,
        population,
        _count_rows,
        np.exp,
        derived={"mean": lambda hyper: hyper["alpha"] / hyper["beta"]},
    )


def exponential_population() -> BruteCase:
    """Rates from an exponential distribution."""

    def population(theta: FloatArray, hyper: Hyper) -> FloatArray:
        return stats.expon.logpdf(np.exp(theta), scale=hyper["mean"]) + theta

    return BruteCase(
        "exponential population",
        _COUNTS,
        GROUPS,
        {"family": "poisson", "exposure": "t", "population": "exponential"},
        {"mean": "LogNormal(1, 0.8)"},
        {"mean": half_line(3.0, 120)},
        {"mean": stats.lognorm(0.8, scale=np.e)},
        lambda hyper: (np.log(hyper["mean"]) - 0.6, np.ones_like(hyper["mean"])),
        population,
        _count_rows,
        np.exp,
        n_points=1001,
    )

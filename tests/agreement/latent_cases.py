"""Small models with likelihoods and populations of every kind, for brute force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import betaln, expit, gammaln, log_expit, ndtr, polygamma

from .latent_brute import BruteCase, FloatArray, Hyper, half_line, line, unit_interval

_N = 36
_FEW = 28


def _normal_place(hyper: Hyper) -> tuple[FloatArray, FloatArray]:
    return hyper["Intercept"], hyper["sd(g)"]


def _normal(theta: FloatArray, hyper: Hyper) -> FloatArray:
    return stats.norm.logpdf(theta, hyper["Intercept"], hyper["sd(g)"])


def _normal_case(
    name: str,
    data: Mapping[str, Any],
    rows: Callable[[FloatArray, Hyper, int], FloatArray],
    response: Callable[[FloatArray], FloatArray],
    *,
    population: Callable[[FloatArray, Hyper], FloatArray] = _normal,
    centre: float = 0.0,
    prior_sd: float = 1.5,
    sd: float = 1.0,
    extra: tuple[str, str, Any, Any] | None = None,
    stretch: float = 0.05,
    n: int | None = None,
    n_points: int = 301,
    people: str | None = None,
    **options: Any,
) -> BruteCase:
    """A population about an intercept ~ Normal(0, ``prior_sd``), sd(g) ~ HalfNormal(``sd``); ``extra`` is the name,
    prior, axis and distribution of one more hyperparameter."""
    n = n or (_FEW if extra else _N)
    if people:
        options["population"] = people
    axes = {"Intercept": line(centre, 0.6 * prior_sd, n), "sd(g)": half_line(0.6 * sd, n)}
    priors = {"Intercept": f"Normal(0, {prior_sd})", "sd(g)": f"HalfNormal({sd})"}
    densities = {"Intercept": stats.norm(0, prior_sd), "sd(g)": stats.halfnorm(0, sd)}
    if extra:
        axes[extra[0]], priors[extra[0]], densities[extra[0]] = extra[2], extra[1], extra[3]
    return BruteCase(
        name,
        data,
        tuple(data["g"]),
        options,
        priors,
        axes,
        densities,
        _normal_place,
        population,
        rows,
        response,
        stretch=stretch,
        n_points=n_points,
    )


_GROUPS = (0, 0, 1, 1, 2, 3)


def _probability_case(name: str, link: str, inverse: Callable[[FloatArray], FloatArray]) -> BruteCase:
    data = {"y": [1, 4, 5, 9, 0], "n": [6, 9, 7, 10, 4], "g": [0, 1, 2, 3, 4]}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        return stats.binom.logpmf(data["y"][row], data["n"][row], inverse(theta))

    return _normal_case(f"binomial {name}", data, rows, inverse, family="binomial", link=link, trials="n")


def _bernoulli() -> BruteCase:
    data = {"y": [0, 1, 1, 1, 0, 1, 1, 0, 0, 0], "g": [0, 0, 0, 1, 1, 1, 1, 2, 2, 3]}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        return stats.bernoulli.logpmf(data["y"][row], expit(theta))

    return _normal_case("bernoulli", data, rows, expit, family="bernoulli")


def _poisson() -> BruteCase:
    data = {
        "y": [2, 0, 7, 11, 1, 5],
        "t": [1.5, 0.4, 2.0, 2.5, 1.0, 3.0],
        "o": [0.3, -0.2, 0.0, 0.5, -0.4, 0.1],
        "g": _GROUPS,
    }

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        return stats.poisson.logpmf(data["y"][row], data["t"][row] * np.exp(theta + data["o"][row]))

    return _normal_case("poisson", data, rows, np.exp, family="poisson", exposure="t", offset="o")


def _negative_binomial() -> BruteCase:
    data = {"y": [2, 0, 7, 12, 1, 5], "g": _GROUPS}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        shape = hyper["shape"]
        return stats.nbinom.logpmf(data["y"][row], shape, shape / (shape + np.exp(theta)))

    extra = ("shape", "LogNormal(1, 0.7)", half_line(3.0, _FEW), stats.lognorm(0.7, scale=np.e))
    return _normal_case(
        "negative binomial",
        data,
        rows,
        np.exp,
        sd=0.5,
        centre=1.0,
        extra=extra,
        n_points=181,
        family="negative_binomial",
    )


def _gamma() -> BruteCase:
    data = {"y": [0.7, 2.1, 3.5, 4.0, 0.4, 1.8], "g": _GROUPS}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        return stats.gamma.logpdf(data["y"][row], hyper["shape"], scale=np.exp(theta) / hyper["shape"])

    extra = ("shape", "LogNormal(1, 0.7)", half_line(3.0, _FEW), stats.lognorm(0.7, scale=np.e))
    return _normal_case("gamma", data, rows, np.exp, sd=0.5, centre=1.0, extra=extra, n_points=181, family="gamma")


def _exponential() -> BruteCase:
    codes = ["none", "right", "none", "none", "right", "none", "right"]
    data = {"y": [0.7, 2.1, 3.5, 4.0, 0.4, 1.8, 2.5], "c": codes, "g": (*_GROUPS, 3)}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        law = stats.expon(scale=np.exp(theta))
        return law.logsf(data["y"][row]) if codes[row] == "right" else law.logpdf(data["y"][row])

    return _normal_case(
        "exponential, censored", data, rows, np.exp, sd=0.3, centre=1.2, n=56, family="exponential", censored="c"
    )


def _truncated() -> BruteCase:
    data = {"y": [0.6, 1.1, 0.9, 2.5, 0.55, 1.4], "se": [0.5, 0.7, 0.6, 0.9, 0.8, 0.5], "g": _GROUPS}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        noise = data["se"][row]
        return stats.norm.logpdf(data["y"][row], theta, noise) - stats.norm.logsf(0.5, theta, noise)

    return _normal_case("truncated gaussian", data, rows, np.asarray, standard_error="se", truncation=(0.5, None))


def _student_rows() -> BruteCase:
    data = {"y": [0.6, 1.1, -0.9, 8.0, 0.5, 1.4], "se": [0.5, 0.7, 0.6, 0.9, 0.8, 0.5], "g": _GROUPS}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        return stats.t.logpdf(data["y"][row], 4.0, theta, data["se"][row])

    return _normal_case("student_t rows", data, rows, np.asarray, sd=2.0, standard_error="se", family="student_t(nu=4)")


_EFFECTS = {"y": [1.2, -0.4, 4.0, 0.3, 0.8], "se": [0.7, 0.5, 0.9, 0.6, 1.1], "g": [0, 1, 2, 3, 4]}


def _effect_rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
    return stats.norm.logpdf(_EFFECTS["y"][row], theta, _EFFECTS["se"][row])


def _skewed(theta: FloatArray, hyper: Hyper) -> FloatArray:
    skew = hyper["skew(g)"]
    mean, variance = stats.skewnorm.stats(skew, moments="mv")
    omega = hyper["sd(g)"] / np.sqrt(variance)
    return stats.skewnorm.logpdf(theta, skew, hyper["Intercept"] - omega * mean, omega)


def _skew_normal() -> BruteCase:
    extra = ("skew(g)", "Normal(0, 3)", line(0.0, 3.0, _FEW), stats.norm(0, 3))
    return _normal_case(
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


def _student_population() -> BruteCase:
    def population(theta: FloatArray, hyper: Hyper) -> FloatArray:
        return stats.t.logpdf(theta, 4.0, hyper["Intercept"], hyper["sd(g)"])

    return _normal_case(
        "student_t population",
        _EFFECTS,
        _effect_rows,
        np.asarray,
        population=population,
        stretch=0.5,
        standard_error="se",
        people="student_t(nu=4)",
    )


def _beta_population() -> BruteCase:
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
        {"mean": unit_interval(_N), "concentration": half_line(4.0, _N)},
        {"mean": stats.beta(2, 2), "concentration": stats.lognorm(0.7, scale=np.exp(1.5))},
        place,
        population,
        rows,
        expit,
        derived={"alpha": lambda hyper: shapes(hyper)[0], "beta": lambda hyper: shapes(hyper)[1]},
    )


_COUNTS = {"y": [2, 0, 7, 11, 1, 5], "t": [1.5, 0.4, 2.0, 2.5, 1.0, 3.0], "g": _GROUPS}


def _count_rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
    return stats.poisson.logpmf(_COUNTS["y"][row], _COUNTS["t"][row] * np.exp(theta))


def _gamma_population() -> BruteCase:
    def place(hyper: Hyper) -> tuple[FloatArray, FloatArray]:
        return polygamma(0, hyper["alpha"]) - np.log(hyper["beta"]), np.sqrt(polygamma(1, hyper["alpha"]))

    def population(theta: FloatArray, hyper: Hyper) -> FloatArray:
        alpha, beta = hyper["alpha"], hyper["beta"]
        # not scipy.stats, whose density is infinite where the rate rounds to 0
        return alpha * (theta + np.log(beta)) - beta * np.exp(theta) - gammaln(alpha)

    return BruteCase(
        "gamma population",
        _COUNTS,
        _GROUPS,
        {"family": "poisson", "exposure": "t", "population": "gamma"},
        {"alpha": "LogNormal(0.5, 0.7)", "beta": "LogNormal(0, 0.8)"},
        {"alpha": half_line(2.0, _N), "beta": half_line(1.0, _N)},
        {"alpha": stats.lognorm(0.7, scale=np.exp(0.5)), "beta": stats.lognorm(0.8)},
        place,
        population,
        _count_rows,
        np.exp,
        derived={"mean": lambda hyper: hyper["alpha"] / hyper["beta"]},
    )


def _exponential_population() -> BruteCase:
    def population(theta: FloatArray, hyper: Hyper) -> FloatArray:
        return stats.expon.logpdf(np.exp(theta), scale=hyper["mean"]) + theta

    return BruteCase(
        "exponential population",
        _COUNTS,
        _GROUPS,
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


CASES = {
    case.name: case
    for case in (
        _bernoulli(),
        _probability_case("logit", "logit", expit),
        _probability_case("probit", "probit", ndtr),
        _probability_case("cloglog", "cloglog", lambda theta: -np.expm1(-np.exp(theta))),
        _poisson(),
        _negative_binomial(),
        _gamma(),
        _exponential(),
        _truncated(),
        _student_rows(),
        _beta_population(),
        _gamma_population(),
        _exponential_population(),
        _student_population(),
        _skew_normal(),
    )
}

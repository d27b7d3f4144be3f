"""Small models with likelihoods of every kind, for brute force."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats
from scipy.special import expit

from .latent_brute import BruteCase, FloatArray, Hyper, half_line, unit_interval
from .latent_centred import FEW, GROUPS, MANY, centred_case


def probability_case(name: str, link: str, inverse: Callable[[FloatArray], FloatArray]) -> BruteCase:
    """Binomial counts of five groups under a link."""
    data = {"y": [1, 4, 5, 9, 0], "n": [6, 9, 7, 10, 4], "g": [0, 1, 2, 3, 4]}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        return stats.binom.logpmf(data["y"][row], data["n"][row], inverse(theta))

    return centred_case(f"binomial {name}", data, rows, inverse, family="binomial", link=link, trials="n")


def bernoulli() -> BruteCase:
    """Zeros and ones; a group of one row."""
    data = {"y": [0, 1, 1, 1, 0, 1, 1, 0, 0, 0], "g": [0, 0, 0, 1, 1, 1, 1, 2, 2, 3]}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        return stats.bernoulli.logpmf(data["y"][row], expit(theta))

    return centred_case("bernoulli", data, rows, expit, family="bernoulli")


def poisson() -> BruteCase:
    """Counts with exposures and an offset."""
    data = {
        "y": [2, 0, 7, 11, 1, 5],
        "t": [1.5, 0.4, 2.0, 2.5, 1.0, 3.0],
        "o": [0.3, -0.2, 0.0, 0.5, -0.4, 0.1],
        "g": GROUPS,
    }

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        return stats.poisson.logpmf(data["y"][row], data["t"][row] * np.exp(theta + data["o"][row]))

    return centred_case("poisson", data, rows, np.exp, family="poisson", exposure="t", offset="o")


def negative_binomial() -> BruteCase:
    """Overdispersed counts, shape unknown."""
    data = {"y": [2, 0, 7, 12, 1, 5], "g": GROUPS}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        shape = hyper["shape"]
        return stats.nbinom.logpmf(data["y"][row], shape, shape / (shape + np.exp(theta)))

    extra = ("shape", "LogNormal(1, 0.7)", half_line(3.0, FEW), stats.lognorm(0.7, scale=np.e))
    return centred_case(
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


def beta() -> BruteCase:
    """Shares, one close to an end and one group in conflict; precision unknown."""
    data = {"y": [0.31, 0.62, 0.5, 0.77, 0.02, 0.9], "g": GROUPS}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        phi, mean = hyper["precision"], expit(theta)
        return stats.beta.logpdf(data["y"][row], phi * mean, phi * (1.0 - mean))

    extra = ("precision", "LogNormal(1, 0.7)", half_line(3.0, FEW), stats.lognorm(0.7, scale=np.e))
    return centred_case("beta", data, rows, expit, sd=1.0, extra=extra, n_points=181, family="beta")


def zero_inflated_poisson() -> BruteCase:
    """Counts with exposures and zeros beside large ones, which leaves a group two peaks; share of zeros unknown."""
    data = {"y": [0, 6, 7, 12, 0, 0, 0], "t": [1.0, 1.5, 2.0, 1.0, 1.0, 3.0, 2.0], "g": (*GROUPS, 0)}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        mean, zero, y = data["t"][row] * np.exp(theta), hyper["zero"], data["y"][row]
        return np.log((y == 0) * zero + (1.0 - zero) * stats.poisson.pmf(y, mean))

    extra = ("zero", "Beta(1, 1)", unit_interval(MANY), stats.beta(1.0, 1.0))
    return centred_case(
        "zero-inflated poisson",
        data,
        rows,
        np.exp,
        sd=0.3,  # a group of zeros has the moments that the prior of the sd leaves it
        centre=1.0,
        extra=extra,
        n=MANY,  # 28 nodes an axis are .01 off themselves, as 361 points a group or a finer fit show
        n_points=181,
        family="zero_inflated_poisson",
        exposure="t",
    )


def gamma() -> BruteCase:
    """Positive values, shape unknown."""
    data = {"y": [0.7, 2.1, 3.5, 4.0, 0.4, 1.8], "g": GROUPS}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        return stats.gamma.logpdf(data["y"][row], hyper["shape"], scale=np.exp(theta) / hyper["shape"])

    extra = ("shape", "LogNormal(1, 0.7)", half_line(3.0, FEW), stats.lognorm(0.7, scale=np.e))
    return centred_case("gamma", data, rows, np.exp, sd=0.5, centre=1.0, extra=extra, n_points=181, family="gamma")


def exponential() -> BruteCase:
    """Times, three of them right-censored; one group has no other."""
    codes = ["none", "right", "none", "none", "right", "none", "right"]
    data = {"y": [0.7, 2.1, 3.5, 4.0, 0.4, 1.8, 2.5], "c": codes, "g": (*GROUPS, 3)}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        law = stats.expon(scale=np.exp(theta))
        return law.logsf(data["y"][row]) if codes[row] == "right" else law.logpdf(data["y"][row])

    return centred_case(
        "exponential, censored", data, rows, np.exp, sd=0.3, centre=1.2, n=56, family="exponential", censored="c"
    )


def truncated() -> BruteCase:
    """Measurements above 0.5 alone, standard errors known."""
    data = {"y": [0.6, 1.1, 0.9, 2.5, 0.55, 1.4], "se": [0.5, 0.7, 0.6, 0.9, 0.8, 0.5], "g": GROUPS}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        noise = data["se"][row]
        return stats.norm.logpdf(data["y"][row], theta, noise) - stats.norm.logsf(0.5, theta, noise)

    return centred_case("truncated gaussian", data, rows, np.asarray, standard_error="se", truncation=(0.5, None))


def student_rows() -> BruteCase:
    """Measurements with an outlier, nu and scales known."""
    data = {"y": [0.6, 1.1, -0.9, 8.0, 0.5, 1.4], "se": [0.5, 0.7, 0.6, 0.9, 0.8, 0.5], "g": GROUPS}

    def rows(theta: FloatArray, hyper: Hyper, row: int) -> FloatArray:
        return stats.t.logpdf(data["y"][row], 4.0, theta, data["se"][row])

    return centred_case("student_t rows", data, rows, np.asarray, sd=2.0, standard_error="se", family="student_t(nu=4)")

"""Rows of each likelihood: drawn by numpy's generators, with densities written out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln, log_expit, log_ndtr

if TYPE_CHECKING:
    from .latent_study import LatentStudy

FloatArray = NDArray[np.float64]


def draw_rows(study: LatentStudy, eta: FloatArray, truth: Mapping[str, float], rng: np.random.Generator) -> FloatArray:
    """Draw one response of each linear predictor (row,)."""
    if study.family in ("binomial", "bernoulli"):
        trials = study.columns.get("trials", np.ones(len(eta)))
        return rng.binomial(trials.astype(int), expit(eta)).astype(float)
    if study.family == "poisson":
        return rng.poisson(study.columns.get("exposure", 1.0) * np.exp(eta)).astype(float)
    if study.family.startswith("zero_inflated"):
        scatter = rng.gamma(truth["shape"], 1.0 / truth["shape"], len(eta)) if "shape" in truth else 1.0
        return np.where(rng.random(len(eta)) < truth["zero"], 0.0, rng.poisson(np.exp(eta) * scatter))
    if study.family == "negative_binomial":
        # counts whose rates scatter by a gamma distribution of mean 1
        rate = np.exp(eta) * rng.gamma(truth["shape"], 1.0 / truth["shape"], len(eta))
        return rng.poisson(rate).astype(float)
    if study.family == "beta":
        mean = expit(eta)
        return np.clip(rng.beta(truth["precision"] * mean, truth["precision"] * (1.0 - mean)), 1e-12, 1.0 - 1e-12)
    mean = np.exp(eta) if study.population == "lognormal" else eta
    noise = study.columns.get("standard_error", np.full(len(eta), truth.get("sigma", np.nan)))
    if study.lower is None:
        return mean + noise * rng.standard_normal(len(eta))
    return mean + noise * draw_above((study.lower - mean) / noise, rng)


def draw_above(limits: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw standard normal numbers above their limits (row,) by rejection: plainly where the limit is low, from a
    shifted exponential where it is not (Robert 1995, Statistics and Computing 5:121-125)."""
    drawn = np.full(len(limits), np.nan)
    while (left := np.flatnonzero(np.isnan(drawn))).size:
        limit = limits[left]
        rate = 0.5 * (limit + np.sqrt(limit**2 + 4.0))
        plain = limit < 0.5
        z = np.where(plain, rng.standard_normal(left.size), limit + rng.exponential(size=left.size) / rate)
        inside = np.where(plain, z > limit, rng.random(left.size) < np.exp(-0.5 * (z - rate) ** 2))
        drawn[left[inside]] = z[inside]
    return drawn


def log_density_of_rows(
    study: LatentStudy,
    eta: FloatArray,
    response: FloatArray,
    columns: Mapping[str, FloatArray],
    values: Mapping[str, Any],
) -> FloatArray:
    """Return the log density of each row (row,) or (row, draw) less its constant."""
    if study.family in ("binomial", "bernoulli"):
        failures = columns.get("trials", 1.0) - response
        return response * log_expit(eta) + failures * log_expit(-eta)
    if study.family == "poisson":
        return response * eta - columns.get("exposure", 1.0) * np.exp(eta)
    if study.family == "negative_binomial":
        shape = values["shape"]
        rising = gammaln(response + shape) - gammaln(shape) + shape * np.log(shape)
        return rising + response * eta - (response + shape) * np.log(shape + np.exp(eta))
    if study.family.startswith("zero_inflated"):
        return log_density_of_inflated(eta, response, values)
    if study.family == "beta":
        phi, mean = values["precision"], expit(eta)
        logs = phi * (mean * np.log(response) + (1.0 - mean) * np.log1p(-response))
        return logs + gammaln(phi) - gammaln(phi * mean) - gammaln(phi * (1.0 - mean))
    mean = np.exp(eta) if study.population == "lognormal" else eta
    noise = columns.get("standard_error", values.get("sigma"))
    inside = -0.5 * ((response - mean) / noise) ** 2 - np.log(noise)
    return inside if study.lower is None else inside - log_ndtr((mean - study.lower) / noise)


def log_density_of_inflated(eta: FloatArray, response: FloatArray, values: Mapping[str, Any]) -> FloatArray:
    """Return the log density of counts with structural zeros less its constant."""
    if "shape" in values:
        shape = values["shape"]
        rising = gammaln(response + shape) - gammaln(shape) + shape * np.log(shape)
        counted = rising + response * eta - (response + shape) * np.log(shape + np.exp(eta))
    else:
        counted = response * eta - np.exp(eta)
    counted = counted + np.log1p(-values["zero"])
    return np.where(response == 0, np.logaddexp(np.log(values["zero"]), counted), counted)

"""The models that latent fits are held against brute force on, by name."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, ndtr

from .latent_likelihoods import (
    bernoulli,
    beta,
    exponential,
    gamma,
    negative_binomial,
    poisson,
    probability_case,
    student_rows,
    truncated,
    zero_inflated_poisson,
)
from .latent_populations import (
    beta_population,
    exponential_population,
    gamma_population,
    skew_normal,
    student_population,
)

CASES = {
    case.name: case
    for case in (
        bernoulli(),
        probability_case("logit", "logit", expit),
        probability_case("probit", "probit", ndtr),
        probability_case("cloglog", "cloglog", lambda theta: -np.expm1(-np.exp(theta))),
        poisson(),
        negative_binomial(),
        beta(),
        zero_inflated_poisson(),
        gamma(),
        exponential(),
        truncated(),
        student_rows(),
        beta_population(),
        gamma_population(),
        exponential_population(),
        student_population(),
        skew_normal(),
    )
}

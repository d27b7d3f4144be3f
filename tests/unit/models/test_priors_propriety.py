"""When a posterior is proper, against the marginal likelihood itself."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from partialpool.errors import PriorError
from partialpool.models.priors import (
    LKJ,
    Exponential,
    Flat,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    Prior,
    ScalarPrior,
    Uniform,
    VariancePower,
    check_propriety,
    finite_moments,
    finite_residual_moments,
)

SCALES: list[ScalarPrior] = [
    Flat(),
    Uniform(0, None),
    VariancePower(-0.5),
    VariancePower(-0.9),
    VariancePower(0),
    VariancePower(0.4),
    VariancePower(-1),
    VariancePower(-1.5),
    HalfNormal(1),
    HalfCauchy(1),
    HalfStudentT(0.4, 1),
    Exponential(1),
    Gamma(0.3, 1),
    InverseGamma(0.1, 0.1, on="variance"),
]


def log_posterior(sd: np.ndarray, prior: ScalarPrior, groups: int) -> np.ndarray:
    """The log posterior of the sd for group means 1..J with known standard errors and a flat mean."""
    means, errors = np.arange(1.0, groups + 1), np.linspace(0.8, 1.2, groups)
    variance = errors[:, None] ** 2 + sd**2
    weight = 1 / variance
    centre = (weight * means[:, None]).sum(0) / weight.sum(0)
    squares = (weight * (means[:, None] - centre) ** 2).sum(0)
    return -0.5 * (np.log(variance).sum(0) + np.log(weight.sum(0)) + squares) + prior.log_density(sd)


def is_integrable(prior: ScalarPrior, groups: int, order: float = 0) -> bool:
    """Whether sd^order times the posterior is integrable, from its slopes far out and near zero."""
    near, far = np.array([1e-12, 1e-10]), np.array([1e6, 1e8])

    def slope(points: np.ndarray) -> float:
        low, high = log_posterior(points, prior, groups) + order * np.log(points)
        return -math.inf if np.isneginf(high) else float(high - low) / math.log(100)

    # at 0 a prior that vanishes faster than any power has -inf at both points
    at_zero = np.isneginf(log_posterior(near, prior, groups)).any() or slope(near) > -1 + 1e-6
    return bool(at_zero) and slope(far) < -1 - 1e-6


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("prior", SCALES, ids=str)
def test_the_rule_agrees_with_the_marginal_likelihood(prior: ScalarPrior, groups: int) -> None:
    if is_integrable(prior, groups):
        check_propriety({"sd(g)": prior}, {"sd(g)": groups})
    else:
        with pytest.raises(PriorError, match="improper"):
            check_propriety({"sd(g)": prior}, {"sd(g)": groups})


@pytest.mark.parametrize("groups", [1, 3, 4, 5])
@pytest.mark.parametrize("prior", SCALES, ids=str)
@pytest.mark.parametrize("order", [1, 2])
def test_moments_agree_with_the_marginal_likelihood(prior: ScalarPrior, groups: int, order: int) -> None:
    if is_integrable(prior, groups):
        assert finite_moments(prior, groups, order) == is_integrable(prior, groups, order)


def test_flat_with_three_and_four_groups() -> None:
    assert not finite_moments(Flat(), 3, 1)  # E[tau] is infinite with 3 groups
    assert finite_moments(Flat(), 4, 1)
    assert not finite_moments(Flat(), 4, 2)
    assert finite_moments(Flat(), 3, 1, competing=0)
    assert finite_moments(HalfNormal(1), 1, 100)


def test_proper_priors_pass_with_any_number_of_groups() -> None:
    for prior in (HalfNormal(1), HalfCauchy(1), HalfStudentT(0.1, 1), Gamma(0.1, 1), Uniform(0, 9)):
        for groups in (0, 1, 2):
            check_propriety({"sd(g)": prior, "sigma": prior}, {"sd(g)": groups}, residual_degrees=0)


@pytest.mark.parametrize(
    ("prior", "groups", "message"),
    [
        (
            Flat(),
            2,
            "sd(g): under Flat() with 2 groups the posterior is improper: as sd(g) grows the likelihood "
            "falls only like sd^-1 (groups - 1) and the posterior like sd^-1, whose integral is infinite; "
            "this prior needs 3 groups or more (a proper prior on the mean does not replace them: the answer "
            "would rest on that prior alone); give a proper prior such as HalfNormal or HalfCauchy",
        ),
        (
            Flat(),
            1,
            "with 1 group the posterior is improper: as sd(g) grows the likelihood falls only like sd^0",
        ),
        (Uniform(0, None), 2, "under Uniform(0, inf) with 2 groups"),
        (VariancePower(-0.5), 2, "this prior needs 3 groups or more"),
        (
            VariancePower(0),
            3,
            "and the posterior like sd^-1, whose integral is infinite; this prior needs 4 groups",
        ),
        (VariancePower(0.5), 4, "this prior needs 5 groups or more"),
        (
            VariancePower(-1),
            100,
            "sd(g): under VariancePower(-1) the posterior is improper at sd(g) = 0: the prior's density "
            "grows like sd^-1 there, its integral is infinite, and the likelihood stays positive; "
            "give Flat(), which is p(tau^2) proportional to 1/tau, or a proper prior",
        ),
    ],
    ids=str,
)
def test_group_scale_errors_say_why(prior: Prior, groups: int, message: str) -> None:
    with pytest.raises(PriorError, match=re.escape(message)):
        check_propriety({"sd(g)": prior}, {"sd(g)": groups})


@pytest.mark.parametrize(
    ("groups", "competing", "message"),
    [
        (2, 0, "the posterior is improper but for the prior on the mean"),
        (4, 3, "sd^-1 (groups - 3: as many flat coefficients compete with the groups' effects)"),
        (4, 3, "this prior needs 5 groups or more, or proper priors on these coefficients; give"),
        (3, 3, "falls only like sd^0"),
    ],
)
def test_flat_columns_between_groups_use_up_groups(groups: int, competing: int, message: str) -> None:
    with pytest.raises(PriorError, match=re.escape(message)):
        check_propriety({"sd(g)": Flat()}, {"sd(g)": groups}, competing={"sd(g)": competing})
    check_propriety({"sd(g)": Flat()}, {"sd(g)": max(competing, 1) + 2}, competing={"sd(g)": competing})


def test_a_flat_sd_has_the_moments_of_what_it_grows_along_with() -> None:
    assert finite_moments(Flat(), 9, 1, residual_degrees=4)
    assert not finite_moments(Flat(), 9, 1, residual_degrees=3)
    assert not finite_residual_moments(Flat(), [Flat()], 3, 1)


def test_each_sd_is_judged_by_its_own_groups() -> None:
    priors: dict[str, Prior] = {"sd(g, Intercept)": Flat(), "sd(g, x)": Flat(), "cor(g)": LKJ(1)}
    check_propriety(priors, {"sd(g, Intercept)": 9, "sd(g, x)": 3})
    with pytest.raises(PriorError, match=re.escape("sd(g, x): under Flat() with 2 groups")):
        check_propriety(priors, {"sd(g, Intercept)": 9, "sd(g, x)": 2})


def test_residual_scale() -> None:
    fixed: dict[str, Prior] = {"sd(g)": HalfNormal(1), "sigma": Flat()}
    check_propriety(fixed, {"sd(g)": 2}, residual_degrees=2)
    check_propriety(fixed, {"sd(g)": 2})  # sigma known
    message = (
        "sigma: under Flat() with 1 residual degree of freedom the posterior is improper: as sigma grows the "
        "posterior falls only like sigma^-1, whose integral is infinite; give sigma a proper prior such as "
        "HalfNormal, or more rows"
    )
    with pytest.raises(PriorError, match=re.escape(message)):
        check_propriety(fixed, {"sd(g)": 2}, residual_degrees=1)
    with pytest.raises(PriorError, match="with 0 residual degrees of freedom"):
        check_propriety(fixed, {}, residual_degrees=-1)


def test_a_flat_group_scale_grows_along_with_sigma() -> None:
    both: dict[str, Prior] = {"sd(g)": Flat(), "sigma": Flat()}
    check_propriety(both, {"sd(g)": 3}, residual_degrees=3)
    with pytest.raises(PriorError, match=re.escape("as sigma grows while the group-level sds grow along the")):
        check_propriety(both, {"sd(g)": 3}, residual_degrees=2)


def test_the_reference_prior_of_sigma_needs_repeated_rows() -> None:
    usual: dict[str, Prior] = {"sd(g)": HalfNormal(1), "sigma": VariancePower(-1)}
    check_propriety(usual, {"sd(g)": 3}, residual_degrees=5, within_degrees=3)
    check_propriety(usual, {"sd(g)": 3}, residual_degrees=5)
    with pytest.raises(PriorError, match=re.escape("improper at sigma = 0: no row repeats within a group")):
        check_propriety(usual, {"sd(g)": 6}, residual_degrees=5, within_degrees=0)


def test_a_prior_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(PriorError, match=re.escape("prior for sd(g): LKJ(1) does not suit a standard deviation")):
        check_propriety({"sd(g)": LKJ(1)}, {"sd(g)": 5})

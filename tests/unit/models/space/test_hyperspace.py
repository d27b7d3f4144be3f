"""Scalar hyperparameters and the space they make: maps, slopes, names, and nodes too far out to matter."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from scipy.integrate import quad

from partialpool.models.priors import (
    LKJ,
    Cauchy,
    Fixed,
    Gamma,
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    ScalarPrior,
    Uniform,
)
from partialpool.models.space.covariance_block import CovarianceBlock
from partialpool.models.space.hyperspace import HyperSpace, ScalarHyperparameter

Role = Literal["effect_sd", "residual_sd", "coefficient"]
CASES: list[tuple[Role, ScalarPrior]] = [
    ("effect_sd", HalfNormal(2.0)),
    ("effect_sd", HalfCauchy(0.3)),
    ("effect_sd", Uniform(0.5, 4.0)),
    ("residual_sd", InverseGamma(3.0, 2.0, on="sd")),
    ("residual_sd", Gamma(0.5, 1.0)),
    ("coefficient", Cauchy(1.0, 2.0)),
    ("coefficient", Uniform(-3.0, 1.0)),
]


@pytest.mark.parametrize(("role", "prior"), CASES)
def test_constrain_and_its_slope(role: Role, prior: ScalarPrior) -> None:
    hyper = ScalarHyperparameter("p", role, prior, guess=0.8, spread=0.4)
    at, step = np.linspace(-4, 4, 17), 1e-6
    natural, log_slope = hyper.constrain(at)
    lower, upper = hyper.support
    assert np.all((natural > lower) & (natural < upper))
    slope = (hyper.constrain(at + step)[0] - hyper.constrain(at - step)[0]) / (2 * step)
    assert np.allclose(np.exp(log_slope), slope, rtol=1e-7, atol=1e-9)
    back = [hyper.unconstrain(float(value)) for value in natural[4:13]]
    assert np.allclose(back, at[4:13], atol=1e-9)


@pytest.mark.parametrize(("role", "prior"), CASES)
def test_the_density_in_coordinates_integrates_to_one(role: Role, prior: ScalarPrior) -> None:
    hyper = ScalarHyperparameter("p", role, prior, guess=0.8, spread=0.4)

    def density(at: float) -> float:
        natural, log_slope = hyper.constrain(np.array([at]))
        return float(np.exp(prior.log_density(natural) + log_slope)[0])

    far = 2e5 if isinstance(prior, Cauchy) else 60.0
    total = sum(quad(density, a, b, limit=400)[0] for a, b in ((-far, -20), (-20, 0), (0, 20), (20, far)))
    assert total == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("value", [-1.0, 0.0, 0.5, 4.0, 9.0])
def test_values_outside_the_support_are_moved_inside(value: float) -> None:
    hyper = ScalarHyperparameter("sd", "effect_sd", Uniform(0.5, 4.0), guess=1.0, spread=1.0)
    natural = hyper.constrain(np.array([hyper.unconstrain(value)]))[0][0]
    assert 0.5 < natural < 4.0


def make_space() -> HyperSpace:
    def sd(name: str) -> ScalarHyperparameter:
        return ScalarHyperparameter(name, "effect_sd", HalfNormal(1.0), 1.0, 1.0)

    block = CovarianceBlock((0, 2), ("cor",), (HalfNormal(1.0), HalfNormal(1.0)), LKJ(2.0), None, (0.0, 0.0))
    return HyperSpace(
        effect_sds=(sd("a"), sd("b"), sd("c")),
        blocks=(block,),
        residual_sd=ScalarHyperparameter("sigma", "residual_sd", HalfNormal(3.0), 1.0, 1.0),
        coefficients=(ScalarHyperparameter("x", "coefficient", Cauchy(0.0, 1.0), 0.5, 0.2),),
        n_effects=3,
    )


def test_a_space_with_a_block_around_a_separate_effect() -> None:
    space = make_space()
    assert space.dimension == 6
    assert space.names == ("a", "b", "c", "cor", "sigma", "x")
    assert [hyper and hyper.name for hyper in space.scalars] == [None, "b", None, None, "sigma", "x"]
    at = np.array([[np.log(2.0), np.log(0.5), np.log(3.0), np.arctanh(-0.6), np.log(1.5), 1.0]])
    points, log_prior = space.constrain(at)
    covariance = points.effect_root[..., 0] @ points.effect_root[..., 0].T
    assert np.allclose(covariance, [[4, 0, -3.6], [0, 0.25, 0], [-3.6, 0, 9]])
    assert np.allclose(space.natural_values(points), [[2, 0.5, 3, -0.6, 1.5, 0.7]])
    sds = HalfNormal(1.0).log_density([2.0, 0.5, 3.0]).sum() + HalfNormal(3.0).log_density(1.5)
    slopes = np.log(2 * 0.5 * 3 * 1.5 * 0.2 * (1 - 0.36))
    correlation = np.log(0.75 * (1 - 0.36))  # LKJ(2) of order 2
    assert log_prior[0] == pytest.approx(sds + Cauchy(0.0, 1.0).log_density(0.7) + correlation + slopes)


def test_starts_are_inside_and_selected_points_are_those_points() -> None:
    space = make_space()
    points, log_prior = space.constrain(space.starts())
    assert np.all(np.isfinite(log_prior))
    some = points.select(np.array([3, 1]))
    assert np.array_equal(space.natural_values(some), space.natural_values(points)[[3, 1]])


def test_a_prior_unbounded_at_zero_has_no_infinite_density() -> None:
    """Gamma(0.5, 1) is infinite at 0, to which exp(-800) underflows: one such node must not swallow the posterior."""
    hyper = ScalarHyperparameter("sd", "effect_sd", Gamma(0.5, 1.0), 1.0, 1.0)
    _, log_prior = HyperSpace((hyper,), (), None, (), 1).constrain(np.array([[-800.0], [-700.0], [0.0]]))
    assert log_prior[0] == -np.inf
    assert log_prior[1] == pytest.approx(log_prior[2] + 1.0 - 350.0)


def test_a_location_moves_between_charts_and_back() -> None:
    block = CovarianceBlock((0, 1), ("cor(g, Intercept, x)",), (HalfNormal(1.0),) * 2, LKJ(2.0), 0, (0.0, 30.0))
    effects = tuple(ScalarHyperparameter(name, "scale", HalfNormal(1.0), 1.0, 1.0) for name in ("a", "b"))
    residual = ScalarHyperparameter("sigma", "scale", HalfNormal(1.0), 1.0, 1.0)
    centred = HyperSpace(effects, (block,), residual, (), 2)
    natural = centred.in_chart("natural")
    locations = np.array([[0.3, -0.7, 0.4, 0.1], [-1.0, 0.2, -0.9, 0.5]])
    moved = centred.move_into(natural, locations)
    there, here = natural.constrain(moved)[0], centred.constrain(locations)[0]
    covariances = [np.einsum("ikn,jkn->ijn", points.effect_root, points.effect_root) for points in (there, here)]
    assert np.allclose(*covariances)
    assert np.array_equal(there.residual_sd, here.residual_sd)
    assert np.allclose(natural.move_into(centred, moved), locations)


def _space_of(*intercept_priors: ScalarPrior) -> HyperSpace:
    """Blocks of an intercept and a slope, whose correlations are stated at the means of a far covariate."""
    blocks = [
        CovarianceBlock((2 * k, 2 * k + 1), (f"c{k}",), (prior, HalfNormal(1.0)), LKJ(2.0, at="means"), 0, (0.0, 30.0))
        for k, prior in enumerate(intercept_priors)
    ]
    effects = [
        ScalarHyperparameter(f"s{k}", "effect_sd", prior, 1.0, 1.0)
        for k, prior in enumerate(prior for block in blocks for prior in block.sd_priors)
    ]
    residual = ScalarHyperparameter("sigma", "residual_sd", HalfNormal(1.0), 1.0, 1.0)
    return HyperSpace(tuple(effects), tuple(blocks), residual, (), len(effects))


def test_charts_are_those_that_differ() -> None:
    """An intercept's sd that is given at the means leaves one chart; beside another block the two are told apart."""
    pinned, mixed = _space_of(Fixed(1.0)), _space_of(Fixed(1.0), HalfNormal(1.0))
    assert pinned.charts == ("natural",) == (pinned.in_chart("natural").chart,)
    assert pinned.in_chart("natural") == pinned
    assert mixed.charts == ("centred", "natural")
    for space in (mixed, _space_of(HalfNormal(1.0))):
        assert [space.in_chart(chart).chart for chart in space.charts] == ["centred", "natural"]
        assert space.in_chart("natural") != space

"""One grouping factor: the gradient of the log likelihood against differences of the dense one, in every chart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from partialpool.models.model import Model
from partialpool.models.space.hyperspace import HyperSpace

from . import dense_factors as dense
from .cases import COEFFICIENT_PRIORS, FORMS, GROUPS, POPULATIONS, Case, coefficient_priors, random_case
from .factors import random_factor_case
from .slopes import differentiate, slope_of

FloatArray = NDArray[np.float64]
FAST = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    sizes = draw(st.lists(st.integers(1, 6), min_size=4, max_size=7))
    sizes[0] += 2
    case = random_case(
        draw(st.sampled_from(list(POPULATIONS))),
        draw(st.sampled_from(list(GROUPS))),
        draw(st.sampled_from(FORMS)),
        draw(st.sampled_from(COEFFICIENT_PRIORS)),
        sizes,
        draw(st.integers(0, 2**32 - 1)),
    )
    if "| g" in case.formula and draw(st.booleans()):
        case.priors["sd"] = "Uniform(0.01, 30)"
    return case


def exact_slope(model: Model, case: Case, space: HyperSpace, at: FloatArray) -> FloatArray:
    """Differentiate the dense log likelihood of the rows by coordinates."""
    given_rows, n_groups, (n, q) = case.rows, case.rows.n_groups, case.rows.effects.shape
    by_effect = given_rows.indicator.reshape(n, n_groups, q).swapaxes(1, 2).reshape(n, n_groups * q)
    rows = dense.DenseFactors(
        given_rows.response, given_rows.population, given_rows.noise, by_effect, (q,), (n_groups,)
    )

    def log_likelihood(coordinates: FloatArray) -> FloatArray:
        points = space.constrain(coordinates)[0]
        return np.array(
            [
                dense.log_likelihood(
                    rows,
                    points.effect_root[..., node],
                    points.residual_sd[node],
                    *coefficient_priors(model, points, node),
                )
                for node in range(points.n_nodes)
            ]
        )

    return differentiate(log_likelihood, at)


@FAST
@given(cases(), st.integers(0, 1000))
def test_gradient(case: Case, seed: int) -> None:
    model, marginal = case.build()
    rng = np.random.default_rng(seed)
    if not model.space.dimension:
        return
    for chart in model.space.charts:
        space = model.space.in_chart(chart)
        coordinates = space.starts()[3] + 0.7 * rng.normal(size=(2, space.dimension))
        values, slopes = slope_of(marginal, space, coordinates)
        assert np.array_equal(values, marginal.log_likelihood(space.constrain(coordinates)[0]))
        for at, slope in zip(coordinates, slopes, strict=True):
            assert np.allclose(slope, exact_slope(model, case, space, at), rtol=1e-9, atol=1e-9), chart


@pytest.mark.parametrize("prior", ["Uniform(-20, 20)", "StudentT(4, 0, 2)", "mixed", "Flat"])
@pytest.mark.parametrize("chart", ["centred", "natural"])
def test_three_correlated_effects(chart: str, prior: str) -> None:
    """Where the covariate lies far from zero, so that the charts differ."""
    for seed in range(20):
        case = random_case("x + z", " + (1 + x + z | g)", "weights and counts", prior, [5, 1, 3, 6, 2, 4], seed)
        model, marginal = case.build()
        if abs(model.space.blocks[0].centre[1]) > 2.0:
            break
    assert set(model.space.charts) == {"centred", "natural"}
    space = model.space.in_chart(chart)  # type: ignore[arg-type]
    coordinates = space.starts()[3] + 0.7 * np.random.default_rng(2).normal(size=(3, space.dimension))
    _, slopes = slope_of(marginal, space, coordinates)
    for at, slope in zip(coordinates, slopes, strict=True):
        assert np.allclose(slope, exact_slope(model, case, space, at), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("several", [False, True], ids=["one factor", "three factors"])
def test_sds_that_are_zero_in_floating_numbers(several: bool) -> None:
    """The likelihood is flat there: its value is that of an sd of 1e-12 and its slope 0."""
    case = random_factor_case("nested thrice" if several else "crossed", "x", "rows", "Normal(0.5, 2)", 30, seed=1)
    if not several:
        case = random_case("x", " + (1 + x | g)", "rows", "Normal(0.5, 2)", [5, 1, 3, 6, 2, 4], seed=1)
    model, marginal = case.build()[:2]
    space = model.space.in_chart("natural")
    n_sds = len(space.effect_sds)
    coordinates = np.repeat(space.starts()[3:4], 3, axis=0)
    coordinates[:, 0] = [-800.0, -400.0, np.log(1e-12)]
    values, slopes = slope_of(marginal, space, coordinates)
    assert np.allclose(values, values[2], rtol=1e-14)
    assert np.all(np.abs(slopes[:, 0]) < 1e-11)
    assert np.allclose(slopes[0, 1:n_sds], slopes[2, 1:n_sds], rtol=1e-10)
    assert np.all(slopes[0, 1:n_sds] != 0.0)

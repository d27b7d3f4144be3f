"""What is seen of weighted nodes that their weights do not show."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from partialpool.inference.hyper.certificate import Engine
from partialpool.inference.hyper.hyper_posterior import HyperPosterior
from partialpool.inference.hyper.node_faults import find_missed_region, measure_quantiles
from partialpool.models.priors import LKJ, HalfNormal
from partialpool.models.space.covariance_block import CovarianceBlock
from partialpool.models.space.hyperspace import HyperSpace, ScalarHyperparameter
from partialpool.numerics.mode import Mode
from partialpool.numerics.sampling.lattice import lattice_points

FloatArray = NDArray[np.float64]


def make_space() -> HyperSpace:
    def sd(name: str) -> ScalarHyperparameter:
        return ScalarHyperparameter(name, "effect_sd", HalfNormal(1.0), 1.0, 1.0)

    block = CovarianceBlock((0, 1), ("cor",), (HalfNormal(1.0),) * 2, LKJ(2.0), 0, (0.0, 5.0))
    sigma = ScalarHyperparameter("sigma", "residual_sd", HalfNormal(1.0), 1.0, 1.0)
    return HyperSpace((sd("a"), sd("b")), (block,), sigma, (), 2)


def normal_nodes(n: int, centre: FloatArray) -> FloatArray:
    return np.asarray(centre + 0.1 * stats.norm.ppf(lattice_points(n, len(centre))))


HERE, THERE = np.array([0.1, 0.2, 0.3, 0.0]), np.array([-2.0, 1.5, -0.4, 1.0])


def posterior_at(nodes: FloatArray) -> HyperPosterior:
    weights = np.full(len(nodes), 1.0 / len(nodes))
    return HyperPosterior(make_space(), nodes, weights, 0.0, None, Engine("", "", {}, "", 0.0))


def mode_at(space: HyperSpace, location: FloatArray, log_mass: float) -> Mode:
    """A mode in the space's chart, given in centred coordinates, of an sd of 0.3 along every coordinate."""
    moved = make_space().move_into(space, location[None])[0]
    log_height = log_mass - 0.5 * len(location) * np.log(2.0 * np.pi * 0.3**2)
    return Mode(moved, np.eye(len(location)) / 0.3**2, log_height, 0)


@pytest.mark.parametrize("chart", ["centred", "natural"])
def test_a_region_is_missed_in_whichever_chart_its_mode_is(chart) -> None:
    """One of 2 % that no node is near; the same where 5 % of the nodes are; and one of a ten-thousandth."""
    space = make_space()
    charted = space.in_chart(chart)
    lone, joined = normal_nodes(1024, HERE), np.concatenate([normal_nodes(1024, HERE), normal_nodes(64, THERE)])
    main, other = mode_at(charted, HERE, -0.02), mode_at(charted, THERE, np.log(0.02))
    assert "0.02 times the mass" in find_missed_region(posterior_at(lone), space, {chart: (main, other)})
    assert find_missed_region(posterior_at(joined), space, {chart: (main, other)}) == ""
    small = mode_at(charted, THERE, np.log(1e-4))
    assert find_missed_region(posterior_at(lone), space, {chart: (main, small)}) == ""


def test_a_region_of_more_mass_than_all_nodes() -> None:
    heavy = mode_at(make_space(), THERE, 9.0)
    assert "8.1e+03 times" in find_missed_region(
        posterior_at(normal_nodes(512, HERE)), make_space(), {"centred": (heavy,)}
    )


def test_the_error_of_a_quantile_is_that_of_random_points() -> None:
    """The 95 % quantile of n independent normal points has the standard error 2.11 / sqrt(n) in sds."""
    space, rng = make_space(), np.random.default_rng(1)
    n, found = 4096, []
    for _ in range(40):
        found.append(measure_quantiles(space, rng.normal(0.0, 0.05, (n, 4)), np.full(n, 1.0 / n)).error)
    assert 2.11 / np.sqrt(n) < np.mean(found) < 2.0 * 2.11 / np.sqrt(n)  # of some quantiles the largest
    assert measure_quantiles(space, normal_nodes(2**15, HERE), np.full(2**15, 2.0**-15)).error < 0.01


def test_a_quarter_without_weight() -> None:
    weights = np.tile([0.0, 1.0, 1.0, 1.0], 100) / 300.0
    assert measure_quantiles(make_space(), normal_nodes(512, HERE)[:400], weights).error == np.inf


def test_nodes_whose_values_are_not_numbers_have_no_accuracy() -> None:
    nodes, weights = normal_nodes(512, HERE), np.full(512, 1.0 / 512)
    nodes[7, 0], weights[9] = np.nan, np.nan
    assert measure_quantiles(make_space(), nodes, np.full(512, 1.0 / 512)).error == np.inf
    assert measure_quantiles(make_space(), normal_nodes(512, HERE), weights).error == np.inf

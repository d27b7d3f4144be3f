"""Whether a sample covers its density shows where importance weights say that all is well."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri

from partialpool.numerics.mode import find_mode
from partialpool.numerics.sampling.coverage import follow_lines
from partialpool.numerics.sampling.importance import WeightedNodes, gather, integrate_by_importance
from partialpool.numerics.sampling.lattice import lattice_points

from .targets import correlated_normal, funnel, log_gammas, student

FloatArray = NDArray[np.float64]
TURN = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])


def normal(x: FloatArray) -> FloatArray:
    """A standard normal's log density, up to a constant."""
    return np.asarray(-0.5 * (x**2).sum(axis=1))


def ridge(x: FloatArray) -> FloatArray:
    """A normal in turned coordinates, forty times as long in one direction as in the others."""
    return np.asarray(-0.5 * ((x @ TURN.T / [40.0, 1.0, 1.0]) ** 2).sum(axis=1))


def sample_a_part(centre: float) -> WeightedNodes:
    """Two units of the ridge's length, weighed without a fault: the density is nearly the same all over them."""
    along, across = lattice_points(8192, 3)[:, :1], ndtri(lattice_points(8192, 3)[:, 1:])
    nodes = np.hstack([centre + 2.0 * along - 1.0, across]) @ TURN
    return gather(nodes, ridge(nodes), -0.5 * (across**2).sum(axis=1))


@pytest.mark.parametrize("centre", [0.0, 30.0])
def test_a_part_of_a_ridge_is_noticed_where_the_weights_are_perfect(centre: float) -> None:
    sample = sample_a_part(centre)
    halves = [np.average(sample.nodes[k::2], axis=0, weights=sample.weights[k::2]) for k in (0, 1)]
    sd = np.sqrt(sample.weights @ (sample.nodes - sample.weights @ sample.nodes) ** 2)
    assert not sample.pareto_k > 0.5  # what is asked of weights beside this is satisfied
    assert sample.effective_size > 0.99 * 8192
    assert np.abs((halves[0] - halves[1]) / sd).max() < 0.04
    lines = follow_lines(ridge, sample)
    assert lines.missed > 0.9
    assert lines.n_evaluations < 400


def test_a_normal_sample_half_as_wide_is_noticed() -> None:
    """Two-sided tail beyond half of 3.72 sds: 0.063."""
    nodes = 0.5 * ndtri(lattice_points(8192, 3))
    missed = follow_lines(normal, gather(nodes, normal(nodes), normal(nodes))).missed
    assert missed == pytest.approx(0.063, abs=0.02)


@pytest.mark.parametrize("name", ["normal", "log gammas", "funnel", "student"])
@pytest.mark.parametrize("dimension", [3, 6])
def test_what_is_covered_is_not_accused(name: str, dimension: int) -> None:
    target = {
        "normal": correlated_normal,
        "log gammas": log_gammas,
        "funnel": lambda d: funnel(d, 0.3),
        "student": lambda d: student(d, 8.0),
    }[name](dimension)
    mode = find_mode(target.log_density, (target.mean + 0.3 * target.sd)[None])
    with np.errstate(over="ignore", under="ignore"):
        sample = integrate_by_importance(target.log_density, mode, 4000.0)
        missed = follow_lines(target.log_density, sample).missed
    assert missed < 0.01


def test_nodes_without_a_spread_cover_nothing() -> None:
    sample = gather(np.zeros((16, 2)), np.zeros(16), np.zeros(16))
    assert follow_lines(normal, sample) == (1.0, 0)

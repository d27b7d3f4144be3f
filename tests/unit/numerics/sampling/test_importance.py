"""Importance sampling on densities whose integrals and moments are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from partialpool.numerics.mode import find_mode
from partialpool.numerics.sampling.importance import WeightedNodes, count_evaluations, integrate_by_importance

from .targets import Target, correlated_normal, funnel, log_gammas, student

FloatArray = NDArray[np.float64]
TARGETS: dict[str, Callable[[int], Target]] = {
    "correlated normal": correlated_normal,
    "log gammas": log_gammas,
    "funnel": lambda dimension: funnel(dimension, 0.3),
    "student t": lambda dimension: student(dimension, 8.0),
}


def integrate(target: Target, effective: float = 4000.0) -> WeightedNodes:
    mode = find_mode(target.log_density, (target.mean + 0.3 * target.sd)[None])
    with np.errstate(over="ignore", under="ignore"):
        return integrate_by_importance(target.log_density, mode, effective)


def log_integral_error(sample: WeightedNodes, target: Target) -> float:
    """In standard errors of as many independent points: lattices do better, so 4 is ample."""
    n = len(sample.weights)
    return float((sample.log_integral - target.log_integral) / np.sqrt((n / sample.effective_size - 1 + 1e-4) / n))


@pytest.mark.parametrize("dimension", [3, 4, 5, 6, 8])
@pytest.mark.parametrize("name", TARGETS)
def test_integral_and_moments(name: str, dimension: int) -> None:
    """Within 4 standard errors of independent points of that effective size."""
    target = TARGETS[name](dimension)
    sample = integrate(target)
    assert sample.effective_size >= 4000
    assert sample.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert abs(log_integral_error(sample, target)) < 4
    mean = sample.weights @ sample.nodes
    squares = (sample.nodes - target.mean) ** 2
    assert np.all(np.abs(mean - target.mean) < 4 * target.sd / np.sqrt(4000))
    variance_error = np.sqrt(sample.weights**2 @ (squares - target.sd**2) ** 2)
    assert np.all(np.abs(sample.weights @ squares - target.sd**2) < 5 * variance_error)


def test_a_density_far_from_its_curvature_is_refused_by_its_pareto_k() -> None:
    """Neal's funnel with seven effects and no data: no map of this kind fits it, and the evidence says so."""
    sample = integrate(funnel(8))
    assert sample.pareto_k > 0.7 or sample.effective_size < 400


def test_the_constant_and_the_order_of_evaluation_do_not_matter() -> None:
    target = log_gammas(3)
    mode = find_mode(target.log_density, np.zeros((1, 3)))
    plain = integrate_by_importance(target.log_density, mode, 1000.0)
    shifted = integrate_by_importance(
        lambda x: target.log_density(x) - 5e3, mode._replace(log_density=mode.log_density - 5e3), 1000.0
    )
    assert shifted.log_integral == pytest.approx(plain.log_integral - 5e3, abs=1e-6)
    assert np.allclose(shifted.nodes, plain.nodes, atol=1e-6)


def test_every_evaluation_is_counted_and_answers_repeat() -> None:
    target, seen = log_gammas(4), [0]

    def counted(x: FloatArray) -> FloatArray:
        seen[0] += len(x)
        return target.log_density(x)

    mode = find_mode(target.log_density, np.zeros((1, 4)))
    first = integrate_by_importance(counted, mode, 4000.0)
    assert first.n_evaluations == seen[0]
    assert np.array_equal(first.nodes, integrate_by_importance(target.log_density, mode, 4000.0).nodes)


def test_nan_is_density_zero() -> None:
    """A normal density cut in half: half the integral, all of it on the side that exists."""
    target = correlated_normal(3)

    def half(x: FloatArray) -> FloatArray:
        return np.where(x[:, 0] < target.mean[0], np.nan, target.log_density(x))

    mode = find_mode(target.log_density, (target.mean + 0.3 * target.sd)[None])
    sample = integrate_by_importance(half, mode, 1000.0)
    assert np.all(sample.nodes[sample.weights > 0, 0] >= target.mean[0])
    assert sample.log_integral - target.log_integral == pytest.approx(np.log(0.5), abs=0.05)


def test_errors_average_out_over_densities() -> None:
    """Each integral is a little low, and the evidence a little good: the map has seen the nodes it is judged by."""
    targets = [make(dimension) for make in TARGETS.values() for dimension in (3, 4, 5, 6, 8)]
    errors = [log_integral_error(integrate(target), target) for target in targets]
    assert abs(np.mean(errors)) < 3 / np.sqrt(len(errors))


def _guided(target: Target, guide: Callable[[FloatArray], FloatArray]) -> WeightedNodes:
    mode = find_mode(guide, (target.mean + 0.3 * target.sd)[None])
    with np.errstate(over="ignore", under="ignore"):
        return integrate_by_importance(target.log_density, mode, 4000.0, guide=guide)


def test_a_good_guide_leaves_no_evaluation_to_adaptation() -> None:
    target = log_gammas(5)
    sample = _guided(target, lambda x: target.log_density(x) + 0.1 * np.sin(3 * x).sum(axis=1))
    assert sample.n_evaluations == len(sample.nodes)
    assert sample.effective_size >= 4000
    assert abs(log_integral_error(sample, target)) < 4


def test_a_guide_that_lies_elsewhere_is_left_behind() -> None:
    """Moved by two sds and half as wide: the adaptation to the density itself goes on from there."""
    target = log_gammas(5)
    sample = _guided(target, lambda x: target.log_density(target.mean + 2.0 * (x - target.mean - 2.0 * target.sd)))
    assert sample.n_evaluations > len(sample.nodes) + 2000
    assert sample.pareto_k < 0.5
    assert abs(log_integral_error(sample, target)) < 4
    assert np.all(np.abs(sample.weights @ sample.nodes - target.mean) < 4 * target.sd / np.sqrt(4000))


@pytest.mark.parametrize("dimension", [2, 5, 8])
def test_evaluations_are_about_those_counted_beforehand(dimension: int) -> None:
    made = integrate(log_gammas(dimension)).n_evaluations
    assert 0.4 < made / count_evaluations(dimension, 4000.0) < 2.5

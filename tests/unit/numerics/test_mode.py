"""The mode search: where it ends, what curvature it reports, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from partialpool.errors import ComputationError
from partialpool.numerics.mode import find_mode, find_modes


@pytest.mark.parametrize("dimension", [1, 2, 4, 8])
def test_a_normal_density(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    root = rng.normal(size=(dimension, dimension)) + 2 * np.eye(dimension)
    precision, centre = root @ root.T + np.eye(dimension), rng.normal(size=dimension)
    mode = find_mode(
        lambda x: -0.5 * np.einsum("ni,ij,nj->n", x - centre, precision, x - centre), np.zeros((1, dimension))
    )
    error = mode.location - centre
    assert error @ precision @ error < 1e-2
    assert np.allclose(mode.precision, precision, rtol=1e-5, atol=1e-5)
    assert mode.log_density == pytest.approx(-0.5 * error @ precision @ error, abs=1e-12)


def test_evaluations_are_counted() -> None:
    points = [0]

    def log_density(x: np.ndarray) -> np.ndarray:
        points[0] += len(x)
        return -np.cosh(x).sum(axis=1)

    assert find_mode(log_density, np.array([[3.0, -2.0], [8.0, 1.0]])).n_evaluations == points[0]


def test_the_best_start_is_climbed_from() -> None:
    def two_peaks(x: np.ndarray) -> np.ndarray:
        return np.logaddexp(-0.5 * (x[:, 0] + 10) ** 2, 3 - 0.5 * (x[:, 0] - 10) ** 2)

    assert find_mode(two_peaks, np.array([[-9.0], [9.0]])).location[0] == pytest.approx(10, abs=0.1)


def test_a_bent_ridge() -> None:
    mode = find_mode(lambda x: -0.5 * x[:, 0] ** 2 - 50 * (x[:, 1] - x[:, 0] ** 2) ** 2, np.array([[3.0, -3.0]]))
    assert np.allclose(mode.location, 0.0, atol=0.15)


def test_a_plateau_and_holes_in_the_density() -> None:
    """NaN is density zero; a flat direction keeps a positive curvature."""

    def log_density(x: np.ndarray) -> np.ndarray:
        value = -0.5 * x[:, 0] ** 2 + 1e-6 * x[:, 1]
        return np.where(x[:, 0] > 2.0, np.nan, np.where(np.abs(x[:, 1]) > 5, -np.inf, value))

    mode = find_mode(log_density, np.array([[1.5, 0.0], [2.5, 0.0]]))
    assert mode.location[0] == pytest.approx(0.0, abs=0.15)
    assert np.all(np.linalg.eigvalsh(mode.precision) > 0)


def test_what_has_no_mode_is_refused() -> None:
    with pytest.raises(ComputationError, match="zero at every starting point"):
        find_mode(lambda x: np.full(len(x), np.nan), np.zeros((2, 1)))
    with pytest.raises(ComputationError, match="was not found in 60 steps"):
        find_mode(lambda x: x[:, 0], np.zeros((1, 1)))


@pytest.mark.parametrize("slope", [0.0, 0.5, 3.0, 40.0])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_density_that_ends_where_it_is_highest(slope: float, side: float) -> None:
    """Beside the edge the curvature is that of the inside, the square of the slope added; never a wall's."""

    def log_density(x: np.ndarray) -> np.ndarray:
        inside = side * x[:, 0]  # below 1
        value = slope * inside - 0.5 * inside**2 * (slope < 1) - 0.5 * (x[:, 1] - 0.5 * x[:, 0]) ** 2
        return np.where(inside > 1.0, -np.inf, value)

    mode = find_mode(log_density, np.array([[0.9 * side, 0.0], [0.3 * side, 1.0]]))
    scale = max(1.0, slope)
    assert abs(mode.location[0] - side * min(1.0, slope)) < 2.0 / scale
    assert 0.03 < mode.precision[0, 0] / scale**2 < 4.0
    assert mode.precision[1, 1] == pytest.approx(1.0, abs=0.1)
    assert np.all(np.linalg.eigvalsh(mode.precision) > 0)


def test_a_corner_of_the_support_ends_the_climb() -> None:
    """An oblique edge: every step along the gradient leaves the support."""

    def log_density(x: np.ndarray) -> np.ndarray:
        value = 2.0 * x.sum(axis=1) - 0.5 * (x**2).sum(axis=1)
        return np.where((x[:, 0] + 0.3 * x[:, 1] > 1.0) | (np.abs(x) > 3.0).any(axis=1), -np.inf, value)

    mode = find_mode(log_density, np.array([[-1.0, -1.0], [0.5, 1.5]]))
    assert np.isfinite(mode.log_density)
    assert mode.log_density > 1.5
    assert np.all(np.linalg.eigvalsh(mode.precision) > 0)
    assert np.all(np.diag(mode.precision) < 30.0)


def test_evaluations_beside_an_edge_are_counted() -> None:
    points = [0]

    def log_density(x: np.ndarray) -> np.ndarray:
        points[0] += len(x)
        return np.where(x[:, 0] > 0.0, -np.inf, x[:, 0] - np.cosh(x[:, 1]))

    assert find_mode(log_density, np.array([[-1.0, -2.0]])).n_evaluations == points[0]


def test_a_sliver_of_support() -> None:
    mode = find_mode(lambda x: np.where(np.abs(x[:, 0]) > 1e-3, -np.inf, 0.0), np.zeros((1, 1)))
    assert 0.9e4 < mode.precision[0, 0] < 1e9


def test_of_climbs_to_one_mode_that_of_the_best_start_stands() -> None:
    def density(x: np.ndarray) -> np.ndarray:
        return -np.cosh(x).sum(axis=1) - 0.3 * np.exp(0.5 * x[:, 0])

    starts = np.random.default_rng(4).uniform(-3.0, 3.0, (4, 2))
    ends = [find_mode(density, start[None]) for start in starts[np.argsort(-density(starts))]]
    assert len({end.location.tobytes() for end in ends}) == 4  # by 1e-4 and less: that which stands is told
    assert ends[0].log_density < max(end.log_density for end in ends)
    (found,) = find_modes(density, starts)
    assert np.array_equal(found.location, ends[0].location)


def test_the_higher_of_two_modes_is_first_though_the_other_has_more_mass() -> None:
    def density(x: np.ndarray) -> np.ndarray:
        narrow = -0.5 * ((x[:, 0] + 9.0) / 0.01) ** 2 + 1.0
        return np.logaddexp(narrow, -0.5 * ((x[:, 0] - 9.0) / 2.0) ** 2)

    found = find_modes(density, np.array([[-9.01], [8.0], [10.0]]))
    assert [round(float(mode.location[0])) for mode in found] == [-9, 9]
    assert found[1].log_mass == pytest.approx(np.log(2.0 * np.sqrt(2.0 * np.pi)), abs=1e-3)
    assert found[1].log_mass > found[0].log_mass + 3.0

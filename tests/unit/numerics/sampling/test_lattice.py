"""Lattice points: even, inside the cube, nested."""

from __future__ import annotations

import numpy as np
import pytest

from partialpool.numerics.sampling.lattice import MAX_DIMENSION, lattice_points


@pytest.mark.parametrize("dimension", [1, 2, 5, 15, MAX_DIMENSION])
@pytest.mark.parametrize("n", [1, 64, 1024])
def test_every_axis_is_evenly_filled(n: int, dimension: int) -> None:
    points = lattice_points(n, dimension)
    assert points.shape == (n, dimension)
    assert np.all((points > 0) & (points < 1))
    spacings = np.diff(np.sort(points, axis=0), axis=0)
    assert np.allclose(spacings, 1 / n, atol=1e-12)


def test_every_second_point_is_the_lattice_of_half_the_size() -> None:
    assert np.allclose(lattice_points(512, 6)[::2], lattice_points(256, 6), atol=1e-12)


def test_a_shift_moves_every_point_around_the_torus() -> None:
    moved = lattice_points(256, 3, shift=0.7)
    assert np.allclose((moved - lattice_points(256, 3)) % 1.0, 0.7, atol=1e-12)


@pytest.mark.parametrize("dimension", [2, 4, 8])
def test_smooth_integrals_converge_faster_than_random_points_do(dimension: int) -> None:
    """prod(1 + c_k (x - 1/2)) integrates to 1 and has variance prod(1 + c_k^2 / 12) - 1."""
    c = 1.0 / np.arange(1, dimension + 1)
    sd = np.sqrt(np.prod(1 + c * c / 12) - 1)
    for n, better in ((2**8, 4), (2**12, 12), (2**16, 20)):
        error = np.prod(1 + c * (lattice_points(n, dimension) - 0.5), axis=1).mean() - 1
        assert abs(error) < sd / np.sqrt(n) / better


@pytest.mark.parametrize(("dimension", "steepness"), [(2, 0.8), (3, 0.7), (4, 0.6), (5, 0.45)])
def test_the_worst_error_falls_as_points_are_added_in_more_than_two_dimensions_too(
    dimension: int, steepness: float
) -> None:
    """The worst-case error in the Korobov space of smoothness 1, whose square is a mean over the points, falls from
    2^10 to 2^17 points like a power of their number. A vector made for pairs stands still in three dimensions."""
    sizes = 2.0 ** np.arange(10, 18)
    errors = []
    for n in sizes:
        x = lattice_points(int(n), dimension)
        x = (x - x[0]) % 1.0
        kernel = 1 + 2 * np.pi**2 * (x * x - x + 1 / 6)
        errors.append(np.sqrt(np.prod(kernel, axis=1).mean() - 1))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope < -steepness
    assert np.all(np.array(errors[3:]) < 0.5 * np.array(errors[:-3]))


@pytest.mark.parametrize(("n", "dimension"), [(0, 2), (3, 2), (2**21, 2), (8, 0), (8, MAX_DIMENSION + 1)])
def test_what_does_not_exist_is_refused(n: int, dimension: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        lattice_points(n, dimension)

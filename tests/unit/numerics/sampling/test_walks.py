"""Walkers: draws stay draws, and what was missed is found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from partialpool.numerics.sampling.walks import walk

FloatArray = NDArray[np.float64]


def log_gammas(x: FloatArray) -> FloatArray:
    """The first coordinate normal, the others logs of exponential variables."""
    return np.asarray(-0.5 * x[:, 0] ** 2 + (x[:, 1:] - np.exp(x[:, 1:])).sum(axis=1))


def test_draws_stay_draws() -> None:
    """A pairing of walkers shared by all of them left sds 7 % too wide."""
    rng = np.random.default_rng(3)
    starts = np.column_stack([rng.standard_normal(1024), np.log(rng.exponential(size=(1024, 6)))])
    places = walk(log_gammas, starts, 400, seed=1).places
    exact = np.log(-np.log1p(-np.array([0.05, 0.5, 0.95])))
    assert np.isclose(places[:, 0].std(), 1.0, rtol=0.02)
    assert np.allclose(np.quantile(places[:, 1:], [0.05, 0.5, 0.95], axis=0), exact[:, None], atol=0.12)


def test_a_part_that_was_missed_is_found() -> None:
    """Starts from the upper half of a normal end in both halves."""
    rng = np.random.default_rng(4)
    starts = np.abs(rng.standard_normal((512, 3)))
    ends = walk(lambda x: -0.5 * (x**2).sum(axis=1), starts, 80, seed=2).ends
    assert np.allclose((ends < 0.0).mean(axis=0), 0.5, atol=0.08)


def test_outside_of_the_support_nobody_goes_and_evaluations_are_counted() -> None:
    seen = [0]

    def counted(x: FloatArray) -> FloatArray:
        seen[0] += len(x)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.log(x[:, 0]) - x[:, 0] - 0.5 * x[:, 1] ** 2)

    rng = np.random.default_rng(5)
    found = walk(counted, rng.exponential(size=(128, 2)), 20, seed=0)
    assert found.n_evaluations == seen[0]
    assert (found.places[:, 0] > 0.0).all()
    assert np.array_equal(found.log_density, counted(found.ends))

"""Distinct pairs, and the tails counted from them."""

from __future__ import annotations

import numpy as np
import pytest

from partialpool.inference.conjugate.pairs import collapse_pairs


@pytest.mark.parametrize(("greatest", "scale"), [(5, 1.0), (300, 1.0), (10**7, 1.0), (40, 0.37), (2**40, 1.0)])
def test_pairs_restore_the_groups(greatest, scale):
    rng = np.random.default_rng(1)
    sizes = scale * rng.integers(1, greatest, 2000)
    values = np.floor(sizes * rng.uniform(size=2000))
    pairs = collapse_pairs(values, sizes)
    np.testing.assert_array_equal(pairs.values[pairs.pair_of], values)
    np.testing.assert_array_equal(pairs.sizes[pairs.pair_of], sizes)
    np.testing.assert_array_equal(pairs.weights, np.bincount(pairs.pair_of))
    expected = np.unique(np.stack([values, sizes]), axis=1)
    np.testing.assert_array_equal(np.stack([pairs.values, pairs.sizes]), expected)
    assert pairs.total_sizes == pytest.approx(sizes.sum(), rel=1e-14)


def test_tails_count_the_groups_beyond():
    pairs = collapse_pairs(np.array([0.0, 3.0, 3.0, 1.0]), np.array([2.0, 5.0, 4.0, 4.0]))
    np.testing.assert_array_equal(pairs.value_tails, [3, 2, 2])
    np.testing.assert_array_equal(pairs.failure_tails, [4, 3, 1])
    np.testing.assert_array_equal(pairs.size_tails, [4, 4, 3, 3, 1])
    np.testing.assert_array_equal(pairs.values_by_size, [0, 4, 3])


def test_no_groups_are_no_pairs():
    pairs = collapse_pairs(np.zeros(0), np.zeros(0))
    assert len(pairs.values) == len(pairs.pair_of) == 0


def test_a_million_groups_collapse_to_their_distinct_pairs():
    rng = np.random.default_rng(2)
    sizes = rng.integers(1, 500, 10**6).astype(float)
    values = np.floor(sizes * 0.5 * rng.uniform(size=10**6))
    pairs = collapse_pairs(values, sizes)
    assert len(pairs.values) == len(np.unique(1000.0 * sizes + values))
    np.testing.assert_array_equal(pairs.values[pairs.pair_of], values)
    np.testing.assert_array_equal(pairs.sizes[pairs.pair_of], sizes)
    np.testing.assert_array_equal(pairs.weights, np.bincount(pairs.pair_of))

"""The tails counted from distinct pairs."""

from __future__ import annotations

import numpy as np

from ....agreement.pairs import collapse_pairs


def test_tails_count_the_groups_beyond():
    pairs = collapse_pairs(np.array([0.0, 3.0, 3.0, 1.0]), np.array([2.0, 5.0, 4.0, 4.0]))
    np.testing.assert_array_equal(pairs.value_tails, [3, 2, 2])
    np.testing.assert_array_equal(pairs.failure_tails, [4, 3, 1])
    np.testing.assert_array_equal(pairs.size_tails, [4, 4, 3, 3, 1])
    np.testing.assert_array_equal(pairs.values_by_size, [0, 4, 3])

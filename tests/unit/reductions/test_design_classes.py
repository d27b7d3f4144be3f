"""Design classes: what is merged, what is kept apart, and the products summed by class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from partialpool.numerics.small_matrices import lower_pairs
from partialpool.reductions.columns import Scaling
from partialpool.reductions.cross_products import CrossProducts
from partialpool.reductions.design_classes import class_moments, find_design_classes

FloatArray = NDArray[np.float64]


def random_roots(n_effects: int, n: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    return np.triu(rng.normal(size=(n, n_effects, n_effects))).transpose(1, 2, 0)


def test_equal_designs_are_merged_and_others_are_not() -> None:
    distinct = random_roots(3, 5)
    which = np.random.default_rng(1).integers(0, 5, 60)
    roots, classes, sizes = find_design_classes(distinct[..., which])
    assert roots.shape == (3, 3, 5)
    assert np.array_equal(roots[..., classes], distinct[..., which])
    assert np.array_equal(sizes, np.bincount(classes))
    assert len({(a, b) for a, b in zip(which.tolist(), classes.tolist(), strict=True)}) == 5


def test_rounding_is_merged_and_a_billionth_is_not() -> None:
    """An entry's last bits depend on the order of sums; a difference of 1e-9 is a difference."""
    root = random_roots(2, 1)
    many = np.repeat(root, 40, axis=2)
    many[0, 1, 20:] *= 1 + 1e-9
    noise = 1 + 4e-16 * np.random.default_rng(2).integers(-1, 2, many.shape)
    roots, classes, _ = find_design_classes(many * noise)
    assert len(set(classes[:20]) & set(classes[20:])) == 0
    assert roots.shape[2] <= 6  # a value that lies at a rounding boundary may be split, never wrongly merged
    assert np.allclose(roots[..., classes], many, rtol=2e-10)


def test_the_sign_and_size_of_entries_matter() -> None:
    root = np.array([[1.0, 0.5], [0.0, 2.0]])[..., None]
    flipped = root * np.array([[1, -1], [1, 1]])[..., None]
    several = np.concatenate([root, flipped, 2 * root, 1024 * root] * 10, axis=2)
    assert find_design_classes(several)[0].shape[2] == 4


def test_when_nearly_all_differ_every_group_is_its_own_class() -> None:
    roots = random_roots(2, 50)
    found, classes, sizes = find_design_classes(roots)
    assert found is roots
    assert np.array_equal(classes, np.arange(50))
    assert np.array_equal(sizes, np.ones(50))


def test_no_groups_and_groups_with_nothing_to_tell() -> None:
    assert find_design_classes(np.empty((0, 0, 0)))[2].shape == (0,)
    _, classes, sizes = find_design_classes(np.zeros((2, 2, 12)))
    assert np.array_equal(classes, np.zeros(12))
    assert np.array_equal(sizes, [12.0])


def test_moments_are_summed_by_class() -> None:
    """The lower triangle of any symmetric M times the moments is sum_j a_j' M a_j."""
    rng = np.random.default_rng(4)
    which = rng.integers(0, 4, 30)
    roots, classes, sizes = find_design_classes(random_roots(2, 4)[..., which])
    projection = rng.normal(size=(2, 3, 30))
    scaling = Scaling(np.eye(2), np.eye(2), np.zeros(2))
    cross = CrossProducts(30.0, 0.0, np.zeros((3, 3)), roots, classes, sizes, projection, scaling)
    matrices = rng.normal(size=(2, 2, 4))
    matrices = matrices + matrices.swapaxes(0, 1)
    found = np.zeros(6)
    for part, moments in class_moments(cross):
        for pair, (k, m) in enumerate(lower_pairs(2)):
            found += matrices[k, m, part] @ moments[pair]
    expected = np.einsum("kig,kmg,mjg->ij", projection, matrices[..., classes], projection)
    assert np.allclose(found, [expected[i, j] for i, j in lower_pairs(3)])

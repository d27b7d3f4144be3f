"""Nested factors as a tree, whatever the order of formula, levels and rows."""

from __future__ import annotations

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import NotYetError
from partialpool.inference.quadrature.tree import Tree, grow_tree
from partialpool.inputs.designs.design import Design, build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations

RNG = np.random.default_rng(5)
N = 40


def _design(formula: str) -> Design:
    fine = RNG.integers(0, 9, N)
    data = {"y": RNG.poisson(3.0, N), "coarse": np.array(["z", "b", "q"])[fine // 3], "fine": 100 - fine}
    parsed = parse_formula(formula)
    return build_design(parsed, read_observations(data, parsed, family="poisson"))


@pytest.mark.parametrize("formula", ["y ~ 1 + (1 | coarse) + (1 | fine)", "y ~ 1 + (1 | fine) + (1 | coarse)"])
def test_units_follow_each_other_within_their_parents(formula: str) -> None:
    design = _design(formula)
    tree, order = grow_tree(design.groups)
    coarse, fine = (next(g for g in design.groups if g.name == name) for name in ("coarse", "fine"))
    assert [design.groups[k].name for k in tree.factors] == ["coarse", "fine"]
    of_rows = [tree.unit_of[0][coarse.codes[order]], tree.unit_of[1][fine.codes[order]]]
    assert all(np.all(np.diff(units) >= 0) for units in of_rows)
    ones = np.ones((2, N, 1))  # (..., row, column)
    assert np.array_equal(tree.sum(1, ones)[1, :, 0], np.bincount(of_rows[1]))
    assert np.array_equal(tree.sum(0, tree.sum(1, ones))[1, :, 0], np.bincount(of_rows[0]))
    assert np.array_equal(tree.spread(1, tree.spread(0, np.arange(3.0)[:, None]))[:, 0], of_rows[0])


def test_a_part_holds_its_own_rows() -> None:
    tree, _ = grow_tree(_design("y ~ 1 + (1 | coarse) + (1 | fine)").groups)
    parts = [tree.part(unit, unit + 1) for unit in range(tree.n_units(0))]
    assert sum(part.n_rows for part, _ in parts) == N
    assert [rows.stop for _, rows in parts[:-1]] == [rows.start for _, rows in parts[1:]]
    assert all(isinstance(part, Tree) and part.starts[1][0] == 0 for part, _ in parts)


def test_crossed_factors_are_refused_by_name() -> None:
    data = {"y": RNG.poisson(3.0, N), "a": np.arange(N) % 4, "b": np.arange(N) % 5}
    with pytest.raises(NotYetError, match="a and b are crossed"):
        pp.fit("y ~ 1 + (1 | a) + (1 | b)", data, family="poisson")

"""Columns that others determine: which are left out, and which rows cannot be coded any more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from partialpool.errors import DataError, IdentificationError
from partialpool.inputs.designs.design import Design, build_design
from partialpool.inputs.designs.identification import find_aliased
from partialpool.inputs.designs.new_rows import read_new_rows
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations

RNG = np.random.default_rng(3)
F, K = np.repeat(list("abc"), 12), np.tile(np.repeat(list("xyz"), 4), 3)
THERE = ~((F == "b") & (K == "y"))
N = int(THERE.sum())
X = RNG.normal(size=N)
DATA: dict[str, Any] = {
    "y": RNG.normal(size=N),
    "x": X,
    "z": RNG.normal(size=N),
    "feet": 3.25 * X,
    "f": F[THERE],
    "k": K[THERE],
    "g": np.arange(N) % 5,
}


def _design(formula: str, data: dict[str, Any] = DATA) -> Design:
    parsed = parse_formula(formula)
    return build_design(parsed, read_observations(data, parsed))


@pytest.mark.parametrize(
    ("terms", "left_out", "said"),
    [
        ("f*k", ["f[b]:k[y]"], "no row has f[b]:k[y]"),
        ("0 + f:k", ["f[b]:k[y]"], "no row has f[b]:k[y]"),
        ("x + feet", ["feet"], "feet is a combination of x"),
        ("x + I(2*x + 1)", ["I(2 * x + 1)"], "I(2 * x + 1) is a combination of Intercept and x"),
        ("x + z + I(x - z)", ["I(x - z)"], "I(x - z) is a combination of x and z"),
        ("x + f + I(-x) + z", ["I(-x)"], "I(-x) is a combination of x"),
        ("f + C(f, contr.sum)", ["C(f, contr.sum)[S.a]", "C(f, contr.sum)[S.b]"], "is a combination of"),
        ("cr(x, df=5)", ["cr(x, df=5)[5]"], "cr(x, df=5)[5] is a combination of Intercept, cr(x, df=5)[1], "),
    ],
)
def test_the_last_columns_are_left_out(terms: str, left_out: list[str], said: str) -> None:
    design = _design(f"y ~ {terms} + (1 | g)")
    whole = design.population.recipe.whole.names  # type: ignore[attr-defined]
    assert design.population.names == tuple(name for name in whole if name not in left_out)
    assert np.linalg.matrix_rank(design.population.values) == len(design.population.names)
    assert said in design.left_out["the population part"]
    again = read_new_rows(design, {name: DATA[name] for name in ("x", "z", "feet", "f", "k")})
    np.testing.assert_array_equal(again.population, design.population.values)


def test_what_varies_by_group_too() -> None:
    design = _design("y ~ x + (f*k | g) + (0 + x + feet || g)")
    (group,) = design.groups
    assert "f[b]:k[y]" not in group.names
    assert "feet" not in group.names
    assert [len(block) for block in group.blocks] == [8, 1]
    assert design.left_out == {"what varies by g": "no row has f[b]:k[y]; feet is a combination of x"}


NEW = {"x": [1.0, 1.0], "z": [0.0, 0.0], "feet": [3.25, 3.25], "f": ["a", "a"], "k": ["x", "x"]}


@pytest.mark.parametrize(
    ("terms", "changed", "said"),
    [
        (
            "f*k",
            {"f": ["a", "b"], "k": ["x", "y"]},
            "row 2 has f 'b' and k 'y', a combination that no row of the fit had",
        ),
        ("x + feet", {"feet": [3.25, 3.0]}, "row 2 has feet = 3 where the fit's rows would have 3.25: there feet is a"),
    ],
)
def test_rows_outside_the_fits_space_are_refused(terms: str, changed: dict[str, Any], said: str) -> None:
    for formula in (f"y ~ {terms} + (1 | g)", f"y ~ x + ({terms} | g)"):
        with pytest.raises(DataError) as caught:
            read_new_rows(_design(formula), {**NEW, **changed})
        assert said in str(caught.value)


def test_an_empty_cell_of_reference_levels_is_named_by_its_labels() -> None:
    """Every column of the cell's own has rows: the last of the interaction is left out instead."""
    there = ~((DATA["f"] == "a") & (DATA["k"] == "x"))
    design = _design("y ~ f*k + (1 | g)", {name: values[there] for name, values in DATA.items()})
    assert "f[c]:k[z]" not in design.population.names
    with pytest.raises(DataError, match=r"row 1 has f 'a' and k 'x', a combination that no row of the fit had"):
        read_new_rows(design, NEW)


def test_sites_within_regions() -> None:
    region = np.repeat([f"r{i}" for i in range(3)], 8)
    site = np.repeat([f"s{i}" for i in range(6)], 4)
    data = {"y": RNG.normal(size=24), "region": region, "site": site, "g": np.arange(24) % 4}
    names = _design("y ~ region/site + (1 | g)", data).population.names
    assert len(names) == 6  # one for each site
    assert names[:3] == ("Intercept", "region[r1]", "region[r2]")


def test_columns_far_from_zero_and_many_rows() -> None:
    rows = np.arange(300_000.0)
    base = 1e6 + np.sin(rows)
    columns = np.column_stack([np.ones(len(rows)), base, np.cos(rows), 2.0 * base - np.cos(rows)])
    found = find_aliased(["Intercept", "u", "v", "w"], columns, "the population part")
    assert found is not None
    assert found.places == (3,)
    np.testing.assert_allclose(columns[:5, :3] @ found.weights, columns[:5, 3:], rtol=1e-9)
    columns[:, 3] += 1e-4 * np.sin(7.0 * rows)
    assert find_aliased(["Intercept", "u", "v", "w"], columns, "the population part") is None


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (1, 0, 2)])
def test_levels_that_add_up_to_one_stand_in_for_the_intercept(order: tuple[int, ...]) -> None:
    """Beside them a covariate counts by what varies of it, in whatever order they come."""
    g = np.tile([0, 1], 20)
    levels = np.column_stack([np.arange(40) < 10, g == 0, g == 1]).astype(float)[:, order]
    names = [("f[1]", "g[1]", "g[2]")[k] for k in order]
    far = 1e7 + RNG.normal(size=40)
    assert find_aliased([*names, "x"], np.column_stack([levels, far]), "the population part") is None
    twice = np.column_stack([levels, far, 2.0 * far + 3.0])
    found = find_aliased([*names, "x", "z"], twice, "the population part")
    assert found is not None
    assert found.places == (4,)
    with pytest.raises(IdentificationError, match="'one' of the population part is constant, as the intercept is"):
        find_aliased([*names, "one"], np.column_stack([levels, np.full(40, 3.0)]), "the population part")


def test_sites_within_regions_are_named_plainly() -> None:
    """Without each region's last site, whose combinations would be a list of minuses."""
    rows = {
        "y": np.arange(12.0),
        "region": list("AAAABBBBCCCC"),
        "site": [f"s{k}" for k in (1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 5)],
    }
    said = _design("y ~ region/site", rows).left_out["the population part"]
    assert said.startswith("no row has region[B]:site[s2], ")
    assert said.endswith(
        ", and 4 more; the columns that are kept tell apart all cells without region[B]:site[s4], region[C]:site[s5]"
    )

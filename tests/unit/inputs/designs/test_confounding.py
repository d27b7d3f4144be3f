"""Factors that stand in for the noise, for one another or for the population part, whatever the priors."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partialpool.errors import IdentificationError
from partialpool.inputs.coding.recipes import CombinedRecipe
from partialpool.inputs.designs.confounding import (
    check_factors_differ,
    check_levels,
    check_not_in_population,
    check_several_levels,
)
from partialpool.inputs.designs.design import Design, GroupDesign, PopulationDesign, build_design
from partialpool.inputs.designs.row_covariances import check_covariances_differ
from partialpool.inputs.language.formula import Formula, parse_formula
from partialpool.inputs.observations import Observations, read_observations
from partialpool.inputs.roles.measurements import Measurements
from partialpool.inputs.unknowns import check_identified
from partialpool.numerics.arrays import FloatArray

RNG = np.random.default_rng(7)
N = 120
A = RNG.integers(0, 6, N)
DATA: dict[str, Any] = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "z": 2000.0 + RNG.normal(size=N),
    "sign": RNG.choice([-1.0, 1.0], N),
    "half": RNG.choice([0.0, 1.0], N),
    "w": RNG.integers(1, 4, N),
    "one": np.ones(N),
    "a": A,
    "same": np.array(list("fedcba"))[A],
    "coarse": A // 2,
    "b": RNG.integers(0, 5, N),
    "f": np.array(list("uvw"))[RNG.integers(0, 3, N)],
    "id": RNG.permutation(N),
    "name": np.array([f"row {k}" for k in RNG.permutation(N)]),
}
DATA["level"] = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.5])[A]
DATA["xa"] = DATA["x"] + 2.0 * DATA["z"]
#: All rows, and rows enough that some are looked at before the others.
SIZES = [1, 100]


def build_checked(formula: Formula, observations: Observations) -> Design:
    design = build_design(formula, observations)
    check_identified(design)
    return design


def _design(formula: str, copies: int = 1, **roles: Any) -> Design:
    data = {name: np.tile(column, copies) for name, column in DATA.items()}
    data["id"], data["name"] = np.arange(N * copies)[::-1], np.array([f"row {k}" for k in range(N * copies)])
    parsed = parse_formula(formula)
    return build_checked(parsed, read_observations(data, parsed, **roles))


def _refuse(formula: str, *said: str, copies: int = 1, **roles: Any) -> None:
    with pytest.raises(IdentificationError) as caught:
        _design(formula, copies, **roles)
    for part in said:
        assert part in str(caught.value)


@pytest.mark.parametrize("copies", SIZES)
@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (
            "(1 | a) + (1 | same)",
            "grouping factors 'a' and 'same' divide the rows alike: sd(a) and sd(same) cannot be told apart; drop one "
            "of them",
        ),
        (
            "(1 | a/same)",
            "grouping factors 'a' and 'a:same' divide the rows alike (same has one level in each a): sd(a) and "
            "sd(a:same) cannot be told apart; drop one of them",
        ),
        (
            "(1 | a) + (x | b) + (x + z | same)",
            "sd(a) and sd(same, Intercept) cannot be told apart; drop one of them, and let all that varies over both "
            "vary over a",
        ),
        ("(0 + x | a) + (0 + x || same)", "sd(a, x) and sd(same, x) cannot"),
        ("(x + z | a) + (0 + xa | same)", "sd(a, Intercept), sd(a, x), sd(a, z) and sd(same, xa) cannot"),
        ("(1 | a) + (0 + f | same)", "sd(a), sd(same, f[u]), sd(same, f[v]) and sd(same, f[w]) cannot"),
        ("(1 | a) + (1 | b) + (1 | b:a) + (1 | a:b:same)", "'b:a' and 'a:b:same' divide the rows alike (same has one"),
        (
            "(f | b) + (1 | b:f)",
            "the effects of Intercept, f[v] and f[w] over 'b' give every level of 'b:f' a deviation of its own, as its "
            "intercept does: sd(b, Intercept), sd(b, f[v]), sd(b, f[w]) and sd(b:f) cannot be told apart; drop one of "
            "the two terms",
        ),
        ("(1 | f:b) + (0 + f || b)", "the effects of f[u], f[v] and f[w] over 'b' give every level of 'f:b'"),
        ("(1 | same:f) + (0 + f | a)", "over 'a' give every level of 'same:f' a deviation"),
    ],
)
def test_factors_that_cannot_be_told_apart(terms: str, said: str, copies: int) -> None:
    _refuse(f"y ~ 1 + {terms}", said, copies=copies)


@pytest.mark.parametrize("copies", SIZES)
@pytest.mark.parametrize(
    "terms",
    [
        "(1 | a) + (0 + x | same)",
        "(x | a) + (0 + z | same)",
        "(1 | a) + (0 + z | same)",  # far from 0, and still not the constant
        "(0 + f || a) + (1 | same)",
        "(1 | a) + (1 | coarse)",
        "(1 | coarse/a) + (1 | b)",
        "(f || b) + (1 | b:f)",  # coded against f[u]: not a deviation for each level
        "(0 + half | b) + (1 | b:half)",
        "(x | b) + (1 | b:f)",
    ],
)
def test_factors_that_can_be_told_apart(terms: str, copies: int) -> None:
    assert len(_design(f"y ~ 1 + {terms}", copies).groups) >= 2


@pytest.mark.parametrize("copies", SIZES)
@pytest.mark.parametrize(
    ("formula", "said"),
    [
        (
            "y ~ same + (1 | a)",
            "the population part's columns Intercept, same[b], same[c], same[d], same[e] and same[f] already give "
            "every level of 'a' an intercept of its own: nothing is left from which sd(a) could be learned; drop them "
            "from the population part, or drop the group term",
        ),
        ("y ~ C(a) + (1 | b) + (1 | a)", "every level of 'a' an intercept of its own"),
        ("y ~ C(a):C(b) + (1 | coarse)", "and 15 more already give every level of 'coarse' an intercept"),
        ("y ~ 0 + C(a) + x + (1 | coarse)", "columns a[0], a[1], a[2], a[3], a[4] and a[5] already"),
        ("y ~ x + C(a) + (1 + x | a)", "from which sd(a, Intercept) could"),
        ("y ~ x*C(a) + (0 + x | a)", "'a' a coefficient of x of its own: nothing is left from which sd(a, x) could"),
        ("y ~ x*C(a) + (0 + x | coarse)", "columns x, x:a[2], x:a[3], x:a[4] and x:a[5] already give"),
        ("y ~ C(coarse) + (0 + f | coarse)", "a coefficient of f[u], f[v] and f[w] of its own"),
        ("y ~ z*C(coarse) + (xa + x | coarse)", "sd(coarse, Intercept) could"),
        ("y ~ z*C(coarse) + (0 + xa + x | coarse)", "sd(coarse, xa) and sd(coarse, x) could"),
        ("y ~ 0 + one:C(coarse) + (1 | coarse)", "columns one:coarse[0], one:coarse[1] and one:coarse[2] already"),
    ],
)
def test_factors_that_the_population_part_repeats(formula: str, said: str, copies: int) -> None:
    _refuse(formula, said, copies=copies)


def test_a_column_that_is_not_zero_in_one_level_alone() -> None:
    data = {"y": RNG.normal(size=8), "x": [1.0, 2, 0, 0, 0, 0, 0, 0], "g": [0, 0, 1, 1, 2, 2, 3, 3]}
    parsed = parse_formula("y ~ x + (0 + x | g)")
    with pytest.raises(
        IdentificationError, match="part's column x already gives every level of 'g' a coefficient of x"
    ):
        build_checked(parsed, read_observations(data, parsed))


@pytest.mark.parametrize("copies", SIZES)
@pytest.mark.parametrize(
    "formula",
    [
        "y ~ coarse + (1 | a)",
        "y ~ C(coarse) + (1 | a)",
        "y ~ level + (1 | a)",
        "y ~ C(a) + (0 + x | a)",
        "y ~ C(a) + (1 | b)",
        "y ~ x*C(coarse) + (1 + x | a)",
        "y ~ C(coarse) + (0 + f || coarse)",
        "y ~ poly(level, 4) + (1 | a)",
    ],
)
def test_columns_of_levels_that_leave_something(formula: str, copies: int) -> None:
    assert _design(formula, copies).groups


def test_a_polynomial_through_all_levels_leaves_nothing() -> None:
    _refuse("y ~ poly(level, 5) + (1 | a)", "poly(level, 5)[5] already give every level of 'a' an intercept of its own")


@pytest.mark.parametrize("copies", SIZES)
@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("(1 | b) + (1 | id)", "'id' is different in every row: sigma and sd(id) cannot be told apart"),
        ("(1 | b/name)", "'b:name' is different in every row: sigma and sd(b:name) cannot be told apart"),
        ("(x | id)", "sigma and sd(id, Intercept) cannot"),
        ("(0 + sign | id)", "sigma and sd(id, sign) cannot"),
        ("(0 + f || id)", "sigma and sd(id, f[u]), sd(id, f[v]) and sd(id, f[w]) cannot"),
        ("(0 + x + f | id)", "sigma and sd(id, f[u]), sd(id, f[v]) and sd(id, f[w]) cannot"),
    ],
)
def test_a_level_for_each_row_stands_in_for_the_noise(term: str, said: str, copies: int) -> None:
    _refuse(f"y ~ 1 + {term}", said, copies=copies)


@pytest.mark.parametrize(
    ("term", "roles"),
    [
        ("(0 + half | id)", {}),  # rows of 1 vary more than rows of 0
        ("(0 + x | id)", {}),
        ("(1 | b) + (0 + x | name)", {}),
        ("(1 | id)", {"weights": "w"}),
        ("(1 | b/id)", {"standard_error": np.ones(N)}),
        ("(1 | b/id)", {"counts": np.full(N, 2)}),
        ("(1 | b/id)", {"size": np.full(N, 3), "sd": np.ones(N)}),
    ],
)
def test_a_level_for_each_row_where_something_tells_it_from_noise(term: str, roles: dict[str, Any]) -> None:
    assert _design(f"y ~ 1 + {term}", **roles).groups[-1].n_levels == N


def test_effects_that_vary_as_the_weights_do_stand_in_for_the_noise() -> None:
    _refuse("y ~ 1 + (0 + I(w**-0.5) | id)", "sigma and sd(id, I(w ** (-0.5))) cannot", weights="w")


@pytest.mark.parametrize("terms", ["(1 | one) + (1 | a)", "(1 | a) + (x | one)", "(1 | b) + (1 | one:one2)"])
def test_the_factor_with_one_level_is_named(terms: str) -> None:
    parsed = parse_formula(f"y ~ 1 + {terms}")
    design = build_checked(parsed, read_observations({**DATA, "one2": np.ones(N)}, parsed))
    (one,) = (group for group in design.groups if group.n_levels == 1)
    with pytest.raises(IdentificationError, match=r"column 'one(:one2)?' has one group \('1(:1)?'\): sd\(one"):
        check_several_levels(one)


def test_what_must_be_accepted() -> None:
    """Levels that never meet, nearly all rows in one level, a factor in several terms."""
    block = np.repeat([0, 1], 60)
    apart = {"y": DATA["y"], "a": RNG.integers(0, 4, 120) + 4 * block, "b": RNG.integers(0, 3, 120) + 3 * block}
    heavy = {**apart, "a": np.where(np.arange(120) < 108, 0, np.arange(120) % 5), "b": np.arange(120) // 100}
    for data in (apart, heavy):
        parsed = parse_formula("y ~ 1 + (1 | a) + (1 | b)")
        assert len(build_checked(parsed, read_observations(data, parsed)).groups) == 2
    (group,) = _design("y ~ x + (1 | a) + (0 + x | a) + (0 + z + f || a)").groups
    assert group.blocks == ((0,), (1,), (2,), (3,), (4,), (5,))


@pytest.mark.parametrize(
    ("said", "roles"),
    [
        ("in these 9 rows sd(r), sd(c), sd(s), sd(t) and sigma cannot be told apart", {}),
        (None, {"standard_error": np.ones(9)}),
        (None, {"counts": np.full(9, 2)}),
    ],
)
def test_a_square_with_nothing_left_for_sigma(said: str | None, roles: dict[str, Any]) -> None:
    """Graeco-Latin, 3 by 3: four factors of two contrasts each are all that nine rows and a mean have."""
    row, column = np.repeat(range(3), 3), np.tile(range(3), 3)
    square = {"y": RNG.normal(size=9), "r": row, "c": column, "s": (row + column) % 3, "t": (row + 2 * column) % 3}
    parsed = parse_formula("y ~ 1 + (1 | r) + (1 | c) + (1 | s) + (1 | t)")
    observations = read_observations(square, parsed, **roles)
    if said is None:
        assert len(build_checked(parsed, observations).groups) == 4
        return
    with pytest.raises(IdentificationError) as caught:
        build_checked(parsed, observations)
    assert said in str(caught.value)
    parsed = parse_formula("y ~ 1 + (1 | r) + (1 | c) + (1 | s)")
    assert len(build_checked(parsed, read_observations(square, parsed)).groups) == 3


@pytest.mark.parametrize("columns", ["f", "0 + f"])
@pytest.mark.parametrize("copies", [1, 4])
def test_correlations_that_no_level_shows(columns: str, copies: int) -> None:
    """No level of g has rows of two labels: the prior says what their correlation is, however few the rows."""
    g = np.tile(np.repeat(np.arange(9), 3), copies)
    data = {"y": RNG.normal(size=len(g)), "g": g, "f": np.array(list("uvw"))[g % 3], "b": np.arange(len(g)) % 4}
    parsed = parse_formula(f"y ~ 1 + ({columns} | g) + (1 | b)")
    assert len(build_checked(parsed, read_observations(data, parsed)).groups) == 2
    parsed = parse_formula(f"y ~ 1 + ({columns} | g) + (1 | g:f) + (1 | b)")
    with pytest.raises(IdentificationError, match="cannot be told apart"):
        build_checked(parsed, read_observations(data, parsed))


Small = tuple[tuple[GroupDesign, ...], PopulationDesign, Measurements]


@st.composite
def small_designs(draw: st.DrawFn) -> Small:
    """Two or three factors over few rows, with an intercept, a 0/1 column, both or the labels' indicators, and
    population columns that repeat some of their levels."""
    n_rows = draw(st.integers(5, 9))
    codes = st.lists(st.integers(0, 2), min_size=n_rows, max_size=n_rows)
    columns = {"Intercept": np.ones(n_rows), "h": np.array(draw(codes), dtype=float) // 2}
    columns["rest"] = 1.0 - columns["h"]
    groups = []
    for name in "abc"[: draw(st.integers(2, 3))]:
        levels, code = np.unique(draw(codes), return_inverse=True)
        names = draw(st.sampled_from([("Intercept",), ("h",), ("Intercept", "h"), ("h", "rest")]))
        values = np.column_stack([columns[column] for column in names])
        together = tuple(range(len(names)))
        blocks = draw(st.sampled_from([(together,), tuple((k,) for k in together)]))
        groups.append(GroupDesign(name, (name,), (levels,), code, names, values, blocks, CombinedRecipe(())))
    extra = [groups[0].codes == 1, groups[-1].codes == 2, columns["h"]]
    values = np.column_stack([columns["Intercept"], *itertools.compress(extra, draw(st.tuples(*[st.booleans()] * 3)))])
    population = PopulationDesign(tuple(f"x{k}" for k in range(values.shape[1])), values, CombinedRecipe(()))
    known = draw(st.booleans())
    return tuple(groups), population, Measurements("rows", np.zeros(n_rows), None, None, None, None, known)


def _take_population_out(groups: tuple[GroupDesign, ...], population: PopulationDesign) -> list[list[list[FloatArray]]]:
    """What the population's columns leave of the levels' columns of each effect, by factor and block."""
    projection = np.eye(len(population.values)) - population.values @ np.linalg.pinv(population.values)
    return [
        [
            [projection @ (group.values[:, [k]] * (group.codes[:, None] == range(group.n_levels))) for k in block]
            for block in group.blocks
        ]
        for group in groups
    ]


def _leave_nothing(block: list[FloatArray]) -> bool:
    """Whether the population's columns explain some combination of a block's effects in every level."""
    sizes = [[np.trace(first @ second.T) for second in block] for first in block]
    return bool(np.linalg.matrix_rank(sizes, tol=1e-9) < len(block))


def _are_dependent(groups: tuple[GroupDesign, ...], population: PopulationDesign, known: bool) -> bool:
    """Whether variances of one block change the rows' covariance, after the population's columns, as those of others,
    or sigma's, do."""
    projection = np.eye(len(population.values)) - population.values @ np.linalg.pinv(population.values)
    spans = [] if known else [projection.reshape(1, -1)]
    for blocks in _take_population_out(groups, population):
        for block in blocks:
            pairs = itertools.combinations_with_replacement(block, 2)
            spans.append(np.array([(a @ b.T + b @ a.T).ravel() for a, b in pairs]))
    ranks = [np.linalg.matrix_rank(span, tol=1e-9) for span in [*spans, np.vstack(spans)]]
    return bool(ranks[-1] < sum(ranks[:-1]))


def _is_refused(groups: tuple[GroupDesign, ...], population: PopulationDesign, measurements: Measurements) -> bool:
    try:
        for group in groups:
            check_several_levels(group)
            check_levels(group, measurements, not measurements.known_scale)
        check_factors_differ(groups)
        for group in groups:
            check_not_in_population(group, population)
    except IdentificationError:
        return True
    return False


@given(small_designs())
@settings(max_examples=300, deadline=None)
def test_what_is_refused_cannot_be_identified(small: Small) -> None:
    groups, population, measurements = small
    if np.linalg.matrix_rank(population.values) < population.values.shape[1]:
        return
    if any(np.linalg.matrix_rank(group.values) < len(group.names) for group in groups):
        return
    dependent = _are_dependent(groups, population, measurements.known_scale)
    refused = _is_refused(groups, population, measurements)
    one_level = any(group.n_levels == 1 for group in groups)
    left = list(itertools.chain(*_take_population_out(groups, population)))
    assert dependent or one_level or any(map(_leave_nothing, left)) or not refused
    # of correlated effects a combination that is left nothing rests on the prior of their correlation
    assert refused or not any(_leave_nothing([column]) for block in left for column in block)
    if not refused:
        if dependent:
            with pytest.raises(IdentificationError, match="they add up to the same covariance"):
                check_covariances_differ(groups, population, measurements, not measurements.known_scale)
        else:
            check_covariances_differ(groups, population, measurements, not measurements.known_scale)

"""Propriety and moments with several factors, against the marginal likelihood itself."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partialpool.errors import PriorError
from partialpool.inputs.coding.recipes import CombinedRecipe
from partialpool.inputs.designs.design import Design, GroupDesign, PopulationDesign, build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.inputs.roles.measurements import Measurements
from partialpool.models.priors import (
    LKJ,
    Flat,
    HalfCauchy,
    Normal,
    Prior,
    ScalarPrior,
    VariancePower,
    find_correlated_tail,
    find_joint_tail,
)
from partialpool.models.propriety.joint_rank import rank_of_all_columns, reduce_effects
from partialpool.models.propriety.normal_models import check_posterior_is_proper, find_finite_moments
from partialpool.models.slots import effect_sd_name
from partialpool.numerics.arrays import FloatArray

RNG = np.random.default_rng(11)
#: Factor codes: nested ones that differ in one level, crossed ones, a Latin square, slopes.
DESIGNS: dict[str, tuple[str, dict[str, Any]]] = {
    "nested 3 in 4": ("y ~ 1 + (1 | a/b)", {"a": [0, 0, 1, 2, 2, 2], "b": [0, 1, 0, 0, 0, 0]}),
    "nested 4 in 5": ("y ~ 1 + (1 | a/b)", {"a": [0, 0, 1, 2, 3, 3], "b": [0, 1, 0, 0, 0, 0]}),
    "nested 5 in 6": ("y ~ 1 + (1 | a/b)", {"a": [0, 0, 1, 2, 3, 4, 4], "b": [0, 1, 0, 0, 0, 0, 0]}),
    "crossed 3 by 3": ("y ~ 1 + (1 | a) + (1 | b)", {"a": [0, 0, 0, 1, 1, 1, 2, 2], "b": [0, 1, 2, 0, 1, 2, 0, 1]}),
    "crossed 3 by 4": (
        "y ~ 1 + (1 | a) + (1 | b)",
        {"a": [0, 0, 0, 0, 1, 1, 1, 1, 2, 2], "b": [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]},
    ),
    "slopes beside": (
        "y ~ x + (1 | a) + (0 + x | b)",
        {"a": [0, 1, 2, 3, 0, 1, 2, 3], "b": [0, 0, 1, 1, 2, 2, 3, 4], "x": [1.0, 2, 3, 1, 2, 5, 1, 2]},
    ),
    "w uses up levels": (
        "y ~ w + (1 | a/b)",
        {"a": [0, 0, 1, 2, 3, 3], "b": [0, 1, 0, 0, 0, 0], "w": [1.0, 1, 2, 5, 3, 3]},
    ),
}
SDS: list[ScalarPrior] = [Flat(), VariancePower(0), VariancePower(0.5), VariancePower(-0.75), HalfCauchy(1)]
PAIRS = list(itertools.product(SDS, SDS))
LOG_SDS = np.arange(0.0, 16.0, 0.125)


def make_design(formula: str, data: dict[str, Any], **roles: Any) -> Design:
    n_rows = len(next(iter(data.values())))
    parsed = parse_formula(formula)
    return build_design(parsed, read_observations({"y": RNG.normal(size=n_rows), **data}, parsed, **roles))


def known_noise(name: str) -> Design:
    formula, data = DESIGNS[name]
    return make_design(formula, data, standard_error=np.ones(len(data["a"])))


def name_sds(design: Design) -> list[str]:
    return [effect_sd_name(group, k) for group in design.groups for k in range(len(group.names))]


def flat_coefficients(design: Design, sds: list[ScalarPrior]) -> dict[str, Prior]:
    priors: dict[str, Prior] = {name: Flat() for name in design.population.names}
    return {**priors, **dict(zip(name_sds(design), sds, strict=True))}


@functools.cache
def half_log_determinants(name: str) -> FloatArray:
    """Half the log determinant of the covariance of what flat coefficients leave, at every pair of two log sds."""
    design, scale = known_noise(name), np.exp(LOG_SDS)
    n_columns = design.population.values.shape[1]
    rest = np.linalg.qr(design.population.values, mode="complete")[0][:, n_columns:].T
    first, second = (rest @ (g.values * (g.codes[:, None] == np.arange(g.n_levels))) for g in design.groups)
    grid = (len(scale), len(scale))
    roots = [
        np.broadcast_to(scale[:, None, None, None] * first, (*grid, *first.shape)),
        np.broadcast_to(scale[:, None, None] * second, (*grid, *second.shape)),
        np.broadcast_to(rest, (*grid, *rest.shape)),
    ]
    return np.log(np.linalg.svd(np.concatenate(roots, axis=-1), compute_uv=False)).sum(axis=-1)


def is_integrable(name: str, pair: Sequence[ScalarPrior], orders: tuple[float, float] = (0.0, 0.0)) -> bool:
    """Whether the product of two sds' powers and their posterior has a finite integral: far out, what shells of the
    larger sd's logarithm hold falls geometrically, or it does not. The response adds a bounded factor only."""
    along = [
        prior.log_density(np.exp(LOG_SDS)) + (1 + order) * LOG_SDS for prior, order in zip(pair, orders, strict=True)
    ]
    density = np.exp(along[0][:, None] + along[1] - half_log_determinants(name))
    larger = np.maximum.outer(LOG_SDS, LOG_SDS)
    inner, outer = (density[(larger >= k) & (larger < k + 1)].sum() for k in (14, 15))
    return bool(outer < 0.8 * inner)


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]} {pair[1]}")
def test_the_rule_agrees_with_the_marginal_likelihood(name: str, pair: tuple[ScalarPrior, ScalarPrior]) -> None:
    design = known_noise(name)
    priors = flat_coefficients(design, list(pair))
    if is_integrable(name, pair):
        check_posterior_is_proper(design, design.groups, priors, "partial")
    else:
        with pytest.raises(PriorError, match="improper"):
            check_posterior_is_proper(design, design.groups, priors, "partial")


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]} {pair[1]}")
def test_moments_agree_with_the_marginal_likelihood(name: str, pair: tuple[ScalarPrior, ScalarPrior]) -> None:
    design = known_noise(name)
    priors = flat_coefficients(design, list(pair))
    if not is_integrable(name, pair):
        return
    orders = (1.0, 2.0, 4.0)
    found = find_finite_moments(design, name_sds(design), design.groups, priors, "partial", orders)
    for order, first, second in zip(orders, *found, strict=True):
        assert first == is_integrable(name, pair, (order, 0.0))
        assert second == is_integrable(name, pair, (0.0, order))


def test_what_is_said_of_sds_that_grow_together() -> None:
    design = known_noise("nested 4 in 5")
    priors = flat_coefficients(design, [VariancePower(0), VariancePower(0)])
    with pytest.raises(PriorError) as caught:
        check_posterior_is_proper(design, design.groups, priors, "partial")
    assert str(caught.value) == (
        "sd(a) and sd(a:b): under VariancePower(0) the posterior is improper: as they grow together the likelihood "
        "falls only like sd^-4 (the rank of their groups' columns, less what flat coefficients take up) while the "
        "priors over them gather like sd^3, and the product's integral is infinite; give one of them a proper prior "
        "such as HalfNormal or HalfCauchy"
    )


def test_a_level_of_one_factor_is_named() -> None:
    design = make_design("y ~ 1 + (1 | a) + (1 | b)", {"a": [0, 1, 2, 0, 1, 2], "b": [0, 0, 0, 1, 1, 1]})
    priors: dict[str, Prior] = {"Intercept": Flat(), "sd(a)": Flat(), "sd(b)": Flat(), "sigma": HalfCauchy(1)}
    with pytest.raises(PriorError, match=re.escape("sd(b): under Flat() with 2 groups the posterior is improper")):
        check_posterior_is_proper(design, design.groups, priors, "partial")
    check_posterior_is_proper(design, design.groups, {**priors, "sd(b)": HalfCauchy(1)}, "partial")


def test_flat_sds_of_all_factors_grow_along_with_sigma() -> None:
    """Five rows less a mean leave sigma^-4, of which each flat sd takes one power."""
    design = make_design("y ~ 1 + (1 | a) + (1 | b)", {"a": [0, 1, 2, 0, 1], "b": [0, 0, 1, 1, 2]})
    priors: dict[str, Prior] = {"Intercept": Flat(), "sd(a)": Flat(), "sd(b)": Flat(), "sigma": Flat()}
    check_posterior_is_proper(design, design.groups, priors, "partial")
    found = find_finite_moments(design, ["sigma", "cor"], design.groups, priors, "partial", (0.9, 1.0))
    assert found == ((True, False), (True, True))
    with pytest.raises(PriorError, match=re.escape("grow along the posterior falls only like sigma^-1, whose")):
        check_posterior_is_proper(design, design.groups, {**priors, "sigma": VariancePower(0)}, "partial")


def test_sigma_at_zero_needs_rows_that_all_factors_leave() -> None:
    """Of two crossed factors each cell may have one row; of nested ones the finer factor needs rows that repeat."""
    usual: dict[str, Prior] = {"Intercept": Normal(0, 1), "sigma": VariancePower(-1)}
    crossed = make_design("y ~ 1 + (1 | a) + (1 | b)", {"a": np.repeat([0, 1, 2], 4), "b": np.tile([0, 1, 2, 3], 3)})
    halves = {"sd(a)": HalfCauchy(1), "sd(b)": HalfCauchy(1)}
    check_posterior_is_proper(crossed, crossed.groups, {**usual, **halves}, "partial")
    chain = make_design("y ~ 1 + (1 | a) + (1 | b)", {"a": [0, 0, 1, 1, 2, 2], "b": [0, 1, 1, 2, 2, 3]})
    with pytest.raises(PriorError, match="improper at sigma = 0: no row repeats within a group"):
        check_posterior_is_proper(chain, chain.groups, {**usual, **halves}, "partial")


@st.composite
def some_design(draw: st.DrawFn) -> Design:
    n_rows = draw(st.integers(6, 14))
    codes = st.lists(st.integers(0, 3), min_size=n_rows, max_size=n_rows)
    data = {"a": draw(codes), "b": draw(codes), "c": draw(codes), "x": draw(codes)}
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    columns = np.column_stack([np.ones(n_rows), rng.normal(size=n_rows)])
    groups = []
    for name in "abc":
        levels, code = np.unique(data[name], return_inverse=True)
        values = np.column_stack([np.ones(n_rows), np.array(data["x"], dtype=float)])
        groups.append(
            GroupDesign(name, (name,), (levels,), code, ("Intercept", "x"), values, ((0, 1),), CombinedRecipe(()))
        )
    recipe = CombinedRecipe(())
    population = PopulationDesign(("Intercept", "z"), columns, recipe)
    measured = Measurements("rows", np.zeros(n_rows), None, None, None, None, False)
    return Design(parse_formula("y ~ 1"), measured, population, tuple(groups), n_rows, {})


def write_out(design: Design, names: Sequence[str] = ()) -> FloatArray:
    """The columns of every level of some effects, or of all."""
    return np.hstack(
        [
            group.values[:, [k]] * (group.codes[:, None] == np.arange(group.n_levels))
            for group in design.groups
            for k in range(len(group.names))
            if not names or effect_sd_name(group, k) in names
        ]
    )


@given(some_design(), st.sets(st.sampled_from(["sd(a, Intercept)", "sd(b, Intercept)", "sd(c, x)"]), min_size=1))
@settings(max_examples=60, deadline=None)
def test_joint_ranks_agree_with_dense_columns(design: Design, names: set[str]) -> None:
    columns = design.population.values
    effects = {effect_sd_name(group, k): (group, k) for group in design.groups for k in range(2)}
    rank = reduce_effects(columns, {name: effects[name] for name in effects if name != "sd(a, x)"})
    dense = np.hstack([columns, write_out(design, sorted(names))])
    assert rank(sorted(names)) == np.linalg.matrix_rank(dense, tol=1e-9) - 2
    none = reduce_effects(columns[:, :0], {name: effects[name] for name in names})
    assert none(sorted(names)) == np.linalg.matrix_rank(dense[:, 2:], tol=1e-9)


@given(some_design(), st.sampled_from([1, 2, 3]))
@settings(max_examples=60, deadline=None)
def test_the_rank_of_all_columns(design: Design, n_factors: int) -> None:
    columns, groups = design.population.values, design.groups[:n_factors]
    few = Design(design.formula, design.measurements, design.population, groups, design.rows_read, {})
    expected = np.linalg.matrix_rank(np.hstack([columns, write_out(few)]), tol=1e-9)
    assert rank_of_all_columns(columns, groups) == expected
    assert rank_of_all_columns(columns, ()) == 2


def test_the_rank_of_many_rows_is_bounded_from_above() -> None:
    a = RNG.integers(0, 40, 3000)
    data = {"a": a, "b": a // 8, "c": RNG.integers(0, 30, 3000), "x": RNG.normal(size=3000)}
    for formula, bound in [
        ("y ~ x + (1 | a) + (1 | c)", 1 + 40 + 29),
        ("y ~ x + (1 | b/a) + (1 | c)", 1 + 40 + 29),  # what b spans a spans
        ("y ~ x + (x | a) + (1 | b) + (0 + x | c)", 80 + 30),
    ]:
        design = make_design(formula, data)
        dense = np.linalg.matrix_rank(np.hstack([design.population.values, write_out(design)]))
        assert dense <= rank_of_all_columns(design.population.values, design.groups) == bound
    one = make_design("y ~ x + (x | a)", data)
    assert rank_of_all_columns(one.population.values, one.groups) == 80


def test_ranks_over_more_rows_than_are_written_out_at_once() -> None:
    n_rows = 20_000
    a, b = np.arange(n_rows) // 5_000, np.arange(n_rows) % 3
    b[a == 3] = 2
    design = make_design("y ~ 1 + (1 | a) + (1 | b)", {"a": a, "b": b})
    effects = {effect_sd_name(group, 0): (group, 0) for group in design.groups}
    rank = reduce_effects(design.population.values, effects)
    assert [rank(["sd(a)"]), rank(["sd(b)"]), rank(["sd(a)", "sd(b)"])] == [3, 2, 5]


SLOPES = {"x": [0.1, 1.2, -0.7, 0.4, 2.0, -1.1, 0.8, -0.3, 1.5, 0.9, -2.0, 0.6, 0.2, -0.9]}
STEPS = np.arange(0.0, 10.0, 0.25)
#: Fisher's z of the correlation: 1 - cor^2 falls to e^-24.
FISHER = np.arange(-12.0, 12.01, 0.25)


def correlated(n_levels: int) -> Design:
    """Two rows a level, with a slope that varies along with the intercept."""
    data = {"a": np.repeat(np.arange(n_levels), 2), "x": SLOPES["x"][: 2 * n_levels]}
    return make_design("y ~ x + (x | a)", data, standard_error=np.ones(2 * n_levels))


@functools.cache
def half_log_determinants_of_correlated(n_levels: int) -> FloatArray:
    """As ``half_log_determinants``, at every pair of two log sds and every z: (first, second, z)."""
    design = correlated(n_levels)
    rest = np.linalg.qr(design.population.values, mode="complete")[0][:, 2:].T
    (group,) = design.groups
    levels = group.codes[:, None] == np.arange(n_levels)
    halves = [rest @ (group.values[:, [k]] * levels) for k in range(2)]
    parts = {
        (i, k): halves[i] @ halves[k].T if i == k else halves[0] @ halves[1].T + halves[1] @ halves[0].T
        for i, k in [(0, 0), (0, 1), (1, 1)]
    }
    scale = np.exp(STEPS)[:, None, None, None, None]
    first, second, z = scale, np.moveaxis(scale, 0, 1), np.moveaxis(np.exp(FISHER)[:, None, None, None, None], 0, 2)
    share = 1.0 / (1.0 + z**2)  # (1 - cor) / 2
    # in the directions u0 + u1 and u0 - u1 nothing cancels
    sums = parts[0, 0] * first**2 + parts[1, 1] * second**2 + parts[0, 1] * first * second
    differences = parts[0, 0] * first**2 + parts[1, 1] * second**2 - parts[0, 1] * first * second
    covariance = np.eye(len(rest)) + (1.0 - share) * sums + share * differences
    return np.asarray(0.5 * np.linalg.slogdet(covariance)[1])


def is_correlated_integrable(
    n_levels: int, pair: Sequence[ScalarPrior], eta: float, orders: tuple[float, float] = (0.0, 0.0)
) -> bool:
    """As ``is_integrable``, over the correlation too."""
    along = [prior.log_density(np.exp(STEPS)) + (1 + order) * STEPS for prior, order in zip(pair, orders, strict=True)]
    # d cor = dz / cosh(z)^2, and LKJ's density is a power of 1 - cor^2 = 1 / cosh(z)^2
    density = along[0][:, None, None] + along[1][:, None] - 2 * eta * np.log(np.cosh(FISHER))
    density = np.exp(density - half_log_determinants_of_correlated(n_levels))
    larger = np.maximum.outer(STEPS, STEPS)
    inner, outer = (density[(larger >= k) & (larger < k + 1)].sum() for k in (8, 9))
    return bool(outer < 0.8 * inner)


CORRELATED = [Flat(), VariancePower(0), VariancePower(0.5)]


@pytest.mark.parametrize("eta", [0.3, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("n_levels", [4, 5, 6, 7])
@pytest.mark.parametrize(
    "pair", list(itertools.product(CORRELATED, CORRELATED)), ids=lambda pair: f"{pair[0]} {pair[1]}"
)
def test_sds_that_grow_as_their_correlation_goes_to_one(
    pair: tuple[ScalarPrior, ScalarPrior], n_levels: int, eta: float
) -> None:
    design = correlated(n_levels)
    priors = flat_coefficients(design, list(pair)) | {"cor(a, Intercept, x)": LKJ(eta)}
    if not is_correlated_integrable(n_levels, pair, eta):
        with pytest.raises(PriorError, match="improper"):
            check_posterior_is_proper(design, design.groups, priors, "partial")
        return
    check_posterior_is_proper(design, design.groups, priors, "partial")
    orders = (1.0, 2.0)
    found = find_finite_moments(design, name_sds(design), design.groups, priors, "partial", orders)
    for order, first, second in zip(orders, *found, strict=True):
        assert first == is_correlated_integrable(n_levels, pair, eta, (order, 0.0))
        assert second == is_correlated_integrable(n_levels, pair, eta, (0.0, order))


def test_what_is_said_of_correlations_that_go_to_one() -> None:
    design = correlated(4)
    priors = flat_coefficients(design, [VariancePower(0), VariancePower(0)])
    check_posterior_is_proper(design, design.groups, priors | {"cor(a, Intercept, x)": LKJ(1)}, "partial")
    with pytest.raises(PriorError) as caught:
        check_posterior_is_proper(design, design.groups, priors | {"cor(a, Intercept, x)": LKJ(0.5)}, "partial")
    assert str(caught.value) == (
        "sd(a, Intercept) and sd(a, x): under VariancePower(0) with LKJ(0.5) the posterior is improper: as they grow "
        "together and their correlations go to +-1 the likelihood falls only like sd^-3 (the rank of their groups' "
        "columns, less what flat coefficients take up) while the priors over them gather like sd^2, and the product's "
        "integral is infinite; give one of them a proper prior such as HalfNormal or HalfCauchy, or their correlations "
        "LKJ with a greater eta"
    )


def test_other_factors_grow_along_with_correlated_effects() -> None:
    """Ranks 5 alone; the pair takes 3.4 powers, and sds of other factors one or two each unless their rank is more."""
    pair: dict[str, ScalarPrior] = {"sd(a)": VariancePower(0), "sd(a, x)": VariancePower(0)}
    ranks = {"sd(a)": 5, "sd(a, x)": 5, "sd(b)": 5, "sd(c)": 9}
    alone = find_correlated_tail("sd(a)", pair, {}, ranks, 0.3)
    assert alone is not None
    assert (alone.names, alone.fall, alone.eta) == (("sd(a)", "sd(a, x)"), 5, 0.3)
    assert alone.power == pytest.approx(5 - 3.4 + 2)
    both = find_correlated_tail("sd(a)", pair, {"sd(b)": VariancePower(0), "sd(c)": Flat()}, ranks, 0.3)
    assert both is not None
    assert (both.names, both.power) == (("sd(a)", "sd(a, x)", "sd(b)"), pytest.approx(5 - 5.4 + 2))
    assert find_correlated_tail("sd(a)", pair, {}, ranks, 1.0) is None
    assert find_correlated_tail("sd(a)", {**pair, "sd(a, x)": HalfCauchy(1)}, {}, ranks, 0.3) is None


def test_of_very_many_flat_sds_the_fall_is_bounded() -> None:
    names = [f"sd(g{k})" for k in range(15)]
    priors: dict[str, ScalarPrior] = dict.fromkeys(names, Flat())

    def never(_: object) -> Any:
        raise AssertionError("all sets of 14 are too many")

    tail = find_joint_tail(names[0], priors, dict.fromkeys(names, 5), never)
    assert tail is not None
    assert tail.power == 5 - 14
    assert find_joint_tail(names[0], priors, dict.fromkeys(names, 50), never) is None

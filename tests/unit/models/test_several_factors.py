"""A model with several grouping factors: its parameters' names and priors, and the space of its hyperparameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from partialpool.errors import FormulaError, PriorError
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.models.model import Model, build_model
from partialpool.models.priors import LKJ, Flat, HalfNormal, HalfStudentT, Prior, Uniform
from partialpool.models.slots import Pooling

RNG = np.random.default_rng(5)
N = 200
DATA: dict[str, Any] = {
    "y": RNG.normal(size=N),
    "x": 5.0 + RNG.normal(size=N),
    "z": RNG.normal(size=N),
    "g": RNG.integers(0, 9, N),
    "h": RNG.integers(0, 7, N),
    "a": RNG.integers(0, 4, N),
    "b": RNG.integers(0, 3, N),
}
BOTH = "y ~ x + (x | g) + (1 | h) + (x + z | a)"


def _model(formula: str, priors: Mapping[str, Prior | str] | None = None, pooling: Pooling = "partial") -> Model:
    parsed = parse_formula(formula)
    return build_model(build_design(parsed, read_observations(DATA, parsed)), priors, pooling)


def test_effects_are_numbered_over_all_factors() -> None:
    model = _model(BOTH)
    assert [group.name for group in model.groups] == ["g", "h", "a"]
    assert model.effect_slices == (slice(0, 2), slice(2, 3), slice(3, 6))
    assert model.n_effects == model.space.n_effects == 6
    assert [model.factor(name) for name in "gha"] == [0, 1, 2]
    with pytest.raises(KeyError, match="x"):
        model.factor("x")


def test_names_and_their_order() -> None:
    model = _model(BOTH)
    sds = ("sd(g, Intercept)", "sd(g, x)", "sd(h)", "sd(a, Intercept)", "sd(a, x)", "sd(a, z)")
    correlations = ("cor(g, Intercept, x)", "cor(a, Intercept, x)", "cor(a, Intercept, z)", "cor(a, x, z)")
    assert model.space.names == (*sds, *correlations, "sigma")
    assert tuple(model.priors) == ("Intercept", "x", *sds, "cor(g, Intercept, x)", "cor(a)", "sigma")
    assert [block.positions for block in model.space.blocks] == [(0, 1), (3, 4, 5)]
    nested = _model("y ~ 1 + (1 | a/b) + (0 + x || a:b)")
    assert nested.space.names == ("sd(a)", "sd(a:b, Intercept)", "sd(a:b, x)", "sigma")


def test_one_factors_parameters_are_those_it_has_alone() -> None:
    """Names, defaults and the space's parts do not depend on what other factors there are."""
    together = _model(BOTH)
    blocks = {block.names: block for block in together.space.blocks}
    for term in ("(x | g)", "(1 | h)", "(x + z | a)"):
        alone = _model(f"y ~ x + {term}")
        assert all(str(together.priors[name]) == str(prior) for name, prior in alone.priors.items())
        own = together.effect_slices[together.factor(alone.groups[0].name)]
        assert together.space.effect_sds[own] == alone.space.effect_sds
        for block in alone.space.blocks:
            positions = tuple(own.start + k for k in block.positions)
            assert blocks[block.names] == replace(block, positions=positions)


def test_the_root_is_block_diagonal() -> None:
    space = _model(BOTH).space
    coordinates = np.random.default_rng(1).normal(size=(5, space.dimension))
    for chart in space.charts:
        points, log_prior = space.in_chart(chart).constrain(coordinates)
        factor = np.repeat([0, 1, 2], [2, 1, 3])
        across = factor[:, None] != factor
        assert np.all(points.effect_root[across] == 0.0)
        assert np.all(np.isfinite(log_prior))
        values = space.natural_values(points)
        covariance = np.einsum("ikn,jkn->ijn", points.effect_root, points.effect_root)
        assert np.allclose(values[:, :6] ** 2, np.einsum("iin->ni", covariance))
        assert np.allclose(values[:, 9] * values[:, 4] * values[:, 5], covariance[4, 5])


def test_the_log_prior_is_the_sum_of_the_factors_own() -> None:
    """Where each factor's part stands alone, with the same coordinates."""
    together = _model(BOTH).space
    parts = {term: _model(f"y ~ x + {term}").space for term in ("(x | g)", "(1 | h)", "(x + z | a)")}
    coordinates = np.random.default_rng(2).normal(size=(6, together.dimension))
    places = {"(x | g)": [0, 1, 6, 10], "(1 | h)": [2, 10], "(x + z | a)": [3, 4, 5, 7, 8, 9, 10]}
    own = [space.constrain(coordinates[:, places[term]])[1] for term, space in parts.items()]
    sigma = together.residual_sd
    assert sigma is not None
    natural, log_slope = sigma.constrain(coordinates[:, 10])
    twice = 2 * (sigma.prior.log_density(natural) + log_slope)
    assert np.allclose(together.constrain(coordinates)[1], sum(own) - twice)


@pytest.mark.parametrize(
    ("priors", "expected"),
    [
        (
            {"sd": HalfNormal(3), "cor": LKJ(4)},
            {"sd(g, x)": HalfNormal(3), "sd(h)": HalfNormal(3), "sd(a, z)": HalfNormal(3), "cor(a)": LKJ(4)},
        ),
        (
            {"sd(g)": HalfNormal(3), "sd": Uniform(0, 9), "sd(a, z)": HalfNormal(1)},
            {"sd(g, x)": HalfNormal(3), "sd(h)": Uniform(0, 9), "sd(a, x)": Uniform(0, 9), "sd(a, z)": HalfNormal(1)},
        ),
        (
            {"sd( h )": "HalfNormal(2)", "cor(g, x, Intercept)": "LKJ(3)", "cor(a, Intercept, x, z)": "LKJ(5)"},
            {"sd(h)": HalfNormal(2), "cor(g, Intercept, x)": LKJ(3), "cor(a)": LKJ(5)},
        ),
    ],
)
def test_priors_by_parameter_factor_and_class(priors: dict[str, Prior | str], expected: dict[str, Prior]) -> None:
    model = _model(BOTH, priors)
    assert {name: model.priors[name] for name in expected} == expected


def test_nested_factors_are_named_in_full() -> None:
    model = _model("y ~ 1 + (1 | a/b) + (1 | h)", {"sd(a:b)": HalfNormal(2), "sd(a)": HalfNormal(1)})
    assert (model.priors["sd(a)"], model.priors["sd(a:b)"]) == (HalfNormal(1), HalfNormal(2))
    assert isinstance(model.priors["sd(h)"], HalfStudentT)
    with pytest.raises(PriorError, match=re.escape("'sd(b)' matches no parameter; did you mean")):
        _model("y ~ 1 + (1 | a/b)", {"sd(b)": HalfNormal(2)})


def test_defaults_at_the_means_are_decided_block_by_block() -> None:
    """A prior for one block at the formula's zero leaves the other block's defaults at the columns' means."""
    default = _model("y ~ x + (x | g) + (x | h)")
    model = _model("y ~ x + (x | g) + (x | h)", {"cor(h)": LKJ(2)})
    assert str(model.priors["cor(g, Intercept, x)"]) == "LKJ(1, at='means')"
    assert model.priors["sd(g, Intercept)"] == default.priors["sd(g, Intercept)"]
    assert model.priors["cor(h, Intercept, x)"] == LKJ(2)
    scale = [prior.sigma for prior in (model.priors["sd(h, Intercept)"], default.priors["sd(h, Intercept)"])]  # type: ignore[attr-defined]
    assert scale[0] > 3.0 * scale[1]  # x lies 5 of its sds from 0
    assert [block.correlation_prior.at for block in model.space.blocks] == ["means", "zero"]


def test_no_pooling_is_for_one_factor() -> None:
    said = (
        "pooling='none' gives every group its own coefficients, and those of a, a:b and h cannot be told apart without "
        "populations that they come from: keep one factor, such as a:b:h, or pool partially"
    )
    with pytest.raises(FormulaError, match=re.escape(said)):
        _model("y ~ 1 + (1 | a/b) + (1 | h)", pooling="none")


def test_complete_pooling_has_no_factors() -> None:
    model = _model(BOTH, pooling="complete")
    assert (model.groups, model.effect_slices, model.n_effects) == ((), (), 0)
    assert tuple(model.priors) == ("Intercept", "x", "sigma")


def test_moments_are_counted_for_each_factor() -> None:
    """Flat sds over 4 and 9 levels: three powers and eight, of which the one sd's growth takes the other's."""
    model = _model("y ~ 1 + (1 | a) + (1 | g)", {"sd": Flat(), "Intercept": Flat()})
    assert dict(zip(model.space.names, model.moments, strict=True)) == {"sd(a)": 1, "sd(g)": 2, "sigma": 2}
    with pytest.raises(PriorError, match=re.escape("sd(b): under VariancePower(0) with 3 groups")):
        _model("y ~ 1 + (1 | g) + (1 | b)", {"sd": "VariancePower(0)", "Intercept": Flat()})

"""Models at the edge of what can be computed: refused with cause and remedy, or computed."""

from __future__ import annotations

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import ComputationError, DataError, IdentificationError, NotYetError

X = [1.0, 2.0, 3.0, 4.0]


def _by_level(n_levels: int) -> dict[str, list[object]]:
    rng = np.random.default_rng(3)
    factor, group = np.tile(np.arange(n_levels), 20), np.repeat(np.arange(10), 2 * n_levels)
    response = rng.normal(size=(10, n_levels))[group, factor] + rng.normal(size=len(group))
    return {"y": list(response), "f": [f"f{k}" for k in factor], "g": [f"g{j}" for j in group]}


@pytest.mark.parametrize(
    ("y", "arguments"),
    [
        ([2.0, 4.0, 6.0, 8.0], {}),
        ([1e6 + 2.0, 1e6 + 4.0, 1e6 + 6.0, 1e6 + 8.0], {}),
        ([0.1 + 0.3 * x for x in X], {"weights": [1.0, 2.0, 3.0, 1e6]}),
        ([2.0, 4.0, 6.0, 8.0], {"counts": [5, 1, 1, 2]}),
    ],
)
def test_a_perfect_fit_has_no_sigma(y: list[float], arguments: dict[str, list[float]]) -> None:
    with pytest.raises(IdentificationError, match="fit the response exactly in every row: sigma would be 0"):
        pp.fit("y ~ x", {"x": X, "y": y}, **arguments)  # type: ignore[arg-type]


def test_a_response_whose_squares_vanish() -> None:
    with pytest.raises(DataError, match="change its units"):
        pp.fit("y ~ x", {"x": X, "y": [2e-200, 4e-200, 7e-200, 8e-200]})


def test_a_perfect_fit_beside_groups_has_no_sigma() -> None:
    data = {"x": [1, 2, 3, 4, 5, 6], "y": [2, 4, 6, 8, 10, 12], "g": list("aabbcc")}
    with pytest.raises(IdentificationError, match="or fitted exactly there"):
        pp.fit("y ~ x + (1 | g)", data)


@pytest.mark.parametrize("y", [[2.0, 4.0, 6.0, 8.0 + 1e-6], [1e12 + 1, 1e12 + 3, 1e12 + 2, 1e12 + 4]])
def test_a_nearly_perfect_fit_has_one(y: list[float]) -> None:
    assert pp.fit("y ~ x", {"x": X, "y": y}).engine.status == "converged"


def test_more_hyperparameters_than_the_lattice_has_dimensions() -> None:
    said = r"46 hyperparameters for the 9 effects of g: up to 40 are computed; use no correlations \(\(f \|\| g\)"
    with pytest.raises(NotYetError, match=said):
        pp.fit("y ~ 1 + (1 + f | g)", _by_level(9))


def test_hyperparameters_are_counted_over_all_factors() -> None:
    """Six effects with fifteen correlations over each of two factors, and sigma: neither factor alone is too much."""
    data = _by_level(6)
    data["h"] = [k % 7 for k in range(len(data["y"]))]
    said = "43 hyperparameters for the 12 effects of g and h: up to 40 are computed"
    with pytest.raises(NotYetError, match=said):
        pp.fit("y ~ 1 + (1 + f | g) + (1 + f | h)", data)


def test_a_narrow_prior_for_a_slopes_sd_inside_a_block() -> None:
    """The density ends at both edges of the prior, and the mode lies near one of them."""
    rng = np.random.default_rng(0)
    group, x = np.repeat(np.arange(12), 8), rng.normal(size=96)
    effects = rng.normal(size=(12, 2)) * [1.0, 0.25]
    y = 1 + 0.5 * x + effects[group, 0] + effects[group, 1] * x + rng.normal(size=96)
    data = {"y": y, "x": x, "g": [f"g{j}" for j in group]}
    fit = pp.fit("y ~ x + (x | g)", data, priors={"sd(g, x)": "Uniform(0.1, 0.4)"})
    assert fit.engine.status == "converged"


def test_a_long_grid_of_a_heavy_tailed_coefficient() -> None:
    rng = np.random.default_rng(1)
    data = {"y": list(7 + 2 * rng.normal(size=8)), "se": [4.0] * 8}
    fit = pp.fit("y ~ 1", data, standard_error="se", priors={"Intercept": "Cauchy(0, .02)"})
    assert fit.engine.evidence["nodes"] < 2e4


@pytest.mark.parametrize("power", ["-0.99", "-0.9999", "-0.999999"])
def test_a_prior_that_piles_up_at_zero(power: str) -> None:
    """Computed, or refused for the size of the grid; never another error."""
    y, se = [28.0, 8, -3, 7, -1, 1, 18, 12], [15.0, 10, 16, 11, 9, 11, 10, 18]
    data = {"y": y, "se": se, "g": list("abcdefgh")}
    try:
        fit = pp.fit("y ~ 1 + (1 | g)", data, standard_error="se", priors={"sd": f"VariancePower({power})"})
    except ComputationError:
        return
    assert fit.engine.status == "converged"

"""Groups of raw rows whose sds differ under one sigma are warned of; others are not, whatever the law of the rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import UnequalNoiseWarning
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.models import unequal_rows
from partialpool.models.unequal_rows import warn_of_unequal_rows

LAWS = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "t(4)": lambda rng, n: rng.standard_t(4, n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "lognormal": lambda rng, n: np.exp(rng.standard_normal(n)),
}


def _design(formula: str, data: dict[str, Any], **roles: Any) -> Any:
    parsed = parse_formula(formula)
    return build_design(parsed, read_observations(data, parsed, **roles))


def _rows(n_groups: int, n_each: int, seed: int = 1) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), n_each)
    return rng, g, rng.normal(size=len(g))


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (x | g)"])
def test_sds_from_4_to_15_are_warned_of_and_named(formula: str) -> None:
    rng, g, x = _rows(10, 40)
    sds = np.linspace(4.0, 15.0, 10)
    y = 3.0 * x + rng.normal(size=10)[g] * (1.0 + x) + sds[g] * rng.normal(size=len(g))
    with pytest.warns(UnequalNoiseWarning, match=r"furthest from their median .*in g '0'.*The answer changes"):
        pp.fit(formula, {"y": y, "x": x, "g": g}, method="empirical_bayes")


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (x | g)"])
def test_p_is_uniform_under_equal_noise_of_any_law(formula: str, law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 250 sets as many have p below .1 as chance allows: the binomial's 1e-4 point."""
    found: list[float] = []
    compare = unequal_rows._compare

    def record(*arguments: Any) -> Any:
        comparison = compare(*arguments)
        assert comparison is not None
        found.append(comparison.p)
        return comparison

    monkeypatch.setattr(unequal_rows, "_compare", record)
    rng = np.random.default_rng(4)
    for _ in range(250):
        g = np.repeat(np.arange(12), rng.integers(12, 40, 12))
        x = rng.normal(size=len(g))
        y = LAWS[law](rng, len(g)) + 3.0 * x + rng.normal(size=12)[g]
        warn_of_unequal_rows(_design(formula, {"y": y, "x": x, "g": g}))
    assert len(found) == 250
    assert 10 <= np.sum(np.array(found) < 0.1) <= 45


def test_weights_tell_why_sds_differ() -> None:
    rng, g, _ = _rows(10, 40)
    sds = np.linspace(4.0, 15.0, 10)[g]
    data = {"y": sds * rng.normal(size=len(g)), "g": g, "w": sds**-2.0}
    with pytest.warns(UnequalNoiseWarning):
        warn_of_unequal_rows(_design("y ~ 1 + (1 | g)", data))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unequal_rows(_design("y ~ 1 + (1 | g)", data, weights="w"))


@pytest.mark.parametrize(
    ("formula", "n_each", "roles"),
    [
        ("y ~ 1 + (1 | g)", 7, {}),  # groups too small to tell
        ("y ~ 1 + (1 | g) + (1 | h)", 40, {}),
        ("y ~ 1 + (1 | g)", 40, {"standard_error": "se"}),
        ("y ~ h", 40, {}),
    ],
)
def test_where_nothing_is_compared(formula: str, n_each: int, roles: dict[str, str]) -> None:
    rng, g, _ = _rows(10, n_each)
    sds = np.linspace(1.0, 30.0, 10)[g]
    data = {"y": sds * rng.normal(size=len(g)), "g": g, "h": np.arange(len(g)) % 5, "se": sds}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unequal_rows(_design(formula, data, **roles))


def test_equal_rows_and_a_little_difference_are_not_warned_of() -> None:
    """Sds from 0.9 to 1.1 in groups so large that p is far below chance; and groups whose rows are all alike."""
    rng, g, _ = _rows(10, 4000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        little = np.linspace(0.9, 1.1, 10)[g] * rng.normal(size=len(g))
        warn_of_unequal_rows(_design("y ~ 1 + (1 | g)", {"y": little, "g": g}))
        warn_of_unequal_rows(_design("y ~ 1 + (1 | g)", {"y": g.astype(float), "g": g}))


def _tell(formula: str, data: dict[str, Any]) -> str:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warn_of_unequal_rows(_design(formula, data))
    return str(told[0].message) if told else ""


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (x | g)"])
@pytest.mark.parametrize("decimals", [9, 0])
def test_neither_order_nor_labels_nor_units_of_the_rows_matter(formula: str, decimals: int) -> None:
    """Sds from 4 to 15 in 8 groups of 24 rows: at the edge of what is told. Without decimals responses are tied."""
    warned = 0
    for seed in range(6):
        rng, g, x = _rows(8, 24, seed)
        y = (np.linspace(4.0, 15.0, 8)[g] * rng.normal(size=len(g)) + 3.0 * x).round(decimals)
        told = _tell(formula, {"y": y, "x": x, "g": g})
        warned += bool(told)
        for _ in range(4):
            order = rng.permutation(len(g))
            assert _tell(formula, {"y": y[order], "x": x[order], "g": g[order]}) == told
        p = told.partition(")")[0]
        assert _tell(formula, {"y": 1000.0 * y - 7.0, "x": x / 3.0, "g": (3 * g + 1) % 8}).partition(")")[0] == p
    assert 0 < warned < 6


def test_a_chance_too_small_for_a_number_is_not_called_none() -> None:
    rng, g, _ = _rows(4, 4000)
    told = _tell("y ~ 1 + (1 | g)", {"y": 10.0**g * rng.normal(size=len(g)), "g": g})
    assert "p < 1e-300" in told


def test_groups_of_the_same_responses_are_not_cut_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else counts, whose groups come up again, would have fewer groups than they seem to."""
    found: list[np.ndarray] = []
    monkeypatch.setattr(unequal_rows, "_compare", lambda variances, _: found.append(variances))
    y = np.tile([0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 3.0, 9.0], 30)
    warn_of_unequal_rows(_design("y ~ 1 + (1 | g)", {"y": y, "g": np.repeat(np.arange(30), 8)}))
    assert len(np.unique(found[0].round(9))) > 8

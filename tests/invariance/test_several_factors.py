"""Several factors: rows, labels, units and terms in another order or form, and the same posterior."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.models.priors import Prior

from .agreement import GRID, LATTICE
from .test_units import rescale_prior

Data = dict[str, Any]
#: Mean and sd of every parameter, by name.
Table = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Problem:
    """A formula, its data, its priors (None: the defaults) and the tolerance that its route earns."""

    name: str
    formula: str
    data: Data
    priors: Mapping[str, Prior] | None
    tolerance: float
    roles: Mapping[str, str]

    def fit(self, data: Data | None = None, **changes: Any) -> pp.Posterior:
        """Fit, with other data or other arguments."""
        arguments = {"formula": self.formula, "priors": self.priors, **self.roles, **changes}
        fitted = pp.fit(data=self.data if data is None else data, **arguments)
        assert isinstance(fitted, pp.Posterior)
        return fitted

    @cached_property
    def own(self) -> pp.Posterior:
        """The fit of the problem as it stands."""
        return self.fit()


def _rows() -> Data:
    """60 rows of 5 s by 6 t that cross in part, and of 2 to 4 b within each of 5 a."""
    rng = np.random.default_rng(21)
    row = np.arange(60)
    s, t = row % 5, (row // 5 + row % 3) % 6
    a = rng.integers(0, 5, 60)
    b = rng.integers(0, 4, 60) % np.array([2, 3, 4, 3, 4])[a]
    x = np.round(rng.normal(1.0, 1.5, 60), 3)
    y = 2.0 + 0.6 * x + rng.normal(size=5)[s] + 0.7 * rng.normal(size=6)[t] + 0.6 * rng.normal(size=(5, 4))[a, b]
    # whole multiples of 2^-20, so that the sum with a power of 2 is exact
    y = np.round((y + 0.8 * rng.normal(size=60)) * 2**20) / 2**20
    labels = {"s": s, "t": t, "a": a, "b": b}
    return {"y": y, "x": x, "se": rng.uniform(0.5, 1.2, 60)} | {
        name: np.array([f"{name}{code}" for code in codes]) for name, codes in labels.items()
    }


COEFFICIENTS = {"Intercept": pp.Normal(0, 10), "x": pp.Normal(0, 5)}
CROSSED = Problem(
    "crossed",
    "y ~ x + (1 | s) + (1 | t)",
    _rows(),
    {**COEFFICIENTS, "sd(s)": pp.HalfNormal(2), "sd(t)": pp.Exponential(1)},
    GRID,
    {"standard_error": "se"},
)
NESTED = Problem(
    "nested",
    "y ~ x + (1 | a/b)",
    _rows(),
    {**COEFFICIENTS, "sd(a)": pp.HalfNormal(2), "sd(a:b)": pp.HalfNormal(1)},
    GRID,
    {"standard_error": "se"},
)
SLOPES = Problem(
    "slopes",
    "y ~ x + (1 + x | s) + (1 | t)",
    _rows(),
    {
        **COEFFICIENTS,
        "sd(s, Intercept)": pp.HalfNormal(2),
        "sd(s, x)": pp.HalfNormal(1),
        "cor(s, Intercept, x)": pp.LKJ(2),
        "sd(t)": pp.HalfNormal(1),
        "sigma": pp.Exponential(0.5),
    },
    LATTICE,
    {},
)
PROBLEMS = [CROSSED, NESTED, SLOPES]
WITH_DEFAULTS = [
    *PROBLEMS,
    replace(CROSSED, name="crossed, default priors", priors=None),
    replace(NESTED, name="nested, default priors", priors=None),
]
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
with_defaults = pytest.mark.parametrize("problem", WITH_DEFAULTS, ids=lambda problem: problem.name)


def read(fit: pp.Posterior, rename: Callable[[str], str] = str) -> Table:
    """Return mean and sd of every parameter and effect, by name."""
    table = fit.summary(effects=True)
    return {rename(str(name)): (line["mean"], line["sd"]) for name, line in table.iterrows()}


def agree(
    problem: Problem,
    other: pp.Posterior,
    rename: Callable[[str], str] = str,
    scale: Callable[[str], float] = lambda name: 1.0,
    log_factor: float = 0.0,
) -> None:
    """Compare a fit with the problem's own, in whose units each of its parameters is times ``scale``."""
    own, its = read(problem.own), read(other, rename)
    assert set(own) == set(its)
    for name, (mean, sd) in own.items():
        factor = scale(name)
        assert abs(its[name][0] - factor * mean) < problem.tolerance * abs(factor) * sd, name
        assert abs(its[name][1] - abs(factor) * sd) < problem.tolerance * abs(factor) * sd, name
    assert abs(other.log_marginal_likelihood + log_factor - problem.own.log_marginal_likelihood) < problem.tolerance


def take(data: Data, rows: Any) -> Data:
    return {name: values[rows] for name, values in data.items()}


@with_defaults
def test_permuted_rows(problem: Problem) -> None:
    agree(problem, problem.fit(take(problem.data, np.random.default_rng(5).permutation(60))))


@with_defaults
def test_relabelled_levels(problem: Problem) -> None:
    """Labels whose order is another; those of b are then other labels in each a."""
    renamed = {f"{name}{code}": f"{name}{(7 * code + 3) % 11:02}!" for name in "sta" for code in range(6)}
    old = {new: label for label, new in renamed.items()}
    data = dict(problem.data)
    for name in "sta":
        data[name] = np.array([renamed[label] for label in data[name]])
    data["b"] = np.array([f"{a}/{9 - int(b[1:])}" for a, b in zip(problem.data["a"], data["b"], strict=True)])

    def restore(name: str) -> str:
        name = re.sub(r"(\w\d\d!)", lambda match: old[match[1]], name)
        return re.sub(r":a\d/(\d)", lambda match: f":b{9 - int(match[1])}", name)

    agree(problem, problem.fit(data), restore)


@with_defaults
@pytest.mark.parametrize("units", [1e6, 1e-6, -1e3])
def test_response_in_other_units(problem: Problem, units: float) -> None:
    data = problem.data | {"y": units * problem.data["y"], "se": abs(units) * problem.data["se"]}
    priors = problem.priors and {name: rescale_prior(prior, units) for name, prior in problem.priors.items()}

    def scale(name: str) -> float:
        return 1.0 if name.startswith("cor(") else abs(units) if name.startswith(("sd(", "sigma")) else units

    agree(problem, problem.fit(data, priors=priors), scale=scale, log_factor=60 * np.log(abs(units)))


@with_defaults
@pytest.mark.parametrize("units", [1e6, 1e-6])
def test_covariate_in_other_units(problem: Problem, units: float) -> None:
    priors = problem.priors and {
        name: rescale_prior(prior, 1.0 / units) if name in ("x", "sd(s, x)") else prior
        for name, prior in problem.priors.items()
    }

    def scale(name: str) -> float:
        return 1.0 / units if name == "x" or (name.endswith((", x)", ", x]")) and "cor(" not in name) else 1.0

    agree(problem, problem.fit(problem.data | {"x": units * problem.data["x"]}, priors=priors), scale=scale)


@with_defaults
def test_response_far_from_zero(problem: Problem) -> None:
    shift = 2.0**27
    priors = problem.priors and {**problem.priors, "Intercept": pp.Normal(shift, 10)}
    its = problem.fit(problem.data | {"y": problem.data["y"] + shift}, priors=priors)
    own, far = read(problem.own), read(its)
    for name, (mean, sd) in own.items():
        moved = shift if name == "Intercept" or (name.startswith("theta") and not name.endswith(", x]")) else 0.0
        # rows' residuals are rounded to 2^-26 there, and a mean near 2^27 is a sum of hundreds of such numbers
        unit = (24.0 if moved else 1.0) * 2.0**-26
        assert abs(far[name][0] - mean - moved) < problem.tolerance * sd + unit, name
        assert abs(far[name][1] - sd) < problem.tolerance * sd, name


@each_problem
def test_repeated_rows_are_counts(problem: Problem) -> None:
    counts = np.random.default_rng(7).integers(1, 4, 60)
    repeated = problem.fit(take(problem.data, np.repeat(np.arange(60), counts)))
    counted = replace(problem, roles={**problem.roles, "counts": "k"}, data=problem.data | {"k": counts})
    agree(counted, repeated)


@each_problem
@pytest.mark.parametrize("role", ["counts", "weights"])
def test_rows_that_count_nothing_are_not_there(problem: Problem, role: str) -> None:
    if role == "weights" and "standard_error" in problem.roles:
        pytest.skip("known standard errors take no weights")
    kept = (np.arange(60) % 7 > 0).astype(int)
    left = replace(problem, data=take(problem.data, kept == 1))
    agree(left, problem.fit(problem.data | {"k": kept}, **{role: "k"}))


@pytest.mark.parametrize("problem", [CROSSED, NESTED], ids=lambda problem: problem.name)
def test_repeated_estimates_are_one_of_twice_the_precision(problem: Problem) -> None:
    twice = problem.fit(take(problem.data, np.repeat(np.arange(60), 2)))
    once = replace(problem, data=problem.data | {"se": problem.data["se"] / np.sqrt(2.0)})
    # each pair's density is that of its mean, times the density of a difference of 0
    lost = np.sum(np.log(4.0 * np.pi * problem.data["se"] ** 2)) / 2.0
    agree(once, twice, log_factor=lost)


ALIKE = [
    (CROSSED, "y ~ x + (1 | t) + (1 | s)", str),
    (NESTED, "y ~ x + (1 | a) + (1 | a:b)", str),
    (NESTED, "y ~ x + (1 | a:b) + (1 | a)", str),
    (NESTED, "y ~ x + (1 | a) + (1 | ab)", lambda name: name.replace("(ab)", "(a:b)").replace("[ab=", "[a:b=")),
    (SLOPES, "y ~ x + (1 | t) + (x | s)", str),
]


@pytest.mark.parametrize(("problem", "formula", "rename"), ALIKE, ids=[formula for _, formula, _ in ALIKE])
def test_terms_in_another_order_or_form(problem: Problem, formula: str, rename: Callable[[str], str]) -> None:
    data = problem.data | {"ab": np.char.add(np.char.add(problem.data["a"], ":"), problem.data["b"])}
    priors = dict(problem.priors or {})
    if "ab" in formula:
        priors["sd(ab)"] = priors.pop("sd(a:b)")
    agree(problem, problem.fit(data, formula=formula, priors=priors), rename)


def test_independent_effects_as_one_term_or_two() -> None:
    priors = {name: prior for name, prior in (SLOPES.priors or {}).items() if "cor" not in name}
    one = replace(SLOPES, formula="y ~ x + (1 + x || s) + (1 | t)", priors=priors)
    agree(one, one.fit(formula="y ~ x + (1 | s) + (1 | t) + (0 + x | s)"))


def test_a_factor_without_effect_changes_nothing() -> None:
    """With an sd that its prior holds at next to 0, the others are as without it."""
    formula = "y ~ x + (1 | s) + (1 | t) + (1 | a)"
    assert CROSSED.priors is not None
    with_a = CROSSED.fit(formula=formula, priors={**CROSSED.priors, "sd(a)": pp.HalfNormal(1e-7)})
    own, its = read(CROSSED.own), read(with_a)
    for name, (mean, sd) in own.items():
        assert abs(its[name][0] - mean) < LATTICE * sd, name
        assert abs(its[name][1] / sd - 1.0) < LATTICE, name
    assert abs(with_a.log_marginal_likelihood - CROSSED.own.log_marginal_likelihood) < 0.01

"""The problems that are rewritten: one for each route of the engine, with priors stated on the data's scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

import partialpool as pp
from partialpool.models.priors import Prior

from .agreement import GRID, LATTICE, Summaries, read_summaries

Data = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """A formula, its data, its priors (None: the defaults) and the tolerance that its route earns."""

    name: str
    formula: str
    data: Data
    priors: Mapping[str, Prior] | None
    tolerance: float
    roles: Mapping[str, str]

    def fit(self, data: Any = None, **changes: Any) -> pp.Posterior:
        """Fit, with other data or other arguments."""
        arguments = {"priors": self.priors, **self.roles, **changes}
        fitted = pp.fit(self.formula, self.data if data is None else data, **arguments)
        assert isinstance(fitted, pp.Posterior)
        return fitted

    @cached_property
    def own(self) -> pp.Posterior:
        """The fit of the problem as it stands."""
        return self.fit()

    @cached_property
    def summaries(self) -> Summaries:
        """The summaries of the problem as it stands."""
        return read_summaries(self.own)

    def with_default_priors(self) -> Problem:
        """Return the same problem under the default priors."""
        return replace(self, name=f"{self.name}, default priors", priors=None)


def _make_rows() -> Data:
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(12), [2, 3, 5, 4, 8, 6, 3, 7, 9, 5, 6, 4])
    x = rng.normal(1.0, 1.5, len(groups))
    slopes, intercepts = rng.normal(0.8, 0.6, 12), rng.normal(3.0, 1.2, 12)
    y = intercepts[groups] + slopes[groups] * x + rng.normal(0.0, 0.9, len(groups))
    return {"y": y, "x": x, "g": np.array(list("CABLDKEJFIGH"))[groups]}


def _make_estimates() -> Data:
    effects = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    errors = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
    return {"y": effects, "se": errors, "g": np.array(list("DABHCGEF"))}


ESTIMATES = Problem(
    "estimates",
    "y ~ 1 + (1 | g)",
    _make_estimates(),
    {"Intercept": pp.Normal(0, 20), "sd(g)": pp.HalfNormal(10)},
    GRID,
    {"standard_error": "se"},
)
INTERCEPTS = Problem(
    "intercepts",
    "y ~ x + (1 | g)",
    _make_rows(),
    {"Intercept": pp.Normal(0, 10), "x": pp.Normal(0, 5), "sd(g)": pp.HalfNormal(2), "sigma": pp.Exponential(0.5)},
    GRID,
    {},
)
SLOPES = Problem(
    "slopes",
    "y ~ x + (1 + x | g)",
    _make_rows(),
    {
        "Intercept": pp.Normal(0, 10),
        "x": pp.Normal(0, 5),
        "sd(g, Intercept)": pp.HalfNormal(2),
        "sd(g, x)": pp.HalfNormal(1),
        "cor(g, Intercept, x)": pp.LKJ(2),
        "sigma": pp.Exponential(0.5),
    },
    LATTICE,
    {},
)
PROBLEMS = [ESTIMATES, INTERCEPTS, SLOPES]
DEFAULTS = {problem.name: problem.with_default_priors() for problem in PROBLEMS}
WITH_DEFAULTS = [*PROBLEMS, *DEFAULTS.values()]

"""A Gaussian model from which parameters and rows can be drawn, written without the library's algebra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import partialpool as pp
from partialpool.models.priors import Prior

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class Study:
    """A model with its priors and the part of the data that is given: groups, a column x, standard errors (row,)."""

    name: str
    priors: Mapping[str, Prior]
    groups: IntArray
    x: FloatArray | None = None
    standard_error: FloatArray | None = None
    method: str = "auto"

    @property
    def given(self) -> dict[str, Any]:
        """The columns that are not simulated."""
        return {"g": self.groups} | ({} if self.x is None else {"x": self.x})

    @property
    def options(self) -> dict[str, Any]:
        """What ``fit`` is told beside formula and priors."""
        return {"standard_error": self.standard_error}

    @property
    def formula(self) -> str:
        """A population intercept and slope, each varying by group and correlated, or the intercept alone."""
        return "y ~ 1 + (1 | g)" if self.x is None else "y ~ x + (1 + x | g)"

    @property
    def columns(self) -> FloatArray:
        """The columns of the effects, (row, effect)."""
        ones = np.ones(len(self.groups))
        return ones[:, None] if self.x is None else np.stack([ones, self.x], axis=1)

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the effects' columns, which are the population's too."""
        return ("Intercept",) if self.x is None else ("Intercept", "x")

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return int(self.groups.max()) + 1

    def draw_truth(self, rng: np.random.Generator) -> dict[str, float]:
        """Draw every parameter from its prior, by the name that a fit's draws have."""
        truth = {
            name: float(prior.quantile(rng.random()))
            for name, prior in self.priors.items()
            if not isinstance(prior, pp.LKJ)
        }
        names = self.column_names
        sds = np.array([truth[self.sd_name(name)] for name in names])
        root = np.diag(sds)
        if self.x is not None:
            prior = self.priors["cor(g, Intercept, x)"]
            assert isinstance(prior, pp.LKJ)
            cor = float(prior.draw_partial(2, 1, rng)[0, 0])
            truth["cor(g, Intercept, x)"] = cor
            root = sds[:, None] * np.array([[1.0, 0.0], [cor, np.sqrt((1.0 - cor) * (1.0 + cor))]])
        effects = root @ rng.standard_normal((len(names), self.n_groups))
        for k, name in enumerate(names):
            for j, effect in enumerate(effects[k]):
                truth[self.effect_name("u", j, name)] = float(effect)
                truth[self.effect_name("theta", j, name)] = float(effect) + truth[name]
        return truth

    def sd_name(self, column: str) -> str:
        """The name of an effect's population sd."""
        return "sd(g)" if self.x is None else f"sd(g, {column})"

    def effect_name(self, kind: str, group: int, column: str) -> str:
        """The name of a group's deviation (u) or own value (theta)."""
        return f"{kind}[g={group}]" if self.x is None else f"{kind}[g={group}, {column}]"

    def predictor(self, values: Mapping[str, Any]) -> FloatArray:
        """Return each row's expected value, (row,) or (row, draw)."""
        own = [[values[self.effect_name("theta", j, name)] for j in range(self.n_groups)] for name in self.column_names]
        return np.einsum("rk,kr...->r...", self.columns, np.asarray(own)[:, self.groups])

    def noise(self, values: Mapping[str, Any]) -> FloatArray:
        """Return each row's residual sd, (row,) or (row, draw)."""
        of_rows = np.ones(len(self.groups)) if self.standard_error is None else self.standard_error
        return np.multiply.outer(of_rows, values.get("sigma", np.ones_like(values["Intercept"])))

    def simulate(self, truth: Mapping[str, float], rng: np.random.Generator) -> FloatArray:
        """Draw the responses (row,)."""
        predictor = self.predictor(truth)
        return predictor + self.noise(truth) * rng.standard_normal(len(predictor))

    def log_likelihood(self, response: FloatArray, values: Mapping[str, Any]) -> FloatArray:
        """Return log p(y | all parameters) less its constant, () or (draw,)."""
        predictor, noise = self.predictor(values), self.noise(values)
        z = (response.reshape((-1,) + (1,) * (predictor.ndim - 1)) - predictor) / noise
        return -np.sum(0.5 * z * z + np.log(noise), axis=0)

    @property
    def ranked(self) -> tuple[str, ...]:
        """Parameters to rank: all of the population, the first group's deviations, the last group's own values."""
        effects = [
            self.effect_name(kind, j, name)
            for kind, j in (("u", 0), ("theta", self.n_groups - 1))
            for name in self.column_names
        ]
        return (*self.priors, *effects)

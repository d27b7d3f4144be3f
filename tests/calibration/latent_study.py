"""A model with any likelihood and population from which parameters and rows can be drawn, written with numpy's
generators and without the library's algebra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

import partialpool as pp
from partialpool.models.priors import Prior

from .rows import draw_rows, log_density_of_rows

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LatentStudy:
    """A model with its priors and the part of the data that is given.

    ``labels`` are the factors' columns (row,), the coarsest first; ``x`` varies over the first where ``varies``.
    ``columns`` are the likelihood's own (trials, exposure, standard_error). ``options`` go to ``fit``. A ``population``
    of None is normal; ``lower`` truncates the rows, or where objects are ``selected`` it is what their one row had to
    pass.
    """

    name: str
    family: str
    priors: Mapping[str, Prior]
    labels: Mapping[str, NDArray[Any]]
    population: str | None = None
    x: FloatArray | None = None
    varies: bool = False
    columns: Mapping[str, FloatArray] = field(default_factory=dict)
    lower: float | None = None
    selected: bool = False
    accuracy: float | None = None
    method: str = "auto"

    @property
    def given(self) -> dict[str, Any]:
        """The columns that are not simulated."""
        return {**self.labels, **self.columns} | ({} if self.x is None else {"x": self.x})

    @property
    def options(self) -> dict[str, Any]:
        """What ``fit`` is told beside formula and priors."""
        told: dict[str, Any] = {"family": self.family, **{name: name for name in self.columns}}
        if self.accuracy:
            told["accuracy"] = self.accuracy
        if self.population:
            told["population"] = self.population
        if self.lower is not None:
            told["selection" if self.selected else "truncation"] = (self.lower, None)
        return told

    @property
    def formula(self) -> str:
        """The population's part is an intercept, and a slope where there is x."""
        within = "1 + x" if self.varies else "1"
        terms = " + ".join(f"({within} | {factor})" for factor in self.labels)
        return f"y ~ {'1' if self.x is None else 'x'} + {terms}"

    @property
    def replaced(self) -> bool:
        """Whether the population stands in the intercept's place."""
        return "Intercept" not in self.priors

    @property
    def effects(self) -> tuple[str, ...]:
        """What varies over the factors."""
        return ("Intercept", "x") if self.varies else ("Intercept",)

    def name_effect(self, kind: str, factor: str, level: Any, effect: str) -> str:
        """Return the name of a level's deviation (u) or own value (theta)."""
        return f"{kind}[{factor}={level}, {effect}]" if self.varies else f"{kind}[{factor}={level}]"

    def draw_truth(self, rng: np.random.Generator) -> dict[str, float]:
        """Draw every parameter from its prior, by the name that a fit's draws have."""
        truth = {
            name: float(prior.quantile(rng.random()))
            for name, prior in self.priors.items()
            if not isinstance(prior, pp.LKJ)
        }
        for factor, labels in self.labels.items():
            levels = list(dict.fromkeys(labels.tolist()))
            draw_levels = self._draw_selected if self.selected else self._draw_levels
            for level, drawn in zip(levels, draw_levels(factor, len(levels), truth, rng), strict=True):
                for effect, value in zip(self.effects, np.atleast_1d(drawn), strict=True):
                    if not self.replaced:
                        truth[self.name_effect("u", factor, level, effect)] = float(value)
                        value = value + truth[effect]
                    truth[self.name_effect("theta", factor, level, effect)] = float(value)
        return truth

    def _draw_levels(self, factor: str, n: int, truth: dict[str, float], rng: np.random.Generator) -> FloatArray:
        """Return the deviations (level,) or (level, effect), or the levels' own values on the linear scale."""
        if self.population == "beta":
            size = truth["concentration"]
            return logit(rng.beta(truth["mean"] * size, (1.0 - truth["mean"]) * size, n))
        if self.population == "gamma":
            return np.log(rng.gamma(truth["alpha"], 1.0 / truth["beta"], n))
        if self.varies:
            return self._draw_correlated(factor, n, truth, rng)
        sd = truth[f"sd({factor})"]
        if self.population == "skew_normal":
            skew = truth[f"skew({factor})"]
            delta = skew / np.hypot(1.0, skew)
            raw = delta * np.abs(rng.standard_normal(n)) + np.sqrt(1.0 - delta**2) * rng.standard_normal(n)
            return sd * (raw - delta * np.sqrt(2.0 / np.pi)) / np.sqrt(1.0 - 2.0 * delta**2 / np.pi)
        if self.population and self.population.startswith("student_t"):
            nu = truth.get(f"nu({factor})", 4.0)
            return sd * rng.standard_t(nu, n)
        return sd * rng.standard_normal(n)

    def _draw_selected(self, factor: str, n: int, truth: dict[str, float], rng: np.random.Generator) -> FloatArray:
        """Return the deviations (level,) of objects of which a measurement passes, each drawn until one does."""
        chosen = np.full(n, np.nan)
        while (left := np.flatnonzero(np.isnan(chosen))).size:
            drawn = self._draw_levels(factor, n, truth, rng)[left]
            eta = truth["Intercept"] + drawn
            mean = np.exp(eta) if self.population == "lognormal" else eta
            passed = mean + self.columns["standard_error"][left] * rng.standard_normal(left.size) > self.lower
            chosen[left[passed]] = drawn[passed]
        return chosen

    def _draw_correlated(self, factor: str, n: int, truth: dict[str, float], rng: np.random.Generator) -> FloatArray:
        name = f"cor({factor}, Intercept, x)"
        prior = self.priors[name]
        assert isinstance(prior, pp.LKJ)
        cor = truth[name] = float(prior.draw_partial(2, 1, rng)[0, 0])
        first, second = rng.standard_normal((2, n))
        second = cor * first + np.sqrt((1.0 - cor) * (1.0 + cor)) * second
        return np.stack([truth[f"sd({factor}, Intercept)"] * first, truth[f"sd({factor}, x)"] * second], axis=1)

    def predictor(self, values: Mapping[str, Any]) -> FloatArray:
        """Return each row's linear predictor, (row,) or (row, draw)."""
        kind = "theta" if self.replaced else "u"
        rows = [
            sum(
                values[self.name_effect(kind, factor, labels[i], effect)]
                * (1.0 if effect == "Intercept" or self.x is None else self.x[i])
                for factor, labels in self.labels.items()
                for effect in self.effects
            )
            for i in range(len(next(iter(self.labels.values()))))
        ]
        total = np.asarray(rows)
        if not self.replaced:
            total = total + values["Intercept"]
        return total if self.x is None else total + np.multiply.outer(self.x, values["x"])

    def simulate(self, truth: Mapping[str, float], rng: np.random.Generator) -> FloatArray:
        """Draw the responses (row,)."""
        return draw_rows(self, self.predictor(truth), truth, rng)

    def log_likelihood(self, response: FloatArray, values: Mapping[str, Any]) -> FloatArray:
        """Return log p(y | all parameters) less a constant, () or (draw,)."""
        eta = self.predictor(values)
        shape = (-1,) + (1,) * (eta.ndim - 1)
        columns = {name: column.reshape(shape) for name, column in self.columns.items()}
        return np.sum(log_density_of_rows(self, eta, response.reshape(shape), columns, values), axis=0)

    @property
    def ranked(self) -> tuple[str, ...]:
        """Parameters to rank: all of the population, and of each factor the first level's deviations and the last
        level's own values."""
        names = [
            self.name_effect(kind, factor, labels[k], effect)
            for factor, labels in self.labels.items()
            for kind, k in (("theta" if self.replaced else "u", 0), ("theta", -1))
            for effect in self.effects
        ]
        return (*self.priors, *names)

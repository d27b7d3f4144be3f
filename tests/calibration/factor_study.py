"""A Gaussian model with several grouping factors from which parameters and rows can be drawn, written without the
library's algebra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import partialpool as pp
from partialpool.models.priors import Prior

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FactorStudy:
    """A model with its priors and the part of the data that is given: label columns (row,), x, standard errors (row,).

    ``terms`` are the formula's group terms; ``factors`` are those that they make, each with the effects that vary over
    it ("Intercept", "x"), which are correlated where the priors say so.
    """

    name: str
    terms: str
    factors: tuple[tuple[str, tuple[str, ...]], ...]
    priors: Mapping[str, Prior]
    labels: Mapping[str, NDArray[Any]]
    x: FloatArray | None = None
    standard_error: FloatArray | None = None
    method: str = "auto"

    @property
    def given(self) -> dict[str, Any]:
        """The columns that are not simulated."""
        return {**self.labels} | ({} if self.x is None else {"x": self.x})

    @property
    def options(self) -> dict[str, Any]:
        """What ``fit`` is told beside formula and priors."""
        return {"standard_error": self.standard_error}

    @property
    def formula(self) -> str:
        """The population's part is an intercept, and a slope where there is x."""
        return f"y ~ {'1' if self.x is None else 'x'} + {self.terms}"

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.labels.values())))

    def column(self, name: str) -> FloatArray:
        """Return the column (row,) of a coefficient."""
        return np.ones(self.n_rows) if name == "Intercept" or self.x is None else self.x

    def levels(self, factor: str) -> list[str]:
        """Return the level of each row."""
        return [":".join(parts) for parts in zip(*(self.labels[part] for part in factor.split(":")), strict=True)]

    def draw_truth(self, rng: np.random.Generator) -> dict[str, float]:
        """Draw every parameter from its prior, by the name that a fit's draws have."""
        truth = {
            name: float(prior.quantile(rng.random()))
            for name, prior in self.priors.items()
            if not isinstance(prior, pp.LKJ)
        }
        for factor, effects in self.factors:
            sds = np.array([truth[self.sd_name(factor, effect)] for effect in effects])
            root = np.diag(sds)
            name = f"cor({factor}, {', '.join(effects)})"
            if name in self.priors:
                prior = self.priors[name]
                assert isinstance(prior, pp.LKJ)
                truth[name] = float(prior.draw_partial(2, 1, rng)[0, 0])
                root = sds[:, None] * np.array([[1.0, 0.0], [truth[name], np.sqrt(1.0 - truth[name] ** 2)]])
            for level in sorted(set(self.levels(factor))):
                drawn = root @ rng.standard_normal(len(effects))
                for effect, value in zip(effects, drawn, strict=True):
                    truth[self.effect_name("u", factor, level, effect)] = float(value)
                    truth[self.effect_name("theta", factor, level, effect)] = float(value) + truth[effect]
        return truth

    def sd_name(self, factor: str, effect: str) -> str:
        """The name of an effect's population sd."""
        return f"sd({factor})" if dict(self.factors)[factor] == ("Intercept",) else f"sd({factor}, {effect})"

    def effect_name(self, kind: str, factor: str, level: str, effect: str) -> str:
        """The name of a level's deviation (u) or own value (theta)."""
        alone = dict(self.factors)[factor] == ("Intercept",)
        return f"{kind}[{factor}={level}]" if alone else f"{kind}[{factor}={level}, {effect}]"

    def predictor(self, values: Mapping[str, Any]) -> FloatArray:
        """Return each row's expected value, (row,) or (row, draw)."""
        population = ("Intercept",) if self.x is None else ("Intercept", "x")
        total = sum(np.multiply.outer(self.column(name), values[name]) for name in population)
        for factor, effects in self.factors:
            levels = self.levels(factor)
            for effect in effects:
                own = np.asarray([values[self.effect_name("u", factor, level, effect)] for level in levels])
                total = total + (self.column(effect) * own.T).T
        return np.asarray(total)

    def noise(self, values: Mapping[str, Any]) -> FloatArray:
        """Return each row's residual sd, (row,) or (row, draw)."""
        of_rows = np.ones(self.n_rows) if self.standard_error is None else self.standard_error
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
        """Parameters to rank: all of the population, and of each factor the first level's deviations and the last
        level's own values."""
        effects = [
            self.effect_name(kind, factor, level, effect)
            for factor, names in self.factors
            for kind, level in (("u", min(self.levels(factor))), ("theta", max(self.levels(factor))))
            for effect in names
        ]
        return (*self.priors, *effects)

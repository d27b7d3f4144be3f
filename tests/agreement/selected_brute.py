"""Selected objects by brute force: every integral over an object's parameter is a sum over a dense grid, and the chance
of being selected is written out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import logsumexp

FloatArray = np.ndarray
#: Log density of deviations (or log means) at some t, from a point's parameters by name.
Population = Callable[[FloatArray, dict[str, float]], FloatArray]

_Z = np.linspace(-1.0, 1.0, 12_001)


@dataclass(frozen=True)
class SelectedCase:
    """A model of selected objects; ``population`` gives its log density, ``reach`` the half width of the grid of t."""

    name: str
    population: Population
    options: dict[str, Any]
    formula: str = "y ~ 1 + (1 | g)"
    family: str = "gaussian"
    log_link: bool = False
    lower: float = 1.0
    upper: float = np.inf
    width: float = 0.0
    rule: str | None = None
    repeats: tuple[int, ...] = (1,) * 8
    errors: bool = True
    reach: float = 25.0
    priors: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, list[float]]:
        """Rows of which every object passes, whatever the rule."""
        rng = np.random.default_rng(31)
        g = np.repeat(np.arange(len(self.repeats)), self.repeats)
        y = 1.3 + np.abs(rng.normal(size=len(g)))
        if self.rule in ("any", "first"):
            y[1::3] -= 0.9
            y[np.unique(g, return_index=True)[1]] = 1.6
        se, x = rng.uniform(0.2, 0.9, len(g)), rng.normal(size=len(g))
        return {"y": y.tolist(), "g": g.tolist(), "se": se.tolist(), "x": x.tolist()}

    @property
    def selection(self) -> dict[str, Any]:
        """What ``fit`` is told of the selection."""
        import partialpool as pp

        ends = (self.lower if np.isfinite(self.lower) else None, self.upper if np.isfinite(self.upper) else None)
        told: dict[str, Any] = {"selection": ends}
        if self.width:
            side, limit = ("above", ends[0]) if ends[1] is None else ("below", ends[1])
            told["selection"] = pp.ProbitSelection(limit, self.width, side)
        return told | ({"selection_rows": self.rule} if self.rule else {})

    def log_likelihood(self, values: dict[str, float]) -> float:
        """Return log p(y | values, selected)."""
        data = {name: np.asarray(column, dtype=float) for name, column in self.data.items()}
        t = self.reach * np.sinh(8.0 * _Z) / np.sinh(8.0)
        log_spacing = np.log(np.gradient(t))
        log_prior = self.population(t, values) + log_spacing
        base = values.get("Intercept", 0.0) + values.get("x", 0.0) * data["x"]
        y, lower, upper = data["y"], self.lower, self.upper
        if self.family == "lognormal":
            y, lower, upper = np.log(y), np.log(max(lower, 1e-300)), np.log(upper)
        total = 0.0
        for level in np.unique(data["g"]):
            mine = np.flatnonzero(data["g"] == level)
            eta = base[mine, None] + t
            mean = np.exp(eta) if self.log_link else eta
            noise = data["se"][mine, None] if self.errors else values["sigma"]
            rows = stats.norm.logpdf(y[mine, None], mean, noise)
            if self.family == "lognormal":
                rows = rows - y[mine, None]
            sd = np.hypot(noise, self.width)
            passed = stats.norm.cdf((upper - mean) / sd) - stats.norm.cdf((lower - mean) / sd)
            if not np.isfinite(upper):
                passed = stats.norm.sf((lower - mean) / sd)
            chance = {
                None: lambda p: p[0],
                "all": lambda p: p.prod(axis=0),
                "first": lambda p: p[0],
                "any": lambda p: -np.expm1(np.log1p(-np.minimum(p, 1 - 1e-16)).sum(axis=0)),
            }[self.rule](passed)
            with np.errstate(divide="ignore"):
                selected = logsumexp(np.log(chance) + log_prior)
            total += float(logsumexp(rows.sum(axis=0) + log_prior) - selected)
        return total


def _normal(t: FloatArray, v: dict[str, float]) -> FloatArray:
    return stats.norm.logpdf(t, 0.0, v["sd(g)"])


def _student(t: FloatArray, v: dict[str, float]) -> FloatArray:
    return stats.t.logpdf(t, v.get("nu(g)", 4.0), 0.0, v["sd(g)"])


def _skew(t: FloatArray, v: dict[str, float]) -> FloatArray:
    skew, sd = v["skew(g)"], v["sd(g)"]
    mean, variance = stats.skewnorm.stats(skew)
    scale = sd / np.sqrt(variance)
    return stats.skewnorm.logpdf(t, skew, -mean * scale, scale)


def _gamma(t: FloatArray, v: dict[str, float]) -> FloatArray:
    return stats.gamma.logpdf(np.exp(t), v["alpha"], scale=1.0 / v["beta"]) + t


def _exponential(t: FloatArray, v: dict[str, float]) -> FloatArray:
    return stats.expon.logpdf(np.exp(t), scale=v["mean"]) + t


_KNOWN = {"standard_error": "se"}
_SEVERAL = (1, 2, 3, 2, 1, 4)
_LOGNORMAL = {"family": "lognormal"}

CASES = {
    case.name: case
    for case in (
        SelectedCase("normal", _normal, _KNOWN),
        SelectedCase("normal, covariate", _normal, _KNOWN, formula="y ~ x + (1 | g)"),
        SelectedCase("normal, both limits", _normal, _KNOWN, upper=6.0),
        SelectedCase("normal, upper curve", _normal, _KNOWN, lower=-np.inf, upper=2.0, width=0.4),
        SelectedCase("normal, all rows", _normal, {}, rule="all", repeats=_SEVERAL, errors=False),
        SelectedCase("normal, any row", _normal, _KNOWN, rule="any", repeats=_SEVERAL),
        SelectedCase("normal, first row, sigma", _normal, {}, rule="first", repeats=_SEVERAL, errors=False),
        SelectedCase(
            "normal, any row by a curve, sigma", _normal, {}, rule="any", repeats=_SEVERAL, errors=False, width=0.5
        ),
        SelectedCase("normal, log link", _normal, {**_KNOWN, "link": "log"}, log_link=True, formula="y ~ x + (1 | g)"),
        SelectedCase(
            "student_t", _student, {**_KNOWN, "population": "student_t"}, formula="y ~ x + (1 | g)", reach=1e5
        ),
        SelectedCase(
            "student_t(nu=4), curve", _student, {**_KNOWN, "population": "student_t(nu=4)"}, width=0.7, reach=1e4
        ),
        SelectedCase("skew_normal", _skew, {**_KNOWN, "population": "skew_normal"}, upper=4.0),
        SelectedCase(
            "skew_normal, any row", _skew, {"population": "skew_normal"}, rule="any", repeats=_SEVERAL, errors=False
        ),
        SelectedCase("lognormal", _normal, {**_KNOWN, "population": "lognormal"}, log_link=True, lower=1.2),
        SelectedCase("gamma", _gamma, {**_KNOWN, "population": "gamma"}, log_link=True),
        SelectedCase("exponential", _exponential, {**_KNOWN, "population": "exponential"}, log_link=True, width=0.3),
        SelectedCase(
            "lognormal rows, first",
            _normal,
            _LOGNORMAL,
            family="lognormal",
            errors=False,
            rule="first",
            repeats=_SEVERAL,
        ),
        SelectedCase(
            "lognormal rows, all", _normal, _LOGNORMAL, family="lognormal", errors=False, rule="all", repeats=_SEVERAL
        ),
        SelectedCase(
            "lognormal rows, gamma",
            _gamma,
            {**_LOGNORMAL, "population": "gamma"},
            family="lognormal",
            errors=False,
            rule="first",
            repeats=_SEVERAL,
            width=0.2,
        ),
    )
}

"""What the long sampler samples: columns, covariances and densities, made from formula, data and printed priors.

Columns have unit spread and, beside an intercept, mean 0; the response of Gaussian and Student-t rows is in units of
its own spread. Priors are evaluated where they are stated, in the formula's units.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
LogDensity = Callable[[FloatArray], FloatArray]

_NORMAL_ROWS = ("gaussian", "student_t")


@dataclass(frozen=True)
class Block:
    """Correlated effects of one factor: where they stand among all columns, their own values (effect, row), and what
    their covariance is stated of and reported of per unit of each, (effect, effect)."""

    place: slice
    codes: IntArray
    n_levels: int
    values: FloatArray
    stated: FloatArray
    reported: FloatArray
    sd_priors: tuple[LogDensity, ...]
    eta: float
    sd_names: tuple[str, ...]
    correlation_names: tuple[str, ...]

    @property
    def order(self) -> int:
        """How many effects there are."""
        return len(self.values)

    @property
    def n_pairs(self) -> int:
        """How many pairs of effects."""
        return self.order * (self.order - 1) // 2

    @property
    def entries(self) -> list[tuple[int, int]]:
        """Places of the triangular root's entries."""
        return [(i, j) for i in range(self.order) for j in range(i + 1)]

    def root(self, at: FloatArray) -> FloatArray:
        """Return the triangular root (chain, effect, effect) at coordinates (coordinate, chain): logs of its diagonal,
        then inverse hyperbolic sines of its other entries in units of their row's diagonal."""
        root = np.zeros((at.shape[1], self.order, self.order))
        pair = self.order
        for i in range(self.order):
            root[:, i, i] = np.exp(at[i])
            for j in range(i):
                root[:, i, j] = root[:, i, i] * np.sinh(at[pair])
                pair += 1
        return root

    def root_entries(self, at: FloatArray) -> FloatArray:
        """Return the root's entries (entry, chain)."""
        root = self.root(at)
        return np.array([root[:, i, j] for i, j in self.entries])

    def log_prior(self, at: FloatArray) -> FloatArray:
        """Return the log density (chain,) of the coordinates.

        Sds and correlations to covariances: 2^q prod sd^q; covariances to the root's entries: prod root_ii^(q - i), i
        from 0; these to coordinates: prod root_ii^(i + 1) cosh.
        """
        sds = np.sqrt(((self.stated @ self.root(at)) ** 2).sum(axis=2)).T
        logs = np.log(sds).sum(axis=0)
        diagonal = at[: self.order].sum(axis=0)
        total = (self.order + 1) * diagonal + np.log(np.cosh(at[self.order :])).sum(axis=0) - self.order * logs
        if self.order > 1:
            total = total + (self.eta - 1.0) * 2.0 * (diagonal - logs)
        return total + sum(prior(sd) for prior, sd in zip(self.sd_priors, sds, strict=True))

    def report(self, at: FloatArray) -> list[FloatArray]:
        """Return sds, then correlations, in the formula's units, each (chain,)."""
        root = self.reported @ self.root(at)
        sds = np.sqrt((root**2).sum(axis=2))
        pairs = [(i, j) for i in range(self.order) for j in range(i + 1, self.order)]
        return [*sds.T, *((root[:, i] * root[:, j]).sum(axis=1) / (sds[:, i] * sds[:, j]) for i, j in pairs)]


@dataclass(frozen=True)
class SampledModel:
    """All columns (row, column), coefficients first; their prior given standardised effects; the rows."""

    family: str
    columns: FloatArray
    n_fixed: int
    blocks: tuple[Block, ...]
    prior_precision: FloatArray
    prior_side: FloatArray
    response: FloatArray
    trials: FloatArray
    centre: float
    unit: float
    means: FloatArray
    sds: FloatArray
    fixed_names: tuple[str, ...]
    dispersion_starts: tuple[tuple[str, float], ...]
    dispersion_priors: dict[str, LogDensity]

    @property
    def n_columns(self) -> int:
        """Coefficients and effects."""
        return self.columns.shape[1]

    @property
    def is_normal(self) -> bool:
        """Whether rows are normal, given weights of their own if need be."""
        return self.family in _NORMAL_ROWS

    @cached_property
    def gram(self) -> FloatArray:
        """Cross-products (1, column, column)."""
        return np.asarray((self.columns.T @ self.columns)[None])

    @cached_property
    def prior_root(self) -> FloatArray:
        """A root of the prior's precision."""
        return np.linalg.cholesky(self.prior_precision)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Parameters in the order of ``report``."""
        own = [name for block in self.blocks for name in (*block.sd_names, *block.correlation_names)]
        return (*self.fixed_names, *own, *(name for name, _ in self.dispersion_starts))

    def log_dispersion_prior(self, name: str, at: FloatArray) -> FloatArray:
        """Return the log prior (chain,) of sigma, shape or nu by its log, and what the rows' densities left out."""
        value = np.exp(at) * (self.unit if name == "sigma" else 1.0)
        total = self.dispersion_priors[name](value) + at
        if name == "shape":
            counts, times = np.unique(self.response, return_counts=True)
            rising = special.gammaln(counts + value[:, None]) - special.gammaln(value)[:, None]
            total = total + rising @ times + len(self.response) * value * at
        return total

    def report(self, natural: FloatArray, coordinates: list[FloatArray], dispersion: dict[str, FloatArray]) -> Any:
        """Return the parameters (chain, parameter) in the formula's units."""
        slopes = natural[:, 1 : self.n_fixed] * self.unit / self.sds
        found = [self.centre + self.unit * natural[:, 0] - slopes @ self.means, *slopes.T]
        for block, at in zip(self.blocks, coordinates, strict=True):
            found += block.report(at)
        found += [np.exp(at) * (self.unit if name == "sigma" else 1.0) for name, at in dispersion.items()]
        return np.array(found).T


def row_log_density(model: SampledModel, linear: FloatArray, dispersion: dict[str, FloatArray]) -> FloatArray:
    """Return log densities (chain, row), without terms that depend on nothing, or on a shape alone."""
    y = model.response
    if model.family == "binomial":
        return y * linear - model.trials * np.logaddexp(0.0, linear)
    if model.family == "poisson":
        return y * linear - np.exp(linear)
    if model.family == "negative_binomial":
        log_shape = dispersion["shape"][:, None]
        return y * linear - (y + np.exp(log_shape)) * np.logaddexp(linear, log_shape)
    log_sigma = dispersion["sigma"][:, None]
    square = (y - linear) ** 2 * np.exp(-2.0 * log_sigma)
    if model.family == "gaussian":
        return -log_sigma - 0.5 * square
    nu = np.exp(dispersion["nu"])[:, None]
    height = special.gammaln(0.5 * (nu + 1.0)) - special.gammaln(0.5 * nu) - 0.5 * np.log(nu)
    return height - log_sigma - 0.5 * (nu + 1.0) * np.log1p(square / nu)


def row_slopes(
    model: SampledModel, linear: FloatArray, dispersion: dict[str, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return slope and negative curvature (chain, row) of the log densities of counts."""
    y = model.response
    if model.family == "binomial":
        p = special.expit(linear)
        return y - model.trials * p, model.trials * p * (1.0 - p)
    rate = np.exp(linear)
    if model.family == "poisson":
        return y - rate, rate
    shape = np.exp(dispersion["shape"])[:, None]
    return shape * (y - rate) / (shape + rate), rate * shape * (shape + y) / (shape + rate) ** 2


def read_model(fit: Any, formula: str, data: dict[str, Any], options: dict[str, Any]) -> SampledModel:
    """Read ``y ~ 1 + x + (x | a/b) + ...`` with the priors that the fit prints."""
    family = str(options.get("family", "gaussian"))
    y = np.asarray(data["y"], dtype=float)
    centre, unit = (float(y.mean()), float(y.std())) if family in _NORMAL_ROWS else (0.0, 1.0)
    fixed_part, terms = formula.split("~")[1].split("+ (", 1)
    names = [name.strip() for name in fixed_part.split("+")][1:]
    x = np.array([data[name] for name in names], dtype=float).reshape(len(names), len(y))
    means, sds = x.mean(axis=1), x.std(axis=1)
    columns = [np.ones(len(y)), *((x - means[:, None]) / sds[:, None])]
    precision, side = np.zeros(len(columns)), np.zeros(len(columns))
    for k, name in enumerate(["Intercept", *names]):
        mu, sigma = _numbers(fit.priors[name])
        if not k and names and "at='means'" not in fit.priors[name]:
            raise ValueError("the intercept's prior is not at the columns' means")
        scale = unit / sds[k - 1] if k else unit
        precision[k] = (scale / sigma) ** 2
        side[k] = precision[k] * (mu - (0.0 if k else centre)) / scale
    blocks: list[Block] = []
    stacked = list(columns)
    for factor, effects in read_terms("(" + terms):
        block = _build_block(fit.priors, data, factor, effects, len(stacked), unit)
        blocks.append(block)
        stacked += [value * (block.codes == level) for value in block.values for level in range(block.n_levels)]
    n_effects = len(stacked) - len(columns)
    dispersions = [
        (name, start) for name, start in (("sigma", -0.5), ("shape", 0.5), ("nu", 2.0)) if name in fit.priors
    ]
    return SampledModel(
        family, np.array(stacked).T, len(columns), tuple(blocks), np.diag(np.r_[precision, np.ones(n_effects)]),
        np.r_[side, np.zeros(n_effects)], (y - centre) / unit, np.asarray(data.get("n", np.ones(len(y))), dtype=float),
        centre, unit, means, sds, ("Intercept", *names), tuple(dispersions),
        {name: _read_density(fit.priors[name]) for name, _ in dispersions},
    )  # fmt: skip


def read_terms(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the factor and the effects of each block; one effect twice or before others stands apart from them."""
    found = []
    for effects, bar, factors in re.findall(r"\(([^|]+)(\|\|?)([^)]+)\)", text):
        names = ["Intercept", *(name.strip() for name in effects.split("+") if name.strip() != "1")]
        steps = factors.strip().split("/")
        for factor in [":".join(steps[: k + 1]) for k in range(len(steps))]:
            found += [(factor, tuple(names))] if bar == "|" else [(factor, (name, *names)) for name in names]
    return found


def _build_block(
    priors: dict[str, str], data: dict[str, Any], factor: str, effects: tuple[str, ...], start: int, unit: float
) -> Block:
    """Effects named twice are those of a double bar: the first is the block's own, the others stand apart."""
    apart = effects[0] in effects[1:]
    own, several = effects[:1] if apart else effects, len(set(effects)) > 1
    labels = np.array([data[name] for name in factor.split(":")])
    codes = np.asarray(np.unique(labels, axis=1, return_inverse=True)[1]).ravel()
    with_intercept = "Intercept" in own
    values, back = [], np.eye(len(own)) * unit
    for k, name in enumerate(own):
        x = np.ones(len(codes)) if name == "Intercept" else np.asarray(data[name], dtype=float)
        if name != "Intercept":
            back[k, k] = unit / x.std()
            back[0, k] -= back[k, k] * x.mean() if with_intercept else 0.0
            x = (x - (x.mean() if with_intercept else 0.0)) / x.std()
        values.append(x)
    correlation = next((text for key, text in priors.items() if key.startswith(f"cor({factor}")), "LKJ(1)")
    at_means = "at='means'" in correlation
    sd_names = tuple(f"sd({factor}, {name})" if several else f"sd({factor})" for name in own)
    n_levels = int(codes.max()) + 1
    return Block(
        slice(start, start + len(own) * n_levels), codes, n_levels, np.array(values),
        np.diag(np.diag(back)) if at_means else back, back, tuple(_read_density(priors[name]) for name in sd_names),
        _numbers(correlation)[0], sd_names,
        tuple(f"cor({factor}, {own[i]}, {own[j]})" for i in range(len(own)) for j in range(i + 1, len(own))),
    )  # fmt: skip


def _numbers(text: str) -> list[float]:
    return [float(each) for each in text.split("(")[1].rstrip(")").split(",") if "at=" not in each]


def _read_density(text: str) -> LogDensity:
    """Return a prior's log density, up to a constant, of positive values."""
    name, numbers = text.split("(")[0], _numbers(text)
    if name == "HalfStudentT":
        return lambda v: -0.5 * (numbers[0] + 1.0) * np.log1p((v / numbers[1]) ** 2 / numbers[0])
    if name == "HalfCauchy":
        return lambda v: -np.log1p((v / numbers[0]) ** 2)
    if name == "Exponential":
        return lambda v: -numbers[0] * v
    if name == "Gamma":
        return lambda v: (numbers[0] - 1.0) * np.log(v) - numbers[1] * v
    if name == "LogNormal":
        return lambda v: -np.log(v) - 0.5 * ((np.log(v) - numbers[0]) / numbers[1]) ** 2
    raise ValueError(f"the long sampler knows no density {text}")

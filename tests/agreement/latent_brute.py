"""Posteriors of one-factor models by brute force: scipy.stats densities on dense grids.

Hyperparameters lie on a tensor product of Gauss-Legendre axes in their natural values; each group's own value on a
grid about the population's centre, dense enough for the trapezoid rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import logsumexp

FloatArray = NDArray[np.float64]
#: Hyperparameters by name, each (node, 1) or (node,).
Hyper = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Axis:
    """Gauss-Legendre nodes in t, 0 < t < 1, of a hyperparameter ``value_of`` t."""

    n: int
    value_of: Callable[[FloatArray], FloatArray]
    slope_of: Callable[[FloatArray], FloatArray]

    @cached_property
    def unit(self) -> tuple[FloatArray, FloatArray]:
        """Nodes and weights in t."""
        nodes, weights = np.polynomial.legendre.leggauss(self.n)
        return 0.5 * (nodes + 1.0), 0.5 * weights

    @property
    def values(self) -> FloatArray:
        """The hyperparameter at the nodes."""
        return self.value_of(self.unit[0])

    @property
    def weights(self) -> FloatArray:
        """The nodes' weights by value."""
        return self.unit[1] * self.slope_of(self.unit[0])


def half_line(scale: float, n: int) -> Axis:
    """Value = scale t^2 / (1 - t)^2."""
    return Axis(n, lambda t: scale * (t / (1 - t)) ** 2, lambda t: 2 * scale * t / (1 - t) ** 3)


def line(centre: float, scale: float, n: int) -> Axis:
    """Value = centre + scale s / (1 - s^2), s = 2 t - 1."""

    def value_of(t: FloatArray) -> FloatArray:
        return centre + scale * (2 * t - 1) / (4 * t * (1 - t))

    return Axis(n, value_of, lambda t: scale * (1 - 2 * t + 2 * t * t) / (4 * (t * (1 - t)) ** 2))


def unit_interval(n: int) -> Axis:
    """Value = t."""
    return Axis(n, np.asarray, np.ones_like)


@dataclass(frozen=True)
class BruteCase:
    """A model written twice: ``formula``, ``data``, ``options`` and ``priors`` as text for the library; ``axes``,
    frozen scipy distributions ``densities``, ``population`` and ``rows`` for brute force.

    ``population`` (theta, hyper) and ``rows`` (theta, hyper, row), theta (node, point), return log densities
    on the linear predictor's scale, (node, point). ``place`` returns centre and scale (node,) of the
    population. ``codes`` (row,) are the rows' groups, ``response`` the inverse link, ``derived`` further
    hyperparameters.
    """

    name: str
    data: Mapping[str, Any]
    codes: tuple[int, ...]
    options: Mapping[str, Any]
    priors: Mapping[str, str]
    axes: Mapping[str, Axis]
    densities: Mapping[str, Any]
    place: Callable[[Hyper], tuple[FloatArray, FloatArray]]
    population: Callable[[FloatArray, Hyper], FloatArray]
    rows: Callable[[FloatArray, Hyper, int], FloatArray]
    response: Callable[[FloatArray], FloatArray]
    formula: str = "y ~ 1 + (1 | g)"
    derived: Mapping[str, Callable[[Hyper], FloatArray]] = field(default_factory=dict)
    stretch: float = 0.3
    n_points: int = 401

    def grid(self, hyper: Hyper, n_points: int) -> tuple[FloatArray, FloatArray]:
        """Return the groups' own values (node, point) and the logs of their trapezoid weights."""
        w = np.linspace(-14.0, 14.0, n_points)
        centre, scale = (np.asarray(each)[:, None] for each in self.place(hyper))
        z = np.sinh(self.stretch * w) / self.stretch
        return centre + scale * z, np.log(scale * np.cosh(self.stretch * w) * (w[1] - w[0]))

    def log_terms(self, hyper: Hyper, n_points: int) -> tuple[FloatArray, FloatArray]:
        """Return the own values (node, point) and the log terms (group, node, point) whose sums are the integrals."""
        theta, log_weights = self.grid(hyper, n_points)
        tall = {name: value[:, None] for name, value in hyper.items()}
        terms = np.repeat((self.population(theta, tall) + log_weights)[None], max(self.codes) + 1, axis=0)
        for row, code in enumerate(self.codes):
            terms[code] += self.rows(theta, tall, row)
        return theta, np.where(np.isnan(terms), -np.inf, terms)

    def log_likelihood(self, hyper: Hyper, n_points: int = 4001) -> FloatArray:
        """Return log p(y | hyperparameters) (node,)."""
        return logsumexp(self.log_terms(hyper, n_points)[1], axis=2).sum(axis=0)


@dataclass(frozen=True)
class Brute:
    """The posterior: ``hyper`` by name (node,), ``weights`` (node,), own values ``theta`` (node, point) and, for each
    group, their ``shares`` (group, node, point) of the whole posterior; log p(y)."""

    case: BruteCase
    hyper: Hyper
    weights: FloatArray
    theta: FloatArray
    shares: FloatArray
    log_marginal_likelihood: float

    @cached_property
    def response(self) -> FloatArray:
        """The own values on the response's scale."""
        with np.errstate(over="ignore"):
            return self.case.response(self.theta)

    @cached_property
    def _cells(self) -> dict[str, FloatArray]:
        with np.errstate(all="ignore"):
            both = {"linear": self.theta, "response": self.response}
            return {scale: np.abs(np.gradient(values, axis=1)) for scale, values in both.items()}

    def mean_sd(self, name: str) -> tuple[float, float]:
        """Return the mean and sd of a hyperparameter."""
        values = self.case.derived[name](self.hyper) if name in self.case.derived else self.hyper[name]
        mean = float(self.weights @ values)
        return mean, float(np.sqrt(self.weights @ (values - mean) ** 2))

    def cdf(self, name: str, at: float) -> float:
        """Return P(hyperparameter < at) from a spline through its marginal density."""
        place = list(self.case.axes).index(name)
        shape = [axis.n for axis in self.case.axes.values()]
        axis = self.case.axes[name]
        nodes, widths = axis.unit
        others = tuple(k for k in range(len(shape)) if k != place)
        density = self.weights.reshape(shape).sum(axis=others) / widths
        spline = CubicSpline(np.r_[0.0, nodes, 1.0], np.r_[0.0, density, 0.0])
        return float(spline.integrate(0.0, brentq(lambda t: axis.value_of(t) - at, 1e-9, 1.0 - 1e-9)))

    def group_mean_sd(self, group: int, scale: str) -> tuple[float, float]:
        """Return the mean and sd of a group's own value on the 'linear' or 'response' scale."""
        values, shares = self.theta if scale == "linear" else self.response, self.shares[group]
        used = shares > 0.0
        mean = float(np.sum(values[used] * shares[used]))
        return mean, float(np.sqrt(np.sum((values[used] - mean) ** 2 * shares[used])))

    def group_cdf(self, group: int, scale: str, at: float) -> float:
        """Return P(own value < at); a point's mass is spread evenly over its cell."""
        values = self.theta if scale == "linear" else self.response
        with np.errstate(all="ignore"):
            below = np.clip((at - values) / self._cells[scale] + 0.5, 0.0, 1.0)
        return float(np.nansum(self.shares[group] * below))


def integrate(case: BruteCase) -> Brute:
    """Integrate on the tensor grid."""
    mesh = np.meshgrid(*(axis.values for axis in case.axes.values()), indexing="ij")
    hyper = {name: each.ravel() for name, each in zip(case.axes, mesh, strict=True)}
    widths = np.meshgrid(*(axis.weights for axis in case.axes.values()), indexing="ij")
    log_prior = sum(np.log(each.ravel()) for each in widths)
    # far out the densities of scipy.stats overflow, where no mass is
    with np.errstate(all="ignore"):
        log_prior = log_prior + sum(case.densities[name].logpdf(hyper[name]) for name in case.axes)
        theta, terms = case.log_terms(hyper, case.n_points)
        own = logsumexp(terms, axis=2)
        log_weights = log_prior + own.sum(axis=0)
        log_weights[np.isnan(log_weights)] = -np.inf
        total = float(logsumexp(log_weights))
        weights = np.exp(log_weights - total)
        terms -= own[:, :, None]
        shares = np.exp(terms, out=terms)
        shares *= weights[None, :, None]
    return Brute(case, hyper, weights, theta, np.nan_to_num(shares, copy=False), total)

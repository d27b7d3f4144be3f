"""The space of hyperparameters: names, priors, and the map from unbounded coordinates to natural values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from partialpool.models.priors import LKJ, ScalarPrior
from partialpool.numerics.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class ScalarHyperparameter:
    """A hyperparameter that lives on an interval: a population sd, the residual sd, or a coefficient whose prior
    is neither normal nor flat and so cannot be integrated out in closed form.

    ``guess`` is a natural value near which, within an order of magnitude, the data put it.
    """

    name: str
    role: Literal["effect_sd", "residual_sd", "coefficient"]
    prior: ScalarPrior
    guess: float
    spread: float  # for a coefficient, the sd of its estimate; for a scale unused

    @property
    def support(self) -> tuple[float, float]:
        """The interval of natural values."""
        lower, upper = self.prior.support
        return (max(lower, 0.0), upper) if self.role != "coefficient" else (lower, upper)

    def constrain(self, coordinate: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the natural values and the log of |d natural / d coordinate|.

        The whole line is mapped by scaling, a half line by the exponential, an interval by the logistic.
        """
        lower, upper = self.support
        if np.isinf(lower):
            return self.guess + self.spread * coordinate, np.full(coordinate.shape, np.log(self.spread))
        if np.isinf(upper):
            above = np.exp(coordinate)
            return lower + above, coordinate
        width = upper - lower
        # log of the logistic function and of one minus it, without cancellation
        log_up, log_down = -np.logaddexp(0.0, -coordinate), -np.logaddexp(0.0, coordinate)
        return lower + width * np.exp(log_up), np.log(width) + log_up + log_down

    def unconstrain(self, value: float) -> float:
        """Return the coordinate of one natural value, moved inside the support when it lies outside."""
        lower, upper = self.support
        if np.isinf(lower):
            return (value - self.guess) / self.spread
        if np.isinf(upper):
            return float(np.log(max(value - lower, 1e-8 * max(abs(lower), value, 1e-300))))
        fraction = min(max((value - lower) / (upper - lower), 1e-8), 1.0 - 1e-3)
        return float(np.log(fraction) - np.log1p(-fraction))


@dataclass(frozen=True)
class CorrelationBlock:
    """Effects that are correlated among themselves: their ``positions`` among the effects, the ``names`` of the
    correlations in the order (0,1), (0,2), ..., (1,2), ..., and the prior of the matrix."""

    positions: tuple[int, ...]
    names: tuple[str, ...]
    prior: LKJ


@dataclass(frozen=True)
class HyperPoints:
    """Hyperparameters on their natural scale, the node axis last.

    ``effect_root`` (effect, effect, node) is the lower root of the effects' covariance matrix, diag(sd) times
    the Cholesky factor of the correlation matrix; ``residual_sd`` (node,); ``coefficients``
    (sampled coefficient, node).
    """

    effect_root: FloatArray
    residual_sd: FloatArray
    coefficients: FloatArray

    @property
    def n_nodes(self) -> int:
        """How many points there are."""
        return len(self.residual_sd)

    def select(self, nodes: IntArray) -> HyperPoints:
        """Return some of the points."""
        return HyperPoints(
            self.effect_root[..., nodes],
            self.residual_sd[nodes],
            self.coefficients[..., nodes],
        )


@dataclass(frozen=True)
class HyperSpace:
    """Every hyperparameter of a model in coordinate order: effect sds, partial correlations, residual sd,
    sampled coefficients.

    Where the population is known (no pooling), ``fixed_effect_sds`` (effect,) replaces the effect sds and
    ``fixed_coefficients`` are the population's values; ``fixed_residual_sd`` is the residual sd where that is known.
    """

    effect_sds: tuple[ScalarHyperparameter, ...]
    correlations: tuple[CorrelationBlock, ...]
    residual_sd: ScalarHyperparameter | None
    coefficients: tuple[ScalarHyperparameter, ...]
    n_effects: int
    fixed_effect_sds: FloatArray | None = None
    fixed_coefficients: tuple[float, ...] = ()
    fixed_residual_sd: float = 1.0

    @cached_property
    def n_correlations(self) -> int:
        """How many correlation coordinates there are."""
        return sum(len(block.names) for block in self.correlations)

    @property
    def dimension(self) -> int:
        """The number of coordinates."""
        residual = self.residual_sd is not None
        return len(self.effect_sds) + self.n_correlations + residual + len(self.coefficients)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The natural parameters' names in the order of ``natural_values``."""
        correlations = [name for block in self.correlations for name in block.names]
        residual = [self.residual_sd.name] if self.residual_sd else []
        return (
            *(sd.name for sd in self.effect_sds),
            *correlations,
            *residual,
            *(coefficient.name for coefficient in self.coefficients),
        )

    @property
    def scalars(self) -> tuple[ScalarHyperparameter | None, ...]:
        """The scalar hyperparameter of each coordinate; None for correlations."""
        residual = (self.residual_sd,) if self.residual_sd else ()
        return (*self.effect_sds, *([None] * self.n_correlations), *residual, *self.coefficients)

    def constrain(self, coordinates: FloatArray) -> tuple[HyperPoints, FloatArray]:
        """Return the natural values and the log prior density per unit of coordinate, Jacobians included.

        ``coordinates`` is (node, dimension).
        """
        n_nodes = len(coordinates)
        log_prior = np.zeros(n_nodes)
        columns = iter(np.ascontiguousarray(coordinates.T))

        def scalar(hyper: ScalarHyperparameter) -> FloatArray:
            natural, log_slope = hyper.constrain(next(columns))
            np.add(log_prior, hyper.prior.log_density(natural) + log_slope, out=log_prior)
            return natural

        sds = [scalar(hyper) for hyper in self.effect_sds]
        root = self._effect_root(np.array(sds).reshape(len(sds), n_nodes), columns, log_prior)
        residual = scalar(self.residual_sd) if self.residual_sd else np.full(n_nodes, self.fixed_residual_sd)
        sampled = [scalar(hyper) for hyper in self.coefficients]
        sampled += [np.full(n_nodes, value) for value in self.fixed_coefficients]
        return HyperPoints(root, residual, np.array(sampled).reshape(len(sampled), n_nodes)), log_prior

    def _effect_root(self, sds: FloatArray, columns: Iterator[FloatArray], log_prior: FloatArray) -> FloatArray:
        """Return the effects' covariance root (effect, effect, node); add the correlations' prior in place."""
        n_nodes = len(log_prior)
        if self.fixed_effect_sds is not None:
            sds = np.repeat(self.fixed_effect_sds[:, None], n_nodes, axis=1)
        root = np.zeros((self.n_effects, self.n_effects, n_nodes))
        for k in range(self.n_effects):
            root[k, k] = sds[k]
        for block in self.correlations:
            partial = np.tanh(np.array([next(columns) for _ in block.names]))
            with np.errstate(divide="ignore"):
                np.add(log_prior, block.prior.log_density_partial(partial), out=log_prior)
                np.add(log_prior, np.log1p(-partial * partial).sum(axis=0), out=log_prior)
            unit = correlation_root(partial, len(block.positions))
            for i, row in enumerate(block.positions):
                for j, column in enumerate(block.positions[: i + 1]):
                    root[row, column] = sds[row] * unit[i, j]
        return root

    def natural_values(self, points: HyperPoints) -> FloatArray:
        """Return the reported parameters (node, parameter), in the order of ``names``."""
        root = points.effect_root
        sds = np.sqrt(np.sum(root * root, axis=1))
        columns = [sds[k] for k in range(len(self.effect_sds))]
        for block in self.correlations:
            for i, row in enumerate(block.positions):
                for column in block.positions[i + 1 :]:
                    product = np.sum(root[row] * root[column], axis=0)
                    columns.append(product / np.maximum(sds[row] * sds[column], 1e-300))
        if self.residual_sd:
            columns.append(points.residual_sd)
        columns.extend(points.coefficients[: len(self.coefficients)])
        return np.stack(columns, axis=1) if columns else np.empty((points.n_nodes, 0))

    def starts(self) -> FloatArray:
        """Return starting coordinates (start, dimension): effect sds at several fractions of their guesses."""
        rows = []
        for fraction in (0.02, 0.1, 0.3, 0.7, 1.5):
            effect = [hyper.unconstrain(fraction * hyper.guess) for hyper in self.effect_sds]
            residual = [self.residual_sd.unconstrain(0.8 * self.residual_sd.guess)] if self.residual_sd else []
            location = [hyper.unconstrain(hyper.guess) for hyper in self.coefficients]
            rows.append([*effect, *([0.0] * self.n_correlations), *residual, *location])
        return np.array(rows)


def correlation_root(partial: FloatArray, order: int) -> FloatArray:
    """Return the Cholesky factor (order, order, node) of the correlation matrix of canonical partial correlations.

    ``partial`` (pair, node) lists them as (0,1), (0,2), ..., (1,2), ....

    Source: Lewandowski, Kurowicka and Joe (2009), J. Multivariate Analysis 100:1989-2001, section 2.4.
    """
    root = np.zeros((order, order, partial.shape[1]))
    left_over = np.ones((order, partial.shape[1]))  # the length of each row not yet used up
    pair = 0
    for column in range(order):
        root[column, column] = left_over[column]
        for row in range(column + 1, order):
            root[row, column] = partial[pair] * left_over[row]
            left_over[row] *= np.sqrt((1.0 - partial[pair]) * (1.0 + partial[pair]))
            pair += 1
    return root

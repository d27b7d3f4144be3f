"""The covariance matrix of effects that are correlated among themselves, in one of two charts.

In the *natural* chart coordinates are log sds and Fisher z of the correlations. Where an intercept's value at the
formula's zero lies far outside the data, its sd, a slope's and their correlation are tied along a ridge there; the
*centred* chart describes the covariance of the effects of centred columns, which are nearly independent, at the price
of a thin ridge where the intercept's own sd vanishes. Priors are evaluated where they are stated, in both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from partialpool.models.priors import LKJ, Fixed, ScalarPrior
from partialpool.numerics.arrays import FloatArray


@dataclass(frozen=True)
class CovarianceBlock:
    """Correlated effects: their ``positions`` among all effects, the ``names`` of the correlations in the order
    (0,1), (0,2), ..., (1,2), ..., the priors of their sds and of the correlation matrix (``Fixed``: all its
    correlations are that).

    ``centre`` (effect,) are the columns' means if the effect at ``intercept`` is an intercept, zero elsewhere;
    ``in_centred_chart`` says which chart the coordinates are in: where the intercept's sd or the correlations are
    given, always the one that they are stated in, of which they are coordinates.
    """

    positions: tuple[int, ...]
    names: tuple[str, ...]
    sd_priors: tuple[ScalarPrior, ...]
    correlation_prior: LKJ | Fixed
    intercept: int | None
    centre: tuple[float, ...]
    in_centred_chart: bool = True

    @property
    def is_centred(self) -> bool:
        """Whether the coordinates differ from the natural ones."""
        return self.in_centred_chart and self.intercept is not None and any(self.centre)

    def in_natural_chart(self) -> CovarianceBlock:
        """Return the same block in natural coordinates, where these are free to be chosen."""
        return self if self.is_pinned else replace(self, in_centred_chart=False)

    @property
    def at(self) -> Literal["zero", "means"]:
        """Where the prior is stated."""
        return self.correlation_prior.at if isinstance(self.correlation_prior, LKJ) else "zero"

    @property
    def given_correlation(self) -> float | None:
        """The value of all correlations where it is known."""
        return self.correlation_prior.value if isinstance(self.correlation_prior, Fixed) else None

    @property
    def is_pinned(self) -> bool:
        """Whether something is given that is a coordinate in the stated chart alone."""
        of_intercept = self.intercept is not None and isinstance(self.sd_priors[self.intercept], Fixed)
        return of_intercept or self.given_correlation is not None

    def __post_init__(self) -> None:
        if self.is_pinned:
            object.__setattr__(self, "in_centred_chart", self.at == "means")

    @cached_property
    def given(self) -> tuple[FloatArray, FloatArray]:
        """Log sds (effect,) and Fisher z (pair,) whose values are given, NaN elsewhere."""
        sds = np.array([np.log(prior.value) if isinstance(prior, Fixed) else np.nan for prior in self.sd_priors])
        fisher_z = np.full(len(self.names), np.nan)
        if self.given_correlation is not None:
            alike = np.full((self.order, self.order), self.given_correlation)
            np.fill_diagonal(alike, 1.0)
            fisher_z = np.arctanh(partial_correlations(np.linalg.cholesky(alike)))
        return sds, fisher_z

    @cached_property
    def _carried(self) -> tuple[float, FloatArray]:
        """The log density of no correlation, and each partial correlation's power of 1 - r^2 (pair,) in the Jacobian of
        the correlations."""
        assert isinstance(self.correlation_prior, LKJ)
        firsts = np.repeat(np.arange(self.order - 1), np.arange(self.order - 1, 0, -1))
        at_none = self.correlation_prior.log_density_partial(np.zeros((len(self.names), 1)))
        return float(at_none[0]), np.asarray(1.0 + 0.5 * (self.order - 2 - firsts), dtype=np.float64)

    @property
    def order(self) -> int:
        """How many effects there are."""
        return len(self.positions)

    def constrain(self, log_sds: FloatArray, fisher_z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return a root of the covariance matrix (effect, effect, node) and the log prior per unit of coordinate.

        ``log_sds`` (effect, node) are log sds of the centred columns' effects, ``fisher_z`` (pair, node) the inverse
        hyperbolic tangents of their canonical partial correlations.

        The prior, stated in sds and correlations, is carried to the matrix's entries by
        |d entries / d(sds, correlations)| = 2^q prod sd^q (unchanged by centring, whose determinant is 1), and from
        there back to the centred sds and correlations; Lewandowski, Kurowicka and Joe (2009), J. Multivariate Analysis
        100:1989-2001, section 2, give the step from correlations to partial correlations.
        """
        order = self.order
        partial = np.tanh(fisher_z)
        charted = np.exp(log_sds)[:, None] * correlation_root(partial, order)
        root = self._shift_intercept(charted, -1.0) if self.in_centred_chart else charted
        # the prior is on the formula's scale, or at the columns' means, whatever the chart
        stated = self._shift_intercept(root, 1.0) if self.at == "means" else root
        sds = np.sqrt(np.sum(stated * stated, axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            log_stated = np.log(sds)
            one_minus = np.log1p(-partial * partial)
            log_prior = order * (log_sds - log_stated).sum(axis=0)
            for prior, sd, log_sd in zip(self.sd_priors, sds, log_sds, strict=True):
                if not isinstance(prior, Fixed):
                    log_prior += prior.log_density(sd) + log_sd
            if isinstance(self.correlation_prior, LKJ):
                log_determinant = 2.0 * (log_sds - log_stated).sum(axis=0) + one_minus.sum(axis=0)
                log_prior += (self.correlation_prior.eta - 1.0) * log_determinant
                constant, powers = self._carried
                log_prior += constant + powers @ one_minus
        # an sd below 1e-162, whose square is 0, carries no mass
        return root, np.where(np.isfinite(log_prior), log_prior, -np.inf)

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw roots of the covariance matrix (effect, effect, draw) from the prior.

        Raises ``PriorError`` where the prior of an sd is improper.
        """
        if isinstance(self.correlation_prior, LKJ):
            partial = self.correlation_prior.draw_partial(self.order, n, rng)
        else:
            partial = np.repeat(np.tanh(self.given[1])[:, None], n, axis=1)
        sds = np.stack([prior.quantile(rng.random(n)) for prior in self.sd_priors])
        stated = sds[:, None] * correlation_root(partial, self.order)
        return self._shift_intercept(stated, -1.0) if self.at == "means" else stated

    def log_priors(self, root: FloatArray) -> tuple[list[FloatArray], FloatArray]:
        """Return the log priors (node,) of each sd and of the correlation matrix, by these themselves, at roots of the
        covariance matrix (effect, effect, node); 0 of what is given."""
        stated = self._shift_intercept(root, 1.0) if self.at == "means" else root
        sds = np.sqrt(np.sum(stated * stated, axis=1))
        each = [
            np.zeros(len(sd)) if isinstance(prior, Fixed) else prior.log_density(sd)
            for prior, sd in zip(self.sd_priors, sds, strict=True)
        ]
        if not isinstance(self.correlation_prior, LKJ):
            return each, np.zeros(root.shape[-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            determinant = np.linalg.det(np.moveaxis(stated / sds[:, None], -1, 0)) ** 2
            return each, self.correlation_prior.log_density_of_determinant(self.order, determinant)

    def unconstrain(self, root: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log sds (effect, ...) and Fisher z (pair, ...) of covariance roots (effect, effect, ...); infinite at
        sd 0 or correlation 1."""
        charted = self._shift_intercept(root, 1.0) if self.in_centred_chart else root
        stacked = np.moveaxis(charted.reshape(self.order, self.order, -1), -1, 0)
        # the triangular root of the same matrix; its diagonal's signs are free
        lower = np.linalg.qr(stacked.swapaxes(1, 2))[1].swapaxes(1, 2)
        lower = lower * np.where(np.einsum("nii->ni", lower) < 0.0, -1.0, 1.0)[:, None]
        lower = np.moveaxis(lower, 0, -1).reshape(charted.shape)
        with np.errstate(divide="ignore"):
            sds = np.sqrt(np.sum(lower * lower, axis=1))
            unit = lower / np.maximum(sds[:, None], 1e-300)
            return np.log(sds), np.arctanh(partial_correlations(unit))

    def _shift_intercept(self, root: FloatArray, sign: float) -> FloatArray:
        """Return the root with the intercept's effect moved from the columns' zero to their means, or back (-1)."""
        if self.intercept is None or not any(self.centre):
            return root
        moved = root.copy()
        for k, mean in enumerate(self.centre):
            if mean != 0.0:
                moved[self.intercept] += sign * mean * root[k]
        return moved


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


def partial_correlations(unit_root: FloatArray) -> FloatArray:
    """Return canonical partial correlations (pair, ...) from Cholesky factors (order, order, ...) of correlation
    matrices."""
    order = len(unit_root)
    left_over = np.ones(unit_root.shape[1:])
    partial = []
    for column in range(order):
        for row in range(column + 1, order):
            value = unit_root[row, column] / np.maximum(left_over[row], 1e-12)
            value = np.where(left_over[row] > 1e-12, np.clip(value, -1.0, 1.0), 0.0)
            partial.append(value)
            left_over[row] = left_over[row] * np.sqrt((1.0 - value) * (1.0 + value))
    return np.array(partial)

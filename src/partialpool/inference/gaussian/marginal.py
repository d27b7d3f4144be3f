"""The marginal likelihood of a Gaussian model, in batches of hyperparameter points.

The leading factor's effects leave by the algebra of ``cross_products``, those of other factors by that of
``block_factor``; population coefficients with normal or flat priors leave
with them, by completing the square on the small matrix [X, y]' V^-1 [X, y].

Source: Gelman, Carlin, Stern, Dunson, Vehtari and Rubin (2013), Bayesian Data Analysis (3rd ed.), section 15.3;
Bates, Maechler, Bolker and Walker (2015), J. Statistical Software 67(1), section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from partialpool.inference.gaussian.effect_factors import scaled_relative_root
from partialpool.inference.gaussian.elimination.block_factor import (
    BlockFactor,
    LeadingFactor,
    factor_leading,
    factor_remaining,
)
from partialpool.models.coefficient_prior import CoefficientPrior
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.progress import track
from partialpool.numerics.small_matrices import LDL, factor_ldl, invert_ldl, log_determinant, lower_pairs
from partialpool.reductions.cross_products import CrossProducts
from partialpool.reductions.design_classes import class_moments
from partialpool.reductions.statistics import Statistics

if TYPE_CHECKING:
    from partialpool.inference.gaussian.interpolated import InterpolatedEffects
    from partialpool.inference.gaussian.spherical_moments import SphericalMoments

_LOG_2PI = float(np.log(2.0 * np.pi))
# Elements of a (node, design_class) block: small enough to stay in a core's cache through a dozen passes.
_BLOCK = 2**15
# Seconds that one element of the leading factor's arrays takes.
_ELEMENT_SECONDS = 8e-9
# Numbers that the arrays of a run of nodes may hold where there are several factors (0.3 GB).
_NODE_NUMBERS = 2**25


@dataclass(frozen=True)
class CoefficientConditional:
    """The normal distribution of the integrated coefficients given each node.

    In the computation's basis: ``mean`` (basis, node) and ``covariance`` (basis, basis, node) of d, where the scaled
    columns' coefficients, less the reference fit, are ``basis @ d - shift``, and the formula's integrated
    coefficients are ``back @ d + constant``.
    """

    mean: FloatArray
    covariance: FloatArray
    basis: FloatArray  # (coefficient, basis)
    shift: FloatArray  # (coefficient, node)
    back: FloatArray  # (integrated coefficient, basis)
    constant: FloatArray  # (integrated coefficient,)

    def select(self, nodes: IntArray) -> CoefficientConditional:
        """Return the conditional at some of the nodes."""
        return replace(
            self, mean=self.mean[:, nodes], covariance=self.covariance[..., nodes], shift=self.shift[:, nodes]
        )

    @property
    def coefficient_mean(self) -> FloatArray:
        """Conditional means of the formula's integrated coefficients (coefficient, node)."""
        return self.back @ self.mean + self.constant[:, None]

    @property
    def coefficient_covariance(self) -> FloatArray:
        """Conditional covariances of the formula's integrated coefficients (coefficient, coefficient, node)."""
        return np.asarray(np.einsum("ia,abn,jb->ijn", self.back, self.covariance, self.back))


class Reduction(NamedTuple):
    """What is left once all effects are integrated out: ``log_determinants`` (node,) of V in units of the residual
    variance, ``augmented`` [X, y]' V^-1 [X, y] times it (p+1, p+1, node), and the factored remaining ``blocks``."""

    log_determinants: FloatArray
    augmented: FloatArray
    blocks: BlockFactor | None


def join_conditionals(parts: Sequence[CoefficientConditional]) -> CoefficientConditional:
    """Join conditionals at successive runs of nodes."""
    return replace(
        parts[0],
        mean=np.concatenate([part.mean for part in parts], axis=1),
        covariance=np.concatenate([part.covariance for part in parts], axis=2),
        shift=np.concatenate([part.shift for part in parts], axis=1),
    )


@dataclass(frozen=True)
class GaussianMarginal:
    """p(y | hyperparameters) and p(coefficients | y, hyperparameters), from sufficient statistics alone."""

    statistics: Statistics
    coefficient_prior: CoefficientPrior

    @property
    def cross(self) -> CrossProducts:
        """The leading factor's cross-products."""
        return self.statistics.cross

    @property
    def work(self) -> float:
        """Array elements that one evaluation touches; of factors beside the leading one what their time is worth."""
        remaining = self.statistics.remaining
        beside = 0.0 if remaining is None else remaining.seconds / _ELEMENT_SECONDS
        return float(self.cross.n_classes * self.cross.n_effects**2) + beside

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y | hyperparameters) for each node, effects and integrated coefficients integrated out.

        Flat priors contribute the constant density 1.
        """
        with np.errstate(all="ignore"):  # a node outside the floating range gets density zero
            runs = track(self.split(points), "evaluating the likelihood")
            parts = [self.likelihood_of(part, self.reduce_effects(part)) for part in runs]
        return np.concatenate(parts)

    def likelihood_of(self, points: HyperPoints, reduction: Reduction) -> FloatArray:
        """Return the log likelihood (node,) from the reduction at the same points."""
        factor = self._complete_square(points, reduction)
        prior, cross = self.coefficient_prior, self.cross
        precision = prior.precision_at(points.coefficient_sds)
        proper = precision[(precision > 0.0).any(axis=1)]
        _, log_volume = np.linalg.slogdet(self._back)
        log_constant = (
            0.5 * cross.log_precision
            - 0.5 * cross.n_rows * _LOG_2PI
            + 0.5 * len(prior.integrated) * _LOG_2PI
            - 0.5 * len(proper) * _LOG_2PI
            + log_volume
        )
        value = (
            log_constant
            + 0.5 * np.log(proper).sum(axis=0)
            - cross.n_rows * np.log(points.residual_sd)
            - 0.5 * reduction.log_determinants
            - 0.5 * np.log(factor.pivots[:-1]).sum(axis=0)
            # a sum of squares; below 0 by rounding, where columns fit every response and sigma is next to nothing
            - 0.5 * np.maximum(factor.pivots[-1], 0.0)
        )
        return np.where(np.isfinite(value), value, -np.inf)

    def coefficients_given(self, points: HyperPoints) -> CoefficientConditional:
        """Return the conditional distribution of the integrated coefficients at each node."""
        for table in self.tables:
            nodes = table.find(points)
            if nodes is not None:
                return table.coefficients_at(nodes)
        parts = [self.condition_on(part, self.reduce_effects(part)) for part in self.split(points)]
        return parts[0] if len(parts) == 1 else join_conditionals(parts)

    def condition_on(self, points: HyperPoints, reduction: Reduction) -> CoefficientConditional:
        """Return the conditional distribution of the integrated coefficients from the reduction at the same points."""
        factor = self._complete_square(points, reduction)
        n_basis = len(self.coefficient_prior.integrated)
        mean = np.empty((n_basis, points.n_nodes))
        for i in reversed(range(n_basis)):  # back substitution in L' d = (last row of L)
            mean[i] = factor.lower[n_basis, i] - sum(factor.lower[k, i] * mean[k] for k in range(i + 1, n_basis))
        if n_basis:
            covariance = invert_ldl(LDL(factor.lower[:n_basis, :n_basis], factor.pivots[:n_basis]))
        else:
            covariance = np.empty((0, 0, points.n_nodes))
        return CoefficientConditional(mean, covariance, self._basis, self.shift_at(points), self._back, self._constant)

    def split(self, points: HyperPoints) -> list[HyperPoints]:
        """Return the points in runs whose arrays fit a few hundred megabytes (several factors; one needs none)."""
        remaining = self.statistics.remaining
        length = points.n_nodes if remaining is None else max(1, _NODE_NUMBERS // remaining.numbers_a_node)
        if length >= points.n_nodes:
            return [points]
        every = np.arange(points.n_nodes, dtype=np.intp)
        return [points.select(every[start : start + length]) for start in range(0, points.n_nodes, length)]

    def reduce_effects(self, points: HyperPoints) -> Reduction:
        """Take all effects out of the products of the population's columns and the response."""
        if self.statistics.remaining is None:
            log_determinants, augmented = self._reduce_only(points)
            return Reduction(log_determinants, augmented, None)
        leading = factor_leading(self.cross, self.statistics.leading_points(points))
        blocks = factor_remaining(self.statistics, points, leading)
        augmented = self._reduce_leading(leading) - blocks.explained
        return Reduction(leading.log_determinant + blocks.log_determinant, augmented, blocks)

    def _reduce_leading(self, leading: LeadingFactor) -> FloatArray:
        """Return [X, y]' V^-1 [X, y] times the residual variance, (p+1, p+1, node), V with the leading factor's effects
        alone.

        B^-1 must be to the last bit what the remaining factors see: where sds are thousands of times sigma they explain
        all but a millionth of this, and two roundings of B^-1 would be most of the difference.
        """
        size, n_nodes = self.cross.n_coefficients + 1, leading.precision.shape[-1]
        triangle = np.zeros((n_nodes, size * (size + 1) // 2))
        for classes, moments in self.moments_by_class():
            for pair, (k, m) in enumerate(lower_pairs(self.cross.n_effects)):
                triangle += leading.precision[k, m, classes].T @ moments[pair]
        return self._add_residual(triangle)

    def _reduce_only(self, points: HyperPoints) -> tuple[FloatArray, FloatArray]:
        """Return sum_j log|B_j| (node,) and [X, y]' V^-1 [X, y] times the residual variance, (p+1, p+1, node), of one
        factor or none."""
        cross, n_nodes = self.cross, points.n_nodes
        size = cross.n_coefficients + 1
        triangle = np.zeros((n_nodes, size * (size + 1) // 2))
        log_determinants = np.zeros(n_nodes)
        if cross.n_effects:
            spread = scaled_relative_root(cross, points)
            pairs = lower_pairs(cross.n_effects)
            square = np.stack([np.sum(spread[i] * spread[j], axis=0) for i, j in pairs], axis=1)
            for classes, nodes, moments in self._blocks(n_nodes):
                precision = np.empty((cross.n_effects, cross.n_effects, nodes.stop - nodes.start, moments.shape[1]))
                for pair, (i, j) in enumerate(pairs):
                    precision[i, j] = square[nodes] @ self._design_products[pair, :, classes]
                    if i == j:
                        precision[i, j] += 1.0
                factor = factor_ldl(precision)
                log_determinants[nodes] += log_determinant(factor) @ cross.class_size[classes]
                inverse = invert_ldl(factor)
                for pair, (k, m) in enumerate(pairs):
                    triangle[nodes] += inverse[k, m] @ moments[pair]
        return log_determinants, self._add_residual(triangle)

    def _add_residual(self, triangle: FloatArray) -> FloatArray:
        """Return the products (target, target, node) whose lower triangle (node, pair) projections make up in part."""
        residual = self.cross.residual
        augmented = np.empty((*residual.shape, len(triangle)))
        for pair, (i, j) in enumerate(lower_pairs(len(residual))):
            augmented[i, j] = augmented[j, i] = triangle[:, pair] + residual[i, j]
        return augmented

    def group_rows(self, factor: int) -> FloatArray:
        """Return how many raw rows each group of a factor has, (group,)."""
        return self.statistics.group_rows[factor]

    def moments_by_class(self) -> Iterable[tuple[slice, FloatArray]]:
        """Return runs of design classes with their summed products, as ``class_moments`` makes them."""
        return self._moments if self._moments is not None else class_moments(self.cross)

    @property
    def seconds(self) -> float:
        """About how long one evaluation takes on one core of a machine of the 2020s, in a batch.

        The choice of route rests on it, so it is counted and not timed: the same model takes the same route everywhere.
        """
        remaining = self.statistics.remaining
        if remaining is None:
            return 2e-6 + _ELEMENT_SECONDS * self.work
        return 5e-6 + _ELEMENT_SECONDS * self.work

    @cached_property
    def held(self) -> list[tuple[HyperPoints, SphericalMoments]]:
        """The effects' moments last computed at whole sets of nodes: summaries ask for them slice by slice."""
        return []

    @cached_property
    def tables(self) -> list[InterpolatedEffects]:
        """Interpolations that stand in for evaluations at the nodes they are for (several factors)."""
        return []

    @cached_property
    def _moments(self) -> list[tuple[slice, FloatArray]] | None:
        """The class moments, kept when they fit in memory at once."""
        generator = class_moments(self.cross)
        first = next(generator, None)
        if first is None:
            return []
        return [first] if first[0].stop == self.cross.n_classes else None

    @cached_property
    def _design_products(self) -> FloatArray:
        """The matrices (pair of B, pair of S, design_class) that take S, the effects' covariance, to R S R'."""
        root, pairs = self.cross.class_root, lower_pairs(self.cross.n_effects)
        products = np.empty((len(pairs), len(pairs), self.cross.n_classes))
        for row, (i, j) in enumerate(pairs):
            for column, (k, m) in enumerate(pairs):
                products[row, column] = root[i, k] * root[j, m]
                if k != m:
                    products[row, column] += root[i, m] * root[j, k]
        return products

    def _blocks(self, n_nodes: int) -> Iterator[tuple[slice, slice, FloatArray]]:
        """Yield runs of classes and nodes, and the classes' moments, in cache-sized blocks."""
        for run, moments in self.moments_by_class():
            width = min(run.stop - run.start, _BLOCK)
            height = max(1, _BLOCK // width)
            for start in range(run.start, run.stop, width):
                classes = slice(start, min(start + width, run.stop))
                part = moments[:, classes.start - run.start : classes.stop - run.start]
                for first in range(0, n_nodes, height):
                    yield classes, slice(first, min(first + height, n_nodes)), part

    @cached_property
    def _basis(self) -> FloatArray:
        """Scaled columns' coefficients per unit of the basis: the identity when every coefficient is integrated."""
        prior, scaling = self.coefficient_prior, self.cross.scaling
        if not prior.sampled:
            return np.eye(len(prior.integrated))
        return scaling.population[:, list(prior.integrated)]

    @cached_property
    def _back(self) -> FloatArray:
        """The formula's integrated coefficients per unit of the basis."""
        prior = self.coefficient_prior
        if not prior.sampled:
            return np.asarray(np.linalg.inv(self.cross.scaling.population))
        return np.eye(len(prior.integrated))

    @cached_property
    def _constant(self) -> FloatArray:
        if self.coefficient_prior.sampled:
            return np.zeros(len(self.coefficient_prior.integrated))
        return self._back @ self.cross.scaling.reference

    def shift_at(self, points: HyperPoints) -> FloatArray:
        """The part of the reference fit that sampled coefficients do not take up, (coefficient, node)."""
        prior, scaling = self.coefficient_prior, self.cross.scaling
        if not prior.sampled:
            return np.zeros((self.cross.n_coefficients, points.n_nodes))
        taken = scaling.population[:, list(prior.sampled)] @ points.coefficients
        return scaling.reference[:, None] - taken

    def _complete_square(self, points: HyperPoints, reduction: Reduction) -> LDL:
        """Return the factored cross-product of (basis columns, response), prior included."""
        augmented = reduction.augmented / points.residual_sd**2
        prior = self.coefficient_prior
        if prior.sampled:
            augmented = self._change_basis(augmented, points)
        stated, precision = prior.stated_integrated, prior.precision_at(points.coefficient_sds)
        basis = stated @ self._back
        offset = prior.mean_at(points.coefficients) - (stated @ self._constant)[:, None]
        if precision.shape[1] == offset.shape[1] == 1:
            rows = np.concatenate([basis, offset], axis=1)
            return factor_ldl(augmented + ((rows * precision).T @ rows)[:, :, None])
        n_nodes = points.n_nodes
        every = np.repeat(basis[:, :, None], n_nodes, axis=2)
        each = np.concatenate([every, np.broadcast_to(offset, (len(offset), n_nodes))[:, None]], axis=1)
        wide = np.broadcast_to(precision, (len(precision), n_nodes))
        return factor_ldl(augmented + np.einsum("ian,in,ibn->abn", each, wide, each))

    def _change_basis(self, augmented: FloatArray, points: HyperPoints) -> FloatArray:
        """Replace the scaled columns by the basis and the response by what sampled coefficients leave of it."""
        n_basis = self._basis.shape[1]
        change = np.zeros((len(augmented), n_basis + 1, points.n_nodes))
        change[:-1, :n_basis] = self._basis[:, :, None]
        change[:-1, n_basis] = self.shift_at(points)
        change[-1, n_basis] = 1.0
        return np.asarray(np.einsum("ian,ijn,jbn->abn", change, augmented, change, optimize=True))

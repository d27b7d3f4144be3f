"""Groups with sigmas of their own, which come from a lognormal population: each leaves by one integral over log sigma.

Given the hyperparameters (coefficients, the effects' sd, mean and sd of log sigmas) and a group's sigma its effect is
normal and leaves in closed form, from sums over its rows. What is left is an integral of one dimension, by the
trapezoid rule over the window where the integrand lives, whose points are doubled until the log likelihood does not
move: for integrands that die away at both ends its error falls faster than any power of their number (Trefethen and
Weideman 2014, SIAM Review 56:385-458), and unlike a rule about a mode it does not miss a second peak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from partialpool.inference.contract import ConditionalTables, LatentMarginal
from partialpool.inference.quadrature.located import log_sum
from partialpool.inference.quadrature.refinement import refine_until_still
from partialpool.inference.quadrature.sigma_window import LEAST_SPREAD, LogSigmas, Residuals, lay_points
from partialpool.inference.quadrature.table_draws import draw_on_grid
from partialpool.models.latent_model import LatentModel
from partialpool.models.space.hyper_gradient import HyperGradient
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.mixtures.normal_tables import tabulate_normals
from partialpool.numerics.progress import track
from partialpool.reductions.group_sums import GroupSums, sum_groups

# Array elements (group, node, point) of a block, and the seconds that one takes; a window costs that of some points.
_BLOCK, _SECONDS, _WINDOW = 2**17, 4e-8, 30
# Points of the rule over log sigma that are tried.
_ORDERS = (17, 25, 33, 49, 65, 97, 129, 193, 257, 385)
# Points that densities are tabulated at and drawn from, and the seconds of one point of an effect's density.
_TABLE, _TABLE_SECONDS = 65, 1e-8


class _NodeValues:
    """What a point of the hyperparameters says of log sigmas: their mean and sd at each node."""

    def __init__(self, points: HyperPoints) -> None:
        assert points.extras is not None
        self.centre = points.extras[0]
        self.spread = np.maximum(points.extras[1], LEAST_SPREAD)
        self.effect_sd = np.abs(points.effect_root[0, 0])


@dataclass(frozen=True)
class OwnSigmaMarginal(LatentMarginal):
    """The marginal likelihood from the groups' ``sums``, by ``order`` points over log sigma; ``change`` is what the
    last raising of the order moved the log likelihood by."""

    model: LatentModel
    sums: GroupSums
    order: int = 33
    change: float = float("nan")

    @property
    def work(self) -> float:
        """Groups times points."""
        return float(self.sums.n_groups * (self.order + _WINDOW))

    @property
    def seconds(self) -> float:
        """Counted, not timed."""
        return _SECONDS * self.work

    def table_seconds(self, factor: int) -> float:
        """Points of a table times points over log sigma."""
        return float(_TABLE_SECONDS * self.sums.n_groups * _TABLE * _TABLE)

    @property
    def route(self) -> str:
        """The integral, in words."""
        return (
            f"effects in closed form given sigma, each group's log sigma by {self.order} points of the trapezoid rule"
        )

    @property
    def evidence(self) -> dict[str, float]:
        """The change of the log likelihood when the order was last raised."""
        return {"change on raising the order": self.change}

    def refine(self, points: HyperPoints) -> OwnSigmaMarginal:
        """Raise the order until the log likelihood at ``points`` moves by less than the tolerance."""
        found, change = refine_until_still([replace(self, order=order) for order in _ORDERS], points)
        return replace(found, change=change)

    def log_likelihood(self, points: HyperPoints) -> FloatArray:
        """Return log p(y | hyperparameters) for each node."""
        return np.asarray(self.group_log_likelihood(points, 0).sum(axis=0))

    def group_log_likelihood(self, points: HyperPoints, factor: int, above: FloatArray | None = None) -> FloatArray:
        """Return the log likelihood of each group (group, node)."""
        values = np.empty((self.sums.n_groups, points.n_nodes))
        with np.errstate(all="ignore"):  # a node outside the floating range gets density zero
            for groups, nodes, left in self._blocks(points, self.order):
                values[groups, nodes] = log_sum(lay_points(left, self.order).log_terms)
        values += self.sums.log_constant[:, None]
        return np.where(np.isnan(values), -np.inf, values)

    def value_and_gradient(self, points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        """Return the log likelihood and its gradient, the expectation of that given log sigma (Fisher's identity)."""
        n = points.n_nodes
        total = np.full(n, self.sums.log_constant.sum())
        root, extras = np.zeros((1, 1, n)), np.zeros((2, n))
        slopes = np.empty((2, self.sums.n_groups, n))
        with np.errstate(all="ignore"):
            for groups, nodes, left in self._blocks(points, self.order):
                found = lay_points(left, self.order)
                logs = log_sum(found.log_terms)
                total[nodes] += logs.sum(axis=0)
                share = np.exp(found.log_terms - logs[..., None])
                by_log_tau, by_own = _slopes_of_population(found, left, share)
                root[0, 0, nodes] += by_log_tau
                extras[:, nodes] += by_own
                shrunk = np.sum(share * found.precision * found.shrinkage, axis=-1)
                slopes[0, groups, nodes] = -left.means * shrunk
                slopes[1, groups, nodes] = -0.5 * np.sum(share * np.exp(-2.0 * found.t), axis=-1)
            coefficients = self.sums.slope(points.coefficients, *slopes)
        gradient = HyperGradient(root, np.zeros(n), coefficients, None, extras)
        return np.where(np.isnan(total), -np.inf, total), gradient

    def class_of(self, factor: int) -> IntArray:
        """Every group is its own class."""
        return np.arange(self.sums.n_groups, dtype=np.intp)

    def group_rows(self, factor: int) -> FloatArray:
        """Return how many raw rows each group has."""
        return self.sums.counts

    def population_variances(self, points: HyperPoints, factor: int) -> FloatArray:
        """Return the square of the effects' sd."""
        return np.asarray(points.effect_root[0] ** 2)

    def tables(self, points: HyperPoints, factor: int, effect: int, classes: IntArray) -> ConditionalTables:
        """Return the densities of the groups' deviations: normal given sigma, tabulated with sigma summed over."""
        with np.errstate(all="ignore"):
            left = self._residuals(self.sums.select(classes), points)
            found = lay_points(left, self.order)
            share = np.exp(found.log_terms - log_sum(found.log_terms)[..., None])
            mean, sd = _effect_given_sigma(found, left)
            return ConditionalTables(*tabulate_normals(share, mean, sd, _TABLE))

    def sigma_tables(self, points: HyperPoints, classes: IntArray) -> ConditionalTables:
        """Return the densities of the groups' log sigmas."""
        with np.errstate(all="ignore"):
            found = lay_points(self._residuals(self.sums.select(classes), points), _TABLE)
            density = np.exp(found.log_terms - log_sum(found.log_terms)[..., None])
        middle = _TABLE // 2
        z = np.arange(-middle, middle + 1, dtype=np.float64)
        return ConditionalTables(z, found.t[..., middle], found.spacing, density)

    def draw_effects(
        self, points: HyperPoints, levels: list[IntArray], rng: np.random.Generator
    ) -> tuple[FloatArray, ...]:
        """Draw deviations from each group's conditional distribution."""
        return self.draw_groups(points, levels, rng)[0]

    def draw_groups(
        self, points: HyperPoints, levels: list[IntArray], rng: np.random.Generator
    ) -> tuple[tuple[FloatArray, ...], FloatArray]:
        """Draw log sigma of each level, then its deviation, which is normal given it; sigmas are (draw, level)."""
        chosen, n = self.sums.select(levels[0]), points.n_nodes
        effects, sigmas = np.empty((1, n, len(levels[0]))), np.empty((n, len(levels[0])))
        marginal = replace(self, sums=chosen)
        with np.errstate(all="ignore"):
            for groups, nodes, left in marginal._blocks(points, _TABLE):
                found = lay_points(left, _TABLE)
                t = found.t[..., 0] + found.spacing * _draw_places(found.log_terms, rng)
                precision = left.weights * np.exp(-2.0 * t)
                shrinkage = 1.0 / (1.0 + precision * left.effect_sd**2)
                noise = rng.standard_normal(t.shape)
                mean = left.means * (1.0 - shrinkage)
                effects[0, nodes, groups] = (mean + left.effect_sd * np.sqrt(shrinkage) * noise).T
                sigmas[nodes, groups] = np.exp(t).T
        return (effects,), sigmas

    def _residuals(self, sums: GroupSums, points: HyperPoints) -> Residuals:
        node = _NodeValues(points)
        means, squares = sums.leave(points.coefficients)
        weights = (sums.counts[:, None], sums.weights[:, None])
        return Residuals(*weights, means, squares, node.effect_sd, node.centre, node.spread)

    def _blocks(self, points: HyperPoints, n_points: int) -> Iterator[tuple[slice, slice, Residuals]]:
        """Yield runs of groups and of nodes with what is left of them."""
        n_groups = max(1, min(self.sums.n_groups, _BLOCK // n_points))
        n_nodes = max(1, _BLOCK // (n_points * n_groups))
        for start in track(range(0, points.n_nodes, n_nodes), "evaluating the likelihood"):
            nodes = slice(start, min(start + n_nodes, points.n_nodes))
            chosen = points.select(np.arange(nodes.start, nodes.stop, dtype=np.intp))
            for first in range(0, self.sums.n_groups, n_groups):
                groups = slice(first, min(first + n_groups, self.sums.n_groups))
                part = self.sums.select(np.arange(groups.start, groups.stop, dtype=np.intp))
                yield groups, nodes, self._residuals(part, chosen)


def _effect_given_sigma(found: LogSigmas, left: Residuals) -> tuple[FloatArray, FloatArray]:
    """Return mean and sd (group, node, point) of the deviations at the points of log sigma."""
    mean = left.means[..., None] * (1.0 - found.shrinkage)
    return mean, left.effect_sd[:, None] * np.sqrt(found.shrinkage)


def _draw_places(log_terms: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw one place among the points, 0 to their number less one, for each density (..., point).

    A density that is linear between points is that at the points smeared by a triangle of variance 1/6: draws are moved
    towards their mean by as much. At 65 points the sds of draws were 1.4 % too large without.
    """
    places = np.arange(log_terms.shape[-1], dtype=np.float64)
    share = np.exp(log_terms - log_terms.max(axis=-1, keepdims=True))
    share /= share.sum(axis=-1, keepdims=True)
    mean = share @ places
    variance = share @ places**2 - mean**2
    drawn = draw_on_grid(places, log_terms, rng)
    return np.asarray(mean + (drawn - mean) * np.sqrt(variance / (variance + 1.0 / 6.0)))


def _slopes_of_population(found: LogSigmas, left: Residuals, share: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the derivatives, summed over groups, by the log of the effects' sd (node,), and by the mean and the sd of
    log sigmas (2, node)."""
    grown = 1.0 - found.shrinkage
    outside = (left.means**2)[..., None] * found.precision * found.shrinkage
    by_log_tau = np.sum(share * grown * (outside - 1.0), axis=(0, 2))
    away = (found.t - left.centre[:, None]) / left.spread[:, None]
    by_centre = np.sum(share * away, axis=(0, 2)) / left.spread
    by_spread = np.sum(share * (away * away - 1.0), axis=(0, 2)) / left.spread
    return by_log_tau, np.stack([by_centre, by_spread])


def build_own_sigma(model: LatentModel) -> OwnSigmaMarginal:
    """Reduce the rows to sums by group; all coefficients are sampled."""
    columns = model.design.population.values[:, list(model.coefficient_prior.sampled)]
    return OwnSigmaMarginal(model, sum_groups(model.design.measurements, columns, model.groups[0]))

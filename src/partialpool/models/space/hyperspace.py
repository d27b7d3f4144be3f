"""The space of hyperparameters: names, priors, and the map from unbounded coordinates to natural values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from partialpool.models.priors import Fixed, ScalarPrior
from partialpool.models.space.coefficient_chart import CoefficientChart
from partialpool.models.space.covariance_block import CovarianceBlock
from partialpool.models.space.shape_pair import ShapePair
from partialpool.numerics.arrays import FloatArray, IntArray

Chart = Literal["natural", "centred"]


@dataclass(frozen=True)
class ScalarHyperparameter:
    """A hyperparameter that lives on an interval: a population sd, the residual sd, a coefficient that cannot be
    integrated out in closed form, the prior sd of a Student-t coefficient that can, or a positive shape parameter of a
    likelihood or a population.

    One whose prior is ``Fixed`` is known: it has a value and no coordinate. ``guess`` is a natural value near which,
    within an order of magnitude, the data put it.
    """

    name: str
    role: Literal["effect_sd", "residual_sd", "coefficient", "shape"]
    prior: ScalarPrior
    guess: float
    spread: float  # for a coefficient, the sd of its estimate; for a scale unused

    @property
    def given(self) -> float | None:
        """The value where that is known, None where the hyperparameter is unknown."""
        return self.prior.value if isinstance(self.prior, Fixed) else None

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

    def start(self, fraction: float) -> float:
        """Return the coordinate of a fraction of the guess, 0 where there is no coordinate."""
        return self.unconstrain(fraction * self.guess) if self.given is None else 0.0


@dataclass(frozen=True)
class HyperPoints:
    """Hyperparameters on their natural scale, the node axis last.

    ``effect_root`` (effect, effect, node) is a root of the effects' covariance matrix, not always triangular;
    ``residual_sd`` (node,); ``coefficients`` (sampled coefficient, node); ``coefficient_sds`` (mixed coefficient, node)
    the sds of normal priors that are mixed over, None where there are none; ``extras`` (extra, node) the parameters
    of the likelihood and of populations beside these, None where there are none.
    """

    effect_root: FloatArray
    residual_sd: FloatArray
    coefficients: FloatArray
    coefficient_sds: FloatArray | None = None
    extras: FloatArray | None = None

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
            None if self.coefficient_sds is None else self.coefficient_sds[..., nodes],
            None if self.extras is None else self.extras[..., nodes],
        )


def find_distinct_points(points: HyperPoints) -> tuple[HyperPoints, IntArray]:
    """Return the points that differ, and which of them each point is (node,): draws of nodes come up again."""
    parts = [points.effect_root.reshape(-1, points.n_nodes), points.residual_sd[None], points.coefficients]
    parts += [part for part in (points.coefficient_sds, points.extras) if part is not None]
    _, first, place = np.unique(np.concatenate(parts), axis=1, return_index=True, return_inverse=True)
    return points.select(first.astype(np.intp)), place.reshape(-1).astype(np.intp)


@dataclass(frozen=True)
class HyperSpace:
    """Every hyperparameter of a model in coordinate order: effect sds, correlations, residual sd, sampled
    coefficients, the prior sds that Student-t coefficients are mixtures over (which are not reported), then ``extras``
    of the likelihood and the populations, the two of a ``pair`` last. Effects of a ``CovarianceBlock`` have coordinates
    of its own making, as have the two shapes of a pair.

    *Places* number all of these in that order. Those whose values are given have no coordinate: the coordinates of a
    point are those of the ``free`` places. Coordinates of ``coefficients`` are those of orthogonal columns where there
    is a ``coefficient_chart``, else their own.

    Where the population is known (no pooling), ``fixed_effect_root`` (effect, effect) replaces the effect sds and
    ``fixed_coefficients`` are the population's values; ``fixed_residual_sd`` is the residual sd where that is known.
    """

    effect_sds: tuple[ScalarHyperparameter, ...]
    blocks: tuple[CovarianceBlock, ...]
    residual_sd: ScalarHyperparameter | None
    coefficients: tuple[ScalarHyperparameter, ...]
    n_effects: int
    fixed_effect_root: FloatArray | None = None
    fixed_coefficients: tuple[float, ...] = ()
    fixed_residual_sd: float = 1.0
    coefficient_sds: tuple[ScalarHyperparameter, ...] = ()
    extras: tuple[ScalarHyperparameter, ...] = ()
    pair: ShapePair | None = None
    coefficient_chart: CoefficientChart | None = None

    @property
    def chart(self) -> Chart:
        """Which coordinates the covariance blocks are in, of those that could be in others."""
        return "centred" if any(block.is_centred for block in self.blocks if not block.is_pinned) else "natural"

    @property
    def charts(self) -> tuple[Chart, ...]:
        """The charts worth trying, the one that the priors are stated in first."""
        if self.chart == "natural":
            return ("natural",)
        at_means = all(block.at == "means" for block in self.blocks if block.is_centred and not block.is_pinned)
        return ("centred", "natural") if at_means else ("natural", "centred")

    def in_chart(self, chart: Chart) -> HyperSpace:
        """Return the same space in natural coordinates; in centred ones it is as the model laid it out."""
        if chart == "centred":
            return self
        return replace(self, blocks=tuple(block.in_natural_chart() for block in self.blocks))

    @cached_property
    def n_correlations(self) -> int:
        """How many correlation coordinates there are."""
        return sum(len(block.names) for block in self.blocks)

    @property
    def dimension(self) -> int:
        """The number of coordinates."""
        return len(self.free)

    @cached_property
    def _filling(self) -> FloatArray:
        """What stands in each place (place,) whose value is given, NaN in those that have a coordinate."""
        residual = (self.residual_sd,) if self.residual_sd else ()
        beside = (*residual, *self.coefficients, *self.coefficient_sds, *self.extras)
        filling = np.full(len(self.scalars), np.nan)
        for k, hyper in enumerate((*self.effect_sds, *([None] * self.n_correlations), *beside)):
            if hyper is not None and hyper.given is not None:
                filling[k] = 0.0  # never read: the value itself is
        column = len(self.effect_sds)
        for block in self.blocks:
            log_sds, fisher_z = block.given
            filling[list(block.positions)] = log_sds
            filling[column : column + len(fisher_z)] = fisher_z
            column += len(fisher_z)
        if self.pair:
            filling[-2:] = self.pair.given
        return filling

    @cached_property
    def free(self) -> IntArray:
        """The places that have a coordinate, in the coordinates' order."""
        return np.flatnonzero(np.isnan(self._filling))

    def fill(self, coordinates: FloatArray) -> FloatArray:
        """Return what stands in every place, (node, place), from coordinates (node, dimension)."""
        if self.dimension == len(self._filling):
            return coordinates
        places = np.repeat(self._filling[None], len(coordinates), axis=0)
        places[:, self.free] = coordinates
        return places

    def axis_of(self, place: int) -> int | None:
        """Return which coordinate a place has, None where its value is given."""
        found = np.flatnonzero(self.free == place)
        return int(found[0]) if len(found) else None

    @property
    def samples_coefficients(self) -> bool:
        """Whether some coefficient has a coordinate."""
        return any(hyper.given is None for hyper in self.coefficients)

    @cached_property
    def given(self) -> dict[str, float]:
        """The reported parameters that are known, with their values."""
        scalars = (*self.effect_sds, *((self.residual_sd,) if self.residual_sd else ()), *self.coefficients)
        found = {hyper.name: hyper.given for hyper in (*scalars, *self.extras) if hyper.given is not None}
        for block in self.blocks:
            if block.given_correlation is not None:
                found |= dict.fromkeys(block.names, block.given_correlation)
            if block.at == "means" and block.intercept is not None and any(block.centre):
                found.pop(self.effect_sds[block.positions[block.intercept]].name, None)  # another one is given
        return found | (self.pair.given_values if self.pair else {})

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The natural parameters' names in the order of ``natural_values``."""
        correlations = [name for block in self.blocks for name in block.names]
        residual = [self.residual_sd.name] if self.residual_sd else []
        return (
            *(sd.name for sd in self.effect_sds),
            *correlations,
            *residual,
            *(coefficient.name for coefficient in self.coefficients),
            *(extra.name for extra in self.extras),
            *(self.pair.names if self.pair else ()),
        )

    @property
    def scalars(self) -> tuple[ScalarHyperparameter | None, ...]:
        """The scalar hyperparameter that each place alone determines; None within covariance blocks and pairs, and
        for coefficients that several coordinates make up."""
        residual = (self.residual_sd,) if self.residual_sd else ()
        sds = [None if k in self._in_blocks else hyper for k, hyper in enumerate(self.effect_sds)]
        chart = self.coefficient_chart
        alone = chart.determined_alone if chart else (True,) * len(self.coefficients)
        coefficients = [hyper if own else None for hyper, own in zip(self.coefficients, alone, strict=True)]
        own = (*coefficients, *self.coefficient_sds, *self.extras)
        return (*sds, *([None] * self.n_correlations), *residual, *own, *([None] * 2 * (self.pair is not None)))

    @cached_property
    def _in_blocks(self) -> frozenset[int]:
        return frozenset(position for block in self.blocks for position in block.positions)

    def constrain(self, coordinates: FloatArray) -> tuple[HyperPoints, FloatArray]:
        """Return the natural values and the log prior density per unit of coordinate, Jacobians included.

        ``coordinates`` is (node, dimension).
        """
        n_nodes = len(coordinates)
        log_prior = np.zeros(n_nodes)
        columns = np.ascontiguousarray(self.fill(coordinates).T)

        def scalar(hyper: ScalarHyperparameter, column: int) -> FloatArray:
            if hyper.given is not None:
                return np.full(n_nodes, hyper.given)
            natural, log_slope = hyper.constrain(columns[column])
            np.add(log_prior, hyper.prior.log_density(natural) + log_slope, out=log_prior)
            return natural

        root = np.zeros((self.n_effects, self.n_effects, n_nodes))
        if self.fixed_effect_root is not None:
            root[:] = self.fixed_effect_root[..., None]
        for k, hyper in enumerate(self.effect_sds):
            if k not in self._in_blocks:
                root[k, k] = scalar(hyper, k)
        column = len(self.effect_sds)
        for block in self.blocks:
            places = list(block.positions)
            after = column + len(block.names)
            part, log_block = block.constrain(columns[places], columns[column:after])
            root[np.ix_(places, places)] = part
            log_prior += log_block
            column = after
        residual = np.full(n_nodes, self.fixed_residual_sd)
        if self.residual_sd:
            residual = scalar(self.residual_sd, column)
            column += 1
        coefficients, log_coefficients = self._constrain_coefficients(columns[column:])
        log_prior += log_coefficients
        column += len(self.coefficients)
        mixed = [scalar(hyper, column + k) for k, hyper in enumerate(self.coefficient_sds)]
        column += len(self.coefficient_sds)
        extras = [scalar(hyper, column + k) for k, hyper in enumerate(self.extras)]
        if self.pair:
            shapes, log_pair = self.pair.constrain(columns[column + len(self.extras) :])
            extras += list(shapes)
            log_prior += log_pair
        # a prior unbounded at 0 where the sd has underflowed to it: no mass is there
        log_prior = np.where(np.isposinf(log_prior), -np.inf, log_prior)
        beside = (np.array(mixed) if mixed else None, np.array(extras) if extras else None)
        return HyperPoints(root, residual, coefficients, *beside), log_prior

    def _constrain_coefficients(self, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the coefficients (coefficient, node), the sampled ones and then the known ones, and the log prior per
        unit of coordinate; ``columns`` (coordinate, node) begin with theirs."""
        n_nodes, n_sampled = columns.shape[1], len(self.coefficients)
        values, log_prior = np.empty((n_sampled, n_nodes)), np.zeros(n_nodes)
        for k, hyper in enumerate(self.coefficients):
            if hyper.given is not None:
                values[k] = hyper.given
                continue
            values[k], log_slope = hyper.constrain(columns[k])
            log_prior += log_slope
        chart = self.coefficient_chart
        if chart is not None:
            values = chart.natural @ values
        known = np.repeat(np.array(self.fixed_coefficients)[:, None], n_nodes, axis=1)
        coefficients = np.concatenate([values, known])
        stated = values if chart is None else chart.stated @ coefficients
        for hyper, value in zip(self.coefficients, stated, strict=True):
            if hyper.given is None:
                log_prior += hyper.prior.log_density(value)
        return coefficients, log_prior

    def natural_values(self, points: HyperPoints) -> FloatArray:
        """Return the reported parameters (node, parameter), in the order of ``names``."""
        root = points.effect_root
        sds = np.sqrt(np.sum(root * root, axis=1))
        columns = [sds[k] for k in range(len(self.effect_sds))]
        for block in self.blocks:
            for i, row in enumerate(block.positions):
                for column in block.positions[i + 1 :]:
                    product = np.sum(root[row] * root[column], axis=0)
                    columns.append(product / np.maximum(sds[row] * sds[column], 1e-300))
        if self.residual_sd:
            columns.append(points.residual_sd)
        columns.extend(points.coefficients[: len(self.coefficients)])
        if points.extras is not None:
            columns.extend(points.extras[: len(self.extras)])
        if self.pair and points.extras is not None:
            columns.extend(self.pair.report(points.extras[-2:]))
        values = np.stack(columns, axis=1) if columns else np.empty((points.n_nodes, 0))
        for name, value in self.given.items():  # as given, not as a root's rounding has it
            values[:, self.names.index(name)] = value
        return values

    def move_into(self, other: HyperSpace, coordinates: FloatArray) -> FloatArray:
        """Return where coordinates (node, dimension) are in the same space in another chart; infinite where that has no
        place for them."""
        places = self.fill(coordinates).T.copy()
        root = self.constrain(coordinates)[0].effect_root
        column = len(self.effect_sds)
        for block in other.blocks:
            own = list(block.positions)
            after = column + len(block.names)
            places[own], places[column:after] = block.unconstrain(root[np.ix_(own, own)])
            column = after
        return np.asarray(places.T[:, other.free])

    def starts(self) -> FloatArray:
        """Return starting coordinates (start, dimension): effect sds at several fractions of their guesses."""
        rows = []
        for fraction in (0.02, 0.1, 0.3, 0.7, 1.5):
            effect = [
                float(np.log(_move_inside(hyper.support, fraction * hyper.guess)))
                if k in self._in_blocks
                else hyper.start(fraction)
                for k, hyper in enumerate(self.effect_sds)
            ]
            residual = [self.residual_sd.start(0.8)] if self.residual_sd else []
            beside = (*self.coefficients, *self.coefficient_sds, *self.extras)
            location = [hyper.start(1.0) for hyper in beside]
            pair = self.pair.start(fraction) if self.pair else ()
            rows.append([*effect, *([0.0] * self.n_correlations), *residual, *location, *pair])
        return np.array(rows)[:, self.free]


def _move_inside(support: tuple[float, float], value: float) -> float:
    """Return the value, moved off the ends of its support where it lies outside."""
    lower, upper = support
    edge = 0.05 * (upper - lower) if np.isfinite(upper) else 0.05 * lower
    return min(max(value, lower + edge), upper - edge)

"""The two shapes of a beta or gamma population, in coordinates that are nearly independent.

| population | first coordinate | second coordinate | mean | concentration |
| --- | --- | --- | --- | --- |
| beta | log(alpha / beta), the logit of the mean | log(alpha + beta) | alpha / (alpha + beta) | alpha + beta |
| gamma | log(alpha / beta), the log of the mean | log(beta) | alpha / beta | beta |

The concentration is the size (trials, exposure) that the population is worth: a group of size n has pooling weight
n / (n + concentration).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from partialpool.models.priors import AlphaBetaPower, ScalarPrior
from partialpool.numerics.arrays import FloatArray


@dataclass(frozen=True)
class ShapePair:
    """alpha and beta of a population with their priors, which are on ``(alpha, beta)``, ``(mean, concentration)`` or,
    of a gamma population, ``(mean, alpha)``, one each, or one on both together.

    ``names`` are those of ``report``: alpha, beta, mean, concentration. ``guess`` are a mean and a concentration near
    the data's.
    """

    population: Literal["beta", "gamma"]
    names: tuple[str, ...]
    on: Literal["shapes", "mean and concentration", "mean and alpha", "both"]
    priors: tuple[ScalarPrior, ...]
    joint: AlphaBetaPower | None
    guess: tuple[float, float]

    def constrain(self, coordinates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return alpha and beta (2, node) and the log prior per unit of coordinate, from coordinates (2, node)."""
        location, size = coordinates
        with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
            if self.population == "beta":
                log_alpha = size - np.logaddexp(0.0, -location)
                log_beta = size - np.logaddexp(0.0, location)
                log_slopes = (-np.logaddexp(0.0, -location) - np.logaddexp(0.0, location), size)
            else:
                log_alpha, log_beta = location + size, size
                log_slopes = (location, size)
            shapes = np.exp(np.stack([log_alpha, log_beta]))
            # d(alpha, beta) / d(coordinates) is alpha beta for both populations
            log_prior = self._log_prior(shapes, log_alpha + log_beta, log_slopes)
        usable = np.all((shapes > 0.0) & np.isfinite(shapes), axis=0)
        return shapes, np.where(usable & ~np.isnan(log_prior), log_prior, -np.inf)

    def _log_prior(
        self, shapes: FloatArray, log_jacobian: FloatArray, log_slopes: tuple[FloatArray, FloatArray]
    ) -> FloatArray:
        if self.joint is not None:
            return self.joint.log_density(shapes.sum(axis=0)) + log_jacobian
        if self.on == "shapes":
            each = [prior.log_density(shape) for prior, shape in zip(self.priors, shapes, strict=True)]
            return np.asarray(each[0] + each[1] + log_jacobian)
        mean, size = self.mean_and_concentration(shapes)
        if self.on == "mean and alpha":
            each = [self.priors[0].log_density(mean), self.priors[1].log_density(shapes[0])]
            return np.asarray(each[0] + each[1] + 2.0 * log_slopes[0] + log_slopes[1])
        both = self.priors[0].log_density(mean) + self.priors[1].log_density(size)
        return np.asarray(both + log_slopes[0] + log_slopes[1])

    def mean_and_concentration(self, shapes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the population's mean and concentration (node,) each."""
        alpha, beta = shapes
        if self.population == "beta":
            return alpha / (alpha + beta), alpha + beta
        return alpha / beta, beta

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw alpha and beta (2, draw) from their priors. Raises ``PriorError`` where these are improper."""
        each = self.priors if self.joint is None else (self.joint,)
        drawn = np.stack([prior.quantile(rng.random(n)) for prior in each])
        if self.on == "shapes":
            return drawn
        mean, size = drawn
        return np.stack([mean * size, (1.0 - mean) * size if self.population == "beta" else size])

    def report(self, shapes: FloatArray) -> Sequence[FloatArray]:
        """Return what is reported of shapes (2, node): alpha, beta, mean, concentration, each (node,)."""
        mean, size = self.mean_and_concentration(shapes)
        return [shapes[0], shapes[1], mean, size][: len(self.names)]

    def axis_of(self, reported: int) -> int | None:
        """Return the coordinate that alone determines the ``reported``-th number of ``report``, None for both."""
        axes = (None, None, 0, 1) if self.population == "beta" else (None, 1, 0)
        return axes[reported]

    def report_along(self, axis: int, coordinates: FloatArray) -> FloatArray:
        """Return the mean (axis 0) or the concentration (axis 1) from its coordinate."""
        if axis == 0 and self.population == "beta":
            return np.asarray(np.exp(-np.logaddexp(0.0, -coordinates)))
        return np.exp(coordinates)

    @property
    def pooling_tail(self) -> float:
        """The power by which the prior falls towards complete pooling, where alpha and beta grow in proportion."""
        if self.joint is not None:
            return self.joint.tail_exponent
        if self.on == "shapes":  # the density of both at once, times the length of the ray's cross-section
            return sum(prior.tail_exponent for prior in self.priors) - 1.0
        return self.priors[1].tail_exponent

    def start(self, fraction: float) -> tuple[float, float]:
        """Return starting coordinates; the smaller the ``fraction``, the nearer together the groups."""
        mean, size = self.guess
        location = np.log(mean) - (np.log1p(-mean) if self.population == "beta" else 0.0)
        return float(location), float(np.log(size * 0.3 / fraction))

    def pull_back(self, shapes: FloatArray, gradient: FloatArray) -> FloatArray:
        """Return the gradient by the coordinates (2, node) from that by alpha and beta (2, node)."""
        alpha, beta = shapes
        by_log = gradient * shapes
        if self.population == "beta":
            total = alpha + beta
            return np.stack([by_log[0] * beta / total - by_log[1] * alpha / total, by_log[0] + by_log[1]])
        return np.stack([by_log[0], by_log[0] + by_log[1]])

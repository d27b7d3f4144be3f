"""The two shapes of a beta or gamma population, in coordinates that are nearly independent.

| population | first coordinate | second coordinate | mean | concentration |
| --- | --- | --- | --- | --- |
| beta | log(alpha / beta), the logit of the mean | log(alpha + beta) | alpha / (alpha + beta) | alpha + beta |
| gamma | log(alpha / beta), the log of the mean | log(beta) | alpha / beta | beta |

The concentration is the size (trials, exposure) that the population is worth: a group of size n has pooling weight
n / (n + concentration).

Where alpha or beta is given, the coordinates are log(alpha) and log(beta), beside a prior on the mean log(alpha / beta)
and log(alpha), of which the given one drops out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from partialpool.models.priors import AlphaBetaPower, Fixed, ScalarPrior
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

    @property
    def by_logs(self) -> bool:
        """Whether the coordinates are the logs of what the priors are on."""
        return self.on in ("shapes", "mean and alpha") and any(isinstance(prior, Fixed) for prior in self.priors)

    @property
    def _named(self) -> tuple[str, str]:
        """What the two priors are on."""
        if self.on == "shapes":
            return ("alpha", "beta")
        return ("mean", "alpha" if self.on == "mean and alpha" else "concentration")

    @cached_property
    def given(self) -> FloatArray:
        """What stands in the two places where it is given, NaN where there is a coordinate."""
        places = np.full(2, np.nan)
        for k, prior in enumerate(self.priors):
            if isinstance(prior, Fixed):
                logit = self._named[k] == "mean" and self.population == "beta"
                places[k] = np.log(prior.value) - (np.log1p(-prior.value) if logit else 0.0)
        return places

    @cached_property
    def given_values(self) -> dict[str, float]:
        """The reported numbers that are known."""
        each = zip(self._named, self.priors, strict=False)
        found = {name: prior.value for name, prior in each if isinstance(prior, Fixed)}
        if self.population == "gamma" and {"beta", "concentration"} & found.keys():
            found |= dict.fromkeys(("beta", "concentration"), found.get("beta", found.get("concentration", 0.0)))
        if not np.isnan(self.given).any():
            reported = self.report(self._shapes(self.given[:, None])[0])
            found |= {name: found.get(name, float(value[0])) for name, value in zip(self.names, reported, strict=True)}
        return {name: value for name, value in found.items() if name in self.names}

    def constrain(self, coordinates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return alpha and beta (2, node) and the log prior per unit of coordinate, from coordinates (2, node)."""
        with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
            shapes, log_shapes, log_slopes = self._shapes(coordinates)
            log_prior = self._log_prior(shapes, log_shapes, log_slopes)
        usable = np.all((shapes > 0.0) & np.isfinite(shapes), axis=0)
        return shapes, np.where(usable & ~np.isnan(log_prior), log_prior, -np.inf)

    def _shapes(self, coordinates: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return alpha and beta (2, node), as they are given where they are, their logs, and the logs of the slopes of
        mean and concentration along their coordinates."""
        location, size = coordinates
        if self.by_logs:
            log_slopes = np.asarray(coordinates)
            log_shapes = log_slopes if self.on == "shapes" else np.stack([size, size - location])
        elif self.population == "beta":
            log_shapes = np.stack([size - np.logaddexp(0.0, -location), size - np.logaddexp(0.0, location)])
            log_slopes = np.stack([-np.logaddexp(0.0, -location) - np.logaddexp(0.0, location), size])
        else:
            log_shapes, log_slopes = np.stack([location + size, size]), np.stack([location, size])
        shapes = np.exp(log_shapes)
        for name, prior in zip(self._named, self.priors if self.by_logs else (), strict=False):
            if isinstance(prior, Fixed) and name != "mean":
                shapes[0 if name == "alpha" else 1] = prior.value
        return shapes, log_shapes, log_slopes

    def _log_prior(self, shapes: FloatArray, log_shapes: FloatArray, log_slopes: FloatArray) -> FloatArray:
        # d(alpha, beta) / d(coordinates) is alpha beta for both populations, in either pair of coordinates
        if self.joint is not None:
            return np.asarray(self.joint.log_density(shapes.sum(axis=0)) + log_shapes.sum(axis=0))
        mean, size = self.mean_and_concentration(shapes)
        values, slopes = {
            "shapes": ((shapes[0], shapes[1]), log_shapes),
            "mean and alpha": ((mean, shapes[0]), np.stack([log_slopes[0], log_shapes[0]])),
        }.get(self.on, ((mean, size), log_slopes))
        log_prior = np.zeros(shapes.shape[1])
        for prior, value, slope in zip(self.priors, values, slopes, strict=True):
            if not isinstance(prior, Fixed):
                log_prior += prior.log_density(value) + slope
        return log_prior

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
        if self.on == "mean and alpha":
            return np.stack([size, size / mean])
        return np.stack([mean * size, (1.0 - mean) * size if self.population == "beta" else size])

    def report(self, shapes: FloatArray) -> Sequence[FloatArray]:
        """Return what is reported of shapes (2, node): alpha, beta, mean, concentration, each (node,)."""
        mean, size = self.mean_and_concentration(shapes)
        return [shapes[0], shapes[1], mean, size][: len(self.names)]

    def axis_of(self, reported: int) -> int | None:
        """Return the coordinate that alone determines the ``reported``-th number of ``report``, None for both."""
        if self.by_logs:
            return ((0, 1, None, None) if self.on == "shapes" else (1, None, 0))[reported]
        axes = (None, None, 0, 1) if self.population == "beta" else (None, 1, 0)
        return axes[reported]

    def report_along(self, axis: int, coordinates: FloatArray) -> FloatArray:
        """Return the mean (axis 0) or the concentration (axis 1), or what else has a coordinate, from it."""
        if axis == 0 and self.population == "beta" and not self.by_logs:
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
        if self.on == "mean and alpha" and self.by_logs:
            return float(np.log(mean)), float(np.log(mean * size * 0.3 / fraction))
        if self.by_logs:  # whichever is given, the other where the mean is the data's
            ratio = mean / (1.0 - mean) if self.population == "beta" else mean
            alpha, beta = np.exp(self.given)
            known = alpha / ratio if np.isnan(beta) else beta
            return float(np.log(known * ratio)), float(np.log(known))
        location = np.log(mean) - (np.log1p(-mean) if self.population == "beta" else 0.0)
        return float(location), float(np.log(size * 0.3 / fraction))

    def pull_back(self, shapes: FloatArray, gradient: FloatArray) -> FloatArray:
        """Return the gradient by the coordinates (2, node) from that by alpha and beta (2, node)."""
        alpha, beta = shapes
        by_log = gradient * shapes
        if self.by_logs:
            return by_log if self.on == "shapes" else np.stack([-by_log[1], by_log[0] + by_log[1]])
        if self.population == "beta":
            total = alpha + beta
            return np.stack([by_log[0] * beta / total - by_log[1] * alpha / total, by_log[0] + by_log[1]])
        return np.stack([by_log[0], by_log[0] + by_log[1]])

"""Coefficients and effects of a fit by dense algebra on its rows, at each of its nodes: small models of any factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

import partialpool as pp
from partialpool.models.priors import Flat, Normal

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class DenseFit:
    """Means (unknown, node) and covariances (unknown, unknown, node) of coefficients, then of every factor's effects
    (level by level within coefficients), at the nodes with ``weights``; ``starts`` say where a factor's begin."""

    fit: Any
    mean: FloatArray
    covariance: FloatArray
    weights: FloatArray
    starts: tuple[int, ...]

    @property
    def n_unknown(self) -> int:
        """How many coefficients and effects there are."""
        return len(self.mean)

    def effect(self, factor: int, effect: int, level: int) -> int:
        """The place of one effect among the unknowns."""
        return self.starts[factor] + effect * int(self.fit.fitted.model.groups[factor].n_levels) + level

    def theta(self, factor: int, effect: int, level: int) -> FloatArray:
        """What a group's own value is of the unknowns."""
        vector = np.zeros(self.n_unknown)
        vector[self.effect(factor, effect, level)] = 1.0
        names = self.fit.fitted.model.design.population.names
        own = self.fit.fitted.model.groups[factor].names[effect]
        if own in names:
            vector[names.index(own)] = 1.0
        return vector

    def moments(self, vector: FloatArray, extra: FloatArray | float = 0.0) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (node,) of a combination of the unknowns, ``extra`` variance added."""
        return vector @ self.mean, np.einsum("i,ijn,j->n", vector, self.covariance, vector) + extra

    def mixture(self, vector: FloatArray, extra: FloatArray | float = 0.0) -> tuple[float, float, float]:
        """Posterior mean, sd and P(> 0) of a combination of the unknowns."""
        mean, variance = self.moments(vector, extra)
        centre = float(self.weights @ mean)
        spread = float(self.weights @ (variance + (mean - centre) ** 2))
        return centre, float(np.sqrt(spread)), float(self.weights @ ndtr(mean / np.sqrt(variance)))


def solve_densely(fit: pp.Posterior) -> DenseFit:
    """Condition on each node by inverting the precision of all unknowns; priors are Normal or Flat."""
    model, points = fit.fitted.model, fit.fitted.hyper.points
    design = model.design
    measured = design.measurements
    blocks, starts, at = [design.population.values], [], len(design.population.names)
    for group in model.groups:
        starts.append(at)
        indicator = (group.codes[:, None] == np.arange(group.n_levels)).astype(float)
        blocks += [indicator * group.values[:, [k]] for k in range(len(group.names))]
        at += group.n_levels * len(group.names)
    columns = np.hstack(blocks)
    weights = np.ones(len(measured.response))
    for given in (measured.precision, measured.counts):
        weights = weights if given is None else weights * given
    response = measured.response - (0.0 if measured.offset is None else measured.offset)
    centre, precision = np.zeros(columns.shape[1]), np.zeros(columns.shape[1])
    for k, name in enumerate(design.population.names):
        prior = model.priors[name]
        assert isinstance(prior, Normal | Flat)
        if isinstance(prior, Normal):
            centre[k], precision[k] = prior.mu, prior.sigma**-2.0
    means, covariances = [], []
    for n in range(points.n_nodes):
        total = np.diag(precision)
        root = points.effect_root[..., n]
        for factor, group in enumerate(model.groups):
            part = model.effect_slices[factor]
            own = np.linalg.inv(root[part, part] @ root[part, part].T)
            stop = starts[factor] + group.n_levels * len(group.names)
            total[starts[factor] : stop, starts[factor] : stop] = np.kron(own, np.eye(group.n_levels))
        noise = points.residual_sd[n] ** -2.0 * weights
        covariance = np.linalg.inv(total + (columns * noise[:, None]).T @ columns)
        means.append(covariance @ (columns.T @ (noise * response) + precision * centre))
        covariances.append(covariance)
    return DenseFit(
        fit, np.array(means).T, np.moveaxis(np.array(covariances), 0, -1), fit.fitted.hyper.weights, tuple(starts)
    )

"""Brute force for successes and trials of groups that are logit-normal: two hyperparameters on a dense grid.

The population's mean lies on equal steps, its sd at c sinh x^2 on Gauss-Legendre nodes in x (a density that is infinite
at 0 like a root is constant by x), both over a box that is narrowed to where the density is; each group's own
value on equal steps in its own deviation over the sd, so that an sd near 0 is as well resolved as any.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import expit, logsumexp

FloatArray = NDArray[np.float64]
LEVELS = (0.05, 0.5, 0.95)
_SCALE, _DROP = 0.3, 20.0
_V = np.linspace(-7.5, 7.5, 301)


class Answer(NamedTuple):
    """Mean, sd and quantiles at ``LEVELS`` of numbers: (number,), (number,), (number, level)."""

    mean: FloatArray
    sd: FloatArray
    quantiles: FloatArray


class Truth(NamedTuple):
    """The population's mean and sd, and the groups' own proportions."""

    hyper: Answer
    groups: Answer


def integrate_proportions(y: FloatArray, n: FloatArray, mean_prior: Any, sd_prior: Any, size: tuple[int, int]) -> Truth:
    """Integrate with (mean, sd) on a grid of a ``size``; the priors are frozen distributions of scipy."""
    ends = np.sqrt(np.arcsinh(np.minimum(sd_prior.support(), 100.0) / _SCALE))
    box = np.array([[-12.0, 8.0], ends])
    for step in range(7):
        shape = size if step == 6 else (41, 41)
        mean = np.linspace(*box[0], shape[0])
        width = (box[1, 1] - box[1, 0]) / shape[1]
        x = box[1, 0] + width * (np.arange(shape[1]) + 0.5)
        x_weights = np.full(shape[1], width)
        if step == 6:
            nodes, x_weights = np.polynomial.legendre.leggauss(shape[1])
            x, x_weights = box[1].mean() + 0.5 * np.ptp(box[1]) * nodes, 0.5 * np.ptp(box[1]) * x_weights
        means, xs = (each.ravel() for each in np.meshgrid(mean, x, indexing="ij"))
        sds = _SCALE * np.sinh(xs**2)
        logs = mean_prior.logpdf(means) + sd_prior.logpdf(sds) + np.log(xs * np.cosh(xs**2))
        logs = logs + sum(logsumexp(_terms(a, b, means, sds), axis=1) for a, b in zip(y, n, strict=True))
        logs = logs + np.tile(np.log(x_weights), shape[0])
        high = (logs - logs.max()).reshape(shape) > -_DROP
        rows, columns = np.flatnonzero(high.any(axis=1)), np.flatnonzero(high.any(axis=0))
        spacing = mean[1] - mean[0]
        box_of_mean, box_of_x = box[0].copy(), box[1].copy()
        box[0] = mean[rows[0]] - spacing, mean[rows[-1]] + spacing
        box[1] = np.clip([x[columns[0]] - 1.5 * width, x[columns[-1]] + 1.5 * width], *ends)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    table = weights.reshape(shape)
    hyper = [_summarise(weights, means, _level(table.sum(axis=1) / spacing, mean, box_of_mean))]
    hyper.append(_summarise(weights, sds, _SCALE * np.sinh(_level(table.sum(axis=0) / x_weights, x, box_of_x) ** 2)))
    kept = weights > 1e-10
    own = [_summarise_group(a, b, means[kept], sds[kept], weights[kept]) for a, b in zip(y, n, strict=True)]
    return Truth(*(Answer(*(np.array(part) for part in zip(*each, strict=True))) for each in (hyper, own)))


def _terms(y: float, n: float, means: FloatArray, sds: FloatArray) -> FloatArray:
    theta = means[:, None] + sds[:, None] * _V
    return np.asarray(y * theta - n * np.logaddexp(0.0, theta) + stats.norm.logpdf(_V))


def _level(density: FloatArray, nodes: FloatArray, ends: FloatArray) -> FloatArray:
    fine = np.linspace(*ends, 20_001)
    cumulative = CubicSpline(nodes, density).antiderivative()(fine)
    return np.interp(LEVELS, cumulative - cumulative[0], fine)


def _summarise(weights: FloatArray, values: FloatArray, quantiles: FloatArray) -> tuple[float, float, FloatArray]:
    mean = float(weights @ values)
    return mean, float(np.sqrt(weights @ (values - mean) ** 2)), quantiles


def _summarise_group(
    y: float, n: float, means: FloatArray, sds: FloatArray, weights: FloatArray
) -> tuple[float, float, FloatArray]:
    terms = _terms(y, n, means, sds)
    share = np.exp(terms - logsumexp(terms, axis=1, keepdims=True))
    p = expit(means[:, None] + sds[:, None] * _V)
    mean = float(weights @ np.sum(share * p, axis=1))
    sd = float(np.sqrt(weights @ np.sum(share * (p - mean) ** 2, axis=1)))
    below, nodes = np.cumsum(share, axis=1) - 0.5 * share, np.arange(len(means))

    def cumulative(theta: float) -> float:
        place = ((theta - means) / sds - _V[0]) / (_V[1] - _V[0])
        cell = np.clip(np.floor(place).astype(int), 0, len(_V) - 2)
        part = np.clip(place - cell, 0.0, 1.0)
        left, right = share[nodes, cell], share[nodes, cell + 1]
        rise = below[nodes, cell + 1] - below[nodes, cell]  # between points the cubic with the density for its slope
        cubic = left + part * (3.0 * rise - 2.0 * left - right + part * (left + right - 2.0 * rise))
        inside = below[nodes, cell] + part * cubic
        return float(weights @ np.where(place < 0, 0.0, np.where(place > len(_V) - 1, 1.0, inside)))

    found = [brentq(lambda t, level=level: cumulative(t) - level, -30.0, 30.0) for level in LEVELS]
    return mean, sd, expit(np.array(found))

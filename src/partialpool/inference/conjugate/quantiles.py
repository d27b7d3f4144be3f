"""Quantiles of mixtures over nodes of beta or gamma distributions, by Halley's method on the log of the nearer tail.

On the linear predictor's scale the log of a beta or gamma tail is concave and its far part a line, so a step from the
quantile of the one distribution with the mixture's mean and variance seldom has to be repeated; brackets guard steps.
"""

from __future__ import annotations

import math

import numpy as np

from partialpool.inference.laws.beta_gamma import Law, Tail
from partialpool.numerics.arrays import FloatArray

# A step this small, in units of what changes the log tail by 1, leaves an error of about its cube.
_SMALL_STEP = 1e-3
_MOST_STEPS = 200


def mixture_quantiles(law: Law, node_weights: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Return t (item, probability), below which the mixture has ``probabilities`` (probability,)."""
    log_peak = law.log_peak()
    quantiles = np.empty((log_peak.shape[1], len(probabilities)))
    with np.errstate(all="ignore"):
        for column, probability in enumerate(probabilities):
            quantiles[:, column] = _solve(law, log_peak, node_weights, float(probability))
    return quantiles


def _solve(law: Law, log_peak: FloatArray, node_weights: FloatArray, probability: float) -> FloatArray:
    lower = probability <= 0.5
    target = probability if lower else 1.0 - probability
    t = law.start(target, lower, node_weights)
    low, high = np.full(len(t), -np.inf), np.full(len(t), np.inf)
    left = np.ones(len(t), dtype=np.bool_)
    for count in range(_MOST_STEPS):
        tail = law.tail(t[left], lower, log_peak)
        misfit, rate, step = _halley(tail, node_weights, math.log(target), lower)
        at = t[left]
        above = (misfit > 0.0) == lower
        floor, ceiling = np.where(above, low[left], at), np.where(above, at, high[left])
        proposal = at + step
        kept = (proposal >= floor) & (proposal <= ceiling) & np.isfinite(proposal)
        t[left] = np.where(kept, proposal, _bisect(at, floor, ceiling, above, count))
        low[left], high[left] = floor, ceiling
        small = np.abs(step) < 4e-16 * np.abs(at)
        unfinished = ~((kept | small) & ((np.abs(step * rate) < _SMALL_STEP) | small))
        if not unfinished.any():
            break
        left[left] = unfinished
        law, log_peak = law.take(unfinished), log_peak[:, unfinished]
    return t


def _halley(
    tail: Tail, node_weights: FloatArray, log_target: float, lower: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return by how much the log tail is too large (item,), its derivative by t, and the step."""
    sign = 1.0 if lower else -1.0
    probability = node_weights @ tail.probability
    misfit = np.log(probability) - log_target
    rate = sign * (node_weights @ tail.density) / probability
    curvature = sign * (node_weights @ tail.slope) / probability - rate**2
    bend = np.clip(misfit * curvature / rate**2, -1.0, 1.0)
    return misfit, rate, -misfit / rate / (1.0 - 0.5 * bend)


def _bisect(at: FloatArray, floor: FloatArray, ceiling: FloatArray, above: FloatArray, count: int) -> FloatArray:
    """Return the middle of finite brackets; where a side is open, a step towards it that grows with the ``count``."""
    step = np.where(above, -1.0, 1.0) * np.maximum(np.abs(at), 1.0) * 1e-3 * 2.0 ** min(count, 60)
    closed = np.isfinite(floor) & np.isfinite(ceiling)
    return np.where(closed, 0.5 * (np.where(closed, floor, 0.0) + np.where(closed, ceiling, 0.0)), at + step)

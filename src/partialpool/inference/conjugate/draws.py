"""Draws of groups' probabilities and rates given draws of the hyperparameters, and of new groups' counts."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from partialpool.models.populations.gamma import draw_log_gamma
from partialpool.numerics.arrays import FloatArray

# Shapes below this are drawn as logs, because gamma variables then underflow.
_TINY_SHAPE = 0.1
_LEAST, _ALMOST_ONE = np.finfo(np.float64).tiny, 1.0 - 2.0**-53
_BLOCK = 2**16


def draw_proportions(
    alpha: FloatArray, beta: FloatArray, values: FloatArray, sizes: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Draw p (draw, group) given ``alpha``, ``beta`` (draw,) and ``values`` of ``sizes`` (group,), never 0 or 1."""
    p = np.empty((len(alpha), len(values)))
    for rows in _blocks(*p.shape):
        p[rows] = _draw_beta(alpha[rows, None] + values, beta[rows, None] + (sizes - values), rng)
    return p


def draw_rates(
    alpha: FloatArray, beta: FloatArray, values: FloatArray, sizes: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Draw rates (draw, group) given ``alpha``, ``beta`` (draw,) and counts in exposures (group,), never 0."""
    rates = np.empty((len(alpha), len(values)))
    for rows in _blocks(*rates.shape):
        shape = alpha[rows, None] + values
        gamma = rng.standard_gamma(shape)
        tiny = shape < _TINY_SHAPE
        if tiny.any():
            gamma[tiny] = np.exp(draw_log_gamma(shape[tiny], (int(tiny.sum()),), rng))
        rates[rows] = np.maximum(gamma / (beta[rows, None] + sizes), _LEAST)
    return rates


def _draw_beta(a: FloatArray, b: FloatArray, rng: np.random.Generator) -> FloatArray:
    one, other = rng.standard_gamma(a), rng.standard_gamma(b)
    with np.errstate(invalid="ignore"):
        p = np.asarray(one / (one + other))
    tiny = np.minimum(a, b) < _TINY_SHAPE
    if tiny.any():
        shape = (int(tiny.sum()),)
        p[tiny] = expit(draw_log_gamma(a[tiny], shape, rng) - draw_log_gamma(b[tiny], shape, rng))
    return np.clip(p, _LEAST, _ALMOST_ONE)


def _blocks(n_draws: int, n_groups: int) -> list[slice]:
    length = max(1, _BLOCK // max(n_groups, 1))
    return [slice(start, start + length) for start in range(0, n_draws, length)]

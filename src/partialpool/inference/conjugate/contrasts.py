"""Weighted sums of groups' parameters under conjugate pairs, which are independent given a node.

A group's logit has the characteristic function G(a + iw) G(b - iw) / (G(a) G(b)), its log rate
G(a + iw) b^-iw / G(a); those of probabilities and rates are integrated over these by the trapezoid rule. That of a
contrast given a node is their product, and the mixture over nodes is inverted by Fourier series.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import digamma, expit, loggamma

from partialpool.inference.conjugate.conditional import trigamma
from partialpool.inference.laws.beta_gamma import BetaLaw, GammaLaw
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.fourier_series import ComplexArray, FourierSeries

# Sds that are left out on neither side, and log of an exponential tail's part beyond the interval.
_SDS, _LOG_TAIL = 7.5, 17.0
# Weight of nodes that may reach out of the interval, and of nodes too narrow for the frequencies: the error of a
# probability is below their sum.
_OUTSIDE, _UNRESOLVED = 1e-7, 1e-5
# Frequencies beyond which characteristic functions of logs of gammas are negligible, beside those of narrow normals.
_BEYOND, _MOST_TERMS = 8.0, 8192
# Points of the rule over a linear predictor, and numbers (item, node, frequency) held at a time.
_RULE, _BLOCK = 400, 2**20


class ContrastSummary(NamedTuple):
    """Mean, sd (contrast,), quantiles (contrast, probability) and the probability of being positive."""

    mean: FloatArray
    sd: FloatArray
    quantiles: FloatArray
    above: FloatArray


def summarise_contrasts(
    law: BetaLaw | GammaLaw,
    node_weights: FloatArray,
    items: IntArray,
    weights: FloatArray,
    probabilities: FloatArray,
    *,
    response: bool,
) -> ContrastSummary:
    """Summarise contrasts over nodes: sums of ``weights`` (term, contrast) times the parameters of ``items`` (term,
    contrast) of ``law`` (node, item): logits or log rates, or with ``response`` probabilities or rates."""
    means, variances = _moments(law, response)
    centre = sum(w * means[:, item] for w, item in zip(weights, items, strict=True))
    within = sum(w * w * variances[:, item] for w, item in zip(weights, items, strict=True))
    mean = node_weights @ centre
    sd = np.sqrt(node_weights @ (within + (centre - mean) ** 2))
    reach = -_least(-_reach(law, means, variances, response), node_weights, _OUTSIDE)
    half = float(sum(np.abs(w) * reach[item] for w, item in zip(weights, items, strict=True)).max())
    half -= float(_least(-np.abs(centre - mean), node_weights, _OUTSIDE).min())
    beyond = 0.0 if response else _BEYOND / float(np.abs(weights).max(axis=0).min())
    highest = _SDS / float(_least(np.sqrt(within), node_weights, _UNRESOLVED).min()) + beyond
    n_terms = int(np.clip(np.ceil(highest * half / np.pi), 16, _MOST_TERMS))
    frequencies = np.asarray(np.pi / half * np.arange(1.0, n_terms + 1.0), dtype=np.float64)
    series = FourierSeries(mean, half, _mix(law, node_weights, items, weights, frequencies, mean, response))
    quantiles = np.empty((len(mean), len(probabilities)))
    for k, probability in enumerate(probabilities):
        start = mean + sd * 0.55 * np.log(probability / (1.0 - probability))
        quantiles[:, k] = series.quantile(float(probability), start)
    above = np.clip(1.0 - series.cumulative(np.zeros(len(mean)))[0], 0.0, 1.0)
    return ContrastSummary(mean, sd, quantiles, above)


def _least(values: FloatArray, node_weights: FloatArray, share: float) -> FloatArray:
    """Return the least of ``values`` (node, item) but for nodes of together a ``share`` of the weight, (item,)."""
    order = np.argsort(values, axis=0)
    place = np.sum(np.cumsum(node_weights[order], axis=0) < share, axis=0)[None]
    return np.asarray(np.take_along_axis(np.take_along_axis(values, order, axis=0), place, axis=0)[0])


def _moments(law: BetaLaw | GammaLaw, response: bool) -> tuple[FloatArray, FloatArray]:
    """Return means and variances (node, item)."""
    a, b = law.a, law.b
    if isinstance(law, BetaLaw):
        if response:
            mean = a / (a + b)
            return mean, mean * (b / (a + b)) / (a + b + 1.0)
        return digamma(a) - digamma(b), trigamma(a) + trigamma(b)
    if response:
        return a / b, a / b**2
    return digamma(a) - np.log(b), trigamma(a)


def _reach(law: BetaLaw | GammaLaw, means: FloatArray, variances: FloatArray, response: bool) -> FloatArray:
    """Return how far from its mean an item has practically no mass, (node, item)."""
    if isinstance(law, BetaLaw):
        if response:
            return np.minimum(_SDS * np.sqrt(variances) + _LOG_TAIL / (law.a + law.b), 1.0)
        return np.asarray(_SDS * np.sqrt(variances) + _LOG_TAIL / np.minimum(law.a, law.b))
    return np.asarray(_SDS * np.sqrt(variances) + _LOG_TAIL / (law.b if response else law.a))


def _mix(
    law: BetaLaw | GammaLaw,
    node_weights: FloatArray,
    items: IntArray,
    weights: FloatArray,
    frequencies: FloatArray,
    centre: FloatArray,
    response: bool,
) -> ComplexArray:
    """Return the characteristic functions (contrast, frequency) of the mixtures about ``centre`` (contrast,)."""
    total = np.zeros((items.shape[1], len(frequencies)), dtype=np.complex128)
    distinct, place = np.unique(np.stack([items.ravel(), np.abs(weights).ravel()]), axis=1, return_inverse=True)
    place = place.reshape(items.shape)
    size = max(1, _BLOCK // (distinct.shape[1] * len(frequencies)))
    for start in range(0, len(node_weights), size):
        nodes = slice(start, start + size)
        each = _characteristic(law, nodes, distinct[0].astype(np.intp), distinct[1], frequencies, response)
        total += _multiply(each, node_weights[nodes], place, np.sign(weights))
    return np.asarray(total * np.exp(-1j * frequencies * centre[:, None]))


def _multiply(each: ComplexArray, node_weights: FloatArray, place: IntArray, signs: FloatArray) -> ComplexArray:
    """Return the sums over nodes (contrast, frequency) of products of ``each`` (node, item, frequency) at ``place``
    (term, contrast), where the sign is negative conjugate."""
    if len(place) == 2 and place.shape[1] > each.shape[1] and (signs == np.array([[1.0], [-1.0]])).all():
        # all pairs of few groups: one matrix product a frequency
        by_frequency = np.ascontiguousarray(each.transpose(2, 1, 0))
        pairs = (by_frequency * node_weights) @ by_frequency.conj().transpose(0, 2, 1)
        return np.asarray(pairs[:, place[0], place[1]].T)
    total = np.empty((place.shape[1], each.shape[2]), dtype=np.complex128)
    for contrast in range(place.shape[1]):
        product = node_weights[:, None].astype(np.complex128)
        for term in range(len(place)):
            factor = each[:, place[term, contrast]]
            product = product * (factor if signs[term, contrast] > 0.0 else factor.conj())
        total[contrast] = product.sum(axis=0)
    return total


def _characteristic(
    law: BetaLaw | GammaLaw, nodes: slice, items: IntArray, sizes: FloatArray, frequencies: FloatArray, response: bool
) -> ComplexArray:
    """Return E exp(i w size x) of items (node, item, frequency)."""
    a, b = (shape[nodes][:, items, None] for shape in (law.a, law.b))
    w = sizes[:, None] * frequencies
    if response:
        return _integrate(type(law)(a[..., 0], b[..., 0]), w)
    first = loggamma(a + 1j * w) - loggamma(a)
    second = loggamma(b - 1j * w) - loggamma(b) if isinstance(law, BetaLaw) else -1j * w * np.log(b)
    return np.asarray(np.exp(first + second), dtype=np.complex128)


def _integrate(law: BetaLaw | GammaLaw, w: FloatArray) -> ComplexArray:
    """Return E exp(i w x) (node, item, frequency) of probabilities or rates at ``w`` (item, frequency), over the linear
    predictor."""
    means, variances = _moments(law, response=False)
    reach = _reach(law, means, variances, response=False)
    result = np.empty((*law.a.shape, w.shape[1]), dtype=np.complex128)
    steps = np.linspace(-1.0, 1.0, _RULE)
    for item in range(law.a.shape[1]):
        t = means[:, item, None] + reach[:, item, None] * steps
        x = expit(t) if isinstance(law, BetaLaw) else np.exp(t)
        a, b = law.a[:, item, None], law.b[:, item, None]
        is_beta = isinstance(law, BetaLaw)
        logs = -a * np.logaddexp(0.0, -t) - b * np.logaddexp(0.0, t) if is_beta else a * t - b * x
        density = np.exp(logs - logs.max(axis=1, keepdims=True))
        density /= density.sum(axis=1, keepdims=True)
        # frequencies are multiples of the first, and their waves powers of its wave
        turn, wave = np.exp(1j * w[item, 0] * x), density.astype(np.complex128)
        for k in range(w.shape[1]):
            wave = wave * turn
            result[:, item, k] = wave.sum(axis=1)
    return result

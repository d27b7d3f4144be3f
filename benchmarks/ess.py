"""The one ruler for draws of every tool: rank-normalised split-chain bulk effective sample size."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri


def bulk_ess(draws: np.ndarray) -> float:
    """Bulk effective sample size of draws (chain, draw); Vehtari et al. (2021), sections 3.1 and 4.1.

    >>> rng = np.random.default_rng(1)
    >>> 3600 < bulk_ess(rng.standard_normal((4, 1000))) < 4400
    True
    """
    half = draws.shape[1] // 2
    chains = np.concatenate([draws[:, :half], draws[:, -half:]])
    values, inverse, counts = np.unique(chains.ravel(), return_inverse=True, return_counts=True)
    if len(values) == 1:
        return float("nan")
    average_rank = np.cumsum(counts) - (counts - 1) / 2
    normal_scores = ndtri((average_rank - 0.375) / (chains.size + 0.25))
    return split_ess(normal_scores[inverse].reshape(chains.shape))


def split_ess(chains: np.ndarray) -> float:
    """Effective sample size of chains (chain, draw) by Geyer's initial monotone sequence."""
    n_chains, n_draws = chains.shape
    centred = chains - chains.mean(1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * n_draws, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :n_draws].mean(0) / n_draws
    within = covariance[0] * n_draws / (n_draws - 1)
    total = covariance[0] + chains.mean(1).var(ddof=1)
    correlation = 1 - (within - covariance * n_draws / (n_draws - 1)) / total
    correlation[0] = 1.0
    pairs = correlation[0 : n_draws - n_draws % 2 : 2] + correlation[1::2]
    negative = np.flatnonzero(pairs < 0)
    kept = np.minimum.accumulate(pairs[: negative[0] if negative.size else len(pairs)])
    time = max(2 * kept.sum() - 1, 1 / np.log10(n_chains * n_draws))
    return float(n_chains * n_draws / time)

"""Moments and quantiles of mixtures of normal distributions, many mixtures over the same nodes at once."""

from __future__ import annotations

import numpy as np

from partialpool.numerics.arrays import FloatArray

# Second-order terms of the Cornish-Fisher expansion, in sds, below which its quantiles stand as they are.
_NEGLIGIBLE = 1e-5
# Error of probability within which a short step of Newton's method ends the search.
_SETTLED = 1e-6


def mixture_moments(weights: FloatArray, means: FloatArray, variances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean and standard deviation of each mixture.

    ``weights`` (node,) sum to one; ``means`` and ``variances`` are (node, quantity).
    """
    mean = weights @ means
    spread = means - mean
    variance = weights @ variances + weights @ (spread * spread)
    return mean, np.sqrt(np.maximum(variance, 0.0))


def mixture_quantiles(
    weights: FloatArray,
    means: FloatArray,
    sds: FloatArray,
    probabilities: FloatArray,
    tolerance: float = 1e-6,
) -> FloatArray:
    """Return the quantiles (quantity, probability) of normal mixtures to ``tolerance`` sds of each mixture, or of its
    average component where that is narrower.

    The Cornish-Fisher approximation, corrected by Newton's method on the distribution function inside a bracket that
    shrinks, wherever the approximation's second-order terms are above 1e-5 sds (the groups of a large data set
    often need no correction, which is ten times dearer). A component with sd 0 is a point mass, given a width of
    1e-9 of the mixture's sd.
    """
    from scipy.special import ndtr, ndtri

    mean, sd = mixture_moments(weights, means, sds * sds)
    unit = np.where(sd > 0.0, sd, 1.0)
    # Standardising keeps the bracket and the tolerance the same for every quantity.
    centres = (means - mean) / unit
    widths = np.maximum(sds / unit, 1e-9)
    # where a few far nodes make the sd, what matters is the width of the components
    precision = tolerance * np.minimum(1.0, weights @ widths)
    result = np.empty((len(mean), len(probabilities)))
    starts, second_order = _cornish_fisher_quantiles(weights, centres, widths * widths, probabilities)
    for k, probability in enumerate(probabilities):
        normal = float(ndtri(probability))
        at = np.where(np.abs(starts[:, k] - normal) < 1.0, starts[:, k], normal)
        low = np.full(len(mean), -1.0 / np.sqrt(max(probability, 1e-300)))
        high = np.full(len(mean), 1.0 / np.sqrt(max(1.0 - probability, 1e-300)))
        last = np.full(len(mean), np.inf)
        active = np.flatnonzero(~(second_order[:, k] < _NEGLIGIBLE))
        for _ in range(200):
            if not len(active):
                break
            scaled = (at[active] - centres[:, active]) / widths[:, active]
            excess = weights @ ndtr(scaled) - probability
            density = weights @ (np.exp(-0.5 * scaled * scaled) / widths[:, active]) / np.sqrt(2.0 * np.pi)
            above = excess > 0.0
            high[active[above]] = at[active[above]]
            low[active[~above]] = at[active[~above]]
            with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                newton = excess / density
            size, settled = np.abs(newton), np.abs(excess) < _SETTLED
            proposal = at[active] - newton
            # Newton's steps may go to and fro without shrinking, and beside a spike of narrow components they are
            # short however far the quantile is: both are caught here
            trusted = (proposal > low[active]) & (proposal < high[active])
            trusted &= (size < 0.5 * last[active]) & (settled | (size > precision[active]))
            proposal = np.where(trusted, proposal, 0.5 * (low[active] + high[active]))
            moved = np.abs(proposal - at[active])
            at[active], last[active] = proposal, moved
            narrow = high[active] - low[active] <= precision[active]
            active = active[~(narrow | (settled & (moved <= precision[active])))]
        result[:, k] = at
    return mean[:, None] + sd[:, None] * result


def _cornish_fisher_quantiles(
    weights: FloatArray, centres: FloatArray, variances: FloatArray, probabilities: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return quantiles (quantity, probability) of standardised normal mixtures approximated from their first four
    cumulants, and the size of the second-order terms.

    Source: Cornish and Fisher (1938), Revue de l'Institut International de Statistique 5:307-320.
    """
    from scipy.special import ndtri

    squares = centres * centres
    skewness = weights @ (centres * (squares + 3.0 * variances))
    excess = weights @ (squares * squares + 6.0 * squares * variances + 3.0 * variances * variances) - 3.0
    z = np.asarray(ndtri(probabilities))
    first = z + skewness[:, None] * (z**2 - 1.0) / 6.0
    second = excess[:, None] * (z**3 - 3.0 * z) / 24.0 - skewness[:, None] ** 2 * (2.0 * z**3 - 5.0 * z) / 36.0
    # at the median both polynomials vanish; the cumulants themselves still bound what is left out
    size = np.abs(second) + 0.05 * (np.abs(excess) + skewness**2)[:, None]
    return first + second, size

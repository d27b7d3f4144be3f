"""Point estimates of beta and gamma populations: by moments, and by the marginal likelihood (ML-II)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.inference.conjugate.pairs import Pairs

Kind = Literal["beta", "gamma"]


class PopulationEstimate(NamedTuple):
    """Shapes of a population: ``mean`` alpha / (alpha + beta) and ``concentration`` alpha + beta of probabilities,
    alpha / beta and beta of rates; under complete pooling, ``pooled``, all but the mean are infinite."""

    alpha: float
    beta: float
    mean: float
    concentration: float
    pooled: bool


def estimate_of(kind: Kind, mean: float, concentration: float) -> PopulationEstimate:
    """Return the population of that mean and concentration."""
    pooled = not np.isfinite(concentration)
    alpha = concentration * mean
    beta = concentration * (1.0 - mean) if kind == "beta" else concentration
    return PopulationEstimate(alpha, beta, mean, concentration, pooled)


def by_moments(kind: Kind, pairs: Pairs) -> PopulationEstimate:
    """Match the mean of groups' proportions or rates and their variance beyond that of sampling."""
    check_estimable(kind, pairs)
    return _proportions_by_moments(pairs) if kind == "beta" else _rates_by_moments(pairs)


def check_estimable(kind: Kind, pairs: Pairs) -> None:
    """Refuse data in which every group, or no group, has successes or counts, or that are a single group."""
    if pairs.n_groups < 2:
        raise DataError("one group does not show how groups differ; give the population's parameters or their priors")
    if pairs.total_values == 0.0:
        what = "successes" if kind == "beta" else "counts"
        raise DataError(
            f"no group has any {what}, so the population's mean would be estimated as 0; give its parameters priors"
        )
    if kind == "gamma":
        return
    if pairs.total_values == pairs.total_sizes:
        raise DataError(
            "no group has any failures, so the population's mean would be estimated as 1; give its parameters priors"
        )
    if np.all(pairs.sizes <= 1.0):
        raise DataError(
            "every group has one trial, which says nothing of how much groups differ; "
            "give alpha + beta, or fit complete pooling"
        )


def _proportions_by_moments(pairs: Pairs) -> PopulationEstimate:
    """Kleinman (1973), first with the trials as weights, then with the inverse variances that this implies."""
    p, sizes, groups = pairs.values / pairs.sizes, pairs.sizes, pairs.weights
    mean, share = _kleinman(p, sizes, groups, sizes)
    if 0.0 < share < 1.0:
        mean, share = _kleinman(p, sizes, groups, sizes / (1.0 + share * (sizes - 1.0)))
    _check_variance(share, "proportions")
    if share >= 1.0:
        raise DataError(
            "groups' proportions differ as much as 0s and 1s, so by moments alpha + beta would be 0; "
            "give the population's parameters priors"
        )
    return estimate_of("beta", mean, 1.0 / share - 1.0)


def _kleinman(p: np.ndarray, sizes: np.ndarray, groups: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return the mean and 1 / (alpha + beta + 1), whose expectations are those of the weighted sum of squares."""
    total = float(groups @ weights)
    mean = float(groups @ (weights * p)) / total
    squares = float(groups @ (weights * (p - mean) ** 2))
    spare = weights * (1.0 - weights / total)
    sampling, every = float(groups @ (spare / sizes)), float(groups @ spare)
    variance = mean * (1.0 - mean)
    return mean, (squares - variance * sampling) / (variance * (every - sampling))


def _rates_by_moments(pairs: Pairs) -> PopulationEstimate:
    """Buehlmann and Straub (1970), the variance given the rate being the Poisson's."""
    rates, exposures, groups = pairs.values / pairs.sizes, pairs.sizes, pairs.weights
    mean = pairs.total_values / pairs.total_sizes
    squares = float(groups @ (exposures * (rates - mean) ** 2))
    spare = pairs.total_sizes - float(groups @ exposures**2) / pairs.total_sizes
    variance = (squares - (pairs.n_groups - 1.0) * mean) / spare
    _check_variance(variance, "rates")
    return estimate_of("gamma", mean, mean / variance)


def _check_variance(variance: float, what: str) -> None:
    if variance <= 0.0:
        raise DataError(
            f"groups' {what} differ no more than sampling alone makes them, so the moment estimate of the "
            f"population's variance is not positive ({variance:.3g}); complete pooling fits, or give the population's "
            "parameters priors"
        )

"""Simulation-based calibration: draw parameters from their priors, simulate rows, fit, and rank the truth.

If the posterior is right, the truth is one more draw from it, so its rank among L independent draws is uniform on
0..L whatever the model. Source: Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv:1804.06788, theorem 1;
the joint log likelihood as a ranked quantity: Modrak et al. (2025), Bayesian Analysis 20:461-488.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

import partialpool as pp
from partialpool.errors import AccuracyWarning, ComputationError

from .factor_study import FactorStudy
from .latent_study import LatentStudy
from .study import Study

N_DRAWS = 255
N_BINS = 16
_TOLERANCE = 1e-3


class Calibration(NamedTuple):
    """Rank statistics by quantity: chi-square over equal bins, its p value; fits made and refused."""

    study: str
    n_fitted: int
    n_refused: int
    statistics: dict[str, float]
    p_values: dict[str, float]

    @property
    def passes(self) -> bool:
        """Whether no p value is below 1e-3 over the number of quantities."""
        return min(self.p_values.values()) > _TOLERANCE / len(self.p_values)

    def lines(self) -> list[str]:
        """Return the table's lines."""
        return [
            f"| {self.study} | {name} | {self.statistics[name]:.1f} | {self.p_values[name]:.4f} |"
            for name in self.p_values
        ]


def calibrate(study: Study | FactorStudy | LatentStudy, n: int, seed: int) -> Calibration:
    """Fit ``n`` simulated data sets and test the truth's ranks for uniformity.

    A fit that refuses with ``ComputationError`` is counted and left out: it knows the data alone, so that the ranks of
    the others stay uniform.
    """
    ranks: dict[str, list[int]] = {name: [] for name in (*study.ranked, "log likelihood")}
    refused = 0
    for k in range(n):
        rng = np.random.default_rng([seed, k])
        truth = study.draw_truth(rng)
        data = {"y": study.simulate(truth, rng), **study.given}
        try:
            with warnings.catch_warnings():
                # a fit that says it is a few hundredths of an sd off is calibrated as it stands
                warnings.simplefilter("ignore", AccuracyWarning)
                fit = pp.fit(study.formula, data, priors=study.priors, method=study.method, **study.options)
        except ComputationError:
            refused += 1
            continue
        draws = fit.draws(N_DRAWS, seed=int(rng.integers(2**32)))
        for name in study.ranked:
            ranks[name].append(int(np.sum(draws[name] < truth[name])))
        of_draws, of_truth = (study.log_likelihood(data["y"], values) for values in (draws, truth))
        ranks["log likelihood"].append(int(np.sum(of_draws < of_truth)))
    statistics = {name: _chi_square(np.array(each)) for name, each in ranks.items()}
    p_values = {name: float(chdtrc(N_BINS - 1, statistic)) for name, statistic in statistics.items()}
    return Calibration(study.name, n - refused, refused, statistics, p_values)


def _chi_square(ranks: NDArray[np.intp]) -> float:
    observed = np.bincount(ranks * N_BINS // (N_DRAWS + 1), minlength=N_BINS)
    expected = len(ranks) / N_BINS
    return float(np.sum((observed - expected) ** 2) / expected)

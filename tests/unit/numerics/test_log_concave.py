"""Draws under envelopes of log-concave densities whose distribution is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from partialpool.numerics.log_concave import find_envelope

FloatArray = NDArray[np.float64]
N = 20_000

# log density and slope, mode, sd from the curvature there, distribution
TARGETS = {
    "normal": (lambda x: (-0.5 * (x - 3.0) ** 2 / 4.0, -(x - 3.0) / 4.0), 3.0, 2.0, stats.norm(3, 2)),
    "log of a gamma": (lambda x: (0.3 * x - np.exp(x), 0.3 - np.exp(x)), np.log(0.3), 0.3**-0.5, stats.loggamma(0.3)),
    "logistic": (lambda x: (stats.logistic.logpdf(x), -np.tanh(x / 2)), 0.0, 2.0**0.5, stats.logistic),
    "narrow": (lambda x: (-0.5 * (x / 1e-6) ** 2, -x / 1e-12), 0.0, 1e-6, stats.norm(0, 1e-6)),
}


@pytest.mark.parametrize("name", TARGETS)
def test_accepted_proposals_have_the_distribution(name: str) -> None:
    density, mode, scale, distribution = TARGETS[name]
    envelope = find_envelope(np.full(N, mode), np.full(N, scale), density)
    proposed, log_cover = envelope.propose(rng := np.random.default_rng(3))
    log_density = density(proposed)[0]
    assert np.all(log_density <= log_cover)
    accepted = proposed[np.log(rng.random(N)) < log_density - log_cover]
    assert 0.75 < len(accepted) / N < 0.95
    assert stats.kstest(accepted, distribution.cdf).pvalue > 1e-3

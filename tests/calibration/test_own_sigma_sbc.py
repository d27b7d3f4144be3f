"""Groups with partially pooled sigmas of their own are calibrated."""

from __future__ import annotations

import numpy as np
import pytest

import partialpool as pp

from .own_sigma_study import OwnSigmaStudy
from .sbc import calibrate

OWN_SIGMAS = OwnSigmaStudy(
    "own sigmas, pooled",
    {
        "Intercept": pp.Normal(0, 5),
        "sd(g)": pp.HalfNormal(1),
        "mean(log sigma)": pp.Normal(0, 0.7),
        "sd(log sigma)": pp.HalfNormal(0.6),
    },
    np.repeat(np.arange(7), [2, 1, 3, 3, 5, 9, 14]),
)


@pytest.mark.calibration
def test_own_sigmas_are_calibrated() -> None:
    result = calibrate(OWN_SIGMAS, 1000, seed=1)
    print("\n".join(result.lines()), flush=True)
    assert result.passes
    assert result.n_refused == 0

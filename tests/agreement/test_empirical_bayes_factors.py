"""Maximum likelihood with several factors against lme4 1.1.31, on simulated designs of well-known shapes.

The columns were written to a file and fitted in R 4.2.2 by

    control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.1, rhoend = 1e-10, maxfun = 1e5))
    lmer(formula, read.csv(file), REML = TRUE, control = control)

and with REML = FALSE; sds and correlations are those of VarCorr, coefficients and standard errors those of fixef and
vcov, the deviance that of -2 logLik.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri

import partialpool as pp

FloatArray = NDArray[np.float64]


def _normal(seed: int, *shape: int) -> FloatArray:
    """Normal numbers from raw bits, whose stream is the same in every version of numpy."""
    bits = np.random.PCG64(seed).random_raw(int(np.prod(shape)))
    return np.asarray(ndtri((bits / 2.0**64).reshape(shape)))


def plates() -> dict[str, Any]:
    """24 plates by 6 samples, once each: like lme4's Penicillin."""
    plate, sample = np.divmod(np.arange(144), 6)
    y = 23.0 + 0.85 * _normal(1, 24)[plate] + 1.9 * _normal(2, 6)[sample] + 0.55 * _normal(3, 144)
    return {"y": np.round(y, 3), "plate": [f"p{k:02}" for k in plate], "sample": [f"s{k}" for k in sample]}


def casks() -> dict[str, Any]:
    """10 batches of 3 casks, two assays each: like lme4's Pastes."""
    row = np.arange(60)
    batch, cask = row // 6, row // 2 % 3
    y = 60.0 + 1.3 * _normal(4, 10)[batch] + 2.9 * _normal(5, 10, 3)[batch, cask] + 0.8 * _normal(6, 60)
    return {"y": np.round(y, 3), "batch": [f"b{k}" for k in batch], "cask": [f"c{k}" for k in cask]}


def subjects() -> dict[str, Any]:
    """14 subjects who see 9 of 12 items each, with slopes by subject: unbalanced."""
    subject, item = np.divmod(np.arange(14 * 12), 12)
    kept = (subject + item) % 4 != 3
    subject, item = subject[kept], item[kept]
    x = np.round(_normal(7, len(subject)) + 1.0, 3)
    own = _normal(8, 2, 14)
    slopes = 0.5 * (0.4 * own[0] + 0.9 * own[1])
    y = 5.0 + 0.7 * x + 1.2 * own[0][subject] + slopes[subject] * x + 0.6 * _normal(9, 12)[item]
    y += 0.9 * _normal(10, len(subject))
    return {"y": np.round(y, 3), "x": x, "subject": [f"s{k:02}" for k in subject], "item": [f"i{k:02}" for k in item]}


DATA = {"plates": plates, "casks": casks, "subjects": subjects}
FORMULAS = {
    "plates": "y ~ 1 + (1 | plate) + (1 | sample)",
    "casks": "y ~ 1 + (1 | batch/cask)",
    "subjects": "y ~ x + (1 + x | subject) + (1 | item)",
}

#: What lmer gives: sds, correlations and coefficients, then the coefficients' standard errors and the deviance.
LMER: dict[tuple[str, str], tuple[dict[str, float], dict[str, float], float]] = {
    ("plates", "reml"): (
        {"sd(plate)": 0.776644052, "sd(sample)": 1.54279207, "sigma": 0.486383754, "Intercept": 22.7747431},
        {"Intercept": 0.650750644},
        296.2981761,
    ),
    ("plates", "ml"): (
        {"sd(plate)": 0.775315943, "sd(sample)": 1.4160405, "sigma": 0.486393381, "Intercept": 22.7747431},
        {"Intercept": 0.600736607},
        297.1941367,
    ),
    ("casks", "reml"): (
        {"sd(batch)": 0.685708695, "sd(batch:cask)": 3.50433254, "sigma": 0.950181802, "Intercept": 60.5736333},
        {"Intercept": 0.686594459},
        263.288821,
    ),
    # lmer stops at 5.4e-5 for the batches and calls the fit singular
    ("casks", "ml"): (
        {"sd(batch)": 0.0, "sd(batch:cask)": 3.50415919, "sigma": 0.950181781, "Intercept": 60.5736333},
        {"Intercept": 0.651422914},
        264.3210704,
    ),
    ("subjects", "reml"): (
        {
            "sd(subject, Intercept)": 1.30361404,
            "sd(subject, x)": 0.329277025,
            "cor(subject, Intercept, x)": 0.647190718,
            "sd(item)": 0.742903135,
            "sigma": 0.796398494,
            "Intercept": 5.04053535,
            "x": 0.490070422,
        },
        {"Intercept": 0.422152621, "x": 0.116629988},
        382.2151242,
    ),
    ("subjects", "ml"): (
        {
            "sd(subject, Intercept)": 1.26224369,
            "sd(subject, x)": 0.309080647,
            "cor(subject, Intercept, x)": 0.674883713,
            "sd(item)": 0.729224537,
            "sigma": 0.796722894,
            "Intercept": 5.04180304,
            "x": 0.491046035,
        },
        {"Intercept": 0.41099569, "x": 0.11254583},
        379.7212074,
    ),
}


@pytest.mark.parametrize(("name", "estimator"), LMER)
def test_estimates_are_lmers(name: str, estimator: Any) -> None:
    fit = pp.fit(FORMULAS[name], DATA[name](), method="empirical_bayes", estimator=estimator)
    assert isinstance(fit, pp.Posterior)
    estimates, errors, deviance = LMER[name, estimator]
    table = fit.summary()
    assert set(table.index) == set(estimates)
    for parameter, value in estimates.items():
        assert table["mean"][parameter] == pytest.approx(value, rel=2e-6), parameter
    for parameter, value in errors.items():
        assert table["sd"][parameter] == pytest.approx(value, rel=2e-6), parameter
    (likelihood,) = fit.engine.evidence.values()
    assert -2.0 * likelihood == pytest.approx(deviance, abs=1e-6)

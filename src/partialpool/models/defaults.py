"""Default priors: weakly informative on the data's own scale; docs/priors.md gives each its reason.

With s the sd of the response and x a column with sd d, a slope gets Normal(0, 2.5 s/d), and the intercept
Normal(mean, 2.5 s) for its value at the columns' means. Population sds and sigma get HalfStudentT(3, scale) with the
largest scale that the response could show: s, or s/d. Correlations get LKJ(1).

Beside an intercept all defaults hold at the columns' means, not at the formula's zero: a correlation of -0.99999
between intercept and slope is nothing strange at the year 0, and must not be held against slopes; and the value there
is told by the slope alone. So the answer does not depend on where a column has its zero.
"""

from __future__ import annotations

import numpy as np

from partialpool.models.priors import LKJ, HalfStudentT, Normal
from partialpool.models.scales import DataScales

_COEFFICIENT_WIDTH = 2.5
_SCALE_DEGREES = 3.0
_CORRELATION_SHAPE = 1.0


def default_coefficient_prior(
    name: str, beside: tuple[str, ...], scales: DataScales, apart: tuple[str, ...] = ()
) -> Normal:
    """Return the default prior of a coefficient; ``beside`` names all columns of its part of the formula, ``apart``
    those at whose zero an intercept's prior has to be stated all the same."""
    if "Intercept" not in beside:
        return Normal(0.0, _COEFFICIENT_WIDTH * scales.response_size / scales.column_sizes[name])
    if name == "Intercept":
        width = _COEFFICIENT_WIDTH * _intercept_scale(("Intercept", *apart), scales)
        at_means = any(other != "Intercept" and other not in apart for other in beside)
        return Normal(scales.response_mean, width, at="means" if at_means else "zero")
    return Normal(0.0, _COEFFICIENT_WIDTH * scales.response_sd / scales.column_sds[name])


def default_effect_sd_prior(name: str, beside: tuple[str, ...], scales: DataScales) -> HalfStudentT:
    """Return the default prior of the population sd of one effect; ``beside`` names all effects of its factor."""
    return HalfStudentT(_SCALE_DEGREES, effect_scale(name, beside, scales))


def default_correlation_prior(at_means: bool) -> LKJ:
    """Return the default prior of a correlation matrix, at the columns' means or at the formula's zero."""
    return LKJ(_CORRELATION_SHAPE, at="means") if at_means else LKJ(_CORRELATION_SHAPE)


def default_residual_sd_prior(scales: DataScales) -> HalfStudentT:
    """Return the default prior of sigma."""
    return HalfStudentT(_SCALE_DEGREES, scales.response_sd)


def effect_scale(name: str, beside: tuple[str, ...], scales: DataScales) -> float:
    """Return the largest population sd of an effect that a response of this spread suggests."""
    if name == "Intercept":
        return _intercept_scale(beside, scales)
    if "Intercept" in beside:
        return scales.response_sd / scales.column_sds[name]
    return scales.response_sd / scales.column_sizes[name]


def _intercept_scale(beside: tuple[str, ...], scales: DataScales) -> float:
    carried = [scales.column_means[x] / scales.column_sds[x] for x in beside if x != "Intercept"]
    return scales.response_sd * float(np.sqrt(1.0 + sum(ratio**2 for ratio in carried)))
